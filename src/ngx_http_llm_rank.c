
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_rank.h"


static ngx_uint_t ngx_http_llm_rank_width(ngx_uint_t n);
static uint32_t ngx_http_llm_rank_better(ngx_http_llm_rank_t *rank,
    uint32_t a, uint32_t b);


size_t
ngx_http_llm_rank_size(ngx_uint_t n)
{
    return ngx_align(n * sizeof(ngx_http_llm_score_t)
                     + ngx_http_llm_rank_width(n) * sizeof(uint32_t),
                     sizeof(uint64_t));
}


static ngx_uint_t
ngx_http_llm_rank_width(ngx_uint_t n)
{
    ngx_uint_t  width;

    for (width = 2; width < n; width *= 2) { /* void */ }

    return width;
}


void
ngx_http_llm_rank_init(ngx_http_llm_rank_t *rank, ngx_uint_t n, void *memory)
{
    ngx_uint_t  i, left;

    rank->n = n;
    rank->width = ngx_http_llm_rank_width(n);
    rank->scores = memory;
    rank->winners = (uint32_t *) (rank->scores + n);

    for (i = 0; i < n; i++) {
        rank->scores[i].major = NGX_HTTP_LLM_RANK_ABSENT;
        rank->scores[i].minor = 0;
    }

    for (i = rank->width - 1; i >= 1; i--) {
        left = 2 * i;
        rank->winners[i] = (left < rank->width)
                           ? rank->winners[left]
                           : (uint32_t) (left - rank->width);
    }
}


void
ngx_http_llm_rank_set(ngx_http_llm_rank_t *rank, ngx_uint_t i, uint64_t major,
    uint64_t minor)
{
    uint32_t    winner;
    ngx_uint_t  place;

    rank->scores[i].major = major;
    rank->scores[i].minor = minor;

    /* the first round is between neighbours, later ones between winners */

    place = (rank->width + i) / 2;
    winner = ngx_http_llm_rank_better(rank, (uint32_t) i & ~1u,
                                      (uint32_t) i | 1u);

    for ( ;; ) {
        rank->winners[place] = winner;

        if (place == 1) {
            return;
        }

        winner = ngx_http_llm_rank_better(rank, rank->winners[place & ~1u],
                                          rank->winners[place | 1u]);
        place /= 2;
    }
}


static uint32_t
ngx_http_llm_rank_better(ngx_http_llm_rank_t *rank, uint32_t a, uint32_t b)
{
    ngx_http_llm_score_t  *first, *second;

    if (b >= rank->n) {
        return a;
    }

    first = &rank->scores[a];
    second = &rank->scores[b];

    if (second->major != first->major) {
        return (second->major < first->major) ? b : a;
    }

    return (second->minor < first->minor) ? b : a;
}


ngx_int_t
ngx_http_llm_rank_first(ngx_http_llm_rank_t *rank)
{
    uint32_t  first;

    if (rank->n == 0) {
        return NGX_DECLINED;
    }

    first = rank->winners[1];

    return (rank->scores[first].major == NGX_HTTP_LLM_RANK_ABSENT)
           ? NGX_DECLINED : (ngx_int_t) first;
}
