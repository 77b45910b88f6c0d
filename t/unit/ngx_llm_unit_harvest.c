
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The zone against a simulated provider, under a virtual clock: how much of
 * the keys' quotas each policy gets, exactly the same in every run.
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_hash.h"
#include "../../src/ngx_http_llm_store.h"
#include "../../src/ngx_http_llm_zone.h"


#define ORGS        8
#define KEYS        9
#define SECONDS     300
#define PATIENCE    15000                                             /* ms */
#define ZONE_SIZE   (2 * 1024 * 1024)

/* events are nearer than this */

#define WHEEL       8192                                              /* ms */

/* a prompt is cached from here on, in steps, for a time */

#define CACHE_MIN   1024
#define CACHE_STEP  128
#define CACHE_TTL   300000                                            /* ms */

/* of a hundred requests are turns of conversations */

#define TURNS       27
#define MIN_TURNS   4
#define MAX_TURNS   12

/* hits of the prompt cache count from here on: limits are known */

#define LEARNT      30000                                             /* ms */

/* so small ones do not wait for their home */

#define HOME_MIN    1024

#define BLIND       (NGX_HTTP_LLM_AFFINITY + 1)
#define ALONE       (NGX_HTTP_LLM_AFFINITY + 2)


/* organisations as in t/harvest: all begin with six seconds' worth */

typedef struct {
    const char                 *name;
    int64_t                     rpm;
    int64_t                     tpm;
} org_conf_t;


typedef struct {
    double                      requests;
    double                      tokens;
    ngx_msec_t                  at;
} org_t;


typedef struct {
    uint32_t                    prompt;
    ngx_msec_t                  at;
} prefix_t;


typedef struct request_s  request_t;

struct request_s {
    ngx_msec_t                  at;
    uint32_t                    conversation;      /* 0: none */
    uint32_t                    prompt;
    uint32_t                    tokens;
    uint32_t                    estimate;
    uint64_t                    affinity;

    request_t                  *next;              /* of the same ms, or in
                                                      the queue */
    ngx_msec_t                  since;
    ngx_uint_t                  status;            /* 0: on its way */
    ngx_uint_t                  key;
    u_char                      skip[2];
    ngx_http_llm_lease_t        lease;
    ngx_http_llm_judgement_t    judgement;
};


typedef struct {
    request_t                  *requests;
    ngx_uint_t                  n;
    ngx_uint_t                  conversations;
    uint64_t                    demand;            /* tokens */
    double                      cacheable;         /* share of the prompts */
} trace_t;


typedef struct {
    ngx_uint_t                  policy;
    ngx_uint_t                  headers;
    ngx_uint_t                  load;              /* percent */
    ngx_uint_t                  queue;
} scenario_t;


typedef struct {
    double                      goodput;           /* percent of all below */
    double                      served;
    double                      visible;
    double                      bound;
    double                      wasted;
    double                      cache;
    uint64_t                    cached;
    uint64_t                    prompt;
    uint64_t                    tokens;
    uint64_t                    early;             /* tokens within SECONDS */
    uint64_t                    refused;           /* tokens of clients */
    ngx_uint_t                  successes;
    ngx_uint_t                  tries;
    ngx_uint_t                  lost;
} figures_t;


typedef struct {
    scenario_t                  scenario;
    figures_t                   figures;
    org_t                       orgs[ORGS + 1];
    prefix_t                   *prefixes;
    ngx_http_llm_pool_t         pool;
    ngx_http_llm_key_t          keys[KEYS];
    ngx_uint_t                  turn;              /* of blind round robin */
    request_t                  *wheel[WHEEL];
    request_t                  *waiting;
    uint64_t                    seed;
} sim_t;


