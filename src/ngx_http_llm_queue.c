
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_queue.h"
#include "ngx_http_llm_ticket.h"
#include "ngx_http_llm_try.h"


/* how often those who are next ask for a key */

#define NGX_HTTP_LLM_QUEUE_TICK    10                                 /* ms */

/* what the first one was refused is not asked for again */

#define NGX_HTTP_LLM_QUEUE_REFUSED  16


struct ngx_http_llm_waiter_s {
    ngx_queue_t                queue;
    ngx_http_request_t        *request;
    ngx_http_llm_ctx_t        *ctx;
    ngx_http_llm_pool_t       *pool;
    ngx_http_llm_ticket_t     *ticket;     /* NULL: it does not wait */
    ngx_msec_t                 deadline;   /* of all its waiting */
    ngx_msec_t                 since;      /* of this one */
    ngx_http_llm_queue_pt      handler;
};


typedef struct {
    ngx_http_llm_pool_t       *pool;
    uint64_t                   what;
} ngx_http_llm_queue_refused_t;


static ngx_http_llm_waiter_t *ngx_http_llm_queue_waiter(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_queue_cleanup(void *data);
static ngx_uint_t ngx_http_llm_queue_hopes(ngx_http_llm_busy_t *busy,
    ngx_msec_t left);
static void ngx_http_llm_queue_tick(ngx_event_t *ev);
static ngx_uint_t ngx_http_llm_queue_asked(ngx_http_llm_waiter_t *waiter,
    ngx_http_llm_queue_refused_t *refused, ngx_uint_t n);
static ngx_int_t ngx_http_llm_queue_ask(ngx_http_llm_waiter_t *waiter);


/* of this process */

static ngx_queue_t  ngx_http_llm_queue_waiters;
static ngx_event_t  ngx_http_llm_queue_event;
static ngx_uint_t   ngx_http_llm_queue_ready;


ngx_int_t
ngx_http_llm_queue_wait(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_queue_pt handler)
{
    ngx_event_t              *ev;
    ngx_http_llm_busy_t       busy;
    ngx_http_llm_waiter_t    *waiter;
    ngx_http_llm_upstream_t  *upstream;

    upstream = ctx->targets[0].upstream;

    if (upstream->queue_number == 0 || r != r->main) {
        return NGX_DECLINED;
    }

    waiter = ctx->waiter;

    if (waiter == NULL) {
        waiter = ngx_http_llm_queue_waiter(r, ctx);
        if (waiter == NULL) {
            return NGX_ERROR;
        }

        waiter->deadline = ngx_current_msec + upstream->queue_time;
        waiter->pool = &upstream->pool;
    }

    if ((ngx_msec_int_t) (waiter->deadline - ngx_current_msec) <= 0) {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_try_explain(r, ctx, &busy) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_http_llm_queue_hopes(&busy,
                                  waiter->deadline - ngx_current_msec))
    {
        return NGX_DECLINED;
    }

    waiter->ticket = ngx_http_llm_ticket_take(waiter->pool,
                                              &ctx->try->ask,
                                              upstream->queue_number);
    if (waiter->ticket == NULL) {
        return NGX_DECLINED;
    }

    waiter->handler = handler;
    waiter->since = ngx_current_msec;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm waits for a key, %M ms at most",
                   waiter->deadline - ngx_current_msec);

    ev = &ngx_http_llm_queue_event;

    if (!ngx_http_llm_queue_ready) {
        ngx_queue_init(&ngx_http_llm_queue_waiters);

        ev->handler = ngx_http_llm_queue_tick;
        ev->data = &ngx_http_llm_queue_waiters;

        ngx_http_llm_queue_ready = 1;
    }

    ngx_queue_insert_tail(&ngx_http_llm_queue_waiters, &waiter->queue);

    if (!ev->timer_set) {
        ev->log = ngx_cycle->log;
        ngx_add_timer(ev, NGX_HTTP_LLM_QUEUE_TICK);
    }

    return NGX_OK;
}


static ngx_http_llm_waiter_t *
ngx_http_llm_queue_waiter(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_llm_waiter_t  *waiter;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_llm_waiter_t));
    if (cln == NULL) {
        return NULL;
    }

    waiter = cln->data;

    ngx_memzero(waiter, sizeof(ngx_http_llm_waiter_t));

    waiter->request = r;
    waiter->ctx = ctx;

    cln->handler = ngx_http_llm_queue_cleanup;

    ctx->waiter = waiter;

    return waiter;
}


static void
ngx_http_llm_queue_cleanup(void *data)
{
    ngx_http_llm_waiter_t *waiter = data;

    ngx_http_llm_queue_leave(waiter->ctx);
}


void
ngx_http_llm_queue_leave(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_waiter_t  *waiter;

    waiter = ctx->waiter;

    if (waiter == NULL || waiter->ticket == NULL) {
        return;
    }

    ngx_http_llm_ticket_return(waiter->pool, waiter->ticket);

    ctx->queued += ngx_current_msec - waiter->since;

    waiter->ticket = NULL;

    ngx_queue_remove(&waiter->queue);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, waiter->request->connection->log, 0,
                   "llm waits no more");
}


