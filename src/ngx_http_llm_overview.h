
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * All upstreams and their keys at one moment, for those who show them.
 */


#ifndef _NGX_HTTP_LLM_OVERVIEW_H_INCLUDED_
#define _NGX_HTTP_LLM_OVERVIEW_H_INCLUDED_


#include "ngx_http_llm.h"


/* an upstream and its keys at one moment */

typedef struct {
    ngx_http_llm_upstream_t        *upstream;
    ngx_http_llm_upstream_view_t    view;
    ngx_http_llm_view_t            *keys;
    uint64_t                        tries;
    uint64_t                        share;      /* sum of what keys should
                                                   have */
} ngx_http_llm_overview_t;


/* in the order of the states of keys */

extern const char  *ngx_http_llm_overview_states[];

/* in the order of the verdicts */

extern const char  *ngx_http_llm_overview_verdicts[];

/* in the order of the limits of a view */

extern const char  *ngx_http_llm_overview_limits[];


/* all upstreams that have keys, as an array of ngx_http_llm_overview_t */

ngx_int_t ngx_http_llm_overview(ngx_http_request_t *r,
    ngx_array_t *upstreams);


#endif /* _NGX_HTTP_LLM_OVERVIEW_H_INCLUDED_ */
