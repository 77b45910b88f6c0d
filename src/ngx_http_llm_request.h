
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What leaves: the request as one provider gets it with one key.
 */


#ifndef _NGX_HTTP_LLM_REQUEST_H_INCLUDED_
#define _NGX_HTTP_LLM_REQUEST_H_INCLUDED_


#include "ngx_http_llm.h"


/*
 * Rewrites the request that the proxy module built, in u->request_bufs, for
 * the try that was begun.  This is the last look at every byte of the head:
 * whatever headers the configuration or the client put there, what must not
 * leave does not.  NGX_DECLINED when the request is in a form that cannot be
 * looked into, which is logged.
 */

ngx_int_t ngx_http_llm_request_build(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);


#endif /* _NGX_HTTP_LLM_REQUEST_H_INCLUDED_ */
