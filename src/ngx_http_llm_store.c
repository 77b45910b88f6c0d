
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_store.h"
#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_policy.h"


#define NGX_HTTP_LLM_STORE_LAYOUT  3

/*
 * A node, its places in lines, and a share of the slots of several processes;
 * models with limits of their own need as much again.
 */

#define NGX_HTTP_LLM_STORE_PER_NODE  1280

/* the share of the zone that is for ids and conversations: 1/16 and 1/32 */

#define NGX_HTTP_LLM_STORE_IDS       16
#define NGX_HTTP_LLM_STORE_HOMES     32

/* one name is counted for so many nodes */

#define NGX_HTTP_LLM_STORE_NAMES     8

/* models that have a line of their own, in one pool */

#define NGX_HTTP_LLM_STORE_LINES     32

/*
 * A worker may have been forked from a configuration that was replaced
 * before it could attach; none takes longer than this to start.
 */

#define NGX_HTTP_LLM_STORE_GRACE     10000                            /* ms */

#define NGX_HTTP_LLM_STORE_SWEEP     900                              /* ms */

/* how often a process that ends writes what others have changed */

#define NGX_HTTP_LLM_STORE_KEEP      4


static ngx_int_t ngx_http_llm_store_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_http_llm_store_init_sh(ngx_http_llm_zone_t *zone);
static void ngx_http_llm_store_inherit(ngx_http_llm_zone_t *zone,
    ngx_shm_zone_t *shm_zone);
static ngx_http_llm_ids_t *ngx_http_llm_store_map(ngx_http_llm_zone_t *zone,
    ngx_uint_t share);
static void ngx_http_llm_store_restore(ngx_http_llm_zone_t *zone);
static void ngx_http_llm_store_keep(ngx_http_llm_zone_t *zone,
    ngx_uint_t last);
static ngx_int_t ngx_http_llm_store_add_generation(ngx_http_llm_zone_t *zone);
static ngx_int_t ngx_http_llm_store_add_pool(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool, ngx_http_llm_pool_sh_t *psh);
static ngx_int_t ngx_http_llm_store_init_line(ngx_http_llm_pool_t *pool,
    ngx_http_llm_pool_sh_t *psh, ngx_http_llm_line_t *line,
    ngx_http_llm_choice_t *choice);
static void ngx_http_llm_store_adopt_lines(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool);
static void ngx_http_llm_store_recall_lines(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool, ngx_http_llm_choice_t *choice);
static void ngx_http_llm_store_homes(ngx_http_llm_pool_sh_t *psh,
    ngx_http_llm_line_t *line, ngx_http_llm_choice_t *choice);
static void ngx_http_llm_store_free_line(ngx_slab_pool_t *shpool,
    ngx_http_llm_pool_sh_t *psh, ngx_http_llm_line_t *line);
static ngx_http_llm_node_t *ngx_http_llm_store_cell(
    ngx_http_llm_zone_sh_t *sh, ngx_http_llm_pool_t *pool,
    ngx_http_llm_pool_sh_t *psh, ngx_uint_t key, uint64_t model);
static uint32_t *ngx_http_llm_store_bucket(ngx_http_llm_zone_sh_t *sh,
    u_char *id);
static uint32_t ngx_http_llm_store_vacant(ngx_http_llm_zone_sh_t *sh);
static void ngx_http_llm_store_leave(ngx_http_llm_zone_t *zone,
    ngx_http_llm_node_t *upstream);
static void ngx_http_llm_store_free_generation(ngx_http_llm_zone_t *zone,
    ngx_http_llm_generation_t *generation);
static void ngx_http_llm_store_free_slot(ngx_http_llm_zone_t *zone,
    ngx_http_llm_slot_t *slot);
static void ngx_http_llm_store_free_tickets(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_sh_t *psh, ngx_pid_t pid);
static void ngx_http_llm_store_collect(ngx_http_llm_zone_t *zone);


size_t
ngx_http_llm_store_min_size(void)
{
    return 32 * ngx_pagesize;
}


