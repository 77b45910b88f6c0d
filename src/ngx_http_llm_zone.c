
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_zone.h"


/*
 * What lies in the zone:
 *
 *     sh           the root, with a table of nodes of a fixed size
 *     node         the state of one key, found again by its fingerprint
 *     generation   the pools of one configuration; old workers go on with
 *                  theirs while new ones use the next
 *     slot         what one process has in flight, so that it can be given
 *                  back when the process is gone
 *
 * No pointer leads out of the zone.
 */

#define NGX_HTTP_LLM_ZONE_LAYOUT  1

/* a node, its turn, and a share of the slots of several processes */

#define NGX_HTTP_LLM_ZONE_PER_KEY  1024

/*
 * A worker may have been forked from a configuration that was replaced
 * before it could attach; none takes longer than this to start.
 */

#define NGX_HTTP_LLM_ZONE_GRACE    10000                              /* ms */

#define NGX_HTTP_LLM_ZONE_SWEEP    900                                /* ms */


typedef struct {
    ngx_msec_t                   until;          /* if state is not usable */
    uint32_t                     state;
    uint32_t                     in_flight;
    uint64_t                     tries;
    uint64_t                     outs;
    uint32_t                     refs;           /* of pools; 0: free */
    u_char                       fingerprint[NGX_HTTP_LLM_FINGERPRINT_LEN];
} ngx_http_llm_node_t;


struct ngx_http_llm_pool_sh_s {
    ngx_http_llm_wheel_t         wheel;
    ngx_uint_t                   first;          /* number of its first key */
    ngx_http_llm_node_t        **nodes;
};


typedef struct {
    ngx_queue_t                  queue;
    ngx_uint_t                   serial;
    ngx_uint_t                   nkeys;
    ngx_uint_t                   npools;
    ngx_http_llm_pool_sh_t      *pools;
    ngx_msec_t                   retired_at;

    unsigned                     committed:1;
    unsigned                     retired:1;
} ngx_http_llm_generation_t;


typedef struct {
    ngx_queue_t                  queue;
    ngx_pid_t                    pid;
    ngx_http_llm_generation_t   *generation;
    uint32_t                     in_flight[1];   /* by number of the key */
} ngx_http_llm_slot_t;


typedef struct {
    ngx_uint_t                   layout;
    ngx_uint_t                   serial;         /* of the last generation */
    ngx_msec_t                   swept;
    ngx_queue_t                  generations;
    ngx_queue_t                  slots;
    ngx_uint_t                   capacity;
    ngx_http_llm_node_t         *nodes;
} ngx_http_llm_zone_sh_t;


struct ngx_http_llm_zone_s {
    ngx_http_llm_zone_sh_t      *sh;
    ngx_slab_pool_t             *shpool;
    ngx_array_t                  pools;     /* of ngx_http_llm_pool_t * */
    ngx_http_llm_generation_t   *generation;
    ngx_http_llm_generation_t   *previous;  /* of the old configuration */
    ngx_http_llm_slot_t         *slot;      /* of this process */
    ngx_uint_t                   serial;
    ngx_log_t                   *log;
};


typedef struct {
    ngx_http_llm_pool_t         *pool;
    u_char                      *skip;
    ngx_msec_t                   now;
} ngx_http_llm_zone_ask_t;


static ngx_int_t ngx_http_llm_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_http_llm_zone_init_sh(ngx_http_llm_zone_t *zone,
    size_t size);
static ngx_int_t ngx_http_llm_zone_add_generation(ngx_http_llm_zone_t *zone);
static ngx_int_t ngx_http_llm_zone_add_pool(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool, ngx_http_llm_pool_sh_t *psh);
static ngx_http_llm_node_t *ngx_http_llm_zone_node(ngx_http_llm_zone_sh_t *sh,
    u_char *fingerprint);
static void ngx_http_llm_zone_free_generation(ngx_http_llm_zone_t *zone,
    ngx_http_llm_generation_t *generation);
static void ngx_http_llm_zone_free_slot(ngx_http_llm_zone_t *zone,
    ngx_http_llm_slot_t *slot);
static void ngx_http_llm_zone_collect(ngx_http_llm_zone_t *zone);
static ngx_int_t ngx_http_llm_zone_usable(void *data, ngx_uint_t i,
    ngx_msec_t *until);

#define ngx_http_llm_zone_passed(now, until)                                  \
    ((ngx_msec_int_t) ((now) - (until)) >= 0)


size_t
ngx_http_llm_zone_min_size(void)
{
    return 8 * ngx_pagesize;
}


