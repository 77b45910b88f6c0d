
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_quota.h"


/* the usual window; an order needs one that is the same for all */

#define NGX_HTTP_LLM_QUOTA_MINUTE  60000                              /* ms */

/* times a day in ms it still fits into 64 bits */

#define NGX_HTTP_LLM_QUOTA_MAX     ((int64_t) 10000000000)


static uint64_t ngx_http_llm_quota_sent(ngx_http_llm_quota_t *quota,
    ngx_uint_t dimension);
static int64_t ngx_http_llm_quota_left(ngx_http_llm_quota_limit_t *limit,
    uint64_t sent, ngx_msec_t now);
static ngx_uint_t ngx_http_llm_quota_renewed(
    ngx_http_llm_quota_limit_t *limit, ngx_msec_t now);

#define ngx_http_llm_quota_since(now, then)                                   \
    ((ngx_msec_int_t) ((now) - (then)) > 0                                    \
     ? (int64_t) ((now) - (then)) : 0)


ngx_int_t
ngx_http_llm_quota_room(ngx_http_llm_quota_t *quota, uint64_t tokens,
    ngx_msec_t now, ngx_msec_t *until)
{
    int64_t                      left, need;
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_msec_t                   when;
    ngx_http_llm_quota_limit_t  *limit;

    rc = NGX_OK;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        limit = &quota->limits[i];

        if (limit->limit == 0) {
            continue;
        }

        need = 1;

        if (i == NGX_HTTP_LLM_TOKENS || i == NGX_HTTP_LLM_TOKENS_DAY) {

            /* it is an estimate, and must not wait for what cannot be */

            need = (int64_t) ngx_min(tokens, (uint64_t) limit->limit / 2);
        }

        left = ngx_http_llm_quota_left(limit,
                                       ngx_http_llm_quota_sent(quota, i), now);

        if (left >= need) {
            continue;
        }

        when = limit->full;

        if (!limit->fixed) {
            when = now + (ngx_msec_t) ((need - left)
                                       * (int64_t) limit->window
                                       / limit->limit) + 1;
        }

        if (rc == NGX_OK || (ngx_msec_int_t) (when - *until) > 0) {
            *until = when;
        }

        rc = NGX_DECLINED;
    }

    return rc;
}


static uint64_t
ngx_http_llm_quota_sent(ngx_http_llm_quota_t *quota, ngx_uint_t dimension)
{
    return (dimension == NGX_HTTP_LLM_REQUESTS
            || dimension == NGX_HTTP_LLM_REQUESTS_DAY)
           ? quota->requests : quota->tokens;
}


static int64_t
ngx_http_llm_quota_left(ngx_http_llm_quota_limit_t *limit, uint64_t sent,
    ngx_msec_t now)
{
    int64_t  left, back;

    left = limit->base - (int64_t) (sent - limit->mark);

    if (limit->fixed) {
        return ngx_http_llm_quota_renewed(limit, now)
               ? ngx_max(left, limit->limit) : left;
    }

    back = ngx_min(ngx_http_llm_quota_since(now, limit->at),
                   (int64_t) limit->window);

    left += limit->limit * back / (int64_t) limit->window;

    if ((ngx_msec_int_t) (now - limit->at) > (ngx_msec_int_t) limit->window) {

        /* nothing was told for so long that it cannot be used up any more */

        left = limit->limit;
    }

    return ngx_min(left, limit->limit);
}


/* what was told is of a window that is over */

static ngx_uint_t
ngx_http_llm_quota_renewed(ngx_http_llm_quota_limit_t *limit, ngx_msec_t now)
{
    return (ngx_msec_int_t) (now - limit->full) >= 0;
}


void
ngx_http_llm_quota_spend(ngx_http_llm_quota_t *quota, uint64_t tokens,
    ngx_msec_t now, ngx_http_llm_mark_t *mark)
{
    quota->requests++;
    quota->tokens += tokens;

    mark->requests = quota->requests;
    mark->tokens = quota->tokens;
    mark->at = now;
}


void
ngx_http_llm_quota_refund(ngx_http_llm_quota_t *quota, uint64_t tokens)
{
    ngx_uint_t                   i;
    ngx_http_llm_quota_limit_t  *limit;

    /* the counters do not go back: others have marked what they stood at */

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        limit = &quota->limits[i];

        if (limit->limit) {
            limit->base += (i == NGX_HTTP_LLM_REQUESTS
                            || i == NGX_HTTP_LLM_REQUESTS_DAY)
                           ? 1 : (int64_t) tokens;
        }
    }
}


void
ngx_http_llm_quota_learn(ngx_http_llm_quota_t *quota,
    const ngx_http_llm_told_t *told, const ngx_http_llm_mark_t *mark)
{
    int64_t                           used;
    uint64_t                          sent;
    ngx_uint_t                        i;
    ngx_http_llm_quota_limit_t       *limit;
    const ngx_http_llm_told_limit_t  *new;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        new = &told->limits[i];
        limit = &quota->limits[i];

        if (!new->limited || !new->remains || new->limit <= 0) {
            continue;
        }

        sent = (i == NGX_HTTP_LLM_REQUESTS || i == NGX_HTTP_LLM_REQUESTS_DAY)
               ? mark->requests : mark->tokens;

        /* it was sent before anything was known, and is counted elsewhere */

        sent = ngx_min(sent, ngx_http_llm_quota_sent(quota, i));

        /* answers overtake each other */

        if (limit->limit && (int64_t) (sent - limit->mark) < 0) {
            continue;
        }

        limit->limit = ngx_min(new->limit, NGX_HTTP_LLM_QUOTA_MAX);
        limit->base = ngx_min(new->remaining, limit->limit);
        limit->mark = sent;
        limit->at = mark->at;
        limit->fixed = new->fixed;
        limit->window = new->window ? new->window : NGX_HTTP_LLM_QUOTA_MINUTE;

        used = limit->limit - limit->base;

        if (!new->resets) {
            limit->full = mark->at + limit->window;
            continue;
        }

        limit->full = mark->at + new->reset;

        /* the pace that the provider tells by it, if it tells it finely */

        if (!new->fixed && new->reset >= 100 && used >= limit->limit / 20) {
            limit->window = (ngx_msec_t) ((int64_t) new->reset * limit->limit
                                          / ngx_max(used, 1));
        }

        limit->window = ngx_max(limit->window, 1);
    }
}


uint64_t
ngx_http_llm_quota_order(ngx_http_llm_quota_t *quota)
{
    int64_t                      used;
    uint64_t                     order, when;
    ngx_uint_t                   i;
    ngx_http_llm_quota_limit_t  *limit;

    order = 0;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        limit = &quota->limits[i];

        if (limit->limit == 0) {
            continue;
        }

        used = limit->limit - limit->base
               + (int64_t) (ngx_http_llm_quota_sent(quota, i) - limit->mark);

        when = (uint64_t) limit->at
               + (uint64_t) ngx_max(used, 0) * NGX_HTTP_LLM_QUOTA_MINUTE
                 / (uint64_t) limit->limit;

        order = ngx_max(order, when);
    }

    return order;
}
