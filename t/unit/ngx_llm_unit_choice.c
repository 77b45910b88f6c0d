
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_hash.h"
#include "../../src/ngx_http_llm_lane.h"
#include "../../src/ngx_http_llm_node.h"
#include "../../src/ngx_http_llm_rendezvous.h"
#include "../../src/ngx_http_llm_window.h"
#include "../../src/ngx_http_llm_zone.h"


#define KEYS  1000


/* what a lane is told of its keys, under a clock of the test's own */

typedef struct {
    ngx_uint_t           n;
    ngx_msec_t           now;
    uint32_t             weights[KEYS];
    uint64_t             orders[KEYS];
    ngx_msec_t           until[KEYS];      /* in the past: usable */
    ngx_uint_t           declined[KEYS];
    ngx_uint_t           asked;
    ngx_http_llm_lane_t  lane;
} keys_t;


static void rank_against_reference(ngx_pool_t *pool, ngx_uint_t n);
static ngx_int_t reference(ngx_http_llm_score_t *scores, ngx_uint_t n);
static void lane_shares(ngx_pool_t *pool);
static void lane_sleep(ngx_pool_t *pool);
static void lane_declined(ngx_pool_t *pool);
static void lane_tiers(ngx_pool_t *pool);
static void lane_turns(ngx_pool_t *pool);
static void lane_orders(ngx_pool_t *pool);
static uint32_t weight(void *data, ngx_uint_t i);
static uint64_t order(void *data, ngx_uint_t i);
static ngx_int_t usable(void *data, ngx_uint_t i, ngx_msec_t *until);
static ngx_uint_t prepare(ngx_pool_t *pool, ngx_uint_t n, uint32_t *weights);
static ngx_int_t take(void);
static void count(ngx_uint_t rounds, ngx_uint_t *n);
static uint64_t draw(uint64_t range);
static void rendezvous_start(ngx_http_llm_rendezvous_t *homes, ngx_uint_t n,
    uint32_t *shares, void *memory);
static ngx_uint_t in(void *data, ngx_uint_t i);
static ngx_int_t home(ngx_http_llm_rendezvous_t *homes, ngx_uint_t n);
static void rendezvous_shares(ngx_pool_t *pool);
static void rendezvous_moves(ngx_pool_t *pool);
static void tell(ngx_http_llm_told_t *told, int64_t limit, int64_t remaining,
    ngx_msec_t reset, ngx_uint_t fixed);
static void quota_told(void);
static void quota_guessed(void);
static void window_brute_force(void);
static ngx_msec_t refuse(ngx_http_llm_node_t *node, ngx_uint_t state,
    ngx_msec_t begun, ngx_msec_t now, ngx_msec_t told);
static void node_cooling(void);
static void node_finished(void);
static void node_upstream(void);


static keys_t    keys;
static uint64_t  seed;

static ngx_http_llm_lane_ask_t  ask = { weight, order, usable, &keys };


void
ngx_llm_unit_choice(ngx_pool_t *pool)
{
    rank_against_reference(pool, 1);
    rank_against_reference(pool, 2);
    rank_against_reference(pool, 3);
    rank_against_reference(pool, 7);
    rank_against_reference(pool, 64);
    rank_against_reference(pool, 100);

    lane_shares(pool);
    lane_sleep(pool);
    lane_declined(pool);
    lane_tiers(pool);
    lane_turns(pool);
    lane_orders(pool);

    rendezvous_shares(pool);
    rendezvous_moves(pool);

    quota_told();
    quota_guessed();

    window_brute_force();

    node_cooling();
    node_finished();
    node_upstream();
}


/* the same numbers in every run */

static uint64_t
draw(uint64_t range)
{
    return ngx_http_llm_hash_final(++seed) % range;
}


static void
rank_against_reference(ngx_pool_t *pool, ngx_uint_t n)
{
    void                  *memory;
    uint64_t               major, minor;
    ngx_uint_t             i, round, wrong;
    ngx_http_llm_rank_t    rank;
    ngx_http_llm_score_t  *scores;

    memory = ngx_palloc(pool, ngx_http_llm_rank_size(n) + 8);
    scores = ngx_palloc(pool, n * sizeof(ngx_http_llm_score_t));

    if (memory == NULL || scores == NULL) {
        ngx_llm_unit_ok(0, "rank: memory");
        return;
    }

    /* it does not write behind its end */

    ngx_memset((u_char *) memory + ngx_http_llm_rank_size(n), 0x5a, 8);

    ngx_http_llm_rank_init(&rank, n, memory);

    wrong = ngx_http_llm_rank_first(&rank) != NGX_DECLINED;

    for (i = 0; i < n; i++) {
        scores[i].major = NGX_HTTP_LLM_RANK_ABSENT;
    }

    seed = n;

    for (round = 0; round < 5000; round++) {
        i = (ngx_uint_t) draw(n);

        /* so few values that many are alike */

        major = draw(4) ? draw(5) : NGX_HTTP_LLM_RANK_ABSENT;
        minor = draw(3);

        scores[i].major = major;
        scores[i].minor = minor;

        ngx_http_llm_rank_set(&rank, i, major, minor);

        wrong += ngx_http_llm_rank_first(&rank) != reference(scores, n);
    }

    for (i = 0; i < n; i++) {
        ngx_http_llm_rank_remove(&rank, i);
    }

    wrong += ngx_http_llm_rank_first(&rank) != NGX_DECLINED;

    for (i = 0; i < 8; i++) {
        wrong += ((u_char *) memory)[ngx_http_llm_rank_size(n) + i] != 0x5a;
    }

    ngx_llm_unit_ok(wrong == 0, "rank: %ui as by the reference, %ui wrong", n,
                    wrong);
}


