
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_conf.h"
#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_key.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_store.h"
#include "ngx_http_llm_upstream.h"

/* room for about 3200 keys */

#define NGX_HTTP_LLM_ZONE_SIZE  (4 * 1024 * 1024)


static void ngx_http_llm_conf_merge_keys(ngx_array_t **keys,
    ngx_array_t *prev);
static char *ngx_http_llm_conf_status(ngx_conf_t *cf,
    ngx_http_llm_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf);
static void ngx_http_llm_conf_drop_replaced(ngx_http_llm_main_conf_t *lmcf);

char *
ngx_http_llm_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_main_conf_t *lmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (lmcf->zone_size) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid zone size \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) ngx_http_llm_store_min_size()) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "zone size \"%V\" is too "
                           "small, %uz bytes are needed", &value[1],
                           ngx_http_llm_store_min_size());
        return NGX_CONF_ERROR;
    }

    lmcf->zone_size = size;

    return NGX_CONF_OK;
}


char *
ngx_http_llm_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_main_conf_t *lmcf = conf;

    ngx_str_t  *value;

    if (lmcf->state.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].data[value[1].len - 1] == '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid file \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    lmcf->state = value[1];

    if (ngx_conf_full_name(cf->cycle, &lmcf->state, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_llm_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_main_conf_t *lmcf = conf;

    uint64_t              *usd;
    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_http_llm_price_t  *price;

    if (lmcf->prices == NULL) {
        lmcf->prices = ngx_http_llm_price_create(cf->pool);
        if (lmcf->prices == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    price = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_price_t));
    if (price == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid model \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    price->node.str = value[1];

    for (i = 2; i < cf->args->nelts; i++) {

        usd = (i == 2) ? &price->input
                       : (i == 3) ? &price->output : &price->cached;

        if (ngx_http_llm_price_parse(&value[i], usd) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid price \"%V\"",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        *usd /= 1000000;
    }

    if (i == 4) {
        price->cached = price->input;
    }

    /* the first one counts, so that a file may stand behind one's own */

    return (ngx_http_llm_price_add(lmcf->prices, price) == NGX_ERROR)
           ? NGX_CONF_ERROR : NGX_CONF_OK;
}


void *
ngx_http_llm_conf_create_main(ngx_conf_t *cf)
{
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_main_conf_t));
    if (lmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     lmcf->zone = NULL;
     *     lmcf->zone_size = 0;
     *     lmcf->state = { 0, NULL };
     *     lmcf->late = NULL;
     *     lmcf->resolver = NULL;
     *     lmcf->providers = 0;
     *     lmcf->fallback = { 0, NULL };
     *     lmcf->prices = NULL;
     */

    if (ngx_array_init(&lmcf->upstreams, cf->pool, 4,
                       sizeof(ngx_http_llm_upstream_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return lmcf;
}


char *
ngx_http_llm_conf_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_llm_main_conf_t *lmcf = conf;

    ngx_uint_t                 i;
    ngx_http_llm_upstream_t  **upstreams;

    ngx_http_llm_conf_drop_replaced(lmcf);

    if (lmcf->upstreams.nelts == 0
        && lmcf->providers
        && ngx_process != NGX_PROCESS_SIGNALLER)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no provider has keys in the environment (set "
                      "OPENAI_API_KEYS, or that of another provider)");
        return NGX_CONF_ERROR;
    }

    if (lmcf->upstreams.nelts == 0 && lmcf->zone_size == 0) {
        return NGX_CONF_OK;
    }

    if (lmcf->zone_size == 0) {
        lmcf->zone_size = NGX_HTTP_LLM_ZONE_SIZE;
    }

    lmcf->zone = ngx_http_llm_store_create(cf, lmcf->zone_size,
                                          &ngx_http_llm_balancer_module);
    if (lmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (lmcf->state.len
        && ngx_http_llm_store_file(cf, lmcf->zone, &lmcf->state) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {

        if (ngx_http_llm_key_pool(cf, upstreams[i]) != NGX_OK
            || ngx_http_llm_store_add(lmcf->zone, &upstreams[i]->pool)
               != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (lmcf->fallback.len
        && ngx_http_llm_route_named(lmcf, &lmcf->fallback) == NULL)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown upstream \"%V\" in LLM_DEFAULT_UPSTREAM",
                      &lmcf->fallback);
        return NGX_CONF_ERROR;
    }

    return (ngx_http_llm_upstream_wrap(cf, lmcf) == NGX_OK) ? NGX_CONF_OK
                                                            : NGX_CONF_ERROR;
}


/* implicit upstreams in whose place a block of the configuration stands */

static void
ngx_http_llm_conf_drop_replaced(ngx_http_llm_main_conf_t *lmcf)
{
    ngx_uint_t                 i, n;
    ngx_http_llm_srv_conf_t   *lscf;
    ngx_http_llm_upstream_t  **upstreams;

    upstreams = lmcf->upstreams.elts;
    n = 0;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {

        lscf = NULL;

        if (upstreams[i]->uscf->srv_conf) {
            lscf = ngx_http_conf_upstream_srv_conf(upstreams[i]->uscf,
                                               ngx_http_llm_balancer_module);
        }

        if (lscf && lscf->upstream == upstreams[i]) {
            upstreams[n++] = upstreams[i];
        }
    }

    lmcf->upstreams.nelts = n;
}


void *
ngx_http_llm_conf_create_srv(ngx_conf_t *cf)
{
    ngx_http_llm_srv_conf_t  *lscf;

    lscf = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_srv_conf_t));
    if (lscf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     lscf->upstream = NULL;
     *     lscf->rules = NULL;
     *     lscf->routes = NULL;
     *     lscf->balancer = 0;
     */

    return lscf;
}


char *
ngx_http_llm_conf_merge_srv(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_llm_srv_conf_t *prev = parent;
    ngx_http_llm_srv_conf_t *conf = child;

    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_llm_balancer_module);

    return ngx_http_llm_route_merge(cf, lmcf, prev, conf);
}


void *
ngx_http_llm_conf_create_loc(ngx_conf_t *cf)
{
    ngx_http_llm_loc_conf_t  *llcf;

    llcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_loc_conf_t));
    if (llcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     llcf->clients = NULL;
     *     llcf->readers = NULL;
     *     llcf->admins = NULL;
     *     llcf->status = 0;
     *     llcf->upstream = NULL;
     *     llcf->adjusted = 0;
     */

    llcf->enable = NGX_CONF_UNSET;
    llcf->anonymous = NGX_CONF_UNSET;
    llcf->stream_usage = NGX_CONF_UNSET;

    return llcf;
}


char *
ngx_http_llm_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_llm_loc_conf_t *prev = parent;
    ngx_http_llm_loc_conf_t *conf = child;

    ngx_http_llm_srv_conf_t   *lscf;
    ngx_http_upstream_conf_t  *ucf;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ucf = ngx_http_llm_conf_get_proxy(cf);

    if (ucf->upstream && ucf->upstream->srv_conf) {
        lscf = ngx_http_conf_upstream_srv_conf(ucf->upstream,
                                               ngx_http_llm_balancer_module);
        conf->upstream = lscf->upstream;
    }

    if (conf->clients == NULL && conf->anonymous == NGX_CONF_UNSET) {
        conf->clients = prev->clients;
        conf->anonymous = prev->anonymous;
    }

    if (conf->clients && conf->clients->nelts == 0) {
        conf->clients = NULL;
    }

    if (ngx_http_llm_auth_anonymous(conf)) {
        conf->anonymous = 1;
    }

    ngx_http_llm_conf_merge_keys(&conf->readers, prev->readers);
    ngx_http_llm_conf_merge_keys(&conf->admins, prev->admins);

    if (conf->status) {
        return ngx_http_llm_conf_status(cf, conf, clcf);
    }

    /* a location that names one of our upstreams need not be told */

    if (conf->enable == NGX_CONF_UNSET && conf->upstream) {
        conf->enable = 1;
    }

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_value(conf->stream_usage, prev->stream_usage, 0);

    if (!conf->enable || clcf->handler == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->clients == NULL && conf->anonymous != 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"llm_client_key\" for location \"%V\": the keys "
                      "would be open to everybody (set LITELLM_MASTER_KEY, or "
                      "LLM_ALLOW_ANONYMOUS=1 if that is meant)", &clcf->name);
        return NGX_CONF_ERROR;
    }

    if (conf->upstream && conf->upstream->ssl
        && !ngx_http_llm_conf_has_ssl(ucf))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"proxy_pass http://%V\" for the base URL "
                      "\"https://%V\" in location \"%V\"",
                      &conf->upstream->name, &conf->upstream->host,
                      &clcf->name);
        return NGX_CONF_ERROR;
    }

    ngx_http_llm_upstream_adjust(ucf);
    conf->adjusted = 1;

    lscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_llm_balancer_module);
    lscf->balancer = 1;

    return NGX_CONF_OK;
}


static void
ngx_http_llm_conf_merge_keys(ngx_array_t **keys, ngx_array_t *prev)
{
    if (*keys == NULL) {
        *keys = prev;
    }

    /* those of a variable that is not set */

    if (*keys && (*keys)->nelts == 0) {
        *keys = NULL;
    }
}


static char *
ngx_http_llm_conf_status(ngx_conf_t *cf, ngx_http_llm_loc_conf_t *conf,
    ngx_http_core_loc_conf_t *clcf)
{
    conf->enable = 0;

    if (conf->clients == NULL && conf->readers == NULL && conf->admins == NULL
        && conf->anonymous != 1)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"llm_metrics_key\", \"llm_admin_key\" or "
                      "\"llm_client_key\" for \"llm_status\" in location "
                      "\"%V\"", &clcf->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
