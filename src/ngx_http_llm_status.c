
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_status.h"
#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"
#include "ngx_http_llm_metrics.h"
#include "ngx_http_llm_overview.h"
#include "ngx_http_llm_page.h"
#include "ngx_http_llm_text.h"
#include "ngx_http_llm_zone.h"


static ngx_int_t ngx_http_llm_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_status_denied(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_int_t rc);
static ngx_int_t ngx_http_llm_status_error(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_uint_t ngx_http_llm_status_html(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_status_action(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_uint_t ngx_http_llm_status_foreign(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_status_find(ngx_http_request_t *r,
    ngx_http_llm_upstream_t **upstream, ngx_uint_t *key);
static ngx_int_t ngx_http_llm_status_arg(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_llm_status_json(ngx_http_request_t *r);
static void ngx_http_llm_status_summary(ngx_http_llm_text_t *text,
    ngx_array_t *upstreams);
static void ngx_http_llm_status_upstream(ngx_http_llm_text_t *text,
    ngx_http_llm_overview_t *status);
static void ngx_http_llm_status_key(ngx_http_llm_text_t *text,
    ngx_http_llm_overview_t *status, ngx_uint_t n);
static void ngx_http_llm_status_models(ngx_http_llm_text_t *text,
    ngx_http_llm_pool_t *pool, ngx_uint_t n);
static const char *ngx_http_llm_status_reason(ngx_http_llm_view_t *view);
static void ngx_http_llm_status_count(ngx_http_llm_text_t *text,
    ngx_http_llm_count_t *count);
static void ngx_http_llm_overview_tokens(ngx_http_llm_text_t *text,
    ngx_http_llm_spent_t *spent);
static void ngx_http_llm_status_all_limits(ngx_http_llm_text_t *text,
    ngx_http_llm_view_limit_t *limits);
static ngx_int_t ngx_http_llm_status_names(ngx_http_request_t *r,
    ngx_http_llm_text_t *text, ngx_uint_t clients, const char *list,
    const char *name);


/* in the order of the policies */

static const char  *ngx_http_llm_status_policies[] = {
    "round_robin", "least_conn", "headroom", "affinity"
};


static ngx_int_t
ngx_http_llm_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_llm_balancer_module);

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->conf = llcf;

    ngx_http_set_ctx(r, ctx, ngx_http_llm_balancer_module);

    if (r->method == NGX_HTTP_POST
        && llcf->status != NGX_HTTP_LLM_STATUS_PROMETHEUS)
    {
        return ngx_http_llm_status_action(r, ctx);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_ALLOWED,
                                  "invalid_request_error",
                                  "method_not_allowed",
                                  "Use GET for \"%V\".", &r->uri);
        return ngx_http_llm_status_error(r, ctx);
    }

    rc = ngx_http_llm_auth_reader(r, ctx, 0);

    if (rc != NGX_OK) {
        return ngx_http_llm_status_denied(r, ctx, rc);
    }

    if (llcf->status == NGX_HTTP_LLM_STATUS_PROMETHEUS) {
        return ngx_http_llm_metrics(r);
    }

    if (ngx_http_llm_status_html(r)) {
        rc = ngx_http_llm_page(r);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_http_llm_status_json(r);
}


static ngx_int_t
ngx_http_llm_status_denied(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_table_elt_t  *h;

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_ABORT) {
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_FORBIDDEN,
                                  "permission_error", "admin_key_required",
                                  ctx->conf->admins
                                  ? "This needs the admin key."
                                  : "There is no admin key: set "
                                    "LLM_ADMIN_KEY, or \"llm_admin_key\".");
        return ngx_http_llm_status_error(r, ctx);
    }

    /* rc == NGX_DECLINED */

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "WWW-Authenticate");
    ngx_str_set(&h->value, "Basic realm=\"the key as the password\", "
                           "charset=\"UTF-8\"");
    ngx_http_llm_header_link(h);

    r->headers_out.www_authenticate = h;

    (void) ngx_http_llm_error(r, ctx, NGX_HTTP_UNAUTHORIZED,
                              "authentication_error", "invalid_api_key",
                              "Send a key of this gateway, as \"Authorization: "
                              "Bearer KEY\" or as the password of basic "
                              "authentication.");

    return ngx_http_llm_status_error(r, ctx);
}


