
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_quota.h"


/* the usual window; an order needs one that is the same for all */

#define NGX_HTTP_LLM_QUOTA_MINUTE  60000                              /* ms */

/* times a day in ms it still fits into 64 bits */

#define NGX_HTTP_LLM_QUOTA_MAX     ((int64_t) 10000000000)

/*
 * What refills all the time has this part of it left untouched: requests are
 * estimates, and pass each other on their way.  It costs nothing, as it is
 * missed only once.
 */

#define NGX_HTTP_LLM_QUOTA_RESERVE 50
#define NGX_HTTP_LLM_QUOTA_SPARE   12

/*
 * A guess is larger than what was found, in 1/100, as only what is refused
 * again tells more; after a minute without that it is larger still.
 */

#define NGX_HTTP_LLM_QUOTA_GROWTH  105
#define NGX_HTTP_LLM_QUOTA_FASTER  125
#define NGX_HTTP_LLM_QUOTA_PAUSE   5000                               /* ms */

/* a refusal after fewer requests than that tells nothing of a rate */

#define NGX_HTTP_LLM_QUOTA_COUNT   10


static uint64_t ngx_http_llm_quota_sent(ngx_http_llm_quota_t *quota,
    ngx_uint_t dimension);
static int64_t ngx_http_llm_quota_left(ngx_http_llm_quota_limit_t *limit,
    uint64_t sent, ngx_msec_t now);
static ngx_uint_t ngx_http_llm_quota_renewed(
    ngx_http_llm_quota_limit_t *limit, ngx_msec_t now);
static void ngx_http_llm_quota_renew(ngx_http_llm_quota_t *quota,
    ngx_msec_t now);
static void ngx_http_llm_quota_guess(ngx_http_llm_quota_t *quota,
    ngx_http_llm_quota_limit_t *limit);

#define ngx_http_llm_quota_since(now, then)                                   \
    ((ngx_msec_int_t) ((now) - (then)) > 0                                    \
     ? (int64_t) ((now) - (then)) : 0)


