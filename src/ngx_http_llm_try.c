
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_try.h"
#include "ngx_http_llm_binding.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_signal.h"


/* an ill upstream gets one more key: the fault may be of a single server */

#define NGX_HTTP_LLM_ILL_KEYS  2


static ngx_int_t ngx_http_llm_try_create(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_try_cleanup(void *data);
static ngx_int_t ngx_http_llm_try_enter(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static void ngx_http_llm_try_leave(ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_try_rewind(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_try_skip_models(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_str_t *model);
static void ngx_http_llm_try_remember(ngx_pool_t *pool,
    ngx_http_llm_try_t *try, ngx_uint_t verdict);
static ngx_int_t ngx_http_llm_try_skip(ngx_http_request_t *r,
    ngx_http_llm_try_t *try, ngx_http_llm_pool_t *pool, ngx_uint_t key);


ngx_int_t
ngx_http_llm_try_prepare(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    if (ctx->try) {
        return NGX_OK;
    }

    if (ngx_http_llm_try_create(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_llm_try_enter(r, ctx);
}


ngx_int_t
ngx_http_llm_try_reserve(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_http_llm_try_t     *try;
    ngx_http_llm_target_t  *target;

    if (ngx_http_llm_try_prepare(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    try = ctx->try;

    while (ctx->target < ctx->ntargets) {
        target = &ctx->targets[ctx->target];

        if (try->ill < NGX_HTTP_LLM_ILL_KEYS
            && !try->foreign
            && !target->upstream->unresolved
            && ngx_http_llm_path_door(&ctx->path, &target->upstream->site))
        {
            rc = ngx_http_llm_zone_acquire(&target->upstream->pool, &try->ask,
                                           &try->lease);
            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc == NGX_OK) {
                try->reserved = 1;

                ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                               "llm reserved key %ui of \"%V\", try %ui",
                               try->lease.key, &target->upstream->name,
                               try->begun + 1);
                return NGX_OK;
            }
        }

        if (try->elsewhere) {
            ctx->target = ctx->ntargets;
            break;
        }

        ngx_http_llm_try_leave(ctx);

        if (ngx_http_llm_try_enter(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    try->exhausted = 1;

    return NGX_BUSY;
}


static ngx_int_t
ngx_http_llm_try_create(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ctx->try = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_try_t));
    if (ctx->try == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_llm_try_cleanup;
    cln->data = ctx->try;

    return NGX_OK;
}


static void
ngx_http_llm_try_cleanup(void *data)
{
    ngx_http_llm_try_t *try = data;

    ngx_http_llm_zone_release(&try->lease, try->reserved, 0);

    if (try->failed) {
        ngx_http_llm_zone_failed(&try->failed->pool);
    }
}


static ngx_int_t
ngx_http_llm_try_enter(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t               model;
    ngx_http_llm_ask_t     *ask;
    ngx_http_llm_target_t  *target;

    ask = &ctx->try->ask;

    ngx_memzero(ask, sizeof(ngx_http_llm_ask_t));

    if (ctx->target == ctx->ntargets) {
        return NGX_OK;
    }

    target = &ctx->targets[ctx->target];

    ngx_http_llm_route_model(ctx, target, &model);

    if (model.len) {
        ask->model = ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                              model.data, model.len);
        ask->model = ngx_http_llm_hash_final(ask->model);
        ask->name = model;
    }

    ask->tokens = ngx_http_llm_estimate(r, ctx);
    ask->affinity = ngx_http_llm_session(r, ctx);

    /* a fallback comes before a home */

    if (ctx->targets[0].upstream->queue_number) {
        ask->patient = (ctx->ntargets == 1 && ask->affinity
                        && target->upstream->policy == NGX_HTTP_LLM_AFFINITY)
                       ? NGX_HTTP_LLM_FAITHFUL : NGX_HTTP_LLM_PATIENT;
    }

    ctx->try->foreign = ngx_http_llm_binding_group(ctx, target, &model,
                                                   &ask->group)
                        == NGX_DECLINED;

    return target->upstream->model_sets
           ? ngx_http_llm_try_skip_models(r, ctx, &model) : NGX_OK;
}


static void
ngx_http_llm_try_leave(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_try_t  *try;

    try = ctx->try;

    ctx->target++;

    try->ill = 0;
    try->unreached = 0;
}


ngx_int_t
ngx_http_llm_try_move(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_zone_release(&ctx->try->lease, 1, 0);

    ctx->try->reserved = 0;

    return ngx_http_llm_try_next(r, ctx);
}


ngx_int_t
ngx_http_llm_try_next(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_try_leave(ctx);

    if (ngx_http_llm_try_enter(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_llm_try_reserve(r, ctx);
}


void
ngx_http_llm_try_reset(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_zone_release(&ctx->try->lease, ctx->try->reserved, 0);

    ctx->target = 0;
    ctx->try = NULL;
}


/* the keys whose models= does not name the one that is asked for */

static ngx_int_t
ngx_http_llm_try_skip_models(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_str_t *model)
{
    ngx_str_t              *pattern;
    ngx_uint_t              i, n;
    ngx_http_llm_key_t     *key;
    ngx_http_llm_pool_t    *pool;
    ngx_http_llm_target_t  *target;

    target = &ctx->targets[ctx->target];
    pool = &target->upstream->pool;

    if (model->len == 0) {
        return NGX_OK;
    }

    for (i = 0; i < pool->nkeys; i++) {
        key = &pool->keys[i];

        if (key->models == NULL) {
            continue;
        }

        pattern = key->models->elts;

        for (n = 0; n < key->models->nelts; n++) {
            if (ngx_http_llm_glob(&pattern[n], model)) {
                break;
            }
        }

        if (n == key->models->nelts
            && ngx_http_llm_try_skip(r, ctx->try, pool, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_try_skip(ngx_http_request_t *r, ngx_http_llm_try_t *try,
    ngx_http_llm_pool_t *pool, ngx_uint_t key)
{
    if (try->ask.skip == NULL) {
        try->ask.skip = ngx_pcalloc(r->pool, (pool->nkeys + 7) / 8);
        if (try->ask.skip == NULL) {
            return NGX_ERROR;
        }
    }

    try->ask.skip[key / 8] |= (u_char) (1 << key % 8);

    return NGX_OK;
}


void
ngx_http_llm_try_begin(ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t           *secrets;
    ngx_uint_t           key;
    ngx_http_llm_try_t  *try;

    try = ctx->try;
    key = try->lease.key;

    try->reserved = 0;
    try->begun++;

    try->upstream = ctx->targets[ctx->target].upstream;
    try->key_name = try->upstream->pool.keys[key].name;

    secrets = try->upstream->secrets.elts;
    try->secret = secrets[key];
}


void
ngx_http_llm_try_repeat(ngx_http_llm_ctx_t *ctx)
{
    ctx->try->reserved = 1;
    ctx->try->begun--;
}


ngx_int_t
ngx_http_llm_try_unreached(ngx_http_llm_ctx_t *ctx)
{
    ngx_http_llm_try_t  *try;

    try = ctx->try;

    if (++try->unreached < try->upstream->naddrs) {
        ngx_http_llm_try_repeat(ctx);
        return NGX_OK;
    }

    try->ill = NGX_HTTP_LLM_ILL_KEYS;

    return NGX_DECLINED;
}


void
ngx_http_llm_try_report(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_judgement_t *judgement, ngx_uint_t status)
{
    ngx_log_t               *log;
    ngx_uint_t               scope;
    ngx_http_llm_try_t      *try;
    ngx_http_llm_change_t    change;

    /* in the order of the scopes */

    static const char *const  scopes[] = { "", "group of ", "model of " };

    try = ctx->try;
    log = r->connection->log;

    ngx_http_llm_try_remember(r->pool, try, judgement->verdict);

    ngx_http_llm_zone_report(&try->lease, judgement, &change);

    /* what is not there for a group is a model at it */

    scope = (judgement->verdict == NGX_HTTP_LLM_ELSEWHERE)
            ? NGX_HTTP_LLM_SCOPE_MODEL : judgement->scope;
    try->bill.model = (status < NGX_HTTP_BAD_REQUEST);

    if (change.out) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "%skey \"%V\" of upstream \"%V\" is out for %Mms: %s, "
                      "status %ui, %s", scopes[scope],
                      &try->key_name, &try->upstream->name, change.wait,
                      judgement->verdict == NGX_HTTP_LLM_WAIT
                      ? "asked to wait" : "refused", status,
                      judgement->reason ? judgement->reason : "no reason");
    }

    if (change.back) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "key \"%V\" of upstream \"%V\" is back: status %ui",
                      &try->key_name, &try->upstream->name, status);
    }

    if (change.alike) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "all keys of upstream \"%V\" were refused at once, which "
                      "is held against the upstream", &try->upstream->name);
    }

    if (change.upstream && change.open) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "upstream \"%V\" is out for %Mms: it failed too often",
                      &try->upstream->name, change.open);

    } else if (change.upstream) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "upstream \"%V\" is back",
                      &try->upstream->name);
    }
}


/* a try may be judged twice: by its head, and when it breaks off */

static void
ngx_http_llm_try_remember(ngx_pool_t *pool, ngx_http_llm_try_t *try,
    ngx_uint_t verdict)
{
    u_char  *verdicts, *last;

    if (try->verdicts == NULL) {
        try->verdicts = ngx_array_create(pool, 4, 1);
        if (try->verdicts == NULL) {
            return;
        }
    }

    while (try->verdicts->nelts < try->begun) {
        last = ngx_array_push(try->verdicts);
        if (last == NULL) {
            return;
        }

        *last = 0;
    }

    if (try->begun) {
        verdicts = try->verdicts->elts;
        verdicts[try->begun - 1] = (u_char) (verdict + 1);
    }
}


ngx_int_t
ngx_http_llm_try_verdicts(ngx_pool_t *pool, ngx_http_llm_ctx_t *ctx,
    ngx_str_t *text)
{
    u_char              *p, *verdicts;
    ngx_uint_t           i, n;
    ngx_http_llm_try_t  *try;

    /* in the order of the verdicts, behind the one that is not there */

    static ngx_str_t  words[] = {
        ngx_string("none"), ngx_string("ok"), ngx_string("wait"),
        ngx_string("finished"), ngx_string("ill"), ngx_string("elsewhere")
    };

    try = ctx->try;

    text->len = 0;

    if (try == NULL || try->begun == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, try->begun * sizeof("elsewhere,"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    verdicts = try->verdicts ? try->verdicts->elts : NULL;

    for (i = 0; i < try->begun; i++) {
        n = (verdicts && i < try->verdicts->nelts) ? verdicts[i] : 0;

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, words[n].data, words[n].len);
    }

    text->len = p - text->data;

    return NGX_OK;
}


void
ngx_http_llm_try_settle(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_judgement_t *judgement, ngx_uint_t status)
{
    ngx_http_llm_try_t    *try;
    ngx_http_llm_lease_t  *lease;

    try = ctx->try;
    lease = &try->lease;

    ngx_http_llm_try_report(r, ctx, judgement, status);

    if (judgement->verdict == NGX_HTTP_LLM_ILL
        || judgement->verdict == NGX_HTTP_LLM_ELSEWHERE)
    {
        try->ill++;
    }

    if (judgement->verdict == NGX_HTTP_LLM_ELSEWHERE) {
        try->elsewhere = 1;

        if (judgement->scope == NGX_HTTP_LLM_SCOPE_GROUP) {
            try->ask.shunned = lease->group;
        }
    }

    /* never the same key twice; without memory there is no other try at all */

    if (judgement->verdict != NGX_HTTP_LLM_OK
        && ngx_http_llm_try_skip(r, try, lease->pool, lease->key) != NGX_OK)
    {
        ctx->target = ctx->ntargets;
    }

    ngx_http_llm_binding_settle(ctx, lease, judgement, status);

    if (ctx->group) {
        try->ask.group = ctx->group;
    }

    ngx_http_llm_zone_release(lease, 0, 0);
}


void
ngx_http_llm_try_end(ngx_http_llm_ctx_t *ctx)
{
    uint64_t                total;
    ngx_http_llm_try_t     *try;
    ngx_http_llm_bill_t    *bill;
    ngx_http_llm_tokens_t  *tokens;

    try = ctx->try;
    bill = &try->bill;
    total = 0;

    ngx_memzero(&bill->spent, sizeof(ngx_http_llm_spent_t));

    bill->spent.requests = 1;
    bill->client = ctx->client;

    if (bill->client.len) {
        bill->client_hash = ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                                     bill->client.data,
                                                     bill->client.len);
        bill->client_hash = ngx_http_llm_hash_final(bill->client_hash);
    }

    if (ctx->usage && ctx->usage->tokens.known) {
        tokens = &ctx->usage->tokens;
        total = tokens->total;

        bill->spent.input = tokens->input;
        bill->spent.output = tokens->output;
        bill->spent.cached = tokens->cached;
        bill->spent.reasoning = tokens->reasoning;
    }

    try->lease.bill = bill;

    ngx_http_llm_zone_release(&try->lease, 0, total);
}


ngx_int_t
ngx_http_llm_try_again(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t patience)
{
    ngx_http_llm_ask_t  *ask;

    if (ngx_http_llm_try_rewind(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ask = &ctx->try->ask;
    ask->patient = ngx_min(ask->patient, patience);

    return ngx_http_llm_try_reserve(r, ctx);
}


static ngx_int_t
ngx_http_llm_try_rewind(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ctx->target = 0;
    ctx->try->ill = 0;
    ctx->try->unreached = 0;
    ctx->try->exhausted = 0;
    ctx->try->elsewhere = 0;

    return ngx_http_llm_try_enter(r, ctx);
}


ngx_int_t
ngx_http_llm_try_explain(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_busy_t *busy)
{
    ngx_http_llm_try_t     *try;
    ngx_http_llm_target_t  *target;

    try = ctx->try;
    try->explained = ctx->targets[0].upstream;

    ngx_memzero(busy, sizeof(ngx_http_llm_busy_t));

    /* of all that it might go to, the keys that are for its model */

    for (ctx->target = 0; ctx->target < ctx->ntargets; ctx->target++) {
        target = &ctx->targets[ctx->target];

        if (ngx_http_llm_try_enter(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        if (try->foreign) {
            continue;
        }

        try->explained = target->upstream;

        if (target->upstream->unresolved) {
            busy->unresolved++;

        } else if (ngx_http_llm_path_door(&ctx->path,
                                          &target->upstream->site))
        {
            ngx_http_llm_zone_explain(&target->upstream->pool, &try->ask,
                                      busy);
        }
    }

    return ngx_http_llm_try_rewind(r, ctx);
}


ngx_int_t
ngx_http_llm_try_refused(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    time_t               retry;
    ngx_int_t            status;
    ngx_str_t           *name;
    ngx_http_llm_busy_t  busy;

    if (ngx_http_llm_try_explain(r, ctx, &busy) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->try->failed == NULL) {
        ctx->try->failed = ctx->targets[0].upstream;
    }

    name = &ctx->try->explained->name;
    retry = (busy.retry + 999) / 1000;

    if (busy.cooling || busy.full || busy.limited
        || (busy.usable && !busy.open && ctx->try->begun == 0))
    {
        /* a usable one was lost to somebody else */

        status = ngx_http_llm_error(r, ctx, NGX_HTTP_TOO_MANY_REQUESTS,
                                    "rate_limit_error", "rate_limit_exceeded",
                                    "All keys of \"%V\" have reached a rate "
                                    "limit.%s", name,
                                    retry ? " Retry after the time that "
                                            "Retry-After tells." : "");

        ctx->error.retry_after = retry ? retry : 1;
        ctx->error.no_retry = 1;

    } else if (busy.finished) {
        status = ngx_http_llm_error(r, ctx, NGX_HTTP_UNAUTHORIZED,
                                    "authentication_error",
                                    "provider_keys_refused",
                                    "The gateway's provider keys were refused "
                                    "by \"%V\"; yours is valid.", name);

        ctx->error.retry_after = retry;
        ctx->error.no_retry = 1;

    } else if (busy.skipped && !busy.usable && ctx->try->begun == 0) {
        status = ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_FOUND,
                                    "invalid_request_error", "model_not_found",
                                    "No key of \"%V\" is for the model "
                                    "\"%V\".", name, &ctx->model);

        ctx->error.param = "\"model\"";

    } else if (busy.open) {
        status = ngx_http_llm_error(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "server_error", "provider_error",
                                    "\"%V\" failed too often; it is asked "
                                    "again after the time that Retry-After "
                                    "tells.", name);

        ctx->error.retry_after = retry ? retry : 1;
        ctx->error.no_retry = 1;

    } else if (busy.unresolved == ctx->ntargets) {
        status = ngx_http_llm_error(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "server_error", "provider_unresolved",
                                    "The gateway does not find the host of "
                                    "\"%V\".", name);

        ctx->error.retry_after = 1;

    } else {
        status = ngx_http_llm_error(r, ctx, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "server_error", "no_provider_key",
                                    "No key of \"%V\" can be used at the "
                                    "moment.", name);

        ctx->error.no_retry = 1;
    }

    return status;
}


void
ngx_http_llm_try_key_name(ngx_http_llm_ctx_t *ctx, ngx_str_t *name)
{
    ngx_http_llm_try_t    *try;
    ngx_http_llm_lease_t  *lease;

    try = ctx->try;
    lease = &try->lease;

    *name = try->reserved ? lease->pool->keys[lease->key].name
                          : try->key_name;
}
