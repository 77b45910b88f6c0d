
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The addresses of a base URL's host, while workers run: each worker asks
 * nginx's resolver, and puts what it says in the place of the peers that round
 * robin was given at start.  What was known last is used until there is a
 * better answer.
 */


#ifndef _NGX_HTTP_LLM_RESOLVE_H_INCLUDED_
#define _NGX_HTTP_LLM_RESOLVE_H_INCLUDED_


#include "ngx_http_llm.h"


/*
 * Finds the addresses that u, a host, has at start: NGX_OK; NGX_DECLINED if
 * there are none; NGX_ERROR.  Sets upstream->resolve if they may change.
 */

ngx_int_t ngx_http_llm_resolve_init(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_url_t *u);

/*
 * Asks for all that the request may go to.  NGX_AGAIN: it has to wait, as the
 * first of it is not known, and is told when to try again; NGX_OK; NGX_ERROR.
 */

typedef void (*ngx_http_llm_resolve_pt)(ngx_http_request_t *r, ngx_int_t rc);

ngx_int_t ngx_http_llm_resolve_wait(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_resolve_pt handler);

/* keeps the addresses for the request, whose peer is about to be initialized */

ngx_int_t ngx_http_llm_resolve_enter(ngx_http_request_t *r,
    ngx_http_llm_upstream_t *upstream);

/* asks again, now and then, for what was never found; runs every second */

void ngx_http_llm_resolve_sweep(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_LLM_RESOLVE_H_INCLUDED_ */