ngx_http_llm_zone_t *
ngx_http_llm_store_create(ngx_conf_t *cf, size_t size, void *tag)
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

    zone->capacity = size / NGX_HTTP_LLM_STORE_PER_NODE;
    zone->log = &cf->cycle->new_log;

    shm_zone->init = ngx_http_llm_store_init;
    shm_zone->data = zone;

    return zone;
}


ngx_int_t
ngx_http_llm_store_add(ngx_http_llm_zone_t *zone, ngx_http_llm_pool_t *pool)
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


ngx_int_t
ngx_http_llm_store_file(ngx_conf_t *cf, ngx_http_llm_zone_t *zone,
    ngx_str_t *file)
{
    zone->state = ngx_http_llm_state_create(cf->pool, file, zone->capacity);

    return zone->state ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_store_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_llm_zone_t  *old = data;

    ngx_int_t             rc;
    ngx_http_llm_zone_t  *zone;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        zone->sh = old->sh;
        zone->previous = old->generation;

        if (zone->sh->layout != NGX_HTTP_LLM_STORE_LAYOUT) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "llm_zone has the layout %ui of another version "
                          "of the module, a restart is needed",
                          zone->sh->layout);
            return NGX_ERROR;
        }

    } else if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;

    } else if (ngx_http_llm_store_init_sh(zone) == NGX_OK) {
        ngx_http_llm_store_inherit(zone, shm_zone);

    } else {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "llm_zone is too small");
        return NGX_ERROR;
    }

    if (zone->state) {

        if (ngx_http_llm_state_open(zone->state, shm_zone->shm.log) != NGX_OK) {
            return NGX_ERROR;
        }

        if (zone->sh->serial == 0 && zone->replaced == NULL
            && !ngx_test_config)
        {
            ngx_http_llm_store_restore(zone);
        }

        ngx_http_llm_state_drop(zone->state);
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    rc = ngx_http_llm_store_add_generation(zone);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "llm_zone is too small: it has room for %ui keys",
                      zone->sh->capacity);
    }

    return rc;
}


