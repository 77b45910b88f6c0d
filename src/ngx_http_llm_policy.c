
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_policy.h"


/* a key at max_conns is asked again, if nobody says that it is free */

#define NGX_HTTP_LLM_POLICY_FULL      20                                /* ms */

/* a key that the configuration takes out never comes back */

#define NGX_HTTP_LLM_POLICY_DOWN      (24 * 60 * 60 * 1000)             /* ms */

/* a request's share of tokens, and what is assumed of a key that is silent */

#define NGX_HTTP_LLM_POLICY_TOKENS    1000
#define NGX_HTTP_LLM_POLICY_REQUESTS  200


static uint32_t ngx_http_llm_policy_weight(void *data, ngx_uint_t i);
static uint64_t ngx_http_llm_policy_order(void *data, ngx_uint_t i);


void
ngx_http_llm_policy_lane_ask(ngx_http_llm_lane_ask_t *ask)
{
    ask->weight = ngx_http_llm_policy_weight;
    ask->order = ngx_http_llm_policy_order;
    ask->usable = ngx_http_llm_policy_usable;
}


static uint32_t
ngx_http_llm_policy_weight(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    return (uint32_t) choice->pool->keys[i].weight;
}


static uint64_t
ngx_http_llm_policy_order(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    uint64_t              order, used;
    ngx_http_llm_key_t   *key;
    ngx_http_llm_node_t  *node;

    key = &choice->pool->keys[i];
    node = choice->sh->nodes[i];

    switch (choice->pool->policy) {

    case NGX_HTTP_LLM_LEAST_CONN:
        order = ((uint64_t) node->in_flight << 16) / key->weight;
        break;

    case NGX_HTTP_LLM_HEADROOM:
    case NGX_HTTP_LLM_AFFINITY:
        order = ngx_http_llm_quota_order(&choice->line->cells[i]->quota);

        if (key->limit.rpm || key->limit.tpm) {
            used = ngx_http_llm_window_used(&node->window, &key->limit,
                                            &choice->now);
            used = choice->now.msec + used * 60;

            order = ngx_max(order, used);
        }

        break;

    default: /* NGX_HTTP_LLM_ROUND_ROBIN */
        order = 0;
    }

    return key->backup ? order + NGX_HTTP_LLM_LANE_BACKUP : order;
}


ngx_int_t
ngx_http_llm_policy_usable(void *data, ngx_uint_t i, ngx_msec_t *until)
{
    ngx_http_llm_choice_t *choice = data;

    ngx_int_t              rc;
    ngx_uint_t             state;
    ngx_http_llm_ask_t    *ask;
    ngx_http_llm_key_t    *key;
    ngx_http_llm_node_t   *node;

    ask = choice->ask;
    key = &choice->pool->keys[i];
    node = choice->sh->nodes[i];

    if (key->down || node->held) {
        *until = choice->now.msec + NGX_HTTP_LLM_POLICY_DOWN;
        return NGX_AGAIN;
    }

    if (ngx_http_llm_policy_out(choice, i, &state, until)) {
        return NGX_AGAIN;
    }

    if (key->max_conns && node->in_flight >= key->max_conns) {
        *until = choice->now.msec + NGX_HTTP_LLM_POLICY_FULL;
        return NGX_AGAIN;
    }

    if (ngx_http_llm_policy_skips(choice, i)) {
        return NGX_DECLINED;
    }

    if (key->limit.rpm || key->limit.tpm || key->limit.rpd) {
        rc = ngx_http_llm_window_room(&node->window, &key->limit,
                                      (uint32_t) ngx_min(ask->tokens,
                                                         NGX_MAX_INT32_VALUE),
                                      &choice->now, until);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ask->patient) {
        return ngx_http_llm_quota_room(&choice->line->cells[i]->quota,
                                       ask->tokens,
                                       ask->patient - NGX_HTTP_LLM_CAREFUL,
                                       choice->now.msec, until);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_llm_policy_skips(ngx_http_llm_choice_t *choice, ngx_uint_t i)
{
    ngx_http_llm_ask_t  *ask;

    ask = choice->ask;

    if (ask->skip && (ask->skip[i / 8] & (1 << i % 8))) {
        return 1;
    }

    if (ask->group && !ngx_http_llm_policy_member(choice, i, ask->group)) {
        return 1;
    }

    return ask->shunned
           && ask->shunned == ngx_http_llm_policy_group(choice, i);
}


/* whether the key, its group, or the model at it is out, and for how long */

ngx_uint_t
ngx_http_llm_policy_out(ngx_http_llm_choice_t *choice, ngx_uint_t i,
    ngx_uint_t *state, ngx_msec_t *until)
{
    ngx_uint_t            n, out;
    ngx_http_llm_node_t  *nodes[3];

    nodes[0] = choice->sh->nodes[i];
    nodes[1] = choice->sh->line.cells[i];
    nodes[2] = choice->line->cells[i];

    out = 0;

    for (n = 0; n < 3; n++) {

        if (!ngx_http_llm_node_out(nodes[n], choice->now.msec)) {
            continue;
        }

        if (!out || ngx_http_llm_node_passed(nodes[n]->until, *until)) {
            *until = nodes[n]->until;
            *state = nodes[n]->state;
        }

        out = 1;
    }

    return out;
}


uint64_t
ngx_http_llm_policy_group(ngx_http_llm_choice_t *choice, ngx_uint_t i)
{
    uint64_t  group;

    ngx_memcpy(&group, choice->sh->line.cells[i]->id, sizeof(uint64_t));

    return group;
}


ngx_uint_t
ngx_http_llm_policy_member(ngx_http_llm_choice_t *choice, ngx_uint_t i,
    uint64_t group)
{
    uint64_t  alone;

    ngx_memcpy(&alone, choice->pool->keys[i].fingerprint, sizeof(uint64_t));

    return group == alone || group == ngx_http_llm_policy_group(choice, i);
}


/* who has the larger limit gets more of the conversations */

uint32_t
ngx_http_llm_policy_share(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    uint64_t               share, tokens;
    ngx_http_llm_key_t    *key;
    ngx_http_llm_quota_t  *quota;

    key = &choice->pool->keys[i];
    quota = &choice->line->cells[i]->quota;

    if (key->down || key->backup) {
        return 0;
    }

    /* what is guessed changes too often: conversations would have to move */

    tokens = quota->limits[NGX_HTTP_LLM_TOKENS].guessed
             ? 0 : (uint64_t) quota->limits[NGX_HTTP_LLM_TOKENS].limit;

    if (key->limit.tpm || tokens) {
        share = key->limit.tpm ? key->limit.tpm : tokens;
        share /= NGX_HTTP_LLM_POLICY_TOKENS;

    } else if (key->limit.rpm || quota->limits[NGX_HTTP_LLM_REQUESTS].limit) {
        share = key->limit.rpm
                ? key->limit.rpm
                : (uint64_t) quota->limits[NGX_HTTP_LLM_REQUESTS].limit;

    } else {
        share = NGX_HTTP_LLM_POLICY_REQUESTS;
    }

    share = ngx_max(share, 1) * key->weight;

    return (uint32_t) ngx_min(share, 1 << 20);
}
