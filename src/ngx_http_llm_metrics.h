
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The status in the text format of Prometheus.
 */


#ifndef _NGX_HTTP_LLM_METRICS_H_INCLUDED_
#define _NGX_HTTP_LLM_METRICS_H_INCLUDED_


#include "ngx_http_llm.h"


/* the answer of a content handler */

ngx_int_t ngx_http_llm_metrics(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LLM_METRICS_H_INCLUDED_ */