static ngx_int_t
reference(ngx_http_llm_score_t *scores, ngx_uint_t n)
{
    ngx_int_t   first;
    ngx_uint_t  i;

    first = NGX_DECLINED;

    for (i = 0; i < n; i++) {

        if (scores[i].major == NGX_HTTP_LLM_RANK_ABSENT) {
            continue;
        }

        if (first == NGX_DECLINED
            || scores[i].major < scores[first].major
            || (scores[i].major == scores[first].major
                && scores[i].minor < scores[first].minor))
        {
            first = (ngx_int_t) i;
        }
    }

    return first;
}


static uint32_t
weight(void *data, ngx_uint_t i)
{
    return ((keys_t *) data)->weights[i];
}


static uint64_t
order(void *data, ngx_uint_t i)
{
    return ((keys_t *) data)->orders[i];
}


static ngx_int_t
usable(void *data, ngx_uint_t i, ngx_msec_t *until)
{
    keys.asked++;

    if (keys.now < keys.until[i]) {
        *until = keys.until[i];
        return NGX_AGAIN;
    }

    return keys.declined[i] ? NGX_DECLINED : NGX_OK;
}


static ngx_uint_t
prepare(ngx_pool_t *pool, ngx_uint_t n, uint32_t *weights)
{
    void        *memory;
    ngx_uint_t   i;

    memory = ngx_palloc(pool, ngx_http_llm_lane_size(n));

    if (memory == NULL) {
        ngx_llm_unit_ok(0, "lane: memory");
        return NGX_ERROR;
    }

    ngx_memzero(&keys, sizeof(keys));

    keys.n = n;
    keys.now = 1000;

    for (i = 0; i < n; i++) {
        keys.weights[i] = weights ? weights[i] : 1;
    }

    ngx_http_llm_lane_init(&keys.lane, n, &ask, memory);

    return NGX_OK;
}


static ngx_int_t
take(void)
{
    return ngx_http_llm_lane_choose(&keys.lane, &ask, keys.now);
}


static void
count(ngx_uint_t rounds, ngx_uint_t *n)
{
    ngx_int_t  i;

    ngx_memzero(n, keys.n * sizeof(ngx_uint_t));

    while (rounds--) {
        i = take();

        if (i != NGX_BUSY) {
            n[i]++;
        }
    }
}


static void
lane_shares(ngx_pool_t *pool)
{
    char        letters[16];
    ngx_int_t   k, last;
    ngx_uint_t  i, n[KEYS], run, longest;
    uint32_t    three_two_one[] = { 3, 2, 1 };
    uint32_t    five_one_one[] = { 5, 1, 1 };
    uint32_t    extreme[] = { NGX_HTTP_LLM_MAX_WEIGHT, 1 };

    if (prepare(pool, 3, three_two_one) != NGX_OK) {
        return;
    }

    count(6000, n);

    ngx_llm_unit_ok(n[0] == 3000 && n[1] == 2000 && n[2] == 1000,
                    "lane: 3:2:1 exactly, %ui %ui %ui", n[0], n[1], n[2]);

    /* smooth: the heavy one does not take all its turns at once */

    if (prepare(pool, 3, five_one_one) != NGX_OK) {
        return;
    }

    for (i = 0; i < 7; i++) {
        letters[i] = 'a' + take();
    }

    letters[7] = '\0';
    longest = 0;
    run = 0;
    last = -1;

    for (i = 0; i < 7000; i++) {
        k = take();

        run = (k == last) ? run + 1 : 1;
        longest = ngx_max(longest, run);
        last = k;
    }

    ngx_llm_unit_ok(longest <= 5, "lane: 5:1:1 smooth, %s, run of %ui",
                    letters, longest);

    if (prepare(pool, 2, extreme) != NGX_OK) {
        return;
    }

    count(65536, n);
    ngx_llm_unit_ok(n[1] == 1 || n[1] == 2, "lane: extreme weights, %ui",
                    n[1]);

    if (prepare(pool, KEYS, NULL) != NGX_OK) {
        return;
    }

    count(3 * KEYS, n);

    for (i = 0; i < KEYS && n[i] == 3; i++) { /* void */ }

    ngx_llm_unit_ok(i == KEYS, "lane: 1000 keys in turn");
    ngx_llm_unit_ok(keys.asked == 3 * KEYS, "lane: one question a choice");

    if (prepare(pool, 1, NULL) != NGX_OK) {
        return;
    }

    ngx_llm_unit_ok(take() == 0 && take() == 0, "lane: one key");
}


