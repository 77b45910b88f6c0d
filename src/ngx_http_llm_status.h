
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * llm_status: who may see it, the JSON of it, and what an operator does to
 * keys.
 */


#ifndef _NGX_HTTP_LLM_STATUS_H_INCLUDED_
#define _NGX_HTTP_LLM_STATUS_H_INCLUDED_


#include "ngx_http_llm.h"


/* of llm_status */

typedef enum {
    NGX_HTTP_LLM_STATUS_OFF = 0,
    NGX_HTTP_LLM_STATUS_ON,
    NGX_HTTP_LLM_STATUS_PROMETHEUS
} ngx_http_llm_status_e;


char *ngx_http_llm_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_LLM_STATUS_H_INCLUDED_ */
