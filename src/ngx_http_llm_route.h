
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Which upstream, and under which name a model is asked for there.
 */


#ifndef _NGX_HTTP_LLM_ROUTE_H_INCLUDED_
#define _NGX_HTTP_LLM_ROUTE_H_INCLUDED_


#include "ngx_http_llm.h"


/* llm_model */

char *ngx_http_llm_model(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Resolves the names in the rules of a server, when all upstreams are known.
 * Rules are inherited from the http level if and only if the server has none.
 */

char *ngx_http_llm_route_merge(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf,
    ngx_http_llm_srv_conf_t *prev, ngx_http_llm_srv_conf_t *conf);

/* an upstream by its name, or by the name or an alias of its provider */

ngx_http_llm_upstream_t *ngx_http_llm_route_named(
    ngx_http_llm_main_conf_t *lmcf, ngx_str_t *name);

/*
 * Sets ctx->targets for ctx->path and ctx->model: NGX_OK, or the status of an
 * error that names the model.
 */

ngx_int_t ngx_http_llm_route(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);

/* the name by which the model of a request is asked for at a target */

void ngx_http_llm_route_model(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_target_t *target, ngx_str_t *model);

/*
 * Calls back for every model that can be named: the exact names of the rules
 * of this server, and the well-known ids of the upstreams.
 */

typedef ngx_int_t (*ngx_http_llm_route_each_pt)(void *data, ngx_str_t *model,
    ngx_http_llm_target_t *target);

ngx_int_t ngx_http_llm_route_each(ngx_http_request_t *r,
    ngx_http_llm_route_each_pt each, void *data);


#endif /* _NGX_HTTP_LLM_ROUTE_H_INCLUDED_ */
