
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_binding.h"
#include "ngx_http_llm_bind.h"


/* the ids of a path, of a body, and a model */

#define NGX_HTTP_LLM_BINDING_IDS                                              \
    (NGX_HTTP_LLM_BIND_IDS + NGX_HTTP_LLM_FIELDS_IDS + 1)


static ngx_uint_t ngx_http_llm_binding_ids(ngx_http_llm_ctx_t *ctx,
    uint64_t *ids, ngx_uint_t *refers);
static ngx_uint_t ngx_http_llm_binding_single(ngx_http_llm_main_conf_t *lmcf);


/* in the order in which they count */

static ngx_uint_t
ngx_http_llm_binding_ids(ngx_http_llm_ctx_t *ctx, uint64_t *ids,
    ngx_uint_t *refers)
{
    ngx_uint_t  i, n;

    *refers = NGX_HTTP_LLM_REFERS_NOT;

    n = ngx_http_llm_bind_path(&ctx->path, ids);

    if (n) {
        *refers = NGX_HTTP_LLM_REFERS_PATH;
    }

    if (ctx->fields == NULL || ctx->fields->nids == 0) {
        return n;
    }

    if (n == 0) {
        *refers = NGX_HTTP_LLM_REFERS_BODY;
    }

    for (i = 0; i < ctx->fields->nids; i++) {
        ids[n++] = ctx->fields->ids[i];
    }

    return n;
}


/* one key has everything */

static ngx_uint_t
ngx_http_llm_binding_single(ngx_http_llm_main_conf_t *lmcf)
{
    ngx_http_llm_upstream_t  **upstreams;

    upstreams = lmcf->upstreams.elts;

    return lmcf->upstreams.nelts == 1 && upstreams[0]->pool.nkeys == 1;
}


ngx_http_llm_upstream_t *
ngx_http_llm_binding_upstream(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    uint64_t                   ids[NGX_HTTP_LLM_BINDING_IDS];
    uint64_t                   groups[NGX_HTTP_LLM_BINDING_IDS];
    ngx_uint_t                 i, k, n, refers;
    ngx_http_llm_upstream_t  **upstreams;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

    n = ngx_http_llm_binding_ids(ctx, ids, &refers);

    if (n == 0 || ngx_http_llm_binding_single(lmcf)) {
        return NULL;
    }

    upstreams = lmcf->upstreams.elts;

    n = ngx_http_llm_zone_bound(lmcf->zone, ids, n, groups);

    for (i = 0; i < n; i++) {

        for (k = 0; k < lmcf->upstreams.nelts; k++) {

            if (ngx_http_llm_path_door(&ctx->path, &upstreams[k]->site)
                && ngx_http_llm_zone_group(&upstreams[k]->pool, groups[i]))
            {
                return upstreams[k];
            }
        }
    }

    return NULL;
}


void
ngx_http_llm_binding_find(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    uint64_t                   ids[NGX_HTTP_LLM_BINDING_IDS];
    uint64_t                   groups[NGX_HTTP_LLM_BINDING_IDS];
    ngx_uint_t                 i, k, n;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

    ctx->group = 0;

    n = ngx_http_llm_binding_ids(ctx, ids, &ctx->refers);

    if (n == 0 || ngx_http_llm_binding_single(lmcf)) {
        ctx->refers = NGX_HTTP_LLM_REFERS_NOT;
        return;
    }

    n = ngx_http_llm_zone_bound(lmcf->zone, ids, n, groups);

    for (i = 0; i < n; i++) {

        for (k = 0; k < ctx->ntargets; k++) {
            ctx->group = ngx_http_llm_zone_group(
                                     &ctx->targets[k].upstream->pool,
                                     groups[i]);

            if (ctx->group) {
                ctx->refers = NGX_HTTP_LLM_REFERS_NOT;

                ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                               "llm request is bound to group %016uxL",
                               ctx->group);
                return;
            }
        }
    }
}


ngx_int_t
ngx_http_llm_binding_group(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_target_t *target, ngx_str_t *model, uint64_t *group)
{
    uint64_t              id;
    ngx_uint_t            i;
    ngx_http_llm_pool_t  *pool;

    pool = &target->upstream->pool;

    if (ctx->group) {
        *group = ngx_http_llm_zone_group(pool, ctx->group);
        return *group ? NGX_OK : NGX_DECLINED;
    }

    id = ngx_http_llm_bind_model(model);

    if (id == 0
        || ngx_http_llm_zone_bound(pool->zone, &id, 1, &id) == 0)
    {
        return NGX_OK;
    }

    *group = ngx_http_llm_zone_group(pool, id);

    if (*group) {
        return NGX_OK;
    }

    for (i = 0; i < ctx->ntargets; i++) {
        if (ngx_http_llm_zone_group(&ctx->targets[i].upstream->pool, id)) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


void
ngx_http_llm_binding_settle(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement,
    ngx_uint_t status)
{
    switch (ctx->refers) {

    case NGX_HTTP_LLM_REFERS_NOT:
        return;

    case NGX_HTTP_LLM_REFERS_BODY:

        /* a key's own trouble, or the server's, says nothing about the id */

        if (judgement->verdict != NGX_HTTP_LLM_ELSEWHERE
            || status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
        {
            return;
        }

        break;

    default: /* NGX_HTTP_LLM_REFERS_PATH */
        if (status == 0) {
            return;
        }
    }

    ctx->refers = NGX_HTTP_LLM_REFERS_NOT;
    ctx->group = lease->group;
}


void
ngx_http_llm_binding_used(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_lease_t *lease, ngx_str_t *model)
{
    uint64_t    ids[NGX_HTTP_LLM_BINDING_IDS], gone;
    ngx_uint_t  n, refers;

    gone = ngx_http_llm_bind_forgets(r->method, &ctx->path);

    if (gone) {
        ngx_http_llm_zone_forget(lease->pool->zone, gone);
        return;
    }

    n = ngx_http_llm_binding_ids(ctx, ids, &refers);

    ids[n] = ngx_http_llm_bind_model(model);

    if (ids[n]) {
        n++;
    }

    if (n) {
        ngx_http_llm_zone_renew(lease, ids, n);
    }
}
