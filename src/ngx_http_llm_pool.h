
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Types of the rooms around the shared memory: the keys of an upstream, what
 * is asked of them, and what lies in the zone.  No functions.
 *
 *     sh           the root, with a table of nodes and a map of ids, both of
 *                  a fixed size
 *     node         the state of a key, a group, a model or an upstream, found
 *                  again by its id; one that nobody uses stays until its place
 *                  is needed
 *     generation   the pools of one configuration; old workers go on with
 *                  theirs while new ones use the next
 *     line         the order of a pool's keys for one model, or for all
 *     ticket       the place of a request that waits for a key
 *     slot         what one process has in flight, so that it can be given
 *                  back when the process is gone
 *
 * No pointer leads out of the zone, and no key lies in it.
 */


#ifndef _NGX_HTTP_LLM_POOL_H_INCLUDED_
#define _NGX_HTTP_LLM_POOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_ids.h"
#include "ngx_http_llm_lane.h"
#include "ngx_http_llm_node.h"
#include "ngx_http_llm_rendezvous.h"
#include "ngx_http_llm_state.h"


/* so much of a fingerprint is enough to tell keys apart by eye */

#define NGX_HTTP_LLM_FINGERPRINT_SHOWN  6

#define NGX_HTTP_LLM_MAX_WEIGHT         65535


typedef struct ngx_http_llm_zone_s     ngx_http_llm_zone_t;
typedef struct ngx_http_llm_pool_sh_s  ngx_http_llm_pool_sh_t;


typedef enum {
    NGX_HTTP_LLM_ROUND_ROBIN = 0,
    NGX_HTTP_LLM_LEAST_CONN,
    NGX_HTTP_LLM_HEADROOM,
    NGX_HTTP_LLM_AFFINITY
} ngx_http_llm_policy_e;


/* when the day of rpd begins */

typedef enum {
    NGX_HTTP_LLM_DAY_UTC = 0,
    NGX_HTTP_LLM_DAY_PACIFIC
} ngx_http_llm_day_e;


/* a key as the configuration has it, without its secret */

typedef struct {
    ngx_str_t                name;
    u_char                   fingerprint[NGX_HTTP_LLM_FINGERPRINT_LEN];
    ngx_str_t                group;
    u_char                   group_id[NGX_HTTP_LLM_FINGERPRINT_LEN];
    ngx_uint_t               weight;
    ngx_uint_t               max_conns;          /* 0: no limit */
    ngx_http_llm_limit_t     limit;              /* rpm, tpm, rpd */
    ngx_array_t             *models;             /* of ngx_str_t, NULL: all */

    unsigned                 backup:1;
    unsigned                 down:1;
} ngx_http_llm_key_t;


/* the keys of an upstream, backup keys last */

typedef struct {
    ngx_str_t                name;
    u_char                   fingerprint[NGX_HTTP_LLM_FINGERPRINT_LEN];
    ngx_http_llm_key_t      *keys;
    ngx_uint_t               nkeys;
    ngx_uint_t               policy;
    ngx_uint_t               model_sets;         /* a key has models */
    ngx_uint_t               day;                /* when its days begin */
    ngx_http_llm_zone_t     *zone;
    ngx_http_llm_pool_sh_t  *sh;                 /* set by the zone */
} ngx_http_llm_pool_t;


/* what a request needs of a key; zeroes mean that it does not matter */

typedef struct {
    u_char                  *skip;      /* bits of keys not to take, or NULL */
    uint64_t                 model;     /* hash of its name at the provider */
    ngx_str_t                name;      /* which is this, of the request */
    uint64_t                 tokens;    /* that it will be counted as */
    uint64_t                 affinity;  /* hash of what it belongs to */
    uint64_t                 group;     /* no key of another one will do */
    uint64_t                 shunned;   /* no key of this group will do */
    ngx_uint_t               patient;   /* see below */
} ngx_http_llm_ask_t;


/*
 * Who cannot wait takes a key that seems to be used up if there is no other.
 * Who can wait does not, and leaves what may be an error of the estimates; a
 * conversation that waits for its home takes no other key either, unless that
 * has room to spare.
 */

typedef enum {
    NGX_HTTP_LLM_HASTY = 0,
    NGX_HTTP_LLM_CAREFUL,                  /* the first look of the hasty */
    NGX_HTTP_LLM_PATIENT,
    NGX_HTTP_LLM_FAITHFUL
} ngx_http_llm_patience_e;

/* no provider caches prompts that are much smaller, in tokens */

#define NGX_HTTP_LLM_CACHED_TOKENS  1024

#define ngx_http_llm_waits_for_home(ask)                                      \
    ((ask)->patient == NGX_HTTP_LLM_FAITHFUL                                  \
     && (ask)->tokens >= NGX_HTTP_LLM_CACHED_TOKENS)


/* who is told what an answered request has taken */

typedef struct {
    ngx_http_llm_spent_t     spent;
    ngx_str_t                client;             /* its name, or empty */
    uint64_t                 client_hash;
    unsigned                 model:1;            /* the model exists */
} ngx_http_llm_bill_t;


/* a key taken for one try: counted as in flight until it is released */

typedef struct {
    ngx_http_llm_pool_t     *pool;               /* NULL: nothing is taken */
    ngx_uint_t               key;
    uint64_t                 model;
    uint64_t                 tokens;
    uint64_t                 group;              /* of the key */
    ngx_http_llm_mark_t      mark;
    ngx_str_t                name;               /* of the model */
    ngx_http_llm_bill_t     *bill;               /* NULL: nobody pays */

    unsigned                 stream:1;           /* set before the report */
    unsigned                 answered:1;
} ngx_http_llm_lease_t;


