
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _NGX_HTTP_LLM_COST_H_INCLUDED_
#define _NGX_HTTP_LLM_COST_H_INCLUDED_


#include "ngx_http_llm.h"


/*
 * What the answer has cost so far, in 10^-12 USD: as the provider says, or by
 * "llm_price".  NGX_DECLINED: nobody knows.
 */

ngx_int_t ngx_http_llm_cost(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    uint64_t *usd);


#endif /* _NGX_HTTP_LLM_COST_H_INCLUDED_ */