static ngx_int_t
ngx_http_llm_store_init_sh(ngx_http_llm_zone_t *zone)
{
    size_t                   len;
    ngx_time_t              *tp;
    ngx_uint_t               max;
    ngx_slab_pool_t         *shpool;
    ngx_http_llm_zone_sh_t  *sh;

    shpool = zone->shpool;

    sh = ngx_slab_calloc(shpool, sizeof(ngx_http_llm_zone_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sh->layout = NGX_HTTP_LLM_STORE_LAYOUT;
    sh->capacity = zone->capacity;

    sh->nodes = ngx_slab_calloc(shpool, (sh->capacity + 1)
                                        * sizeof(ngx_http_llm_node_t));
    if (sh->nodes == NULL) {
        return NGX_ERROR;
    }

    sh->buckets = ngx_slab_calloc(shpool, sh->capacity * sizeof(uint32_t));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    sh->ids = ngx_http_llm_store_map(zone, NGX_HTTP_LLM_STORE_IDS);
    sh->homes = ngx_http_llm_store_map(zone, NGX_HTTP_LLM_STORE_HOMES);

    if (sh->ids == NULL || sh->homes == NULL) {
        return NGX_ERROR;
    }

    max = ngx_min(sh->capacity / NGX_HTTP_LLM_STORE_NAMES,
                  NGX_HTTP_LLM_COUNT_NAMES);

    sh->models = ngx_slab_calloc(shpool, ngx_http_llm_count_names_size(max));
    sh->clients = ngx_slab_calloc(shpool, ngx_http_llm_count_names_size(max));

    if (sh->models == NULL || sh->clients == NULL) {
        return NGX_ERROR;
    }

    sh->models->max = max;
    sh->clients->max = max;

    tp = ngx_timeofday();
    sh->began = (uint64_t) tp->sec * 1000 + tp->msec;

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


/* a share of the zone, in whole pages */

static ngx_http_llm_ids_t *
ngx_http_llm_store_map(ngx_http_llm_zone_t *zone, ngx_uint_t share)
{
    size_t               len;
    ngx_uint_t           n;
    ngx_http_llm_ids_t  *map;

    len = zone->capacity * NGX_HTTP_LLM_STORE_PER_NODE / share;
    n = (len - sizeof(ngx_http_llm_ids_t)) / sizeof(ngx_http_llm_ids_entry_t);
    n -= n % NGX_HTTP_LLM_IDS_WAYS;

    map = ngx_slab_alloc(zone->shpool, ngx_http_llm_ids_size(n));
    if (map == NULL) {
        return NULL;
    }

    ngx_http_llm_ids_init(map, n);

    return map;
}


/* under the lock; what exists is not changed, as the reload may yet fail */

static ngx_int_t
ngx_http_llm_store_add_generation(ngx_http_llm_zone_t *zone)
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
            ngx_http_llm_store_free_generation(zone, generation);
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

        if (ngx_http_llm_store_add_pool(zone, pools[i], &generation->pools[i])
            != NGX_OK)
        {
            goto failed;
        }

        generation->nkeys += pools[i]->nkeys;
        pools[i]->sh = &generation->pools[i];

        ngx_http_llm_store_adopt_lines(zone, pools[i]);
    }

    zone->generation = generation;
    zone->serial = generation->serial;

    return NGX_OK;

failed:

    ngx_http_llm_store_free_generation(zone, generation);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_store_add_pool(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool, ngx_http_llm_pool_sh_t *psh)
{
    ngx_uint_t              i;
    ngx_http_llm_node_t    *node;
    ngx_http_llm_choice_t   choice;

    ngx_queue_init(&psh->lines);
    ngx_queue_init(&psh->tickets);

    if (pool->nkeys == 0) {
        return NGX_OK;
    }

    psh->upstream = ngx_http_llm_store_node(zone->sh, pool->fingerprint);
    if (psh->upstream == NULL) {
        return NGX_ERROR;
    }

    psh->upstream->refs++;

    if (psh->upstream->times == NULL) {

        /* without memory it goes unmeasured */

        psh->upstream->times = ngx_slab_calloc_locked(zone->shpool,
                                                 sizeof(ngx_http_llm_times_t));
    }

    psh->nodes = ngx_slab_calloc_locked(zone->shpool,
                                 pool->nkeys * sizeof(ngx_http_llm_node_t *));
    if (psh->nodes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < pool->nkeys; i++) {
        node = ngx_http_llm_store_node(zone->sh, pool->keys[i].fingerprint);
        if (node == NULL) {
            return NGX_ERROR;
        }

        node->refs++;

        psh->nodes[i] = node;
        psh->nkeys++;
    }

    ngx_memzero(&choice, sizeof(ngx_http_llm_choice_t));

    choice.pool = pool;
    choice.sh = psh;
    choice.now.msec = ngx_current_msec;

    return ngx_http_llm_store_init_line(pool, psh, &psh->line, &choice);
}


static ngx_int_t
ngx_http_llm_store_init_line(ngx_http_llm_pool_t *pool,
    ngx_http_llm_pool_sh_t *psh, ngx_http_llm_line_t *line,
    ngx_http_llm_choice_t *choice)
{
    size_t                     len;
    u_char                    *p;
    ngx_uint_t                 i, n;
    ngx_slab_pool_t           *shpool;
    ngx_http_llm_lane_ask_t    ask;
    ngx_http_llm_line_t       *current;

    n = pool->nkeys;
    shpool = pool->zone->shpool;
    len = n * sizeof(ngx_http_llm_node_t *);

    p = ngx_slab_calloc_locked(shpool, len + ngx_http_llm_lane_size(n)
                                       + (pool->policy == NGX_HTTP_LLM_AFFINITY
                                          ? ngx_http_llm_rendezvous_size(n)
                                          : 0));
    if (p == NULL) {
        return NGX_ERROR;
    }

    line->memory = p;
    line->cells = (ngx_http_llm_node_t **) p;

    for (i = 0; i < n; i++) {
        line->cells[i] = ngx_http_llm_store_cell(pool->zone->sh, pool, psh, i,
                                                 line->model);
        if (line->cells[i] == NULL) {
            return NGX_ERROR;
        }

        line->cells[i]->refs++;
    }

    current = choice->line;
    choice->line = line;

    ngx_http_llm_policy_lane_ask(&ask);
    ask.data = choice;

    ngx_http_llm_lane_init(&line->lane, n, &ask, p + len);

    if (pool->policy == NGX_HTTP_LLM_AFFINITY) {
        ngx_http_llm_rendezvous_init(&line->homes, n,
                                     p + len + ngx_http_llm_lane_size(n));
        ngx_http_llm_store_homes(psh, line, choice);
    }

    choice->line = current;

    return NGX_OK;
}


/* keys of one group have one cache, so the group has the conversation */

static void
ngx_http_llm_store_homes(ngx_http_llm_pool_sh_t *psh,
    ngx_http_llm_line_t *line, ngx_http_llm_choice_t *choice)
{
    ngx_uint_t                 i;
    ngx_http_llm_peer_name_t  *name;

    for (i = 0; i < line->homes.n; i++) {
        name = &line->homes.names[i];

        ngx_memcpy(&name->name, psh->line.cells[i]->id, sizeof(uint64_t));

        name->weight = ngx_http_llm_policy_share(choice, i);
        name->i = (uint32_t) i;
    }

    ngx_http_llm_rendezvous_build(&line->homes);
}


static void
ngx_http_llm_store_free_line(ngx_slab_pool_t *shpool,
    ngx_http_llm_pool_sh_t *psh, ngx_http_llm_line_t *line)
{
    ngx_uint_t  i;

    if (line->memory == NULL) {
        return;
    }

    for (i = 0; i < psh->nkeys && line->cells[i]; i++) {
        line->cells[i]->refs--;
    }

    ngx_slab_free_locked(shpool, line->memory);
}


/* the models that were known before a reload are known after it */

static void
ngx_http_llm_store_adopt_lines(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_http_llm_line_t     *line;
    ngx_http_llm_choice_t    choice;
    ngx_http_llm_pool_sh_t  *psh;

    ngx_memzero(&choice, sizeof(ngx_http_llm_choice_t));

    choice.pool = pool;
    choice.sh = pool->sh;
    choice.now.msec = ngx_current_msec;

    if (zone->previous == NULL) {
        ngx_http_llm_store_recall_lines(zone, pool, &choice);
        return;
    }

    for (i = 0; i < zone->previous->npools; i++) {
        psh = &zone->previous->pools[i];

        if (psh->upstream != pool->sh->upstream) {
            continue;
        }

        for (q = ngx_queue_last(&psh->lines);
             q != ngx_queue_sentinel(&psh->lines);
             q = ngx_queue_prev(q))
        {
            line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

            (void) ngx_http_llm_store_line(pool, line->model, 1, &choice);
        }
    }
}


/* the same by nodes that were restored, or inherited of another zone */

static void
ngx_http_llm_store_recall_lines(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool, ngx_http_llm_choice_t *choice)
{
    u_char                   id[NGX_HTTP_LLM_FINGERPRINT_LEN];
    ngx_uint_t               i;
    ngx_http_llm_node_t     *node;
    ngx_http_llm_zone_sh_t  *sh;

    sh = zone->sh;

    for (i = 1; pool->nkeys && i <= sh->used; i++) {
        node = &sh->nodes[i];

        if (node->line == 0) {
            continue;
        }

        ngx_http_llm_store_derive(id, pool->fingerprint, node->line);

        if (ngx_memcmp(id, node->id, NGX_HTTP_LLM_FINGERPRINT_LEN) == 0) {
            (void) ngx_http_llm_store_line(pool, node->line, 1, choice);
        }
    }
}


/*
 * What counts for a key: itself, or the group that it was given, or the
 * organization that its answers named; for one model of that, if the model is
 * not 0.
 */

static ngx_http_llm_node_t *
ngx_http_llm_store_cell(ngx_http_llm_zone_sh_t *sh, ngx_http_llm_pool_t *pool,
    ngx_http_llm_pool_sh_t *psh, ngx_uint_t key, uint64_t model)
{
    u_char  id[NGX_HTTP_LLM_FINGERPRINT_LEN];

    if (pool->keys[key].group.len) {
        ngx_memcpy(id, pool->keys[key].group_id, sizeof(id));

    } else if (psh->nodes[key]->organization) {
        ngx_http_llm_store_derive(id, pool->fingerprint,
                                  psh->nodes[key]->organization);

    } else {
        ngx_memcpy(id, pool->keys[key].fingerprint, sizeof(id));
    }

    if (model) {
        ngx_http_llm_store_derive(id, id, model);
    }

    return ngx_http_llm_store_node(sh, id);
}


void
ngx_http_llm_store_derive(u_char *id, const u_char *of, uint64_t what)
{
    uint64_t  half[2];

    ngx_memcpy(half, of, sizeof(half));

    half[0] ^= ngx_http_llm_hash_final(what);
    half[1] ^= ngx_http_llm_hash_final(~what);

    ngx_memcpy(id, half, sizeof(half));
}


ngx_http_llm_line_t *
ngx_http_llm_store_line(ngx_http_llm_pool_t *pool, uint64_t model,
    ngx_uint_t make, ngx_http_llm_choice_t *choice)
{
    u_char                   id[NGX_HTTP_LLM_FINGERPRINT_LEN];
    ngx_queue_t             *q;
    ngx_slab_pool_t         *shpool;
    ngx_http_llm_line_t     *line;
    ngx_http_llm_node_t     *node;
    ngx_http_llm_pool_sh_t  *psh;

    psh = pool->sh;
    shpool = pool->zone->shpool;

    if (model == 0) {
        return &psh->line;
    }

    for (q = ngx_queue_head(&psh->lines);
         q != ngx_queue_sentinel(&psh->lines);
         q = ngx_queue_next(q))
    {
        line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

        if (line->model == model) {

            if (q != ngx_queue_head(&psh->lines)) {
                ngx_queue_remove(q);
                ngx_queue_insert_head(&psh->lines, q);
            }

            return line;
        }
    }

    /* a node tells that the model had a line before a reload */

    ngx_http_llm_store_derive(id, pool->fingerprint, model);

    node = make ? ngx_http_llm_store_node(pool->zone->sh, id)
                : ngx_http_llm_store_find(pool->zone->sh, id);

    if (node == NULL) {
        return &psh->line;
    }

    node->line = model;

    line = ngx_slab_calloc_locked(shpool, sizeof(ngx_http_llm_line_t));

    if (line == NULL || psh->nlines == NGX_HTTP_LLM_STORE_LINES) {

        if (line) {
            ngx_slab_free_locked(shpool, line);
        }

        if (psh->nlines == 0) {
            return &psh->line;
        }

        q = ngx_queue_last(&psh->lines);
        line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

        ngx_queue_remove(q);
        psh->nlines--;

        ngx_http_llm_store_free_line(shpool, psh, line);
        ngx_memzero(line, sizeof(ngx_http_llm_line_t));
    }

    line->model = model;

    if (ngx_http_llm_store_init_line(pool, psh, line, choice) != NGX_OK) {
        ngx_http_llm_store_free_line(shpool, psh, line);
        ngx_slab_free_locked(shpool, line);

        return &psh->line;
    }

    ngx_queue_insert_head(&psh->lines, &line->queue);
    psh->nlines++;

    return line;
}


void
ngx_http_llm_store_regroup(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_choice_t *choice)
{
    ngx_queue_t              *q;
    ngx_http_llm_line_t      *line;
    ngx_http_llm_node_t      *cell;
    ngx_http_llm_pool_sh_t   *psh;

    psh = pool->sh;
    line = &psh->line;
    q = ngx_queue_head(&psh->lines);

    for ( ;; ) {
        cell = ngx_http_llm_store_cell(pool->zone->sh, pool, psh, key,
                                       line->model);

        /* without space it stays where it was */

        if (cell) {
            cell->refs++;
            line->cells[key]->refs--;
            line->cells[key] = cell;
        }

        if (pool->policy == NGX_HTTP_LLM_AFFINITY) {
            choice->line = line;
            ngx_http_llm_store_homes(psh, line, choice);
        }

        if (q == ngx_queue_sentinel(&psh->lines)) {
            return;
        }

        line = ngx_queue_data(q, ngx_http_llm_line_t, queue);
        q = ngx_queue_next(q);
    }
}


ngx_http_llm_node_t *
ngx_http_llm_store_find(ngx_http_llm_zone_sh_t *sh, u_char *id)
{
    uint32_t              i;
    ngx_http_llm_node_t  *node;

    for (i = *ngx_http_llm_store_bucket(sh, id); i; i = node->next) {
        node = &sh->nodes[i];

        if (ngx_memcmp(node->id, id, NGX_HTTP_LLM_FINGERPRINT_LEN) == 0) {
            return node;
        }
    }

    return NULL;
}


ngx_http_llm_node_t *
ngx_http_llm_store_node(ngx_http_llm_zone_sh_t *sh, u_char *id)
{
    uint32_t             *bucket, i;
    ngx_http_llm_node_t  *node;

    node = ngx_http_llm_store_find(sh, id);
    if (node) {
        return node;
    }

    i = ngx_http_llm_store_vacant(sh);
    if (i == 0) {
        return NULL;
    }

    node = &sh->nodes[i];
    bucket = ngx_http_llm_store_bucket(sh, id);

    ngx_memcpy(node->id, id, NGX_HTTP_LLM_FINGERPRINT_LEN);

    node->next = *bucket;
    *bucket = i;

    return node;
}


static uint32_t *
ngx_http_llm_store_bucket(ngx_http_llm_zone_sh_t *sh, u_char *id)
{
    uint64_t  hash;

    ngx_memcpy(&hash, id, sizeof(uint64_t));

    return &sh->buckets[hash % sh->capacity];
}


/* a place that was never used, or that of a node that nobody uses any more */

static uint32_t
ngx_http_llm_store_vacant(ngx_http_llm_zone_sh_t *sh)
{
    uint32_t             *link, i;
    ngx_uint_t            n;
    ngx_http_llm_node_t  *node;

    if (sh->used < sh->capacity) {
        return (uint32_t) ++sh->used;
    }

    for (n = 0; n < sh->capacity; n++) {
        sh->hand = sh->hand % sh->capacity + 1;

        i = (uint32_t) sh->hand;
        node = &sh->nodes[i];

        if (node->refs) {
            continue;
        }

        for (link = ngx_http_llm_store_bucket(sh, node->id);
             *link != i;
             link = &sh->nodes[*link].next)
        {
            /* void */
        }

        *link = node->next;

        ngx_memzero(node, sizeof(ngx_http_llm_node_t));

        return i;
    }

    return 0;
}


/* a zone of another size is a new one: what the old one knew goes on */

static void
ngx_http_llm_store_inherit(ngx_http_llm_zone_t *zone, ngx_shm_zone_t *shm_zone)
{
    uint32_t                 next;
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_shm_zone_t          *old;
    ngx_slab_pool_t         *shpool;
    ngx_http_llm_node_t     *node, *from;
    ngx_http_llm_zone_sh_t  *sh;

    /* the cycle that runs is still the old one */

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
    old = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return;
            }

            part = part->next;
            old = part->elts;
            i = 0;
        }

        if (old[i].tag == shm_zone->tag
            && &old[i] != shm_zone
            && old[i].init == ngx_http_llm_store_init
            && old[i].shm.name.len == shm_zone->shm.name.len
            && ngx_strncmp(old[i].shm.name.data, shm_zone->shm.name.data,
                           shm_zone->shm.name.len)
               == 0)
        {
            break;
        }
    }

    zone->replaced = old[i].data;
    sh = zone->replaced->sh;

    if (sh == NULL || sh->layout != NGX_HTTP_LLM_STORE_LAYOUT) {
        return;
    }

    /* workers still write into it */

    shpool = (ngx_slab_pool_t *) old[i].shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    ngx_http_llm_ids_inherit(zone->sh->ids, sh->ids);
    ngx_http_llm_ids_inherit(zone->sh->homes, sh->homes);
    ngx_http_llm_count_copy(zone->sh->models, sh->models);
    ngx_http_llm_count_copy(zone->sh->clients, sh->clients);
    ngx_shmtx_unlock(&shpool->mutex);

    zone->sh->began = sh->began;

    for (i = 1; i <= sh->used; i++) {
        from = &sh->nodes[i];

        node = ngx_http_llm_store_node(zone->sh, from->id);
        if (node == NULL) {
            return;
        }

        next = node->next;

        *node = *from;

        node->next = next;
        node->refs = 0;
        node->in_flight = 0;
        node->times = NULL;

        if (from->times) {
            node->times = ngx_slab_alloc(zone->shpool,
                                         sizeof(ngx_http_llm_times_t));

            if (node->times) {
                *node->times = *from->times;
            }
        }
    }
}


