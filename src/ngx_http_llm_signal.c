
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_signal.h"
#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_headers.h"


/* the usual ratio in English; JSON around it makes it safe for others */

#define NGX_HTTP_LLM_SIGNAL_BYTES   4

/* of an answer whose length nobody limited, and at most of one */

#define NGX_HTTP_LLM_SIGNAL_ANSWER  256


uint64_t
ngx_http_llm_estimate(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    off_t       length;
    uint64_t    answer;

    if (ctx->fields == NULL) {
        return 1;
    }

    length = r->headers_in.content_length_n;
    length = ngx_max(length, 0);

    answer = ctx->fields->max_tokens ? ctx->fields->max_tokens
                                     : NGX_HTTP_LLM_SIGNAL_ANSWER;

    return (uint64_t) length / NGX_HTTP_LLM_SIGNAL_BYTES
           + ngx_min(answer, NGX_HTTP_LLM_SIGNAL_ANSWER);
}


uint64_t
ngx_http_llm_session(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    uint64_t                 hash;
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    if (ctx->fields && ctx->fields->session) {
        return ctx->fields->session;
    }

    ngx_http_llm_headers_start(&headers, &r->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            break;
        }

        if (ngx_http_llm_headers_is(h, "x-session-affinity") && h->value.len) {
            hash = ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                            h->value.data, h->value.len);
            return ngx_http_llm_hash_final(hash);
        }
    }

    return ctx->fields ? ctx->fields->prompt : 0;
}
