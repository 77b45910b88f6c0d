
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * An answer that is written piece by piece.  When memory ends, the rest is
 * dropped, and sending it fails.
 */


#ifndef _NGX_HTTP_LLM_TEXT_H_INCLUDED_
#define _NGX_HTTP_LLM_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* of one piece */

#define NGX_HTTP_LLM_TEXT_PIECE  512


typedef struct {
    ngx_pool_t    *pool;
    ngx_chain_t   *first;
    ngx_chain_t  **last;
    ngx_buf_t     *buf;
    unsigned       failed:1;
} ngx_http_llm_text_t;


void ngx_http_llm_text_start(ngx_http_llm_text_t *text, ngx_pool_t *pool);

void ngx_http_llm_text_add(ngx_http_llm_text_t *text, const char *fmt, ...);

/*
 * In quotes, for JSON and for labels of Prometheus alike: what is no text in
 * UTF-8 is shown as "?".
 */

void ngx_http_llm_text_quote(ngx_http_llm_text_t *text, const ngx_str_t *str);

/* milliseconds as seconds */

void ngx_http_llm_text_seconds(ngx_http_llm_text_t *text, uint64_t msec);

/* the answer of a content handler, never to be kept by anybody */

ngx_int_t ngx_http_llm_text_send(ngx_http_request_t *r,
    ngx_http_llm_text_t *text, ngx_uint_t status, const char *type);


#endif /* _NGX_HTTP_LLM_TEXT_H_INCLUDED_ */
