
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The hooks of a peer: each try with its own key, whatever balances addresses
 * underneath.
 */


#ifndef _NGX_HTTP_LLM_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_LLM_UPSTREAM_H_INCLUDED_


#include "ngx_http_llm.h"


/* init_upstream of a block with llm_provider: gives it the base's address */

ngx_int_t ngx_http_llm_upstream_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);

/* the same for an upstream from the environment, unless a block replaced it */

ngx_int_t ngx_http_llm_upstream_init_implicit(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);

/*
 * Adds the upstream that $llm_upstream names in a location where the request
 * did not go through our phases: "llm_proxy.conf" was not included there.
 */

ngx_int_t ngx_http_llm_upstream_add_late(ngx_conf_t *cf,
    ngx_http_llm_main_conf_t *lmcf);

/* an address that is not used, so that a block without "server" is accepted */

ngx_int_t ngx_http_llm_upstream_add_placeholder(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);

/*
 * Puts our hooks around those of everybody else.  To be called in
 * init_main_conf, when nginx's own modules are through.
 */

ngx_int_t ngx_http_llm_upstream_wrap(ngx_conf_t *cf,
    ngx_http_llm_main_conf_t *lmcf);


/* settings that a location with our upstreams cannot do without */

void ngx_http_llm_upstream_adjust(ngx_http_upstream_conf_t *conf);


#endif /* _NGX_HTTP_LLM_UPSTREAM_H_INCLUDED_ */
