
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The tries of one request: which key is taken, which have been, and whether
 * there is another one.
 *
 * A try is reserved (a key is taken for it), then begun by the upstream room,
 * then settled with a verdict.  The successor is reserved when the verdict is
 * given, since nginx throws the answer away as soon as it means to retry.
 */


#ifndef _NGX_HTTP_LLM_TRY_H_INCLUDED_
#define _NGX_HTTP_LLM_TRY_H_INCLUDED_


#include "ngx_http_llm.h"
#include "ngx_http_llm_verdict.h"
#include "ngx_http_llm_zone.h"


typedef struct ngx_http_llm_try_s {
    ngx_http_llm_lease_t       lease;
    ngx_http_llm_ask_t         ask;       /* what is wanted of this target */
    ngx_uint_t                 begun;     /* number of tries */
    ngx_array_t               *verdicts;  /* of u_char: one a try, plus 1; 0
                                             while there is none */
    ngx_uint_t                 ill;       /* ill verdicts at this target */
    ngx_uint_t                 unreached; /* addresses of it that failed */

    /* the last one of those that might have had a key */
    ngx_http_llm_upstream_t   *explained;

    /* of the last try that was begun */
    ngx_http_llm_upstream_t   *upstream;
    ngx_str_t                  key_name;
    ngx_str_t                  secret;

    ngx_http_llm_upstream_t   *failed;       /* NULL: it was answered */
    ngx_http_llm_bill_t        bill;

    unsigned                   foreign:1;    /* this target's keys are */
    unsigned                   reserved:1;
    unsigned                   exhausted:1;  /* a successor was not found */
    unsigned                   elsewhere:1;  /* for one other key, not for
                                                another target */
} ngx_http_llm_try_t;


/* what the request needs is known then; ngx_http_llm_try_reserve() does it */

ngx_int_t ngx_http_llm_try_prepare(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/*
 * Takes a key for the next try: of the current target, or of the next one in
 * the chain.  NGX_OK; NGX_BUSY when there is none; NGX_ERROR.
 */

ngx_int_t ngx_http_llm_try_reserve(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/* gives the reserved key back unused, and takes one of the next target */

ngx_int_t ngx_http_llm_try_move(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/* takes one of the next target, when none is reserved */

ngx_int_t ngx_http_llm_try_next(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/* gives the reserved key back, and forgets where the request would go */

void ngx_http_llm_try_reset(ngx_http_llm_ctx_t *ctx);

/* the reserved key is being used */

void ngx_http_llm_try_begin(ngx_http_llm_ctx_t *ctx);

/* the try that runs did not reach anybody: it is the reserved one again */

void ngx_http_llm_try_repeat(ngx_http_llm_ctx_t *ctx);

/*
 * The same when an address could not be reached.  NGX_DECLINED after the last
 * one: no key will help at this target.
 */

ngx_int_t ngx_http_llm_try_unreached(ngx_http_llm_ctx_t *ctx);

/* what the answer to the try that runs says, which may yet go on */

void ngx_http_llm_try_report(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_judgement_t *judgement, ngx_uint_t status);

/* ends the try that runs, which was reported */

void ngx_http_llm_try_end(ngx_http_llm_ctx_t *ctx);

/* ends the try that runs: reports its verdict and gives its key back */

void ngx_http_llm_try_settle(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_judgement_t *judgement, ngx_uint_t status);

/*
 * Starts all over, at the first target and with all keys: the request has
 * waited, and has as much patience at most.  As ngx_http_llm_try_reserve().
 */

ngx_int_t ngx_http_llm_try_again(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_uint_t patience);

/* why no key is to be had, of all targets together; then as if to start over */

ngx_int_t ngx_http_llm_try_explain(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_busy_t *busy);

/* sets the answer when no key was to be had, and returns its status */

ngx_int_t ngx_http_llm_try_refused(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);


/* "wait,ok": a word for each try, "none" where it was not judged */

ngx_int_t ngx_http_llm_try_verdicts(ngx_pool_t *pool, ngx_http_llm_ctx_t *ctx,
    ngx_str_t *text);

/* of the key that is reserved, or else of the last try; may be empty */

void ngx_http_llm_try_key_name(ngx_http_llm_ctx_t *ctx, ngx_str_t *name);


#endif /* _NGX_HTTP_LLM_TRY_H_INCLUDED_ */
