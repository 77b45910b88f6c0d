
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Who may use the balancer.
 */


#ifndef _NGX_HTTP_LLM_AUTH_H_INCLUDED_
#define _NGX_HTTP_LLM_AUTH_H_INCLUDED_


#include "ngx_http_llm.h"


/* llm_client_key */

char *ngx_http_llm_client_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* llm_metrics_key, llm_admin_key: by the offset of the command */

char *ngx_http_llm_reader_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Whether a location may be used without a key: because it says so, or
 * because LLM_ALLOW_ANONYMOUS=1 is in the environment.
 */

ngx_uint_t ngx_http_llm_auth_anonymous(ngx_http_llm_loc_conf_t *llcf);

/*
 * Looks for the client's key in all places where one can be, and sets
 * ctx->client and ctx->credentials.  NGX_OK, or the status to answer with.
 */

ngx_int_t ngx_http_llm_auth(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);

/*
 * Looks for a key that may see the status, in a header or as the password of
 * basic authentication; or for one that may change it, with admin.  Sets
 * ctx->client.  NGX_DECLINED: there is none; NGX_ABORT: it may not do that;
 * NGX_ERROR.
 */

ngx_int_t ngx_http_llm_auth_reader(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_uint_t admin);


#endif /* _NGX_HTTP_LLM_AUTH_H_INCLUDED_ */
