
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_judge.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"
#include "ngx_http_llm_hold.h"
#include "ngx_http_llm_queue.h"
#include "ngx_http_llm_response.h"
#include "ngx_http_llm_try.h"


/* how long the rest of an error's body is waited for */

#define NGX_HTTP_LLM_JUDGE_WAIT    5000                               /* ms */

/* a longer answer with 200 is not an error */

#define NGX_HTTP_LLM_JUDGE_RESULT  4096


/* what the log shows of a header's value */

#define NGX_HTTP_LLM_JUDGE_SHOWN   32


struct ngx_http_llm_judge_s {
    ngx_int_t                 (*process_header)(ngx_http_request_t *r);
    ngx_int_t                 (*reinit_request)(ngx_http_request_t *r);

    /* of the try that runs */
    ngx_uint_t                  http_version;  /* of the client */
    ngx_uint_t                  status;        /* as the provider sent it */
    ngx_http_llm_facts_t        facts;
    ngx_http_llm_complaint_t    complaint;
    ngx_str_t                   body;          /* its beginning, decoded */
    unsigned                    running:1;     /* not settled yet */
    unsigned                    reported:1;    /* but what its head says */
    unsigned                    head:1;        /* all headers are there */
    unsigned                    whole:1;       /* the body, too */

    /* after its last verdict */
    ngx_http_llm_judgement_t    judgement;
    ngx_uint_t                  next_status;   /* for nginx to retry */
    unsigned                    waiting:1;     /* for a key */
    unsigned                    waited:1;      /* and got one, or did not */
};