static void
lane_sleep(ngx_pool_t *pool)
{
    ngx_uint_t  n[KEYS];

    if (prepare(pool, 3, NULL) != NGX_OK) {
        return;
    }

    keys.until[1] = 6000;
    count(100, n);
    ngx_llm_unit_ok(n[1] == 0 && n[0] == 50 && n[2] == 50,
                    "lane: one is out");
    ngx_llm_unit_ok(keys.asked == 101, "lane: and asked once, %ui",
                    keys.asked);

    keys.now = 5999;
    count(10, n);
    ngx_llm_unit_ok(n[1] == 0, "lane: until its time");

    keys.now = 6000;
    count(30, n);
    ngx_llm_unit_ok(n[1] >= 10 && n[1] <= 11, "lane: then it takes its turn "
                    "and no more, %ui", n[1]);

    /* its time was put off meanwhile */

    if (prepare(pool, 2, NULL) != NGX_OK) {
        return;
    }

    keys.until[0] = 2000;
    count(2, n);
    keys.until[0] = 9000;
    keys.now = 3000;
    count(10, n);
    ngx_llm_unit_ok(n[0] == 0 && n[1] == 10, "lane: put off");

    /* or it is back earlier, and somebody says so */

    keys.until[0] = 0;
    ngx_http_llm_lane_update(&keys.lane, &ask, 0);
    count(10, n);
    ngx_llm_unit_ok(n[0] >= 5 && n[0] <= 6, "lane: woken without arrears, %ui",
                    n[0]);

    if (prepare(pool, 3, NULL) != NGX_OK) {
        return;
    }

    keys.until[0] = 3000;
    keys.until[1] = 2000;
    keys.until[2] = 4000;
    ngx_llm_unit_ok(take() == NGX_BUSY, "lane: all are out");

    keys.asked = 0;
    ngx_llm_unit_ok(take() == NGX_BUSY && keys.asked == 0,
                    "lane: and nobody is asked");

    keys.now = 2000;
    ngx_llm_unit_ok(take() == 1, "lane: the first one back");
}


static void
lane_declined(ngx_pool_t *pool)
{
    ngx_uint_t  i, n[KEYS];

    if (prepare(pool, 3, NULL) != NGX_OK) {
        return;
    }

    /* not for this request: the turn is kept */

    keys.declined[0] = 1;
    ngx_llm_unit_ok(take() == 1 && take() == 2, "lane: declined");
    keys.declined[0] = 0;
    ngx_llm_unit_ok(take() == 0, "lane: its turn comes first then");

    keys.declined[0] = 1;
    keys.declined[1] = 1;
    keys.declined[2] = 1;
    ngx_llm_unit_ok(take() == NGX_BUSY, "lane: all declined");

    keys.declined[1] = 0;
    ngx_llm_unit_ok(take() == 1, "lane: and none is lost by that");

    /* one that few are for looks at all of them */

    if (prepare(pool, KEYS, NULL) != NGX_OK) {
        return;
    }

    for (i = 0; i < KEYS; i++) {
        keys.declined[i] = (i != 700 && i != 900);
    }

    keys.until[900] = 2000;

    ngx_llm_unit_ok(take() == 700 && take() == 700, "lane: one of many");
    ngx_llm_unit_ok(keys.asked < 2 * KEYS + 40, "lane: asked %ui times",
                    keys.asked);

    keys.now = 2000;
    ngx_llm_unit_ok(take() == 900, "lane: another one");

    keys.declined[700] = 1;
    keys.declined[900] = 1;
    ngx_llm_unit_ok(take() == NGX_BUSY, "lane: none of many");

    ngx_memzero(keys.declined, sizeof(keys.declined));
    count(4 * KEYS, n);

    for (i = 0; i < KEYS && n[i] >= 2 && n[i] <= 5; i++) { /* void */ }

    ngx_llm_unit_ok(i == KEYS, "lane: all are there again");
}


static void
lane_tiers(ngx_pool_t *pool)
{
    ngx_uint_t  n[KEYS];

    if (prepare(pool, 4, NULL) != NGX_OK) {
        return;
    }

    keys.orders[2] = NGX_HTTP_LLM_LANE_BACKUP;
    keys.orders[3] = NGX_HTTP_LLM_LANE_BACKUP;

    ngx_http_llm_lane_update(&keys.lane, &ask, 2);
    ngx_http_llm_lane_update(&keys.lane, &ask, 3);

    count(10, n);
    ngx_llm_unit_ok(n[2] == 0 && n[3] == 0, "lane: no backup");

    keys.until[0] = 2000;
    keys.until[1] = 2000;
    count(10, n);
    ngx_llm_unit_ok(n[2] == 5 && n[3] == 5, "lane: backup");

    keys.now = 2000;
    count(10, n);
    ngx_llm_unit_ok(n[0] == 5 && n[1] == 5, "lane: the first tier again");
}


