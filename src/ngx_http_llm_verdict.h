
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

#include "ngx_http_llm_catalog.h"
#include "ngx_http_llm_complaint.h"
#include "ngx_http_llm_told.h"


typedef enum {
    NGX_HTTP_LLM_OK = 0,      /* and requests that are wrong with every key */
    NGX_HTTP_LLM_WAIT,        /* this key, for a while */
    NGX_HTTP_LLM_FINISHED,    /* this key, until somebody does something */
    NGX_HTTP_LLM_ILL,         /* the upstream, whatever the key */
    NGX_HTTP_LLM_ELSEWHERE    /* this key, or its group, is not for this: one
                                 other of the upstream is tried, and nothing
                                 is held against it */
} ngx_http_llm_verdict_e;


typedef enum {
    NGX_HTTP_LLM_SCOPE_KEY = 0,
    NGX_HTTP_LLM_SCOPE_GROUP,      /* keys that share their limits */
    NGX_HTTP_LLM_SCOPE_MODEL       /* these, and with this model only */
} ngx_http_llm_scope_e;


/* header values are NULL if absent */

typedef struct {
    const ngx_http_llm_provider_t  *provider;       /* may be NULL */
    ngx_uint_t                      status;         /* 0: nothing was received,
                                                       or none fits */
    ngx_http_llm_complaint_t       *complaint;      /* NULL: not read */
    ngx_str_t                      *retry_after;
    ngx_str_t                      *retry_after_ms;
    ngx_str_t                      *x_ms_retry_after_ms;
    ngx_str_t                      *x_should_retry;
    ngx_http_llm_told_t             told;
    unsigned                        modelless:1;    /* the request */
    unsigned                        event:1;        /* the status is not of
                                                       the provider */
} ngx_http_llm_facts_t;


typedef struct {
    ngx_uint_t                      verdict;
    ngx_uint_t                      scope;          /* of what is not OK or ILL,
                                                       and of what is told */
    ngx_msec_t                      wait;           /* as told, 0 if nobody
                                                       knows how long */
    const char                     *reason;         /* a word for the log */
    ngx_uint_t                      limited;        /* it was too much */
    ngx_http_llm_told_t             told;
} ngx_http_llm_judgement_t;


/* now is in milliseconds since the epoch */

void ngx_http_llm_verdict(ngx_http_llm_facts_t *facts, uint64_t now,
    ngx_http_llm_judgement_t *judgement);

/* the first header that would tell how long to wait, but is not believed */

ngx_str_t *ngx_http_llm_verdict_doubted(ngx_http_llm_facts_t *facts,
    uint64_t now, const char **name);

/* the status that an error should have had which came with a 200 */

ngx_uint_t ngx_http_llm_verdict_status(ngx_http_llm_complaint_t *complaint);


#endif /* _NGX_HTTP_LLM_VERDICT_H_INCLUDED_ */
