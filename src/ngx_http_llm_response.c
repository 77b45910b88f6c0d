
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_response.h"
#include "ngx_http_llm_binding.h"
#include "ngx_http_llm_headers.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_try.h"


static ngx_uint_t ngx_http_llm_response_streams(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_response_hide(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_response_usage(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_response_read(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_response_chunked(ngx_http_request_t *r,
    ngx_http_llm_usage_t *usage);
static void ngx_http_llm_response_mask_headers(ngx_http_request_t *r,
    ngx_str_t *secret);
static ngx_int_t ngx_http_llm_response_filter_init(void *data);
static ngx_int_t ngx_http_llm_response_filter(void *data, ssize_t bytes);
static ngx_int_t ngx_http_llm_response_pipe_filter(ngx_event_pipe_t *p,
    ngx_buf_t *buf);
static void ngx_http_llm_response_pass(ngx_http_llm_ctx_t *ctx,
    ngx_chain_t *in);
static void ngx_http_llm_response_learn(ngx_http_llm_ctx_t *ctx);


ngx_int_t
ngx_http_llm_response_accept(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_upstream_t      *u;
    ngx_http_llm_response_t  *response;

    u = r->upstream;

    ctx->answered = 1;

    if (ctx->response) {
        return NGX_OK;
    }

    if (ngx_http_llm_response_streams(r, ctx)) {
        u->buffering = 0;
    }

    response = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_response_t));
    if (response == NULL) {
        return NGX_ERROR;
    }

    ctx->response = response;

    response->secret = ctx->try->secret;

    if (ngx_http_llm_mask(NULL, &response->secret, u->buffer.start,
                          u->buffer.pos))
    {
        ngx_http_llm_response_mask_headers(r, &response->secret);
    }

    response->input_filter_init = u->input_filter_init;
    u->input_filter_init = ngx_http_llm_response_filter_init;

    if (ctx->hides && ngx_http_llm_response_hide(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_llm_response_usage(r, ctx);
}


static ngx_int_t
ngx_http_llm_response_hide(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->buffering
        || u->headers_in.content_type == NULL
        || ngx_http_llm_usage_kind(&u->headers_in.content_type->value)
           != NGX_HTTP_LLM_USAGE_EVENTS)
    {
        ctx->hides = 0;
        return NGX_OK;
    }

    ctx->response->chunk = ngx_http_llm_chunk_create(r->pool, &u->free_bufs,
                                                     u->output.tag);

    return ctx->response->chunk ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_response_usage(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t             model;
    ngx_uint_t            kind, reads;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->headers_in.status_n < NGX_HTTP_OK
        || u->headers_in.status_n >= NGX_HTTP_SPECIAL_RESPONSE)
    {
        return NGX_OK;
    }

    if (ctx->try->lease.pool) {
        ngx_http_llm_route_model(ctx, &ctx->targets[ctx->target], &model);
        ngx_http_llm_binding_used(r, ctx, &ctx->try->lease, &model);
    }

    if (u->headers_in.content_type == NULL) {
        return NGX_OK;
    }

    reads = ngx_http_llm_bind_reads(r->method, &ctx->path, ctx->fields);
    kind = ngx_http_llm_usage_kind(&u->headers_in.content_type->value);

    if (reads == 0
        || kind == NGX_HTTP_LLM_USAGE_NONE
        || (kind == NGX_HTTP_LLM_USAGE_JSON
            && u->headers_in.content_length_n > NGX_HTTP_LLM_USAGE_SIZE))
    {
        return NGX_OK;
    }

    ctx->usage = ngx_http_llm_usage_create(r->pool, kind, reads);
    if (ctx->usage == NULL) {
        return NGX_ERROR;
    }

    if (kind == NGX_HTTP_LLM_USAGE_JSON) {
        ngx_http_llm_response_read(r, ctx);
    }

    return NGX_OK;
}


/*
 * An answer that is here as a whole is read at once, so that its head can tell
 * what it has cost.  Nothing waits for that.
 */

static void
ngx_http_llm_response_read(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    off_t                 size;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->headers_in.chunked) {

        if (ngx_http_llm_response_chunked(r, NULL) == NGX_OK) {
            (void) ngx_http_llm_response_chunked(r, ctx->usage);
            ctx->response->read = 1;
        }

        return;
    }

    size = u->headers_in.content_length_n;

    if (size > 0 && size <= u->buffer.last - u->buffer.pos) {
        ngx_http_llm_usage_feed(ctx->usage, u->buffer.pos, size);
        ctx->response->read = 1;
    }
}


/* NGX_DECLINED if the end is not there */

static ngx_int_t
ngx_http_llm_response_chunked(ngx_http_request_t *r,
    ngx_http_llm_usage_t *usage)
{
    size_t              size;
    ngx_buf_t           b;
    ngx_int_t           rc;
    ngx_http_chunked_t  chunked;

    b = r->upstream->buffer;

    ngx_memzero(&chunked, sizeof(ngx_http_chunked_t));

    for ( ;; ) {
        rc = ngx_http_llm_parse_chunked(r, &b, &chunked);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_DECLINED;
        }

        size = ngx_min(chunked.size, b.last - b.pos);

        if (usage) {
            ngx_http_llm_usage_feed(usage, b.pos, size);
        }

        b.pos += size;
        chunked.size -= size;
    }
}


/* an answer that is made bit by bit must not wait for a buffer to fill */

static ngx_uint_t
ngx_http_llm_response_streams(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t            *type;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (ctx->fields && ctx->fields->stream) {
        return 1;
    }

    if (u->headers_in.content_type == NULL) {
        return 0;
    }

    type = &u->headers_in.content_type->value;

    if (type->len >= sizeof("text/event-stream") - 1
        && ngx_strncasecmp(type->data, (u_char *) "text/event-stream",
                           sizeof("text/event-stream") - 1)
           == 0)
    {
        return 1;
    }

    if (type->len >= sizeof("application/x-ndjson") - 1
        && ngx_strncasecmp(type->data, (u_char *) "application/x-ndjson",
                           sizeof("application/x-ndjson") - 1)
           == 0)
    {
        return 1;
    }

    /* Gemini's stream without alt=sse is one JSON array */

    return ngx_strnstr(ctx->path.rest.data, ":streamGenerateContent",
                       ctx->path.rest.len)
           != NULL;
}


static void
ngx_http_llm_response_mask_headers(ngx_http_request_t *r, ngx_str_t *secret)
{
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    ngx_http_llm_headers_start(&headers, &r->upstream->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            break;
        }

        (void) ngx_http_llm_mask(NULL, secret, h->value.data,
                                 h->value.data + h->value.len);
    }
}


