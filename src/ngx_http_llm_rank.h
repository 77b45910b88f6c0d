
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * A tournament: who is first of many, with one score changed in the time of
 * log(n).  It lies in memory of the caller, and has no pointers but its own.
 */


#ifndef _NGX_HTTP_LLM_RANK_H_INCLUDED_
#define _NGX_HTTP_LLM_RANK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_LLM_RANK_ABSENT  ((uint64_t) -1)


/* the smaller is first: by major, then by minor, then by number */

typedef struct {
    uint64_t                 major;      /* ABSENT: takes no part */
    uint64_t                 minor;
} ngx_http_llm_score_t;


typedef struct {
    ngx_uint_t               n;
    ngx_uint_t               width;      /* of the first round */
    ngx_http_llm_score_t    *scores;     /* n of them */
    uint32_t                *winners;    /* width of them, [1] is the last */
} ngx_http_llm_rank_t;


/* the memory that n of them need */

size_t ngx_http_llm_rank_size(ngx_uint_t n);

/* all are absent */

void ngx_http_llm_rank_init(ngx_http_llm_rank_t *rank, ngx_uint_t n,
    void *memory);

void ngx_http_llm_rank_set(ngx_http_llm_rank_t *rank, ngx_uint_t i,
    uint64_t major, uint64_t minor);

#define ngx_http_llm_rank_remove(rank, i)                                     \
    ngx_http_llm_rank_set(rank, i, NGX_HTTP_LLM_RANK_ABSENT, 0)

/* NGX_DECLINED when nobody takes part */

ngx_int_t ngx_http_llm_rank_first(ngx_http_llm_rank_t *rank);


#endif /* _NGX_HTTP_LLM_RANK_H_INCLUDED_ */
