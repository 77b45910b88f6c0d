
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Requests that refer to what a provider keeps for one group of keys: they go
 * to that group, and nowhere else.
 */


#ifndef _NGX_HTTP_LLM_BINDING_H_INCLUDED_
#define _NGX_HTTP_LLM_BINDING_H_INCLUDED_


#include "ngx_http_llm.h"
#include "ngx_http_llm_zone.h"


/* ctx->refers: where the ids are of which no group is known */

typedef enum {
    NGX_HTTP_LLM_REFERS_NOT = 0,
    NGX_HTTP_LLM_REFERS_BODY,
    NGX_HTTP_LLM_REFERS_PATH
} ngx_http_llm_refers_e;


/* the upstream that has what a request refers to, or NULL */

ngx_http_llm_upstream_t *ngx_http_llm_binding_upstream(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);

/* sets ctx->group and ctx->refers, when the targets are known */

void ngx_http_llm_binding_find(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx);

/*
 * The group that a target is asked for, 0 for any.  NGX_DECLINED: it has no
 * keys of the group that the request, or the model, is bound to.
 */

ngx_int_t ngx_http_llm_binding_group(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_target_t *target, ngx_str_t *model, uint64_t *group);

/*
 * A try was answered.  What was unknown is looked for nowhere else, if its
 * answer may be "not found": the group of the key is now that of the request.
 */

void ngx_http_llm_binding_settle(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement,
    ngx_uint_t status);

/*
 * A successful answer begins: what the request, or its model at the provider,
 * refers to exists, or did.
 */

void ngx_http_llm_binding_used(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_lease_t *lease, ngx_str_t *model);


#endif /* _NGX_HTTP_LLM_BINDING_H_INCLUDED_ */
