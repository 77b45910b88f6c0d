
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * A 64-bit hash of what arrives in pieces: FNV-1a, mixed at the end so that
 * all bits of the result may be used.  Not for secrets.
 */


#ifndef _NGX_HTTP_LLM_HASH_H_INCLUDED_
#define _NGX_HTTP_LLM_HASH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_LLM_HASH_START  0xcbf29ce484222325


/* goes on from a hash, at first from NGX_HTTP_LLM_HASH_START */

uint64_t ngx_http_llm_hash_update(uint64_t hash, const u_char *data,
    size_t len);

/* never 0, which is left for "nothing" */

uint64_t ngx_http_llm_hash_final(uint64_t hash);


#endif /* _NGX_HTTP_LLM_HASH_H_INCLUDED_ */