ngx_int_t
ngx_http_llm_quota_room(ngx_http_llm_quota_t *quota, uint64_t tokens,
    ngx_uint_t spare, ngx_msec_t now, ngx_msec_t *until)
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

        if (spare > 1) {
            need += limit->limit / NGX_HTTP_LLM_QUOTA_SPARE;

        } else if (spare && !limit->fixed && !limit->guessed) {
            need += limit->limit / NGX_HTTP_LLM_QUOTA_RESERVE;
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


int64_t
ngx_http_llm_quota_remaining(ngx_http_llm_quota_t *quota,
    ngx_uint_t dimension, ngx_msec_t now)
{
    int64_t  left;

    left = ngx_http_llm_quota_left(&quota->limits[dimension],
                                   ngx_http_llm_quota_sent(quota, dimension),
                                   now);

    return ngx_max(left, 0);
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
        return ngx_http_llm_quota_renewed(limit, now) ? limit->limit : left;
    }

    /* what was guessed goes on until somebody is sent again */

    back = ngx_min(ngx_http_llm_quota_since(now, limit->at),
                   (int64_t) limit->window * (limit->guessed ? 10 : 1));

    left += limit->limit * back / (int64_t) limit->window;

    if (!limit->guessed
        && (ngx_msec_int_t) (now - limit->at) > (ngx_msec_int_t) limit->window)
    {

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
    ngx_http_llm_quota_renew(quota, now);

    /* before the first refusal only the last minute counts */

    if (quota->requests++ == 0
        || (quota->refused == 0
            && ngx_http_llm_quota_since(now, quota->began)
               > NGX_HTTP_LLM_QUOTA_MINUTE))
    {
        quota->began = now;
        quota->counted = quota->requests - 1;
        quota->taken = quota->tokens - quota->lost;
    }

    quota->tokens += tokens;

    mark->requests = quota->requests;
    mark->tokens = quota->tokens;
    mark->at = now;
}


/* what was told is so old that all of it is there again: counts from here */

static void
ngx_http_llm_quota_renew(ngx_http_llm_quota_t *quota, ngx_msec_t now)
{
    int64_t                      left;
    uint64_t                     sent;
    ngx_uint_t                   i;
    ngx_http_llm_quota_limit_t  *limit;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        limit = &quota->limits[i];

        if (limit->limit == 0) {
            continue;
        }

        sent = ngx_http_llm_quota_sent(quota, i);

        if (limit->fixed) {

            if (!ngx_http_llm_quota_renewed(limit, now)) {
                continue;
            }

            left = limit->limit;

            limit->full += ((now - limit->full) / limit->window + 1)
                           * limit->window;

        } else if (ngx_http_llm_quota_since(now, limit->at)
                   <= (int64_t) ((limit->guessed && quota->first)
                                 ? NGX_HTTP_LLM_QUOTA_PAUSE : limit->window))
        {
            continue;

        } else {
            left = ngx_http_llm_quota_left(limit, sent, now);
        }

        limit->base = left;
        limit->mark = sent;
        limit->at = now;

        if (limit->guessed) {
            limit->limit = ngx_min(limit->limit
                                   * (quota->first ? 200
                                      : NGX_HTTP_LLM_QUOTA_FASTER) / 100,
                                   NGX_HTTP_LLM_QUOTA_MAX);
        }
    }
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

    limit = &quota->limits[NGX_HTTP_LLM_TOKENS];

    if (limit->guessed) {

        /* who tells of one limit tells of all that there are */

        ngx_memzero(limit, sizeof(ngx_http_llm_quota_limit_t));
    }

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


void
ngx_http_llm_quota_refused(ngx_http_llm_quota_t *quota, uint64_t tokens,
    const ngx_http_llm_mark_t *mark, ngx_msec_t now)
{
    int64_t                      span, sum, least;
    ngx_uint_t                   i;
    ngx_http_llm_quota_limit_t  *limit;

    quota->lost += tokens;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        if (quota->limits[i].limit && !quota->limits[i].guessed) {
            return;
        }
    }

    limit = &quota->limits[NGX_HTTP_LLM_TOKENS];

    if (quota->refused && (ngx_msec_int_t) (mark->at - quota->refused) < 0) {

        /* it was on its way, and had been counted as taken */

        quota->taken -= tokens;
        quota->sum -= (int64_t) tokens;

        ngx_http_llm_quota_guess(quota, limit);

        return;
    }

    if (quota->requests - quota->counted < NGX_HTTP_LLM_QUOTA_COUNT
        && limit->limit == 0)
    {
        quota->began = now;
        quota->counted = quota->requests;
        quota->taken = quota->tokens - quota->lost;

        return;
    }

    quota->counted = quota->requests;

    span = ngx_max(ngx_http_llm_quota_since(now, quota->began), 1);
    sum = (int64_t) (quota->tokens - quota->lost - quota->taken);
    sum = ngx_min(ngx_max(sum, 0), NGX_HTTP_LLM_QUOTA_MAX);

    if (sum == 0 && limit->limit == 0) {
        sum = (int64_t) ngx_min(tokens, (uint64_t) NGX_HTTP_LLM_QUOTA_MAX);
        span = NGX_HTTP_LLM_QUOTA_PAUSE;
    }

    if (span > NGX_HTTP_LLM_QUOTA_MINUTE && quota->refused) {

        /* it may have been full for a while: then it is more */

        sum = sum * NGX_HTTP_LLM_QUOTA_MINUTE / span;
        span = NGX_HTTP_LLM_QUOTA_MINUTE;
        least = limit->limit * 100 / NGX_HTTP_LLM_QUOTA_FASTER;
        sum = ngx_max(sum, least);

        quota->sum = 0;
        quota->span = 0;

    } else if (quota->first) {

        /* there was what nobody had used before */

        quota->sum = 0;
        quota->span = 0;
    }

    quota->first = (quota->refused == 0);

    if (quota->span > NGX_HTTP_LLM_QUOTA_MINUTE) {
        quota->sum /= 2;
        quota->span /= 2;
    }

    quota->sum += sum;
    quota->span += span;

    ngx_http_llm_quota_guess(quota, limit);

    if (limit->limit) {
        limit->base = 0;
        limit->mark = quota->tokens;
        limit->at = now;
        limit->window = NGX_HTTP_LLM_QUOTA_MINUTE;
        limit->full = now + limit->window;
        limit->fixed = 0;
    }

    quota->taken = quota->tokens - quota->lost;
    quota->began = now;
    quota->refused = now;
}


static void
ngx_http_llm_quota_guess(ngx_http_llm_quota_t *quota,
    ngx_http_llm_quota_limit_t *limit)
{
    int64_t  rate;

    rate = ngx_max(quota->sum, 1) * NGX_HTTP_LLM_QUOTA_MINUTE
           / (int64_t) quota->span;
    rate = ngx_min(rate, NGX_HTTP_LLM_QUOTA_MAX);

    limit->limit = rate * NGX_HTTP_LLM_QUOTA_GROWTH / 100 + 1;
    limit->guessed = 1;
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

        if (limit->limit == 0 || limit->guessed) {
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
