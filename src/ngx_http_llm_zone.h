
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The keys' state in shared memory: which one is taken for a try, and what
 * is learnt from the answer.  All locking is behind this door; nothing here
 * calls back, logs or allocates request memory under the lock.
 */


#ifndef _NGX_HTTP_LLM_ZONE_H_INCLUDED_
#define _NGX_HTTP_LLM_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_pool.h"
#include "ngx_http_llm_verdict.h"


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

/*
 * The groups of those ids that are known, in their order; returns how many.
 * A group may be one that no key is of any more.
 */

ngx_uint_t ngx_http_llm_zone_bound(ngx_http_llm_zone_t *zone, uint64_t *ids,
    ngx_uint_t n, uint64_t *groups);

/* the number that a group has by now, or 0 if no key of the pool is of it */

uint64_t ngx_http_llm_zone_group(ngx_http_llm_pool_t *pool, uint64_t group);

/* binds ids to the group of a key */

void ngx_http_llm_zone_learn(ngx_http_llm_lease_t *lease, uint64_t *ids,
    ngx_uint_t n);

/* the same with those that were bound to it before: so they stay the longer */

void ngx_http_llm_zone_renew(ngx_http_llm_lease_t *lease, uint64_t *ids,
    ngx_uint_t n);

void ngx_http_llm_zone_forget(ngx_http_llm_zone_t *zone, uint64_t id);

void ngx_http_llm_zone_info(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_key_info_t *info);

/*
 * What is shown of a key; with a number of 1 or more, of the key for one of
 * the models that have limits of their own: NGX_DONE behind the last one.
 */

ngx_int_t ngx_http_llm_zone_view(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_uint_t model, ngx_http_llm_view_t *view);

void ngx_http_llm_zone_upstream_view(ngx_http_llm_pool_t *pool,
    ngx_http_llm_upstream_view_t *view);

/* into names that have all the memory */

void ngx_http_llm_zone_names(ngx_http_llm_zone_t *zone, ngx_uint_t clients,
    ngx_http_llm_count_names_t *names);

/* a request ended without an answer of a provider that counts; no lock */

void ngx_http_llm_zone_failed(ngx_http_llm_pool_t *pool);

/* what an operator does to a key, see the node room; and its state then */

void ngx_http_llm_zone_hold(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_uint_t held, ngx_http_llm_key_info_t *info);


#endif /* _NGX_HTTP_LLM_ZONE_H_INCLUDED_ */
