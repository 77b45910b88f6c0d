
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The keys' state in shared memory.  All locking is inside this room; no
 * function here calls back, logs or allocates request memory under the lock.
 * The zone holds fingerprints and numbers, never a key.
 */


#ifndef _NGX_HTTP_LLM_ZONE_H_INCLUDED_
#define _NGX_HTTP_LLM_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_select.h"


#define NGX_HTTP_LLM_FINGERPRINT_LEN    16

/* so much of it is enough to tell keys apart by eye */

#define NGX_HTTP_LLM_FINGERPRINT_SHOWN  6


typedef struct ngx_http_llm_zone_s     ngx_http_llm_zone_t;
typedef struct ngx_http_llm_pool_sh_s  ngx_http_llm_pool_sh_t;


/* a key as the configuration has it, without its secret */

typedef struct {
    ngx_str_t                name;
    u_char                   fingerprint[NGX_HTTP_LLM_FINGERPRINT_LEN];
    ngx_uint_t               weight;
    ngx_uint_t               max_conns;          /* 0: no limit */
    ngx_array_t             *models;             /* of ngx_str_t, NULL: all */

    unsigned                 backup:1;
    unsigned                 down:1;
} ngx_http_llm_key_t;


/* the keys of an upstream, backup keys last */

typedef struct {
    ngx_str_t                name;
    ngx_http_llm_key_t      *keys;
    ngx_uint_t               nkeys;
    ngx_http_llm_zone_t     *zone;
    ngx_http_llm_pool_sh_t  *sh;                 /* set by the zone */
} ngx_http_llm_pool_t;


typedef enum {
    NGX_HTTP_LLM_KEY_USABLE = 0,
    NGX_HTTP_LLM_KEY_COOLING,
    NGX_HTTP_LLM_KEY_FINISHED,
    NGX_HTTP_LLM_KEY_DOWN
} ngx_http_llm_key_state_e;


/* a key taken for one try: counted as in flight until it is released */

typedef struct {
    ngx_http_llm_pool_t     *pool;               /* NULL: nothing is taken */
    ngx_uint_t               key;
} ngx_http_llm_lease_t;


/* why no key could be taken, in numbers of keys */

typedef struct {
    ngx_uint_t               cooling;
    ngx_uint_t               finished;
    ngx_uint_t               full;               /* at max_conns */
    ngx_uint_t               down;
    ngx_uint_t               skipped;
    ngx_uint_t               usable;
    ngx_msec_t               retry;     /* until the first of them is back, 0 if
                                           none is out for a time */
} ngx_http_llm_busy_t;


typedef struct {
    ngx_uint_t               state;
    ngx_uint_t               in_flight;
    ngx_uint_t               tries;
    ngx_uint_t               outs;      /* times it was put out */
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
 * Takes the key whose turn it is, among those whose bit in skip is not set
 * (skip may be NULL).  NGX_BUSY: none can be taken; NGX_ERROR: this process
 * cannot use the zone.
 */

ngx_int_t ngx_http_llm_zone_acquire(ngx_http_llm_pool_t *pool, u_char *skip,
    ngx_http_llm_lease_t *lease);

/* tells why none can be taken: adds the keys of the pool to busy */

void ngx_http_llm_zone_explain(ngx_http_llm_pool_t *pool, u_char *skip,
    ngx_http_llm_busy_t *busy);

/* ends a try; unused: nothing was sent, so the key keeps its turn */

void ngx_http_llm_zone_release(ngx_http_llm_lease_t *lease,
    ngx_uint_t unused);

/*
 * Puts the key of a lease out for a time; a deadline never moves nearer.
 * Returns 1 when the key was in until now, or out for another reason.
 */

ngx_uint_t ngx_http_llm_zone_put_out(ngx_http_llm_lease_t *lease,
    ngx_uint_t state, ngx_msec_t time);

void ngx_http_llm_zone_info(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_key_info_t *info);


#endif /* _NGX_HTTP_LLM_ZONE_H_INCLUDED_ */