ngx_http_llm_zone_t *
ngx_http_llm_zone_create(ngx_conf_t *cf, size_t size, void *tag)
{
    ngx_str_t             name;
    ngx_shm_zone_t       *shm_zone;
    ngx_http_llm_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    if (ngx_array_init(&zone->pools, cf->pool, 8,
                       sizeof(ngx_http_llm_pool_t *))
        != NGX_OK)
    {
        return NULL;
    }

    ngx_str_set(&name, "llm_balancer");

    shm_zone = ngx_shared_memory_add(cf, &name, size, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    zone->log = &cf->cycle->new_log;

    shm_zone->init = ngx_http_llm_zone_init;
    shm_zone->data = zone;

    return zone;
}


ngx_int_t
ngx_http_llm_zone_add(ngx_http_llm_zone_t *zone, ngx_http_llm_pool_t *pool)
{
    ngx_http_llm_pool_t  **p;

    p = ngx_array_push(&zone->pools);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *p = pool;
    pool->zone = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_llm_zone_t  *old = data;

    ngx_int_t             rc;
    ngx_http_llm_zone_t  *zone;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        zone->sh = old->sh;
        zone->previous = old->generation;

        if (zone->sh->layout != NGX_HTTP_LLM_ZONE_LAYOUT) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "llm_zone has the layout %ui of another version "
                          "of the module, a restart is needed",
                          zone->sh->layout);
            return NGX_ERROR;
        }

    } else if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;

    } else if (ngx_http_llm_zone_init_sh(zone, shm_zone->shm.size) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "llm_zone is too small");
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    rc = ngx_http_llm_zone_add_generation(zone);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "llm_zone is too small: it has room for %ui keys",
                      zone->sh->capacity);
    }

    return rc;
}