static ngx_int_t
ngx_http_llm_status_error(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_buf_t            *b;
    ngx_chain_t           out;
    ngx_http_llm_text_t   text;

    b = ngx_http_llm_error_render(r->pool, &ctx->error, ctx->path.shape);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out.buf = b;
    out.next = NULL;

    ngx_http_llm_text_start(&text, r->pool);

    text.first = &out;
    text.buf = b;

    return ngx_http_llm_text_send(r, &text, ctx->error.status,
                                  "application/json");
}


/* whether it is a browser that asks, and not for something else */

static ngx_uint_t
ngx_http_llm_status_html(ngx_http_request_t *r)
{
    ngx_str_t                format;
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK) {
        return format.len == 4 && ngx_strncmp(format.data, "html", 4) == 0;
    }

    ngx_http_llm_headers_start(&headers, &r->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            return 0;
        }

        if (ngx_http_llm_headers_is(h, "accept")) {
            return h->value.len >= 9
                   && ngx_strlcasestrn(h->value.data,
                                       h->value.data + h->value.len,
                                       (u_char *) "text/html", 9 - 1)
                      != NULL;
        }
    }
}


static ngx_int_t
ngx_http_llm_status_action(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 name, *key;
    ngx_uint_t                i, n;
    ngx_http_llm_text_t       text;
    ngx_http_llm_key_info_t   info;
    ngx_http_llm_upstream_t  *upstream;

    static struct {
        ngx_str_t    name;
        ngx_uint_t   held;
    } actions[] = {
        { ngx_string("park"), NGX_HTTP_LLM_HELD_PARKED },
        { ngx_string("drain"), NGX_HTTP_LLM_HELD_DRAINING },
        { ngx_string("restore"), NGX_HTTP_LLM_HELD_NOT },
        { ngx_null_string, 0 }
    };

    rc = ngx_http_llm_auth_reader(r, ctx, 1);

    if (rc != NGX_OK) {
        return ngx_http_llm_status_denied(r, ctx, rc);
    }

    if (ngx_http_llm_status_foreign(r)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "a page of another origin tried to change a key");

        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_FORBIDDEN,
                                  "permission_error", "cross_origin",
                                  "Pages of other origins cannot do this.");
        return ngx_http_llm_status_error(r, ctx);
    }

    if (ngx_http_llm_status_arg(r, "action", &name) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; actions[i].name.len; i++) {
        if (actions[i].name.len == name.len
            && ngx_strncmp(actions[i].name.data, name.data, name.len) == 0)
        {
            break;
        }
    }

    if (actions[i].name.len == 0) {
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                  "invalid_request_error", "unknown_action",
                                  "The action is \"park\", \"restore\" or "
                                  "\"drain\".");
        return ngx_http_llm_status_error(r, ctx);
    }

    rc = ngx_http_llm_status_find(r, &upstream, &n);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_FOUND,
                                  "invalid_request_error", "unknown_key",
                                  "There is no such key of an upstream.");
        return ngx_http_llm_status_error(r, ctx);
    }

    ngx_http_llm_zone_hold(&upstream->pool, n, actions[i].held, &info);

    key = &upstream->pool.keys[n].name;

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "key \"%V\" of upstream \"%V\" is %s after \"%V\" by \"%V\"",
                  key, &upstream->name,
                  ngx_http_llm_overview_states[info.state], &actions[i].name,
                  &ctx->client);

    ngx_http_llm_text_start(&text, r->pool);

    ngx_http_llm_text_add(&text, "{\"action\":\"%V\",\"upstream\":",
                          &actions[i].name);
    ngx_http_llm_text_quote(&text, &upstream->name);
    ngx_http_llm_text_add(&text, ",\"key\":");
    ngx_http_llm_text_quote(&text, key);
    ngx_http_llm_text_add(&text, ",\"state\":\"%s\",\"in_flight\":%ui}\n",
                          ngx_http_llm_overview_states[info.state],
                          info.in_flight);

    return ngx_http_llm_text_send(r, &text, NGX_HTTP_OK, "application/json");
}


