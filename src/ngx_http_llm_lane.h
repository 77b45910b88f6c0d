
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The order in which the keys of an upstream are taken, for all models or for
 * one.  It lies in memory of the caller and knows numbers of keys only, so
 * that it runs in shared memory under a lock, and in a test under a virtual
 * clock.
 */


#ifndef _NGX_HTTP_LLM_LANE_H_INCLUDED_
#define _NGX_HTTP_LLM_LANE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_rank.h"


/* behind all that are no backup */

#define NGX_HTTP_LLM_LANE_BACKUP  ((uint64_t) 1 << 62)


/*
 * Among keys that are alike, smooth weighted round robin by virtual time: the
 * key with the smallest pass is next, and its pass then grows by stride /
 * weight.  The shares and the order are those of nginx's own smooth round
 * robin, but a choice writes to one key instead of all, and a key that was out
 * for a while does not come back with a debt to be paid in one burst.
 */

typedef struct {
    ngx_uint_t               n;
    uint64_t                 now[2];   /* pass of the last key of each tier */
    uint64_t                *passes;
    ngx_http_llm_rank_t      ready;
    ngx_http_llm_rank_t      asleep;   /* by the time they are to be asked */
} ngx_http_llm_lane_t;


/* what a lane asks of the i-th key */

typedef struct {
    uint32_t               (*weight)(void *data, ngx_uint_t i);

    /* its place by the policy: smaller is first, alike means in turn */

    uint64_t               (*order)(void *data, ngx_uint_t i);

    /*
     * NGX_OK        it can be taken
     * NGX_AGAIN     by nobody before *until; it is not asked again until then
     * NGX_DECLINED  not by this request, or not at this moment
     */

    ngx_int_t              (*usable)(void *data, ngx_uint_t i,
                                     ngx_msec_t *until);
    void                    *data;
} ngx_http_llm_lane_ask_t;


size_t ngx_http_llm_lane_size(ngx_uint_t n);
void ngx_http_llm_lane_init(ngx_http_llm_lane_t *lane, ngx_uint_t n,
    ngx_http_llm_lane_ask_t *ask, void *memory);

/* index of the key to take, or NGX_BUSY when none can be taken */

ngx_int_t ngx_http_llm_lane_choose(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_msec_t now);

/* a key was taken in another way than by choose: counts its turn */

void ngx_http_llm_lane_take(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_uint_t i);

/* gives a turn back that was not used */

void ngx_http_llm_lane_return(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_uint_t i);

/* the place of a key has changed; it is awake if it slept */

void ngx_http_llm_lane_update(ngx_http_llm_lane_t *lane,
    ngx_http_llm_lane_ask_t *ask, ngx_uint_t i);


#endif /* _NGX_HTTP_LLM_LANE_H_INCLUDED_ */
