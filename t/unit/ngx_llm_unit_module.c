
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"


static char *ngx_llm_unit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


static ngx_command_t  ngx_llm_unit_commands[] = {

    { ngx_string("llm_unit"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_NOARGS,
      ngx_llm_unit,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_llm_unit_module_ctx = {
    ngx_string("llm_unit"),
    NULL,
    NULL
};


ngx_module_t  ngx_llm_unit_module = {
    NGX_MODULE_V1,
    &ngx_llm_unit_module_ctx,              /* module context */
    ngx_llm_unit_commands,                 /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_llm_unit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_llm_unit_choice(cf->pool);
    ngx_llm_unit_counts(cf->pool);
    ngx_llm_unit_values(cf);
    ngx_llm_unit_bodies(cf->pool);
    ngx_llm_unit_verdicts(cf->pool);
    ngx_llm_unit_ids(cf->pool);
    ngx_llm_unit_names(cf->pool);
    ngx_llm_unit_prices(cf->pool);
    ngx_llm_unit_signals(cf->pool);
    ngx_llm_unit_state(cf->pool);
    ngx_llm_unit_usage(cf->pool);

    ngx_llm_unit_harvest(cf);

    ngx_llm_unit_plan();

    return NGX_CONF_OK;
}
