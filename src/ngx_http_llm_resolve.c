
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_resolve.h"
#include "ngx_http_llm_names.h"

#include <resolv.h>


#define NGX_HTTP_LLM_RESOLVE_CONF     "/etc/resolv.conf"
#define NGX_HTTP_LLM_RESOLVE_HOSTS    "/etc/hosts"

/* the longest that a request waits */

#define NGX_HTTP_LLM_RESOLVE_TIMEOUT  5000                            /* ms */

/* how long after their end addresses are used while others are asked for */

#define NGX_HTTP_LLM_RESOLVE_STALE    30                               /* s */

/* how often what was never found is asked for without a request */

#define NGX_HTTP_LLM_RESOLVE_RETRY    2                                /* s */

/* a name server that has not answered by then gives way to the next one */

#define NGX_HTTP_LLM_RESOLVE_RESEND   1                                /* s */

/* the C library has waited for a name server if it needs longer to fail */

#define NGX_HTTP_LLM_RESOLVE_SLOW     1000                            /* ms */


struct ngx_http_llm_resolver_s {
    ngx_http_llm_names_t              names;
    ngx_str_t                         hosts;
    ngx_resolver_t                   *resolver;   /* NULL: no name servers */
    ngx_uint_t                        down;       /* they do not answer */
};


/* what requests use, also those that began before others came */

typedef struct {
    ngx_pool_t                       *pool;
    ngx_http_upstream_rr_peers_t     *peers;
    ngx_uint_t                        refs;
} ngx_http_llm_resolve_addrs_t;


struct ngx_http_llm_resolve_s {
    ngx_http_llm_upstream_t          *upstream;
    ngx_http_llm_resolver_t          *system;
    ngx_resolver_t                   *resolver;
    ngx_msec_t                        timeout;

    ngx_array_t                       names;      /* to ask for, ngx_str_t */
    ngx_uint_t                        name;       /* which of them */
    ngx_resolver_ctx_t               *query;      /* on its way */
    ngx_msec_t                        deadline;   /* of it */
    time_t                            asked;
    time_t                            valid;
    ngx_queue_t                       waiters;
    ngx_http_llm_resolve_addrs_t     *addrs;      /* NULL: of the start */

    unsigned                          found:1;    /* by this name */
    unsigned                          failed:1;   /* the last time */
};


struct ngx_http_llm_resolve_waiter_s {
    ngx_queue_t                       queue;
    ngx_http_request_t               *request;
    ngx_msec_t                        deadline;   /* of all its waiting */
    ngx_http_llm_resolve_pt           handler;
    unsigned                          waits:1;
};


typedef struct ngx_http_llm_resolve_waiter_s  ngx_http_llm_resolve_waiter_t;


static ngx_http_llm_resolver_t *ngx_http_llm_resolve_system(ngx_conf_t *cf);
static void ngx_http_llm_resolve_hurry(void);
static ngx_uint_t ngx_http_llm_resolve_fixed(ngx_http_llm_resolver_t *system,
    ngx_str_t *host);
static ngx_http_llm_resolve_t *ngx_http_llm_resolve_create(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_http_llm_resolver_t *system);
static void ngx_http_llm_resolve_cleanup(void *data);
static ngx_int_t ngx_http_llm_resolve_join(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_resolve_t *resolve,
    ngx_http_llm_resolve_pt handler);
static void ngx_http_llm_resolve_leave(void *data);
static void ngx_http_llm_resolve_request(ngx_http_request_t *r,
    ngx_http_llm_resolve_t *resolve);
static void ngx_http_llm_resolve_ask(ngx_http_llm_resolve_t *resolve);
static void ngx_http_llm_resolve_query(ngx_http_llm_resolve_t *resolve);
static void ngx_http_llm_resolve_handler(ngx_resolver_ctx_t *query);
static ngx_int_t ngx_http_llm_resolve_next(ngx_http_llm_resolve_t *resolve,
    ngx_int_t state);
