
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_window.h"


static void ngx_http_llm_window_advance(ngx_http_llm_window_t *window,
    const ngx_http_llm_moment_t *now);
static ngx_msec_t ngx_http_llm_window_free(ngx_http_llm_window_t *window,
    uint32_t *steps, uint64_t excess);
static void ngx_http_llm_window_add(uint32_t *steps, uint32_t *sum,
    ngx_uint_t at, int64_t change);


ngx_int_t
ngx_http_llm_window_room(ngx_http_llm_window_t *window,
    const ngx_http_llm_limit_t *limit, uint32_t tokens,
    const ngx_http_llm_moment_t *now, ngx_msec_t *until)
{
    uint64_t  sum;

    ngx_http_llm_window_advance(window, now);

    if (limit->rpd && window->today >= limit->rpd) {
        *until = now->msec + now->day_left;
        return NGX_AGAIN;
    }

    if (limit->rpm && window->requests_sum >= limit->rpm) {
        *until = ngx_http_llm_window_free(window, window->requests,
                                   window->requests_sum - limit->rpm + 1);
        return NGX_AGAIN;
    }

    if (limit->tpm == 0) {
        return NGX_OK;
    }

    /* one that is larger than the limit may go alone: it is an estimate */

    tokens = ngx_min(tokens, limit->tpm);
    sum = (uint64_t) window->tokens_sum + ngx_max(tokens, 1);

    if (sum > limit->tpm) {
        *until = ngx_http_llm_window_free(window, window->tokens,
                                          sum - limit->tpm);

        return (window->tokens_sum >= limit->tpm) ? NGX_AGAIN : NGX_DECLINED;
    }

    return NGX_OK;
}


/* when so much of what was used is a minute old */

static ngx_msec_t
ngx_http_llm_window_free(ngx_http_llm_window_t *window, uint32_t *steps,
    uint64_t excess)
{
    uint64_t    freed, step;
    ngx_uint_t  i;

    freed = 0;
    step = window->step + 1;

    for (i = 0; i < NGX_HTTP_LLM_WINDOW_STEPS; i++, step++) {
        freed += steps[step % NGX_HTTP_LLM_WINDOW_STEPS];

        if (freed >= excess) {
            break;
        }
    }

    return (ngx_msec_t) (step * NGX_HTTP_LLM_WINDOW_STEP);
}


void
ngx_http_llm_window_spend(ngx_http_llm_window_t *window, uint32_t tokens,
    const ngx_http_llm_moment_t *now)
{
    ngx_http_llm_window_correct(window, 1, tokens, now);
}


void
ngx_http_llm_window_correct(ngx_http_llm_window_t *window, int64_t requests,
    int64_t tokens, const ngx_http_llm_moment_t *now)
{
    ngx_uint_t  at;

    ngx_http_llm_window_advance(window, now);

    at = window->step % NGX_HTTP_LLM_WINDOW_STEPS;

    ngx_http_llm_window_add(window->requests, &window->requests_sum, at,
                            requests);
    ngx_http_llm_window_add(window->tokens, &window->tokens_sum, at, tokens);

    if (requests > 0) {
        window->today += (uint32_t) requests;

    } else {
        window->today -= ngx_min(window->today, (uint32_t) -requests);
    }
}


/* what is taken back may have been counted some steps ago */

static void
ngx_http_llm_window_add(uint32_t *steps, uint32_t *sum, ngx_uint_t at,
    int64_t change)
{
    uint32_t    part;
    ngx_uint_t  i;

    if (change >= 0) {
        part = (uint32_t) ngx_min(change, NGX_MAX_INT32_VALUE - (int64_t) *sum);

        steps[at] += part;
        *sum += part;

        return;
    }

    for (i = 0; i < NGX_HTTP_LLM_WINDOW_STEPS && change < 0; i++) {
        part = (uint32_t) ngx_min((int64_t) steps[at], -change);

        steps[at] -= part;
        *sum -= part;
        change += part;

        at = (at + NGX_HTTP_LLM_WINDOW_STEPS - 1) % NGX_HTTP_LLM_WINDOW_STEPS;
    }
}


ngx_uint_t
ngx_http_llm_window_used(ngx_http_llm_window_t *window,
    const ngx_http_llm_limit_t *limit, const ngx_http_llm_moment_t *now)
{
    uint64_t  requests, tokens;

    ngx_http_llm_window_advance(window, now);

    requests = limit->rpm ? (uint64_t) window->requests_sum * 1000 / limit->rpm
                          : 0;
    tokens = limit->tpm ? (uint64_t) window->tokens_sum * 1000 / limit->tpm
                        : 0;

    return (ngx_uint_t) ngx_max(requests, tokens);
}


static void
ngx_http_llm_window_advance(ngx_http_llm_window_t *window,
    const ngx_http_llm_moment_t *now)
{
    uint64_t    step;
    ngx_uint_t  i, n;

    step = now->msec / NGX_HTTP_LLM_WINDOW_STEP;

    if (step > window->step) {
        n = (ngx_uint_t) ngx_min(step - window->step,
                                 NGX_HTTP_LLM_WINDOW_STEPS);

        window->step = step;

        for ( /* void */ ; n; n--) {
            i = (step + 1 - n) % NGX_HTTP_LLM_WINDOW_STEPS;

            window->requests_sum -= window->requests[i];
            window->tokens_sum -= window->tokens[i];

            window->requests[i] = 0;
            window->tokens[i] = 0;
        }
    }

    if (window->day != now->day) {
        window->day = now->day;
        window->today = 0;
    }
}