/* why no key could be taken, in numbers of keys */

typedef struct {
    ngx_uint_t               cooling;
    ngx_uint_t               finished;
    ngx_uint_t               limited;   /* by rpm, tpm or rpd, or used up */
    ngx_uint_t               full;      /* at max_conns */
    ngx_uint_t               down;
    ngx_uint_t               skipped;
    ngx_uint_t               usable;
    ngx_uint_t               open;      /* upstreams */
    ngx_uint_t               unresolved;
    ngx_msec_t               retry;     /* until the first of them is back, 0 if
                                           none is out for a time */
} ngx_http_llm_busy_t;


/* what an answer has changed, to be logged */

typedef struct {
    ngx_uint_t               out;       /* a key, a group or a model is out */
    ngx_msec_t               wait;      /* for so long */
    ngx_uint_t               back;      /* what was finished is in again */
    ngx_uint_t               upstream;  /* it opened, or closed */
    ngx_msec_t               open;      /* for so long, 0 when it closed */
    ngx_uint_t               alike;     /* as all keys were refused at once */
} ngx_http_llm_change_t;


typedef struct {
    ngx_uint_t               state;
    ngx_uint_t               in_flight;
    uint64_t                 tries;
    uint64_t                 outs;      /* times it was put out */
    ngx_msec_t               retry;     /* until it is back, 0 when usable */
} ngx_http_llm_key_info_t;


/* of a key, or of a key for one model, to be shown */

typedef struct {
    uint64_t                 limit;
    int64_t                  remaining;
    ngx_msec_t               reset;     /* from now until it is full */
    unsigned                 known:1;
    unsigned                 told:1;    /* by the provider, not guessed */
} ngx_http_llm_view_limit_t;

typedef enum {
    NGX_HTTP_LLM_VIEW_RPM = NGX_HTTP_LLM_DIMENSIONS,
    NGX_HTTP_LLM_VIEW_TPM,
    NGX_HTTP_LLM_VIEW_RPD,
    NGX_HTTP_LLM_VIEW_LIMITS
} ngx_http_llm_view_limit_e;

typedef struct {
    ngx_http_llm_key_info_t  info;
    ngx_http_llm_count_t     count;
    u_char                   reason[NGX_HTTP_LLM_NODE_REASON];
    ngx_uint_t               share;     /* that it should have */
    ngx_http_llm_view_limit_t  limits[NGX_HTTP_LLM_VIEW_LIMITS];
    u_char                   model[NGX_HTTP_LLM_COUNT_NAME_LEN];
    size_t                   model_len;
} ngx_http_llm_view_t;

typedef struct {
    ngx_http_llm_count_t     count;
    uint64_t                 failed;
    ngx_msec_t               open;      /* for so long, 0: it is closed */
    ngx_uint_t               in_flight;
    ngx_uint_t               waiting;
    ngx_http_llm_times_t     times;
} ngx_http_llm_upstream_view_t;


typedef struct {
    ngx_queue_t                  queue;     /* the last used one is first */
    uint64_t                     model;     /* 0: of all that have none */
    ngx_http_llm_lane_t          lane;
    ngx_http_llm_node_t        **cells;     /* of keys: their limits */
    ngx_http_llm_rendezvous_t    homes;     /* of conversations: for affinity */
    void                        *memory;
} ngx_http_llm_line_t;


/* of a request that waits; the first that waits for one thing is next */

typedef struct {
    ngx_queue_t                  queue;
    uint64_t                     what;      /* it waits for: a model, a group, a
                                               conversation, or 0 for any */
    ngx_pid_t                    pid;
} ngx_http_llm_ticket_t;


struct ngx_http_llm_pool_sh_s {
    ngx_uint_t                   nkeys;
    ngx_uint_t                   first;     /* number of its first key */
    ngx_http_llm_node_t         *upstream;
    ngx_http_llm_node_t        **nodes;     /* of keys */
    ngx_http_llm_line_t          line;      /* its cells are the groups */
    ngx_queue_t                  lines;     /* of single models */
    ngx_uint_t                   nlines;
    ngx_queue_t                  tickets;
    ngx_uint_t                   ntickets;
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
    ngx_http_llm_state_sh_t      state;
    ngx_http_llm_ids_t          *ids;            /* of what groups keep */
    ngx_http_llm_ids_t          *homes;          /* of conversations that have
                                                    moved */
    uint64_t                     began;          /* ms since the epoch */
    ngx_http_llm_count_names_t  *models;
    ngx_http_llm_count_names_t  *clients;
} ngx_http_llm_zone_sh_t;


struct ngx_http_llm_zone_s {
    ngx_http_llm_zone_sh_t      *sh;
    ngx_slab_pool_t             *shpool;
    ngx_array_t                  pools;     /* of ngx_http_llm_pool_t * */
    ngx_http_llm_generation_t   *generation;
    ngx_http_llm_generation_t   *previous;  /* of the old configuration */
    ngx_http_llm_zone_t         *replaced;  /* the old one of another size */
    ngx_http_llm_slot_t         *slot;      /* of this process */
    ngx_http_llm_state_t        *state;     /* NULL: nothing is kept */
    ngx_uint_t                   serial;
    ngx_uint_t                   capacity;
    ngx_log_t                   *log;
};


/* who asks, as the data of it */

typedef struct {
    ngx_http_llm_pool_t         *pool;
    ngx_http_llm_pool_sh_t      *sh;
    ngx_http_llm_line_t         *line;
    ngx_http_llm_ask_t          *ask;
    ngx_http_llm_moment_t        now;
} ngx_http_llm_choice_t;


#endif /* _NGX_HTTP_LLM_POOL_H_INCLUDED_ */