static void
lane_turns(ngx_pool_t *pool)
{
    uint64_t    before;
    ngx_uint_t  n[KEYS];

    if (prepare(pool, 3, NULL) != NGX_OK) {
        return;
    }

    before = keys.lane.passes[0];
    ngx_llm_unit_ok(take() == 0, "lane: taken");
    ngx_http_llm_lane_return(&keys.lane, &ask, 0);
    ngx_llm_unit_ok(keys.lane.passes[0] == before && take() == 0,
                    "lane: given back");

    /* one that sleeps when its turn is given back goes on sleeping */

    keys.until[1] = 5000;
    count(4, n);
    ngx_http_llm_lane_return(&keys.lane, &ask, 1);
    keys.asked = 0;
    count(4, n);
    ngx_llm_unit_ok(n[1] == 0 && keys.asked == 4, "lane: given back asleep");

    /* taken in another way counts as well */

    if (prepare(pool, 2, NULL) != NGX_OK) {
        return;
    }

    ngx_http_llm_lane_take(&keys.lane, &ask, 0);
    ngx_http_llm_lane_take(&keys.lane, &ask, 0);
    ngx_llm_unit_ok(take() == 1, "lane: counts other turns");
}


static void
lane_orders(ngx_pool_t *pool)
{
    ngx_int_t   i;
    ngx_uint_t  k, n[KEYS], wrong;

    if (prepare(pool, 5, NULL) != NGX_OK) {
        return;
    }

    /* each use moves it back: as by the fewest in flight */

    wrong = 0;

    for (k = 0; k < 1000; k++) {
        i = take();

        wrong += keys.orders[i] > k / 5;

        keys.orders[i]++;
        ngx_http_llm_lane_update(&keys.lane, &ask, i);
    }

    ngx_llm_unit_ok(wrong == 0, "lane: the smallest order first");

    /* it moved back, and nobody told */

    keys.orders[0] += 2;
    count(4, n);
    ngx_llm_unit_ok(n[0] == 0, "lane: a place that was not told");

    keys.orders[3] = 1;
    ngx_http_llm_lane_update(&keys.lane, &ask, 3);
    ngx_llm_unit_ok(take() == 3, "lane: a place that was told");
}


static void
rendezvous_start(ngx_http_llm_rendezvous_t *homes, ngx_uint_t n,
    uint32_t *shares, void *memory)
{
    ngx_uint_t  i;

    ngx_http_llm_rendezvous_init(homes, n, memory);

    for (i = 0; i < n; i++) {
        homes->names[i].name = ngx_http_llm_hash_final(i + 1);
        homes->names[i].weight = shares ? shares[i] : 10;
        homes->names[i].i = (uint32_t) i;
    }

    ngx_http_llm_rendezvous_build(homes);
}


static ngx_uint_t
in(void *data, ngx_uint_t i)
{
    return keys.declined[i] == 0;
}


static ngx_int_t
home(ngx_http_llm_rendezvous_t *homes, ngx_uint_t n)
{
    return ngx_http_llm_rendezvous_choose(homes,
                                          ngx_http_llm_hash_final(n + 12345),
                                          in, NULL);
}


static void
rendezvous_shares(ngx_pool_t *pool)
{
    void                       *memory;
    ngx_int_t                   k;
    ngx_uint_t                  i, n[KEYS], wrong;
    ngx_http_llm_rendezvous_t   homes;
    uint32_t                    shares[] = { 800, 300, 300, 500, 400, 300, 200,
                                             200, 100 };

    static ngx_uint_t           sizes[] = { 1, 2, 3, 1000 };

    ngx_memzero(&keys, sizeof(keys));

    memory = ngx_palloc(pool, ngx_http_llm_rendezvous_size(KEYS));
    if (memory == NULL) {
        ngx_llm_unit_ok(0, "rendezvous: memory");
        return;
    }

    rendezvous_start(&homes, 9, shares, memory);
    ngx_memzero(n, sizeof(n));

    for (i = 0; i < 310000; i++) {
        k = home(&homes, i);
        n[k]++;
    }

    wrong = 0;

    for (i = 0; i < 9; i++) {
        wrong += n[i] < shares[i] * 95 || n[i] > shares[i] * 105;
    }

    ngx_llm_unit_ok(wrong == 0, "rendezvous: by weight, %ui %ui %ui .. %ui",
                    n[0], n[1], n[2], n[8]);

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rendezvous_start(&homes, sizes[i], NULL, memory);
        ngx_memzero(n, sizeof(n));

        for (wrong = 0, k = 0; k < 100000; k++) {
            n[home(&homes, k)]++;
        }

        for (k = 0; k < (ngx_int_t) sizes[i]; k++) {
            wrong += n[k] < 50000 / sizes[i] || n[k] > 150000 / sizes[i];
        }

        ngx_llm_unit_ok(wrong == 0, "rendezvous: %ui alike", sizes[i]);
    }

    for (i = 0; i < KEYS; i++) {
        ngx_http_llm_rendezvous_weigh(&homes, i, 0);
    }

    ngx_llm_unit_ok(home(&homes, 1) == NGX_BUSY, "rendezvous: no weight");

    ngx_http_llm_rendezvous_weigh(&homes, 77, 1);
    ngx_llm_unit_ok(home(&homes, 1) == 77 && home(&homes, 2) == 77,
                    "rendezvous: all to the only one");

    keys.declined[77] = 1;
    ngx_llm_unit_ok(home(&homes, 1) == NGX_BUSY, "rendezvous: nobody usable");
}