/* a new zone, which nobody else uses yet */

static void
ngx_http_llm_store_restore(ngx_http_llm_zone_t *zone)
{
    uint64_t                      wall;
    ngx_uint_t                    i, n;
    ngx_time_t                   *tp;
    ngx_http_llm_node_t          *node;
    ngx_http_llm_zone_sh_t       *sh;
    ngx_http_llm_state_header_t  *header;
    ngx_http_llm_state_record_t  *records;

    if (zone->state->slot == NULL) {
        return;
    }

    tp = ngx_timeofday();
    wall = (uint64_t) tp->sec * 1000 + tp->msec;

    sh = zone->sh;
    header = (ngx_http_llm_state_header_t *) zone->state->slot;
    records = ngx_http_llm_state_records(zone->state->slot);
    n = 0;

    for (i = 0; i < header->count && sh->used < sh->capacity; i++) {

        if (records[i].kind != NGX_HTTP_LLM_STATE_NODE) {
            continue;
        }

        node = ngx_http_llm_store_node(sh, records[i].id);

        ngx_http_llm_state_get(&records[i], node, ngx_current_msec, wall);
        n++;
    }

    ngx_log_error(NGX_LOG_NOTICE, zone->log, 0,
                  "llm_state \"%V\": the state of %ui keys, groups and models",
                  &zone->state->name, n);
}


