
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What a request says about itself that matters for the choice of a key.
 */


#ifndef _NGX_HTTP_LLM_SIGNAL_H_INCLUDED_
#define _NGX_HTTP_LLM_SIGNAL_H_INCLUDED_


#include "ngx_http_llm.h"


/* tokens that a provider will probably count it as, from 1 */

uint64_t ngx_http_llm_estimate(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);

/* a hash that the requests of one conversation share, 0: it has none */

uint64_t ngx_http_llm_session(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);


#endif /* _NGX_HTTP_LLM_SIGNAL_H_INCLUDED_ */
