
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Reads an answer as it passes: the tokens that it took, and the ids of what
 * the provider keeps.  What cannot be read is no error, it is just not known.
 */


#ifndef _NGX_HTTP_LLM_USAGE_H_INCLUDED_
#define _NGX_HTTP_LLM_USAGE_H_INCLUDED_


#include "ngx_http_llm_bind.h"
#include "ngx_http_llm_json.h"
#include "ngx_http_llm_price.h"


/* bytes of one JSON document: behind them nothing is read any more */

#define NGX_HTTP_LLM_USAGE_SIZE   (8 * 1024 * 1024)

#define NGX_HTTP_LLM_USAGE_IDS    128

/* names that numbers of tokens have, and the cost */

#define NGX_HTTP_LLM_USAGE_NAMES  20


typedef enum {
    NGX_HTTP_LLM_USAGE_NONE = 0,
    NGX_HTTP_LLM_USAGE_JSON,
    NGX_HTTP_LLM_USAGE_EVENTS,             /* a JSON document an event */
    NGX_HTTP_LLM_USAGE_LINES               /* or a line */
} ngx_http_llm_usage_kind_e;


/*
 * As the provider counts, with one meaning for all of them: input has what
 * was read from and written to a cache in it, output has the reasoning.
 */

typedef struct {
    uint64_t               input;
    uint64_t               output;
    uint64_t               cached;         /* of input */
    uint64_t               reasoning;      /* of output */
    uint64_t               total;
    uint64_t               cost;           /* 10^-12 USD, as it was told */
    unsigned               known:1;        /* some of it was told */
    unsigned               costed:1;       /* cost was */
} ngx_http_llm_tokens_t;


typedef struct {
    ngx_http_llm_tokens_t  tokens;         /* of what was fed until now */
    uint64_t              *ids;            /* distinct hashes */
    ngx_uint_t             nids;

    ngx_uint_t             reads;
    ngx_uint_t             kind;
    ngx_uint_t             state;
    ngx_uint_t             matched;        /* bytes of "data:" */

    ngx_pool_t            *pool;
    ngx_pool_t            *document;       /* lives as long as one */
    ngx_http_llm_json_t   *json;
    size_t                 size;           /* of the document until now */

    off_t                  inside;         /* where a value of usage is */
    off_t                  weak;           /* and one that counts less */
    uint64_t               numbers[NGX_HTTP_LLM_USAGE_NAMES];
    uint32_t               told;           /* which of them were */
    uint32_t               weakly;

    unsigned               cr:1;           /* the last byte was CR */
    unsigned               broken:1;       /* the rest of the document is */
} ngx_http_llm_usage_t;


ngx_uint_t ngx_http_llm_usage_kind(ngx_str_t *content_type);

/* reads: bits of the bind room; NULL when memory ends */

ngx_http_llm_usage_t *ngx_http_llm_usage_create(ngx_pool_t *pool,
    ngx_uint_t kind, ngx_uint_t reads);

/* in pieces of any size; tokens and ids are up to date after each */

void ngx_http_llm_usage_feed(ngx_http_llm_usage_t *usage, u_char *data,
    size_t len);

/* the answer ends; gives memory back, which the pool's end would do as well */

void ngx_http_llm_usage_finish(ngx_http_llm_usage_t *usage);


#endif /* _NGX_HTTP_LLM_USAGE_H_INCLUDED_ */
