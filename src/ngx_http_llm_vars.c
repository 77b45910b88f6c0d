
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_vars.h"
#include "ngx_http_llm_cost.h"
#include "ngx_http_llm_queue.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_try.h"


typedef enum {
    NGX_HTTP_LLM_VAR_PROVIDER = 0,
    NGX_HTTP_LLM_VAR_MODEL,
    NGX_HTTP_LLM_VAR_UPSTREAM_MODEL,
    NGX_HTTP_LLM_VAR_KEY_NAME,
    NGX_HTTP_LLM_VAR_CLIENT
} ngx_http_llm_var_e;


typedef enum {
    NGX_HTTP_LLM_TIME_FIRST = 0,
    NGX_HTTP_LLM_TIME_QUEUED
} ngx_http_llm_time_e;


static ngx_int_t ngx_http_llm_vars_found(ngx_http_variable_value_t *v,
    u_char *data, size_t len);
static ngx_int_t ngx_http_llm_vars_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_tries(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_verdicts(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_tokens(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_cost(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_llm_vars_connection(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_llm_target_t *ngx_http_llm_vars_target(
    ngx_http_llm_ctx_t *ctx);


static ngx_http_variable_t  ngx_http_llm_vars[] = {

    { ngx_string("llm_upstream"), NULL, ngx_http_llm_vars_upstream, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_provider"), NULL, ngx_http_llm_vars_text,
      NGX_HTTP_LLM_VAR_PROVIDER, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_model"), NULL, ngx_http_llm_vars_text,
      NGX_HTTP_LLM_VAR_MODEL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_upstream_model"), NULL, ngx_http_llm_vars_text,
      NGX_HTTP_LLM_VAR_UPSTREAM_MODEL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_key_name"), NULL, ngx_http_llm_vars_text,
      NGX_HTTP_LLM_VAR_KEY_NAME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_client"), NULL, ngx_http_llm_vars_text,
      NGX_HTTP_LLM_VAR_CLIENT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_tries"), NULL, ngx_http_llm_vars_tries, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_verdicts"), NULL, ngx_http_llm_vars_verdicts, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_input_tokens"), NULL, ngx_http_llm_vars_tokens,
      offsetof(ngx_http_llm_tokens_t, input), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_output_tokens"), NULL, ngx_http_llm_vars_tokens,
      offsetof(ngx_http_llm_tokens_t, output), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cached_tokens"), NULL, ngx_http_llm_vars_tokens,
      offsetof(ngx_http_llm_tokens_t, cached), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_reasoning_tokens"), NULL, ngx_http_llm_vars_tokens,
      offsetof(ngx_http_llm_tokens_t, reasoning), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("llm_total_tokens"), NULL, ngx_http_llm_vars_tokens,
      offsetof(ngx_http_llm_tokens_t, total), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_cost"), NULL, ngx_http_llm_vars_cost, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_ttft"), NULL, ngx_http_llm_vars_time,
      NGX_HTTP_LLM_TIME_FIRST, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_queue_time"), NULL, ngx_http_llm_vars_time,
      NGX_HTTP_LLM_TIME_QUEUED, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("llm_connection"), NULL, ngx_http_llm_vars_connection, 0,
      0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_llm_vars_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_llm_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/*
 * The name to proxy to.  Without the phases that prepare a request it is that
 * of an upstream that catches up with them.
 */

static ngx_int_t
ngx_http_llm_vars_upstream(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t                 *name;
    ngx_http_llm_ctx_t        *ctx;
    ngx_http_llm_target_t     *target;
    ngx_http_llm_main_conf_t  *lmcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    target = ngx_http_llm_vars_target(ctx);

    if (target) {
        name = &target->upstream->name;

    } else {
        lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

        if (lmcf->late == NULL || ctx || r->header_sent) {
            v->not_found = 1;
            return NGX_OK;
        }

        name = &lmcf->late->host;
    }

    return ngx_http_llm_vars_found(v, name->data, name->len);
}


static ngx_int_t
ngx_http_llm_vars_text(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t               text;
    ngx_http_llm_ctx_t     *ctx;
    ngx_http_llm_target_t  *target;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    target = ngx_http_llm_vars_target(ctx);

    ngx_str_null(&text);

    if (ctx) {
        switch (data) {

        case NGX_HTTP_LLM_VAR_PROVIDER:
            if (target) {
                text = target->upstream->provider->name;
            }

            break;

        case NGX_HTTP_LLM_VAR_MODEL:
            text = ctx->model;
            break;

        case NGX_HTTP_LLM_VAR_UPSTREAM_MODEL:
            if (target) {
                ngx_http_llm_route_model(ctx, target, &text);
            }

            break;

        case NGX_HTTP_LLM_VAR_KEY_NAME:
            if (ctx->try) {
                ngx_http_llm_try_key_name(ctx, &text);
            }

            break;

        case NGX_HTTP_LLM_VAR_CLIENT:
            text = ctx->client;
            break;
        }
    }

    if (text.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_llm_vars_found(v, text.data, text.len);
}


/* where the request is, or where it was last when it found no other place */

static ngx_http_llm_target_t *
ngx_http_llm_vars_target(ngx_http_llm_ctx_t *ctx)
{
    if (ctx == NULL || ctx->ntargets == 0) {
        return NULL;
    }

    return &ctx->targets[ngx_min(ctx->target, ctx->ntargets - 1)];
}


static ngx_int_t
ngx_http_llm_vars_tries(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char              *p;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx == NULL || ctx->try == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_llm_vars_found(v, p,
                                   ngx_sprintf(p, "%ui", ctx->try->begun) - p);
}


static ngx_int_t
ngx_http_llm_vars_verdicts(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t            text;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    ngx_str_null(&text);

    if (ctx && ngx_http_llm_try_verdicts(r->pool, ctx, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (text.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_llm_vars_found(v, text.data, text.len);
}


static ngx_int_t
ngx_http_llm_vars_tokens(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char              *p;
    uint64_t            *n;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx == NULL || ctx->usage == NULL || !ctx->usage->tokens.known) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    n = (uint64_t *) ((char *) &ctx->usage->tokens + data);

    return ngx_http_llm_vars_found(v, p, ngx_sprintf(p, "%uL", *n) - p);
}


static ngx_int_t
ngx_http_llm_vars_cost(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char              *p;
    uint64_t             usd;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx == NULL || ngx_http_llm_cost(r, ctx, &usd) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_HTTP_LLM_PRICE_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_llm_vars_found(v, p, ngx_http_llm_price_print(p, usd) - p);
}


static ngx_int_t
ngx_http_llm_vars_time(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char              *p, *last;
    ngx_msec_t           ms;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx == NULL
        || (data == NGX_HTTP_LLM_TIME_FIRST && !ctx->begun)
        || (data == NGX_HTTP_LLM_TIME_QUEUED && ctx->ntargets == 0))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    ms = (data == NGX_HTTP_LLM_TIME_FIRST) ? ctx->first
                                           : ngx_http_llm_queue_waited(ctx);

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "%T.%03M", (time_t) (ms / 1000), ms % 1000);

    return ngx_http_llm_vars_found(v, p, last - p);
}


/* for "proxy_set_header Connection": keeps connections, but lets upgrades by */

static ngx_int_t
ngx_http_llm_vars_connection(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    if (r->headers_in.upgrade) {
        v->len = sizeof("upgrade") - 1;
        v->data = (u_char *) "upgrade";

    } else {
        v->len = 0;
        v->data = (u_char *) "";
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_vars_found(ngx_http_variable_value_t *v, u_char *data, size_t len)
{
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = data;

    return NGX_OK;
}
