
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Rendezvous hashing: the same of many for the same hash, whoever asks; one
 * that comes takes its share from all, and what one that goes had is spread.
 *
 * To compare all would take as long as there are many, so they stand in a
 * tree, by the first bits of their names.  At each fork the hash decides, by
 * the weights of the two sides; at the end it is among a few.
 */


#ifndef _NGX_HTTP_LLM_RENDEZVOUS_H_INCLUDED_
#define _NGX_HTTP_LLM_RENDEZVOUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    uint64_t                 name;       /* a hash itself */
    uint32_t                 weight;     /* up to 2^20; 0: takes no part */
    uint32_t                 i;          /* number, as the caller has it */
} ngx_http_llm_peer_name_t;


typedef struct {
    ngx_uint_t               n;
    ngx_uint_t               bits;       /* depth of the tree */
    uint64_t                *sums;       /* weights below each fork and leaf */
    ngx_http_llm_peer_name_t  *names;    /* in order */
    uint32_t                *places;     /* in it, by number */
    uint32_t                *leaves;     /* where each leaf begins in names */
} ngx_http_llm_rendezvous_t;


/* the memory that n of them need */

size_t ngx_http_llm_rendezvous_size(ngx_uint_t n);

/* takes the memory; then the caller fills rendezvous->names, and builds */

void ngx_http_llm_rendezvous_init(ngx_http_llm_rendezvous_t *rendezvous,
    ngx_uint_t n, void *memory);
void ngx_http_llm_rendezvous_build(ngx_http_llm_rendezvous_t *rendezvous);

void ngx_http_llm_rendezvous_weigh(ngx_http_llm_rendezvous_t *rendezvous,
    ngx_uint_t i, uint32_t weight);

/* the usable one of a name, or NGX_BUSY */

ngx_int_t ngx_http_llm_rendezvous_named(
    ngx_http_llm_rendezvous_t *rendezvous, uint64_t name,
    ngx_uint_t (*usable)(void *data, ngx_uint_t i), void *data);

/*
 * The number of the first usable one in the order that the hash gives them, as
 * far as eight places; those of one name stand for each other.  NGX_BUSY when
 * there is none.
 */

ngx_int_t ngx_http_llm_rendezvous_choose(
    ngx_http_llm_rendezvous_t *rendezvous, uint64_t hash,
    ngx_uint_t (*usable)(void *data, ngx_uint_t i), void *data);


#endif /* _NGX_HTTP_LLM_RENDEZVOUS_H_INCLUDED_ */
