
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_upstream.h"
#include "ngx_http_llm_directive.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_handler.h"
#include "ngx_http_llm_judge.h"
#include "ngx_http_llm_request.h"
#include "ngx_http_llm_resolve.h"
#include "ngx_http_llm_try.h"


/* nginx lowers it to proxy_next_upstream_tries; the keys bound it as well */

#define NGX_HTTP_LLM_MAX_TRIES  NGX_MAX_INT32_VALUE


struct ngx_http_llm_peer_s {
    ngx_http_request_t               *request;
    ngx_http_llm_ctx_t               *ctx;         /* not lost by redirects */
    ngx_http_llm_upstream_t          *upstream;    /* whose hooks these are */

    void                             *data;
    ngx_event_get_peer_pt             get;
    ngx_event_free_peer_pt            free;
    ngx_event_set_peer_session_pt     set_session;
    ngx_event_save_peer_session_pt    save_session;
#if (NGX_HTTP_LLM_HAVE_NOTIFY)
    ngx_event_notify_peer_pt          notify;
#endif

    unsigned                          built:1;     /* a request, by nginx */
    unsigned                          used:1;      /* the hooks, for a try */
};


static ngx_int_t ngx_http_llm_upstream_init_late(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_llm_upstream_create_srv_conf(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_llm_upstream_keepalive(ngx_conf_t *cf);
static ngx_int_t ngx_http_llm_upstream_address(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_uint_t ngx_http_llm_upstream_count(
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_llm_upstream_init_late_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_llm_upstream_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_llm_upstream_enter(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_upstream_t *upstream);
static ngx_int_t ngx_http_llm_upstream_transport(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_upstream_t *upstream);
static ngx_http_upstream_conf_t *ngx_http_llm_upstream_own_conf(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_upstream_get_peer(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_http_llm_upstream_start(ngx_peer_connection_t *pc,
    ngx_http_llm_peer_t *peer, ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_upstream_close(ngx_connection_t *c);
static void ngx_http_llm_upstream_free_peer(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);
static ngx_int_t ngx_http_llm_upstream_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_llm_upstream_save_session(ngx_peer_connection_t *pc,
    void *data);
#if (NGX_HTTP_LLM_HAVE_NOTIFY)
static void ngx_http_llm_upstream_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
#endif


ngx_int_t
ngx_http_llm_upstream_add_placeholder(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_addr_t                  *addr;
    struct sockaddr_in          *sin;
    ngx_http_upstream_server_t  *server;

    if (us->servers == NULL) {
        us->servers = ngx_array_create(cf->pool, 1,
                                       sizeof(ngx_http_upstream_server_t));
        if (us->servers == NULL) {
            return NGX_ERROR;
        }
    }

    server = ngx_array_push(us->servers);
    if (server == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_http_upstream_server_t));

    addr = ngx_pcalloc(cf->pool, sizeof(ngx_addr_t));
    sin = ngx_pcalloc(cf->pool, sizeof(struct sockaddr_in));

    if (addr == NULL || sin == NULL) {
        return NGX_ERROR;
    }

    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    addr->sockaddr = (struct sockaddr *) sin;
    addr->socklen = sizeof(struct sockaddr_in);
    ngx_str_set(&addr->name, "127.0.0.1");

    server->name = addr->name;
    server->addrs = addr;
    server->naddrs = 1;
    server->weight = 1;
    server->down = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_upstream_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_llm_srv_conf_t  *lscf;
    ngx_http_llm_upstream_t  *upstream;

    lscf = ngx_http_conf_upstream_srv_conf(us, ngx_http_llm_balancer_module);
    upstream = lscf->upstream;

    if (ngx_http_llm_upstream_address(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }

    upstream->addressed = 1;
    upstream->naddrs = ngx_http_llm_upstream_count(us);

    if (upstream->original_init_upstream == NULL) {
        return ngx_http_upstream_init_round_robin(cf, us);
    }

    /*
     * Methods that know no backup servers keep what they have made of the
     * addresses, and these may change.
     */

    if (upstream->resolve && !(us->flags & NGX_HTTP_UPSTREAM_BACKUP)) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "the balancing method of upstream \"%V\" is not used, "
                      "as the addresses of its host may change",
                      &upstream->name);

        return ngx_http_upstream_init_round_robin(cf, us);
    }

    return upstream->original_init_upstream(cf, us);
}


static ngx_uint_t
ngx_http_llm_upstream_count(ngx_http_upstream_srv_conf_t *us)
{
    ngx_uint_t                   i, n;
    ngx_http_upstream_server_t  *server;

    server = us->servers->elts;
    n = 0;

    for (i = 0; i < us->servers->nelts; i++) {
        n += server[i].down ? 0 : server[i].naddrs;
    }

    return n;
}


/*
 * The address of the base's host takes the place of the placeholder, if the
 * block names no server.  A name that does not resolve today must not keep
 * the others from starting.
 */

static ngx_int_t
ngx_http_llm_upstream_address(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    ngx_url_t                    u;
    ngx_http_llm_srv_conf_t     *lscf;
    ngx_http_llm_upstream_t     *upstream;
    ngx_http_upstream_server_t  *server;

    if (us->servers->nelts > 1) {
        return NGX_OK;
    }

    lscf = ngx_http_conf_upstream_srv_conf(us, ngx_http_llm_balancer_module);
    upstream = lscf->upstream;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = upstream->host;
    u.default_port = upstream->port;

    switch (ngx_http_llm_resolve_init(cf, upstream, &u)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "%s \"%V\" in base URL of upstream \"%V\", which is "
                      "down until %s", u.err ? u.err : "no memory",
                      &upstream->host, &upstream->name,
                      upstream->resolve ? "it is found"
                                        : "the next reload");
        upstream->unresolved = 1;
        return NGX_OK;

    default:
        return NGX_ERROR;
    }

    server = us->servers->elts;

    server->name = u.url;
    server->addrs = u.addrs;
    server->naddrs = u.naddrs;
    server->max_fails = 1;
    server->fail_timeout = 10;
    server->down = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_upstream_init_implicit(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_conf_t                     pcf;
    ngx_uint_t                     i;
    ngx_http_conf_ctx_t            ctx;
    ngx_http_llm_srv_conf_t       *lscf;
    ngx_http_llm_upstream_t      **upstreams;
    ngx_http_llm_main_conf_t      *lmcf;

    if (us->flags & NGX_HTTP_UPSTREAM_CREATE) {

        /* a block of this name came later */

        return ngx_http_upstream_init_round_robin(cf, us);
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_llm_balancer_module);

    if (ngx_http_llm_upstream_create_srv_conf(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }

    lscf = ngx_http_conf_upstream_srv_conf(us, ngx_http_llm_balancer_module);
    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        if (upstreams[i]->uscf == us) {
            lscf->upstream = upstreams[i];
        }
    }

    us->peer.init_upstream = NULL;

    pcf = *cf;
    ctx = *(ngx_http_conf_ctx_t *) cf->ctx;
    ctx.srv_conf = us->srv_conf;

    cf->ctx = &ctx;
    cf->cmd_type = NGX_HTTP_UPS_CONF;

    if (ngx_http_llm_upstream_keepalive(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    *cf = pcf;

    lscf->upstream->original_init_upstream = us->peer.init_upstream;

    /* round robin, as in a block without another method */

    us->flags |= NGX_HTTP_UPSTREAM_BACKUP;

    return ngx_http_llm_upstream_init(cf, us);
}


static ngx_int_t
ngx_http_llm_upstream_create_srv_conf(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us)
{
    void               *mconf;
    ngx_uint_t          m, i;
    ngx_http_module_t  *module;

    us->srv_conf = ngx_pcalloc(cf->pool,
                               sizeof(void *) * ngx_http_max_module);
    if (us->srv_conf == NULL) {
        return NGX_ERROR;
    }

    for (m = 0; cf->cycle->modules[m]; m++) {

        if (cf->cycle->modules[m]->type != NGX_HTTP_MODULE) {
            continue;
        }

        module = cf->cycle->modules[m]->ctx;
        i = cf->cycle->modules[m]->ctx_index;

        if (module->create_srv_conf) {
            mconf = module->create_srv_conf(cf);
            if (mconf == NULL) {
                return NGX_ERROR;
            }

            us->srv_conf[i] = mconf;
        }
    }

    us->srv_conf[ngx_http_upstream_module.ctx_index] = us;

    return NGX_OK;
}


/* what an operator would write */

static ngx_int_t
ngx_http_llm_upstream_keepalive(ngx_conf_t *cf)
{
    ngx_uint_t  i;

    static ngx_str_t  text = ngx_string("keepalive 64;");

    for (i = 0; cf->cycle->modules[i]; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name,
                       "ngx_http_upstream_keepalive_module")
            == 0)
        {
            return ngx_http_llm_directive(cf, &text);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_upstream_add_late(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf)
{
    ngx_url_t  u;

    if (lmcf->late) {
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    ngx_str_set(&u.url, "llm_balancer");
    u.no_resolve = 1;

    lmcf->late = ngx_http_upstream_add(cf, &u, 0);

    if (lmcf->late == NULL
        || ngx_http_llm_upstream_add_placeholder(cf, lmcf->late) != NGX_OK)
    {
        return NGX_ERROR;
    }

    lmcf->late->peer.init_upstream = ngx_http_llm_upstream_init_late;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_upstream_init_late(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_http_llm_upstream_init_late_peer;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_upstream_wrap(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf)
{
    ngx_uint_t                      i;
    ngx_http_llm_upstream_t        *upstream, **upstreams;
    ngx_http_upstream_srv_conf_t   *us;

    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        upstream = upstreams[i];
        us = upstream->uscf;

        if (!upstream->addressed && us->servers->nelts == 1) {

            /* another init_upstream took the place of ours */

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"llm_provider\" must come behind the balancing "
                          "method in upstream \"%V\" in %s:%ui",
                          &us->host, us->file_name, us->line);
            return NGX_ERROR;
        }

        upstream->original_init_peer = us->peer.init;
        us->peer.init = ngx_http_llm_upstream_init_peer;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_upstream_init_late_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_int_t                 rc;
    ngx_http_upstream_t      *u;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_upstream_t  *upstream;

    rc = ngx_http_llm_late_handler(r, NULL);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    upstream = ctx->targets[ctx->target].upstream;

    u = r->upstream;
    u->upstream = upstream->uscf;

    return ngx_http_llm_upstream_init_peer(r, upstream->uscf);
}


static ngx_int_t
ngx_http_llm_upstream_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_peer_t      *peer;
    ngx_http_llm_srv_conf_t  *lscf;
    ngx_http_llm_upstream_t  *upstream;

    lscf = ngx_http_conf_upstream_srv_conf(us, ngx_http_llm_balancer_module);
    upstream = lscf->upstream;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    /* proxy_pass has the last word */

    if (ctx == NULL || ctx->try == NULL || !ctx->try->reserved
        || ctx->targets[ctx->target].upstream != upstream)
    {
        if (ngx_http_llm_late_handler(r, upstream) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    }

    peer = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_peer_t));
    if (peer == NULL) {
        return NGX_ERROR;
    }

    peer->request = r;
    peer->ctx = ctx;
    peer->built = 1;

    ctx->peer = peer;

    if (ngx_http_llm_judge_install(r, ctx) != NGX_OK
        || ngx_http_llm_upstream_enter(r, ctx, upstream) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->upstream->peer.tries = NGX_HTTP_LLM_MAX_TRIES;

    return NGX_OK;
}


/* initializes the peers of an upstream anew, and puts our hooks around them */

static ngx_int_t
ngx_http_llm_upstream_enter(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_upstream_t *upstream)
{
    ngx_uint_t            tries;
    ngx_http_llm_peer_t  *peer;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    peer = ctx->peer;
    tries = u->peer.tries;

    if (peer->upstream != upstream
        && ngx_http_llm_upstream_transport(r, ctx, upstream) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_llm_resolve_enter(r, upstream) != NGX_OK) {
        return NGX_ERROR;
    }

    /* round robin would write into what it finds there */

    u->peer.data = NULL;

    if (upstream->original_init_peer(r, upstream->uscf) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->upstream = upstream;
    peer->used = 0;

    peer->data = u->peer.data;
    peer->get = u->peer.get;
    peer->free = u->peer.free;
    peer->set_session = u->peer.set_session;
    peer->save_session = u->peer.save_session;

    u->peer.data = peer;
    u->peer.get = ngx_http_llm_upstream_get_peer;
    u->peer.free = ngx_http_llm_upstream_free_peer;
    u->peer.set_session = ngx_http_llm_upstream_set_session;
    u->peer.save_session = ngx_http_llm_upstream_save_session;

#if (NGX_HTTP_LLM_HAVE_NOTIFY)
    peer->notify = u->peer.notify;
    u->peer.notify = peer->notify ? ngx_http_llm_upstream_notify : NULL;
#endif

    u->peer.tries = tries;

    return NGX_OK;
}


/* TLS or plain, to whom, and never without knowing to whom */

static ngx_int_t
ngx_http_llm_upstream_transport(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_upstream_t *upstream)
{
    ngx_http_upstream_t       *u;
    ngx_http_llm_loc_conf_t   *llcf;
    ngx_http_upstream_conf_t  *conf;

    u = r->upstream;

    u->upstream = upstream->uscf;
    u->ssl_name = upstream->server_name;
    u->ssl = upstream->ssl;

    if (upstream->ssl) {
        ngx_str_set(&u->schema, "https://");

        if (!ngx_http_llm_conf_has_ssl(u->conf)) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "upstream \"%V\" needs \"proxy_pass https://\" "
                          "in this location", &upstream->name);
            goto refused;
        }

        if (upstream->verify && !u->conf->ssl_verify) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "no key is sent to upstream \"%V\", as "
                          "\"proxy_ssl_verify\" is off in this location",
                          &upstream->name);
            goto refused;
        }

    } else {
        ngx_str_set(&u->schema, "http://");
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_llm_balancer_module);

    if (!llcf->adjusted || (upstream->ssl && !upstream->verify)) {
        conf = ngx_http_llm_upstream_own_conf(r);
        if (conf == NULL) {
            return NGX_ERROR;
        }

        conf->ssl_verify &= upstream->verify;
    }

    return NGX_OK;

refused:

    (void) ngx_http_llm_error(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                              "server_error", "gateway_misconfigured",
                              "The gateway is not set up to reach \"%V\" "
                              "safely; its error log tells why.",
                              &upstream->name);
    ctx->error.no_retry = 1;

    return NGX_ERROR;
}


/* a copy of the location's settings that may be changed for this request */

static ngx_http_upstream_conf_t *
ngx_http_llm_upstream_own_conf(ngx_http_request_t *r)
{
    ngx_http_upstream_conf_t  *conf;

    conf = ngx_palloc(r->pool, sizeof(ngx_http_upstream_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    *conf = *r->upstream->conf;

    ngx_http_llm_upstream_adjust(conf);

    r->upstream->conf = conf;

    return conf;
}


void
ngx_http_llm_upstream_adjust(ngx_http_upstream_conf_t *conf)
{
    conf->ignore_headers |= NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT
                            |NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES
                            |NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE
                            |NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING
                            |NGX_HTTP_UPSTREAM_IGN_XA_CHARSET;

    conf->ssl_server_name = 1;
}


static ngx_int_t
ngx_http_llm_upstream_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_llm_peer_t *peer = data;

    ngx_int_t                 rc;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_request_t       *r;
    ngx_http_llm_upstream_t  *upstream;

    r = peer->request;
    ctx = peer->ctx;

    for ( ;; ) {

        if (!ctx->try->reserved) {
            return NGX_BUSY;
        }

        upstream = ctx->targets[ctx->target].upstream;

        if (upstream != peer->upstream
            && ngx_http_llm_upstream_enter(r, ctx, upstream) != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = peer->get(pc, peer->data);

        if (rc == NGX_BUSY && peer->used) {

            /* all addresses were tried, but with other keys */

            if (ngx_http_llm_upstream_enter(r, ctx, upstream) != NGX_OK) {
                return NGX_ERROR;
            }

            rc = peer->get(pc, peer->data);
        }

        if (rc != NGX_BUSY) {
            break;
        }

        if (ngx_http_llm_try_move(r, ctx) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (rc != NGX_OK && rc != NGX_DONE) {
        return rc;
    }

    if (rc == NGX_DONE && ngx_http_llm_judge_once(r, ctx)) {

        /* it may be dead, and the call could not be sent again */

        ngx_http_llm_upstream_close(pc->connection);

        pc->connection = NULL;
        pc->cached = 0;

        rc = NGX_OK;
    }

    peer->used = 1;

    return (ngx_http_llm_upstream_start(pc, peer, ctx) == NGX_OK)
           ? rc : NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_upstream_start(ngx_peer_connection_t *pc,
    ngx_http_llm_peer_t *peer, ngx_http_llm_ctx_t *ctx)
{
    ngx_uint_t                  status;
    ngx_http_request_t         *r;
    ngx_http_upstream_t        *u;
    ngx_http_upstream_state_t  *state;

    r = peer->request;
    u = r->upstream;

    status = ngx_http_llm_judge_status(ctx);

    if (status && r->upstream_states->nelts > 1) {

        /* nginx saw a status that it can retry, the log gets the real one */

        state = r->upstream_states->elts;
        state[r->upstream_states->nelts - 2].status = status;
    }

    if (!peer->built) {
        u->request_bufs = r->request_body ? r->request_body->bufs : NULL;

        if (u->create_request(r) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    peer->built = 0;

    ngx_http_llm_try_begin(ctx);
    ngx_http_llm_judge_start(r, ctx);

    switch (ngx_http_llm_request_build(r, ctx)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                                  "server_error", "gateway_misconfigured",
                                  "The gateway cannot build a request for "
                                  "\"%V\"; its error log tells why.",
                                  &peer->upstream->name);

        /* fall through */

    default:
        return NGX_ERROR;
    }
}


static void
ngx_http_llm_upstream_close(ngx_connection_t *c)
{
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}


static void
ngx_http_llm_upstream_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_llm_peer_t *peer = data;

    ngx_uint_t           tries;
    ngx_http_llm_ctx_t  *ctx;
    ngx_http_request_t  *r;

    r = peer->request;
    ctx = peer->ctx;
    tries = pc->tries;

    state = ngx_http_llm_judge_end(r, ctx, state);

    peer->free(pc, peer->data, state);

    pc->tries = (tries && ctx->try->reserved) ? tries - 1 : 0;
}


static ngx_int_t
ngx_http_llm_upstream_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_llm_peer_t *peer = data;

    return peer->set_session(pc, peer->data);
}


static void
ngx_http_llm_upstream_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_llm_peer_t *peer = data;

    peer->save_session(pc, peer->data);
}


#if (NGX_HTTP_LLM_HAVE_NOTIFY)

static void
ngx_http_llm_upstream_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_llm_peer_t *peer = data;

    peer->notify(pc, peer->data, type);
}

#endif