static void ngx_http_llm_resolve_done(ngx_http_llm_resolve_t *resolve,
    ngx_int_t state);
static ngx_int_t ngx_http_llm_resolve_set(ngx_http_llm_resolve_t *resolve,
    ngx_resolver_ctx_t *query);
static ngx_int_t ngx_http_llm_resolve_usable(ngx_resolver_ctx_t *query,
    ngx_array_t *usable);
static ngx_uint_t ngx_http_llm_resolve_reachable(ngx_resolver_addr_t *addr);
static ngx_uint_t ngx_http_llm_resolve_same(
    ngx_http_upstream_rr_peers_t *peers, ngx_array_t *usable);
static ngx_http_upstream_rr_peer_t *ngx_http_llm_resolve_find(
    ngx_http_upstream_rr_peers_t *peers, ngx_resolver_addr_t *addr);
static ngx_http_upstream_rr_peers_t *ngx_http_llm_resolve_peers(
    ngx_http_llm_upstream_t *upstream, ngx_pool_t *pool, ngx_array_t *usable);
static ngx_int_t ngx_http_llm_resolve_peer(ngx_pool_t *pool,
    ngx_http_llm_upstream_t *upstream, ngx_resolver_addr_t *addr,
    ngx_http_upstream_rr_peer_t *peer);
static void ngx_http_llm_resolve_inherit(ngx_http_upstream_rr_peers_t *peers,
    ngx_http_upstream_rr_peer_t *peer, ngx_resolver_addr_t *addr);
static void ngx_http_llm_resolve_release(void *data);


ngx_int_t
ngx_http_llm_resolve_init(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
    ngx_url_t *u)
{
    ngx_msec_t                begin;
    ngx_http_llm_resolver_t  *system;

    system = ngx_http_llm_resolve_system(cf);
    if (system == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_http_llm_resolve_fixed(system, &upstream->server_name)) {
        upstream->resolve = ngx_http_llm_resolve_create(cf, upstream, system);
        if (upstream->resolve == NULL) {
            return NGX_ERROR;
        }

        /* it has been waited for once, and would be for each provider */

        if (system->down) {
            u->err = "no answer of a name server for";
            return NGX_DECLINED;
        }
    }

    ngx_time_update();
    begin = ngx_current_msec;

    if (ngx_parse_url(cf->pool, u) == NGX_OK) {
        return NGX_OK;
    }

    ngx_time_update();

    if (ngx_current_msec - begin >= NGX_HTTP_LLM_RESOLVE_SLOW) {
        system->down = 1;
    }

    return NGX_DECLINED;
}


static ngx_http_llm_resolver_t *
ngx_http_llm_resolve_system(ngx_conf_t *cf)
{
    ngx_str_t                  text;
    ngx_http_llm_resolver_t   *system;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_llm_balancer_module);

    if (lmcf->resolver) {
        return lmcf->resolver;
    }

    system = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_resolver_t));
    if (system == NULL) {
        return NULL;
    }

    if (ngx_http_llm_names_read(cf->pool, NGX_HTTP_LLM_RESOLVE_CONF, &text)
           != NGX_OK
        || ngx_http_llm_names_parse(cf->pool, &text, &system->names) != NGX_OK
        || ngx_http_llm_names_read(cf->pool, NGX_HTTP_LLM_RESOLVE_HOSTS,
                                   &system->hosts)
           != NGX_OK)
    {
        return NULL;
    }

    if (system->names.servers.nelts) {
        system->resolver = ngx_resolver_create(cf, system->names.servers.elts,
                                               system->names.servers.nelts);
        if (system->resolver == NULL) {
            return NULL;
        }

        system->resolver->resend_timeout = NGX_HTTP_LLM_RESOLVE_RESEND;

        ngx_http_llm_resolve_hurry();
    }

    lmcf->resolver = system;

    return system;
}


/* what it does not find soon need not keep anybody from starting any more */

static void
ngx_http_llm_resolve_hurry(void)
{
    if (res_init() == 0) {
        _res.retrans = 1;
        _res.retry = 2;
    }
}