static void
ngx_http_llm_store_leave(ngx_http_llm_zone_t *zone,
    ngx_http_llm_node_t *upstream)
{
    if (--upstream->refs == 0 && upstream->times) {
        ngx_slab_free_locked(zone->shpool, upstream->times);
        upstream->times = NULL;
    }
}


static void
ngx_http_llm_store_free_generation(ngx_http_llm_zone_t *zone,
    ngx_http_llm_generation_t *generation)
{
    ngx_uint_t               i, n;
    ngx_queue_t             *q;
    ngx_http_llm_line_t     *line;
    ngx_http_llm_pool_sh_t  *psh;

    for (i = 0; i < generation->npools; i++) {
        psh = &generation->pools[i];

        while (psh->nlines) {
            q = ngx_queue_head(&psh->lines);
            line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

            ngx_queue_remove(q);
            psh->nlines--;

            ngx_http_llm_store_free_line(zone->shpool, psh, line);
            ngx_slab_free_locked(zone->shpool, line);
        }

        ngx_http_llm_store_free_line(zone->shpool, psh, &psh->line);

        ngx_http_llm_store_free_tickets(zone, psh, NGX_INVALID_PID);

        for (n = 0; n < psh->nkeys; n++) {
            psh->nodes[n]->refs--;
        }

        if (psh->upstream) {
            ngx_http_llm_store_leave(zone, psh->upstream);
        }

        if (psh->nodes) {
            ngx_slab_free_locked(zone->shpool, psh->nodes);
        }
    }

    if (generation->pools) {
        ngx_slab_free_locked(zone->shpool, generation->pools);
    }

    ngx_queue_remove(&generation->queue);

    ngx_slab_free_locked(zone->shpool, generation);
}