/*
 * The filters of the proxy take the framing off: what they add to their
 * output is looked at behind them, in place, before it is cached or sent.
 */

static ngx_int_t
ngx_http_llm_response_filter_init(void *data)
{
    ngx_http_request_t *r = data;

    ngx_int_t                 rc;
    ngx_http_upstream_t      *u;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_response_t  *response;

    u = r->upstream;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    response = ctx->response;

    rc = response->input_filter_init(data);

    response->input_filter = u->input_filter;
    u->input_filter = ngx_http_llm_response_filter;

    response->pipe_filter = u->pipe->input_filter;
    u->pipe->input_filter = ngx_http_llm_response_pipe_filter;

    return rc;
}


static ngx_int_t
ngx_http_llm_response_filter(void *data, ssize_t bytes)
{
    ngx_http_request_t *r = data;

    ngx_int_t                 rc;
    ngx_chain_t             **out;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_response_t  *response;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    response = ctx->response;

    for (out = &r->upstream->out_bufs; *out; out = &(*out)->next) {
        /* void */
    }

    rc = response->input_filter(data, bytes);

    ngx_http_llm_response_pass(ctx, *out);

    if (response->chunk
        && ngx_http_llm_chunk_filter(response->chunk, out) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_llm_response_pipe_filter(ngx_event_pipe_t *p, ngx_buf_t *buf)
{
    ngx_int_t                 rc;
    ngx_chain_t             **out;
    ngx_http_request_t       *r;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_response_t  *response;

    r = p->input_ctx;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    response = ctx->response;

    out = p->in ? p->last_in : &p->in;

    rc = response->pipe_filter(p, buf);

    ngx_http_llm_response_pass(ctx, *out);

    return rc;
}


static void
ngx_http_llm_response_pass(ngx_http_llm_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_buf_t                *b;
    ngx_http_llm_response_t  *response;

    response = ctx->response;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        (void) ngx_http_llm_mask(&response->mask, &response->secret, b->pos,
                                 b->last);

        if (ctx->usage && !response->read) {
            ngx_http_llm_usage_feed(ctx->usage, b->pos, b->last - b->pos);
        }
    }

    if (ctx->usage) {
        ngx_http_llm_response_learn(ctx);
    }
}


/* the client may use an id as soon as it has it, and at another worker */

static void
ngx_http_llm_response_learn(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_lease_t     *lease;
    ngx_http_llm_usage_t     *usage;
    ngx_http_llm_response_t  *response;

    usage = ctx->usage;
    lease = &ctx->try->lease;
    response = ctx->response;

    if (response->learned == usage->nids || lease->pool == NULL) {
        return;
    }

    ngx_http_llm_zone_learn(lease, usage->ids + response->learned,
                            usage->nids - response->learned);

    response->learned = usage->nids;
}


ngx_uint_t
ngx_http_llm_response_rest(ngx_http_llm_ctx_t *ctx, ngx_chain_t *in,
    ngx_chain_t *out)
{
    ngx_chain_t  *cl;

    if (ctx->response == NULL || ctx->response->chunk == NULL) {
        return 0;
    }

    for (cl = in; cl; cl = cl->next) {
        if (cl->buf->last_buf || cl->buf->last_in_chain) {
            break;
        }
    }

    if (cl == NULL) {
        return 0;
    }

    out->buf = ngx_http_llm_chunk_rest(ctx->response->chunk);
    out->next = in;

    return out->buf != NULL;
}
