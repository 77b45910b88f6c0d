
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Answers of our own: what they say, in the shape the client's library reads.
 */


#ifndef _NGX_HTTP_LLM_ERROR_H_INCLUDED_
#define _NGX_HTTP_LLM_ERROR_H_INCLUDED_


#include "ngx_http_llm.h"


/*
 * Sets the answer of a request; code may be NULL.  The last "%V" or so of the
 * format belongs to the client: messages are for it, not for the log.
 * Returns the status, to be returned by a phase handler.
 */

ngx_int_t ngx_http_llm_error(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t status, const char *type, const char *code,
    const char *fmt, ...);

/* the same for a status that nginx itself answers with */

void ngx_http_llm_error_status(ngx_http_llm_error_t *error,
    ngx_uint_t status);

/* the JSON text, or NULL when memory ends */

ngx_buf_t *ngx_http_llm_error_render(ngx_pool_t *pool,
    ngx_http_llm_error_t *error, ngx_uint_t shape);


#endif /* _NGX_HTTP_LLM_ERROR_H_INCLUDED_ */