/*
 * Browsers send a password that they know to whoever makes them, but tell
 * whose page it was.  What is no browser tells nothing.
 */

static ngx_uint_t
ngx_http_llm_status_foreign(ngx_http_request_t *r)
{
    u_char                  *p, *last;
    ngx_str_t               *host;
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    ngx_http_llm_headers_start(&headers, &r->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            return 0;
        }

        if (ngx_http_llm_headers_is(h, "sec-fetch-site")
            && (h->value.len != sizeof("same-origin") - 1
                || ngx_strncmp(h->value.data, "same-origin", h->value.len)
                   != 0))
        {
            return 1;
        }

        if (!ngx_http_llm_headers_is(h, "origin")) {
            continue;
        }

        /* the scheme may be that of a proxy in front */

        last = h->value.data + h->value.len;
        p = ngx_strlcasestrn(h->value.data, last, (u_char *) "://", 3 - 1);

        if (p == NULL || r->headers_in.host == NULL) {
            return 1;
        }

        p += 3;
        host = &r->headers_in.host->value;

        if ((size_t) (last - p) != host->len
            || ngx_strncasecmp(p, host->data, host->len) != 0)
        {
            return 1;
        }
    }
}


static ngx_int_t
ngx_http_llm_status_find(ngx_http_request_t *r,
    ngx_http_llm_upstream_t **upstream, ngx_uint_t *key)
{
    ngx_str_t                   name, *one;
    ngx_uint_t                  i, n;
    ngx_http_llm_upstream_t   **upstreams;
    ngx_http_llm_main_conf_t   *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    upstreams = lmcf->upstreams.elts;

    if (ngx_http_llm_status_arg(r, "upstream", &name) == NGX_ERROR) {
        return NGX_ERROR;
    }

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        one = &upstreams[i]->name;

        if (one->len == name.len
            && ngx_strncmp(one->data, name.data, name.len) == 0)
        {
            break;
        }
    }

    if (i == lmcf->upstreams.nelts) {
        return NGX_DECLINED;
    }

    *upstream = upstreams[i];

    if (ngx_http_llm_status_arg(r, "key", &name) == NGX_ERROR) {
        return NGX_ERROR;
    }

    for (n = 0; n < upstreams[i]->pool.nkeys; n++) {
        one = &upstreams[i]->pool.keys[n].name;

        if (one->len == name.len
            && ngx_strncmp(one->data, name.data, name.len) == 0)
        {
            *key = n;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* empty if it is not there */

static ngx_int_t
ngx_http_llm_status_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    u_char     *dst, *src;
    ngx_str_t   escaped;

    ngx_str_null(value);

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &escaped)
        != NGX_OK)
    {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, escaped.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    src = escaped.data;
    value->data = dst;
    ngx_unescape_uri(&dst, &src, escaped.len, 0);
    value->len = dst - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_status_json(ngx_http_request_t *r)
{
    ngx_uint_t                 i;
    ngx_time_t                *tp;
    ngx_array_t                upstreams;
    ngx_http_llm_ctx_t        *ctx;
    ngx_http_llm_zone_t       *zone;
    ngx_http_llm_text_t        text;
    ngx_http_llm_overview_t   *status;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    zone = lmcf->zone;

    if (ngx_http_llm_overview(r, &upstreams) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tp = ngx_timeofday();

    ngx_http_llm_text_start(&text, r->pool);

    ngx_http_llm_text_add(&text, "{\"version\":\"" NGX_HTTP_LLM_VERSION "\","
                          "\"time\":");
    ngx_http_llm_text_seconds(&text, (uint64_t) tp->sec * 1000 + tp->msec);
    ngx_http_llm_text_add(&text, ",\"since\":");
    ngx_http_llm_text_seconds(&text, zone ? zone->sh->began : 0);

    ngx_http_llm_status_summary(&text, &upstreams);

    ngx_http_llm_text_add(&text, ",\"admin\":%s,\"upstreams\":[",
                          ctx->conf->admins ? "true" : "false");

    status = upstreams.elts;

    for (i = 0; i < upstreams.nelts; i++) {
        ngx_http_llm_text_add(&text, i ? "," : "");
        ngx_http_llm_status_upstream(&text, &status[i]);
    }

    ngx_http_llm_text_add(&text, "]");

    if (ngx_http_llm_status_names(r, &text, 0, "models", "model") != NGX_OK
        || ngx_http_llm_status_names(r, &text, 1, "clients", "name") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_llm_text_add(&text, ",\"zone\":{\"size\":%uz,\"nodes\":%ui,"
                          "\"capacity\":%ui}}\n", lmcf->zone_size,
                          zone ? zone->sh->used : 0,
                          zone ? zone->sh->capacity : 0);

    return ngx_http_llm_text_send(r, &text, NGX_HTTP_OK, "application/json");
}


static void
ngx_http_llm_status_summary(ngx_http_llm_text_t *text, ngx_array_t *upstreams)
{
    uint64_t                       tries, requests, failed, refused, tokens;
    ngx_uint_t                     i, n, keys, usable, in_flight, waiting;
    ngx_http_llm_overview_t       *status;
    ngx_http_llm_upstream_view_t  *view;

    status = upstreams->elts;

    tries = 0;
    requests = 0;
    failed = 0;
    refused = 0;
    tokens = 0;
    keys = 0;
    usable = 0;
    in_flight = 0;
    waiting = 0;

    for (i = 0; i < upstreams->nelts; i++) {
        view = &status[i].view;

        tries += status[i].tries;
        requests += view->count.spent.requests + view->failed;
        failed += view->failed;
        refused += view->count.verdicts[NGX_HTTP_LLM_WAIT]
                   + view->count.verdicts[NGX_HTTP_LLM_FINISHED];
        tokens += view->count.spent.input + view->count.spent.output;
        in_flight += view->in_flight;
        waiting += view->waiting;

        for (n = 0; n < status[i].upstream->pool.nkeys; n++) {
            keys++;
            usable += (status[i].keys[n].info.state
                       == NGX_HTTP_LLM_KEY_USABLE);
        }
    }

    ngx_http_llm_text_add(text, ",\"summary\":{\"keys\":%ui,\"usable\":%ui,"
                          "\"requests\":%uL,\"tries\":%uL,\"refused\":%uL,"
                          "\"errors\":%uL,\"tokens\":%uL,\"in_flight\":%ui,"
                          "\"queued\":%ui}", keys, usable, requests, tries,
                          refused, failed, tokens, in_flight, waiting);
}


static void
ngx_http_llm_status_upstream(ngx_http_llm_text_t *text,
    ngx_http_llm_overview_t *status)
{
    ngx_uint_t                     n;
    ngx_http_llm_upstream_t       *upstream;
    ngx_http_llm_upstream_view_t  *view;

    upstream = status->upstream;
    view = &status->view;

    ngx_http_llm_text_add(text, "{\"name\":");
    ngx_http_llm_text_quote(text, &upstream->name);
    ngx_http_llm_text_add(text, ",\"provider\":");
    ngx_http_llm_text_quote(text, &upstream->provider->name);

    /* what is behind the host may have a secret in it */

    ngx_http_llm_text_add(text, ",\"base\":\"%s://%V\"",
                          upstream->ssl ? "https" : "http", &upstream->host);

    ngx_http_llm_text_add(text, ",\"state\":\"%s\",\"retry_after\":%ui,"
                          "\"policy\":\"%s\",\"queue\":{\"waiting\":%ui,"
                          "\"number\":%ui,\"time\":%ui},\"in_flight\":%ui,"
                          "\"requests\":%uL,\"errors\":%uL,\"tries\":%uL",
                          view->open ? "open" : "closed",
                          (view->open + 999) / 1000,
                          ngx_http_llm_status_policies[upstream->pool.policy],
                          view->waiting, upstream->queue_number,
                          upstream->queue_number ? upstream->queue_time / 1000
                                                 : 0,
                          view->in_flight,
                          view->count.spent.requests + view->failed,
                          view->failed, status->tries);

    ngx_http_llm_status_count(text, &view->count);

    ngx_http_llm_text_add(text, ",\"keys\":[");

    for (n = 0; n < upstream->pool.nkeys; n++) {
        ngx_http_llm_text_add(text, n ? "," : "");
        ngx_http_llm_status_key(text, status, n);
    }

    ngx_http_llm_text_add(text, "]}");
}


static void
ngx_http_llm_status_key(ngx_http_llm_text_t *text,
    ngx_http_llm_overview_t *status, ngx_uint_t n)
{
    uint64_t                   expected, share;
    u_char                     hex[2 * NGX_HTTP_LLM_FINGERPRINT_SHOWN + 1];
    const char                *by;
    ngx_http_llm_key_t        *key;
    ngx_http_llm_view_t       *view;
    ngx_http_llm_key_info_t   *info;

    key = &status->upstream->pool.keys[n];
    view = &status->keys[n];
    info = &view->info;

    *ngx_hex_dump(hex, key->fingerprint, NGX_HTTP_LLM_FINGERPRINT_SHOWN) = '\0';

    /* in 1/1000 */

    expected = status->share ? 1000 * (uint64_t) view->share / status->share
                             : 0;
    share = status->tries ? 1000 * info->tries / status->tries : 0;

    by = (info->state == NGX_HTTP_LLM_KEY_USABLE) ? ""
         : (info->state >= NGX_HTTP_LLM_KEY_DOWN
            && !status->upstream->unresolved) ? "operator" : "provider";

    ngx_http_llm_text_add(text, "{\"name\":");
    ngx_http_llm_text_quote(text, &key->name);
    ngx_http_llm_text_add(text, ",\"fingerprint\":\"%s\",\"group\":", hex);
    ngx_http_llm_text_quote(text, &key->group);
    ngx_http_llm_text_add(text, ",\"tier\":\"%s\",\"state\":\"%s\","
                          "\"reason\":\"%s\",\"by\":\"%s\","
                          "\"retry_after\":%ui,\"weight\":%ui,",
                          key->backup ? "backup" : "primary",
                          ngx_http_llm_overview_states[info->state],
                          ngx_http_llm_status_reason(view), by,
                          (info->retry + 999) / 1000, key->weight);
    ngx_http_llm_text_add(text, "\"share_expected\":%uL.%03uL,"
                          "\"share\":%uL.%03uL,\"in_flight\":%ui,"
                          "\"max_conns\":%ui,\"requests\":%uL,\"tries\":%uL,"
                          "\"outs\":%uL",
                          expected / 1000, expected % 1000, share / 1000,
                          share % 1000, info->in_flight, key->max_conns,
                          view->count.spent.requests, info->tries, info->outs);

    ngx_http_llm_status_count(text, &view->count);

    ngx_http_llm_text_add(text, ",\"last_used\":");
    ngx_http_llm_text_seconds(text, view->count.used);

    ngx_http_llm_status_all_limits(text, view->limits);
    ngx_http_llm_status_models(text, &status->upstream->pool, n);

    ngx_http_llm_text_add(text, "}");
}


/* it is not kept over a restart */

static const char *
ngx_http_llm_status_reason(ngx_http_llm_view_t *view)
{
    static const char *const  reasons[] = {
        "", "rate_limited", "refused", "down", "parked", "draining"
    };

    return (view->reason[0]
            && view->info.state <= NGX_HTTP_LLM_KEY_DOWN)
           ? (const char *) view->reason : reasons[view->info.state];
}


static void
ngx_http_llm_status_models(ngx_http_llm_text_t *text,
    ngx_http_llm_pool_t *pool, ngx_uint_t n)
{
    ngx_str_t            name;
    ngx_uint_t           i, some;
    ngx_http_llm_view_t  view;

    some = 0;

    ngx_http_llm_text_add(text, ",\"models\":[");

    for (i = 1; ngx_http_llm_zone_view(pool, n, i, &view) == NGX_OK; i++) {

        if (view.model_len == 0) {
            continue;
        }

        name.data = view.model;
        name.len = view.model_len;

        ngx_http_llm_text_add(text, some++ ? ",{\"model\":" : "{\"model\":");
        ngx_http_llm_text_quote(text, &name);
        ngx_http_llm_text_add(text, ",\"state\":\"%s\",\"reason\":\"%s\","
                              "\"retry_after\":%ui",
                              ngx_http_llm_overview_states[view.info.state],
                              ngx_http_llm_status_reason(&view),
                              (view.info.retry + 999) / 1000);

        ngx_http_llm_status_all_limits(text, view.limits);

        ngx_http_llm_text_add(text, "}");
    }

    ngx_http_llm_text_add(text, "]");
}


static void
ngx_http_llm_status_count(ngx_http_llm_text_t *text,
    ngx_http_llm_count_t *count)
{
    ngx_uint_t  i;

    ngx_http_llm_text_add(text, ",\"verdicts\":{");

    for (i = 0; i < NGX_HTTP_LLM_COUNT_VERDICTS; i++) {
        ngx_http_llm_text_add(text, "%s\"%s\":%uL", i ? "," : "",
                              ngx_http_llm_overview_verdicts[i],
                              count->verdicts[i]);
    }

    ngx_http_llm_text_add(text, "}");

    ngx_http_llm_overview_tokens(text, &count->spent);
}


static void
ngx_http_llm_overview_tokens(ngx_http_llm_text_t *text,
    ngx_http_llm_spent_t *spent)
{
    ngx_http_llm_text_add(text, ",\"tokens\":{\"input\":%uL,\"output\":%uL,"
                          "\"cached\":%uL,\"reasoning\":%uL}", spent->input,
                          spent->output, spent->cached, spent->reasoning);
}


static void
ngx_http_llm_status_all_limits(ngx_http_llm_text_t *text,
    ngx_http_llm_view_limit_t *limits)
{
    ngx_uint_t  i, some;

    some = 0;

    ngx_http_llm_text_add(text, ",\"limits\":[");

    for (i = 0; i < NGX_HTTP_LLM_VIEW_LIMITS; i++) {

        if (!limits[i].known) {
            continue;
        }

        ngx_http_llm_text_add(text, "%s{\"what\":\"%s\",\"limit\":%uL,"
                              "\"remaining\":%L,\"reset\":%ui,\"told\":%s}",
                              some++ ? "," : "",
                              ngx_http_llm_overview_limits[i], limits[i].limit,
                              ngx_max(limits[i].remaining, 0),
                              (limits[i].reset + 999) / 1000,
                              limits[i].told ? "true" : "false");
    }

    ngx_http_llm_text_add(text, "]");
}


static ngx_int_t
ngx_http_llm_status_names(ngx_http_request_t *r, ngx_http_llm_text_t *text,
    ngx_uint_t clients, const char *list, const char *name)
{
    ngx_str_t                    str;
    ngx_uint_t                   i;
    ngx_http_llm_main_conf_t    *lmcf;
    ngx_http_llm_count_entry_t  *entry;
    ngx_http_llm_count_names_t  *names;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

    names = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_count_names_t));
    if (names == NULL) {
        return NGX_ERROR;
    }

    names->max = NGX_HTTP_LLM_COUNT_NAMES;

    if (lmcf->zone) {
        ngx_http_llm_zone_names(lmcf->zone, clients, names);
    }

    ngx_http_llm_text_add(text, ",\"%s\":[", list);

    for (i = 0; i < names->n; i++) {
        entry = &names->entries[i];

        str.data = entry->name;
        str.len = entry->len;

        ngx_http_llm_text_add(text, "%s{\"%s\":", i ? "," : "", name);
        ngx_http_llm_text_quote(text, &str);
        ngx_http_llm_text_add(text, ",\"requests\":%uL",
                              entry->spent.requests);
        ngx_http_llm_overview_tokens(text, &entry->spent);
        ngx_http_llm_text_add(text, "}");
    }

    if (names->other.requests) {
        ngx_http_llm_text_add(text, ",{\"%s\":\"other\",\"requests\":%uL",
                              name, names->other.requests);
        ngx_http_llm_overview_tokens(text, &names->other);
        ngx_http_llm_text_add(text, "}");
    }

    ngx_http_llm_text_add(text, "]");

    return NGX_OK;
}


char *
ngx_http_llm_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_loc_conf_t *llcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (llcf->status) {
        return "is duplicate";
    }

    value = cf->args->elts;

    llcf->status = NGX_HTTP_LLM_STATUS_ON;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "prometheus") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }

        llcf->status = NGX_HTTP_LLM_STATUS_PROMETHEUS;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_llm_status_handler;

    return NGX_CONF_OK;
}
