
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Our own endpoints: model lists and health.  None of them asks a provider.
 */


#ifndef _NGX_HTTP_LLM_LOCAL_H_INCLUDED_
#define _NGX_HTTP_LLM_LOCAL_H_INCLUDED_


#include "ngx_http_llm.h"


/*
 * Makes the endpoint of ctx->path.own the content of the request.
 * NGX_DECLINED, so that the phases go on, or the status of an error.
 */

ngx_int_t ngx_http_llm_local_handler(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);


#endif /* _NGX_HTTP_LLM_LOCAL_H_INCLUDED_ */