static void trace_make(ngx_pool_t *pool, trace_t *trace, ngx_uint_t load);
static ngx_uint_t trace_single(request_t *r);
static ngx_uint_t trace_conversation(request_t *r, uint32_t number);
static void trace_cacheable(ngx_pool_t *pool, trace_t *trace);
static int ngx_libc_cdecl trace_compare(const void *one, const void *two);
static uint64_t draw(uint64_t *seed, uint64_t range);
static double allowed(ngx_msec_t ms);

static ngx_http_llm_zone_t *zone_start(ngx_conf_t *cf,
    ngx_http_llm_pool_t *pool, void *memory, size_t size);

static void simulate(ngx_conf_t *cf, scenario_t *scenario, trace_t *trace,
    figures_t *figures);
static void sim_keys(sim_t *sim);
static void sim_run(sim_t *sim, trace_t *trace);
static ngx_int_t sim_try(sim_t *sim, request_t *r);
static void sim_begin(sim_t *sim, request_t *r);
static void sim_enqueue(sim_t *sim, request_t *r);
static void sim_drain(sim_t *sim);
static void sim_reach(sim_t *sim, request_t *r);
static void sim_answer(sim_t *sim, request_t *r);
static void sim_told(sim_t *sim, request_t *r, ngx_uint_t o);
static void sim_later(sim_t *sim, request_t *r, ngx_msec_t delay);
static uint32_t cache_look(prefix_t *prefix, request_t *r, ngx_msec_t now);
static void expect(figures_t *f, ngx_uint_t headers, ngx_uint_t load);
static void timing(ngx_conf_t *cf);
static void comment(const char *fmt, ...);


/* the last one has the limits of all together */

static org_conf_t  confs[ORGS + 1] = {
    { "org-a", 1500, 800000 },
    { "org-b", 1000, 600000 },
    { "org-c", 450, 500000 },
    { "org-d", 1000, 400000 },
    { "org-e", 600, 300000 },
    { "org-f", 500, 200000 },
    { "org-g", 150, 200000 },
    { "org-h", 300, 100000 },
    { "org", 5500, 3100000 },
};

static ngx_uint_t  orgs[KEYS] = { 0, 1, 1, 2, 3, 4, 5, 6, 7 };

static const char  *names[] = {
    "round_robin", "least_conn", "headroom", "affinity", "blind", "one key"
};

static ngx_uint_t  tag;
static ngx_time_t  fake;


void
ngx_llm_unit_harvest(ngx_conf_t *cf)
{
    trace_t              traces[2];
    ngx_msec_t           msec;
    ngx_uint_t           policy, headers, load;
    figures_t            f, figures[ALONE + 1];
    scenario_t           scenario;
    volatile ngx_time_t  *cached;

    msec = ngx_current_msec;
    cached = ngx_cached_time;
    ngx_cached_time = &fake;

    trace_make(cf->pool, &traces[0], 90);
    trace_make(cf->pool, &traces[1], 130);

    comment("%d s, %lu and %lu requests", SECONDS, traces[0].n, traces[1].n);
    comment("policy       provider load  goodput   served  visible   bound"
            "   429/ok    cache");

    for (headers = 1; headers != (ngx_uint_t) -1; headers--) {

        for (load = 0; load < 2; load++) {

            for (policy = 0; policy <= ALONE; policy++) {

                scenario.policy = policy;
                scenario.headers = headers;
                scenario.load = load ? 130 : 90;
                scenario.queue = (policy != BLIND);

                simulate(cf, &scenario, &traces[load], &f);

                comment("%-12s %-8s %4lu%% %7.2f%% %7.2f%% %7.2f%% %7.2f%%"
                        " %7.3f%% %7.2f%%",
                        names[policy], headers ? "headers" : "silent",
                        scenario.load, f.goodput, f.served, f.visible,
                        f.bound, f.wasted, f.cache);

                figures[policy] = f;
            }

            expect(figures, headers, load);
        }
    }

    timing(cf);

    ngx_cached_time = cached;
    ngx_current_msec = msec;
}


