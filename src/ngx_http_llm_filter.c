
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_filter.h"
#include "ngx_http_llm_cost.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"
#include "ngx_http_llm_response.h"
#include "ngx_http_llm_try.h"


/* whose account it is, and what would bind a client to a provider */

static const char  ngx_http_llm_filter_hidden[] =
    "set-cookie openai-organization openai-project "
    "anthropic-organization-id x-accel-redirect x-accel-buffering";


static ngx_int_t ngx_http_llm_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_llm_filter_answer(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_filter_cost(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_filter_exhausted(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_http_llm_ctx_t *ngx_http_llm_filter_local_error(
    ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_filter_error(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_filter_first(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_llm_filter_add(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static void ngx_http_llm_filter_remove(ngx_http_request_t *r,
    const char *names);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


void
ngx_http_llm_filter_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_llm_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_llm_body_filter;
}


static ngx_int_t
ngx_http_llm_header_filter(ngx_http_request_t *r)
{
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx && ctx->answered && !ctx->replace && r->err_status == 0) {
        if (ngx_http_llm_filter_answer(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_next_header_filter(r);
    }

    if (ctx && ctx->replace) {
        return ngx_http_llm_filter_error(r, ctx);
    }

    if (r->err_status < NGX_HTTP_BAD_REQUEST) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_llm_filter_local_error(r, ctx);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    return ngx_http_llm_filter_error(r, ctx);
}


static ngx_int_t
ngx_http_llm_filter_answer(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_filter_remove(r, ngx_http_llm_filter_hidden);

    if (ctx->hides) {
        ngx_http_clear_content_length(r);
    }

    if (ngx_http_llm_filter_cost(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->try->exhausted
        && (r->headers_out.status == NGX_HTTP_TOO_MANY_REQUESTS
            || r->headers_out.status >= NGX_HTTP_INTERNAL_SERVER_ERROR))
    {
        return ngx_http_llm_filter_exhausted(r, ctx);
    }

    return NGX_OK;
}


/* what a small answer has cost is known before its head is sent */

static ngx_int_t
ngx_http_llm_filter_cost(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    uint64_t   usd;
    ngx_str_t  value;

    if (ctx->response == NULL
        || !ctx->response->read
        || ngx_http_llm_cost(r, ctx, &usd) != NGX_OK)
    {
        return NGX_OK;
    }

    value.data = ngx_pnalloc(r->pool, NGX_HTTP_LLM_PRICE_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_http_llm_price_print(value.data, usd) - value.data;

    ngx_http_llm_filter_remove(r, "x-litellm-response-cost");

    return ngx_http_llm_filter_add(r, "x-litellm-response-cost", &value);
}


/* every key was tried: what a provider says about trying again is outdated */

static ngx_int_t
ngx_http_llm_filter_exhausted(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t  value;

    ngx_http_llm_filter_remove(r, "x-should-retry");

    ngx_str_set(&value, "false");

    return ngx_http_llm_filter_add(r, "x-should-retry", &value);
}


/*
 * An error page of nginx, for a request of ours or for one that did not get
 * so far: of a location with the balancer, or of its server if the request
 * did not even have a location.
 */

static ngx_http_llm_ctx_t *
ngx_http_llm_filter_local_error(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_loc_conf_t   *llcf;
    ngx_http_llm_srv_conf_t   *lscf;
    ngx_http_core_loc_conf_t  *clcf;

    if (ctx == NULL) {
        llcf = ngx_http_get_module_loc_conf(r, ngx_http_llm_balancer_module);
        lscf = ngx_http_get_module_srv_conf(r, ngx_http_llm_balancer_module);
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (llcf->enable != 1 && !(lscf->balancer && clcf->name.len == 0)) {
            return NULL;
        }

        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_ctx_t));
        if (ctx == NULL) {
            return NULL;
        }

        ctx->conf = llcf;

        ngx_http_set_ctx(r, ctx, ngx_http_llm_balancer_module);
    }

    if (ctx->error.status == 0) {
        ngx_http_llm_error_status(&ctx->error, r->err_status);
    }

    return ctx;
}


/* the status and the headers of our own answer */

static ngx_int_t
ngx_http_llm_filter_error(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t              value;
    ngx_buf_t             *b;
    ngx_http_llm_error_t  *error;

    error = &ctx->error;

    b = ngx_http_llm_error_render(r->pool, error, ctx->path.shape);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    ctx->answer = b;

    ngx_http_clean_header(r);

    r->headers_out.status = error->status;
    r->headers_out.status_line.len = 0;
    r->headers_out.content_length_n = b->last - b->pos;

    if (r->err_status) {
        r->err_status = error->status;
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* nginx would cut off a client that is still sending its body */

    if ((r->headers_in.content_length_n > 0 || r->headers_in.chunked)
        && (r->request_body == NULL || r->request_body->rest != 0))
    {
        r->lingering_close = 1;
    }

    if (error->retry_after) {
        value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%T", error->retry_after)
                    - value.data;

        if (ngx_http_llm_filter_add(r, "Retry-After", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (error->no_retry) {
        ngx_str_set(&value, "false");

        if (ngx_http_llm_filter_add(r, "x-should-retry", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


/* our answer in the place of whatever comes: a page, or a provider's body */

static ngx_int_t
ngx_http_llm_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t          out, *cl;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx && ctx->hides && in && ngx_http_llm_response_rest(ctx, in, &out)) {
        in = &out;
    }

    if (ctx && ctx->answered && !ctx->begun && !ctx->replace) {
        ngx_http_llm_filter_first(r, ctx, in);
    }

    if (ctx == NULL || ctx->answer == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->replaced) {
        return ngx_http_next_body_filter(r, NULL);
    }

    ctx->replaced = 1;

    out.buf = ctx->answer;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


static void
ngx_http_llm_filter_first(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_time_t      *tp;
    ngx_msec_int_t   ms;

    for ( /* void */ ; in; in = in->next) {
        if (ngx_buf_size(in->buf)) {
            break;
        }
    }

    if (in == NULL) {
        return;
    }

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));

    ctx->first = ngx_max(ms, 0);
    ctx->begun = 1;
}


static ngx_int_t
ngx_http_llm_filter_add(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
    ngx_http_llm_header_link(h);

    return NGX_OK;
}


static void
ngx_http_llm_filter_remove(ngx_http_request_t *r, const char *names)
{
    u_char                   low[32];
    ngx_str_t                name;
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    name.data = low;

    ngx_http_llm_headers_start(&headers, &r->headers_out.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            break;
        }

        /* not every module sets lowcase_key here */

        if (h->hash == 0 || h->key.len > sizeof(low)) {
            continue;
        }

        ngx_strlow(low, h->key.data, h->key.len);
        name.len = h->key.len;

        if (ngx_http_llm_catalog_has(names, &name)) {
            h->hash = 0;
        }
    }
}
