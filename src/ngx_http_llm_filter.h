
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Output filters: errors in the client's own form, and no more of a provider's
 * answer than is the client's business.
 */


#ifndef _NGX_HTTP_LLM_FILTER_H_INCLUDED_
#define _NGX_HTTP_LLM_FILTER_H_INCLUDED_


#include "ngx_http_llm.h"


/* puts itself into the chains of header and body filters */

void ngx_http_llm_filter_init(void);


#endif /* _NGX_HTTP_LLM_FILTER_H_INCLUDED_ */
