
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What is left of a key's limits at the provider, by what it tells in its
 * answers and by what was sent since.
 *
 * Plus and minus would drift: the provider has counted a part of what is in
 * flight already.  So there is a counter of all that was ever sent; each
 * request knows what it stood at, and what its answer tells is valid for that
 * moment.  The next answer heals every error.
 */


#ifndef _NGX_HTTP_LLM_QUOTA_H_INCLUDED_
#define _NGX_HTTP_LLM_QUOTA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_told.h"


typedef struct {
    int64_t                  limit;      /* 0: nothing is known */
    int64_t                  base;       /* was left at that moment */
    uint64_t                 mark;       /* had been sent before it */
    ngx_msec_t               at;         /* the moment */
    ngx_msec_t               full;       /* when all of it is there again */
    uint32_t                 window;     /* ms that it takes from nothing */
    unsigned                 fixed:1;    /* all of it comes back at once */
    unsigned                 guessed:1;  /* nobody told */
} ngx_http_llm_quota_limit_t;


typedef struct {
    uint64_t                 requests;   /* that were sent, ever */
    uint64_t                 tokens;
    ngx_http_llm_quota_limit_t  limits[NGX_HTTP_LLM_DIMENSIONS];
    uint64_t                 counted;    /* requests until the last refusal */
    uint64_t                 lost;       /* tokens that were refused, ever */
    uint64_t                 taken;      /* at the last refusal: the others */
    ngx_msec_t               began;      /* the time of it, or the first use */
    ngx_msec_t               refused;    /* 0: never */
    int64_t                  sum;        /* what was taken between refusals */
    ngx_msec_t               span;       /* in so long */
    ngx_uint_t               first;      /* it was refused only once */
} ngx_http_llm_quota_t;


/* what the counters stood at when a request was sent */

typedef struct {
    uint64_t                 requests;
    uint64_t                 tokens;
    ngx_msec_t               at;
} ngx_http_llm_mark_t;


/*
 * Whether a request of so many tokens is expected to be taken: NGX_OK, or
 * NGX_DECLINED, with the time when it will be.  With a spare of 1 what may be
 * an error is left, with 2 there is room for others, too.
 */

ngx_int_t ngx_http_llm_quota_room(ngx_http_llm_quota_t *quota,
    uint64_t tokens, ngx_uint_t spare, ngx_msec_t now, ngx_msec_t *until);

void ngx_http_llm_quota_spend(ngx_http_llm_quota_t *quota, uint64_t tokens,
    ngx_msec_t now, ngx_http_llm_mark_t *mark);

/* it was not sent */

void ngx_http_llm_quota_refund(ngx_http_llm_quota_t *quota, uint64_t tokens);

void ngx_http_llm_quota_learn(ngx_http_llm_quota_t *quota,
    const ngx_http_llm_told_t *told, const ngx_http_llm_mark_t *mark);

/*
 * It was refused because it was too much.  Where nobody tells of limits, what
 * was taken between two refusals is what it refills by.
 */

void ngx_http_llm_quota_refused(ngx_http_llm_quota_t *quota, uint64_t tokens,
    const ngx_http_llm_mark_t *mark, ngx_msec_t now);

/* of a limit that is known, what is left of it; never less than 0 */

int64_t ngx_http_llm_quota_remaining(ngx_http_llm_quota_t *quota,
    ngx_uint_t dimension, ngx_msec_t now);

/*
 * The order in which keys are used up evenly: the time, in ms of the clock, at
 * which the fullest of the limits would be untouched again if all of them came
 * back within a minute.  It does not change as time goes by.  0 when nothing
 * is known.
 */

uint64_t ngx_http_llm_quota_order(ngx_http_llm_quota_t *quota);


#endif /* _NGX_HTTP_LLM_QUOTA_H_INCLUDED_ */
