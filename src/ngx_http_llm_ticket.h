
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Who is next of the requests that wait for a key of an upstream, in all
 * processes.  Requests for models that have limits of their own do not wait
 * for each other, nor does anybody for those that need a certain group, nor
 * do conversations that each wait for their home.
 */


#ifndef _NGX_HTTP_LLM_TICKET_H_INCLUDED_
#define _NGX_HTTP_LLM_TICKET_H_INCLUDED_


#include "ngx_http_llm_pool.h"


/* NULL: so many wait already, or there is no memory in the zone */

ngx_http_llm_ticket_t *ngx_http_llm_ticket_take(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ask_t *ask, ngx_uint_t max);

void ngx_http_llm_ticket_return(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ticket_t *ticket);

/* whether nobody waits for longer */

ngx_uint_t ngx_http_llm_ticket_first(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ticket_t *ticket);

/* whether anybody waits for the same */

ngx_uint_t ngx_http_llm_ticket_waits(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ask_t *ask);


#endif /* _NGX_HTTP_LLM_TICKET_H_INCLUDED_ */
