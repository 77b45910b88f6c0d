
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Keys from the environment, from files, or written out.  No function here
 * puts a key, or a part of one, into a message.
 */


#ifndef _NGX_HTTP_LLM_SECRET_H_INCLUDED_
#define _NGX_HTTP_LLM_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_uint_t   empty;        /* items without a character */
    ngx_uint_t   trimmed;      /* items with blanks or quotes around them */
    ngx_uint_t   duplicate;    /* items that were in the list already */
    ngx_uint_t   broken;       /* number of an item that cannot be a key */
} ngx_http_llm_secret_flaws_t;


/*
 * Value of an environment variable, or the content of the file that the
 * variable NAME_FILE names, less blanks and quotes around it.  NGX_DECLINED:
 * neither is set, or it is empty; NGX_ERROR: the file cannot be read, which is
 * logged.
 */

ngx_int_t ngx_http_llm_secret_env(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);

/*
 * Appends the keys of "env:NAME", "file:PATH" or a literal list to keys, an
 * array of ngx_str_t; those that are in the array already are dropped.
 * NGX_DECLINED: an environment variable that is not set.
 */

ngx_int_t ngx_http_llm_secret_read(ngx_conf_t *cf, ngx_str_t *source,
    ngx_array_t *keys);

/*
 * Cuts a list at commas, and at newlines if lines is set.  NGX_ERROR when an
 * item has a control character or a blank inside (flaws->broken tells which)
 * or memory ends.  The items point into the text.
 */

ngx_int_t ngx_http_llm_secret_split(ngx_str_t *text, ngx_uint_t lines,
    ngx_array_t *keys, ngx_http_llm_secret_flaws_t *flaws);


/*
 * Rejects the n-th parameter of a directive that has keys.  A word that may
 * be a key in the wrong place is not repeated.
 */

char *ngx_http_llm_secret_param(ngx_conf_t *cf, ngx_str_t *param,
    ngx_uint_t n);


#endif /* _NGX_HTTP_LLM_SECRET_H_INCLUDED_ */
