
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The way of a request through the phases, until the proxy takes it.
 */


#ifndef _NGX_HTTP_LLM_HANDLER_H_INCLUDED_
#define _NGX_HTTP_LLM_HANDLER_H_INCLUDED_


#include "ngx_http_llm.h"


/*
 * Preaccess: who is it, and what does it want?  So that limit_req and
 * limit_conn, which come later in this phase, can use our variables.
 */

ngx_int_t ngx_http_llm_preaccess_handler(ngx_http_request_t *r);

/* precontent: the first key is reserved, once nothing else can refuse */

ngx_int_t ngx_http_llm_precontent_handler(ngx_http_request_t *r);

/*
 * Both at once, for a request that came to the proxy without them, its body
 * read: forced is the upstream that the configuration chose, or NULL.  NGX_OK,
 * or the status of an error.
 */

ngx_int_t ngx_http_llm_late_handler(ngx_http_request_t *r,
    ngx_http_llm_upstream_t *forced);


#endif /* _NGX_HTTP_LLM_HANDLER_H_INCLUDED_ */
