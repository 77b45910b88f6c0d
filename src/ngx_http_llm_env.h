
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The environment as the configuration, for those who write no directives.
 */


#ifndef _NGX_HTTP_LLM_ENV_H_INCLUDED_
#define _NGX_HTTP_LLM_ENV_H_INCLUDED_


#include "ngx_http_llm.h"


/* the directives "llm_providers" and "llm_listen" */

char *ngx_http_llm_providers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_llm_listen(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_LLM_ENV_H_INCLUDED_ */
