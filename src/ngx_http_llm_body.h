
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The request body: read before a model can be known, looked through while it
 * arrives.
 */


#ifndef _NGX_HTTP_LLM_BODY_H_INCLUDED_
#define _NGX_HTTP_LLM_BODY_H_INCLUDED_


#include "ngx_http_llm.h"


/* puts itself into the chain of request body filters */

void ngx_http_llm_body_init(void);

/*
 * Before the body is read: decides by path and headers what to look for.
 * NGX_OK, or the status of an error.
 */

ngx_int_t ngx_http_llm_body_start(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/*
 * After the body is read: NGX_OK with ctx->field and ctx->model set, as far as
 * the request has a model, or the status of an error.
 */

ngx_int_t ngx_http_llm_body_finish(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/*
 * What is looked through when a body is read already (see the upstream room):
 * feeds it all, in memory or from its file.
 */

ngx_int_t ngx_http_llm_body_feed_all(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/*
 * The whole body as one piece of memory, if it is in a file: the file is
 * mapped until the request ends.
 */

ngx_int_t ngx_http_llm_body_map(ngx_http_request_t *r, ngx_str_t *body);


#endif /* _NGX_HTTP_LLM_BODY_H_INCLUDED_ */
