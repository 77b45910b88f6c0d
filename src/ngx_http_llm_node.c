
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_node.h"


/*
 * LiteLLM's cooldown is 5 s too.  Refused again without an answer means that
 * it was too short.  A minute is the longest window that is usual, so to wait
 * longer unasked gains nothing.
 */

#define NGX_HTTP_LLM_NODE_COOLING   5000                              /* ms */
#define NGX_HTTP_LLM_NODE_COOLED    60000                             /* ms */

/* a refused key is tried again after a minute, then less and less often */

#define NGX_HTTP_LLM_NODE_FINISHED  60000                             /* ms */
#define NGX_HTTP_LLM_NODE_HOUR      3600000                           /* ms */

/* how long the one try of what may be in again keeps others away */

#define NGX_HTTP_LLM_NODE_PROBE     30000                             /* ms */

/*
 * An upstream opens when this many tries of so long a time found it ill, and
 * fewer were answered.
 */

#define NGX_HTTP_LLM_NODE_ILL       10
#define NGX_HTTP_LLM_NODE_ILL_TIME  10000                             /* ms */
#define NGX_HTTP_LLM_NODE_OPEN      5000                              /* ms */


static ngx_msec_t ngx_http_llm_node_grow(ngx_msec_t wait, ngx_uint_t level,
    ngx_msec_t max);


void
ngx_http_llm_node_take(ngx_http_llm_node_t *node, ngx_msec_t now)
{
    if (node->state == NGX_HTTP_LLM_KEY_COOLING) {
        node->state = NGX_HTTP_LLM_KEY_USABLE;

    } else if (node->state == NGX_HTTP_LLM_KEY_FINISHED) {
        node->until = now + NGX_HTTP_LLM_NODE_PROBE;
    }
}


void
ngx_http_llm_node_untake(ngx_http_llm_node_t *node, ngx_msec_t begun,
    ngx_msec_t now)
{
    /* not of the same millisecond: that was refused itself */

    if (node->state == NGX_HTTP_LLM_KEY_FINISHED
        && begun != node->since
        && ngx_http_llm_node_passed(begun, node->since))
    {
        node->until = now;
    }
}


ngx_uint_t
ngx_http_llm_node_refuse(ngx_http_llm_node_t *node, ngx_uint_t state,
    ngx_msec_t begun, ngx_msec_t now, ngx_msec_t *wait)
{
    ngx_uint_t  changed, fresh;
    ngx_msec_t  until;

    fresh = (node->outs == 0 || ngx_http_llm_node_passed(begun, node->since));
    changed = (node->state != state || !ngx_http_llm_node_out(node, now));

    /* of those that run at the same time the first counts */

    if (fresh) {

        if (node->refusal == state && node->served == 0) {
            node->level++;

        } else {
            node->level = 0;
        }

        node->outs++;
        node->refusal = state;
        node->since = now;
        node->served = 0;

    } else {
        changed &= !ngx_http_llm_node_out(node, now);
    }

    if (state == NGX_HTTP_LLM_KEY_FINISHED) {
        *wait = *wait ? *wait
                : ngx_http_llm_node_grow(NGX_HTTP_LLM_NODE_FINISHED,
                                         node->level, NGX_HTTP_LLM_NODE_HOUR);

    } else {
        *wait = *wait ? *wait
                : ngx_http_llm_node_grow(NGX_HTTP_LLM_NODE_COOLING,
                                         node->level, NGX_HTTP_LLM_NODE_COOLED);
    }

    until = now + *wait;

    if (!ngx_http_llm_node_out(node, now)
        || ngx_http_llm_node_passed(until, node->until)
        || (fresh && node->state == NGX_HTTP_LLM_KEY_FINISHED))
    {
        /* the one try of what was finished has the last word */

        node->until = until;
        node->state = state;
    }

    *wait = node->until - now;

    return changed;
}


static ngx_msec_t
ngx_http_llm_node_grow(ngx_msec_t wait, ngx_uint_t level, ngx_msec_t max)
{
    if (wait >= max) {
        return wait;
    }

    for ( /* void */ ; level && wait < max; level--) {
        wait *= 2;
    }

    return ngx_min(wait, max);
}


ngx_uint_t
ngx_http_llm_node_serve(ngx_http_llm_node_t *node, ngx_msec_t begun)
{
    if (node->served < NGX_MAX_INT32_VALUE) {
        node->served++;
    }

    node->worked = 1;

    if (node->state == NGX_HTTP_LLM_KEY_FINISHED
        && ngx_http_llm_node_passed(begun, node->since))
    {
        ngx_http_llm_node_restore(node);
        return 1;
    }

    return 0;
}


void
ngx_http_llm_node_restore(ngx_http_llm_node_t *node)
{
    node->state = NGX_HTTP_LLM_KEY_USABLE;
    node->level = 0;
    node->served = 1;
}


ngx_uint_t
ngx_http_llm_node_report(ngx_http_llm_node_t *node, ngx_uint_t ill,
    ngx_msec_t begun, ngx_msec_t now, ngx_msec_t *wait)
{
    if (!ill) {
        node->well++;

        if (node->state == NGX_HTTP_LLM_KEY_USABLE
            || !ngx_http_llm_node_passed(begun, node->since))
        {
            return 0;
        }

        ngx_http_llm_node_restore(node);

        node->ill = 0;
        *wait = 0;

        return 1;
    }

    if (node->state != NGX_HTTP_LLM_KEY_USABLE) {

        /* the one try failed; those that began before tell nothing new */

        if (!ngx_http_llm_node_passed(begun, node->since)) {
            return 0;
        }

        ngx_http_llm_node_open(node, begun, now, wait);

        return 1;
    }

    if (node->ill == 0
        || ngx_http_llm_node_passed(now, node->ill_since
                                         + NGX_HTTP_LLM_NODE_ILL_TIME))
    {
        node->ill_since = now;
        node->ill = 0;
        node->well = 0;
    }

    if (++node->ill < NGX_HTTP_LLM_NODE_ILL || node->ill <= node->well) {
        return 0;
    }

    ngx_http_llm_node_open(node, begun, now, wait);

    return 1;
}


void
ngx_http_llm_node_open(ngx_http_llm_node_t *node, ngx_msec_t begun,
    ngx_msec_t now, ngx_msec_t *wait)
{
    *wait = NGX_HTTP_LLM_NODE_OPEN;

    (void) ngx_http_llm_node_refuse(node, NGX_HTTP_LLM_KEY_FINISHED, begun,
                                    now, wait);

    *wait = ngx_http_llm_node_grow(NGX_HTTP_LLM_NODE_OPEN, node->level,
                                   NGX_HTTP_LLM_NODE_COOLED);

    node->until = now + *wait;
}
