
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The choice of a key: a pure function over plain arrays, so that it runs
 * in shared memory under a lock, and in a test under a virtual clock.
 */


#ifndef _NGX_HTTP_LLM_SELECT_H_INCLUDED_
#define _NGX_HTTP_LLM_SELECT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Smooth weighted round robin by virtual time: the key with the smallest
 * pass is next, and its pass then grows by stride / weight.  The shares and
 * the order are those of nginx's own smooth round robin, but a choice writes
 * to one key instead of all, and a key that was out for a while does not
 * come back with a debt to be paid in one burst.
 */

typedef struct {
    uint64_t         pass;       /* virtual time of the next turn */
    uint64_t         rank;       /* the same, or SLEEPING */
    uint32_t         weight;
} ngx_http_llm_turn_t;

typedef struct {
    ngx_uint_t            n;
    ngx_uint_t            primaries;  /* keys behind these are backup */
    uint64_t              now[2];     /* pass of the last key of each tier */
    ngx_msec_t            wake;       /* the earliest return of a sleeper */
    ngx_uint_t            sleepers;
    ngx_http_llm_turn_t  *turns;
} ngx_http_llm_wheel_t;


#define NGX_HTTP_LLM_MAX_WEIGHT  65535


/*
 * Says of the i-th key:
 *
 *     NGX_OK        it can be taken
 *     NGX_AGAIN     for nobody before *until; it will not be asked again
 *                   until then
 *     NGX_DECLINED  not for this request, or not at this moment
 */

typedef ngx_int_t (*ngx_http_llm_usable_pt)(void *data, ngx_uint_t i,
    ngx_msec_t *until);


/* weights are set in wheel->turns before */

void ngx_http_llm_select_init(ngx_http_llm_wheel_t *wheel);

/* index of the key whose turn it is, or NGX_BUSY when none can be taken */

ngx_int_t ngx_http_llm_select(ngx_http_llm_wheel_t *wheel, ngx_msec_t now,
    ngx_http_llm_usable_pt usable, void *data);

/* gives a turn back that was not used */

void ngx_http_llm_select_return(ngx_http_llm_wheel_t *wheel, ngx_uint_t i);


#endif /* _NGX_HTTP_LLM_SELECT_H_INCLUDED_ */
