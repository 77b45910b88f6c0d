
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_ticket.h"


static uint64_t ngx_http_llm_ticket_what(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ask_t *ask);
static ngx_http_llm_ticket_t *ngx_http_llm_ticket_find(
    ngx_http_llm_pool_sh_t *psh, uint64_t what);


ngx_http_llm_ticket_t *
ngx_http_llm_ticket_take(ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask,
    ngx_uint_t max)
{
    ngx_slab_pool_t         *shpool;
    ngx_http_llm_ticket_t   *ticket;
    ngx_http_llm_pool_sh_t  *psh;

    psh = pool->sh;
    shpool = pool->zone->shpool;
    ticket = NULL;

    ngx_shmtx_lock(&shpool->mutex);

    if (psh->ntickets < max) {
        ticket = ngx_slab_alloc_locked(shpool, sizeof(ngx_http_llm_ticket_t));
    }

    if (ticket) {
        ticket->what = ngx_http_llm_ticket_what(pool, ask);
        ticket->pid = ngx_pid;

        ngx_queue_insert_tail(&psh->tickets, &ticket->queue);
        psh->ntickets++;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return ticket;
}


static uint64_t
ngx_http_llm_ticket_what(ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask)
{
    ngx_queue_t             *q;
    ngx_http_llm_line_t     *line;
    ngx_http_llm_pool_sh_t  *psh;

    if (ngx_http_llm_waits_for_home(ask)) {
        return ask->affinity;
    }

    /* other keys are for other models */

    if (pool->model_sets) {
        return ask->model ^ ask->group;
    }

    psh = pool->sh;

    for (q = ngx_queue_head(&psh->lines);
         q != ngx_queue_sentinel(&psh->lines);
         q = ngx_queue_next(q))
    {
        line = ngx_queue_data(q, ngx_http_llm_line_t, queue);

        if (line->model == ask->model) {
            return line->model ^ ask->group;
        }
    }

    return ask->group;
}


void
ngx_http_llm_ticket_return(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ticket_t *ticket)
{
    ngx_slab_pool_t  *shpool;

    shpool = pool->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    ngx_queue_remove(&ticket->queue);
    pool->sh->ntickets--;

    ngx_slab_free_locked(shpool, ticket);

    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_uint_t
ngx_http_llm_ticket_first(ngx_http_llm_pool_t *pool,
    ngx_http_llm_ticket_t *ticket)
{
    ngx_uint_t        first;
    ngx_slab_pool_t  *shpool;

    shpool = pool->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    first = (ngx_http_llm_ticket_find(pool->sh, ticket->what) == ticket);

    ngx_shmtx_unlock(&shpool->mutex);

    return first;
}


static ngx_http_llm_ticket_t *
ngx_http_llm_ticket_find(ngx_http_llm_pool_sh_t *psh, uint64_t what)
{
    ngx_queue_t            *q;
    ngx_http_llm_ticket_t  *ticket;

    for (q = ngx_queue_head(&psh->tickets);
         q != ngx_queue_sentinel(&psh->tickets);
         q = ngx_queue_next(q))
    {
        ticket = ngx_queue_data(q, ngx_http_llm_ticket_t, queue);

        if (ticket->what == what) {
            return ticket;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_llm_ticket_waits(ngx_http_llm_pool_t *pool, ngx_http_llm_ask_t *ask)
{
    ngx_uint_t        waits;
    ngx_slab_pool_t  *shpool;

    shpool = pool->zone->shpool;

    ngx_shmtx_lock(&shpool->mutex);

    waits = pool->sh->ntickets
            && ngx_http_llm_ticket_find(pool->sh,
                                        ngx_http_llm_ticket_what(pool,
                                                                 ask))
               != NULL;

    ngx_shmtx_unlock(&shpool->mutex);

    return waits;
}
