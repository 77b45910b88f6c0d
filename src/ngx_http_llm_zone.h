
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The keys' state in shared memory: which one is taken for a try, and what
 * is learnt from the answer.  All locking is behind this door; nothing here
 * calls back, logs or allocates request memory under the lock.  The zone holds
 * fingerprints and numbers, never a key.
 */


#ifndef _NGX_HTTP_LLM_ZONE_H_INCLUDED_
#define _NGX_HTTP_LLM_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_node.h"
#include "ngx_http_llm_verdict.h"


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
    ngx_uint_t               day;                /* when its days begin */
    ngx_http_llm_zone_t     *zone;
    ngx_http_llm_pool_sh_t  *sh;                 /* set by the zone */
} ngx_http_llm_pool_t;


/* what a request needs of a key; zeroes mean that it does not matter */

typedef struct {
    u_char                  *skip;      /* bits of keys not to take, or NULL */
    uint64_t                 model;     /* hash of its name at the provider */
    uint64_t                 tokens;    /* that it will be counted as */
    uint64_t                 affinity;  /* hash of what it belongs to */
    uint64_t                 group;     /* no key of another one will do */
    ngx_uint_t               patient;   /* no key that seems to be used up */
} ngx_http_llm_ask_t;


/* a key taken for one try: counted as in flight until it is released */

typedef struct {
    ngx_http_llm_pool_t     *pool;               /* NULL: nothing is taken */
    ngx_uint_t               key;
    uint64_t                 model;
    uint64_t                 tokens;
    uint64_t                 group;              /* of the key */
    ngx_http_llm_mark_t      mark;
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


/*
 * Declares the zone of this configuration; size is in bytes.  Pools are added
 * before the configuration ends.  NULL on error, which is logged.
 */

ngx_http_llm_zone_t *ngx_http_llm_zone_create(ngx_conf_t *cf, size_t size,
    void *tag);
ngx_int_t ngx_http_llm_zone_add(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool);

/* the smallest size that can be configured */

size_t ngx_http_llm_zone_min_size(void);

/* the new configuration is in force: what a failed reload left is dropped */

void ngx_http_llm_zone_commit(ngx_http_llm_zone_t *zone);

/* life of a process that takes keys */

ngx_int_t ngx_http_llm_zone_attach(ngx_http_llm_zone_t *zone);
void ngx_http_llm_zone_detach(ngx_http_llm_zone_t *zone);

/*
 * Gives back what processes held that are gone, and frees what only they
 * used.  To be called by every process about once a second; the work is done
 * by one of them.
 */

void ngx_http_llm_zone_sweep(ngx_http_llm_zone_t *zone);

/*
 * Takes the key that the policy prefers of those that the request can have.
 * NGX_BUSY: none can be taken; NGX_ERROR: this process cannot use the zone.
 */

ngx_int_t ngx_http_llm_zone_acquire(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ask_t *ask, ngx_http_llm_lease_t *lease);

/* tells why none can be taken: adds the keys of the pool to busy */

void ngx_http_llm_zone_explain(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ask_t *ask, ngx_http_llm_busy_t *busy);

/* learns from an answer, or from the lack of one */

void ngx_http_llm_zone_report(ngx_http_llm_lease_t *lease,
    ngx_http_llm_judgement_t *judgement, ngx_http_llm_change_t *change);

/*
 * Ends a try.  unused: nothing was sent, so the key keeps its turn; tokens:
 * what it was counted as in the end, 0 if that is not known.
 */

void ngx_http_llm_zone_release(ngx_http_llm_lease_t *lease,
    ngx_uint_t unused, uint64_t tokens);

void ngx_http_llm_zone_info(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_key_info_t *info);


#endif /* _NGX_HTTP_LLM_ZONE_H_INCLUDED_ */
