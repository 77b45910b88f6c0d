
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * One header after the other, of a request or of a response.
 */


#ifndef _NGX_HTTP_LLM_HEADERS_H_INCLUDED_
#define _NGX_HTTP_LLM_HEADERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_llm_headers_t;


void ngx_http_llm_headers_start(ngx_http_llm_headers_t *headers,
    ngx_list_t *list);

/* NULL behind the last one */

ngx_table_elt_t *ngx_http_llm_headers_next(ngx_http_llm_headers_t *headers);

/*
 * Compares a header that nginx has read with a name in lower case; what
 * modules add to a response need not have a lowcase_key.
 */

ngx_uint_t ngx_http_llm_headers_is(ngx_table_elt_t *h, const char *name);


#endif /* _NGX_HTTP_LLM_HEADERS_H_INCLUDED_ */
