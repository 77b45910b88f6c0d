
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The keys of an upstream: where they come from, what each is for, and how one
 * is chosen.
 */


#ifndef _NGX_HTTP_LLM_KEY_H_INCLUDED_
#define _NGX_HTTP_LLM_KEY_H_INCLUDED_


#include "ngx_http_llm.h"


/* the directives "llm_key" and "llm_balance" */

char *ngx_http_llm_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_llm_balance(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* the policy of a name, as "llm_balance" has it; NGX_DECLINED: none */

ngx_int_t ngx_http_llm_key_policy(ngx_str_t *name, ngx_uint_t *policy);

/*
 * Adds n keys with the same parameters; those that the upstream has already
 * are dropped with a warning.  Without secrets: one key that stands for having
 * none.
 */

ngx_int_t ngx_http_llm_key_add(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_str_t *secrets, ngx_uint_t n,
    ngx_http_llm_key_t *params);

/*
 * Makes the upstream's pool, when all keys are there.  NGX_ERROR: it has none,
 * or two of one name, which is logged.
 */

ngx_int_t ngx_http_llm_key_pool(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream);


#endif /* _NGX_HTTP_LLM_KEY_H_INCLUDED_ */