static void
expect(figures_t *f, ngx_uint_t headers, ngx_uint_t load)
{
    ngx_uint_t  policy;
    double      most, least;

    const char  *mode = headers ? "headers" : "silent";
    const char  *percent = load ? "130%" : "90%";

    /*
     * Constants were tuned with the seed 1, so that these are limits that hold
     * with others as well: 1, 1000000, 2000000 and 3000000.  Still below the
     * goals are hits of affinity at 90 % (95 %: it is 90 to 95), and at 130 %
     * goodput (99 %) of headroom when silent, 96.7 to 99.1, and of affinity,
     * 98.6 to 99.5.
     */

    for (policy = 0; policy < BLIND; policy++) {

        if (!load) {
            most = (policy == NGX_HTTP_LLM_AFFINITY) ? 0.2 : 0;

            ngx_llm_unit_ok(f[policy].visible <= most
                            && f[policy].goodput > 89.5,
                            "harvest: %s, %s, 90%%: all of the demand",
                            names[policy], mode);
        }

        ngx_llm_unit_ok(f[policy].wasted < f[BLIND].wasted / 5,
                        "harvest: %s, %s, %s: wastes less than blind",
                        names[policy], mode, percent);
    }

    policy = NGX_HTTP_LLM_HEADROOM;

    least = load ? (headers ? 99 : 96) : 89.9;

    ngx_llm_unit_ok(f[policy].goodput >= least,
                    "harvest: headroom, %s, %s: goodput", mode, percent);

    most = headers ? (load ? 1 : 0.1) : (load ? 5 : 2);

    ngx_llm_unit_ok(f[policy].wasted <= most,
                    "harvest: headroom, %s, %s: tries", mode, percent);

    ngx_llm_unit_ok(f[policy].visible <= f[policy].bound
                                         + (headers ? 1 : 3.5),
                    "harvest: headroom, %s, %s: what no quota could carry",
                    mode, percent);

    if (headers) {
        ngx_llm_unit_ok(f[NGX_HTTP_LLM_AFFINITY].cache >= f[ALONE].cache * 0.9,
                        "harvest: affinity, %s, %s: hits of the cache", mode,
                        percent);

        ngx_llm_unit_ok(!load || f[NGX_HTTP_LLM_AFFINITY].goodput >= 98.5,
                        "harvest: affinity, %s, %s: goodput", mode, percent);
    }
}


/* printed only: machines differ */

static void
timing(ngx_conf_t *cf)
{
    void                  *memory;
    uint64_t               half;
    ngx_uint_t             i, policy, n;
    struct timespec        from, to;
    ngx_http_llm_ask_t     ask;
    ngx_http_llm_key_t    *keys;
    ngx_http_llm_pool_t   *pool;
    ngx_http_llm_lease_t   lease;
    ngx_http_llm_change_t  change;

    static ngx_http_llm_judgement_t  judgement;

    memory = ngx_memalign(ngx_pagesize, 4 * ZONE_SIZE, cf->log);

    for (policy = 0; policy <= NGX_HTTP_LLM_AFFINITY; policy++) {

        pool = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_pool_t));
        keys = ngx_pcalloc(cf->pool, 1000 * sizeof(ngx_http_llm_key_t));

        for (i = 0; i < 1000; i++) {
            half = ngx_http_llm_hash_final(1000 + i);
            ngx_memcpy(keys[i].fingerprint, &half, 8);
            keys[i].weight = 1;
        }

        pool->keys = keys;
        pool->nkeys = 1000;
        pool->policy = policy;

        if (zone_start(cf, pool, memory, 4 * ZONE_SIZE) == NULL) {
            ngx_llm_unit_ok(0, "harvest: zone of 1000 keys");
            break;
        }

        ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));
        ask.tokens = 1500;

        for (i = 0; i < NGX_HTTP_LLM_TOKENS + 1; i++) {
            judgement.told.limits[i].limit = 1000000;
            judgement.told.limits[i].remaining = 900000;
            judgement.told.limits[i].limited = 1;
            judgement.told.limits[i].remains = 1;
        }

        for (i = 0; i < 2000; i++) {
            ask.affinity = i + 1;

            if (ngx_http_llm_zone_acquire(pool, &ask, &lease) == NGX_OK) {
                ngx_http_llm_zone_report(&lease, &judgement, &change);
                ngx_http_llm_zone_release(&lease, 0, 0);
            }
        }

        n = 100000;

        clock_gettime(CLOCK_MONOTONIC, &from);

        for (i = 0; i < n; i++) {
            ask.affinity = i + 1;

            if (ngx_http_llm_zone_acquire(pool, &ask, &lease) == NGX_OK) {
                ngx_http_llm_zone_release(&lease, 0, 0);
            }
        }

        clock_gettime(CLOCK_MONOTONIC, &to);

        comment("%-12s among 1000 keys: %lu ns to take and release",
                names[policy],
                ((to.tv_sec - from.tv_sec) * 1000000000
                 + to.tv_nsec - from.tv_nsec) / n);
    }

    ngx_free(memory);
}


