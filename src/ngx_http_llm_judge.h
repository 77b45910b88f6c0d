
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Judges each answer, between its last header and nginx's own decision.
 */


#ifndef _NGX_HTTP_LLM_JUDGE_H_INCLUDED_
#define _NGX_HTTP_LLM_JUDGE_H_INCLUDED_


#include "ngx_http_llm.h"


/* puts the judge into the upstream of a request; once, before its first try */

ngx_int_t ngx_http_llm_judge_install(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/* a try begins; nothing is known of it */

void ngx_http_llm_judge_start(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);

/*
 * A try ends, state as for peer.free().  Settles it if no answer did, reserves
 * a successor if nginx may go on, and returns the state for the balancer of
 * addresses: what was the fault of a key is not held against an address.
 */

ngx_uint_t ngx_http_llm_judge_end(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_uint_t state);


/* whether a call leaves something behind, so that it could do so twice */

ngx_uint_t ngx_http_llm_judge_once(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/* the status that the provider sent last, 0 if it sent none */

ngx_uint_t ngx_http_llm_judge_status(ngx_http_llm_ctx_t *ctx);


#endif /* _NGX_HTTP_LLM_JUDGE_H_INCLUDED_ */
