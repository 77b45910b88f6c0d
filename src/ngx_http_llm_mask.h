
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Makes a key unreadable in what comes back.
 */


#ifndef _NGX_HTTP_LLM_MASK_H_INCLUDED_
#define _NGX_HTTP_LLM_MASK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* how much of the key the end of the last piece was: zero at the beginning */

typedef struct {
    size_t   matched;
} ngx_http_llm_mask_t;


/*
 * Replaces every occurrence of the secret by asterisks, in place.  A piece may
 * end inside an occurrence: nothing is held back for the next piece, so at
 * most the first NGX_HTTP_LLM_MASK_SHOWN - 1 characters of the key remain.
 * mask may be NULL when there is one piece only.  Returns 1 if anything was
 * replaced.
 */

#define NGX_HTTP_LLM_MASK_SHOWN  8

/* shorter secrets would be found in ordinary words */

#define NGX_HTTP_LLM_MASK_MIN    4

ngx_uint_t ngx_http_llm_mask(ngx_http_llm_mask_t *mask, ngx_str_t *secret,
    u_char *pos, u_char *last);


#endif /* _NGX_HTTP_LLM_MASK_H_INCLUDED_ */