static void
rendezvous_moves(ngx_pool_t *pool)
{
    void                       *memory;
    ngx_int_t                   was, is;
    ngx_uint_t                  i, moved, wrong, back;
    ngx_http_llm_rendezvous_t   homes;

    ngx_memzero(&keys, sizeof(keys));

    memory = ngx_palloc(pool, ngx_http_llm_rendezvous_size(KEYS));
    if (memory == NULL) {
        ngx_llm_unit_ok(0, "rendezvous: memory");
        return;
    }

    /* one is out for a while */

    rendezvous_start(&homes, 20, NULL, memory);

    moved = 0;
    wrong = 0;
    back = 0;

    for (i = 0; i < 20000; i++) {
        keys.declined[7] = 0;
        was = home(&homes, i);
        keys.declined[7] = 1;
        is = home(&homes, i);

        moved += is != was;
        wrong += is == 7 || (is != was && was != 7);

        keys.declined[7] = 0;
        back += home(&homes, i) == was;
    }

    ngx_llm_unit_ok(wrong == 0 && moved > 800 && moved < 1200,
                    "rendezvous: only its own move, %ui", moved);
    ngx_llm_unit_ok(back == 20000, "rendezvous: and return");

    /* one comes: it takes its share, and others stay or go to it */

    moved = 0;
    wrong = 0;

    for (i = 0; i < 20000; i++) {
        ngx_http_llm_rendezvous_weigh(&homes, 3, 0);
        was = home(&homes, i);
        ngx_http_llm_rendezvous_weigh(&homes, 3, 10);
        is = home(&homes, i);

        moved += is == 3;
        wrong += is != 3 && is != was;
    }

    ngx_llm_unit_ok(moved > 800 && moved < 1200,
                    "rendezvous: a new one has its share, %ui", moved);
    ngx_llm_unit_ok(wrong < 2500, "rendezvous: few others move, %ui", wrong);

    /* those of one name stand for each other */

    homes.names[4].name = homes.names[5].name;
    ngx_http_llm_rendezvous_build(&homes);

    is = homes.names[4].i;
    was = homes.names[5].i;
    wrong = 0;
    moved = 0;

    for (i = 0; i < 5000; i++) {
        keys.declined[is] = 0;

        if (home(&homes, i) != is) {
            continue;
        }

        moved++;
        keys.declined[is] = 1;
        wrong += home(&homes, i) != was;
    }

    ngx_llm_unit_ok(moved > 300 && wrong == 0, "rendezvous: one name, %ui",
                    moved);
}


static void
tell(ngx_http_llm_told_t *told, int64_t limit, int64_t remaining,
    ngx_msec_t reset, ngx_uint_t fixed)
{
    ngx_http_llm_told_limit_t  *l;

    ngx_memzero(told, sizeof(ngx_http_llm_told_t));

    l = &told->limits[NGX_HTTP_LLM_TOKENS];
    l->limit = limit;
    l->remaining = remaining;
    l->reset = reset;
    l->limited = 1;
    l->remains = 1;
    l->resets = (reset != 0);
    l->fixed = fixed;
}


