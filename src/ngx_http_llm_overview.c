
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_overview.h"
#include "ngx_http_llm_zone.h"


const char  *ngx_http_llm_overview_states[] = {
    "usable", "cooling", "finished", "down", "parked", "draining", NULL
};

const char  *ngx_http_llm_overview_verdicts[] = {
    "ok", "wait", "finished", "ill", "elsewhere", NULL
};

const char  *ngx_http_llm_overview_limits[] = {
    "requests", "tokens", "requests_day", "tokens_day", "rpm", "tpm", "rpd",
    NULL
};


ngx_int_t
ngx_http_llm_overview(ngx_http_request_t *r, ngx_array_t *upstreams)
{
    ngx_uint_t                 i, n;
    ngx_http_llm_view_t       *view;
    ngx_http_llm_pool_t       *pool;
    ngx_http_llm_overview_t   *status;
    ngx_http_llm_upstream_t  **all;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    all = lmcf->upstreams.elts;

    if (ngx_array_init(upstreams, r->pool, lmcf->upstreams.nelts + 1,
                       sizeof(ngx_http_llm_overview_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        pool = &all[i]->pool;

        if (pool->nkeys == 0) {
            continue;
        }

        status = ngx_array_push(upstreams);
        if (status == NULL) {
            return NGX_ERROR;
        }

        status->upstream = all[i];
        status->tries = 0;
        status->share = 0;

        status->keys = ngx_palloc(r->pool,
                                  pool->nkeys * sizeof(ngx_http_llm_view_t));
        if (status->keys == NULL) {
            return NGX_ERROR;
        }

        ngx_http_llm_zone_upstream_view(pool, &status->view);

        for (n = 0; n < pool->nkeys; n++) {
            view = &status->keys[n];

            (void) ngx_http_llm_zone_view(pool, n, 0, view);

            if (all[i]->unresolved) {
                view->info.state = NGX_HTTP_LLM_KEY_DOWN;
                (void) ngx_cpystrn(view->reason, (u_char *) "unresolved",
                                   NGX_HTTP_LLM_NODE_REASON);
            }

            status->tries += view->info.tries;
            status->share += view->share;
        }
    }

    return NGX_OK;
}
