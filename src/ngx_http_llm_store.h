
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What lies in the zone, and how it is found again:
 *
 *     sh           the root, with a table of nodes of a fixed size
 *     node         the state of a key, a group, a model or an upstream, found
 *                  again by its id; one that nobody uses stays until its place
 *                  is needed
 *     generation   the pools of one configuration; old workers go on with
 *                  theirs while new ones use the next
 *     line         the order of a pool's keys for one model, or for all
 *     slot         what one process has in flight, so that it can be given
 *                  back when the process is gone
 *
 * No pointer leads out of the zone.  What is not the business of the lock's
 * owner stays behind ngx_http_llm_zone.h.
 */


#ifndef _NGX_HTTP_LLM_STORE_H_INCLUDED_
#define _NGX_HTTP_LLM_STORE_H_INCLUDED_


#include "ngx_http_llm_zone.h"
#include "ngx_http_llm_lane.h"
#include "ngx_http_llm_rendezvous.h"


typedef struct {
    ngx_queue_t                  queue;     /* the last used one is first */
    uint64_t                     model;     /* 0: of all that have none */
    ngx_http_llm_lane_t          lane;
    ngx_http_llm_node_t        **cells;     /* of keys: their limits */
    ngx_http_llm_rendezvous_t    homes;     /* of conversations: for affinity */
    void                        *memory;
} ngx_http_llm_line_t;


struct ngx_http_llm_pool_sh_s {
    ngx_uint_t                   nkeys;
    ngx_uint_t                   first;     /* number of its first key */
    ngx_http_llm_node_t         *upstream;
    ngx_http_llm_node_t        **nodes;     /* of keys */
    ngx_http_llm_line_t          line;      /* its cells are the groups */
    ngx_queue_t                  lines;     /* of single models */
    ngx_uint_t                   nlines;
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
    ngx_uint_t                   used;           /* nodes that have an id */
    ngx_uint_t                   hand;           /* where to look for space */
    uint32_t                    *buckets;        /* capacity of them */
    ngx_http_llm_node_t         *nodes;          /* [0] is not used */
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


/* what the lanes of a pool ask, see the lane room; data is set by the caller */

void ngx_http_llm_zone_lane_ask(ngx_http_llm_lane_ask_t *ask);

/* how many of the conversations a key should have, data as above */

uint32_t ngx_http_llm_zone_share(void *data, ngx_uint_t i);

/* who asks, as the data of it */

typedef struct {
    ngx_http_llm_pool_t         *pool;
    ngx_http_llm_pool_sh_t      *sh;
    ngx_http_llm_line_t         *line;
    ngx_http_llm_ask_t          *ask;
    ngx_http_llm_moment_t        now;
} ngx_http_llm_choice_t;


/* all that follow are called under the lock */

/*
 * The node of an id, made if need be: NULL when all places are taken.  The
 * caller holds it by its refs.
 */

ngx_http_llm_node_t *ngx_http_llm_store_node(ngx_http_llm_zone_sh_t *sh,
    u_char *id);

/* the same, or NULL if there is none */

ngx_http_llm_node_t *ngx_http_llm_store_find(ngx_http_llm_zone_sh_t *sh,
    u_char *id);

/* the id of a thing that belongs to another one */

void ngx_http_llm_store_derive(u_char *id, const u_char *of, uint64_t what);

/*
 * The line of a model, or the one for all if the model has none of its own;
 * with "make" it gets one, if there is space.
 */

ngx_http_llm_line_t *ngx_http_llm_store_line(ngx_http_llm_pool_t *pool,
    uint64_t model, ngx_uint_t make, ngx_http_llm_choice_t *choice);

/* the group of a key is another one since now */

void ngx_http_llm_store_regroup(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_choice_t *choice);


#endif /* _NGX_HTTP_LLM_STORE_H_INCLUDED_ */
