
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_select.h"


/* the choice under a clock of its own */

typedef struct {
    ngx_msec_t   now;
    ngx_msec_t   until[1000];        /* in the past: usable */
    ngx_uint_t   declined[1000];
    ngx_uint_t   asked;
} ngx_llm_unit_keys_t;


static ngx_llm_unit_keys_t   keys;
static ngx_http_llm_turn_t   turns[1000];
static ngx_http_llm_wheel_t  wheel;


static ngx_int_t
usable(void *data, ngx_uint_t i, ngx_msec_t *until)
{
    keys.asked++;

    if ((ngx_msec_int_t) (keys.now - keys.until[i]) < 0) {
        *until = keys.until[i];
        return NGX_AGAIN;
    }

    return keys.declined[i] ? NGX_DECLINED : NGX_OK;
}


static void
prepare(ngx_uint_t n, ngx_uint_t primaries, ngx_uint_t *weights)
{
    ngx_uint_t  i;

    ngx_memzero(&keys, sizeof(keys));
    ngx_memzero(turns, sizeof(turns));

    wheel.n = n;
    wheel.primaries = primaries;
    wheel.turns = turns;

    for (i = 0; i < n; i++) {
        turns[i].weight = weights ? weights[i] : 1;
    }

    ngx_http_llm_select_init(&wheel);
}


static ngx_int_t
take(void)
{
    return ngx_http_llm_select(&wheel, keys.now, usable, NULL);
}


static void
count(ngx_uint_t rounds, ngx_uint_t *n)
{
    ngx_int_t   i;
    ngx_uint_t  k;

    for (k = 0; k < wheel.n; k++) {
        n[k] = 0;
    }

    while (rounds--) {
        i = take();

        if (i != NGX_BUSY) {
            n[i]++;
        }
    }
}


void
ngx_llm_unit_select(ngx_pool_t *pool)
{
    char         order[16];
    uint64_t     before;
    ngx_int_t    last;
    ngx_uint_t   i, n[1000], run, longest;
    ngx_uint_t   three_two_one[] = { 3, 2, 1 };
    ngx_uint_t   five_one_one[] = { 5, 1, 1 };
    ngx_uint_t   extreme[] = { NGX_HTTP_LLM_MAX_WEIGHT, 1 };

    prepare(3, 3, three_two_one);
    count(6000, n);
    ngx_llm_unit_ok(n[0] == 3000 && n[1] == 2000 && n[2] == 1000,
                    "select: 3:2:1 exactly, %ui %ui %ui", n[0], n[1], n[2]);

    /* smooth: the heavy one does not take all its turns at once */

    prepare(3, 3, five_one_one);

    for (i = 0; i < 7; i++) {
        order[i] = 'a' + take();
    }

    order[7] = '\0';
    longest = 0;
    run = 0;
    last = -1;

    for (i = 0; i < 7000; i++) {
        ngx_int_t  k = take();

        run = (k == last) ? run + 1 : 1;
        longest = ngx_max(longest, run);
        last = k;
    }

    ngx_llm_unit_ok(longest <= 5, "select: 5:1:1 smooth, %s, run of %ui",
                    order, longest);

    prepare(2, 2, extreme);
    count(65536, n);
    ngx_llm_unit_ok(n[1] == 1 || n[1] == 2, "select: extreme weights, %ui",
                    n[1]);

    prepare(1000, 1000, NULL);
    count(3000, n);

    for (i = 0; i < 1000 && n[i] == 3; i++) { /* void */ }

    ngx_llm_unit_ok(i == 1000, "select: 1000 keys in turn");
    ngx_llm_unit_ok(keys.asked == 3000, "select: one question a choice");

    /* one that is out sleeps and is not asked again */

    prepare(3, 3, NULL);
    keys.now = 1000;
    keys.until[1] = 6000;
    count(100, n);
    ngx_llm_unit_ok(n[1] == 0 && n[0] == 50 && n[2] == 50,
                    "select: one is out");
    ngx_llm_unit_ok(keys.asked == 101, "select: and asked once, %ui",
                    keys.asked);

    keys.now = 5999;
    count(10, n);
    ngx_llm_unit_ok(n[1] == 0, "select: until its time");

    keys.now = 6000;
    count(30, n);
    ngx_llm_unit_ok(n[1] >= 10 && n[1] <= 11, "select: then it takes its turn "
                    "and no more, %ui", n[1]);

    /* its time was put off meanwhile */

    prepare(2, 2, NULL);
    keys.now = 1000;
    keys.until[0] = 2000;
    count(2, n);
    keys.until[0] = 9000;
    keys.now = 3000;
    count(10, n);
    ngx_llm_unit_ok(n[0] == 0 && n[1] == 10, "select: put off");

    /* the clock of milliseconds wraps around */

    prepare(2, 2, NULL);
    keys.now = (ngx_msec_t) -1000;
    keys.until[0] = 500;
    keys.until[1] = (ngx_msec_t) -2000;
    count(4, n);
    ngx_llm_unit_ok(n[0] == 0 && n[1] == 4, "select: before the clock wraps");
    keys.now = 500;
    count(4, n);
    ngx_llm_unit_ok(n[0] == 2 || n[0] == 3, "select: after it, %ui", n[0]);

    /* all of them */

    prepare(3, 3, NULL);
    keys.now = 1000;
    keys.until[0] = 3000;
    keys.until[1] = 2000;
    keys.until[2] = 4000;
    ngx_llm_unit_ok(take() == NGX_BUSY, "select: all are out");
    ngx_llm_unit_ok(wheel.wake == 2000, "select: the first return");
    keys.now = 2000;
    ngx_llm_unit_ok(take() == 1, "select: that one");

    /* not for this request: the turn is kept */

    prepare(3, 3, NULL);
    keys.declined[0] = 1;
    ngx_llm_unit_ok(take() == 1 && take() == 2, "select: declined");
    keys.declined[0] = 0;
    ngx_llm_unit_ok(take() == 0, "select: its turn comes first then");

    keys.declined[0] = 1;
    keys.declined[1] = 1;
    keys.declined[2] = 1;
    ngx_llm_unit_ok(take() == NGX_BUSY, "select: all declined");

    /* tiers */

    prepare(4, 2, NULL);
    count(10, n);
    ngx_llm_unit_ok(n[2] == 0 && n[3] == 0, "select: no backup");

    keys.now = 1000;
    keys.until[0] = 2000;
    keys.until[1] = 2000;
    count(10, n);
    ngx_llm_unit_ok(n[2] == 5 && n[3] == 5, "select: backup");

    keys.now = 2000;
    count(10, n);
    ngx_llm_unit_ok(n[0] == 5 && n[1] == 5, "select: the first tier again");

    /* a turn that was given back */

    prepare(3, 3, NULL);
    before = turns[0].pass;
    ngx_llm_unit_ok(take() == 0, "select: taken");
    ngx_http_llm_select_return(&wheel, 0);
    ngx_llm_unit_ok(turns[0].pass == before && take() == 0,
                    "select: given back");
}
