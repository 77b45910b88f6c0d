
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_conf.h"
#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_directive.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_secret.h"
#include "ngx_http_llm_upstream.h"


/* room for about 4000 keys */

#define NGX_HTTP_LLM_ZONE_SIZE  (4 * 1024 * 1024)


static ngx_http_llm_upstream_t *ngx_http_llm_conf_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us, ngx_str_t *name,
    const ngx_http_llm_provider_t *provider);
static ngx_int_t ngx_http_llm_conf_base(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_str_t *base);
static char *ngx_http_llm_conf_auth(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_str_t *value);
static ngx_int_t ngx_http_llm_conf_implicit(ngx_conf_t *cf,
    ngx_http_llm_main_conf_t *lmcf, const ngx_http_llm_provider_t *provider);
static char *ngx_http_llm_conf_key_param(ngx_conf_t *cf, ngx_str_t *value,
    ngx_uint_t n, ngx_http_llm_key_t *key);
static ngx_int_t ngx_http_llm_conf_models(ngx_conf_t *cf, ngx_str_t *value,
    ngx_array_t **models);
static ngx_int_t ngx_http_llm_conf_add_keys(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream, ngx_str_t *secrets, ngx_uint_t n,
    ngx_http_llm_key_t *params);
static ngx_int_t ngx_http_llm_conf_fingerprint(
    ngx_http_llm_upstream_t *upstream, ngx_str_t *secret, u_char *fingerprint);
static void ngx_http_llm_conf_drop_replaced(ngx_http_llm_main_conf_t *lmcf);
static ngx_int_t ngx_http_llm_conf_pool(ngx_conf_t *cf,
    ngx_http_llm_upstream_t *upstream);


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

    if (size < (ssize_t) ngx_http_llm_zone_min_size()) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "zone size \"%V\" is too "
                           "small, %uz bytes are needed", &value[1],
                           ngx_http_llm_zone_min_size());
        return NGX_CONF_ERROR;
    }

    lmcf->zone_size = size;

    return NGX_CONF_OK;
}


