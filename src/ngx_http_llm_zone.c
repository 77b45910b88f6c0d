
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_zone.h"
#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_limits.h"
#include "ngx_http_llm_policy.h"
#include "ngx_http_llm_store.h"


/*
 * A conversation leaves its key when that has thrice its share of what is in
 * flight; so few do not count.
 */

#define NGX_HTTP_LLM_ZONE_LOAD      3
#define NGX_HTTP_LLM_ZONE_LOAD_MIN  8

/* so many keys that worked, refused within so long, are the provider's fault */

#define NGX_HTTP_LLM_ZONE_ALIKE       3
#define NGX_HTTP_LLM_ZONE_ALIKE_TIME  10000                           /* ms */


static void ngx_http_llm_zone_choice(ngx_http_llm_choice_t *choice,
    ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask);
static ngx_int_t ngx_http_llm_zone_choose(ngx_http_llm_choice_t *choice);
static ngx_int_t ngx_http_llm_zone_home(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lane_ask_t *ask);
static ngx_uint_t ngx_http_llm_zone_fits(void *data, ngx_uint_t i);
static void ngx_http_llm_zone_take(ngx_http_llm_choice_t *choice,
    ngx_uint_t i, ngx_http_llm_lease_t *lease);
static void ngx_http_llm_zone_update(ngx_http_llm_choice_t *choice,
    ngx_uint_t key);
static void ngx_http_llm_zone_update_all(ngx_http_llm_choice_t *choice,
    ngx_uint_t key);
static void ngx_http_llm_zone_refused(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement,
    ngx_http_llm_change_t *change);
static void ngx_http_llm_zone_bill(ngx_http_llm_lease_t *lease,
    ngx_http_llm_node_t *node, ngx_msec_t now);
static void ngx_http_llm_zone_count(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement);
static void ngx_http_llm_zone_state(ngx_http_llm_choice_t *choice,
    ngx_uint_t key, ngx_http_llm_key_info_t *info, u_char *reason);
static void ngx_http_llm_zone_limits(ngx_http_llm_choice_t *choice,
    ngx_uint_t key, ngx_http_llm_view_limit_t *limits);
static void ngx_http_llm_zone_tightest(ngx_http_llm_choice_t *choice,
    ngx_uint_t key, ngx_http_llm_view_limit_t *limits);
static ngx_http_llm_node_t *ngx_http_llm_zone_finished(
    ngx_http_llm_choice_t *choice, ngx_uint_t i);
static void ngx_http_llm_zone_lacks(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_change_t *change);
static void ngx_http_llm_zone_alike(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_change_t *change);
static ngx_uint_t ngx_http_llm_zone_afresh(ngx_http_llm_node_t *node,
    ngx_msec_t now);
static void ngx_http_llm_zone_told(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement);

