
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The policies of a pool: which keys can be taken, and in what order.  Called
 * under the lock; data is a choice wherever there is none.
 */


#ifndef _NGX_HTTP_LLM_POLICY_H_INCLUDED_
#define _NGX_HTTP_LLM_POLICY_H_INCLUDED_


#include "ngx_http_llm_pool.h"


/* who knows what is left */

#define ngx_http_llm_policy_foresees(pool)                                    \
    ((pool)->policy == NGX_HTTP_LLM_HEADROOM                                  \
     || (pool)->policy == NGX_HTTP_LLM_AFFINITY)


/* what the lanes of a pool ask, see the lane room; data is set by the caller */

void ngx_http_llm_policy_lane_ask(ngx_http_llm_lane_ask_t *ask);

/* as the lane room has it */

ngx_int_t ngx_http_llm_policy_usable(void *data, ngx_uint_t i,
    ngx_msec_t *until);

/* whether the request can do nothing with the key, in whatever state it is */

ngx_uint_t ngx_http_llm_policy_skips(ngx_http_llm_choice_t *choice,
    ngx_uint_t i);

/* whether the key, its group, or the model at it is out, and for how long */

ngx_uint_t ngx_http_llm_policy_out(ngx_http_llm_choice_t *choice,
    ngx_uint_t i, ngx_uint_t *state, ngx_msec_t *until);

/* a number that the keys of a group have in common */

uint64_t ngx_http_llm_policy_group(ngx_http_llm_choice_t *choice,
    ngx_uint_t i);

/*
 * Whether a key is of a group, or was a group of its own by this number,
 * before it was known which one it belongs to.
 */

ngx_uint_t ngx_http_llm_policy_member(ngx_http_llm_choice_t *choice,
    ngx_uint_t i, uint64_t group);

/* how many of the conversations a key should have: who has more gets more */

uint32_t ngx_http_llm_policy_share(void *data, ngx_uint_t i);


#endif /* _NGX_HTTP_LLM_POLICY_H_INCLUDED_ */