/* an address, or a name that is not the business of name servers */

static ngx_uint_t
ngx_http_llm_resolve_fixed(ngx_http_llm_resolver_t *system, ngx_str_t *host)
{
    size_t  n;

    n = sizeof(".localhost") - 1;

    return host->data[0] == '['
           || ngx_inet_addr(host->data, host->len) != INADDR_NONE
           || ngx_http_llm_names_hosts(&system->hosts, host)
           || (host->len == n - 1
               && ngx_strncasecmp(host->data, (u_char *) "localhost", n - 1)
                  == 0)
           || (host->len > n
               && ngx_strncasecmp(host->data + host->len - n,
                                  (u_char *) ".localhost", n)
                  == 0);
}


static ngx_http_llm_resolve_t *
ngx_http_llm_resolve_create(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
    ngx_http_llm_resolver_t *system)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_llm_resolve_t  *resolve;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_llm_resolve_t));
    if (cln == NULL) {
        return NULL;
    }

    resolve = cln->data;

    ngx_memzero(resolve, sizeof(ngx_http_llm_resolve_t));

    resolve->upstream = upstream;
    resolve->system = system;
    resolve->timeout = NGX_HTTP_LLM_RESOLVE_TIMEOUT;
    resolve->valid = ngx_time();

    ngx_queue_init(&resolve->waiters);

    if (ngx_array_init(&resolve->names, cf->pool, 2, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_http_llm_names_expand(cf->pool, &system->names,
                                     &upstream->server_name, &resolve->names)
           != NGX_OK)
    {
        return NULL;
    }

    cln->handler = ngx_http_llm_resolve_cleanup;

    return resolve;
}


static void
ngx_http_llm_resolve_cleanup(void *data)
{
    ngx_http_llm_resolve_t *resolve = data;

    if (resolve->query) {
        ngx_resolve_name_done(resolve->query);
        resolve->query = NULL;
    }

    if (resolve->addrs) {
        ngx_http_llm_resolve_release(resolve->addrs);
    }
}


ngx_int_t
ngx_http_llm_resolve_wait(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_resolve_pt handler)
{
    ngx_uint_t                i;
    ngx_http_llm_resolve_t   *resolve;
    ngx_http_llm_upstream_t  *upstream;

    for (i = 0; i < ctx->ntargets; i++) {
        ngx_http_llm_resolve_request(r, ctx->targets[i].upstream->resolve);
    }

    for (i = 0; i < ctx->ntargets; i++) {
        upstream = ctx->targets[i].upstream;
        resolve = upstream->resolve;

        if (!upstream->unresolved
            && (resolve == NULL || resolve->query == NULL || resolve->failed
                || ngx_time() - resolve->valid <= NGX_HTTP_LLM_RESOLVE_STALE))
        {
            return NGX_OK;
        }

        if (resolve && resolve->query) {
            return ngx_http_llm_resolve_join(r, ctx, resolve, handler);
        }

        /* it is not to be found: the next one is what matters */
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_resolve_join(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_resolve_t *resolve, ngx_http_llm_resolve_pt handler)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_llm_resolve_waiter_t  *waiter;

    if (r != r->main) {
        return NGX_OK;
    }

    waiter = ctx->resolving;

    if (waiter == NULL) {
        cln = ngx_pool_cleanup_add(r->pool,
                                   sizeof(ngx_http_llm_resolve_waiter_t));
        if (cln == NULL) {
            return NGX_ERROR;
        }

        waiter = cln->data;
        cln->handler = ngx_http_llm_resolve_leave;

        waiter->request = r;
        waiter->deadline = ngx_current_msec + resolve->timeout;
        waiter->waits = 0;

        ctx->resolving = waiter;
    }

    if ((ngx_msec_int_t) (waiter->deadline - ngx_current_msec) <= 0) {
        return NGX_OK;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm waits for the addresses of \"%V\"",
                   &resolve->upstream->name);

    if (resolve->query->event) {
        resolve->query->event->cancelable = 0;
    }

    waiter->handler = handler;
    waiter->waits = 1;

    ngx_queue_insert_tail(&resolve->waiters, &waiter->queue);

    return NGX_AGAIN;
}


static void
ngx_http_llm_resolve_leave(void *data)
{
    ngx_http_llm_resolve_waiter_t *waiter = data;

    if (waiter->waits) {
        ngx_queue_remove(&waiter->queue);
        waiter->waits = 0;
    }
}


ngx_int_t
ngx_http_llm_resolve_enter(ngx_http_request_t *r,
    ngx_http_llm_upstream_t *upstream)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_llm_resolve_t  *resolve;

    resolve = upstream->resolve;

    ngx_http_llm_resolve_request(r, resolve);

    if (resolve == NULL || resolve->addrs == NULL) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_llm_resolve_release;
    cln->data = resolve->addrs;

    resolve->addrs->refs++;

    return NGX_OK;
}