static ngx_int_t ngx_http_llm_judge_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_judge_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_judge_answer(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_judge_go_on(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_judge_facts(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_judge_doubt(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_llm_judge_error(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_judge_result(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_judge_event(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_judge_complain(ngx_http_request_t *r,
    ngx_http_llm_judge_t *judge, ngx_str_t *text, ngx_uint_t error);
static ngx_uint_t ngx_http_llm_judge_readable(ngx_http_request_t *r);
static ngx_uint_t ngx_http_llm_judge_http1(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_judge_wait(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_judge_waited(ngx_http_request_t *r, ngx_int_t rc);
static ngx_int_t ngx_http_llm_judge_read(ngx_http_request_t *r,
    ngx_http_llm_judge_t *judge);
static void ngx_http_llm_judge_append(ngx_http_llm_judge_t *judge,
    u_char *data, size_t len);
static ngx_uint_t ngx_http_llm_judge_mask(ngx_http_request_t *r,
    ngx_uint_t *status);
static ngx_uint_t ngx_http_llm_judge_may_retry(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_uint_t mask);
static ngx_int_t ngx_http_llm_judge_final(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_judgement_t *judgement);
static ngx_uint_t ngx_http_llm_judge_is(ngx_http_request_t *r,
    const char *word);
static uint64_t ngx_http_llm_judge_now(void);


ngx_int_t
ngx_http_llm_judge_install(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_upstream_t   *u;
    ngx_http_llm_judge_t  *judge;

    judge = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_judge_t));
    if (judge == NULL) {
        return NGX_ERROR;
    }

    ctx->hold = ngx_http_llm_hold_create(r);
    if (ctx->hold == NULL) {
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

    ngx_memzero(&judge->facts, sizeof(ngx_http_llm_facts_t));

    judge->facts.provider = ctx->try->upstream->provider;

    judge->http_version = r->http_version;
    judge->status = 0;
    judge->body.len = 0;
    ngx_http_llm_hold_start(ctx->hold);

    judge->running = 1;
    judge->waited = 0;
    judge->reported = 0;
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

    if (!judge->head) {
        judge->head = 1;
        judge->status = u->headers_in.status_n;

        ngx_http_llm_judge_facts(r, ctx);
    }

    return ngx_http_llm_judge_answer(r, ctx);
}


static ngx_int_t
ngx_http_llm_judge_answer(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_uint_t                 mask, status;
    ngx_http_upstream_t       *u;
    ngx_http_llm_judge_t      *judge;
    ngx_http_llm_judgement_t   judgement;

    u = r->upstream;
    judge = ctx->judge;

    if (judge->waited) {
        return ngx_http_llm_judge_go_on(r, ctx);
    }

    if (judge->status >= NGX_HTTP_BAD_REQUEST) {
        rc = ngx_http_llm_judge_error(r, ctx);

    } else if (ngx_http_llm_judge_is(r, "text/event-stream")) {
        rc = ngx_http_llm_judge_event(r, ctx);

    } else {
        rc = ngx_http_llm_judge_result(r, ctx);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_llm_hold_stop(ctx->hold);

    ngx_http_llm_verdict(&judge->facts, ngx_http_llm_judge_now(), &judgement);

    if (judgement.verdict == NGX_HTTP_LLM_OK) {

        ctx->try->lease.stream = ngx_http_llm_judge_is(r, "text/event-stream");

        ngx_http_llm_try_report(r, ctx, &judgement, judge->status);

        judge->reported = 1;

        /* no proxy_next_upstream must take it for more than it is */

        u->peer.tries = 1;

        return ngx_http_llm_judge_final(r, ctx, &judgement);
    }

    ngx_http_llm_try_settle(r, ctx, &judgement, judge->facts.status);

    judge->running = 0;

    status = judge->facts.status;
    mask = ngx_http_llm_judge_mask(r, &status);

    if (u->peer.tries > 1
        && ngx_http_llm_judge_may_retry(r, ctx, mask)
        && (judge->facts.status == NGX_HTTP_TOO_MANY_REQUESTS
            || !ngx_http_llm_judge_once(r, ctx)))
    {
        judge->judgement = judgement;
        judge->next_status = status;

        rc = ngx_http_llm_try_reserve(r, ctx);

        if (rc == NGX_BUSY && judgement.verdict == NGX_HTTP_LLM_WAIT) {
            rc = ngx_http_llm_judge_wait(r, ctx);
        }

        if (rc == NGX_OK) {
            if (judge->whole) {
                u->keepalive = !u->headers_in.connection_close;
            }

            u->headers_in.status_n = status;

            return NGX_OK;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }
    }

    /* nginx asks for the last time */

    u->peer.tries = 1;

    return ngx_http_llm_judge_final(r, ctx, &judgement);
}


/*
 * Keeps the answer while the request waits for a key, since it is the client's
 * if none comes.  NGX_AGAIN, or an error when it does not wait.
 */

static ngx_int_t
ngx_http_llm_judge_wait(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_llm_queue_wait(r, ctx, ngx_http_llm_judge_waited);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->judge->waiting = 1;

    ngx_http_llm_hold_deafen(r, ctx->hold);

    return NGX_AGAIN;
}


static void
ngx_http_llm_judge_waited(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    ctx->judge->waiting = 0;
    ctx->judge->waited = 1;

    ngx_http_llm_hold_wake(r, ctx->hold);
}


static ngx_int_t
ngx_http_llm_judge_go_on(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_upstream_t   *u;
    ngx_http_llm_judge_t  *judge;

    u = r->upstream;
    judge = ctx->judge;

    if (ctx->try->reserved) {
        u->headers_in.status_n = judge->next_status;
        return NGX_OK;
    }

    u->peer.tries = 1;

    return ngx_http_llm_judge_final(r, ctx, &judge->judgement);
}


static void
ngx_http_llm_judge_facts(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    uint64_t                 now;
    ngx_str_t                name, doubted, *value, **hint;
    ngx_uint_t               i;
    const char              *known;
    ngx_table_elt_t         *h;
    ngx_http_llm_facts_t    *facts;
    ngx_http_llm_headers_t   headers;

    static struct {
        const char  *name;
        size_t       offset;
    } hints[] = {
        { "retry-after", offsetof(ngx_http_llm_facts_t, retry_after) },
        { "retry-after-ms", offsetof(ngx_http_llm_facts_t, retry_after_ms) },
        { "x-ms-retry-after-ms",
          offsetof(ngx_http_llm_facts_t, x_ms_retry_after_ms) },
        { "x-should-retry", offsetof(ngx_http_llm_facts_t, x_should_retry) },
        { NULL, 0 }
    };

    facts = &ctx->judge->facts;
    facts->status = ctx->judge->status;
    facts->modelless = (ctx->try->lease.model == 0);

    now = ngx_http_llm_judge_now();
    value = NULL;
    ngx_str_null(&doubted);

    ngx_http_llm_headers_start(&headers, &r->upstream->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            break;
        }

        for (i = 0; hints[i].name; i++) {
            hint = (ngx_str_t **) ((char *) facts + hints[i].offset);

            if (*hint == NULL && ngx_http_llm_headers_is(h, hints[i].name)) {
                *hint = &h->value;
            }
        }

        name.data = h->lowcase_key;
        name.len = h->key.len;

        if (ngx_http_llm_told_header(&facts->told, facts->provider, &name,
                                     &h->value, now)
            != NGX_OK
            && value == NULL)
        {
            doubted = name;
            value = &h->value;
        }
    }

    if (value == NULL) {
        value = ngx_http_llm_verdict_doubted(facts, now, &known);

        if (value == NULL) {
            return;
        }

        doubted.data = (u_char *) known;
        doubted.len = ngx_strlen(known);
    }

    ngx_http_llm_judge_doubt(r, ctx, &doubted, value);
}


/* the value is the provider's, so it could be anything, even the key */

static void
ngx_http_llm_judge_doubt(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value)
{
    u_char      text[NGX_HTTP_LLM_JUDGE_SHOWN];
    size_t      i, len;
    ngx_str_t  *secret;

    secret = &ctx->try->secret;

    if (secret->len
        && ngx_strlcasestrn(value->data, value->data + value->len,
                            secret->data, secret->len - 1)
           != NULL)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "upstream \"%V\" sent \"%V\" with a value that cannot "
                      "be and is not shown", &ctx->try->upstream->name, name);
        return;
    }

    len = ngx_min(value->len, NGX_HTTP_LLM_JUDGE_SHOWN);

    for (i = 0; i < len; i++) {
        text[i] = (value->data[i] >= ' ' && value->data[i] <= '~')
                  ? value->data[i] : '?';
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "upstream \"%V\" sent \"%V: %*s\", which cannot be and is "
                  "ignored", &ctx->try->upstream->name, name, len, text);
}


/*
 * Waits for the whole body of an error, to read it and to use the connection
 * again.  The answer is not held back for long, and never if its end cannot
 * be seen: without a length the end of the connection is one.
 */

static ngx_int_t
ngx_http_llm_judge_error(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_upstream_t   *u;
    ngx_http_llm_judge_t  *judge;

    judge = ctx->judge;

    u = r->upstream;

    if (r->method == NGX_HTTP_HEAD
        || (!u->headers_in.chunked && u->headers_in.content_length_n == 0))
    {
        judge->whole = u->keepalive;
        return NGX_OK;
    }

    if (!ngx_http_llm_judge_http1(r)) {
        return NGX_OK;
    }

    if (ngx_http_llm_judge_read(r, judge) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!judge->whole
        && (u->headers_in.chunked || u->headers_in.content_length_n > 0)
        && ngx_http_llm_hold(r, ctx->hold,
                              NGX_HTTP_LLM_JUDGE_WAIT) == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    judge->facts.complaint = &judge->complaint;

    return ngx_http_llm_complaint_read(&judge->complaint, r->pool,
                                       &judge->body, ngx_http_llm_judge_now());
}


/* MiniMax says in a small document of status 200 what was wrong */

static ngx_int_t
ngx_http_llm_judge_result(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t              name;
    ngx_http_upstream_t   *u;
    ngx_http_llm_judge_t  *judge;

    judge = ctx->judge;

    u = r->upstream;

    ngx_str_set(&name, "minimax");

    if (!ngx_http_llm_catalog_named(judge->facts.provider, &name)
        || !ngx_http_llm_judge_readable(r)
        || !ngx_http_llm_judge_is(r, "json")
        || u->headers_in.content_length_n > NGX_HTTP_LLM_JUDGE_RESULT)
    {
        return NGX_OK;
    }

    if (ngx_http_llm_judge_read(r, judge) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!judge->whole) {

        if (judge->body.len > NGX_HTTP_LLM_JUDGE_RESULT) {
            return NGX_OK;
        }

        return ngx_http_llm_hold(r, ctx->hold,
                              NGX_HTTP_LLM_JUDGE_WAIT);
    }

    return ngx_http_llm_judge_complain(r, judge, &judge->body, 0);
}


/* the first event of a stream may be an error */

static ngx_int_t
ngx_http_llm_judge_event(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_str_t              data;
    ngx_uint_t             named;
    ngx_http_llm_judge_t  *judge;

    judge = ctx->judge;

    if (!ngx_http_llm_judge_readable(r)) {
        return NGX_OK;
    }

    if (ngx_http_llm_judge_read(r, judge) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_llm_complaint_event(&judge->body, judge->whole, &data,
                                      &named);

    if (rc == NGX_OK) {
        return ngx_http_llm_judge_complain(r, judge, &data, named);
    }

    if (rc == NGX_DECLINED
        || judge->body.len == NGX_HTTP_LLM_COMPLAINT_BODY
        || r->upstream->buffer.last == r->upstream->buffer.end)
    {
        return NGX_OK;
    }

    /* rc == NGX_AGAIN: it takes as long as an answer may take */

    ngx_http_llm_hold_event(r, ctx->hold);

    return NGX_AGAIN;
}


/* gives an error the status that it should have had */

static ngx_int_t
ngx_http_llm_judge_complain(ngx_http_request_t *r, ngx_http_llm_judge_t *judge,
    ngx_str_t *text, ngx_uint_t error)
{
    ngx_http_llm_complaint_t  *complaint;

    complaint = &judge->complaint;

    if (ngx_http_llm_complaint_read(complaint, r->pool, text,
                                    ngx_http_llm_judge_now())
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (error || complaint->error) {
        judge->facts.event = 1;
        judge->facts.complaint = complaint;
        judge->facts.status = ngx_http_llm_verdict_status(complaint);
    }

    return NGX_OK;
}


/* whether there is a body that can be looked at before it is passed on */

static ngx_uint_t
ngx_http_llm_judge_readable(ngx_http_request_t *r)
{
    ngx_table_elt_t         *h;
    ngx_http_upstream_t     *u;
    ngx_http_llm_headers_t   headers;

    u = r->upstream;

    if (u->headers_in.status_n != NGX_HTTP_OK
        || r->method == NGX_HTTP_HEAD
        || (!u->headers_in.chunked && u->headers_in.content_length_n <= 0)
        || !ngx_http_llm_judge_http1(r))
    {
        return 0;
    }

    ngx_http_llm_headers_start(&headers, &u->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            return 1;
        }

        if (ngx_http_llm_headers_is(h, "content-encoding")) {
            return 0;
        }
    }
}


/* an answer by HTTP/2 is in frames, which are left to nginx */

static ngx_uint_t
ngx_http_llm_judge_http1(ngx_http_request_t *r)
{
    u_char               *p;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    p = u->buffer.start;

#if (NGX_HTTP_CACHE)
    if (r->cache) {
        p += r->cache->header_start;
    }
#endif

    return u->buffer.pos - p >= 5 && ngx_strncmp(p, "HTTP/", 5) == 0;
}


/* copies the beginning of the body, and finds out whether all of it is here */

static ngx_int_t
ngx_http_llm_judge_read(ngx_http_request_t *r, ngx_http_llm_judge_t *judge)
{
    size_t                size;
    ngx_buf_t             b;
    ngx_int_t             rc;
    ngx_http_chunked_t    chunked;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (judge->body.data == NULL) {
        judge->body.data = ngx_pnalloc(r->pool, NGX_HTTP_LLM_COMPLAINT_BODY);
        if (judge->body.data == NULL) {
            return NGX_ERROR;
        }
    }

    judge->body.len = 0;

    b = u->buffer;

    if (!u->headers_in.chunked) {
        size = b.last - b.pos;

        judge->whole = (u->headers_in.content_length_n >= 0
                        && (off_t) size >= u->headers_in.content_length_n);

        ngx_http_llm_judge_append(judge, b.pos, size);

        return NGX_OK;
    }

    ngx_memzero(&chunked, sizeof(ngx_http_chunked_t));

    for ( ;; ) {
        rc = ngx_http_llm_parse_chunked(r, &b, &chunked);

        if (rc != NGX_OK) {
            judge->whole = (rc == NGX_DONE);
            return NGX_OK;
        }

        size = ngx_min(chunked.size, b.last - b.pos);

        ngx_http_llm_judge_append(judge, b.pos, size);

        b.pos += size;
        chunked.size -= size;
    }
}


static void
ngx_http_llm_judge_append(ngx_http_llm_judge_t *judge, u_char *data,
    size_t len)
{
    len = ngx_min(len, NGX_HTTP_LLM_COMPLAINT_BODY - judge->body.len);

    ngx_memcpy(judge->body.data + judge->body.len, data, len);
    judge->body.len += len;
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
    ngx_http_llm_judgement_t *judgement)
{
    ngx_http_llm_try_t  *try;

    try = ctx->try;

    if (judgement->verdict != NGX_HTTP_LLM_OK) {
        try->failed = try->upstream;
    }

    /* what is about the model is for who asked for it */

    if (judgement->verdict == NGX_HTTP_LLM_FINISHED
        && judgement->scope != NGX_HTTP_LLM_SCOPE_MODEL)
    {
        (void) ngx_http_llm_try_refused(r, ctx);
        ctx->replace = 1;

    } else if (ctx->judge->status >= NGX_HTTP_INTERNAL_SERVER_ERROR
               && !ngx_http_llm_judge_is(r, "json"))
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


/* whether the media type has a word in it */

static ngx_uint_t
ngx_http_llm_judge_is(ngx_http_request_t *r, const char *word)
{
    size_t            len;
    ngx_str_t        *value;
    ngx_table_elt_t  *h;

    h = r->upstream->headers_in.content_type;

    if (h == NULL) {
        return 0;
    }

    value = &h->value;
    len = ngx_strlen(word);

    return value->len >= len
           && ngx_strlcasestrn(value->data, value->data + value->len,
                               (u_char *) word, len - 1)
              != NULL;
}


static uint64_t
ngx_http_llm_judge_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
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

    if (judge->waiting) {

        /* the client is gone */

        judge->waiting = 0;
        ngx_http_llm_queue_leave(ctx);
        ngx_http_llm_hold_hear(r, ctx->hold);
    }

    if (!judge->running) {
        return 0;
    }

    judge->running = 0;

    ngx_http_llm_hold_stop(ctx->hold);

    if (!(state & NGX_PEER_FAILED)) {

        /* an answer was passed on, or nobody waits for one any more */

        ngx_http_llm_try_end(ctx);

        return state;
    }

    if (judge->reported) {

        /* it broke off in the middle, when it could not be repeated */

        judge->facts.status = 0;
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

    if (judge->body.len
        && judge->status >= NGX_HTTP_BAD_REQUEST
        && ngx_http_llm_complaint_read(&judge->complaint, r->pool,
                                       &judge->body, ngx_http_llm_judge_now())
           == NGX_OK)
    {
        judge->facts.complaint = &judge->complaint;
    }

    ngx_http_llm_verdict(&judge->facts, ngx_http_llm_judge_now(), &judgement);

    if (judgement.verdict == NGX_HTTP_LLM_OK) {
        judgement.verdict = NGX_HTTP_LLM_ILL;
    }

    ngx_http_llm_try_settle(r, ctx, &judgement, judge->status);

    if (timedout && u->request_body_sent
        && judge->status < NGX_HTTP_BAD_REQUEST)
    {

        /* the answer was probably made, and billed */

        ctx->try->failed = ctx->try->upstream;

        return state;
    }

    if (u->peer.tries > 1
        && ngx_http_llm_judge_may_retry(r, ctx, mask)
        && !(u->request_sent && ngx_http_llm_judge_once(r, ctx)))
    {
        (void) ngx_http_llm_try_reserve(r, ctx);
    }

    if (!ctx->try->reserved) {
        ctx->try->failed = ctx->try->upstream;
    }

    return judge->head ? 0 : state;
}
