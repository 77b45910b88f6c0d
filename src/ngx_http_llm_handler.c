
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_handler.h"
#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_binding.h"
#include "ngx_http_llm_body.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_local.h"
#include "ngx_http_llm_queue.h"
#include "ngx_http_llm_resolve.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_try.h"


static ngx_http_llm_ctx_t *ngx_http_llm_handler_ctx(ngx_http_request_t *r,
    ngx_http_llm_loc_conf_t *llcf);
static const ngx_http_llm_provider_t *ngx_http_llm_handler_named(void *data,
    ngx_str_t *name);
static void ngx_http_llm_handler_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_handler_prepare(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_handler_route(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_handler_wait(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_handler_reserve(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_handler_waited(ngx_http_request_t *r, ngx_int_t rc);


ngx_int_t
ngx_http_llm_preaccess_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_llm_balancer_module);

    if (llcf->enable != 1) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx && ctx->prepared) {
        return NGX_DECLINED;
    }

    if (ctx && ctx->reading) {

        if (!ctx->read) {
            return NGX_DONE;
        }

        return ngx_http_llm_handler_prepare(r, ctx);
    }

    ctx = ngx_http_llm_handler_ctx(r, llcf);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->forced = llcf->upstream;

    if (ctx->path.own) {
        return ngx_http_llm_local_handler(r, ctx);
    }

    rc = ngx_http_llm_auth(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_llm_body_start(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    if (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked) {
        return ngx_http_llm_handler_prepare(r, ctx);
    }

    if (r->request_body) {

        /* somebody read it before, so our filter has not seen it */

        rc = ngx_http_llm_body_feed_all(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_llm_handler_prepare(r, ctx);
    }

    ctx->reading = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_llm_handler_resume);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_http_llm_handler_resume(ngx_http_request_t *r)
{
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    ctx->read = 1;

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static ngx_http_llm_ctx_t *
ngx_http_llm_handler_ctx(ngx_http_request_t *r, ngx_http_llm_loc_conf_t *llcf)
{
    ngx_http_llm_ctx_t        *ctx;
    ngx_http_llm_main_conf_t  *lmcf;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

    ctx->conf = llcf;

    if (ngx_http_llm_path_parse(r->pool, &r->uri, ngx_http_llm_handler_named,
                                lmcf, &ctx->path)
        != NGX_OK)
    {
        return NULL;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_llm_balancer_module);

    return ctx;
}


static const ngx_http_llm_provider_t *
ngx_http_llm_handler_named(void *data, ngx_str_t *name)
{
    ngx_http_llm_upstream_t  *upstream;

    upstream = ngx_http_llm_route_named(data, name);

    return upstream ? upstream->provider : NULL;
}


static ngx_int_t
ngx_http_llm_handler_prepare(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->prepared = 1;

    rc = ngx_http_llm_body_finish(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_llm_handler_route(r, ctx);

    return (rc == NGX_OK) ? NGX_DECLINED : rc;
}


static ngx_int_t
ngx_http_llm_handler_route(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_http_llm_upstream_t  *upstream;

    rc = ngx_http_llm_route(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_llm_binding_find(r, ctx);

    for (i = 0; i < ctx->ntargets; i++) {
        upstream = ctx->targets[i].upstream;

        if (ngx_http_llm_path_door(&ctx->path, &upstream->site)) {
            return NGX_OK;
        }
    }

    return ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_FOUND,
                              "invalid_request_error", "unknown_path",
                              "The path \"%V\" is none that \"%V\" is asked "
                              "for through this gateway.", &r->uri,
                              &ctx->targets[0].upstream->name);
}


ngx_int_t
ngx_http_llm_precontent_handler(ngx_http_request_t *r)
{
    ngx_int_t            rc;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx && ctx->waiting) {
        return NGX_AGAIN;
    }

    if (ctx == NULL || !ctx->prepared || ctx->try) {
        return NGX_DECLINED;
    }

    rc = ngx_http_llm_resolve_wait(r, ctx, ngx_http_llm_handler_waited);

    if (rc == NGX_AGAIN) {
        return ngx_http_llm_handler_wait(r, ctx);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_llm_handler_reserve(r, ctx);

    if (rc != NGX_BUSY) {
        return (rc == NGX_OK) ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_llm_queue_wait(r, ctx, ngx_http_llm_handler_waited);

    if (rc == NGX_DECLINED) {
        return ngx_http_llm_try_refused(r, ctx);
    }

    return (rc == NGX_OK) ? ngx_http_llm_handler_wait(r, ctx)
                          : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_llm_handler_wait(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->waiting = 1;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


/* first come, first served: who waits already goes first */

static ngx_int_t
ngx_http_llm_handler_reserve(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_llm_try_prepare(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_http_llm_queue_busy(ctx)) {
        return ngx_http_llm_try_reserve(r, ctx);
    }

    /* but not at a fallback, which nobody waits for */

    return (ctx->ntargets > 1) ? ngx_http_llm_try_next(r, ctx) : NGX_BUSY;
}


static void
ngx_http_llm_handler_waited(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_llm_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    ngx_http_set_log_request(c->log, r);

    ctx->waiting = 0;

    if (rc == NGX_OK) {
        r->read_event_handler = ngx_http_block_reading;
        r->write_event_handler = ngx_http_core_run_phases;

        ngx_http_core_run_phases(r);

    } else {
        ngx_http_finalize_request(r, (rc == NGX_BUSY)
                                     ? ngx_http_llm_try_refused(r, ctx)
                                     : NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    ngx_http_run_posted_requests(c);
}


ngx_int_t
ngx_http_llm_late_handler(ngx_http_request_t *r,
    ngx_http_llm_upstream_t *forced)
{
    ngx_int_t                 rc;
    ngx_http_llm_ctx_t       *ctx;
    ngx_http_llm_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_llm_balancer_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx == NULL) {
        ctx = ngx_http_llm_handler_ctx(r, llcf);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_llm_auth(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_http_llm_body_start(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_http_llm_body_feed_all(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_http_llm_body_finish(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }

        ctx->prepared = 1;
    }

    if (ctx->try) {
        ngx_http_llm_try_reset(ctx);
    }

    ctx->forced = forced;

    rc = ngx_http_llm_handler_route(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    /* it is too late to wait here */

    rc = ngx_http_llm_try_reserve(r, ctx);

    if (rc == NGX_BUSY) {
        return ngx_http_llm_try_refused(r, ctx);
    }

    return (rc == NGX_OK) ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}
