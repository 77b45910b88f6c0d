
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_select.h"


/* the pass of a key of weight 1 overflows after 2^40 of its turns */

#define NGX_HTTP_LLM_STRIDE    ((uint64_t) 1 << 24)

#define NGX_HTTP_LLM_SLEEPING  ((uint64_t) -1)


static ngx_int_t ngx_http_llm_select_tier(ngx_http_llm_wheel_t *wheel,
    ngx_uint_t tier, ngx_http_llm_usable_pt usable, void *data);
static ngx_int_t ngx_http_llm_select_scan(ngx_http_llm_wheel_t *wheel,
    ngx_uint_t from, ngx_uint_t to, ngx_http_llm_usable_pt usable, void *data);
static void ngx_http_llm_select_rouse(ngx_http_llm_wheel_t *wheel,
    ngx_http_llm_usable_pt usable, void *data);
static void ngx_http_llm_select_sleep(ngx_http_llm_wheel_t *wheel,
    ngx_uint_t i, ngx_msec_t until);
static void ngx_http_llm_select_resume(ngx_http_llm_wheel_t *wheel,
    ngx_uint_t i);


#define ngx_http_llm_select_tier_of(wheel, i)  ((i) >= (wheel)->primaries)


void
ngx_http_llm_select_init(ngx_http_llm_wheel_t *wheel)
{
    ngx_uint_t            i;
    ngx_http_llm_turn_t  *turn;

    wheel->now[0] = 0;
    wheel->now[1] = 0;
    wheel->wake = 0;
    wheel->sleepers = 0;

    for (i = 0; i < wheel->n; i++) {
        turn = &wheel->turns[i];

        /* half a stride ahead: the heavier go first, then all interleave */

        turn->pass = NGX_HTTP_LLM_STRIDE / turn->weight / 2;
        turn->rank = turn->pass;
    }
}


ngx_int_t
ngx_http_llm_select(ngx_http_llm_wheel_t *wheel, ngx_msec_t now,
    ngx_http_llm_usable_pt usable, void *data)
{
    ngx_int_t             i;
    ngx_http_llm_turn_t  *turn;

    if (wheel->sleepers && (ngx_msec_int_t) (now - wheel->wake) >= 0) {
        ngx_http_llm_select_rouse(wheel, usable, data);
    }

    i = ngx_http_llm_select_tier(wheel, 0, usable, data);

    if (i == NGX_BUSY) {
        i = ngx_http_llm_select_tier(wheel, 1, usable, data);
    }

    if (i == NGX_BUSY) {
        return NGX_BUSY;
    }

    turn = &wheel->turns[i];

    wheel->now[ngx_http_llm_select_tier_of(wheel, (ngx_uint_t) i)] =
                                                                  turn->pass;

    turn->pass += NGX_HTTP_LLM_STRIDE / turn->weight;
    turn->rank = turn->pass;

    return i;
}


void
ngx_http_llm_select_return(ngx_http_llm_wheel_t *wheel, ngx_uint_t i)
{
    ngx_http_llm_turn_t  *turn;

    turn = &wheel->turns[i];

    turn->pass -= NGX_HTTP_LLM_STRIDE / turn->weight;

    if (turn->rank != NGX_HTTP_LLM_SLEEPING) {
        turn->rank = turn->pass;
    }
}


static ngx_int_t
ngx_http_llm_select_tier(ngx_http_llm_wheel_t *wheel, ngx_uint_t tier,
    ngx_http_llm_usable_pt usable, void *data)
{
    uint64_t              best;
    ngx_uint_t            i, found, from, to;
    ngx_msec_t            until;
    ngx_http_llm_turn_t  *turns;

    from = (tier == 0) ? 0 : wheel->primaries;
    to = (tier == 0) ? wheel->primaries : wheel->n;

    turns = wheel->turns;

    for ( ;; ) {
        best = NGX_HTTP_LLM_SLEEPING;
        found = to;

        for (i = from; i < to; i++) {
            if (turns[i].rank < best) {
                best = turns[i].rank;
                found = i;
            }
        }

        if (found == to) {
            return NGX_BUSY;
        }

        switch (usable(data, found, &until)) {

        case NGX_OK:
            return found;

        case NGX_AGAIN:
            ngx_http_llm_select_sleep(wheel, found, until);
            break;

        default: /* NGX_DECLINED */
            return ngx_http_llm_select_scan(wheel, from, to, usable, data);
        }
    }
}


/* the slow way, for requests that cannot take the key whose turn it is */

static ngx_int_t
ngx_http_llm_select_scan(ngx_http_llm_wheel_t *wheel, ngx_uint_t from,
    ngx_uint_t to, ngx_http_llm_usable_pt usable, void *data)
{
    uint64_t    best;
    ngx_int_t   found;
    ngx_uint_t  i;
    ngx_msec_t  until;

    best = NGX_HTTP_LLM_SLEEPING;
    found = NGX_BUSY;

    for (i = from; i < to; i++) {

        if (wheel->turns[i].rank >= best) {
            continue;
        }

        switch (usable(data, i, &until)) {

        case NGX_OK:
            best = wheel->turns[i].rank;
            found = i;
            break;

        case NGX_AGAIN:
            ngx_http_llm_select_sleep(wheel, i, until);
            break;

        default: /* NGX_DECLINED */
            break;
        }
    }

    return found;
}


static void
ngx_http_llm_select_rouse(ngx_http_llm_wheel_t *wheel,
    ngx_http_llm_usable_pt usable, void *data)
{
    ngx_uint_t  i;
    ngx_msec_t  until;

    wheel->sleepers = 0;

    for (i = 0; i < wheel->n; i++) {

        if (wheel->turns[i].rank != NGX_HTTP_LLM_SLEEPING) {
            continue;
        }

        if (usable(data, i, &until) == NGX_AGAIN) {
            ngx_http_llm_select_sleep(wheel, i, until);

        } else {
            ngx_http_llm_select_resume(wheel, i);
        }
    }
}


static void
ngx_http_llm_select_sleep(ngx_http_llm_wheel_t *wheel, ngx_uint_t i,
    ngx_msec_t until)
{
    wheel->turns[i].rank = NGX_HTTP_LLM_SLEEPING;

    if (wheel->sleepers++ == 0
        || (ngx_msec_int_t) (until - wheel->wake) < 0)
    {
        wheel->wake = until;
    }
}


/* without arrears for the time away */

static void
ngx_http_llm_select_resume(ngx_http_llm_wheel_t *wheel, ngx_uint_t i)
{
    uint64_t              now;
    ngx_http_llm_turn_t  *turn;

    turn = &wheel->turns[i];
    now = wheel->now[ngx_http_llm_select_tier_of(wheel, i)];

    turn->pass = ngx_max(turn->pass, now);
    turn->rank = turn->pass;
}
