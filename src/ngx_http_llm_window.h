
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The limits that an operator sets a key, rpm, tpm and rpd: what it was used
 * for in the last minute and on this day.
 */


#ifndef _NGX_HTTP_LLM_WINDOW_H_INCLUDED_
#define _NGX_HTTP_LLM_WINDOW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* 0: no limit */

typedef struct {
    uint32_t                 rpm;
    uint32_t                 tpm;
    uint32_t                 rpd;
} ngx_http_llm_limit_t;


/*
 * A minute in steps of 4 s, and one more for the step that is running: what is
 * counted is never less than that of any 60 s, and of 64 s at most.
 */

#define NGX_HTTP_LLM_WINDOW_STEP   4000                               /* ms */
#define NGX_HTTP_LLM_WINDOW_STEPS  16

typedef struct {
    uint32_t                 requests[NGX_HTTP_LLM_WINDOW_STEPS];
    uint32_t                 tokens[NGX_HTTP_LLM_WINDOW_STEPS];
    uint32_t                 requests_sum;
    uint32_t                 tokens_sum;
    uint64_t                 step;       /* number of the running one */
    uint32_t                 day;        /* number of the day, by its owner */
    uint32_t                 today;      /* requests of it */
} ngx_http_llm_window_t;


/* ms of a monotonic clock, the number of the day, and ms until it ends */

typedef struct {
    ngx_msec_t               msec;
    uint32_t                 day;
    ngx_msec_t               day_left;
} ngx_http_llm_moment_t;


/*
 * Whether one more request of so many tokens fits: NGX_OK; NGX_AGAIN, none
 * does before *until; NGX_DECLINED, this one does not before *until, though
 * a smaller one would.
 */

ngx_int_t ngx_http_llm_window_room(ngx_http_llm_window_t *window,
    const ngx_http_llm_limit_t *limit, uint32_t tokens,
    const ngx_http_llm_moment_t *now, ngx_msec_t *until);

/* counts a request; what it turned out to be is added later: more or less */

void ngx_http_llm_window_spend(ngx_http_llm_window_t *window, uint32_t tokens,
    const ngx_http_llm_moment_t *now);
void ngx_http_llm_window_correct(ngx_http_llm_window_t *window,
    int64_t requests, int64_t tokens, const ngx_http_llm_moment_t *now);

/* how much of the minute's limits is used, in 1/1000 */

ngx_uint_t ngx_http_llm_window_used(ngx_http_llm_window_t *window,
    const ngx_http_llm_limit_t *limit, const ngx_http_llm_moment_t *now);


#endif /* _NGX_HTTP_LLM_WINDOW_H_INCLUDED_ */
