
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_lane.h"


/* the pass of a key of weight 1 overflows after 2^40 of its turns */

#define NGX_HTTP_LLM_LANE_STRIDE    ((uint64_t) 1 << 24)

/* so many may decline one after the other before all are looked at at once */

#define NGX_HTTP_LLM_LANE_DECLINED  16


static ngx_int_t ngx_http_llm_lane_scan(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask);
static void ngx_http_llm_lane_wake(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_msec_t now);
static void ngx_http_llm_lane_sleep(ngx_http_llm_lane_t *lane, ngx_uint_t i,
    ngx_msec_t until);

#define ngx_http_llm_lane_tier(order)                                         \
    ((order) >= NGX_HTTP_LLM_LANE_BACKUP)


size_t
ngx_http_llm_lane_size(ngx_uint_t n)
{
    return n * sizeof(uint64_t) + 2 * ngx_http_llm_rank_size(n);
}


void
ngx_http_llm_lane_init(ngx_http_llm_lane_t *lane, ngx_uint_t n,
    ngx_http_llm_lane_ask_t *ask, void *memory)
{
    u_char      *p;
    ngx_uint_t   i;

    lane->n = n;
    lane->now[0] = 0;
    lane->now[1] = 0;

    p = memory;

    lane->passes = (uint64_t *) p;
    p += n * sizeof(uint64_t);

    ngx_http_llm_rank_init(&lane->ready, n, p);
    p += ngx_http_llm_rank_size(n);

    ngx_http_llm_rank_init(&lane->asleep, n, p);

    for (i = 0; i < n; i++) {

        /* half a stride ahead: the heavier go first, then all interleave */

        lane->passes[i] = NGX_HTTP_LLM_LANE_STRIDE
                          / ask->weight(ask->data, i) / 2;

        ngx_http_llm_rank_set(&lane->ready, i, ask->order(ask->data, i),
                              lane->passes[i]);
    }
}


ngx_int_t
ngx_http_llm_lane_choose(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_msec_t now)
{
    uint64_t    order;
    ngx_int_t   i;
    ngx_uint_t  n, declined[NGX_HTTP_LLM_LANE_DECLINED];
    ngx_msec_t  until;

    ngx_http_llm_lane_wake(lane, ask, now);

    n = 0;

    for ( ;; ) {
        i = ngx_http_llm_rank_first(&lane->ready);

        if (i == NGX_DECLINED) {
            i = NGX_BUSY;
            break;
        }

        /* what others did has changed its place, but nobody told */

        order = ask->order(ask->data, i);

        if (order > lane->ready.scores[i].major) {
            ngx_http_llm_rank_set(&lane->ready, i, order, lane->passes[i]);
            continue;
        }

        switch (ask->usable(ask->data, i, &until)) {

        case NGX_OK:
            ngx_http_llm_lane_take(lane, ask, i);
            goto done;

        case NGX_AGAIN:
            ngx_http_llm_lane_sleep(lane, i, until);
            continue;

        default: /* NGX_DECLINED */
            break;
        }

        if (n == NGX_HTTP_LLM_LANE_DECLINED) {
            i = ngx_http_llm_lane_scan(lane, ask);
            goto done;
        }

        declined[n++] = i;

        ngx_http_llm_rank_remove(&lane->ready, i);
    }

done:

    while (n) {
        ngx_http_llm_lane_update(lane, ask, declined[--n]);
    }

    return i;
}


/* the slow way, for requests that few keys are for */

static ngx_int_t
ngx_http_llm_lane_scan(ngx_http_llm_lane_t *lane, ngx_http_llm_lane_ask_t *ask)
{
    ngx_int_t             found;
    ngx_uint_t            i;
    ngx_msec_t            until;
    ngx_http_llm_score_t  best, *score;

    best.major = NGX_HTTP_LLM_RANK_ABSENT;
    best.minor = 0;
    found = NGX_BUSY;

    for (i = 0; i < lane->n; i++) {
        score = &lane->ready.scores[i];

        if (score->major > best.major
            || (score->major == best.major && score->minor >= best.minor))
        {
            continue;
        }

        switch (ask->usable(ask->data, i, &until)) {

        case NGX_OK:
            best = *score;
            found = i;
            break;

        case NGX_AGAIN:
            ngx_http_llm_lane_sleep(lane, i, until);
            break;

        default: /* NGX_DECLINED */
            break;
        }
    }

    if (found != NGX_BUSY) {
        ngx_http_llm_lane_take(lane, ask, found);
    }

    return found;
}


void
ngx_http_llm_lane_take(ngx_http_llm_lane_t *lane, ngx_http_llm_lane_ask_t *ask,
    ngx_uint_t i)
{
    uint64_t    order;
    ngx_uint_t  tier;

    order = ask->order(ask->data, i);
    tier = ngx_http_llm_lane_tier(order);

    /* nor does one have arrears while others were preferred */

    lane->now[tier] = ngx_max(lane->now[tier], lane->passes[i]);
    lane->passes[i] = lane->now[tier]
                      + NGX_HTTP_LLM_LANE_STRIDE / ask->weight(ask->data, i);

    ngx_http_llm_rank_set(&lane->ready, i, order, lane->passes[i]);
}


void
ngx_http_llm_lane_return(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_uint_t i)
{
    lane->passes[i] -= NGX_HTTP_LLM_LANE_STRIDE / ask->weight(ask->data, i);

    if (lane->ready.scores[i].major != NGX_HTTP_LLM_RANK_ABSENT) {
        ngx_http_llm_rank_set(&lane->ready, i, ask->order(ask->data, i),
                              lane->passes[i]);
    }
}


/* without arrears for the time away */

void
ngx_http_llm_lane_update(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_uint_t i)
{
    uint64_t  order, now;

    order = ask->order(ask->data, i);

    if (lane->asleep.scores[i].major != NGX_HTTP_LLM_RANK_ABSENT) {
        ngx_http_llm_rank_remove(&lane->asleep, i);

        now = lane->now[ngx_http_llm_lane_tier(order)];
        lane->passes[i] = ngx_max(lane->passes[i], now);
    }

    ngx_http_llm_rank_set(&lane->ready, i, order, lane->passes[i]);
}


static void
ngx_http_llm_lane_wake(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_msec_t now)
{
    ngx_int_t  i;

    for ( ;; ) {
        i = ngx_http_llm_rank_first(&lane->asleep);

        if (i == NGX_DECLINED || lane->asleep.scores[i].major > now) {
            return;
        }

        ngx_http_llm_lane_update(lane, ask, i);
    }
}


static void
ngx_http_llm_lane_sleep(ngx_http_llm_lane_t *lane, ngx_uint_t i,
    ngx_msec_t until)
{
    ngx_http_llm_rank_remove(&lane->ready, i);
    ngx_http_llm_rank_set(&lane->asleep, i, until, 0);
}