static void
quota_told(void)
{
    ngx_int_t             first, second;
    ngx_msec_t            until;
    ngx_uint_t            i;
    ngx_http_llm_mark_t   mark, later;
    ngx_http_llm_told_t   told;
    ngx_http_llm_quota_t  quota;

    ngx_memzero(&quota, sizeof(quota));

    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 1000000, 1, 5000, &until)
                    == NGX_OK && ngx_http_llm_quota_order(&quota) == 0,
                    "quota: nothing is known");

    /* 6000 a minute are 100 a second */

    ngx_http_llm_quota_spend(&quota, 1000, 5000, &mark);
    tell(&told, 6000, 1000, 50000, 0);
    ngx_http_llm_quota_learn(&quota, &told, &mark);

    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 500, 1, 5000, &until)
                    == NGX_OK, "quota: so much is left");

    first = ngx_http_llm_quota_room(&quota, 2000, 1, 5000, &until);
    second = ngx_http_llm_quota_room(&quota, 2000, 1, until, &until);
    ngx_llm_unit_ok(first == NGX_DECLINED && second == NGX_OK
                    && until > 14000 && until < 18000,
                    "quota: and more at %M", until);

    ngx_http_llm_quota_spend(&quota, 700, 5000, &later);
    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 500, 1, 5000, &until)
                    == NGX_DECLINED, "quota: it is spent");

    ngx_http_llm_quota_refund(&quota, 700);
    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 500, 1, 5000, &until)
                    == NGX_OK, "quota: it is given back");

    /* the later one is answered first */

    tell(&told, 6000, 5000, 10000, 0);
    ngx_http_llm_quota_learn(&quota, &told, &later);
    tell(&told, 6000, 0, 60000, 0);
    ngx_http_llm_quota_learn(&quota, &told, &mark);
    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 2500, 1, 5000, &until)
                    == NGX_OK, "quota: what is older tells nothing");

    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 3000, 2, 5000, &until)
                    == NGX_OK
                    && ngx_http_llm_quota_order(&quota) == 5000 + 10000,
                    "quota: the order");

    /* long ago: all is there, but not for everybody */

    for (i = 0; i < 20; i++) {
        if (ngx_http_llm_quota_room(&quota, 1000, 1, 500000, &until)
            != NGX_OK)
        {
            break;
        }

        ngx_http_llm_quota_spend(&quota, 1000, 500000, &mark);
    }

    ngx_llm_unit_ok(i == 5, "quota: full after a while, %ui", i);

    /* all comes back at once */

    ngx_memzero(&quota, sizeof(quota));
    ngx_http_llm_quota_spend(&quota, 10, 1000, &mark);
    tell(&told, 6000, 0, 30000, 1);
    ngx_http_llm_quota_learn(&quota, &told, &mark);

    first = ngx_http_llm_quota_room(&quota, 10, 1, 30999, &until);
    second = ngx_http_llm_quota_room(&quota, 10, 1, 31000, &later.at);
    ngx_llm_unit_ok(first == NGX_DECLINED && until == 31000
                    && second == NGX_OK, "quota: a fixed window");

    for (i = 0; i < 20; i++) {
        if (ngx_http_llm_quota_room(&quota, 1000, 1, 31000, &until) != NGX_OK) {
            break;
        }

        ngx_http_llm_quota_spend(&quota, 1000, 31000, &mark);
    }

    ngx_llm_unit_ok(i == 6 && until == 91000, "quota: and the next one, %ui",
                    i);

    /* as large as can be */

    ngx_memzero(&quota, sizeof(quota));
    ngx_http_llm_quota_spend(&quota, (uint64_t) 1 << 62, 1000, &mark);
    tell(&told, NGX_MAX_INT_T_VALUE, NGX_MAX_INT_T_VALUE, 86400000, 0);
    ngx_http_llm_quota_learn(&quota, &told, &mark);
    ngx_llm_unit_ok(ngx_http_llm_quota_room(&quota, 1000, 1, 1000, &until)
                    == NGX_OK, "quota: huge");
}


static void
quota_guessed(void)
{
    double                at_provider;
    ngx_uint_t            ok, refused;
    ngx_msec_t            now, out, until;
    ngx_http_llm_mark_t   mark;
    ngx_http_llm_quota_t  quota;

    ngx_memzero(&quota, sizeof(quota));

    /* 200 tokens a second, more than that is always asked for */

    at_provider = 0;
    out = 0;
    ok = 0;
    refused = 0;

    for (now = 1000; now < 1801000; now += 100) {
        at_provider = ngx_min(at_provider + 20, 12000);

        if (now < out
            || ngx_http_llm_quota_room(&quota, 100, 1, now, &until) != NGX_OK)
        {
            continue;
        }

        ngx_http_llm_quota_spend(&quota, 100, now, &mark);

        if (at_provider >= 100) {
            at_provider -= 100;
            ok++;
            continue;
        }

        refused++;
        ngx_http_llm_quota_refused(&quota, 100, &mark, now);
        out = now + 5000;
    }

    ngx_llm_unit_ok(ok > 3500 && refused * 20 < ok,
                    "quota: learnt from refusals, %ui taken of 3600, %ui not",
                    ok, refused);
}


