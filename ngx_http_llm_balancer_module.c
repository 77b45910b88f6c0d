
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "src/ngx_http_llm.h"
#include "src/ngx_http_llm_auth.h"
#include "src/ngx_http_llm_body.h"
#include "src/ngx_http_llm_conf.h"
#include "src/ngx_http_llm_env.h"
#include "src/ngx_http_llm_filter.h"
#include "src/ngx_http_llm_handler.h"
#include "src/ngx_http_llm_key.h"
#include "src/ngx_http_llm_provider.h"
#include "src/ngx_http_llm_queue.h"
#include "src/ngx_http_llm_resolve.h"
#include "src/ngx_http_llm_route.h"
#include "src/ngx_http_llm_status.h"
#include "src/ngx_http_llm_store.h"
#include "src/ngx_http_llm_vars.h"


static ngx_int_t ngx_http_llm_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_llm_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_llm_init_process(ngx_cycle_t *cycle);
static void ngx_http_llm_exit_process(ngx_cycle_t *cycle);
static void ngx_http_llm_sweep(ngx_event_t *ev);
static ngx_http_llm_zone_t *ngx_http_llm_cycle_zone(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_llm_commands[] = {

    { ngx_string("llm_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_state"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_state,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_providers"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_providers,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_provider"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_llm_provider,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_key"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_llm_key,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_balance"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_llm_balance,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_queue"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_queue,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_model"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_2MORE,
      ngx_http_llm_model,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_price"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3|NGX_CONF_TAKE4,
      ngx_http_llm_price,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_listen"),
      NGX_HTTP_SRV_CONF|NGX_CONF_TAKE2,
      ngx_http_llm_listen,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_client_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_client_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_metrics_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_reader_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_loc_conf_t, readers),
      NULL },

    { ngx_string("llm_admin_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_llm_reader_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_loc_conf_t, admins),
      NULL },

    { ngx_string("llm_status"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_llm_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("llm_balancer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_loc_conf_t, enable),
      NULL },

    { ngx_string("llm_stream_usage"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_llm_loc_conf_t, stream_usage),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_llm_balancer_module_ctx = {
    ngx_http_llm_vars_add,                 /* preconfiguration */
    ngx_http_llm_init,                     /* postconfiguration */

    ngx_http_llm_conf_create_main,         /* create main configuration */
    ngx_http_llm_conf_init_main,           /* init main configuration */

    ngx_http_llm_conf_create_srv,          /* create server configuration */
    ngx_http_llm_conf_merge_srv,           /* merge server configuration */

    ngx_http_llm_conf_create_loc,          /* create location configuration */
    ngx_http_llm_conf_merge_loc            /* merge location configuration */
};


ngx_module_t  ngx_http_llm_balancer_module = {
    NGX_MODULE_V1,
    &ngx_http_llm_balancer_module_ctx,     /* module context */
    ngx_http_llm_commands,                 /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_llm_init_module,              /* init module */
    ngx_http_llm_init_process,             /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_llm_exit_process,             /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_event_t       ngx_http_llm_sweep_event;
static ngx_connection_t  ngx_http_llm_dumb;     /* timers log a descriptor */


static ngx_int_t
ngx_http_llm_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_llm_preaccess_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_llm_precontent_handler;

    ngx_http_llm_body_init();
    ngx_http_llm_filter_init();

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_init_module(ngx_cycle_t *cycle)
{
    ngx_http_llm_zone_t  *zone;

    zone = ngx_http_llm_cycle_zone(cycle);

    if (zone) {
        ngx_http_llm_store_commit(zone);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_init_process(ngx_cycle_t *cycle)
{
    ngx_event_t          *ev;
    ngx_http_llm_zone_t  *zone;

    if (ngx_process == NGX_PROCESS_HELPER) {
        return NGX_OK;
    }

    zone = ngx_http_llm_cycle_zone(cycle);

    if (zone == NULL) {
        return NGX_OK;
    }

    /* if it fails it is tried again, and logged, when a key is needed */

    (void) ngx_http_llm_store_attach(zone);

    ngx_http_llm_dumb.fd = (ngx_socket_t) -1;

    ev = &ngx_http_llm_sweep_event;

    ev->handler = ngx_http_llm_sweep;
    ev->log = cycle->log;
    ev->data = &ngx_http_llm_dumb;
    ev->cancelable = 1;

    ngx_add_timer(ev, 1000);

    return NGX_OK;
}


static void
ngx_http_llm_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_llm_zone_t  *zone;

    zone = ngx_http_llm_cycle_zone(cycle);

    if (zone) {
        ngx_http_llm_store_detach(zone);
    }
}


static void
ngx_http_llm_sweep(ngx_event_t *ev)
{
    ngx_http_llm_zone_t  *zone;

    /* not the zone of the start: a single process lives through reloads */

    zone = ngx_http_llm_cycle_zone((ngx_cycle_t *) ngx_cycle);

    if (zone) {
        ngx_http_llm_store_sweep(zone);
        ngx_http_llm_resolve_sweep((ngx_cycle_t *) ngx_cycle);
    }

    ngx_add_timer(ev, 1000);
}


static ngx_http_llm_zone_t *
ngx_http_llm_cycle_zone(ngx_cycle_t *cycle)
{
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_llm_balancer_module);

    return lmcf ? lmcf->zone : NULL;
}