ngx_msec_t
ngx_http_llm_queue_waited(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_waiter_t  *waiter;

    waiter = ctx->waiter;

    return (waiter && waiter->ticket)
           ? ctx->queued + ngx_current_msec - waiter->since : ctx->queued;
}


/* whether a key may come in time: what was refused is no reason to wait */

static ngx_uint_t
ngx_http_llm_queue_hopes(ngx_http_llm_busy_t *busy, ngx_msec_t left)
{
    if (busy->full || busy->usable) {
        return 1;
    }

    return (busy->cooling || busy->limited) && busy->retry <= left;
}


ngx_uint_t
ngx_http_llm_queue_busy(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_upstream_t  *upstream;

    upstream = ctx->targets[0].upstream;

    return upstream->queue_number
           && ngx_http_llm_ticket_waits(&upstream->pool, &ctx->try->ask);
}


static void
ngx_http_llm_queue_tick(ngx_event_t *ev)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    ngx_queue_t                  now, *q, *waiters;
    ngx_http_llm_waiter_t       *waiter;
    ngx_http_llm_queue_refused_t   refused[NGX_HTTP_LLM_QUEUE_REFUSED];

    waiters = ev->data;

    if (ngx_queue_empty(waiters)) {
        return;
    }

    /* who goes on may end others, which then leave this queue or that one */

    ngx_queue_init(&now);
    ngx_queue_add(&now, waiters);
    ngx_queue_init(waiters);

    n = 0;

    while (!ngx_queue_empty(&now)) {
        q = ngx_queue_head(&now);
        waiter = ngx_queue_data(q, ngx_http_llm_waiter_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(waiters, q);

        if ((ngx_msec_int_t) (waiter->deadline - ngx_current_msec) <= 0) {

            /* who waited for its home takes another key in the end */

            rc = ngx_http_llm_try_again(waiter->request, waiter->ctx,
                                        NGX_HTTP_LLM_PATIENT);

        } else if (ngx_http_llm_queue_asked(waiter, refused, n)) {
            continue;

        } else {
            rc = ngx_http_llm_queue_ask(waiter);

            if (rc == NGX_BUSY) {

                if (n < NGX_HTTP_LLM_QUEUE_REFUSED) {
                    refused[n].pool = waiter->pool;
                    refused[n++].what = waiter->ticket->what;
                }

                continue;
            }
        }

        ngx_http_llm_queue_leave(waiter->ctx);

        waiter->handler(waiter->request, rc);
    }

    if (!ngx_queue_empty(waiters) && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_LLM_QUEUE_TICK);
    }
}


static ngx_uint_t
ngx_http_llm_queue_asked(ngx_http_llm_waiter_t *waiter,
    ngx_http_llm_queue_refused_t *refused, ngx_uint_t n)
{
    while (n--) {
        if (refused[n].pool == waiter->pool
            && refused[n].what == waiter->ticket->what)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_llm_queue_ask(ngx_http_llm_waiter_t *waiter)
{
    if (!ngx_http_llm_ticket_first(waiter->pool, waiter->ticket)) {
        return NGX_BUSY;
    }

    return ngx_http_llm_try_again(waiter->request, waiter->ctx,
                                  NGX_HTTP_LLM_FAITHFUL);
}


char *
ngx_http_llm_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_srv_conf_t *lscf = conf;

    ngx_int_t                 number;
    ngx_str_t                *value;
    ngx_msec_t                time;
    ngx_http_llm_upstream_t  *upstream;

    upstream = lscf->upstream;

    if (upstream == NULL) {
        return "must come behind \"llm_provider\"";
    }

    if (upstream->queued) {
        return "is duplicate";
    }

    upstream->queued = 1;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") == 0) {
            return NGX_CONF_OK;
        }

        return "needs a time and a number, or \"off\"";
    }

    time = ngx_parse_time(&value[1], 0);

    if (time == (ngx_msec_t) NGX_ERROR || time == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    number = ngx_atoi(value[2].data, value[2].len);

    if (number < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid number \"%V\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    upstream->queue_time = time;
    upstream->queue_number = number;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_llm_queue_parse(ngx_str_t *text, ngx_msec_t *time, ngx_uint_t *number)
{
    u_char     *comma, *last;
    ngx_int_t   n;
    ngx_str_t   part;

    if (text->len == 3 && ngx_strncmp(text->data, "off", 3) == 0) {
        *number = 0;
        return NGX_OK;
    }

    last = text->data + text->len;
    comma = ngx_strlchr(text->data, last, ',');

    if (comma == NULL) {
        return NGX_ERROR;
    }

    part.data = text->data;
    part.len = comma - text->data;

    *time = ngx_parse_time(&part, 0);
    n = ngx_atoi(comma + 1, last - comma - 1);

    if (*time == (ngx_msec_t) NGX_ERROR || *time == 0 || n < 1) {
        return NGX_ERROR;
    }

    *number = n;

    return NGX_OK;
}
