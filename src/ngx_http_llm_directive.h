
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _NGX_HTTP_LLM_DIRECTIVE_H_INCLUDED_
#define _NGX_HTTP_LLM_DIRECTIVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Reads "name arguments;" as if it stood in the configuration at this place:
 * the way to settings of nginx that only a directive can make.  The text is
 * not kept.  Errors are logged.
 */

ngx_int_t ngx_http_llm_directive(ngx_conf_t *cf, ngx_str_t *text);


#endif /* _NGX_HTTP_LLM_DIRECTIVE_H_INCLUDED_ */