static void
comment(const char *fmt, ...)
{
    char      line[256];
    va_list   args;
    int       n;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, args);
    va_end(args);

    line[n++] = LF;

    (void) ngx_write_fd(ngx_stdout, "# ", 2);
    (void) ngx_write_fd(ngx_stdout, line, n);
}


static uint64_t
draw(uint64_t *seed, uint64_t range)
{
    return ngx_http_llm_hash_final(++*seed) % range;
}


/* tokens that all organisations give in so many ms */

static double
allowed(ngx_msec_t ms)
{
    double      sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < ORGS; i++) {
        sum += confs[i].tpm * (0.1 + ms / 60000.0);
    }

    return sum;
}


/*
 * More than enough of Poisson processes of single requests and conversations,
 * then by chance some left out, until it is as much as is wanted.
 */

static uint64_t  trace_seed;


static void
trace_make(ngx_pool_t *pool, trace_t *trace, ngx_uint_t load)
{
    double       want, rate;
    uint64_t     size, r;
    ngx_int_t    ms;
    ngx_uint_t   i, j, n, units, max, *starts, t;
    request_t   *all;

    trace_seed = 1000000;
    max = 120000;

    all = ngx_pcalloc(pool, max * sizeof(request_t));
    starts = ngx_palloc(pool, max * sizeof(ngx_uint_t));
    trace->requests = ngx_palloc(pool, max * sizeof(request_t));

    want = allowed(SECONDS * 1000) * load / 100;

    /* in millionths a ms, of requests of 1,000 tokens or so */

    rate = 1.4 * want / 1000 / SECONDS * 1000;

    n = 0;
    units = 0;
    trace->conversations = 1;

    for (ms = -50000; ms < SECONDS * 1000; ms++) {
        r = draw(&trace_seed, 1000000);

        if (r < rate * TURNS / 100 * 2 / (MIN_TURNS + MAX_TURNS)) {
            starts[units++] = n;
            all[n].at = ms;
            n += trace_conversation(&all[n], trace->conversations++);

        } else if (r >= 1000000 - rate * (100 - TURNS) / 100 && ms >= 0) {
            starts[units++] = n;
            all[n].at = ms;
            n += trace_single(&all[n]);
        }
    }

    starts[units] = n;

    /* left out by chance */

    trace->n = 0;
    trace->demand = 0;

    for (i = 0; i < units; i++) {
        /* a permutation of the units */
        j = i + draw(&trace_seed, units - i);

        t = starts[j];
        starts[j] = starts[i];
        starts[i] = t;

        size = 0;
        j = t;

        do {
            if ((ngx_int_t) all[j].at >= 0 && all[j].at < SECONDS * 1000) {
                size += all[j].tokens;
            }

            j++;

        } while (j < n && all[j].conversation
                 && all[j].conversation == all[t].conversation);

        if (trace->demand + size > want) {
            continue;
        }

        trace->demand += size;

        for ( /* void */ ; t < j; t++) {
            if ((ngx_int_t) all[t].at >= 0 && all[t].at < SECONDS * 1000) {
                trace->requests[trace->n++] = all[t];
            }
        }
    }

    ngx_qsort(trace->requests, trace->n, sizeof(request_t), trace_compare);

    trace_cacheable(pool, trace);
}