void
ngx_http_llm_resolve_sweep(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_conf_ctx_t        *hctx;
    ngx_http_llm_resolve_t     *resolve;
    ngx_http_llm_upstream_t   **upstreams;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_llm_main_conf_t   *lmcf;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    hctx = (ngx_http_conf_ctx_t *) cycle->conf_ctx[ngx_http_module.index];
    lmcf = hctx->main_conf[ngx_http_llm_balancer_module.ctx_index];
    clcf = hctx->loc_conf[ngx_http_core_module.ctx_index];

    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        resolve = upstreams[i]->resolve;

        if (resolve == NULL || !upstreams[i]->unresolved
            || ngx_time() - resolve->asked < NGX_HTTP_LLM_RESOLVE_RETRY)
        {
            continue;
        }

        /* what the last request had, or what the next one will */

        if (resolve->resolver == NULL) {
            resolve->resolver = (clcf->resolver
                                 && clcf->resolver->connections.nelts)
                                ? clcf->resolver : resolve->system->resolver;
        }

        ngx_http_llm_resolve_ask(resolve);
    }
}


static void
ngx_http_llm_resolve_request(ngx_http_request_t *r,
    ngx_http_llm_resolve_t *resolve)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (resolve == NULL) {
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    resolve->resolver = clcf->resolver->connections.nelts
                        ? clcf->resolver : resolve->system->resolver;

    resolve->timeout = ngx_min(clcf->resolver_timeout,
                               NGX_HTTP_LLM_RESOLVE_TIMEOUT);

    ngx_http_llm_resolve_ask(resolve);
}


/* the resolver has a cache, which knows how long parts of an answer hold */

static void
ngx_http_llm_resolve_ask(ngx_http_llm_resolve_t *resolve)
{
    if (resolve->resolver == NULL
        || resolve->query
        || resolve->asked == ngx_time())
    {
        return;
    }

    resolve->asked = ngx_time();
    resolve->deadline = ngx_current_msec + resolve->timeout;

    if (!resolve->found) {
        resolve->name = 0;
    }

    ngx_http_llm_resolve_query(resolve);
}


static void
ngx_http_llm_resolve_query(ngx_http_llm_resolve_t *resolve)
{
    ngx_str_t           *names;
    ngx_msec_int_t       left;
    ngx_resolver_t      *resolver;
    ngx_resolver_ctx_t  *query;

    resolver = resolve->resolver;
    names = resolve->names.elts;
    left = (ngx_msec_int_t) (resolve->deadline - ngx_current_msec);

    if (left <= 0) {
        ngx_http_llm_resolve_done(resolve, NGX_RESOLVE_TIMEDOUT);
        return;
    }

    if (resolver == resolve->system->resolver) {

        /* the first name server of resolv.conf is the one to be asked first */

        resolver->last_connection = 0;
    }

    query = ngx_resolve_start(resolver, NULL);

    if (query == NULL || query == NGX_NO_RESOLVER) {
        ngx_http_llm_resolve_done(resolve, NGX_RESOLVE_SERVFAIL);
        return;
    }

    query->name = names[resolve->name];
    query->handler = ngx_http_llm_resolve_handler;
    query->data = resolve;
    query->timeout = left;

    /* a worker that shuts down stays for requests only */

    query->cancelable = ngx_queue_empty(&resolve->waiters);

    resolve->query = query;

    if (ngx_resolve_name(query) != NGX_OK) {
        resolve->query = NULL;
        ngx_http_llm_resolve_done(resolve, NGX_RESOLVE_SERVFAIL);
    }
}


