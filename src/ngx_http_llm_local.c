
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_local.h"
#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_zone.h"


/*
 * The dates of models are not known here, and clients do not use them; this
 * one is that of the OpenAI API itself.
 */

#define NGX_HTTP_LLM_CREATED  "1677610602"
#define NGX_HTTP_LLM_CREATED_ISO  "2023-02-28T18:56:42Z"


typedef struct {
    ngx_pool_t     *pool;
    ngx_chain_t    *first;
    ngx_chain_t   **last;
    ngx_str_t       first_id;
    ngx_str_t       last_id;
    ngx_uint_t      n;
    ngx_uint_t      info;
} ngx_http_llm_local_list_t;


static ngx_int_t ngx_http_llm_local_content(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_local_models(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list);
static ngx_int_t ngx_http_llm_local_model(void *data, ngx_str_t *model,
    ngx_http_llm_target_t *target);
static ngx_int_t ngx_http_llm_local_model_info(
    ngx_http_llm_local_list_t *list, ngx_str_t *model,
    ngx_http_llm_target_t *target);
static ngx_int_t ngx_http_llm_local_health(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list);
static ngx_int_t ngx_http_llm_local_keys(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list, ngx_uint_t healthy, ngx_uint_t *count);
static ngx_int_t ngx_http_llm_local_readiness(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list);
static ngx_int_t ngx_http_llm_local_add(ngx_http_llm_local_list_t *list,
    size_t size, const char *fmt, ...);
static ngx_int_t ngx_http_llm_local_send(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list);
static ngx_int_t ngx_http_llm_local_escape(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *escaped);


static const char  *ngx_http_llm_local_states[] = {
    "usable", "cooling", "finished", "down", "parked", "draining"
};


ngx_int_t
ngx_http_llm_local_handler(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t  rc;

    /* who asks whether we live has no key */

    if (ctx->path.own != NGX_HTTP_LLM_LIVENESS
        && ctx->path.own != NGX_HTTP_LLM_READINESS)
    {
        rc = ngx_http_llm_auth(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_ALLOWED,
                                  "invalid_request_error",
                                  "method_not_allowed",
                                  "Use GET for \"%V\".", &r->uri);
    }

    r->content_handler = ngx_http_llm_local_content;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_local_content(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_llm_ctx_t         *ctx;
    ngx_http_llm_local_list_t   list;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&list, sizeof(ngx_http_llm_local_list_t));

    list.pool = r->pool;
    list.last = &list.first;

    switch (ctx->path.own) {

    case NGX_HTTP_LLM_MODEL_INFO:
        list.info = 1;

        /* fall through */

    case NGX_HTTP_LLM_MODELS:
        rc = ngx_http_llm_local_models(r, &list);
        break;

    case NGX_HTTP_LLM_HEALTH:
        rc = ngx_http_llm_local_health(r, &list);
        break;

    case NGX_HTTP_LLM_READINESS:
        rc = ngx_http_llm_local_readiness(r, &list);
        break;

    default: /* NGX_HTTP_LLM_LIVENESS */
        rc = ngx_http_llm_local_add(&list, 0, "\"I'm alive!\"");
        break;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_llm_local_send(r, &list);
}


/* one list for the libraries of OpenAI and of Anthropic */

static ngx_int_t
ngx_http_llm_local_models(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list)
{
    ngx_str_t  first, last;

    if (ngx_http_llm_local_add(list, 0, "{\"data\":[") != NGX_OK
        || ngx_http_llm_route_each(r, ngx_http_llm_local_model, list)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (list->info || list->n == 0) {
        return ngx_http_llm_local_add(list, 0,
                                      list->info ? "]}"
                                      : "],\"object\":\"list\","
                                        "\"has_more\":false}");
    }

    if (ngx_http_llm_local_escape(r->pool, &list->first_id, &first) != NGX_OK
        || ngx_http_llm_local_escape(r->pool, &list->last_id, &last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_llm_local_add(list, first.len + last.len,
                                  "],\"object\":\"list\",\"has_more\":false,"
                                  "\"first_id\":\"%V\",\"last_id\":\"%V\"}",
                                  &first, &last);
}


static ngx_int_t
ngx_http_llm_local_model(void *data, ngx_str_t *model,
    ngx_http_llm_target_t *target)
{
    ngx_http_llm_local_list_t *list = data;

    ngx_str_t  id, *owner;

    if (list->info) {
        return ngx_http_llm_local_model_info(list, model, target);
    }

    if (ngx_http_llm_local_escape(list->pool, model, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    if (list->n == 0) {
        list->first_id = *model;
    }

    list->last_id = *model;

    owner = &target->upstream->name;

    return ngx_http_llm_local_add(list, 2 * id.len + owner->len,
                                  "%s{\"id\":\"%V\",\"object\":\"model\","
                                  "\"created\":" NGX_HTTP_LLM_CREATED ","
                                  "\"owned_by\":\"%V\",\"type\":\"model\","
                                  "\"display_name\":\"%V\",\"created_at\":"
                                  "\"" NGX_HTTP_LLM_CREATED_ISO "\"}",
                                  list->n++ ? "," : "", &id, owner, &id);
}


/*
 * LiteLLM's list.  Limits and prices are left to its own table, which knows a
 * model by the last part of its name when model_info is empty.
 */

static ngx_int_t
ngx_http_llm_local_model_info(ngx_http_llm_local_list_t *list,
    ngx_str_t *model, ngx_http_llm_target_t *target)
{
    ngx_str_t  name, sent, *upstream;

    if (ngx_http_llm_local_escape(list->pool, model, &name) != NGX_OK
        || ngx_http_llm_local_escape(list->pool,
                                     target->model.len ? &target->model
                                                       : model, &sent)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    upstream = &target->upstream->name;

    return ngx_http_llm_local_add(list, name.len + sent.len + upstream->len,
                                  "%s{\"model_name\":\"%V\","
                                  "\"litellm_params\":{\"model\":\"%V/%V\"},"
                                  "\"model_info\":{}}",
                                  list->n++ ? "," : "", &name, upstream,
                                  &sent);
}


static ngx_int_t
ngx_http_llm_local_health(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list)
{
    ngx_uint_t  healthy, unhealthy;

    if (ngx_http_llm_local_add(list, 0, "{\"healthy_endpoints\":[") != NGX_OK
        || ngx_http_llm_local_keys(r, list, 1, &healthy) != NGX_OK
        || ngx_http_llm_local_add(list, 0, "],\"unhealthy_endpoints\":[")
           != NGX_OK
        || ngx_http_llm_local_keys(r, list, 0, &unhealthy) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_llm_local_add(list, 0, "],\"healthy_count\":%ui,"
                                  "\"unhealthy_count\":%ui}",
                                  healthy, unhealthy);
}


static ngx_int_t
ngx_http_llm_local_keys(ngx_http_request_t *r, ngx_http_llm_local_list_t *list,
    ngx_uint_t healthy, ngx_uint_t *count)
{
    u_char                      hex[2 * NGX_HTTP_LLM_FINGERPRINT_SHOWN];
    ngx_str_t                   fingerprint;
    ngx_uint_t                  i, n;
    ngx_http_llm_key_t         *key;
    ngx_http_llm_key_info_t     info;
    ngx_http_llm_upstream_t   **upstreams;
    ngx_http_llm_main_conf_t   *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    upstreams = lmcf->upstreams.elts;

    fingerprint.data = hex;
    fingerprint.len = sizeof(hex);

    *count = 0;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        for (n = 0; n < upstreams[i]->pool.nkeys; n++) {

            ngx_http_llm_zone_info(&upstreams[i]->pool, n, &info);

            if (upstreams[i]->unresolved) {
                info.state = NGX_HTTP_LLM_KEY_DOWN;
            }

            if ((info.state == NGX_HTTP_LLM_KEY_USABLE) != healthy) {
                continue;
            }

            key = &upstreams[i]->pool.keys[n];

            ngx_hex_dump(hex, key->fingerprint,
                         NGX_HTTP_LLM_FINGERPRINT_SHOWN);

            if (ngx_http_llm_local_add(list, upstreams[i]->name.len
                                       + upstreams[i]->host.len
                                       + key->name.len,
                                       "%s{\"model\":\"%V/*\","
                                       "\"api_base\":\"%s://%V\","
                                       "\"key\":\"%V\",\"fingerprint\":\"%V\","
                                       "\"state\":\"%s\",\"retry_after\":%ui,"
                                       "\"in_flight\":%ui,\"tries\":%uL}",
                                       (*count)++ ? "," : "",
                                       &upstreams[i]->name,
                                       upstreams[i]->ssl ? "https" : "http",
                                       &upstreams[i]->host, &key->name,
                                       &fingerprint,
                                       ngx_http_llm_local_states[info.state],
                                       (info.retry + 999) / 1000,
                                       info.in_flight, info.tries)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/*
 * Ready means that requests are answered.  Keys that have to wait do not make
 * it less ready: to be taken out of service would not bring them back.
 */

static ngx_int_t
ngx_http_llm_local_readiness(ngx_http_request_t *r,
    ngx_http_llm_local_list_t *list)
{
    ngx_uint_t                  i, n, keys, usable;
    ngx_http_llm_key_info_t     info;
    ngx_http_llm_upstream_t   **upstreams;
    ngx_http_llm_main_conf_t   *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    upstreams = lmcf->upstreams.elts;

    keys = 0;
    usable = 0;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        for (n = 0; n < upstreams[i]->pool.nkeys; n++) {
            ngx_http_llm_zone_info(&upstreams[i]->pool, n, &info);

            keys++;
            usable += (info.state == NGX_HTTP_LLM_KEY_USABLE);
        }
    }

    return ngx_http_llm_local_add(list, 0, "{\"status\":\"connected\","
                                  "\"db\":\"Not connected\",\"cache\":null,"
                                  "\"keys\":%ui,\"usable_keys\":%ui}",
                                  keys, usable);
}


/* size is that of the arguments */

static ngx_int_t
ngx_http_llm_local_add(ngx_http_llm_local_list_t *list, size_t size,
    const char *fmt, ...)
{
    va_list       args;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_create_temp_buf(list->pool,
                            ngx_strlen(fmt) + size + 6 * NGX_INT_T_LEN);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(list->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    va_start(args, fmt);
    b->last = ngx_vslprintf(b->pos, b->end, fmt, args);
    va_end(args);

    cl->buf = b;
    cl->next = NULL;

    *list->last = cl;
    list->last = &cl->next;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_local_send(ngx_http_request_t *r, ngx_http_llm_local_list_t *list)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = 0;

    for (cl = list->first; cl; cl = cl->next) {
        r->headers_out.content_length_n += cl->buf->last - cl->buf->pos;

        if (cl->next == NULL) {
            cl->buf->last_buf = (r == r->main) ? 1 : 0;
            cl->buf->last_in_chain = 1;
        }
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, list->first);
}


static ngx_int_t
ngx_http_llm_local_escape(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *escaped)
{
    escaped->len = text->len + ngx_escape_json(NULL, text->data, text->len);

    escaped->data = ngx_pnalloc(pool, escaped->len + 1);
    if (escaped->data == NULL) {
        return NGX_ERROR;
    }

    ngx_escape_json(escaped->data, text->data, text->len);

    return NGX_OK;
}