static ngx_int_t
ngx_http_llm_zone_init_sh(ngx_http_llm_zone_t *zone, size_t size)
{
    size_t                   len;
    ngx_slab_pool_t         *shpool;
    ngx_http_llm_zone_sh_t  *sh;

    shpool = zone->shpool;

    sh = ngx_slab_calloc(shpool, sizeof(ngx_http_llm_zone_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sh->layout = NGX_HTTP_LLM_ZONE_LAYOUT;
    sh->capacity = size / NGX_HTTP_LLM_ZONE_PER_KEY;

    sh->nodes = ngx_slab_calloc(shpool,
                                sh->capacity * sizeof(ngx_http_llm_node_t));
    if (sh->nodes == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&sh->generations);
    ngx_queue_init(&sh->slots);

    len = sizeof(" in llm_zone \"llm_balancer\"");

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(shpool->log_ctx, " in llm_zone \"llm_balancer\"", len);

    shpool->data = sh;
    shpool->log_nomem = 0;

    zone->sh = sh;

    return NGX_OK;
}


/* under the lock; what exists is not changed, as the reload may yet fail */

static ngx_int_t
ngx_http_llm_zone_add_generation(ngx_http_llm_zone_t *zone)
{
    ngx_uint_t                   i;
    ngx_queue_t                 *q;
    ngx_http_llm_pool_t        **pools;
    ngx_http_llm_zone_sh_t      *sh;
    ngx_http_llm_generation_t   *generation;

    sh = zone->sh;

    /* there is one master: what is not committed is of a reload that failed */

    for (q = ngx_queue_head(&sh->generations);
         q != ngx_queue_sentinel(&sh->generations);
         /* void */)
    {
        generation = ngx_queue_data(q, ngx_http_llm_generation_t, queue);
        q = ngx_queue_next(q);

        if (!generation->committed) {
            ngx_http_llm_zone_free_generation(zone, generation);
        }
    }

    generation = ngx_slab_calloc_locked(zone->shpool,
                                        sizeof(ngx_http_llm_generation_t));
    if (generation == NULL) {
        return NGX_ERROR;
    }

    generation->serial = ++sh->serial;

    ngx_queue_insert_tail(&sh->generations, &generation->queue);

    pools = zone->pools.elts;

    if (zone->pools.nelts) {
        generation->pools = ngx_slab_calloc_locked(zone->shpool,
                         zone->pools.nelts * sizeof(ngx_http_llm_pool_sh_t));
        if (generation->pools == NULL) {
            goto failed;
        }
    }

    for (i = 0; i < zone->pools.nelts; i++) {
        generation->npools++;

        generation->pools[i].first = generation->nkeys;

        if (ngx_http_llm_zone_add_pool(zone, pools[i], &generation->pools[i])
            != NGX_OK)
        {
            goto failed;
        }

        generation->nkeys += pools[i]->nkeys;
        pools[i]->sh = &generation->pools[i];
    }

    zone->generation = generation;
    zone->serial = generation->serial;

    return NGX_OK;

failed:

    ngx_http_llm_zone_free_generation(zone, generation);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_zone_add_pool(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool, ngx_http_llm_pool_sh_t *psh)
{
    ngx_uint_t             i;
    ngx_http_llm_key_t    *key;
    ngx_http_llm_node_t   *node;
    ngx_http_llm_wheel_t  *wheel;

    if (pool->nkeys == 0) {
        return NGX_OK;
    }

    wheel = &psh->wheel;

    wheel->turns = ngx_slab_calloc_locked(zone->shpool,
                                  pool->nkeys * sizeof(ngx_http_llm_turn_t));
    if (wheel->turns == NULL) {
        return NGX_ERROR;
    }

    psh->nodes = ngx_slab_calloc_locked(zone->shpool,
                                 pool->nkeys * sizeof(ngx_http_llm_node_t *));
    if (psh->nodes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < pool->nkeys; i++) {
        key = &pool->keys[i];

        node = ngx_http_llm_zone_node(zone->sh, key->fingerprint);
        if (node == NULL) {
            return NGX_ERROR;
        }

        node->refs++;

        psh->nodes[i] = node;
        wheel->turns[i].weight = key->weight;
        wheel->n++;

        if (!key->backup) {
            wheel->primaries++;
        }
    }

    ngx_http_llm_select_init(wheel);

    return NGX_OK;
}


static ngx_http_llm_node_t *
ngx_http_llm_zone_node(ngx_http_llm_zone_sh_t *sh, u_char *fingerprint)
{
    ngx_uint_t            i;
    ngx_http_llm_node_t  *node, *vacant;

    vacant = NULL;

    for (i = 0; i < sh->capacity; i++) {
        node = &sh->nodes[i];

        if (node->refs == 0) {
            if (vacant == NULL) {
                vacant = node;
            }

            continue;
        }

        if (ngx_memcmp(node->fingerprint, fingerprint,
                       NGX_HTTP_LLM_FINGERPRINT_LEN)
            == 0)
        {
            return node;
        }
    }

    if (vacant) {
        ngx_memzero(vacant, sizeof(ngx_http_llm_node_t));
        ngx_memcpy(vacant->fingerprint, fingerprint,
                   NGX_HTTP_LLM_FINGERPRINT_LEN);
    }

    return vacant;
}


static void
ngx_http_llm_zone_free_generation(ngx_http_llm_zone_t *zone,
    ngx_http_llm_generation_t *generation)
{
    ngx_uint_t               i, n;
    ngx_http_llm_pool_sh_t  *psh;

    for (i = 0; i < generation->npools; i++) {
        psh = &generation->pools[i];

        for (n = 0; n < psh->wheel.n; n++) {
            psh->nodes[n]->refs--;
        }

        if (psh->nodes) {
            ngx_slab_free_locked(zone->shpool, psh->nodes);
        }

        if (psh->wheel.turns) {
            ngx_slab_free_locked(zone->shpool, psh->wheel.turns);
        }
    }

    if (generation->pools) {
        ngx_slab_free_locked(zone->shpool, generation->pools);
    }

    ngx_queue_remove(&generation->queue);

    ngx_slab_free_locked(zone->shpool, generation);
}


void
ngx_http_llm_zone_commit(ngx_http_llm_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    zone->generation->committed = 1;

    if (zone->previous) {
        zone->previous->retired = 1;
        zone->previous->retired_at = ngx_current_msec;
        zone->previous = NULL;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_int_t
ngx_http_llm_zone_attach(ngx_http_llm_zone_t *zone)
{
    ngx_queue_t                *q;
    ngx_http_llm_slot_t        *slot;
    ngx_http_llm_generation_t  *generation;

    slot = NULL;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (q = ngx_queue_head(&zone->sh->generations);
         q != ngx_queue_sentinel(&zone->sh->generations);
         q = ngx_queue_next(q))
    {
        generation = ngx_queue_data(q, ngx_http_llm_generation_t, queue);

        if (generation->serial == zone->serial) {
            slot = ngx_slab_calloc_locked(zone->shpool,
                                          sizeof(ngx_http_llm_slot_t)
                                          + generation->nkeys
                                            * sizeof(uint32_t));
            break;
        }
    }

    if (slot) {
        slot->pid = ngx_pid;
        slot->generation = zone->generation;
        ngx_queue_insert_tail(&zone->sh->slots, &slot->queue);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    zone->slot = slot;

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_ERR, zone->log, 0,
                      "no memory in llm_zone for another process");
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_llm_zone_detach(ngx_http_llm_zone_t *zone)
{
    if (zone->slot == NULL) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_http_llm_zone_free_slot(zone, zone->slot);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    zone->slot = NULL;
}


static void
ngx_http_llm_zone_free_slot(ngx_http_llm_zone_t *zone,
    ngx_http_llm_slot_t *slot)
{
    ngx_uint_t                  i, n;
    ngx_http_llm_pool_sh_t     *psh;
    ngx_http_llm_generation_t  *generation;

    generation = slot->generation;

    for (i = 0; i < generation->npools; i++) {
        psh = &generation->pools[i];

        for (n = 0; n < psh->wheel.n; n++) {
            psh->nodes[n]->in_flight -= slot->in_flight[psh->first + n];
        }
    }

    ngx_queue_remove(&slot->queue);

    ngx_slab_free_locked(zone->shpool, slot);
}


void
ngx_http_llm_zone_sweep(ngx_http_llm_zone_t *zone)
{
    ngx_queue_t             *q;
    ngx_http_llm_slot_t     *slot;
    ngx_http_llm_zone_sh_t  *sh;

    sh = zone->sh;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (!ngx_http_llm_zone_passed(ngx_current_msec,
                                  sh->swept + NGX_HTTP_LLM_ZONE_SWEEP))
    {
        ngx_shmtx_unlock(&zone->shpool->mutex);
        return;
    }

    sh->swept = ngx_current_msec;

    for (q = ngx_queue_head(&sh->slots);
         q != ngx_queue_sentinel(&sh->slots);
         /* void */)
    {
        slot = ngx_queue_data(q, ngx_http_llm_slot_t, queue);
        q = ngx_queue_next(q);

        if (kill(slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
            ngx_http_llm_zone_free_slot(zone, slot);
        }
    }

    ngx_http_llm_zone_collect(zone);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* frees the retired generations that no process uses any more */

static void
ngx_http_llm_zone_collect(ngx_http_llm_zone_t *zone)
{
    ngx_queue_t                *q, *s;
    ngx_http_llm_slot_t        *slot;
    ngx_http_llm_zone_sh_t     *sh;
    ngx_http_llm_generation_t  *generation;

    sh = zone->sh;

    for (q = ngx_queue_head(&sh->generations);
         q != ngx_queue_sentinel(&sh->generations);
         /* void */)
    {
        generation = ngx_queue_data(q, ngx_http_llm_generation_t, queue);
        q = ngx_queue_next(q);

        if (!generation->retired
            || !ngx_http_llm_zone_passed(ngx_current_msec,
                                         generation->retired_at
                                         + NGX_HTTP_LLM_ZONE_GRACE))
        {
            continue;
        }

        for (s = ngx_queue_head(&sh->slots);
             s != ngx_queue_sentinel(&sh->slots);
             s = ngx_queue_next(s))
        {
            slot = ngx_queue_data(s, ngx_http_llm_slot_t, queue);

            if (slot->generation == generation) {
                break;
            }
        }

        if (s == ngx_queue_sentinel(&sh->slots)) {
            ngx_http_llm_zone_free_generation(zone, generation);
        }
    }
}


ngx_int_t
ngx_http_llm_zone_acquire(ngx_http_llm_pool_t *pool, u_char *skip,
    ngx_http_llm_lease_t *lease)
{
    ngx_int_t                 i;
    ngx_http_llm_node_t      *node;
    ngx_http_llm_zone_t      *zone;
    ngx_http_llm_zone_ask_t   ask;

    zone = pool->zone;

    /* a single process has a new zone after a reload, but starts only once */

    if (zone->slot == NULL && ngx_http_llm_zone_attach(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    ask.pool = pool;
    ask.skip = skip;
    ask.now = ngx_current_msec;

    ngx_shmtx_lock(&zone->shpool->mutex);

    i = ngx_http_llm_select(&pool->sh->wheel, ask.now,
                            ngx_http_llm_zone_usable, &ask);

    if (i != NGX_BUSY) {
        node = pool->sh->nodes[i];

        node->state = NGX_HTTP_LLM_KEY_USABLE;
        node->in_flight++;
        node->tries++;

        zone->slot->in_flight[pool->sh->first + i]++;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (i == NGX_BUSY) {
        return NGX_BUSY;
    }

    lease->pool = pool;
    lease->key = i;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_zone_usable(void *data, ngx_uint_t i, ngx_msec_t *until)
{
    ngx_http_llm_zone_ask_t *ask = data;

    ngx_http_llm_key_t   *key;
    ngx_http_llm_node_t  *node;

    key = &ask->pool->keys[i];
    node = ask->pool->sh->nodes[i];

    if (node->state != NGX_HTTP_LLM_KEY_USABLE
        && !ngx_http_llm_zone_passed(ask->now, node->until))
    {
        *until = node->until;
        return NGX_AGAIN;
    }

    if (key->down
        || (key->max_conns && node->in_flight >= key->max_conns)
        || (ask->skip && (ask->skip[i / 8] & (1 << i % 8))))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_http_llm_zone_explain(ngx_http_llm_pool_t *pool, u_char *skip,
    ngx_http_llm_busy_t *busy)
{
    ngx_uint_t            i;
    ngx_msec_t            now, left;
    ngx_http_llm_key_t   *key;
    ngx_http_llm_node_t  *node;
    ngx_http_llm_zone_t  *zone;

    zone = pool->zone;
    now = ngx_current_msec;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < pool->nkeys; i++) {
        key = &pool->keys[i];
        node = pool->sh->nodes[i];

        if (key->down) {
            busy->down++;
            continue;
        }

        if (skip && (skip[i / 8] & (1 << i % 8))) {
            busy->skipped++;
            continue;
        }

        left = ngx_http_llm_zone_passed(now, node->until)
               ? 0 : node->until - now;

        if (node->state != NGX_HTTP_LLM_KEY_USABLE && left) {

            if (node->state == NGX_HTTP_LLM_KEY_COOLING) {
                busy->cooling++;

            } else {
                busy->finished++;
            }

            busy->retry = busy->retry ? ngx_min(busy->retry, left) : left;

        } else if (key->max_conns && node->in_flight >= key->max_conns) {
            busy->full++;

        } else {
            busy->usable++;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_llm_zone_release(ngx_http_llm_lease_t *lease, ngx_uint_t unused)
{
    ngx_http_llm_node_t     *node;
    ngx_http_llm_zone_t     *zone;
    ngx_http_llm_pool_sh_t  *psh;

    if (lease->pool == NULL) {
        return;
    }

    zone = lease->pool->zone;
    psh = lease->pool->sh;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = psh->nodes[lease->key];

    if (zone->slot) {
        node->in_flight--;
        zone->slot->in_flight[psh->first + lease->key]--;
    }

    if (unused) {
        node->tries--;
        ngx_http_llm_select_return(&psh->wheel, lease->key);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    lease->pool = NULL;
}


ngx_uint_t
ngx_http_llm_zone_put_out(ngx_http_llm_lease_t *lease, ngx_uint_t state,
    ngx_msec_t time)
{
    ngx_msec_t            now, until;
    ngx_uint_t            changed;
    ngx_http_llm_node_t  *node;
    ngx_http_llm_zone_t  *zone;

    zone = lease->pool->zone;
    now = ngx_current_msec;
    until = now + time;
    changed = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = lease->pool->sh->nodes[lease->key];

    if (node->state == NGX_HTTP_LLM_KEY_USABLE
        || ngx_http_llm_zone_passed(until, node->until))
    {
        if (node->state == NGX_HTTP_LLM_KEY_USABLE
            || ngx_http_llm_zone_passed(now, node->until))
        {
            node->outs++;
            changed = 1;
        }

        changed |= (node->state != state);

        node->state = state;
        node->until = until;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return changed;
}


void
ngx_http_llm_zone_info(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_key_info_t *info)
{
    ngx_msec_t            now;
    ngx_http_llm_node_t  *node;
    ngx_http_llm_zone_t  *zone;

    zone = pool->zone;
    now = ngx_current_msec;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = pool->sh->nodes[key];

    info->state = node->state;
    info->in_flight = node->in_flight;
    info->tries = node->tries;
    info->outs = node->outs;
    info->retry = node->until - now;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (info->state == NGX_HTTP_LLM_KEY_USABLE
        || (ngx_msec_int_t) info->retry <= 0)
    {
        info->state = NGX_HTTP_LLM_KEY_USABLE;
        info->retry = 0;
    }

    if (pool->keys[key].down) {
        info->state = NGX_HTTP_LLM_KEY_DOWN;
    }
}