static void
ngx_http_llm_resolve_handler(ngx_resolver_ctx_t *query)
{
    ngx_int_t                state;
    ngx_http_llm_resolve_t  *resolve;

    resolve = query->data;
    state = query->state;

    if (state == NGX_OK) {
        resolve->valid = query->valid;
        resolve->found = 1;

        if (ngx_http_llm_resolve_set(resolve, query) != NGX_OK) {
            state = NGX_RESOLVE_SERVFAIL;
        }
    }

    resolve->query = NULL;

    ngx_resolve_name_done(query);

    if (state != NGX_OK
        && ngx_http_llm_resolve_next(resolve, state) == NGX_OK)
    {
        ngx_http_llm_resolve_query(resolve);
        return;
    }

    ngx_http_llm_resolve_done(resolve, state);
}


/* the next name to ask for, unless that is no question of the name */

static ngx_int_t
ngx_http_llm_resolve_next(ngx_http_llm_resolve_t *resolve, ngx_int_t state)
{
    if (state == NGX_RESOLVE_TIMEDOUT) {
        return NGX_DECLINED;
    }

    if (resolve->found) {

        if (state != NGX_RESOLVE_NXDOMAIN || resolve->names.nelts == 1) {
            return NGX_DECLINED;
        }

        resolve->found = 0;
        resolve->name = 0;

        return NGX_OK;
    }

    return (++resolve->name < resolve->names.nelts) ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_llm_resolve_done(ngx_http_llm_resolve_t *resolve, ngx_int_t state)
{
    ngx_queue_t                     now, *q;
    ngx_http_llm_upstream_t        *upstream;
    ngx_http_llm_resolve_waiter_t  *waiter;

    upstream = resolve->upstream;

    if (state != NGX_OK && !resolve->failed) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "host \"%V\" of upstream \"%V\" could not be resolved "
                      "(%i: %s), %s", &upstream->server_name, &upstream->name,
                      state, ngx_resolver_strerror(state),
                      upstream->unresolved ? "which is down"
                                           : "its last addresses are used");
    }

    if (state == NGX_OK && resolve->failed) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "host \"%V\" of upstream \"%V\" is resolved again",
                      &upstream->server_name, &upstream->name);
    }

    resolve->failed = (state != NGX_OK);

    if (ngx_queue_empty(&resolve->waiters)) {
        return;
    }

    /* who goes on may come to wait again */

    ngx_queue_init(&now);
    ngx_queue_add(&now, &resolve->waiters);
    ngx_queue_init(&resolve->waiters);

    while (!ngx_queue_empty(&now)) {
        q = ngx_queue_head(&now);
        waiter = ngx_queue_data(q, ngx_http_llm_resolve_waiter_t, queue);

        ngx_queue_remove(q);
        waiter->waits = 0;

        waiter->handler(waiter->request, NGX_OK);
    }
}


/* the peers of round robin, as all methods of nginx look at them */