static void
window_brute_force(void)
{
    uint64_t                 requests, tokens, today;
    ngx_int_t                rc;
    ngx_uint_t               i, j, n, over, wrong, taken;
    ngx_msec_t               until;
    ngx_http_llm_limit_t     limit;
    ngx_http_llm_moment_t    now;
    ngx_http_llm_window_t    window;

    static ngx_msec_t        at[20000];
    static uint32_t          of[20000];

    ngx_memzero(&window, sizeof(window));
    ngx_memzero(&now, sizeof(now));

    limit.rpm = 30;
    limit.tpm = 5000;
    limit.rpd = 0;

    now.msec = 10000000;
    now.day_left = 1000000000;

    seed = 99;
    n = 0;
    over = 0;
    wrong = 0;

    for (i = 0; i < 20000; i++) {
        now.msec += draw(draw(50) ? 2000 : 90000);

        of[n] = (uint32_t) draw(1000);

        rc = ngx_http_llm_window_room(&window, &limit, of[n], &now, &until);

        if (rc != NGX_OK) {
            wrong += until <= now.msec || until > now.msec + 68000;
            continue;
        }

        ngx_http_llm_window_spend(&window, of[n], &now);
        at[n++] = now.msec;

        requests = 0;
        tokens = 0;

        for (j = n; j && at[j - 1] > now.msec - 60000; j--) {
            requests++;
            tokens += of[j - 1];
        }

        over += requests > 30 || tokens > 5000;
    }

    ngx_llm_unit_ok(over == 0 && n > 5000,
                    "window: never more in 60 s, of %ui", n);
    ngx_llm_unit_ok(wrong == 0, "window: refused for a minute at most");

    /* of a minute, always asked: nearly all of it is used */

    taken = 0;

    for (i = 0; i < 600000; i += 100) {
        now.msec += 100;

        if (ngx_http_llm_window_room(&window, &limit, 1, &now, &until)
            == NGX_OK)
        {
            ngx_http_llm_window_spend(&window, 1, &now);
            taken++;
        }
    }

    ngx_llm_unit_ok(taken >= 270 && taken <= 330, "window: %ui of 300 used",
                    taken);

    /* a day */

    ngx_memzero(&window, sizeof(window));

    limit.rpm = 0;
    limit.tpm = 0;
    limit.rpd = 3;
    now.day = 5;
    now.day_left = 5000;

    for (today = 0; today < 3; today++) {
        ngx_http_llm_window_spend(&window, 1, &now);
    }

    rc = ngx_http_llm_window_room(&window, &limit, 1, &now, &until);
    ngx_llm_unit_ok(rc == NGX_AGAIN && until == now.msec + 5000,
                    "window: the day is over");

    ngx_http_llm_window_correct(&window, -1, -1, &now);
    ngx_llm_unit_ok(ngx_http_llm_window_room(&window, &limit, 1, &now, &until)
                    == NGX_OK, "window: one was not sent");

    ngx_http_llm_window_spend(&window, 1, &now);
    now.msec += 5000;
    now.day = 6;
    ngx_llm_unit_ok(ngx_http_llm_window_room(&window, &limit, 1, &now, &until)
                    == NGX_OK, "window: the next day");

    /* one that is too large for it goes alone */

    limit.rpd = 0;
    limit.tpm = 100;
    ngx_memzero(&window, sizeof(window));
    ngx_llm_unit_ok(ngx_http_llm_window_room(&window, &limit, 900, &now,
                                             &until) == NGX_OK,
                    "window: larger than the limit");
    ngx_http_llm_window_spend(&window, 10, &now);
    ngx_llm_unit_ok(ngx_http_llm_window_room(&window, &limit, 95, &now, &until)
                    == NGX_DECLINED
                    && ngx_http_llm_window_room(&window, &limit, 90, &now,
                                                &until) == NGX_OK
                    && ngx_http_llm_window_used(&window, &limit, &now) == 100,
                    "window: a smaller one fits");
}


static ngx_msec_t
refuse(ngx_http_llm_node_t *node, ngx_uint_t state, ngx_msec_t begun,
    ngx_msec_t now, ngx_msec_t told)
{
    (void) ngx_http_llm_node_refuse(node, state, begun, now, &told);

    return told;
}


static void
node_cooling(void)
{
    ngx_uint_t           i;
    ngx_msec_t           now, w[6];
    ngx_http_llm_node_t  node;

    ngx_memzero(&node, sizeof(node));
    now = 100000;

    for (i = 0; i < 6; i++) {
        w[i] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now + 10, 0);
        now += 10 + w[i];
        ngx_http_llm_node_take(&node, now);
    }

    ngx_llm_unit_ok(w[0] == 5000 && w[1] == 10000 && w[2] == 20000
                    && w[3] == 40000 && w[4] == 60000 && w[5] == 60000,
                    "node: backs off, %M %M %M %M %M", w[0], w[1], w[2], w[3],
                    w[4]);

    for (i = 0; i < 50; i++) {
        (void) ngx_http_llm_node_serve(&node, now);
    }

    w[0] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now + 10, 0);
    ngx_llm_unit_ok(w[0] == 5000, "node: forgotten on success");

    /* all of one time are one refusal */

    w[1] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now + 20, 0);
    ngx_llm_unit_ok(w[1] <= 5000 && node.level == 0 && node.outs == 7,
                    "node: at the same time, %ui", (ngx_uint_t) node.outs);

    /* never nearer */

    w[2] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now + 30, 30000);
    w[3] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now + 40, 1000);
    ngx_llm_unit_ok(w[2] == 30000 && w[3] == 29990,
                    "node: a deadline does not come nearer");
    ngx_llm_unit_ok(ngx_http_llm_node_out(&node, now + 30029)
                    && !ngx_http_llm_node_out(&node, now + 30030),
                    "node: out until then");

    /* who tells how long is believed */

    now += 40000;
    ngx_http_llm_node_take(&node, now);
    (void) ngx_http_llm_node_serve(&node, now);
    w[0] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now, 2000);
    now += 2000;
    (void) ngx_http_llm_node_serve(&node, now);
    w[1] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now, 2000);
    now += 2000;
    w[2] = refuse(&node, NGX_HTTP_LLM_KEY_COOLING, now, now, 2000);
    ngx_llm_unit_ok(w[0] == 2000 && w[1] == 2000 && w[2] == 2000,
                    "node: as it was told, %M %M %M", w[0], w[1], w[2]);
}


