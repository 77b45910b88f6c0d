
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/* The status page: src/status.html, which the build puts into the module. */


#ifndef _NGX_HTTP_LLM_PAGE_H_INCLUDED_
#define _NGX_HTTP_LLM_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Sends the page, which gets its numbers from the same path with
 * "?format=json".  For a content handler that has seen to the request body.
 */

ngx_int_t ngx_http_llm_page(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LLM_PAGE_H_INCLUDED_ */