void
ngx_http_llm_store_commit(ngx_http_llm_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    zone->generation->committed = 1;

    if (zone->previous) {
        zone->previous->retired = 1;
        zone->previous->retired_at = ngx_current_msec;
        zone->previous = NULL;
    }

    if (zone->state) {
        ngx_http_llm_state_commit(zone->state, &zone->sh->state, zone->serial);

    } else {
        zone->sh->state.owner = 0;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    /* the workers of the old zone shall not write any more */

    if (zone->replaced && zone->replaced->sh) {
        ngx_shmtx_lock(&zone->replaced->shpool->mutex);

        zone->replaced->sh->state.owner = 0;

        ngx_shmtx_unlock(&zone->replaced->shpool->mutex);
    }

    zone->replaced = NULL;
}


ngx_int_t
ngx_http_llm_store_attach(ngx_http_llm_zone_t *zone)
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
ngx_http_llm_store_detach(ngx_http_llm_zone_t *zone)
{
    ngx_http_llm_store_keep(zone, 1);

    if (zone->slot == NULL) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_http_llm_store_free_slot(zone, zone->slot);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    zone->slot = NULL;
}


static void
ngx_http_llm_store_free_slot(ngx_http_llm_zone_t *zone,
    ngx_http_llm_slot_t *slot)
{
    ngx_uint_t                  i, n;
    ngx_http_llm_pool_sh_t     *psh;
    ngx_http_llm_generation_t  *generation;

    generation = slot->generation;

    for (i = 0; i < generation->npools; i++) {
        psh = &generation->pools[i];

        for (n = 0; n < psh->nkeys; n++) {
            psh->upstream->in_flight -= slot->in_flight[psh->first + n];
            psh->nodes[n]->in_flight -= slot->in_flight[psh->first + n];
        }

        ngx_http_llm_store_free_tickets(zone, psh, slot->pid);
    }

    ngx_queue_remove(&slot->queue);

    ngx_slab_free_locked(zone->shpool, slot);
}


/* those of one process, or of all */

static void
ngx_http_llm_store_free_tickets(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_sh_t *psh, ngx_pid_t pid)
{
    ngx_queue_t            *q;
    ngx_http_llm_ticket_t  *ticket;

    if (psh->ntickets == 0) {
        return;
    }

    for (q = ngx_queue_head(&psh->tickets);
         q != ngx_queue_sentinel(&psh->tickets);
         /* void */)
    {
        ticket = ngx_queue_data(q, ngx_http_llm_ticket_t, queue);
        q = ngx_queue_next(q);

        if (pid == NGX_INVALID_PID || ticket->pid == pid) {
            ngx_queue_remove(&ticket->queue);
            psh->ntickets--;

            ngx_slab_free_locked(zone->shpool, ticket);
        }
    }
}


void
ngx_http_llm_store_sweep(ngx_http_llm_zone_t *zone)
{
    ngx_queue_t             *q;
    ngx_http_llm_slot_t     *slot;
    ngx_http_llm_zone_sh_t  *sh;

    sh = zone->sh;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (!ngx_http_llm_node_passed(ngx_current_msec,
                                  sh->swept + NGX_HTTP_LLM_STORE_SWEEP))
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
            ngx_http_llm_store_free_slot(zone, slot);
        }
    }

    ngx_http_llm_store_collect(zone);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    ngx_http_llm_store_keep(zone, 0);
}


