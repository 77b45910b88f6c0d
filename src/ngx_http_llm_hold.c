
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_hold.h"


struct ngx_http_llm_hold_s {
    ngx_event_t                 timer;
    ngx_recv_pt                 recv;      /* of the connection */
    unsigned                    held:1;    /* more is waited for */
    unsigned                    late:1;    /* but not any longer */
    unsigned                    deaf:1;

    /* while it is deaf */
    void                      (*write)(ngx_http_request_t *r,
                                       ngx_http_upstream_t *u);
};


static void ngx_http_llm_hold_late(ngx_event_t *ev);
static void ngx_http_llm_hold_unread(ngx_http_request_t *r);
static void ngx_http_llm_hold_again(ngx_http_request_t *r,
    ngx_http_llm_hold_t *hold);
static ssize_t ngx_http_llm_hold_last(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_http_llm_hold_nothing(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_http_llm_hold_no_write(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static void ngx_http_llm_hold_cleanup(void *data);


ngx_http_llm_hold_t *
ngx_http_llm_hold_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_llm_hold_t  *hold;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_llm_hold_t));
    if (cln == NULL) {
        return NULL;
    }

    hold = cln->data;

    ngx_memzero(hold, sizeof(ngx_http_llm_hold_t));

    hold->timer.handler = ngx_http_llm_hold_late;
    hold->timer.data = r;
    hold->timer.log = r->connection->log;

    cln->handler = ngx_http_llm_hold_cleanup;

    return hold;
}


static void
ngx_http_llm_hold_cleanup(void *data)
{
    ngx_http_llm_hold_stop(data);
}


void
ngx_http_llm_hold_start(ngx_http_llm_hold_t *hold)
{
    hold->held = 0;
    hold->late = 0;
    hold->deaf = 0;
}


void
ngx_http_llm_hold_stop(ngx_http_llm_hold_t *hold)
{
    if (hold->timer.timer_set) {
        ngx_del_timer(&hold->timer);
    }
}


ngx_int_t
ngx_http_llm_hold(ngx_http_request_t *r, ngx_http_llm_hold_t *hold,
    ngx_msec_t time)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (hold->late || u->buffer.last == u->buffer.end) {
        return NGX_OK;
    }

    if (!hold->held) {

        /* what nginx does when its own timer ends would lose the answer */

        c = u->peer.connection;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        ngx_add_timer(&hold->timer, ngx_min(u->conf->read_timeout, time));

        hold->held = 1;
    }

    return NGX_AGAIN;
}


void
ngx_http_llm_hold_event(ngx_http_request_t *r, ngx_http_llm_hold_t *hold)
{
    ngx_connection_t  *c;

    if (hold->held) {
        return;
    }

    c = r->upstream->peer.connection;

    ngx_add_timer(c->read, r->upstream->conf->read_timeout);

    hold->held = 1;
}


static void
ngx_http_llm_hold_late(ngx_event_t *ev)
{
    ngx_http_llm_ctx_t  *ctx;
    ngx_http_request_t  *r;

    r = ev->data;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    ngx_http_llm_hold_unread(r);
    ngx_http_llm_hold_again(r, ctx->hold);
}


static void
ngx_http_llm_hold_unread(ngx_http_request_t *r)
{
    r->upstream->buffer.last--;
    r->upstream->state->bytes_received--;
}


/* nginx looks at an answer when bytes come: so it gets the last one again */

static void
ngx_http_llm_hold_again(ngx_http_request_t *r, ngx_http_llm_hold_t *hold)
{
    ngx_connection_t     *c, *pc;
    ngx_http_upstream_t  *u;

    c = r->connection;
    u = r->upstream;
    pc = u->peer.connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "llm judges by what there is");

    hold->late = 1;
    hold->recv = pc->recv;
    pc->recv = ngx_http_llm_hold_last;

    u->read_event_handler(r, u);

    ngx_http_run_posted_requests(c);
}


static ssize_t
ngx_http_llm_hold_last(ngx_connection_t *c, u_char *buf, size_t size)
{
    ngx_http_llm_ctx_t  *ctx;
    ngx_http_request_t  *r;

    r = c->data;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    c->recv = ctx->hold->recv;

    return 1;
}


void
ngx_http_llm_hold_deafen(ngx_http_request_t *r, ngx_http_llm_hold_t *hold)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    c = u->peer.connection;

    hold->deaf = 1;
    hold->recv = c->recv;
    hold->write = u->write_event_handler;

    c->recv = ngx_http_llm_hold_nothing;
    u->write_event_handler = ngx_http_llm_hold_no_write;

    /* nobody knows whether it can be used again then */

    u->keepalive = 0;

    /* which leaves room for it as well: nginx gives up on a full buffer */

    ngx_http_llm_hold_unread(r);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
}


/* the rest of a body that the provider has refused */

static void
ngx_http_llm_hold_no_write(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
    /* void */
}


/* ready, so that a poll for readiness does not run in circles */

static ssize_t
ngx_http_llm_hold_nothing(ngx_connection_t *c, u_char *buf, size_t size)
{
    c->read->ready = 1;

    return NGX_AGAIN;
}


void
ngx_http_llm_hold_hear(ngx_http_request_t *r, ngx_http_llm_hold_t *hold)
{
    if (hold->deaf) {
        hold->deaf = 0;

        r->upstream->peer.connection->recv = hold->recv;
        r->upstream->write_event_handler = hold->write;
    }
}


void
ngx_http_llm_hold_wake(ngx_http_request_t *r, ngx_http_llm_hold_t *hold)
{
    ngx_http_llm_hold_hear(r, hold);
    ngx_http_llm_hold_again(r, hold);
}
