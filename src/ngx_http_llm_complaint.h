
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What the body of an error says: codes, and how long to wait.
 */


#ifndef _NGX_HTTP_LLM_COMPLAINT_H_INCLUDED_
#define _NGX_HTTP_LLM_COMPLAINT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* more of a body is not looked at */

#define NGX_HTTP_LLM_COMPLAINT_BODY     8192

/* codes that are kept, the longest one, and what is kept of a message */

#define NGX_HTTP_LLM_COMPLAINT_CODES    12
#define NGX_HTTP_LLM_COMPLAINT_CODE     128
#define NGX_HTTP_LLM_COMPLAINT_MESSAGE  256


typedef struct {
    ngx_str_t    codes[NGX_HTTP_LLM_COMPLAINT_CODES];
    ngx_uint_t   ncodes;
    ngx_str_t    message;        /* its beginning */
    ngx_uint_t   status;         /* a code that is a status, or else 0 */
    ngx_msec_t   wait;           /* the longest one */
    unsigned     waits:1;        /* there is one */
    unsigned     error:1;        /* the document calls itself an error */
} ngx_http_llm_complaint_t;


/*
 * Reads a body, or its beginning; whatever it is, even if it is no JSON.  Time
 * is in milliseconds since the epoch.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_llm_complaint_read(ngx_http_llm_complaint_t *complaint,
    ngx_pool_t *pool, ngx_str_t *body, uint64_t now);

/*
 * Finds the data of the first event of a stream, and whether it is named
 * "error"; the text is changed.  NGX_AGAIN: more of it is needed, unless it is
 * whole; NGX_DECLINED: something else comes first, which must not wait.
 */

ngx_int_t ngx_http_llm_complaint_event(ngx_str_t *text, ngx_uint_t whole,
    ngx_str_t *data, ngx_uint_t *named);

/* whether one of the codes fits a pattern, as of ngx_http_llm_glob() */

ngx_uint_t ngx_http_llm_complaint_has(ngx_http_llm_complaint_t *complaint,
    const char *pattern);


#endif /* _NGX_HTTP_LLM_COMPLAINT_H_INCLUDED_ */