static int ngx_libc_cdecl
trace_compare(const void *one, const void *two)
{
    const request_t *first = one, *second = two;

    if (first->at != second->at) {
        return (first->at < second->at) ? -1 : 1;
    }

    return (first->affinity < second->affinity) ? -1 : 1;
}


static void
trace_request(request_t *r, ngx_msec_t at, uint32_t conversation,
    uint32_t prompt, uint32_t completion)
{
    r->at = at;
    r->conversation = conversation;
    r->prompt = prompt;
    r->tokens = prompt + completion;

    /* it is wrong by up to a tenth */

    r->estimate = r->tokens * (90 + draw(&trace_seed, 21)) / 100;

    r->affinity = conversation
                  ? ngx_http_llm_hash_final(conversation)
                  : ngx_http_llm_hash_final(draw(&trace_seed, (uint64_t) 1
                                                              << 62));
}


static ngx_uint_t
trace_single(request_t *r)
{
    trace_request(r, r->at, 0, 130 + draw(&trace_seed, 200), 40);

    return 1;
}


static ngx_uint_t
trace_conversation(request_t *r, uint32_t number)
{
    ngx_msec_t  at;
    ngx_uint_t  i, turns;

    at = r->at;
    turns = MIN_TURNS + draw(&trace_seed, MAX_TURNS - MIN_TURNS + 1);

    for (i = 0; i < turns; i++) {
        trace_request(&r[i], at, number, 1560 + 520 * i, 150);

        for (at += 1000; draw(&trace_seed, 30); at += 100) { /* void */ }
    }

    return turns;
}


static void
trace_cacheable(ngx_pool_t *pool, trace_t *trace)
{
    double       cached, prompt;
    prefix_t    *prefixes;
    uint32_t     found;
    ngx_uint_t   i;
    request_t   *r;

    prefixes = ngx_pcalloc(pool, trace->conversations * sizeof(prefix_t));

    cached = 0;
    prompt = 0;

    for (i = 0; i < trace->n; i++) {
        r = &trace->requests[i];

        found = 0;

        if (r->conversation) {
            found = cache_look(&prefixes[r->conversation], r, r->at);
        }

        if (r->at >= LEARNT) {
            prompt += r->prompt;
            cached += found;
        }
    }

    trace->cacheable = cached / prompt;
}


static uint32_t
cache_look(prefix_t *prefix, request_t *r, ngx_msec_t now)
{
    uint32_t  found;

    found = (prefix->prompt && now - prefix->at < CACHE_TTL)
            ? ngx_min(prefix->prompt, r->prompt) : 0;

    prefix->prompt = ngx_max(prefix->prompt, r->prompt);
    prefix->at = now;

    return (found >= CACHE_MIN) ? found / CACHE_STEP * CACHE_STEP : 0;
}


/* a zone in private memory, which the configuration does not keep */

