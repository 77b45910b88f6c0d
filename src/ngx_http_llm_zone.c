
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_store.h"
#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_limits.h"


/* a key at max_conns is asked again, if nobody says that it is free */

#define NGX_HTTP_LLM_ZONE_FULL      20                                /* ms */

/* a key that the configuration takes out never comes back */

#define NGX_HTTP_LLM_ZONE_DOWN      (24 * 60 * 60 * 1000)             /* ms */

/*
 * A conversation leaves its key when that has twice its share of what is in
 * flight; so few do not count.
 */

#define NGX_HTTP_LLM_ZONE_LOAD      2
#define NGX_HTTP_LLM_ZONE_LOAD_MIN  8

/* a request's share of tokens, and what is assumed of a key that is silent */

#define NGX_HTTP_LLM_ZONE_TOKENS    1000
#define NGX_HTTP_LLM_ZONE_REQUESTS  200

/* so many keys that worked, refused within so long, are the provider's fault */

#define NGX_HTTP_LLM_ZONE_ALIKE       3
#define NGX_HTTP_LLM_ZONE_ALIKE_TIME  10000                           /* ms */


static void ngx_http_llm_zone_choice(ngx_http_llm_choice_t *choice,
    ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask);
static ngx_int_t ngx_http_llm_zone_choose(ngx_http_llm_choice_t *choice);
static ngx_int_t ngx_http_llm_zone_home(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lane_ask_t *ask);
static uint64_t ngx_http_llm_zone_group(ngx_http_llm_choice_t *choice,
    ngx_uint_t i);
static ngx_uint_t ngx_http_llm_zone_fits(void *data, ngx_uint_t i);
static uint32_t ngx_http_llm_zone_weight(void *data, ngx_uint_t i);
static uint64_t ngx_http_llm_zone_order(void *data, ngx_uint_t i);
static ngx_int_t ngx_http_llm_zone_usable(void *data, ngx_uint_t i,
    ngx_msec_t *until);
static ngx_uint_t ngx_http_llm_zone_out(ngx_http_llm_choice_t *choice,
    ngx_uint_t i, ngx_uint_t *state, ngx_msec_t *until);
static void ngx_http_llm_zone_take(ngx_http_llm_choice_t *choice,
    ngx_uint_t i, ngx_http_llm_lease_t *lease);
static void ngx_http_llm_zone_update(ngx_http_llm_choice_t *choice,
    ngx_uint_t key);
static void ngx_http_llm_zone_update_all(ngx_http_llm_choice_t *choice,
    ngx_uint_t key);
static void ngx_http_llm_zone_refused(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement,
    ngx_http_llm_change_t *change);
static void ngx_http_llm_zone_alike(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_change_t *change);
static void ngx_http_llm_zone_told(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement);

#define ngx_http_llm_zone_skips(ask, i)                                       \
    ((ask)->skip && ((ask)->skip[(i) / 8] & (1 << (i) % 8)))

/* who knows what is left */

#define ngx_http_llm_zone_foresees(pool)                                      \
    ((pool)->policy == NGX_HTTP_LLM_HEADROOM                                  \
     || (pool)->policy == NGX_HTTP_LLM_AFFINITY)


