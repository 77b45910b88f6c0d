
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_verdict.h"
#include "ngx_http_llm_limits.h"


/*
 * LiteLLM's cooldown is 5 s too.  A wait of 0, which providers do send, and
 * one of a day would both do harm: the first floods the provider, the second
 * loses the key to a slip of theirs.
 */

#define NGX_HTTP_LLM_WAIT_DEFAULT   5000                              /* ms */
#define NGX_HTTP_LLM_WAIT_MIN       1000                              /* ms */
#define NGX_HTTP_LLM_WAIT_MAX       (60 * 60 * 1000)                  /* ms */

/* a refused key is tried again with a real request once a minute */

#define NGX_HTTP_LLM_FINISHED_WAIT  (60 * 1000)                       /* ms */


typedef struct {
    ngx_uint_t   status;
    ngx_uint_t   verdict;
    ngx_uint_t   hinted;     /* the verdict when the answer tells how long */
} ngx_http_llm_verdict_row_t;


/* statuses that are not here go to the client as they came */

static ngx_http_llm_verdict_row_t  ngx_http_llm_verdicts[] = {

    { 0,   NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 401, NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_FINISHED },
    { 402, NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_WAIT },
    { 408, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 429, NGX_HTTP_LLM_WAIT,     NGX_HTTP_LLM_WAIT },
    { 498, NGX_HTTP_LLM_WAIT,     NGX_HTTP_LLM_WAIT },   /* Groq, capacity */
    { 500, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 502, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 503, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_WAIT },
    { 504, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 520, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },    /* Cloudflare's */
    { 521, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 522, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 523, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 524, NGX_HTTP_LLM_ILL,      NGX_HTTP_LLM_ILL },
    { 529, NGX_HTTP_LLM_WAIT,     NGX_HTTP_LLM_WAIT }    /* overloaded */
};


void
ngx_http_llm_verdict(ngx_http_llm_facts_t *facts, time_t now,
    ngx_http_llm_judgement_t *judgement)
{
    ngx_uint_t                   i, n, hinted;
    ngx_msec_t                   wait;
    ngx_http_llm_verdict_row_t  *row;

    judgement->verdict = NGX_HTTP_LLM_OK;
    judgement->wait = 0;

    row = ngx_http_llm_verdicts;
    n = sizeof(ngx_http_llm_verdicts) / sizeof(ngx_http_llm_verdict_row_t);

    for (i = 0; i < n; i++) {
        if (row[i].status == facts->status) {
            break;
        }
    }

    if (i == n) {
        return;
    }

    wait = NGX_HTTP_LLM_WAIT_DEFAULT;

    hinted = (facts->retry_after_ms
              && ngx_http_llm_limits_msec(facts->retry_after_ms, &wait)
                 == NGX_OK)
             || (facts->retry_after
                 && ngx_http_llm_limits_retry_after(facts->retry_after, now,
                                                    &wait)
                    == NGX_OK);

    judgement->verdict = hinted ? row[i].hinted : row[i].verdict;

    switch (judgement->verdict) {

    case NGX_HTTP_LLM_WAIT:
        wait = ngx_max(wait, NGX_HTTP_LLM_WAIT_MIN);
        judgement->wait = ngx_min(wait, NGX_HTTP_LLM_WAIT_MAX);
        break;

    case NGX_HTTP_LLM_FINISHED:
        judgement->wait = NGX_HTTP_LLM_FINISHED_WAIT;
        break;
    }
}