static ngx_http_llm_zone_t *
zone_start(ngx_conf_t *cf, ngx_http_llm_pool_t *pool, void *memory,
    size_t size)
{
    ngx_shm_zone_t       *shm_zone;
    ngx_slab_pool_t      *shpool;
    ngx_list_part_t      *part;
    ngx_http_llm_zone_t  *zone;

    zone = ngx_http_llm_store_create(cf, size, &tag);

    if (zone == NULL || ngx_http_llm_store_add(zone, pool) != NGX_OK) {
        return NULL;
    }

    part = cf->cycle->shared_memory.last;
    shm_zone = (ngx_shm_zone_t *) part->elts + --part->nelts;

    shm_zone->shm.addr = memory;

    shpool = memory;

    ngx_memzero(shpool, sizeof(ngx_slab_pool_t));

    shpool->end = (u_char *) memory + size;
    shpool->min_shift = 3;
    shpool->addr = memory;

    if (ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL) != NGX_OK) {
        return NULL;
    }

    ngx_slab_init(shpool);

    if (shm_zone->init(shm_zone, NULL) != NGX_OK) {
        return NULL;
    }

    ngx_http_llm_store_commit(zone);

    return (ngx_http_llm_store_attach(zone) == NGX_OK) ? zone : NULL;
}


static void
sim_keys(sim_t *sim)
{
    uint64_t     half;
    ngx_uint_t   i;

    for (i = 0; i < KEYS; i++) {
        half = ngx_http_llm_hash_final(1000 + i);
        ngx_memcpy(sim->keys[i].fingerprint, &half, 8);

        sim->keys[i].weight = 1;
    }

    half = ngx_http_llm_hash_final(999);
    ngx_memcpy(sim->pool.fingerprint, &half, 8);

    ngx_str_set(&sim->pool.name, "simulated");
    sim->pool.keys = sim->keys;
    sim->pool.nkeys = (sim->scenario.policy == ALONE) ? 1 : KEYS;
    sim->pool.policy = ngx_min(sim->scenario.policy, NGX_HTTP_LLM_AFFINITY);

    for (i = 0; i <= ORGS; i++) {
        sim->orgs[i].requests = confs[i].rpm * 0.1;
        sim->orgs[i].tokens = confs[i].tpm * 0.1;
        sim->orgs[i].at = ngx_current_msec;
    }
}


static void
simulate(ngx_conf_t *cf, scenario_t *scenario, trace_t *trace,
    figures_t *figures)
{
    void        *memory;
    sim_t       *sim;
    figures_t   *f;

    memory = ngx_memalign(ngx_pagesize, ZONE_SIZE, cf->log);
    sim = ngx_calloc(sizeof(sim_t), cf->log);
    sim->prefixes = ngx_calloc((ORGS + 1) * trace->conversations
                               * sizeof(prefix_t), cf->log);

    /* a clock that has been running for a while */

    ngx_current_msec = 1000000;

    sim->scenario = *scenario;

    sim_keys(sim);

    if (scenario->policy != BLIND
        && zone_start(cf, &sim->pool, memory, ZONE_SIZE) == NULL)
    {
        ngx_llm_unit_ok(0, "harvest: zone");

    } else {
        sim_run(sim, trace);
    }

    f = &sim->figures;

    f->goodput = f->early * 100.0 / allowed(SECONDS * 1000);
    f->served = f->tokens * 100.0 / trace->demand;
    f->visible = f->refused * 100.0 / trace->demand;
    f->bound = ngx_max(0, 100 - allowed(SECONDS * 1000 + PATIENCE) * 100
                              / trace->demand);
    f->wasted = f->lost * 100.0 / ngx_max(f->successes, 1);
    f->cache = (double) f->cached / f->prompt / trace->cacheable * 100;

    *figures = *f;

    ngx_free(sim->prefixes);
    ngx_free(sim);
    ngx_free(memory);
}