ngx_int_t
ngx_http_llm_zone_acquire(ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask,
    ngx_http_llm_lease_t *lease)
{
    ngx_int_t               i;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = pool->zone;

    /* a single process has a new zone after a reload, but starts only once */

    if (zone->slot == NULL && ngx_http_llm_zone_attach(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_llm_zone_choice(&choice, pool, ask);

    ngx_shmtx_lock(&zone->shpool->mutex);

    i = NGX_BUSY;

    if (!ngx_http_llm_node_out(pool->sh->upstream, choice.now.msec)) {

        choice.line = ngx_http_llm_store_line(pool, ask->model, 0, &choice);

        i = ngx_http_llm_zone_choose(&choice);
    }

    if (i != NGX_BUSY) {
        ngx_http_llm_zone_take(&choice, i, lease);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return (i == NGX_BUSY) ? NGX_BUSY : NGX_OK;
}


static void
ngx_http_llm_zone_choice(ngx_http_llm_choice_t *choice,
    ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask)
{
    uint64_t     now;
    ngx_time_t  *tp;

    choice->pool = pool;
    choice->sh = pool->sh;
    choice->line = NULL;
    choice->ask = ask;

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    choice->now.msec = ngx_current_msec;
    choice->now.day_left = (pool->day == NGX_HTTP_LLM_DAY_PACIFIC)
                           ? ngx_http_llm_limits_midnight(now)
                           : (ngx_msec_t) (86400000 - now % 86400000);
    choice->now.day = (uint32_t) ((now + choice->now.day_left) / 86400000);
}


static ngx_int_t
ngx_http_llm_zone_choose(ngx_http_llm_choice_t *choice)
{
    ngx_int_t                  i;
    ngx_http_llm_ask_t        *ask, loose;
    ngx_http_llm_lane_ask_t    lane_ask;

    ngx_http_llm_zone_lane_ask(&lane_ask);
    lane_ask.data = choice;

    ask = choice->ask;

    if (!ngx_http_llm_zone_foresees(choice->pool)) {
        return ngx_http_llm_lane_choose(&choice->line->lane, &lane_ask,
                                        choice->now.msec);
    }

    /* at first among those that are expected to take it */

    loose = *ask;
    loose.patient = 1;

    choice->ask = &loose;

    i = NGX_BUSY;

    if (ask->affinity && choice->pool->policy == NGX_HTTP_LLM_AFFINITY) {
        i = ngx_http_llm_zone_home(choice, &lane_ask);
    }

    if (i == NGX_BUSY) {
        i = ngx_http_llm_lane_choose(&choice->line->lane, &lane_ask,
                                     choice->now.msec);
    }

    choice->ask = ask;

    if (i == NGX_BUSY && !ask->patient) {
        i = ngx_http_llm_lane_choose(&choice->line->lane, &lane_ask,
                                     choice->now.msec);
    }

    return i;
}


/* the key that a conversation belongs to, or the next one that it would */

static ngx_int_t
ngx_http_llm_zone_home(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lane_ask_t *ask)
{
    ngx_int_t  i;

    i = ngx_http_llm_rendezvous_choose(&choice->line->homes,
                                       choice->ask->affinity,
                                       ngx_http_llm_zone_fits, choice);

    if (i != NGX_BUSY) {
        ngx_http_llm_lane_take(&choice->line->lane, ask, i);
    }

    return i;
}


static uint64_t
ngx_http_llm_zone_group(ngx_http_llm_choice_t *choice, ngx_uint_t i)
{
    uint64_t  group;

    ngx_memcpy(&group, choice->sh->line.cells[i]->id, sizeof(uint64_t));

    return group;
}


/* who has the larger limit gets more of the conversations */

uint32_t
ngx_http_llm_zone_share(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    uint64_t               share;
    ngx_http_llm_key_t    *key;
    ngx_http_llm_quota_t  *quota;

    key = &choice->pool->keys[i];
    quota = &choice->line->cells[i]->quota;

    if (key->down || key->backup) {
        return 0;
    }

    if (key->limit.tpm || quota->limits[NGX_HTTP_LLM_TOKENS].limit) {
        share = key->limit.tpm
                ? key->limit.tpm
                : (uint64_t) quota->limits[NGX_HTTP_LLM_TOKENS].limit;
        share /= NGX_HTTP_LLM_ZONE_TOKENS;

    } else if (key->limit.rpm || quota->limits[NGX_HTTP_LLM_REQUESTS].limit) {
        share = key->limit.rpm
                ? key->limit.rpm
                : (uint64_t) quota->limits[NGX_HTTP_LLM_REQUESTS].limit;

    } else {
        share = NGX_HTTP_LLM_ZONE_REQUESTS;
    }

    share = ngx_max(share, 1) * key->weight;

    return (uint32_t) ngx_min(share, 1 << 20);
}


static ngx_uint_t
ngx_http_llm_zone_fits(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    ngx_msec_t  until;
    ngx_uint_t  load, all, n;

    if (ngx_http_llm_zone_usable(choice, i, &until) != NGX_OK) {
        return 0;
    }

    load = choice->sh->nodes[i]->in_flight;

    if (load < NGX_HTTP_LLM_ZONE_LOAD_MIN) {
        return 1;
    }

    all = 0;

    for (n = 0; n < choice->pool->nkeys; n++) {
        all += choice->sh->nodes[n]->in_flight;
    }

    return load * choice->pool->nkeys <= NGX_HTTP_LLM_ZONE_LOAD * all;
}


void
ngx_http_llm_zone_lane_ask(ngx_http_llm_lane_ask_t *ask)
{
    ask->weight = ngx_http_llm_zone_weight;
    ask->order = ngx_http_llm_zone_order;
    ask->usable = ngx_http_llm_zone_usable;
}


static uint32_t
ngx_http_llm_zone_weight(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    return (uint32_t) choice->pool->keys[i].weight;
}


static uint64_t
ngx_http_llm_zone_order(void *data, ngx_uint_t i)
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


static ngx_int_t
ngx_http_llm_zone_usable(void *data, ngx_uint_t i, ngx_msec_t *until)
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

    if (key->down) {
        *until = choice->now.msec + NGX_HTTP_LLM_ZONE_DOWN;
        return NGX_AGAIN;
    }

    if (ngx_http_llm_zone_out(choice, i, &state, until)) {
        return NGX_AGAIN;
    }

    if (key->max_conns && node->in_flight >= key->max_conns) {
        *until = choice->now.msec + NGX_HTTP_LLM_ZONE_FULL;
        return NGX_AGAIN;
    }

    if (ngx_http_llm_zone_skips(ask, i)) {
        return NGX_DECLINED;
    }

    if (ask->group && ask->group != ngx_http_llm_zone_group(choice, i)) {
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

    if (ask->patient && ngx_http_llm_zone_foresees(choice->pool)) {
        return ngx_http_llm_quota_room(&choice->line->cells[i]->quota,
                                       ask->tokens, choice->now.msec, until);
    }

    return NGX_OK;
}


/* whether the key, its group, or the model at it is out, and for how long */

static ngx_uint_t
ngx_http_llm_zone_out(ngx_http_llm_choice_t *choice, ngx_uint_t i,
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


static void
ngx_http_llm_zone_take(ngx_http_llm_choice_t *choice, ngx_uint_t i,
    ngx_http_llm_lease_t *lease)
{
    ngx_msec_t               now;
    ngx_http_llm_key_t      *key;
    ngx_http_llm_node_t     *node, *group, *cell;
    ngx_http_llm_pool_sh_t  *psh;

    psh = choice->sh;
    now = choice->now.msec;

    key = &choice->pool->keys[i];
    node = psh->nodes[i];
    group = psh->line.cells[i];
    cell = choice->line->cells[i];

    ngx_http_llm_node_take(psh->upstream, now);
    ngx_http_llm_node_take(node, now);

    if (group != node) {
        ngx_http_llm_node_take(group, now);
    }

    if (cell != group) {
        ngx_http_llm_node_take(cell, now);
    }

    node->in_flight++;
    node->tries++;

    choice->pool->zone->slot->in_flight[psh->first + i]++;

    ngx_http_llm_quota_spend(&cell->quota, choice->ask->tokens, now,
                             &lease->mark);

    if (key->limit.rpm || key->limit.tpm || key->limit.rpd) {
        ngx_http_llm_window_spend(&node->window,
                                  (uint32_t) ngx_min(choice->ask->tokens,
                                                     NGX_MAX_INT32_VALUE),
                                  &choice->now);
    }

    lease->pool = choice->pool;
    lease->key = i;
    lease->model = choice->ask->model;
    lease->tokens = choice->ask->tokens;
    lease->group = ngx_http_llm_zone_group(choice, i);

    if (choice->pool->policy != NGX_HTTP_LLM_ROUND_ROBIN) {
        ngx_http_llm_zone_update(choice, i);
    }
}


/* the key's place in its line has changed */

static void
ngx_http_llm_zone_update(ngx_http_llm_choice_t *choice, ngx_uint_t key)
{
    ngx_http_llm_lane_ask_t  ask;

    ngx_http_llm_zone_lane_ask(&ask);
    ask.data = choice;

    ngx_http_llm_lane_update(&choice->line->lane, &ask, key);
}


/* the same in all lines */

static void
ngx_http_llm_zone_update_all(ngx_http_llm_choice_t *choice, ngx_uint_t key)
{
    ngx_queue_t             *q;
    ngx_http_llm_pool_sh_t  *psh;

    psh = choice->sh;

    choice->line = &psh->line;
    ngx_http_llm_zone_update(choice, key);

    for (q = ngx_queue_head(&psh->lines);
         q != ngx_queue_sentinel(&psh->lines);
         q = ngx_queue_next(q))
    {
        choice->line = ngx_queue_data(q, ngx_http_llm_line_t, queue);
        ngx_http_llm_zone_update(choice, key);
    }
}


void
ngx_http_llm_zone_release(ngx_http_llm_lease_t *lease, ngx_uint_t unused,
    uint64_t tokens)
{
    ngx_http_llm_ask_t        ask;
    ngx_http_llm_key_t       *key;
    ngx_http_llm_node_t      *node, *group, *cell;
    ngx_http_llm_zone_t      *zone;
    ngx_http_llm_choice_t     choice;
    ngx_http_llm_pool_sh_t   *psh;
    ngx_http_llm_lane_ask_t   lane_ask;

    if (lease->pool == NULL) {
        return;
    }

    zone = lease->pool->zone;
    psh = lease->pool->sh;
    key = &lease->pool->keys[lease->key];

    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));
    ngx_http_llm_zone_choice(&choice, lease->pool, &ask);

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = psh->nodes[lease->key];
    group = psh->line.cells[lease->key];

    if (zone->slot) {
        node->in_flight--;
        zone->slot->in_flight[psh->first + lease->key]--;
    }

    choice.line = ngx_http_llm_store_line(lease->pool, lease->model, 0,
                                          &choice);
    cell = choice.line->cells[lease->key];

    if (unused) {
        node->tries--;

        ngx_http_llm_node_untake(psh->upstream, choice.now.msec);
        ngx_http_llm_node_untake(node, choice.now.msec);
        ngx_http_llm_node_untake(group, choice.now.msec);
        ngx_http_llm_node_untake(cell, choice.now.msec);

        ngx_http_llm_quota_refund(&cell->quota, lease->tokens);

        ngx_http_llm_zone_lane_ask(&lane_ask);
        lane_ask.data = &choice;

        ngx_http_llm_lane_return(&choice.line->lane, &lane_ask, lease->key);
    }

    if (key->limit.rpm || key->limit.tpm || key->limit.rpd) {

        if (unused) {
            ngx_http_llm_window_correct(&node->window, -1,
                                        -(int64_t) lease->tokens, &choice.now);

        } else if (tokens) {
            ngx_http_llm_window_correct(&node->window, 0,
                                        (int64_t) tokens
                                        - (int64_t) lease->tokens,
                                        &choice.now);
        }
    }

    if (key->max_conns && node->in_flight + 1 == key->max_conns) {
        ngx_http_llm_zone_update_all(&choice, lease->key);

    } else if (choice.pool->policy == NGX_HTTP_LLM_LEAST_CONN) {
        ngx_http_llm_zone_update(&choice, lease->key);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    lease->pool = NULL;
}


void
ngx_http_llm_zone_report(ngx_http_llm_lease_t *lease,
    ngx_http_llm_judgement_t *judgement, ngx_http_llm_change_t *change)
{
    uint64_t                 organization;
    ngx_str_t               *name;
    ngx_uint_t               i, back;
    ngx_msec_t               now;
    ngx_http_llm_ask_t       ask;
    ngx_http_llm_node_t     *node;
    ngx_http_llm_zone_t     *zone;
    ngx_http_llm_choice_t    choice;
    ngx_http_llm_pool_sh_t  *psh;

    zone = lease->pool->zone;
    psh = lease->pool->sh;
    i = lease->key;

    ngx_memzero(change, sizeof(ngx_http_llm_change_t));
    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));

    ngx_http_llm_zone_choice(&choice, lease->pool, &ask);

    now = choice.now.msec;
    name = &judgement->told.organization;
    organization = 0;

    if (name->len) {
        organization = ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                                name->data, name->len);
        organization = ngx_http_llm_hash_final(organization);
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = psh->nodes[i];

    if (organization && node->organization != organization) {
        node->organization = organization;
        ngx_http_llm_store_regroup(lease->pool, i, &choice);
    }

    choice.line = ngx_http_llm_store_line(lease->pool, lease->model,
                                          judgement->scope
                                          == NGX_HTTP_LLM_SCOPE_MODEL,
                                          &choice);

    ngx_http_llm_zone_told(&choice, lease, judgement);

    if (judgement->verdict == NGX_HTTP_LLM_ILL) {
        change->upstream = ngx_http_llm_node_report(psh->upstream, 1,
                                                    lease->mark.at, now,
                                                    &change->open);

    } else {
        change->upstream = ngx_http_llm_node_report(psh->upstream, 0,
                                                    lease->mark.at, now,
                                                    &change->open);
    }

    switch (judgement->verdict) {

    case NGX_HTTP_LLM_OK:
        back = ngx_http_llm_node_serve(node, lease->mark.at);

        if (psh->line.cells[i] != node) {
            back |= ngx_http_llm_node_serve(psh->line.cells[i],
                                            lease->mark.at);
        }

        if (choice.line != &psh->line) {
            (void) ngx_http_llm_node_serve(choice.line->cells[i],
                                           lease->mark.at);
        }

        if (back) {
            change->back = 1;
            ngx_http_llm_zone_update_all(&choice, i);
        }

        break;

    case NGX_HTTP_LLM_WAIT:
    case NGX_HTTP_LLM_FINISHED:
        ngx_http_llm_zone_refused(&choice, lease, judgement, change);
        break;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static void
ngx_http_llm_zone_refused(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement,
    ngx_http_llm_change_t *change)
{
    ngx_http_llm_node_t     *node;
    ngx_http_llm_pool_sh_t  *psh;

    psh = choice->sh;

    switch (judgement->scope) {

    case NGX_HTTP_LLM_SCOPE_MODEL:
        node = choice->line->cells[lease->key];
        break;

    case NGX_HTTP_LLM_SCOPE_GROUP:
        node = psh->line.cells[lease->key];
        break;

    default: /* NGX_HTTP_LLM_SCOPE_KEY */
        node = psh->nodes[lease->key];
    }

    change->wait = judgement->wait;
    change->out = ngx_http_llm_node_refuse(node,
                               judgement->verdict == NGX_HTTP_LLM_WAIT
                               ? NGX_HTTP_LLM_KEY_COOLING
                               : NGX_HTTP_LLM_KEY_FINISHED,
                               lease->mark.at, choice->now.msec,
                               &change->wait);

    if (judgement->verdict == NGX_HTTP_LLM_FINISHED
        && node == psh->nodes[lease->key])
    {
        ngx_http_llm_zone_alike(choice, lease, change);
    }
}


/* all keys that worked until now: it is not them that have changed */

static void
ngx_http_llm_zone_alike(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_change_t *change)
{
    ngx_uint_t              i, n;
    ngx_msec_t              now;
    ngx_http_llm_key_t     *keys;
    ngx_http_llm_node_t    *node;

    keys = choice->pool->keys;
    now = choice->now.msec;
    n = 0;

    for (i = 0; i < choice->pool->nkeys; i++) {
        node = choice->sh->nodes[i];

        if (keys[i].down) {
            continue;
        }

        if (!node->worked
            || node->state != NGX_HTTP_LLM_KEY_FINISHED
            || ngx_http_llm_node_passed(now, node->since
                                             + NGX_HTTP_LLM_ZONE_ALIKE_TIME))
        {
            return;
        }

        n++;
    }

    if (n < NGX_HTTP_LLM_ZONE_ALIKE) {
        return;
    }

    for (i = 0; i < choice->pool->nkeys; i++) {
        node = choice->sh->nodes[i];

        if (!keys[i].down) {
            ngx_http_llm_node_restore(node);
            ngx_http_llm_zone_update_all(choice, i);
        }
    }

    ngx_http_llm_node_open(choice->sh->upstream, lease->mark.at, now,
                           &change->open);

    change->out = 0;
    change->alike = 1;
    change->upstream = 1;
}


static void
ngx_http_llm_zone_told(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement)
{
    ngx_uint_t            i;
    ngx_http_llm_told_t  *told;

    told = &judgement->told;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        if (told->limits[i].limited && told->limits[i].remains) {
            break;
        }
    }

    if (i == NGX_HTTP_LLM_DIMENSIONS) {
        return;
    }

    ngx_http_llm_quota_learn(&choice->line->cells[lease->key]->quota, told,
                             &lease->mark);

    if (ngx_http_llm_zone_foresees(choice->pool)) {
        ngx_http_llm_zone_update(choice, lease->key);
    }

    if (choice->pool->policy == NGX_HTTP_LLM_AFFINITY) {
        ngx_http_llm_rendezvous_weigh(&choice->line->homes, lease->key,
                                      ngx_http_llm_zone_share(choice,
                                                              lease->key));
    }
}


void
ngx_http_llm_zone_explain(ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask,
    ngx_http_llm_busy_t *busy)
{
    ngx_uint_t              i, state;
    ngx_msec_t              now, until, left;
    ngx_http_llm_key_t     *key;
    ngx_http_llm_node_t    *upstream;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = pool->zone;

    ngx_http_llm_zone_choice(&choice, pool, ask);

    now = choice.now.msec;

    ngx_shmtx_lock(&zone->shpool->mutex);

    choice.line = ngx_http_llm_store_line(pool, ask->model, 0, &choice);
    upstream = pool->sh->upstream;

    if (ngx_http_llm_node_out(upstream, now)) {
        left = upstream->until - now;

        busy->open++;
        busy->retry = busy->retry ? ngx_min(busy->retry, left) : left;
    }

    for (i = 0; i < pool->nkeys; i++) {
        key = &pool->keys[i];

        if (key->down) {
            busy->down++;
            continue;
        }

        if (ngx_http_llm_zone_skips(ask, i)
            || (ask->group
                && ask->group != ngx_http_llm_zone_group(&choice, i)))
        {
            busy->skipped++;
            continue;
        }

        if (ngx_http_llm_zone_out(&choice, i, &state, &until)) {

            if (state == NGX_HTTP_LLM_KEY_FINISHED) {
                busy->finished++;

            } else {
                busy->cooling++;
            }

        } else if (key->max_conns
                   && pool->sh->nodes[i]->in_flight >= key->max_conns)
        {
            busy->full++;
            continue;

        } else if (ngx_http_llm_zone_usable(&choice, i, &until) != NGX_OK) {
            busy->limited++;

        } else {
            busy->usable++;
            continue;
        }

        left = ngx_http_llm_node_passed(now, until) ? 1 : until - now;
        busy->retry = busy->retry ? ngx_min(busy->retry, left) : left;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_llm_zone_info(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_key_info_t *info)
{
    ngx_uint_t              out, state, model_state;
    ngx_msec_t              until, end;
    ngx_queue_t            *q;
    ngx_http_llm_ask_t      ask;
    ngx_http_llm_node_t    *node;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = pool->zone;

    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));
    ngx_http_llm_zone_choice(&choice, pool, &ask);

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = pool->sh->nodes[key];
    choice.line = &pool->sh->line;

    info->state = NGX_HTTP_LLM_KEY_USABLE;
    info->in_flight = node->in_flight;
    info->tries = node->tries;
    info->outs = node->outs;
    info->retry = 0;

    out = ngx_http_llm_zone_out(&choice, key, &state, &until);

    /* it is also out if it is so for every model that it is known with */

    if (!out) {
        q = ngx_queue_head(&pool->sh->lines);

        for ( /* void */ ;
             q != ngx_queue_sentinel(&pool->sh->lines);
             q = ngx_queue_next(q))
        {
            choice.line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

            if (!ngx_http_llm_zone_out(&choice, key, &model_state, &end)) {
                out = 0;
                break;
            }

            if (!out || ngx_http_llm_node_passed(until, end)) {
                state = model_state;
                until = end;
            }

            out = 1;
        }
    }

    if (out) {
        info->state = state;
        info->retry = until - choice.now.msec;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (pool->keys[key].down) {
        info->state = NGX_HTTP_LLM_KEY_DOWN;
    }
}
