
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What tokens cost, by the prices of "llm_price".
 */


#ifndef _NGX_HTTP_LLM_PRICE_H_INCLUDED_
#define _NGX_HTTP_LLM_PRICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Sums are kept in 10^-12 USD: a price per million tokens with six decimals is
 * a whole number of them per token.
 */

#define NGX_HTTP_LLM_PRICE_USD    1000000000000

/* more decimals than that are not told */

#define NGX_HTTP_LLM_PRICE_DIGITS 12

#define NGX_HTTP_LLM_PRICE_LEN    (NGX_INT64_LEN + 2)


typedef struct {
    ngx_str_node_t           node;      /* node.str is the pattern */
    uint64_t                 input;     /* each 10^-12 USD a token */
    uint64_t                 output;
    uint64_t                 cached;
} ngx_http_llm_price_t;


typedef struct {
    ngx_rbtree_t             exact;     /* of ngx_http_llm_price_t */
    ngx_rbtree_node_t        sentinel;
    ngx_array_t              globs;     /* of ..._price_t *, longest first */
} ngx_http_llm_prices_t;


ngx_http_llm_prices_t *ngx_http_llm_price_create(ngx_pool_t *pool);

/*
 * A number of USD, "0.25" or "2.5e-05" as JSON has it; NGX_ERROR: it is none,
 * or more than a million.
 */

ngx_int_t ngx_http_llm_price_parse(ngx_str_t *text, uint64_t *usd);

/*
 * Adds a price, in USD per million tokens; "*" in the model stands for
 * anything.  NGX_DECLINED: the model has a price already, which stays.
 */

ngx_int_t ngx_http_llm_price_add(ngx_http_llm_prices_t *prices,
    ngx_http_llm_price_t *price);

/*
 * The price of a model at a provider: under "provider/model" first, then of
 * the model anywhere; exact names before patterns, the longest one first.
 * NULL if there is none, or memory ends.
 */

ngx_http_llm_price_t *ngx_http_llm_price_find(ngx_pool_t *pool,
    ngx_http_llm_prices_t *prices, const ngx_str_t *provider,
    ngx_str_t *model);

/* cached is a part of input */

uint64_t ngx_http_llm_price_cost(ngx_http_llm_price_t *price, uint64_t input,
    uint64_t output, uint64_t cached);

/* USD as a decimal number, NGX_HTTP_LLM_PRICE_LEN bytes at most */

u_char *ngx_http_llm_price_print(u_char *p, uint64_t usd);


#endif /* _NGX_HTTP_LLM_PRICE_H_INCLUDED_ */
