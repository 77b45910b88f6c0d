
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The zone's memory: what lies in it, how it is found again after a reload,
 * and what is left of processes that are gone.
 */


#ifndef _NGX_HTTP_LLM_STORE_H_INCLUDED_
#define _NGX_HTTP_LLM_STORE_H_INCLUDED_


#include "ngx_http_llm_pool.h"


/*
 * Declares the zone of this configuration; size is in bytes.  Pools are added
 * before the configuration ends.  NULL on error, which is logged.
 */

ngx_http_llm_zone_t *ngx_http_llm_store_create(ngx_conf_t *cf, size_t size,
    void *tag);
ngx_int_t ngx_http_llm_store_add(ngx_http_llm_zone_t *zone,
    ngx_http_llm_pool_t *pool);

/*
 * Keeps what the zone knows in a file over a restart; to be called before the
 * configuration ends.
 */

ngx_int_t ngx_http_llm_store_file(ngx_conf_t *cf, ngx_http_llm_zone_t *zone,
    ngx_str_t *file);

/* the smallest size that can be configured */

size_t ngx_http_llm_store_min_size(void);

/* the new configuration is in force: what a failed reload left is dropped */

void ngx_http_llm_store_commit(ngx_http_llm_zone_t *zone);

/* life of a process that takes keys */

ngx_int_t ngx_http_llm_store_attach(ngx_http_llm_zone_t *zone);
void ngx_http_llm_store_detach(ngx_http_llm_zone_t *zone);

/*
 * Gives back what processes held that are gone, and frees what only they
 * used.  To be called by every process about once a second; the work is done
 * by one of them.
 */

void ngx_http_llm_store_sweep(ngx_http_llm_zone_t *zone);


/* all that follow are called under the lock */

/*
 * The node of an id, made if need be: NULL when all places are taken.  The
 * caller holds it by its refs.
 */

ngx_http_llm_node_t *ngx_http_llm_store_node(ngx_http_llm_zone_sh_t *sh,
    u_char *id);

/* the same, or NULL if there is none */

ngx_http_llm_node_t *ngx_http_llm_store_find(ngx_http_llm_zone_sh_t *sh,
    u_char *id);

/* the id of a thing that belongs to another one */

void ngx_http_llm_store_derive(u_char *id, const u_char *of, uint64_t what);

/*
 * The line of a model, or the one for all if the model has none of its own;
 * with "make" it gets one, if there is space.
 */

ngx_http_llm_line_t *ngx_http_llm_store_line(ngx_http_llm_pool_t *pool,
    uint64_t model, ngx_uint_t make, ngx_http_llm_choice_t *choice);

/* the group of a key is another one since now */

void ngx_http_llm_store_regroup(ngx_http_llm_pool_t *pool, ngx_uint_t key,
    ngx_http_llm_choice_t *choice);


#endif /* _NGX_HTTP_LLM_STORE_H_INCLUDED_ */