static void
sim_run(sim_t *sim, trace_t *trace)
{
    ngx_msec_t   start, end, t;
    ngx_uint_t   i, n, busy;
    request_t   *r, *next;

    start = ngx_current_msec;
    end = SECONDS * 1000 + PATIENCE + WHEEL;
    n = 0;

    for (i = 0; i < trace->n; i++) {
        r = &trace->requests[i];
        r->lease.pool = NULL;
        r->status = 0;
        r->next = NULL;
    }

    for (t = 0; t < end; t++) {

        ngx_current_msec = start + t;
        fake.sec = 1700000000 + ngx_current_msec / 1000;
        fake.msec = ngx_current_msec % 1000;

        r = sim->wheel[ngx_current_msec % WHEEL];
        sim->wheel[ngx_current_msec % WHEEL] = NULL;

        busy = (t % 10 == 0 || r);

        for ( /* void */ ; r; r = next) {
            next = r->next;
            r->next = NULL;

            if (r->status) {
                sim_answer(sim, r);

            } else {
                sim_reach(sim, r);
            }
        }

        for ( /* void */ ; n < trace->n && trace->requests[n].at == t; n++) {
            r = &trace->requests[n];
            r->since = ngx_current_msec;
            r->skip[0] = 0;
            r->skip[1] = 0;

            /* behind those that wait */

            if (sim->waiting) {
                sim_enqueue(sim, r);

            } else {
                sim_begin(sim, r);
            }
        }

        if (t == SECONDS * 1000) {
            sim->figures.early = sim->figures.tokens;
        }

        if (busy) {
            sim_drain(sim);
        }
    }
}


static void
sim_begin(sim_t *sim, request_t *r)
{
    if (sim_try(sim, r) == NGX_OK) {
        return;
    }

    if (sim->scenario.queue && ngx_current_msec - r->since < PATIENCE) {
        r->skip[0] = 0;
        r->skip[1] = 0;

        sim_enqueue(sim, r);
        return;
    }

    sim->figures.refused += r->tokens;
}


static ngx_int_t
sim_try(sim_t *sim, request_t *r)
{
    ngx_int_t           rc;
    ngx_uint_t          i, key;
    ngx_http_llm_ask_t  ask;

    if (sim->scenario.policy == BLIND) {

        for (i = 0; i < KEYS; i++) {
            key = sim->turn++ % KEYS;

            if (!(r->skip[key / 8] & (1 << key % 8))) {
                r->key = key;
                goto found;
            }
        }

        return NGX_BUSY;
    }

    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));

    ask.skip = r->skip;
    ask.tokens = r->estimate;
    ask.affinity = r->affinity;
    ask.patient = sim->scenario.queue ? NGX_HTTP_LLM_FAITHFUL
                                      : NGX_HTTP_LLM_HASTY;

    rc = ngx_http_llm_zone_acquire(&sim->pool, &ask, &r->lease);

    if (rc != NGX_OK) {
        return rc;
    }

    r->key = r->lease.key;

found:

    r->status = 0;
    r->skip[r->key / 8] |= 1 << r->key % 8;

    sim->figures.tries++;
    sim_later(sim, r, 5 + draw(&sim->seed, 16));

    return NGX_OK;
}


/* by the time of arrival, also for those that come back */

static void
sim_enqueue(sim_t *sim, request_t *r)
{
    request_t  **p;

    for (p = &sim->waiting; *p && (*p)->since <= r->since; p = &(*p)->next) {
        /* void */
    }

    r->next = *p;
    *p = r;
}


static void
sim_drain(sim_t *sim)
{
    ngx_int_t     rc;
    request_t    *r, **p;

    for (p = &sim->waiting; *p; /* void */ ) {
        r = *p;
        *p = r->next;

        if (ngx_current_msec - r->since >= PATIENCE) {
            sim->figures.refused += r->tokens;
            continue;
        }

        rc = sim_try(sim, r);

        if (rc == NGX_OK) {
            continue;
        }

        r->next = *p;
        *p = r;

        /* who waits for its home keeps nobody else waiting */

        if (sim->scenario.policy != NGX_HTTP_LLM_AFFINITY
            || r->estimate < HOME_MIN)
        {
            break;
        }

        p = &r->next;
    }
}


static void
sim_later(sim_t *sim, request_t *r, ngx_msec_t delay)
{
    request_t  **p;

    r->next = NULL;

    for (p = &sim->wheel[(ngx_current_msec + delay) % WHEEL];
         *p;
         p = &(*p)->next)
    {
        /* void */
    }

    *p = r;
}


