
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_key.h"
#include "ngx_http_llm_secret.h"

static char *ngx_http_llm_key_param(ngx_conf_t *cf, ngx_str_t *value,
    ngx_uint_t n, ngx_http_llm_key_t *key);
static ngx_uint_t ngx_http_llm_key_repeats(ngx_str_t *value, ngx_uint_t n);
static ngx_int_t ngx_http_llm_key_models(ngx_conf_t *cf, ngx_str_t *value,
    ngx_array_t **models);
static ngx_int_t ngx_http_llm_key_fingerprint(
    ngx_http_llm_upstream_t *upstream, const char *what, ngx_str_t *name,
    u_char *fingerprint);

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
        if (ngx_http_llm_key_param(cf, &value[i], i, &params)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_llm_key_repeats(value, i)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
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
        rc = ngx_http_llm_key_add(cf, lscf->upstream, secrets.elts,
                                        secrets.nelts, &params);
    }

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_llm_key_param(ngx_conf_t *cf, ngx_str_t *value, ngx_uint_t n,
    ngx_http_llm_key_t *key)
{
    ngx_int_t   number;
    ngx_uint_t  i;

    static struct {
        ngx_str_t  name;
        size_t     offset;
    } numbers[] = {
        { ngx_string("rpm="), offsetof(ngx_http_llm_limit_t, rpm) },
        { ngx_string("tpm="), offsetof(ngx_http_llm_limit_t, tpm) },
        { ngx_string("rpd="), offsetof(ngx_http_llm_limit_t, rpd) },
        { ngx_null_string, 0 }
    };

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

    for (i = 0; numbers[i].name.len; i++) {

        if (value->len <= numbers[i].name.len
            || ngx_strncmp(value->data, numbers[i].name.data,
                           numbers[i].name.len)
               != 0)
        {
            continue;
        }

        number = ngx_atoi(value->data + numbers[i].name.len,
                          value->len - numbers[i].name.len);

        if (number < 1 || number > NGX_MAX_INT32_VALUE) {
            goto invalid;
        }

        *(uint32_t *) ((char *) &key->limit + numbers[i].offset) =
                                                          (uint32_t) number;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "group=", 6) == 0 && value->len > 6) {
        key->group.data = value->data + 6;
        key->group.len = value->len - 6;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "models=", 7) == 0 && value->len > 7) {
        return (ngx_http_llm_key_models(cf, value, &key->models) == NGX_OK)
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


/* whether one of the parameters in front of it has the same name */

static ngx_uint_t
ngx_http_llm_key_repeats(ngx_str_t *value, ngx_uint_t n)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i;

    p = ngx_strlchr(value[n].data, value[n].data + value[n].len, '=');
    len = p ? (size_t) (p + 1 - value[n].data) : value[n].len;

    for (i = 2; i < n; i++) {
        if (value[i].len >= len
            && ngx_strncmp(value[i].data, value[n].data, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_llm_key_models(ngx_conf_t *cf, ngx_str_t *value,
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

    if ((*models)->nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* without secrets: one key that stands for having none */

ngx_int_t
ngx_http_llm_key_add(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream,
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

        if (ngx_http_llm_key_fingerprint(upstream, "", secret,
                                         key->fingerprint)
            != NGX_OK
            || ngx_http_llm_key_fingerprint(upstream, "group", &key->group,
                                            key->group_id)
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
 * The same on every machine.  A key's has what it is for in it, so that it is
 * not simply the digest of the key.
 */

static ngx_int_t
ngx_http_llm_key_fingerprint(ngx_http_llm_upstream_t *upstream,
    const char *what, ngx_str_t *name, u_char *fingerprint)
{
    u_char     *p, digest[NGX_HTTP_LLM_DIGEST_LEN];
    ngx_int_t   rc;
    ngx_str_t   text;

    text.len = upstream->provider->name.len + 1 + upstream->host.len + 1
               + (*what ? ngx_strlen(what) + 1 : 0) + name->len;

    text.data = ngx_alloc(text.len, ngx_cycle->log);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, upstream->provider->name.data,
                   upstream->provider->name.len);
    *p++ = '\0';

    p = ngx_cpymem(p, upstream->host.data, upstream->host.len);
    *p++ = '\0';

    if (*what) {
        p = ngx_cpymem(p, what, ngx_strlen(what));
        *p++ = '\0';
    }

    ngx_memcpy(p, name->data, name->len);

    rc = ngx_http_llm_digest(&text, digest);

    ngx_explicit_memzero(text.data, text.len);
    ngx_free(text.data);

    ngx_memcpy(fingerprint, digest, NGX_HTTP_LLM_FINGERPRINT_LEN);

    return rc;
}


/* the keys in the order of their tiers, and their secrets alike */

ngx_int_t
ngx_http_llm_key_pool(ngx_conf_t *cf, ngx_http_llm_upstream_t *upstream)
{
    ngx_str_t            *secrets, *secret, pacific;
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

        if (ngx_http_llm_key_add(cf, upstream, NULL, 0, &params)
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
    upstream->pool.policy = upstream->policy;
    upstream->pool.model_sets = upstream->model_sets;

    ngx_str_set(&pacific, "gemini");

    upstream->pool.day = ngx_http_llm_catalog_named(upstream->provider,
                                                    &pacific)
                         ? NGX_HTTP_LLM_DAY_PACIFIC : NGX_HTTP_LLM_DAY_UTC;

    return ngx_http_llm_key_fingerprint(upstream, "upstream",
                                        &upstream->name,
                                        upstream->pool.fingerprint);
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

    if (ngx_http_llm_key_policy(&value[1], &lscf->upstream->policy)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid policy \"%V\", it must be "
                           "\"round_robin\", \"least_conn\", \"headroom\" "
                           "or \"affinity\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_llm_key_policy(ngx_str_t *name, ngx_uint_t *policy)
{
    ngx_uint_t  i;

    /* in the order of the enumeration */

    static const char *const  policies[] = {
        "round_robin", "least_conn", "headroom", "affinity", NULL
    };

    for (i = 0; policies[i]; i++) {
        if (name->len == ngx_strlen(policies[i])
            && ngx_strncmp(name->data, policies[i], name->len) == 0)
        {
            *policy = i;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
