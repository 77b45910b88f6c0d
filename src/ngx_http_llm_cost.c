
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_cost.h"
#include "ngx_http_llm_route.h"


ngx_int_t
ngx_http_llm_cost(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    uint64_t *usd)
{
    ngx_str_t                  model;
    ngx_http_llm_price_t      *price;
    ngx_http_llm_target_t     *target;
    ngx_http_llm_tokens_t     *tokens;
    ngx_http_llm_main_conf_t  *lmcf;

    if (ctx->usage == NULL || ctx->target >= ctx->ntargets) {
        return NGX_DECLINED;
    }

    tokens = &ctx->usage->tokens;

    if (tokens->costed) {
        *usd = tokens->cost;
        return NGX_OK;
    }

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

    if (!tokens->known || lmcf->prices == NULL) {
        return NGX_DECLINED;
    }

    target = &ctx->targets[ctx->target];

    ngx_http_llm_route_model(ctx, target, &model);

    if (model.len == 0) {
        return NGX_DECLINED;
    }

    price = ngx_http_llm_price_find(r->pool, lmcf->prices,
                                    &target->upstream->provider->name, &model);
    if (price == NULL) {
        return NGX_DECLINED;
    }

    *usd = ngx_http_llm_price_cost(price, tokens->input, tokens->output,
                                   tokens->cached);

    return NGX_OK;
}