/* it is at the provider */

static void
sim_reach(sim_t *sim, request_t *r)
{
    double       ms, lacks;
    org_t       *org;
    uint32_t     cached;
    ngx_uint_t   o;
    org_conf_t  *conf;

    o = (sim->scenario.policy == ALONE) ? ORGS : orgs[r->key];
    org = &sim->orgs[o];
    conf = &confs[o];

    ms = ngx_current_msec - org->at;

    org->requests = ngx_min(conf->rpm, org->requests + conf->rpm * ms / 60000);
    org->tokens = ngx_min(conf->tpm, org->tokens + conf->tpm * ms / 60000);
    org->at = ngx_current_msec;

    ngx_memzero(&r->judgement, sizeof(ngx_http_llm_judgement_t));

    if (org->requests < 1 || org->tokens < r->tokens) {

        r->status = 429;
        r->judgement.verdict = NGX_HTTP_LLM_WAIT;
        r->judgement.limited = 1;
        r->judgement.scope = NGX_HTTP_LLM_SCOPE_GROUP;

        if (sim->scenario.headers) {
            lacks = ngx_max((1 - org->requests) / conf->rpm,
                            (r->tokens - org->tokens) / conf->tpm);
            r->judgement.wait = (ngx_msec_t) (lacks * 60000) + 1;
            sim_told(sim, r, o);
        }

        sim_later(sim, r, 5 + draw(&sim->seed, 16));
        return;
    }

    org->requests -= 1;
    org->tokens -= r->tokens;

    r->status = 200;

    if (sim->scenario.headers) {
        sim_told(sim, r, o);
    }

    cached = 0;

    if (r->conversation) {
        cached = cache_look(&sim->prefixes[r->conversation * (ORGS + 1) + o], r,
                            ngx_current_msec);
    }

    sim->figures.successes++;
    sim->figures.tokens += r->tokens;

    if (r->at >= LEARNT) {
        sim->figures.prompt += r->prompt;
        sim->figures.cached += cached;
    }

    sim_later(sim, r, 300 + draw(&sim->seed, 2700));
}


static void
sim_told(sim_t *sim, request_t *r, ngx_uint_t o)
{
    org_t                      *org;
    org_conf_t                 *conf;
    ngx_http_llm_told_t        *told;
    ngx_http_llm_told_limit_t  *limit;

    org = &sim->orgs[o];
    conf = &confs[o];
    told = &r->judgement.told;

    told->organization.data = (u_char *) conf->name;
    told->organization.len = ngx_strlen(conf->name);

    limit = &told->limits[NGX_HTTP_LLM_REQUESTS];
    limit->limit = conf->rpm;
    limit->remaining = (int64_t) org->requests;
    limit->reset = (ngx_msec_t) ((conf->rpm - org->requests) * 60000
                                 / conf->rpm);
    limit->limited = 1;
    limit->remains = 1;
    limit->resets = 1;

    limit = &told->limits[NGX_HTTP_LLM_TOKENS];
    limit->limit = conf->tpm;
    limit->remaining = (int64_t) org->tokens;
    limit->reset = (ngx_msec_t) ((conf->tpm - org->tokens) * 60000
                                 / conf->tpm);
    limit->limited = 1;
    limit->remains = 1;
    limit->resets = 1;
}


static void
sim_answer(sim_t *sim, request_t *r)
{
    ngx_uint_t             status;
    ngx_http_llm_change_t  change;

    status = r->status;
    r->status = 0;

    if (sim->scenario.policy != BLIND) {
        ngx_http_llm_zone_report(&r->lease, &r->judgement, &change);
        ngx_http_llm_zone_release(&r->lease, 0,
                                  status == 200 ? r->tokens : 0);
    }

    if (status == 429) {
        sim->figures.lost++;
        sim_begin(sim, r);
    }
}