static ngx_int_t
ngx_http_llm_resolve_set(ngx_http_llm_resolve_t *resolve,
    ngx_resolver_ctx_t *query)
{
    ngx_pool_t                    *pool;
    ngx_array_t                    usable;
    ngx_http_llm_upstream_t       *upstream;
    ngx_http_upstream_rr_peers_t  *peers;
    ngx_http_llm_resolve_addrs_t  *addrs;

    upstream = resolve->upstream;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    if (ngx_array_init(&usable, pool, query->naddrs,
                       sizeof(ngx_resolver_addr_t *))
           != NGX_OK
        || ngx_http_llm_resolve_usable(query, &usable) != NGX_OK)
    {
        goto failed;
    }

    if (ngx_http_llm_resolve_same(upstream->uscf->peer.data, &usable)) {
        ngx_destroy_pool(pool);
        return NGX_OK;
    }

    addrs = ngx_palloc(pool, sizeof(ngx_http_llm_resolve_addrs_t));
    if (addrs == NULL) {
        goto failed;
    }

    peers = ngx_http_llm_resolve_peers(upstream, pool, &usable);
    if (peers == NULL) {
        goto failed;
    }

    addrs->pool = pool;
    addrs->peers = peers;
    addrs->refs = 1;

    if (resolve->addrs) {
        ngx_http_llm_resolve_release(resolve->addrs);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "llm upstream \"%V\" has other addresses, %ui",
                   &upstream->name, peers->number);

    resolve->addrs = addrs;

    upstream->uscf->peer.data = peers;
    upstream->naddrs = peers->number;
    upstream->unresolved = 0;

    return NGX_OK;

failed:

    ngx_destroy_pool(pool);

    return NGX_ERROR;
}


/* those that there is a way to, or all of them */

static ngx_int_t
ngx_http_llm_resolve_usable(ngx_resolver_ctx_t *query, ngx_array_t *usable)
{
    ngx_uint_t             i, all;
    ngx_resolver_addr_t  **addr;

    for (all = 0; usable->nelts == 0 && all < 2; all++) {
        for (i = 0; i < query->naddrs; i++) {

            if (!all && !ngx_http_llm_resolve_reachable(&query->addrs[i])) {
                continue;
            }

            addr = ngx_array_push(usable);
            if (addr == NULL) {
                return NGX_ERROR;
            }

            *addr = &query->addrs[i];
        }
    }

    return NGX_OK;
}


/* most hosts have an AAAA record, many networks have no IPv6: sends nothing */

static ngx_uint_t
ngx_http_llm_resolve_reachable(ngx_resolver_addr_t *addr)
{
    int             rc;
    ngx_socket_t    s;
    ngx_sockaddr_t  sa;

    if (addr->sockaddr->sa_family == AF_INET) {
        return 1;
    }

    s = ngx_socket(addr->sockaddr->sa_family, SOCK_DGRAM, 0);

    if (s == (ngx_socket_t) -1) {
        return 0;
    }

    ngx_memcpy(&sa, addr->sockaddr, addr->socklen);
    ngx_inet_set_port(&sa.sockaddr, 53);

    rc = connect(s, &sa.sockaddr, addr->socklen);

    if (ngx_close_socket(s) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_socket_errno,
                      ngx_close_socket_n " failed");
    }

    return rc == 0;
}


static ngx_uint_t
ngx_http_llm_resolve_same(ngx_http_upstream_rr_peers_t *peers,
    ngx_array_t *usable)
{
    ngx_uint_t             i;
    ngx_resolver_addr_t  **addrs;

    addrs = usable->elts;

    for (i = 0; i < usable->nelts; i++) {
        if (ngx_http_llm_resolve_find(peers, addrs[i]) == NULL) {
            return 0;
        }
    }

    return peers->number == usable->nelts;
}


static ngx_http_upstream_rr_peer_t *
ngx_http_llm_resolve_find(ngx_http_upstream_rr_peers_t *peers,
    ngx_resolver_addr_t *addr)
{
    ngx_http_upstream_rr_peer_t  *peer;

    for (peer = peers->peer; peer; peer = peer->next) {
        if (!peer->down
            && ngx_cmp_sockaddr(peer->sockaddr, peer->socklen,
                                addr->sockaddr, addr->socklen, 0)
               == NGX_OK)
        {
            return peer;
        }
    }

    return NULL;
}


