
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Holding an answer back.  nginx looks at the head of an answer whenever bytes
 * come from the provider, and at no other time; here it is made to wait, and
 * to look again.
 */


#ifndef _NGX_HTTP_LLM_HOLD_H_INCLUDED_
#define _NGX_HTTP_LLM_HOLD_H_INCLUDED_


#include "ngx_http_llm.h"


ngx_http_llm_hold_t *ngx_http_llm_hold_create(ngx_http_request_t *r);

/* a try begins; it ends, or its answer is not held any more */

void ngx_http_llm_hold_start(ngx_http_llm_hold_t *hold);
void ngx_http_llm_hold_stop(ngx_http_llm_hold_t *hold);

/*
 * NGX_AGAIN: more of the answer is waited for, for so many ms in all; NGX_OK:
 * that was long enough, or there is no room for more.
 */

ngx_int_t ngx_http_llm_hold(ngx_http_request_t *r, ngx_http_llm_hold_t *hold,
    ngx_msec_t time);

/* the first event of a stream takes as long as an answer may take */

void ngx_http_llm_hold_event(ngx_http_request_t *r, ngx_http_llm_hold_t *hold);

/*
 * Nothing that comes is looked at, nor that the connection ends, and nothing
 * is sent, until nginx is made to look again, or the connection is given up.
 */

void ngx_http_llm_hold_deafen(ngx_http_request_t *r,
    ngx_http_llm_hold_t *hold);
void ngx_http_llm_hold_wake(ngx_http_request_t *r, ngx_http_llm_hold_t *hold);
void ngx_http_llm_hold_hear(ngx_http_request_t *r, ngx_http_llm_hold_t *hold);


#endif /* _NGX_HTTP_LLM_HOLD_H_INCLUDED_ */
