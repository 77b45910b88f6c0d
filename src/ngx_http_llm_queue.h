
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Requests that wait for a key, by "llm_queue" of their first upstream.
 */


#ifndef _NGX_HTTP_LLM_QUEUE_H_INCLUDED_
#define _NGX_HTTP_LLM_QUEUE_H_INCLUDED_


#include "ngx_http_llm.h"


/* the directive: "llm_queue off", "llm_queue 15s 64" */

char *ngx_http_llm_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* the same of a text "15s,64" or "off"; NGX_ERROR: it is neither */

ngx_int_t ngx_http_llm_queue_parse(ngx_str_t *text, ngx_msec_t *time,
    ngx_uint_t *number);

/*
 * Is told the end: NGX_OK, a key is reserved; NGX_BUSY, the time is over;
 * NGX_ERROR.  Nobody is told when the request ends before.
 */

typedef void (*ngx_http_llm_queue_pt)(ngx_http_request_t *r, ngx_int_t rc);

/*
 * NGX_OK: the request waits.  NGX_DECLINED: it is to be answered at once, as
 * there is no queue, or no place in it, or no hope; NGX_ERROR.
 */

ngx_int_t ngx_http_llm_queue_wait(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_queue_pt handler);

/* it does not wait any more */

void ngx_http_llm_queue_leave(ngx_http_llm_ctx_t *ctx);

/* how long it has waited, all together */

ngx_msec_t ngx_http_llm_queue_waited(ngx_http_llm_ctx_t *ctx);

/* whether others wait already for what this one needs */

ngx_uint_t ngx_http_llm_queue_busy(ngx_http_llm_ctx_t *ctx);


#endif /* _NGX_HTTP_LLM_QUEUE_H_INCLUDED_ */
