
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What an answer says about the key, the upstream and the request: a table.
 */


#ifndef _NGX_HTTP_LLM_VERDICT_H_INCLUDED_
#define _NGX_HTTP_LLM_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_LLM_OK = 0,      /* and requests that are wrong with every key */
    NGX_HTTP_LLM_WAIT,        /* this key, for a while */
    NGX_HTTP_LLM_FINISHED,    /* this key, until somebody does something */
    NGX_HTTP_LLM_ILL          /* the upstream, whatever the key */
} ngx_http_llm_verdict_e;


typedef struct {
    ngx_uint_t   status;            /* 0: no answer was received */
    ngx_str_t   *retry_after;       /* header values, NULL if absent */
    ngx_str_t   *retry_after_ms;
} ngx_http_llm_facts_t;


typedef struct {
    ngx_uint_t   verdict;
    ngx_msec_t   wait;              /* for WAIT and FINISHED */
} ngx_http_llm_judgement_t;


/* now is in seconds since the epoch */

void ngx_http_llm_verdict(ngx_http_llm_facts_t *facts, time_t now,
    ngx_http_llm_judgement_t *judgement);


#endif /* _NGX_HTTP_LLM_VERDICT_H_INCLUDED_ */
