
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_env.h"
#include "ngx_http_llm_directive.h"
#include "ngx_http_llm_key.h"
#include "ngx_http_llm_provider.h"
#include "ngx_http_llm_queue.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_secret.h"
#include "ngx_http_llm_upstream.h"

/* what is set for LiteLLM, or for us, and not served */

typedef struct {
    const char  *names;     /* separated by blanks; a final "*" for any rest */
    const char  *reason;
} ngx_http_llm_env_unserved_t;


/* what all upstreams of the environment have in common */

typedef struct {
    ngx_uint_t   balance;
    ngx_msec_t   queue_time;
    ngx_uint_t   queue_number;
} ngx_http_llm_env_policies_t;


static void ngx_http_llm_env_warn(ngx_conf_t *cf);
static ngx_uint_t ngx_http_llm_env_matches(const char *list, ngx_str_t *name);
static ngx_uint_t ngx_http_llm_env_is_key(ngx_str_t *name);
static ngx_uint_t ngx_http_llm_env_is_known(ngx_str_t *name);
static ngx_int_t ngx_http_llm_env_published(ngx_conf_t *cf);
static ngx_int_t ngx_http_llm_env_policies(ngx_conf_t *cf,
    ngx_http_llm_env_policies_t *policies);
static ngx_int_t ngx_http_llm_env_fallbacks(ngx_conf_t *cf);
static ngx_int_t ngx_http_llm_env_upstream(ngx_conf_t *cf,
    ngx_http_llm_main_conf_t *lmcf, const ngx_http_llm_provider_t *provider,
    ngx_http_llm_env_policies_t *policies);


static const ngx_http_llm_env_unserved_t  ngx_http_llm_env_unserved[] = {

    { "DATABASE_URL STORE_MODEL_IN_DB LITELLM_SALT_KEY UI_USERNAME UI_PASSWORD",
      "there is no database, and so no virtual keys and no admin pages" },

    { "REDIS_*",
      "the state of keys is in shared memory" },

    { "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN "
      "AWS_BEARER_TOKEN_BEDROCK AWS_REGION_NAME AWS_PROFILE_NAME "
      "AWS_ROLE_NAME AWS_WEB_IDENTITY_TOKEN",
      "Bedrock is not served" },

    { "GOOGLE_APPLICATION_CREDENTIALS VERTEXAI_* VERTEX_*",
      "Vertex AI with service accounts is not served, Gemini with keys is" },

    { "AZURE_AD_TOKEN AZURE_CLIENT_* AZURE_TENANT_ID",
      "Azure with Entra ID is not served, AZURE_API_KEY is" },

    { "OPENAI_ORGANIZATION OPENAI_ORG_ID OPENAI_PROJECT_ID",
      "the provider takes a key for its own organization and project" },

    { "HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy",
      "providers are connected to without a proxy" },

    { "SSL_VERIFY",
      "the certificates of providers are always checked" },

    { "CONFIG_FILE_PATH",
      "a configuration of LiteLLM is not read" },

    { "SERVER_ROOT_PATH",
      "paths begin with \"/\"" },

    { NULL, NULL }
};


/* master keys that stand in documentation, ours included */

static const char  ngx_http_llm_env_examples[] =
    "sk-1234 super-secret-master-key my-master-key";