static void
ngx_http_llm_store_keep(ngx_http_llm_zone_t *zone, ngx_uint_t last)
{
    ngx_err_t                err;
    ngx_uint_t               i, complain;
    ngx_http_llm_state_t    *state;
    ngx_http_llm_zone_sh_t  *sh;

    sh = zone->sh;
    state = zone->state;

    if (state == NULL) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    /*
     * When all end at once, who finds another one writing leaves it to that
     * one, which looks again for what has changed meanwhile.
     */

    for (i = 0; i < NGX_HTTP_LLM_STORE_KEEP; i++) {

        if (!ngx_http_llm_state_begin(state, &sh->state, &sh->nodes[1],
                                      sh->used, last))
        {
            break;
        }

        ngx_shmtx_unlock(&zone->shpool->mutex);

        err = ngx_http_llm_state_write(state);

        ngx_shmtx_lock(&zone->shpool->mutex);

        complain = ngx_http_llm_state_end(state, &sh->state, err);

        if (complain) {
            ngx_shmtx_unlock(&zone->shpool->mutex);

            ngx_log_error(NGX_LOG_ALERT, zone->log, err,
                          "write to llm_state \"%V\" failed", &state->name);

            return;
        }

        if (err || !last) {
            break;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* frees the retired generations that no process uses any more */

static void
ngx_http_llm_store_collect(ngx_http_llm_zone_t *zone)
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
            || !ngx_http_llm_node_passed(ngx_current_msec,
                                         generation->retired_at
                                         + NGX_HTTP_LLM_STORE_GRACE))
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
            ngx_http_llm_store_free_generation(zone, generation);
        }
    }
}
