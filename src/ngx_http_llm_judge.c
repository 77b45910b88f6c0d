
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_judge.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"
#include "ngx_http_llm_response.h"
#include "ngx_http_llm_try.h"


/* how long the rest of an error's body is waited for */

#define NGX_HTTP_LLM_JUDGE_WAIT  5000                                 /* ms */


struct ngx_http_llm_judge_s {
    ngx_int_t                 (*process_header)(ngx_http_request_t *r);
    ngx_int_t                 (*reinit_request)(ngx_http_request_t *r);

    /* of the try that runs */
    ngx_uint_t                  http_version;  /* of the client */
    ngx_uint_t                  status;        /* as the provider sent it */
    unsigned                    running:1;     /* not settled yet */
    unsigned                    head:1;        /* all headers are there */
    unsigned                    whole:1;       /* the body, too */
};


static ngx_int_t ngx_http_llm_judge_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_judge_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_judge_answer(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_judge_facts(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_judgement_t *judgement);
static ngx_int_t ngx_http_llm_judge_wait(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_uint_t ngx_http_llm_judge_whole(ngx_http_request_t *r);
static ngx_uint_t ngx_http_llm_judge_mask(ngx_http_request_t *r,
    ngx_uint_t *status);
static ngx_uint_t ngx_http_llm_judge_may_retry(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_uint_t mask);
static ngx_int_t ngx_http_llm_judge_final(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_uint_t verdict);
static ngx_uint_t ngx_http_llm_judge_is_json(ngx_http_request_t *r);


ngx_int_t
ngx_http_llm_judge_install(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_upstream_t   *u;
    ngx_http_llm_judge_t  *judge;

    judge = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_judge_t));
    if (judge == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;

    judge->process_header = u->process_header;
    judge->reinit_request = u->reinit_request;

    u->process_header = ngx_http_llm_judge_process_header;
    u->reinit_request = ngx_http_llm_judge_reinit_request;

    ctx->judge = judge;

    return NGX_OK;
}


void
ngx_http_llm_judge_start(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_judge_t  *judge;

    judge = ctx->judge;

    judge->http_version = r->http_version;
    judge->status = 0;
    judge->running = 1;
    judge->head = 0;
    judge->whole = 0;
}


/* the proxy module puts its own functions back here */

static ngx_int_t
ngx_http_llm_judge_reinit_request(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_http_llm_ctx_t    *ctx;
    ngx_http_llm_judge_t  *judge;

    u = r->upstream;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    judge = ctx->judge;

    rc = judge->reinit_request(r);

    judge->process_header = u->process_header;
    u->process_header = ngx_http_llm_judge_process_header;

    return rc;
}


static ngx_int_t
ngx_http_llm_judge_process_header(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_http_llm_ctx_t    *ctx;
    ngx_http_llm_judge_t  *judge;

    u = r->upstream;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);
    judge = ctx->judge;

    if (!judge->head) {
        u->process_header = judge->process_header;

        rc = u->process_header(r);

        /* it goes from the status line to the headers by itself */

        judge->process_header = u->process_header;
        u->process_header = ngx_http_llm_judge_process_header;

        if (rc != NGX_OK) {
            return rc;
        }
    }

    /* rc == NGX_OK */

#if (NGX_HTTP_CACHE)
    if (r->cached) {
        return NGX_OK;
    }
#endif

    if (u->headers_in.status_n == 0) {

        /* nginx takes what is no HTTP for an answer by HTTP/0.9 */

        r->http_version = judge->http_version;
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    judge->head = 1;
    judge->status = u->headers_in.status_n;

    return ngx_http_llm_judge_answer(r, ctx);
}


static ngx_int_t
ngx_http_llm_judge_answer(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_uint_t                 mask, status;
    ngx_http_upstream_t       *u;
    ngx_http_llm_judge_t      *judge;
    ngx_http_llm_judgement_t   judgement;

    u = r->upstream;
    judge = ctx->judge;

    ngx_http_llm_judge_facts(r, ctx, &judgement);

    if (judgement.verdict == NGX_HTTP_LLM_OK) {
        return ngx_http_llm_response_accept(r, ctx);
    }

    if (ngx_http_llm_judge_wait(r, ctx) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    ngx_http_llm_try_settle(r, ctx, &judgement, judge->status);

    judge->running = 0;

    status = judge->status;
    mask = ngx_http_llm_judge_mask(r, &status);

    if (u->peer.tries > 1
        && ngx_http_llm_judge_may_retry(r, ctx, mask)
        && (judge->status == NGX_HTTP_TOO_MANY_REQUESTS
            || !ngx_http_llm_judge_once(r, ctx))
        && ngx_http_llm_try_reserve(r, ctx) == NGX_OK)
    {
        if (judge->whole) {
            u->keepalive = !u->headers_in.connection_close;
        }

        u->headers_in.status_n = status;

        return NGX_OK;
    }

    /* nginx asks for the last time */

    u->peer.tries = 1;

    return ngx_http_llm_judge_final(r, ctx, judgement.verdict);
}


static void
ngx_http_llm_judge_facts(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_judgement_t *judgement)
{
    ngx_table_elt_t         *h;
    ngx_http_llm_facts_t     facts;
    ngx_http_llm_headers_t   headers;

    ngx_memzero(&facts, sizeof(ngx_http_llm_facts_t));

    facts.status = ctx->judge->status;

    if (facts.status >= NGX_HTTP_BAD_REQUEST) {

        ngx_http_llm_headers_start(&headers,
                                   &r->upstream->headers_in.headers);

        for ( ;; ) {
            h = ngx_http_llm_headers_next(&headers);

            if (h == NULL) {
                break;
            }

            if (ngx_http_llm_headers_is(h, "retry-after")) {
                facts.retry_after = &h->value;

            } else if (ngx_http_llm_headers_is(h, "retry-after-ms")) {
                facts.retry_after_ms = &h->value;
            }
        }
    }

    ngx_http_llm_verdict(&facts, ngx_time(), judgement);
}


/*
 * Waits for the whole body of an error, so that the connection can be used
 * again.  The answer is not held back for long, and never if its end cannot
 * be seen: without a length the end of the connection is one.
 */

static ngx_int_t
ngx_http_llm_judge_wait(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_connection_t      *c;
    ngx_http_upstream_t   *u;
    ngx_http_llm_judge_t  *judge;

    u = r->upstream;
    judge = ctx->judge;

    if (r->method == NGX_HTTP_HEAD
        || (!u->headers_in.chunked && u->headers_in.content_length_n <= 0))
    {
        judge->whole = u->keepalive;
        return NGX_OK;
    }

    if (ngx_http_llm_judge_whole(r)) {
        judge->whole = 1;
        return NGX_OK;
    }

    if (u->buffer.last == u->buffer.end) {
        return NGX_OK;
    }

    c = u->peer.connection;

    ngx_add_timer(c->read, ngx_min(u->conf->read_timeout,
                                   NGX_HTTP_LLM_JUDGE_WAIT));

    return NGX_AGAIN;
}


static ngx_uint_t
ngx_http_llm_judge_whole(ngx_http_request_t *r)
{
    size_t                size;
    ngx_buf_t             b;
    ngx_int_t             rc;
    ngx_http_chunked_t    chunked;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (!u->headers_in.chunked) {
        return u->buffer.last - u->buffer.pos
               >= u->headers_in.content_length_n;
    }

    b = u->buffer;
    ngx_memzero(&chunked, sizeof(ngx_http_chunked_t));

    for ( ;; ) {
        rc = ngx_http_llm_parse_chunked(r, &b, &chunked);

        if (rc != NGX_OK) {
            return rc == NGX_DONE;
        }

        size = ngx_min(chunked.size, b.last - b.pos);

        b.pos += size;
        chunked.size -= size;
    }
}


/*
 * The bit of proxy_next_upstream for a status.  Statuses that nginx has no
 * name for are given to it as one that the configuration lets it retry.
 */

static ngx_uint_t
ngx_http_llm_judge_mask(ngx_http_request_t *r, ngx_uint_t *status)
{
    ngx_uint_t                  i;
    ngx_http_upstream_conf_t   *conf;

    static struct {
        ngx_uint_t  status;
        ngx_uint_t  mask;
    } named[] = {
        { 503, NGX_HTTP_UPSTREAM_FT_HTTP_503 },
        { 429, NGX_HTTP_UPSTREAM_FT_HTTP_429 },
        { 500, NGX_HTTP_UPSTREAM_FT_HTTP_500 },
        { 502, NGX_HTTP_UPSTREAM_FT_HTTP_502 },
        { 504, NGX_HTTP_UPSTREAM_FT_HTTP_504 },
        { 0,   0 }
    };

    conf = r->upstream->conf;

    for (i = 0; named[i].status; i++) {
        if (named[i].status == *status) {
            return named[i].mask;
        }
    }

    for (i = 0; named[i].status; i++) {
        if (conf->next_upstream & named[i].mask) {
            *status = named[i].status;
            return named[i].mask;
        }
    }

    return 0;
}


/* what nginx asks itself before it goes on, the number of tries left aside */

static ngx_uint_t
ngx_http_llm_judge_may_retry(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t mask)
{
    ngx_msec_t            timeout;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->request_sent
        && (r->method & (NGX_HTTP_POST|NGX_HTTP_LOCK|NGX_HTTP_PATCH)))
    {
        mask |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
    }

    timeout = u->conf->next_upstream_timeout;

    return mask
           && (u->conf->next_upstream & mask) == mask
           && !(u->request_sent && r->request_body_no_buffering)
           && !(timeout && ngx_current_msec - u->peer.start_time >= timeout);
}


ngx_uint_t
ngx_http_llm_judge_once(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    return !ctx->path.inference
           && (r->method & (NGX_HTTP_POST|NGX_HTTP_LOCK|NGX_HTTP_PATCH));
}


ngx_uint_t
ngx_http_llm_judge_status(ngx_http_llm_ctx_t *ctx)
{
    return ctx->judge->status;
}


/* the answer that the client gets, as the provider gave it or ours instead */

static ngx_int_t
ngx_http_llm_judge_final(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t verdict)
{
    ngx_http_llm_try_t  *try;

    try = ctx->try;

    if (verdict == NGX_HTTP_LLM_FINISHED) {
        (void) ngx_http_llm_try_refused(r, ctx);
        ctx->replace = 1;

    } else if (ctx->judge->status >= NGX_HTTP_INTERNAL_SERVER_ERROR
               && !ngx_http_llm_judge_is_json(r))
    {
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                                  "server_error", "provider_error",
                                  "The provider \"%V\" failed with status "
                                  "%ui.", &try->upstream->name,
                                  ctx->judge->status);
        ctx->replace = 1;
    }

    return ngx_http_llm_response_accept(r, ctx);
}