static void
node_finished(void)
{
    ngx_uint_t           i, back;
    ngx_msec_t           now, w[9];
    ngx_http_llm_node_t  node;

    ngx_memzero(&node, sizeof(node));
    now = 100000;

    for (i = 0; i < 9; i++) {
        w[i] = refuse(&node, NGX_HTTP_LLM_KEY_FINISHED, now, now + 10, 0);
        now += 10 + w[i];
        ngx_http_llm_node_take(&node, now);
    }

    ngx_llm_unit_ok(w[0] == 60000 && w[1] == 120000 && w[2] == 240000
                    && w[6] == 3600000 && w[8] == 3600000,
                    "node: finished for %M %M .. %M", w[0], w[1], w[6]);

    /* it was taken for one try, which keeps the others away */

    ngx_llm_unit_ok(ngx_http_llm_node_out(&node, now + 29999)
                    && !ngx_http_llm_node_out(&node, now + 30000),
                    "node: one try, for 30 s");

    ngx_http_llm_node_untake(&node, now, now);
    ngx_llm_unit_ok(!ngx_http_llm_node_out(&node, now), "node: not made");

    back = ngx_http_llm_node_serve(&node, node.since - 1);
    ngx_llm_unit_ok(!back && node.state == NGX_HTTP_LLM_KEY_FINISHED,
                    "node: one that began before tells nothing");

    back = ngx_http_llm_node_serve(&node, now);
    ngx_llm_unit_ok(back && node.state == NGX_HTTP_LLM_KEY_USABLE,
                    "node: it is back");

    ngx_llm_unit_ok(refuse(&node, NGX_HTTP_LLM_KEY_FINISHED, now + 1, now + 2,
                           0) == 60000, "node: success forgets");
}


static void
node_upstream(void)
{
    ngx_uint_t           i, opened, n;
    ngx_msec_t           now, wait;
    ngx_http_llm_node_t  node;

    ngx_memzero(&node, sizeof(node));
    now = 100000;
    opened = 0;

    for (i = 0; i < 9; i++) {
        opened += ngx_http_llm_node_report(&node, 1, now, now + i, &wait);
    }

    ngx_llm_unit_ok(!opened && !ngx_http_llm_node_out(&node, now + 10),
                    "upstream: ill nine times");

    opened = ngx_http_llm_node_report(&node, 1, now, now + 10, &wait);
    ngx_llm_unit_ok(opened && wait == 5000
                    && ngx_http_llm_node_out(&node, now + 5009)
                    && !ngx_http_llm_node_out(&node, now + 5010),
                    "upstream: opens at the tenth");

    ngx_llm_unit_ok(!ngx_http_llm_node_report(&node, 1, now, now + 20, &wait)
                    && !ngx_http_llm_node_report(&node, 0, now, now + 20,
                                                 &wait),
                    "upstream: those that began before");

    now += 6000;
    ngx_http_llm_node_take(&node, now);
    ngx_llm_unit_ok(ngx_http_llm_node_out(&node, now), "upstream: half open");

    opened = ngx_http_llm_node_report(&node, 1, now, now + 10, &wait);
    ngx_llm_unit_ok(opened && wait == 10000, "upstream: opens again, %M",
                    wait);

    now += 11000;
    ngx_http_llm_node_take(&node, now);
    opened = ngx_http_llm_node_report(&node, 0, now, now + 10, &wait);
    ngx_llm_unit_ok(opened && wait == 0 && !ngx_http_llm_node_out(&node, now),
                    "upstream: closes");

    /* more were answered */

    n = 0;

    for (i = 0; i < 60; i++) {
        n += ngx_http_llm_node_report(&node, i % 3 == 0, now, now + 100 + i,
                                      &wait);
    }

    ngx_llm_unit_ok(n == 0, "upstream: more are answered");

    /* or they are far apart */

    for (i = 0; i < 30; i++) {
        now += 2000;
        n += ngx_http_llm_node_report(&node, 1, now, now, &wait);
    }

    ngx_llm_unit_ok(n == 0, "upstream: one in two seconds");
}
