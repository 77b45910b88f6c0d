
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What comes back: a provider's answer on its way to the client.
 */


#ifndef _NGX_HTTP_LLM_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_LLM_RESPONSE_H_INCLUDED_


#include "ngx_http_llm.h"
#include "ngx_http_llm_chunk.h"
#include "ngx_http_llm_mask.h"


/* what is wrapped while an answer is passed on */

typedef struct ngx_http_llm_response_s {
    ngx_int_t                   (*input_filter_init)(void *data);
    ngx_int_t                   (*input_filter)(void *data, ssize_t bytes);
    ngx_event_pipe_input_filter_pt   pipe_filter;
    ngx_str_t                     secret;
    ngx_http_llm_mask_t           mask;
    ngx_uint_t                    learned;       /* ids of usage that are */
    ngx_http_llm_chunk_t         *chunk;         /* takes one out, or NULL */
    ngx_uint_t                    read;          /* all of it, for usage */
} ngx_http_llm_response_t;


/*
 * The answer in u->headers_in is the one that the client gets.  To be called
 * when its head is complete and before nginx copies it.
 */

ngx_int_t ngx_http_llm_response_accept(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);


/*
 * At the end of the stream, what of it was held back is put in front of the
 * chain in: 1 if there was such, and out is the chain then.
 */

ngx_uint_t ngx_http_llm_response_rest(ngx_http_llm_ctx_t *ctx, ngx_chain_t *in,
    ngx_chain_t *out);


#endif /* _NGX_HTTP_LLM_RESPONSE_H_INCLUDED_ */