static ngx_uint_t
ngx_http_llm_judge_is_json(ngx_http_request_t *r)
{
    ngx_str_t        *type;
    ngx_table_elt_t  *h;

    h = r->upstream->headers_in.content_type;

    if (h == NULL) {
        return 0;
    }

    type = &h->value;

    return type->len >= 4
           && ngx_strlcasestrn(type->data, type->data + type->len,
                               (u_char *) "json", 4 - 1)
              != NULL;
}


ngx_uint_t
ngx_http_llm_judge_end(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t state)
{
    ngx_uint_t                 mask, timedout;
    ngx_connection_t          *c;
    ngx_http_upstream_t       *u;
    ngx_http_llm_judge_t      *judge;
    ngx_http_llm_judgement_t   judgement;

    u = r->upstream;
    judge = ctx->judge;

    if (!judge->running) {
        return 0;
    }

    judge->running = 0;

    if (!(state & NGX_PEER_FAILED)) {

        /* an answer was passed on, or nobody waits for one any more */

        ngx_memzero(&judgement, sizeof(ngx_http_llm_judgement_t));
        ngx_http_llm_try_settle(r, ctx, &judgement, judge->status);

        return state;
    }

    c = u->peer.connection;
    timedout = c && (c->read->timedout || c->write->timedout);

    mask = timedout ? NGX_HTTP_UPSTREAM_FT_TIMEOUT
                    : NGX_HTTP_UPSTREAM_FT_ERROR;

    if (u->peer.cached && !timedout && u->state->bytes_received == 0) {

        /* it died while it was idle: that says nothing about the key */

        if (ngx_http_llm_judge_may_retry(r, ctx, mask)) {
            ngx_http_llm_try_repeat(ctx);
            return state;
        }
    }

    if (!u->request_sent
        && ngx_http_llm_judge_may_retry(r, ctx, mask)
        && ngx_http_llm_try_unreached(ctx) == NGX_OK)
    {
        return state;
    }

    /* a head without the rest of its body is judged by what is known */

    ngx_http_llm_judge_facts(r, ctx, &judgement);

    if (judgement.verdict == NGX_HTTP_LLM_OK) {
        judgement.verdict = NGX_HTTP_LLM_ILL;
    }

    ngx_http_llm_try_settle(r, ctx, &judgement, judge->status);

    if (timedout && u->request_body_sent && !judge->head) {

        /* the answer was probably made, and billed */

        return state;
    }

    if (u->peer.tries > 1
        && ngx_http_llm_judge_may_retry(r, ctx, mask)
        && !(u->request_sent && ngx_http_llm_judge_once(r, ctx)))
    {
        (void) ngx_http_llm_try_reserve(r, ctx);
    }

    return judge->head ? 0 : state;
}
