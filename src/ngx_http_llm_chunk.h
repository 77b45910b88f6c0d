
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Takes out of an event stream the chunk that has the usage and no choices.
 */


#ifndef _NGX_HTTP_LLM_CHUNK_H_INCLUDED_
#define _NGX_HTTP_LLM_CHUNK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* bytes of an event: a longer one is another */

#define NGX_HTTP_LLM_CHUNK_SIZE  4096


typedef struct {
    ngx_pool_t     *pool;
    ngx_chain_t   **free;      /* for bufs with this tag */
    ngx_buf_tag_t   tag;

    ngx_array_t     bufs;      /* of ngx_buf_t *: own memory */
    ngx_buf_t      *held;      /* the beginning of an event, or NULL */
    size_t          line;      /* bytes of the last line until now */
    u_char          first;     /* the first of them */
    unsigned        passes:1;  /* the rest of this event */
} ngx_http_llm_chunk_t;


ngx_http_llm_chunk_t *ngx_http_llm_chunk_create(ngx_pool_t *pool,
    ngx_chain_t **free, ngx_buf_tag_t tag);

/*
 * Takes it out of the chain of bufs in memory, which stay where they are.
 * What may become that chunk is kept until it is known; nothing else is.
 */

ngx_int_t ngx_http_llm_chunk_filter(ngx_http_llm_chunk_t *chunk,
    ngx_chain_t **in);

/* the stream ends: what is still kept, or NULL */

ngx_buf_t *ngx_http_llm_chunk_rest(ngx_http_llm_chunk_t *chunk);


#endif /* _NGX_HTTP_LLM_CHUNK_H_INCLUDED_ */