char *
ngx_http_llm_providers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_main_conf_t *lmcf = conf;

    ngx_int_t                        rc;
    ngx_str_t                       *value, name;
    ngx_uint_t                       i;
    const ngx_http_llm_provider_t   *provider;

    if (lmcf->providers) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "env") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    lmcf->providers = 1;

    for (i = 0; /* void */ ; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            break;
        }

        if (ngx_http_llm_conf_implicit(cf, lmcf, provider) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_str_set(&name, "LLM_DEFAULT_UPSTREAM");

    rc = ngx_http_llm_secret_env(cf, &name, &lmcf->fallback);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* an upstream for a provider with keys, or a base URL, in the environment */

static ngx_int_t
ngx_http_llm_conf_implicit(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf,
    const ngx_http_llm_provider_t *provider)
{
    ngx_int_t                      rc;
    ngx_str_t                      word, base, source;
    ngx_url_t                      u;
    ngx_array_t                    secrets;
    const char                    *list;
    ngx_http_llm_key_t             params;
    ngx_http_llm_upstream_t       *upstream;
    ngx_http_upstream_srv_conf_t  *us;

    if (ngx_array_init(&secrets, cf->temp_pool, 4, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    list = provider->keys;

    while (ngx_http_llm_catalog_word(&list, &word)) {

        source.len = sizeof("env:") - 1 + word.len;
        source.data = ngx_pnalloc(cf->pool, source.len);
        if (source.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(source.data, "env:%V", &word);

        rc = ngx_http_llm_secret_read(cf, &source, &secrets);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    ngx_str_null(&base);

    list = provider->bases;

    while (base.len == 0 && ngx_http_llm_catalog_word(&list, &word)) {
        if (ngx_http_llm_secret_env(cf, &word, &base) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (secrets.nelts == 0 && !(provider->keyless && base.len)) {
        return NGX_OK;
    }

    if (base.len == 0 && provider->base.len == 0) {
        list = provider->bases;
        (void) ngx_http_llm_catalog_word(&list, &word);

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "provider \"%V\" has keys in the environment, but "
                           "no base URL in \"%V\"", &provider->name, &word);
        return NGX_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = provider->name;
    u.no_resolve = 1;

    us = ngx_http_upstream_add(cf, &u, 0);
    if (us == NULL) {
        return NGX_ERROR;
    }

    if (us->flags & NGX_HTTP_UPSTREAM_CREATE) {

        /* a block of this name came earlier */

        return NGX_OK;
    }

    upstream = ngx_http_llm_conf_upstream(cf, us, &us->host, provider);

    if (upstream == NULL
        || ngx_http_llm_conf_base(cf, upstream, base.len ? &base : NULL)
           != NGX_OK
        || ngx_http_llm_upstream_add_placeholder(cf, us) != NGX_OK)
    {
        return NGX_ERROR;
    }

    us->peer.init_upstream = ngx_http_llm_upstream_init_implicit;

    if (secrets.nelts == 0) {
        upstream->anonymous = 1;
    }

    ngx_conf_log_error(NGX_LOG_NOTICE, cf, 0,
                       "provider \"%V\": %ui key%s, %s://%V",
                       &provider->name, secrets.nelts,
                       (secrets.nelts == 1) ? "" : "s",
                       upstream->ssl ? "https" : "http", &upstream->host);

    ngx_memzero(&params, sizeof(ngx_http_llm_key_t));
    params.weight = 1;

    return ngx_http_llm_conf_add_keys(cf, upstream, secrets.elts,
                                      secrets.nelts, &params);
}


static ngx_http_llm_upstream_t *
ngx_http_llm_conf_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us,
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

static ngx_int_t
ngx_http_llm_conf_base(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
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

    upstream = ngx_http_llm_conf_upstream(cf, us, &us->host, provider);
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
            if (ngx_http_llm_conf_auth(cf, upstream, &value[i])
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

    if (ngx_http_llm_conf_base(cf, upstream, base.len ? &base : NULL)
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


static char *
ngx_http_llm_conf_auth(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
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


char *
ngx_http_llm_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_srv_conf_t *lscf = conf;

    ngx_int_t            rc;
    ngx_str_t           *value;
    ngx_uint_t           i;
    ngx_array_t          secrets;
    ngx_http_llm_key_t   params;

    if (lscf->upstream == NULL) {
        return "must come behind \"llm_provider\"";
    }

    if (lscf->upstream->anonymous) {
        return "is incompatible with \"auth=none\"";
    }

    value = cf->args->elts;

    ngx_memzero(&params, sizeof(ngx_http_llm_key_t));

    params.weight = 1;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_llm_conf_key_param(cf, &value[i], i, &params)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_array_init(&secrets, cf->temp_pool, 4, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_llm_secret_read(cf, &value[1], &secrets);

    if (rc == NGX_DECLINED) {

        /* "nginx -s reload" runs in a shell without the service's variables */

        if (ngx_process == NGX_PROCESS_SIGNALLER) {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is not set",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_conf_add_keys(cf, lscf->upstream, secrets.elts,
                                        secrets.nelts, &params);
    }

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_llm_conf_key_param(ngx_conf_t *cf, ngx_str_t *value, ngx_uint_t n,
    ngx_http_llm_key_t *key)
{
    ngx_int_t  number;

    if (ngx_strncmp(value->data, "name=", 5) == 0 && value->len > 5) {
        key->name.data = value->data + 5;
        key->name.len = value->len - 5;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "weight=", 7) == 0) {
        number = ngx_atoi(value->data + 7, value->len - 7);

        if (number < 1 || number > NGX_HTTP_LLM_MAX_WEIGHT) {
            goto invalid;
        }

        key->weight = number;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "max_conns=", 10) == 0) {
        number = ngx_atoi(value->data + 10, value->len - 10);

        if (number == NGX_ERROR) {
            goto invalid;
        }

        key->max_conns = number;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "models=", 7) == 0 && value->len > 7) {
        return (ngx_http_llm_conf_models(cf, value, &key->models) == NGX_OK)
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value->data, "backup") == 0) {
        key->backup = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "down") == 0) {
        key->down = 1;
        return NGX_CONF_OK;
    }

invalid:

    return ngx_http_llm_secret_param(cf, value, n);
}


static ngx_int_t
ngx_http_llm_conf_models(ngx_conf_t *cf, ngx_str_t *value,
    ngx_array_t **models)
{
    u_char     *p, *end, *last;
    ngx_str_t  *model;

    *models = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (*models == NULL) {
        return NGX_ERROR;
    }

    last = value->data + value->len;

    for (p = value->data + sizeof("models=") - 1; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        model = ngx_array_push(*models);
        if (model == NULL) {
            return NGX_ERROR;
        }

        model->data = p;
        model->len = end - p;
    }

    return NGX_OK;
}


/* without secrets: one key that stands for having none */

static ngx_int_t
ngx_http_llm_conf_add_keys(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
    ngx_str_t *secrets, ngx_uint_t n, ngx_http_llm_key_t *params)
{
    ngx_str_t            *secret, *stem;
    ngx_uint_t            i, k, number;
    ngx_http_llm_key_t   *key;

    static ngx_str_t      none = ngx_null_string;

    if (n == 0) {
        secrets = &none;
        n = 1;
    }

    for (i = 0; i < n; i++) {

        secret = upstream->secrets.elts;

        for (k = 0; k < upstream->secrets.nelts; k++) {
            if (secret[k].len == secrets[i].len
                && ngx_memcmp(secret[k].data, secrets[i].data, secret[k].len)
                   == 0)
            {
                break;
            }
        }

        if (k < upstream->secrets.nelts) {
            key = upstream->keys.elts;

            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "key %ui is the same as \"%V\" of upstream "
                               "\"%V\" and is dropped", i + 1, &key[k].name,
                               &upstream->name);
            continue;
        }

        secret = ngx_array_push(&upstream->secrets);
        key = ngx_array_push(&upstream->keys);

        if (secret == NULL || key == NULL) {
            return NGX_ERROR;
        }

        *secret = secrets[i];
        *key = *params;

        if (key->models) {
            upstream->model_sets = 1;
        }

        if (ngx_http_llm_conf_fingerprint(upstream, secret, key->fingerprint)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* name, name-2 ... by what was given, or upstream-1 ... in order */

        if (params->name.len && n == 1) {
            continue;
        }

        stem = params->name.len ? &params->name : &upstream->name;
        number = params->name.len ? i + 1 : upstream->keys.nelts;

        key->name.data = ngx_pnalloc(cf->pool,
                                     stem->len + 1 + NGX_INT_T_LEN);
        if (key->name.data == NULL) {
            return NGX_ERROR;
        }

        key->name.len = ngx_sprintf(key->name.data, "%V-%ui", stem, number)
                        - key->name.data;
    }

    return NGX_OK;
}


/*
 * The same on every machine; salted by what the key is for, so that it is not
 * simply the digest of the key.
 */

static ngx_int_t
ngx_http_llm_conf_fingerprint(ngx_http_llm_upstream_t *upstream,
    ngx_str_t *secret, u_char *fingerprint)
{
    u_char     *p, digest[NGX_HTTP_LLM_DIGEST_LEN];
    ngx_int_t   rc;
    ngx_str_t   text;

    text.len = upstream->provider->name.len + 1 + upstream->host.len + 1
               + secret->len;

    text.data = ngx_alloc(text.len, ngx_cycle->log);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, upstream->provider->name.data,
                   upstream->provider->name.len);
    *p++ = '\0';

    p = ngx_cpymem(p, upstream->host.data, upstream->host.len);
    *p++ = '\0';

    ngx_memcpy(p, secret->data, secret->len);

    rc = ngx_http_llm_digest(&text, digest);

    ngx_explicit_memzero(text.data, text.len);
    ngx_free(text.data);

    ngx_memcpy(fingerprint, digest, NGX_HTTP_LLM_FINGERPRINT_LEN);

    return rc;
}


char *
ngx_http_llm_balance(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_srv_conf_t *lscf = conf;

    ngx_str_t  *value;

    if (lscf->upstream == NULL) {
        return "must come behind \"llm_provider\"";
    }

    if (lscf->upstream->balanced) {
        return "is duplicate";
    }

    lscf->upstream->balanced = 1;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "round_robin") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* "listen" with what the environment says, so that no template is needed */

char *
ngx_http_llm_listen(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char      *p;
    ngx_int_t    rc;
    ngx_str_t   *value, name, host, port, text;
    ngx_uint_t   i, bare;

    value = cf->args->elts;

    ngx_str_null(&host);
    ngx_str_null(&port);

    for (i = 1; i < 3; i++) {

        if (value[i].len <= 4 || ngx_strncmp(value[i].data, "env:", 4) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        name.data = value[i].data + 4;
        name.len = value[i].len - 4;

        rc = ngx_http_llm_secret_env(cf, &name, (i == 1) ? &host : &port);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {

            if (ngx_process == NGX_PROCESS_SIGNALLER) {
                return NGX_CONF_OK;
            }

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is not set",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    rc = ngx_atoi(port.data, port.len);

    if (rc < 1 || rc > 65535) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid port \"%V\" in "
                           "\"%V\"", &port, &value[2]);
        return NGX_CONF_ERROR;
    }

    /* an IPv6 address as everybody but nginx writes it */

    bare = host.data[0] != '['
           && ngx_strlchr(host.data, host.data + host.len, ':') != NULL;

    p = ngx_pnalloc(cf->pool, sizeof("listen []:;") - 1 + host.len + port.len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    text.data = p;
    text.len = ngx_sprintf(p, "listen %s%V%s:%V;", bare ? "[" : "", &host,
                           bare ? "]" : "", &port)
               - p;

    return (ngx_http_llm_directive(cf, &text) == NGX_OK) ? NGX_CONF_OK
                                                         : NGX_CONF_ERROR;
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
     *     lmcf->late = NULL;
     *     lmcf->providers = 0;
     *     lmcf->fallback = { 0, NULL };
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

    lmcf->zone = ngx_http_llm_zone_create(cf, lmcf->zone_size,
                                          &ngx_http_llm_balancer_module);
    if (lmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {

        if (ngx_http_llm_conf_pool(cf, upstreams[i]) != NGX_OK
            || ngx_http_llm_zone_add(lmcf->zone, &upstreams[i]->pool)
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


/* the keys in the order of their tiers, and their secrets alike */

static ngx_int_t
ngx_http_llm_conf_pool(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream)
{
    ngx_str_t            *secrets, *secret;
    ngx_uint_t            i, n, k, backup;
    ngx_http_llm_key_t   *keys, *key, params;

    if (upstream->keys.nelts == 0) {

        if (!upstream->anonymous && ngx_process != NGX_PROCESS_SIGNALLER) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "no \"llm_key\" in upstream \"%V\" in %s:%ui",
                          &upstream->name, upstream->uscf->file_name,
                          upstream->uscf->line);
            return NGX_ERROR;
        }

        ngx_memzero(&params, sizeof(ngx_http_llm_key_t));
        params.weight = 1;

        if (ngx_http_llm_conf_add_keys(cf, upstream, NULL, 0, &params)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    key = upstream->keys.elts;
    secret = upstream->secrets.elts;

    keys = ngx_palloc(cf->pool,
                      upstream->keys.nelts * sizeof(ngx_http_llm_key_t));
    secrets = ngx_palloc(cf->pool, upstream->keys.nelts * sizeof(ngx_str_t));

    if (keys == NULL || secrets == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (backup = 0; backup < 2; backup++) {
        for (i = 0; i < upstream->keys.nelts; i++) {

            if (key[i].backup != backup) {
                continue;
            }

            for (k = 0; k < n; k++) {
                if (keys[k].name.len == key[i].name.len
                    && ngx_strncmp(keys[k].name.data, key[i].name.data,
                                   key[i].name.len)
                       == 0)
                {
                    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                                  "duplicate key name \"%V\" in upstream "
                                  "\"%V\"", &key[i].name, &upstream->name);
                    return NGX_ERROR;
                }
            }

            keys[n] = key[i];
            secrets[n++] = secret[i];
        }
    }

    upstream->keys.elts = keys;
    upstream->secrets.elts = secrets;

    upstream->pool.name = upstream->name;
    upstream->pool.keys = keys;
    upstream->pool.nkeys = n;

    return NGX_OK;
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
     *     llcf->upstream = NULL;
     *     llcf->adjusted = 0;
     */

    llcf->enable = NGX_CONF_UNSET;
    llcf->anonymous = NGX_CONF_UNSET;

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

    /* a location that names one of our upstreams need not be told */

    if (conf->enable == NGX_CONF_UNSET && conf->upstream) {
        conf->enable = 1;
    }

    ngx_conf_merge_value(conf->enable, prev->enable, 0);

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
