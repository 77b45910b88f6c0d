
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What the system says of names: resolv.conf and hosts.  nginx's resolver
 * reads neither.
 */


#ifndef _NGX_HTTP_LLM_NAMES_H_INCLUDED_
#define _NGX_HTTP_LLM_NAMES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_array_t    servers;    /* of ngx_str_t, as "resolver" takes them */
    ngx_array_t    search;     /* of ngx_str_t */
    ngx_uint_t     ndots;
} ngx_http_llm_names_t;


/* the text of a file; empty without one that can be read */

ngx_int_t ngx_http_llm_names_read(ngx_pool_t *pool, const char *path,
    ngx_str_t *text);

/* of the text of a resolv.conf */

ngx_int_t ngx_http_llm_names_parse(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_llm_names_t *names);

/* whether the text of a hosts file has the name */

ngx_uint_t ngx_http_llm_names_hosts(ngx_str_t *text, ngx_str_t *name);

/* the names to ask for in its place, in this order: an array of ngx_str_t */

ngx_int_t ngx_http_llm_names_expand(ngx_pool_t *pool,
    ngx_http_llm_names_t *names, ngx_str_t *name, ngx_array_t *expanded);


#endif /* _NGX_HTTP_LLM_NAMES_H_INCLUDED_ */
