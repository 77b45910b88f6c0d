
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _NGX_HTTP_LLM_VARS_H_INCLUDED_
#define _NGX_HTTP_LLM_VARS_H_INCLUDED_


#include "ngx_http_llm.h"


/* in preconfiguration, so that maps and log formats can use them */

ngx_int_t ngx_http_llm_vars_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_LLM_VARS_H_INCLUDED_ */
