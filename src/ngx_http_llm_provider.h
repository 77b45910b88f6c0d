
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What an upstream is: which provider, at which base URL, and how its keys are
 * presented.
 */


#ifndef _NGX_HTTP_LLM_PROVIDER_H_INCLUDED_
#define _NGX_HTTP_LLM_PROVIDER_H_INCLUDED_


#include "ngx_http_llm.h"


/* the directive "llm_provider" */

char *ngx_http_llm_provider(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Adds an upstream of ours without keys and base to the main configuration.
 * NULL: no memory.
 */

ngx_http_llm_upstream_t *ngx_http_llm_provider_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us, ngx_str_t *name,
    const ngx_http_llm_provider_t *provider);

/*
 * Sets scheme, host, port and paths from a base URL, or with NULL from the
 * catalogue's.  NGX_ERROR: it is not one, which is logged.
 */

ngx_int_t ngx_http_llm_provider_base(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_str_t *base);


#endif /* _NGX_HTTP_LLM_PROVIDER_H_INCLUDED_ */