char *
ngx_http_llm_providers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_main_conf_t *lmcf = conf;

    ngx_int_t                        rc;
    ngx_str_t                       *value, name;
    ngx_uint_t                       i;
    ngx_http_llm_env_policies_t      policies;
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

    if (ngx_http_llm_env_policies(cf, &policies) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; /* void */ ; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            break;
        }

        if (ngx_http_llm_env_upstream(cf, lmcf, provider, &policies)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_llm_env_fallbacks(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* whoever only sends a signal has another environment */

    if (ngx_process != NGX_PROCESS_SIGNALLER) {
        ngx_http_llm_env_warn(cf);

        if (ngx_http_llm_env_published(cf) != NGX_OK) {
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


/* names only: what is set may be a secret */

static void
ngx_http_llm_env_warn(ngx_conf_t *cf)
{
    char                               **e;
    ngx_str_t                            name;
    const ngx_http_llm_env_unserved_t   *unserved;

    for (e = environ; *e; e++) {

        name.data = (u_char *) *e;
        name.len = strcspn(*e, "=");

        if (name.data[name.len] == '\0' || name.data[name.len + 1] == '\0') {
            continue;
        }

        unserved = ngx_http_llm_env_unserved;

        for ( /* void */ ; unserved->names; unserved++) {
            if (ngx_http_llm_env_matches(unserved->names, &name)) {
                ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                                   "environment variable \"%V\" is ignored: "
                                   "%s", &name, unserved->reason);
                break;
            }
        }

        if (unserved->names == NULL
            && ngx_http_llm_env_is_key(&name)
            && !ngx_http_llm_env_is_known(&name))
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "environment variable \"%V\" is ignored: "
                               "no provider has its keys there", &name);
        }
    }
}


static ngx_uint_t
ngx_http_llm_env_matches(const char *list, ngx_str_t *name)
{
    ngx_str_t  word;

    while (ngx_http_llm_catalog_word(&list, &word)) {

        if (word.data[word.len - 1] == '*') {

            if (name->len > word.len - 1
                && ngx_strncmp(name->data, word.data, word.len - 1) == 0)
            {
                return 1;
            }

        } else if (word.len == name->len
                   && ngx_strncmp(name->data, word.data, word.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_llm_env_is_key(ngx_str_t *name)
{
    ngx_uint_t  i;

    static ngx_str_t  endings[] = {
        ngx_string("_API_KEYS"),
        ngx_string("_API_KEY"),
        ngx_string("_API_KEYS_FILE"),
        ngx_string("_API_KEY_FILE"),
        ngx_null_string
    };

    for (i = 0; endings[i].len; i++) {
        if (name->len > endings[i].len
            && ngx_strncmp(name->data + name->len - endings[i].len,
                           endings[i].data, endings[i].len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_llm_env_is_known(ngx_str_t *name)
{
    ngx_str_t                       bare;
    ngx_uint_t                      i;
    const ngx_http_llm_provider_t  *provider;

    bare = *name;

    if (bare.len > sizeof("_FILE") - 1
        && ngx_strncmp(bare.data + bare.len - (sizeof("_FILE") - 1), "_FILE",
                       sizeof("_FILE") - 1)
           == 0)
    {
        bare.len -= sizeof("_FILE") - 1;
    }

    for (i = 0; /* void */ ; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            return 0;
        }

        if (ngx_http_llm_env_matches(provider->keys, &bare)) {
            return 1;
        }
    }
}


/* everybody knows these: whoever reaches the port could spend the keys */

static ngx_int_t
ngx_http_llm_env_published(ngx_conf_t *cf)
{
    ngx_int_t                     rc;
    ngx_str_t                     name, text, *key;
    ngx_uint_t                    i;
    ngx_array_t                   keys;
    ngx_http_llm_secret_flaws_t   flaws;

    ngx_str_set(&name, "LITELLM_MASTER_KEY");

    rc = ngx_http_llm_secret_env(cf, &name, &text);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (ngx_array_init(&keys, cf->temp_pool, 2, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&flaws, sizeof(ngx_http_llm_secret_flaws_t));

    /* what is wrong with the list is said where the keys are taken */

    (void) ngx_http_llm_secret_split(&text, 0, &keys, &flaws);

    key = keys.elts;

    for (i = 0; i < keys.nelts; i++) {
        if (ngx_http_llm_env_matches(ngx_http_llm_env_examples, &key[i])) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "key %ui of LITELLM_MASTER_KEY is an example "
                               "from the documentation, which everybody knows",
                               i + 1);
        }
    }

    return NGX_OK;
}


/* LLM_BALANCE and LLM_QUEUE, for those who write no directives */

static ngx_int_t
ngx_http_llm_env_policies(ngx_conf_t *cf, ngx_http_llm_env_policies_t *policies)
{
    ngx_int_t  rc;
    ngx_str_t  name, text;

    ngx_memzero(policies, sizeof(ngx_http_llm_env_policies_t));

    ngx_str_set(&name, "LLM_BALANCE");

    rc = ngx_http_llm_secret_env(cf, &name, &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK
        && ngx_http_llm_key_policy(&text, &policies->balance) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid policy \"%V\" in LLM_BALANCE", &text);
        return NGX_ERROR;
    }

    ngx_str_set(&name, "LLM_QUEUE");

    rc = ngx_http_llm_secret_env(cf, &name, &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK
        && ngx_http_llm_queue_parse(&text, &policies->queue_time,
                                    &policies->queue_number)
           != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\" in LLM_QUEUE, a time and a number "
                           "as in \"15s,64\" or \"off\" is expected", &text);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* LLM_FALLBACKS: what "llm_model" takes, one after the other with ";" */

static ngx_int_t
ngx_http_llm_env_fallbacks(ngx_conf_t *cf)
{
    char         *rv;
    u_char       *p, *last;
    ngx_int_t     rc;
    ngx_str_t     name, text, *word;
    ngx_array_t  *args, words;

    ngx_str_set(&name, "LLM_FALLBACKS");

    rc = ngx_http_llm_secret_env(cf, &name, &text);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    /* words of the configuration end with a zero */

    p = ngx_pcalloc(cf->pool, text.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, text.data, text.len);

    last = p + text.len;

    while (p < last) {

        if (ngx_array_init(&words, cf->pool, 4, sizeof(ngx_str_t)) != NGX_OK) {
            return NGX_ERROR;
        }

        word = ngx_array_push(&words);
        if (word == NULL) {
            return NGX_ERROR;
        }

        ngx_str_set(word, "llm_model");

        for (word = NULL; p < last && *p != ';'; p++) {

            if (*p == ' ' || *p == '\t' || *p == '\n') {
                *p = '\0';
                word = NULL;
                continue;
            }

            if (word == NULL) {
                word = ngx_array_push(&words);
                if (word == NULL) {
                    return NGX_ERROR;
                }

                word->data = p;
                word->len = 0;
            }

            word->len++;
        }

        if (p < last) {
            *p++ = '\0';
        }

        if (words.nelts == 1) {
            continue;
        }

        if (words.nelts == 2) {
            word = words.elts;
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no upstream for \"%V\" in LLM_FALLBACKS",
                               &word[1]);
            return NGX_ERROR;
        }

        args = cf->args;
        cf->args = &words;

        rv = ngx_http_llm_model(cf, NULL,
                     ngx_http_conf_get_module_srv_conf(cf,
                                              ngx_http_llm_balancer_module));

        cf->args = args;

        if (rv != NGX_CONF_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* an upstream for a provider with keys, or a base URL, in the environment */

static ngx_int_t
ngx_http_llm_env_upstream(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf,
    const ngx_http_llm_provider_t *provider,
    ngx_http_llm_env_policies_t *policies)
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

    upstream = ngx_http_llm_provider_upstream(cf, us, &us->host, provider);

    if (upstream == NULL
        || ngx_http_llm_provider_base(cf, upstream, base.len ? &base : NULL)
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

    upstream->policy = policies->balance;
    upstream->queue_time = policies->queue_time;
    upstream->queue_number = policies->queue_number;

    return ngx_http_llm_key_add(cf, upstream, secrets.elts, secrets.nelts,
                                &params);
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
