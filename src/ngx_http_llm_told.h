
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The limits that a provider tells in the headers of its answers.
 */


#ifndef _NGX_HTTP_LLM_TOLD_H_INCLUDED_
#define _NGX_HTTP_LLM_TOLD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_llm_catalog.h"


typedef enum {
    NGX_HTTP_LLM_REQUESTS = 0,
    NGX_HTTP_LLM_TOKENS,
    NGX_HTTP_LLM_REQUESTS_DAY,
    NGX_HTTP_LLM_TOKENS_DAY,
    NGX_HTTP_LLM_DIMENSIONS
} ngx_http_llm_dimension_e;


typedef struct {
    int64_t                     limit;
    int64_t                     remaining;
    ngx_msec_t                  reset;      /* from now until it is full */
    ngx_msec_t                  window;     /* in which the limit counts */
    unsigned                    limited:1;  /* which of them are known */
    unsigned                    remains:1;
    unsigned                    resets:1;
    unsigned                    fixed:1;    /* all comes back at the reset,
                                               not little by little */
    unsigned                    rank:4;     /* of the headers it comes from */
} ngx_http_llm_told_limit_t;


typedef struct {
    ngx_http_llm_told_limit_t   limits[NGX_HTTP_LLM_DIMENSIONS];
    ngx_str_t                   organization;   /* of the answer, as it is */
} ngx_http_llm_told_t;


/*
 * Takes one header in; its name is in lower case, now is in milliseconds since
 * the epoch.  Whatever cannot be understood changes nothing, nor does a header
 * that comes again.  NGX_ERROR: it tells of a limit, but what it tells cannot
 * be.
 */

ngx_int_t ngx_http_llm_told_header(ngx_http_llm_told_t *told,
    const ngx_http_llm_provider_t *provider, ngx_str_t *name,
    ngx_str_t *value, uint64_t now);

/*
 * Until the last of the dimensions is full again that have nothing left.
 * NGX_DECLINED: none is known to be so, or until when.
 */

ngx_int_t ngx_http_llm_told_exhausted(ngx_http_llm_told_t *told,
    ngx_msec_t *wait);

/* whether anything is told of what is left */

ngx_uint_t ngx_http_llm_told_any(ngx_http_llm_told_t *told);

/* whether the requests or the tokens of a day are used up */

ngx_uint_t ngx_http_llm_told_day_over(ngx_http_llm_told_t *told);


#endif /* _NGX_HTTP_LLM_TOLD_H_INCLUDED_ */
