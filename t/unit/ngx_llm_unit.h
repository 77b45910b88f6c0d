
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _NGX_LLM_UNIT_H_INCLUDED_
#define _NGX_LLM_UNIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* TAP: a line a test, and at the end how many there were */

void ngx_llm_unit_ok(ngx_uint_t ok, const char *fmt, ...);
void ngx_llm_unit_plan(void);

void ngx_llm_unit_bodies(ngx_pool_t *pool);
void ngx_llm_unit_choice(ngx_pool_t *pool);
void ngx_llm_unit_counts(ngx_pool_t *pool);
void ngx_llm_unit_harvest(ngx_conf_t *cf);
void ngx_llm_unit_ids(ngx_pool_t *pool);
void ngx_llm_unit_names(ngx_pool_t *pool);
void ngx_llm_unit_prices(ngx_pool_t *pool);
void ngx_llm_unit_select(ngx_pool_t *pool);
void ngx_llm_unit_signals(ngx_pool_t *pool);
void ngx_llm_unit_state(ngx_pool_t *pool);
void ngx_llm_unit_usage(ngx_pool_t *pool);
void ngx_llm_unit_values(ngx_conf_t *cf);
void ngx_llm_unit_verdicts(ngx_pool_t *pool);


#endif /* _NGX_LLM_UNIT_H_INCLUDED_ */
