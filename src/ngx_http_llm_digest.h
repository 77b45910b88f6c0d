
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _NGX_HTTP_LLM_DIGEST_H_INCLUDED_
#define _NGX_HTTP_LLM_DIGEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_LLM_DIGEST_LEN  32                            /* SHA-256 */


/* NGX_ERROR only when OpenSSL itself fails */

ngx_int_t ngx_http_llm_digest(ngx_str_t *text, u_char *digest);

/* takes the same time wherever the digests differ; 1 when they are equal */

ngx_uint_t ngx_http_llm_digest_equal(u_char *one, u_char *two);


#endif /* _NGX_HTTP_LLM_DIGEST_H_INCLUDED_ */
