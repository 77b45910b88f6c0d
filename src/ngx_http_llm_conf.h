
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What holds the levels of the configuration together.
 */


#ifndef _NGX_HTTP_LLM_CONF_H_INCLUDED_
#define _NGX_HTTP_LLM_CONF_H_INCLUDED_


#include "ngx_http_llm.h"


char *ngx_http_llm_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_llm_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_llm_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

void *ngx_http_llm_conf_create_main(ngx_conf_t *cf);
char *ngx_http_llm_conf_init_main(ngx_conf_t *cf, void *conf);
void *ngx_http_llm_conf_create_srv(ngx_conf_t *cf);
char *ngx_http_llm_conf_merge_srv(ngx_conf_t *cf, void *parent, void *child);
void *ngx_http_llm_conf_create_loc(ngx_conf_t *cf);
char *ngx_http_llm_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child);


#endif /* _NGX_HTTP_LLM_CONF_H_INCLUDED_ */