ngx_int_t
ngx_http_llm_zone_acquire(ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask,
    ngx_http_llm_lease_t *lease)
{
    ngx_int_t               i;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = pool->zone;

    /* a single process has a new zone after a reload, but starts only once */

    if (zone->slot == NULL && ngx_http_llm_store_attach(zone) != NGX_OK) {
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

    ngx_http_llm_policy_lane_ask(&lane_ask);
    lane_ask.data = choice;

    ask = choice->ask;

    loose = *ask;
    loose.patient = ngx_min(ask->patient, NGX_HTTP_LLM_PATIENT);

    choice->ask = &loose;

    if (!ngx_http_llm_policy_foresees(choice->pool)) {
        i = ngx_http_llm_lane_choose(&choice->line->lane, &lane_ask,
                                     choice->now.msec);
        choice->ask = ask;

        return i;
    }

    /* at first among those that are expected to take it */

    i = NGX_BUSY;

    if (ask->affinity && choice->pool->policy == NGX_HTTP_LLM_AFFINITY) {

        i = ngx_http_llm_zone_home(choice, &lane_ask);

        if (i == NGX_BUSY
            && ask->patient == NGX_HTTP_LLM_FAITHFUL
            && ask->tokens >= NGX_HTTP_LLM_CACHED_TOKENS)
        {
            choice->ask = ask;
            return i;
        }
    }

    loose.patient = ask->patient ? NGX_HTTP_LLM_PATIENT
                                 : NGX_HTTP_LLM_CAREFUL;

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


/*
 * The key that a conversation belongs to; while that is used up, it is a guest
 * at the next one that it would belong to, or at any, with room to spare: what
 * is used up by its own conversations has none.
 */

static ngx_int_t
ngx_http_llm_zone_home(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lane_ask_t *lane_ask)
{
    uint64_t                    group;
    ngx_int_t                   i, guest;
    ngx_msec_t                  until;
    ngx_http_llm_ask_t         *ask;
    ngx_http_llm_ids_t         *moved;
    ngx_http_llm_rendezvous_t  *homes;

    ask = choice->ask;
    homes = &choice->line->homes;
    moved = choice->pool->zone->sh->homes;

    ask->patient = NGX_HTTP_LLM_HASTY;

    group = ngx_http_llm_ids_find(moved, ask->affinity);

    i = group ? ngx_http_llm_rendezvous_named(homes, group,
                                              ngx_http_llm_zone_fits, choice)
              : NGX_BUSY;

    if (i == NGX_BUSY) {
        i = ngx_http_llm_rendezvous_choose(homes, ask->affinity,
                                           ngx_http_llm_zone_fits, choice);

    } else {
        ngx_http_llm_ids_learn(moved, ask->affinity, group,
                               (uint32_t) ngx_time());
    }

    /* what is too small to be cached leaves its room to others */

    ask->patient = (ask->tokens < NGX_HTTP_LLM_CACHED_TOKENS)
                   ? NGX_HTTP_LLM_FAITHFUL : NGX_HTTP_LLM_PATIENT;

    if (i != NGX_BUSY
        && ngx_http_llm_policy_usable(choice, i, &until) == NGX_OK)
    {
        ngx_http_llm_lane_take(&choice->line->lane, lane_ask, i);
        return i;
    }

    if (ask->tokens < NGX_HTTP_LLM_CACHED_TOKENS) {
        return NGX_BUSY;
    }

    ask->patient = NGX_HTTP_LLM_FAITHFUL;

    guest = ngx_http_llm_rendezvous_choose(homes, ask->affinity,
                                           ngx_http_llm_zone_fits, choice);

    if (guest != NGX_BUSY) {
        ngx_http_llm_lane_take(&choice->line->lane, lane_ask, guest);

    } else {
        guest = ngx_http_llm_lane_choose(&choice->line->lane, lane_ask,
                                         choice->now.msec);
    }

    /* who had to go as there was no room stays; whose key was out returns */

    if (i != NGX_BUSY && guest != NGX_BUSY) {
        ngx_http_llm_ids_learn(moved, ask->affinity,
                               ngx_http_llm_policy_group(choice, guest),
                               (uint32_t) ngx_time());
    }

    return guest;
}


static ngx_uint_t
ngx_http_llm_zone_fits(void *data, ngx_uint_t i)
{
    ngx_http_llm_choice_t *choice = data;

    uint64_t                    load;
    ngx_msec_t                  until;
    ngx_http_llm_rendezvous_t  *homes;

    if (ngx_http_llm_policy_usable(choice, i, &until) != NGX_OK) {
        return 0;
    }

    load = choice->sh->nodes[i]->in_flight;

    if (load < NGX_HTTP_LLM_ZONE_LOAD_MIN) {
        return 1;
    }

    homes = &choice->line->homes;

    return load * homes->sums[1] <= NGX_HTTP_LLM_ZONE_LOAD
                                    * choice->sh->upstream->in_flight
                                    * homes->names[homes->places[i]].weight;
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

    psh->upstream->in_flight++;
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
        choice->pool->zone->sh->state.counts += (key->limit.rpd != 0);
    }

    lease->pool = choice->pool;
    lease->key = i;
    lease->model = choice->ask->model;
    lease->tokens = choice->ask->tokens;
    lease->group = ngx_http_llm_policy_group(choice, i);
    lease->name = choice->ask->name;
    lease->bill = NULL;
    lease->stream = 0;
    lease->answered = 0;

    if (choice->pool->policy != NGX_HTTP_LLM_ROUND_ROBIN) {
        ngx_http_llm_zone_update(choice, i);
    }
}


/* the key's place in its line has changed */

static void
ngx_http_llm_zone_update(ngx_http_llm_choice_t *choice, ngx_uint_t key)
{
    ngx_http_llm_lane_ask_t  ask;

    ngx_http_llm_policy_lane_ask(&ask);
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
        psh->upstream->in_flight--;
        node->in_flight--;
        zone->slot->in_flight[psh->first + lease->key]--;
    }

    choice.line = ngx_http_llm_store_line(lease->pool, lease->model, 0,
                                          &choice);
    cell = choice.line->cells[lease->key];

    /* a try that may have been the only one, and told nothing, is made again */

    ngx_http_llm_node_untake(psh->upstream, lease->mark.at, choice.now.msec);
    ngx_http_llm_node_untake(node, lease->mark.at, choice.now.msec);
    ngx_http_llm_node_untake(group, lease->mark.at, choice.now.msec);
    ngx_http_llm_node_untake(cell, lease->mark.at, choice.now.msec);

    if (lease->bill) {
        ngx_http_llm_zone_bill(lease, node, choice.now.msec);
    }

    if (unused) {
        node->tries--;

        ngx_http_llm_quota_refund(&cell->quota, lease->tokens);

        ngx_http_llm_policy_lane_ask(&lane_ask);
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


static void
ngx_http_llm_zone_bill(ngx_http_llm_lease_t *lease, ngx_http_llm_node_t *node,
    ngx_msec_t now)
{
    ngx_http_llm_bill_t     *bill;
    ngx_http_llm_node_t     *upstream;
    ngx_http_llm_zone_sh_t  *sh;

    bill = lease->bill;
    sh = lease->pool->zone->sh;
    upstream = lease->pool->sh->upstream;

    ngx_http_llm_count_add(&node->count.spent, &bill->spent);
    ngx_http_llm_count_add(&upstream->count.spent, &bill->spent);

    if (bill->client.len) {
        ngx_http_llm_count_name(sh->clients, bill->client_hash, &bill->client,
                                &bill->spent);
    }

    if (bill->model && lease->model) {
        ngx_http_llm_count_name(sh->models, lease->model, &lease->name,
                                &bill->spent);
    }

    if (lease->answered && upstream->times) {
        ngx_http_llm_count_time(&upstream->times->duration,
                                ngx_http_llm_count_duration,
                                now - lease->mark.at);
    }
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

    ngx_http_llm_zone_count(&choice, lease, judgement);

    if (organization && node->organization != organization) {
        node->organization = organization;
        zone->sh->state.changes++;

        ngx_http_llm_store_regroup(lease->pool, i, &choice);
    }

    choice.line = ngx_http_llm_store_line(lease->pool, lease->model,
                                          judgement->scope
                                          == NGX_HTTP_LLM_SCOPE_MODEL
                                          || (judgement->verdict
                                              == NGX_HTTP_LLM_ELSEWHERE
                                              && judgement->scope
                                                 == NGX_HTTP_LLM_SCOPE_GROUP),
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
        zone->sh->state.counts += !node->worked;

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

        if (judgement->limited) {
            ngx_http_llm_quota_refused(&choice.line->cells[i]->quota,
                                       lease->tokens, &lease->mark, now);
        }

        ngx_http_llm_zone_refused(&choice, lease, judgement, change);
        zone->sh->state.changes++;
        break;

    default: /* NGX_HTTP_LLM_ELSEWHERE, NGX_HTTP_LLM_ILL */

        if (judgement->verdict == NGX_HTTP_LLM_ELSEWHERE
            && judgement->scope != NGX_HTTP_LLM_SCOPE_KEY
            && choice.line != &psh->line)
        {
            ngx_http_llm_zone_lacks(&choice, lease, change);
            zone->sh->state.changes += change->out;
        }

        break;
    }

    if (change->upstream || change->back) {
        zone->sh->state.changes++;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static void
ngx_http_llm_zone_count(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement)
{
    ngx_time_t           *tp;
    ngx_http_llm_node_t  *node, *upstream;

    node = choice->sh->nodes[lease->key];
    upstream = choice->sh->upstream;

    tp = ngx_timeofday();

    node->count.verdicts[judgement->verdict]++;
    node->count.used = (uint64_t) tp->sec * 1000 + tp->msec;

    upstream->count.verdicts[judgement->verdict]++;
    upstream->count.used = node->count.used;

    lease->answered = (judgement->verdict == NGX_HTTP_LLM_OK);

    if (lease->answered && lease->stream && upstream->times) {
        ngx_http_llm_count_time(&upstream->times->first,
                                ngx_http_llm_count_first,
                                choice->now.msec - lease->mark.at);
    }
}


static void
ngx_http_llm_zone_refused(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement,
    ngx_http_llm_change_t *change)
{
    static const ngx_http_llm_spent_t  nothing;

    ngx_uint_t               state;
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

    /* what has a known end is only a long wait */

    state = (judgement->verdict == NGX_HTTP_LLM_WAIT || judgement->wait)
            ? NGX_HTTP_LLM_KEY_COOLING : NGX_HTTP_LLM_KEY_FINISHED;

    if (judgement->scope == NGX_HTTP_LLM_SCOPE_MODEL && lease->model) {

        /* it is shown, and by its name */

        ngx_http_llm_count_name(choice->pool->zone->sh->models, lease->model,
                                &lease->name, &nothing);
    }

    (void) ngx_cpystrn(node->reason, (u_char *) (judgement->reason
                                                 ? judgement->reason : ""),
                       NGX_HTTP_LLM_NODE_REASON);

    change->wait = judgement->wait;
    change->out = ngx_http_llm_node_refuse(node, state, lease->mark.at,
                                           choice->now.msec, &change->wait);

    if (state == NGX_HTTP_LLM_KEY_FINISHED
        && judgement->scope != NGX_HTTP_LLM_SCOPE_MODEL)
    {
        ngx_http_llm_zone_alike(choice, lease, change);
    }
}


/* the key or its group, whichever is: NULL if neither */

static ngx_http_llm_node_t *
ngx_http_llm_zone_finished(ngx_http_llm_choice_t *choice, ngx_uint_t i)
{
    if (choice->sh->nodes[i]->state == NGX_HTTP_LLM_KEY_FINISHED) {
        return choice->sh->nodes[i];
    }

    if (choice->sh->line.cells[i]->state == NGX_HTTP_LLM_KEY_FINISHED) {
        return choice->sh->line.cells[i];
    }

    return NULL;
}


/*
 * A model that others have is not asked of those any more that never had it.
 * Who has answered it is never put out by this: so requests cannot do that by
 * what they ask for, and there is always somebody whose answer they get.
 */

static void
ngx_http_llm_zone_lacks(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_change_t *change)
{
    ngx_uint_t             i, worked;
    ngx_msec_t             now, wait;
    ngx_http_llm_node_t   *node, **cells;

    now = choice->now.msec;
    cells = choice->line->cells;
    worked = 0;

    for (i = 0; i < choice->pool->nkeys; i++) {
        worked |= cells[i]->worked;
    }

    node = cells[lease->key];

    if (node->worked) {
        return;
    }

    if (!worked) {

        /* it is remembered until somebody has */

        node->refusal = NGX_HTTP_LLM_KEY_FINISHED;
        node->served = 1;

        return;
    }

    change->out = ngx_http_llm_node_refuse(node, NGX_HTTP_LLM_KEY_FINISHED,
                                           lease->mark.at, now, &change->wait);

    /* a request has one other try: not with one that said the same before */

    for (i = 0; i < choice->pool->nkeys; i++) {
        node = cells[i];

        if (node->worked
            || node->refusal != NGX_HTTP_LLM_KEY_FINISHED
            || ngx_http_llm_node_out(node, now))
        {
            continue;
        }

        if (node->state == NGX_HTTP_LLM_KEY_FINISHED) {
            ngx_http_llm_node_take(node, now);

        } else {
            wait = 0;
            (void) ngx_http_llm_node_refuse(node, NGX_HTTP_LLM_KEY_FINISHED,
                                            lease->mark.at, now, &wait);
        }
    }
}


/* all keys that worked until now: it is not they that have changed */

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

        if (keys[i].down || choice->sh->nodes[i]->held) {
            continue;
        }

        node = ngx_http_llm_zone_finished(choice, i);

        if (node == NULL) {
            return;
        }

        n += ngx_http_llm_zone_afresh(node, now);
    }

    if (n < NGX_HTTP_LLM_ZONE_ALIKE) {
        return;
    }

    for (i = 0; i < choice->pool->nkeys; i++) {
        node = ngx_http_llm_zone_finished(choice, i);

        if (node && !keys[i].down && ngx_http_llm_zone_afresh(node, now)) {
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


/* what was refused before, or always, tells nothing about the others */

static ngx_uint_t
ngx_http_llm_zone_afresh(ngx_http_llm_node_t *node, ngx_msec_t now)
{
    return node->worked
           && !ngx_http_llm_node_passed(now, node->since
                                             + NGX_HTTP_LLM_ZONE_ALIKE_TIME);
}


static void
ngx_http_llm_zone_told(ngx_http_llm_choice_t *choice,
    ngx_http_llm_lease_t *lease, ngx_http_llm_judgement_t *judgement)
{
    if (!ngx_http_llm_told_any(&judgement->told)) {
        return;
    }

    ngx_http_llm_quota_learn(&choice->line->cells[lease->key]->quota,
                             &judgement->told, &lease->mark);

    if (ngx_http_llm_policy_foresees(choice->pool)) {
        ngx_http_llm_zone_update(choice, lease->key);
    }

    if (choice->pool->policy == NGX_HTTP_LLM_AFFINITY) {
        ngx_http_llm_rendezvous_weigh(&choice->line->homes, lease->key,
                                      ngx_http_llm_policy_share(choice,
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

        if (key->down || pool->sh->nodes[i]->held) {
            busy->down++;
            continue;
        }

        if (ngx_http_llm_policy_skips(&choice, i)) {
            busy->skipped++;
            continue;
        }

        if (ngx_http_llm_policy_out(&choice, i, &state, &until)) {

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

        } else if (ngx_http_llm_policy_usable(&choice, i, &until) != NGX_OK) {
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
    u_char                  reason[NGX_HTTP_LLM_NODE_REASON];
    ngx_http_llm_ask_t      ask;
    ngx_http_llm_choice_t   choice;

    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));
    ngx_http_llm_zone_choice(&choice, pool, &ask);

    ngx_shmtx_lock(&pool->zone->shpool->mutex);
    ngx_http_llm_zone_state(&choice, key, info, reason);
    ngx_shmtx_unlock(&pool->zone->shpool->mutex);
}


static void
ngx_http_llm_zone_state(ngx_http_llm_choice_t *choice, ngx_uint_t key,
    ngx_http_llm_key_info_t *info, u_char *reason)
{
    ngx_uint_t               i, out, state, model_state;
    ngx_msec_t               until, end;
    ngx_queue_t             *q;
    ngx_http_llm_node_t     *node, *nodes[3];
    ngx_http_llm_pool_sh_t  *psh;

    psh = choice->sh;
    node = psh->nodes[key];
    choice->line = &psh->line;

    info->state = NGX_HTTP_LLM_KEY_USABLE;
    info->in_flight = node->in_flight;
    info->tries = node->tries;
    info->outs = node->outs;
    info->retry = 0;

    nodes[0] = node;
    nodes[1] = psh->line.cells[key];
    nodes[2] = nodes[1];

    out = ngx_http_llm_policy_out(choice, key, &state, &until);

    /* it is also out if it is so for every model that it is known with */

    if (!out) {
        q = ngx_queue_head(&psh->lines);

        for ( /* void */ ;
             q != ngx_queue_sentinel(&psh->lines);
             q = ngx_queue_next(q))
        {
            choice->line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

            if (!ngx_http_llm_policy_out(choice, key, &model_state, &end)) {
                out = 0;
                break;
            }

            if (!out || ngx_http_llm_node_passed(until, end)) {
                state = model_state;
                until = end;
                nodes[2] = choice->line->cells[key];
            }

            out = 1;
        }

        choice->line = &psh->line;
    }

    reason[0] = '\0';

    if (out) {
        info->state = state;
        info->retry = until - choice->now.msec;

        for (i = 0; i < 3; i++) {
            if (nodes[i]->state == state && nodes[i]->until == until) {
                ngx_memcpy(reason, nodes[i]->reason,
                           NGX_HTTP_LLM_NODE_REASON);
            }
        }
    }

    if (node->held) {
        info->state = (node->held == NGX_HTTP_LLM_HELD_DRAINING
                       && node->in_flight)
                      ? NGX_HTTP_LLM_KEY_DRAINING : NGX_HTTP_LLM_KEY_PARKED;
    }

    if (choice->pool->keys[key].down) {
        info->state = NGX_HTTP_LLM_KEY_DOWN;
    }
}


ngx_int_t
ngx_http_llm_zone_view(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_uint_t model, ngx_http_llm_view_t *view)
{
    ngx_uint_t              i;
    ngx_msec_t              until;
    ngx_queue_t            *q;
    ngx_http_llm_ask_t      ask;
    ngx_http_llm_node_t    *node;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = pool->zone;

    ngx_memzero(view, sizeof(ngx_http_llm_view_t));
    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));
    ngx_http_llm_zone_choice(&choice, pool, &ask);

    ngx_shmtx_lock(&zone->shpool->mutex);

    choice.line = &pool->sh->line;

    if (model == 0) {
        ngx_http_llm_zone_state(&choice, key, &view->info, view->reason);

        view->count = pool->sh->nodes[key]->count;
        view->share = pool->keys[key].weight;

        if (pool->keys[key].down || pool->keys[key].backup) {
            view->share = 0;

        } else if (ngx_http_llm_policy_foresees(pool)) {
            view->share = ngx_http_llm_policy_share(&choice, key);
        }

        ngx_http_llm_zone_limits(&choice, key, view->limits);
        ngx_http_llm_zone_tightest(&choice, key, view->limits);

        ngx_shmtx_unlock(&zone->shpool->mutex);

        return NGX_OK;
    }

    q = ngx_queue_head(&pool->sh->lines);

    for (i = 1; i < model && q != ngx_queue_sentinel(&pool->sh->lines); i++) {
        q = ngx_queue_next(q);
    }

    if (q == ngx_queue_sentinel(&pool->sh->lines)) {
        ngx_shmtx_unlock(&zone->shpool->mutex);
        return NGX_DONE;
    }

    choice.line = ngx_queue_data(q, ngx_http_llm_line_t, queue);
    node = choice.line->cells[key];

    view->model_len = ngx_http_llm_count_find(zone->sh->models,
                                              choice.line->model, view->model);

    if (ngx_http_llm_policy_out(&choice, key, &view->info.state, &until)) {
        view->info.retry = until - choice.now.msec;
        ngx_memcpy(view->reason, node->reason, NGX_HTTP_LLM_NODE_REASON);
    }

    ngx_http_llm_zone_limits(&choice, key, view->limits);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


/* where each model has limits of its own, those with the least left count */

static void
ngx_http_llm_zone_tightest(ngx_http_llm_choice_t *choice, ngx_uint_t key,
    ngx_http_llm_view_limit_t *limits)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q;
    ngx_http_llm_pool_sh_t     *psh;
    ngx_http_llm_view_limit_t   of[NGX_HTTP_LLM_VIEW_LIMITS];

    psh = choice->sh;

    for (q = ngx_queue_head(&psh->lines);
         q != ngx_queue_sentinel(&psh->lines);
         q = ngx_queue_next(q))
    {
        choice->line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

        ngx_memzero(of, sizeof(of));
        ngx_http_llm_zone_limits(choice, key, of);

        for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
            if (of[i].known
                && (!limits[i].known
                    || (double) of[i].remaining * limits[i].limit
                       < (double) limits[i].remaining * of[i].limit))
            {
                limits[i] = of[i];
            }
        }
    }

    choice->line = &psh->line;
}


static void
ngx_http_llm_zone_limits(ngx_http_llm_choice_t *choice, ngx_uint_t key,
    ngx_http_llm_view_limit_t *limits)
{
    ngx_uint_t                   i;
    ngx_http_llm_limit_t        *limit;
    ngx_http_llm_quota_t        *quota;
    ngx_http_llm_window_t       *window;
    ngx_http_llm_view_limit_t   *view;

    quota = &choice->line->cells[key]->quota;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {

        if (quota->limits[i].limit == 0) {
            continue;
        }

        view = &limits[i];

        view->known = 1;
        view->told = !quota->limits[i].guessed;
        view->limit = quota->limits[i].limit;
        view->remaining = ngx_http_llm_quota_remaining(quota, i,
                                                       choice->now.msec);

        if (!ngx_http_llm_node_passed(choice->now.msec,
                                      quota->limits[i].full))
        {
            view->reset = quota->limits[i].full - choice->now.msec;
        }
    }

    if (choice->line != &choice->sh->line) {
        return;
    }

    limit = &choice->pool->keys[key].limit;
    window = &choice->sh->nodes[key]->window;

    (void) ngx_http_llm_window_used(window, limit, &choice->now);

    view = &limits[NGX_HTTP_LLM_VIEW_RPM];
    view->limit = limit->rpm;
    view->remaining = (int64_t) limit->rpm - window->requests_sum;

    view = &limits[NGX_HTTP_LLM_VIEW_TPM];
    view->limit = limit->tpm;
    view->remaining = (int64_t) limit->tpm - window->tokens_sum;

    view = &limits[NGX_HTTP_LLM_VIEW_RPD];
    view->limit = limit->rpd;
    view->remaining = (int64_t) limit->rpd - window->today;
    view->reset = choice->now.day_left;

    for (i = NGX_HTTP_LLM_VIEW_RPM; i < NGX_HTTP_LLM_VIEW_LIMITS; i++) {
        limits[i].known = (limits[i].limit != 0);
    }
}


void
ngx_http_llm_zone_upstream_view(ngx_http_llm_pool_t *pool,
    ngx_http_llm_upstream_view_t *view)
{
    ngx_http_llm_node_t  *node;

    ngx_memzero(view, sizeof(ngx_http_llm_upstream_view_t));

    ngx_shmtx_lock(&pool->zone->shpool->mutex);

    node = pool->sh->upstream;

    view->count = node->count;
    view->failed = node->failed;
    view->in_flight = node->in_flight;
    view->waiting = pool->sh->ntickets;

    if (ngx_http_llm_node_out(node, ngx_current_msec)) {
        view->open = node->until - ngx_current_msec;
    }

    if (node->times) {
        view->times = *node->times;
    }

    ngx_shmtx_unlock(&pool->zone->shpool->mutex);
}


void
ngx_http_llm_zone_names(ngx_http_llm_zone_t *zone, ngx_uint_t clients,
    ngx_http_llm_count_names_t *names)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_http_llm_count_copy(names, clients ? zone->sh->clients
                                           : zone->sh->models);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_llm_zone_failed(ngx_http_llm_pool_t *pool)
{
    (void) ngx_atomic_fetch_add(&pool->sh->upstream->failed, 1);
}


void
ngx_http_llm_zone_hold(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_uint_t held, ngx_http_llm_key_info_t *info)
{
    u_char                  reason[NGX_HTTP_LLM_NODE_REASON];
    ngx_http_llm_ask_t      ask;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = pool->zone;

    ngx_memzero(&ask, sizeof(ngx_http_llm_ask_t));
    ngx_http_llm_zone_choice(&choice, pool, &ask);

    ngx_shmtx_lock(&zone->shpool->mutex);

    pool->sh->nodes[key]->held = (uint32_t) held;
    zone->sh->state.changes++;

    ngx_http_llm_zone_update_all(&choice, key);
    ngx_http_llm_zone_state(&choice, key, info, reason);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_http_llm_zone_bound(ngx_http_llm_zone_t *zone, uint64_t *ids,
    ngx_uint_t n, uint64_t *groups)
{
    uint64_t    group;
    ngx_uint_t  i, found;

    found = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < n; i++) {
        group = ngx_http_llm_ids_find(zone->sh->ids, ids[i]);

        if (group) {
            groups[found++] = group;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return found;
}


uint64_t
ngx_http_llm_zone_group(ngx_http_llm_pool_t *pool, uint64_t group)
{
    uint64_t                found;
    ngx_uint_t              i;
    ngx_http_llm_choice_t   choice;

    found = 0;

    ngx_http_llm_zone_choice(&choice, pool, NULL);

    ngx_shmtx_lock(&pool->zone->shpool->mutex);

    for (i = 0; i < pool->nkeys; i++) {
        if (ngx_http_llm_policy_member(&choice, i, group)) {
            found = ngx_http_llm_policy_group(&choice, i);
            break;
        }
    }

    ngx_shmtx_unlock(&pool->zone->shpool->mutex);

    return found;
}


void
ngx_http_llm_zone_learn(ngx_http_llm_lease_t *lease, uint64_t *ids,
    ngx_uint_t n)
{
    uint64_t                group;
    ngx_uint_t              i;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = lease->pool->zone;

    ngx_http_llm_zone_choice(&choice, lease->pool, NULL);

    ngx_shmtx_lock(&zone->shpool->mutex);

    group = ngx_http_llm_policy_group(&choice, lease->key);

    for (i = 0; i < n; i++) {
        ngx_http_llm_ids_learn(zone->sh->ids, ids[i], group,
                               (uint32_t) ngx_time());
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_llm_zone_renew(ngx_http_llm_lease_t *lease, uint64_t *ids,
    ngx_uint_t n)
{
    uint64_t                group;
    ngx_uint_t              i;
    ngx_http_llm_zone_t    *zone;
    ngx_http_llm_choice_t   choice;

    zone = lease->pool->zone;

    ngx_http_llm_zone_choice(&choice, lease->pool, NULL);

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < n; i++) {
        group = ngx_http_llm_ids_find(zone->sh->ids, ids[i]);

        if (group
            && ngx_http_llm_policy_member(&choice, lease->key, group))
        {
            group = ngx_http_llm_policy_group(&choice, lease->key);

            ngx_http_llm_ids_learn(zone->sh->ids, ids[i], group,
                                   (uint32_t) ngx_time());
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_llm_zone_forget(ngx_http_llm_zone_t *zone, uint64_t id)
{
    ngx_shmtx_lock(&zone->shpool->mutex);
    ngx_http_llm_ids_forget(zone->sh->ids, id);
    ngx_shmtx_unlock(&zone->shpool->mutex);
}
