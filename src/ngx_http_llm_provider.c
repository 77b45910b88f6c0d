
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_provider.h"
#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_upstream.h"

static char *ngx_http_llm_provider_auth(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_str_t *value);

char *
ngx_http_llm_provider(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_srv_conf_t *lscf = conf;

    ngx_str_t                       *value, base;
    ngx_uint_t                       i;
    ngx_http_llm_upstream_t         *upstream;
    ngx_http_upstream_srv_conf_t    *us;
    const ngx_http_llm_provider_t   *provider;

    if (lscf->upstream) {
        return "is duplicate";
    }

    value = cf->args->elts;

    provider = ngx_http_llm_catalog_find(&value[1]);

    if (provider == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown provider \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    us = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    upstream = ngx_http_llm_provider_upstream(cf, us, &us->host, provider);
    if (upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    lscf->upstream = upstream;

    ngx_str_null(&base);

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "base=", 5) == 0) {
            base.data = value[i].data + 5;
            base.len = value[i].len - 5;
            continue;
        }

        if (ngx_strncmp(value[i].data, "auth=", 5) == 0) {
            if (ngx_http_llm_provider_auth(cf, upstream, &value[i])
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strcmp(value[i].data, "verify=off") == 0) {
            upstream->verify = 0;
            continue;
        }

        if (ngx_strcmp(value[i].data, "verify=on") == 0) {
            upstream->verify = 1;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           &value[i]);
        return NGX_CONF_ERROR;
    }

    if (base.len == 0 && provider->base.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"base\" parameter", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_llm_provider_base(cf, upstream, base.len ? &base : NULL)
           != NGX_OK
        || ngx_http_llm_upstream_add_placeholder(cf, us) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (us->peer.init_upstream != ngx_http_llm_upstream_init_implicit) {
        upstream->original_init_upstream = us->peer.init_upstream;
    }

    us->peer.init_upstream = ngx_http_llm_upstream_init;

    return NGX_CONF_OK;
}


ngx_http_llm_upstream_t *
ngx_http_llm_provider_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us,
    ngx_str_t *name, const ngx_http_llm_provider_t *provider)
{
    ngx_http_llm_upstream_t   *upstream, **p;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_llm_balancer_module);

    upstream = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_upstream_t));
    if (upstream == NULL) {
        return NULL;
    }

    upstream->name = *name;
    upstream->provider = provider;
    upstream->uscf = us;
    upstream->verify = 1;

    if (ngx_array_init(&upstream->keys, cf->pool, 4,
                       sizeof(ngx_http_llm_key_t))
           != NGX_OK
        || ngx_array_init(&upstream->secrets, cf->pool, 4, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NULL;
    }

    p = ngx_array_push(&lmcf->upstreams);
    if (p == NULL) {
        return NULL;
    }

    *p = upstream;

    if (ngx_http_llm_upstream_add_late(cf, lmcf) != NGX_OK) {
        return NULL;
    }

    return upstream;
}


/* scheme, host, port and path of a base URL, or of the catalogue's */

ngx_int_t
ngx_http_llm_provider_base(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
    ngx_str_t *base)
{
    size_t                          len;
    ngx_str_t                       url, path;
    ngx_url_t                       u;
    const ngx_http_llm_provider_t  *provider;

    provider = upstream->provider;
    url = base ? *base : provider->base;

    if (url.len > 8
        && ngx_strncasecmp(url.data, (u_char *) "https://", 8) == 0)
    {
        upstream->ssl = 1;
        upstream->port = 443;
        len = 8;

    } else if (url.len > 7
               && ngx_strncasecmp(url.data, (u_char *) "http://", 7) == 0)
    {
        upstream->port = 80;
        len = 7;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid base URL \"%V\" of provider \"%V\", "
                           "\"http://\" or \"https://\" expected",
                           &url, &provider->name);
        return NGX_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = url.data + len;
    u.url.len = url.len - len;
    u.default_port = upstream->port;
    u.uri_part = 1;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.host.len == 0
        || ngx_strlchr(u.uri.data, u.uri.data + u.uri.len, '?')
        || ngx_strlchr(u.host.data, u.host.data + u.host.len, '@'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in base URL \"%V\" of provider \"%V\"",
                           u.err ? u.err : "invalid host", &url,
                           &provider->name);
        return NGX_ERROR;
    }

    upstream->host.data = url.data + len;
    upstream->host.len = url.len - len - u.uri.len;
    upstream->server_name = u.host;
    upstream->port = u.port;

    path = u.uri;

    return ngx_http_llm_path_site(cf->pool, provider, base ? &path : NULL,
                                  &upstream->site);
}


static char *
ngx_http_llm_provider_auth(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
    ngx_str_t *value)
{
    size_t                      i;
    u_char                      ch;
    ngx_http_llm_auth_form_t   *form;

    if (ngx_strcmp(value->data, "auth=none") == 0) {
        upstream->anonymous = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "auth=bearer") == 0) {
        upstream->auth = &ngx_http_llm_auth_bearer;
        return NGX_CONF_OK;
    }

    if (value->len <= sizeof("auth=header:") - 1
        || ngx_strncmp(value->data, "auth=header:", sizeof("auth=header:") - 1)
           != 0)
    {
        goto invalid;
    }

    form = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_auth_form_t));
    if (form == NULL) {
        return NGX_CONF_ERROR;
    }

    form->header.data = value->data + sizeof("auth=header:") - 1;
    form->header.len = value->len - (sizeof("auth=header:") - 1);

    for (i = 0; i < form->header.len; i++) {
        ch = ngx_tolower(form->header.data[i]);

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '-' || ch == '_'))
        {
            goto invalid;
        }
    }

    upstream->auth = form;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", value);

    return NGX_CONF_ERROR;
}