static ngx_http_upstream_rr_peers_t *
ngx_http_llm_resolve_peers(ngx_http_llm_upstream_t *upstream, ngx_pool_t *pool,
    ngx_array_t *usable)
{
    ngx_uint_t                      i, n, first;
    ngx_resolver_addr_t           **addrs;
    ngx_http_upstream_rr_peer_t    *peer, **next;
    ngx_http_upstream_rr_peers_t   *peers, *old;

    addrs = usable->elts;
    n = usable->nelts;
    old = upstream->uscf->peer.data;

    peers = ngx_pcalloc(pool, sizeof(ngx_http_upstream_rr_peers_t));
    if (peers == NULL) {
        return NULL;
    }

    peer = ngx_pcalloc(pool, n * sizeof(ngx_http_upstream_rr_peer_t));
    if (peer == NULL) {
        return NULL;
    }

    peers->name = &upstream->uscf->host;
    peers->number = n;
    peers->total_weight = n;
    peers->tries = n;
    peers->single = (n == 1);

    /* not all workers begin with the same one */

    first = ngx_random() % n;
    next = &peers->peer;

    for (i = 0; i < n; i++) {
        if (ngx_http_llm_resolve_peer(pool, upstream, addrs[(first + i) % n],
                                      &peer[i])
            != NGX_OK)
        {
            return NULL;
        }

        *next = &peer[i];
        next = &peer[i].next;
    }

    for (i = 0; i < n; i++) {
        ngx_http_llm_resolve_inherit(old, &peer[i], addrs[(first + i) % n]);
    }

    return peers;
}


static ngx_int_t
ngx_http_llm_resolve_peer(ngx_pool_t *pool, ngx_http_llm_upstream_t *upstream,
    ngx_resolver_addr_t *addr, ngx_http_upstream_rr_peer_t *peer)
{
    peer->sockaddr = ngx_palloc(pool, addr->socklen);
    if (peer->sockaddr == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(peer->sockaddr, addr->sockaddr, addr->socklen);
    ngx_inet_set_port(peer->sockaddr, upstream->port);

    peer->socklen = addr->socklen;

    peer->name.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);
    if (peer->name.data == NULL) {
        return NGX_ERROR;
    }

    peer->name.len = ngx_sock_ntop(peer->sockaddr, peer->socklen,
                                   peer->name.data, NGX_SOCKADDR_STRLEN, 1);

    peer->server = upstream->host;
    peer->weight = 1;
    peer->effective_weight = 1;
    peer->max_fails = 1;
    peer->fail_timeout = 10;

    return NGX_OK;
}


/* what is known of an address, and a TLS session: it belongs to the name */

static void
ngx_http_llm_resolve_inherit(ngx_http_upstream_rr_peers_t *peers,
    ngx_http_upstream_rr_peer_t *peer, ngx_resolver_addr_t *addr)
{
    ngx_http_upstream_rr_peer_t  *old;

#if (NGX_HTTP_UPSTREAM_ZONE)

    if (peers->shpool) {

        /* of all workers, and behind a lock */

        return;
    }

#endif

    old = ngx_http_llm_resolve_find(peers, addr);

    if (old) {
        peer->fails = old->fails;
        peer->accessed = old->accessed;
        peer->checked = old->checked;
        peer->effective_weight = old->effective_weight;
    }

    if (old == NULL || old->ssl_session == NULL) {
        for (old = peers->peer; old && old->ssl_session == NULL; ) {
            old = old->next;
        }
    }

    if (old && SSL_SESSION_up_ref(old->ssl_session)) {
        peer->ssl_session = old->ssl_session;
    }
}


static void
ngx_http_llm_resolve_release(void *data)
{
    ngx_http_llm_resolve_addrs_t *addrs = data;

    ngx_http_upstream_rr_peer_t  *peer;

    if (--addrs->refs) {
        return;
    }

    for (peer = addrs->peers->peer; peer; peer = peer->next) {
        if (peer->ssl_session) {
            ngx_ssl_free_session(peer->ssl_session);
        }
    }

    ngx_destroy_pool(addrs->pool);
}
