
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_auth.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"
#include "ngx_http_llm_secret.h"


/* in the order of LiteLLM */

typedef enum {
    NGX_HTTP_LLM_CREDENTIAL_LITELLM = 0,
    NGX_HTTP_LLM_CREDENTIAL_AUTHORIZATION,
    NGX_HTTP_LLM_CREDENTIAL_API_KEY,
    NGX_HTTP_LLM_CREDENTIAL_X_API_KEY,
    NGX_HTTP_LLM_CREDENTIAL_GOOG,
    NGX_HTTP_LLM_CREDENTIAL_OCP,
    NGX_HTTP_LLM_CREDENTIAL_QUERY,
    NGX_HTTP_LLM_CREDENTIAL_WEBSOCKET,
    NGX_HTTP_LLM_CREDENTIALS
} ngx_http_llm_credential_e;


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   scheme;       /* the value may begin with "Bearer " */
} ngx_http_llm_place_t;


static ngx_http_llm_place_t  ngx_http_llm_places[] = {
    { ngx_string("x-litellm-api-key"), 1 },
    { ngx_string("authorization"), 1 },
    { ngx_string("api-key"), 0 },
    { ngx_string("x-api-key"), 0 },
    { ngx_string("x-goog-api-key"), 0 },
    { ngx_string("ocp-apim-subscription-key"), 0 }
};


static ngx_int_t ngx_http_llm_auth_collect(ngx_http_request_t *r,
    ngx_str_t *credentials);
static void ngx_http_llm_auth_headers(ngx_http_request_t *r,
    ngx_str_t *credentials);
static void ngx_http_llm_auth_header(ngx_table_elt_t *h,
    ngx_str_t *credentials);
static ngx_int_t ngx_http_llm_auth_query(ngx_http_request_t *r,
    ngx_str_t *key);
static void ngx_http_llm_auth_hide(ngx_str_t *text, ngx_str_t *argument);
static void ngx_http_llm_auth_scheme(ngx_str_t *value);
static void ngx_http_llm_auth_websocket(ngx_str_t *value,
    ngx_str_t *credential);
static ngx_http_llm_client_t *ngx_http_llm_auth_find(ngx_array_t *keys,
    ngx_str_t *credential);
static ngx_int_t ngx_http_llm_auth_basic(ngx_pool_t *pool,
    ngx_str_t *credential);
static char *ngx_http_llm_auth_keys(ngx_conf_t *cf, ngx_array_t *clients,
    ngx_uint_t *missing);
static char *ngx_http_llm_client_key_digest(ngx_conf_t *cf, ngx_str_t *hex,
    ngx_http_llm_client_t *client);


ngx_uint_t
ngx_http_llm_auth_anonymous(ngx_http_llm_loc_conf_t *llcf)
{
    char  *value;

    if (llcf->anonymous == 1) {
        return 1;
    }

    value = getenv("LLM_ALLOW_ANONYMOUS");

    return value && ngx_strcmp(value, "1") == 0;
}


ngx_int_t
ngx_http_llm_auth(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_str_t                *credentials, *presented;
    ngx_uint_t                i;
    ngx_http_llm_client_t    *client, *found;
    ngx_http_llm_loc_conf_t  *llcf;

    llcf = ctx->conf;

    /* one more for a password, which stands encoded in another one */

    credentials = ngx_pcalloc(r->pool, (2 * NGX_HTTP_LLM_CREDENTIALS + 1)
                                       * sizeof(ngx_str_t));
    if (credentials == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_llm_auth_collect(r, credentials) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    presented = credentials + NGX_HTTP_LLM_CREDENTIALS;

    ctx->credentials = presented;
    found = NULL;

    for (i = 0; i < NGX_HTTP_LLM_CREDENTIALS; i++) {

        if (credentials[i].len == 0) {
            continue;
        }

        presented[ctx->ncredentials++] = credentials[i];

        if (llcf->clients == NULL) {
            continue;
        }

        client = ngx_http_llm_auth_find(llcf->clients, &credentials[i]);

        if (client == NULL
            && i == NGX_HTTP_LLM_CREDENTIAL_AUTHORIZATION
            && ngx_http_llm_auth_basic(r->pool, &credentials[i]) == NGX_OK)
        {
            presented[ctx->ncredentials++] = credentials[i];
            client = ngx_http_llm_auth_find(llcf->clients, &credentials[i]);
        }

        if (found == NULL) {
            found = client;
        }
    }

    if (found) {
        ctx->client = found->name;
        return NGX_OK;
    }

    if (llcf->clients == NULL && llcf->anonymous == 1) {
        return NGX_OK;
    }

    if (llcf->clients == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "no \"llm_client_key\" is in effect here");
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  ctx->ncredentials ? "client sent a key that is not known"
                                    : "client sent no key");

    if (ctx->ncredentials) {
        return ngx_http_llm_error(r, ctx, NGX_HTTP_UNAUTHORIZED,
                                  "authentication_error", "invalid_api_key",
                                  "Incorrect API key provided. Use a key of "
                                  "this gateway, not one of a provider.");
    }

    return ngx_http_llm_error(r, ctx, NGX_HTTP_UNAUTHORIZED,
                              "authentication_error", "missing_api_key",
                              "You did not provide an API key. Send the key "
                              "of this gateway in the Authorization header: "
                              "\"Authorization: Bearer KEY\".");
}


ngx_int_t
ngx_http_llm_auth_reader(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t admin)
{
    ngx_int_t                 rc;
    ngx_str_t                *key;
    ngx_uint_t                i, n;
    ngx_http_llm_client_t    *client;
    ngx_http_llm_loc_conf_t  *llcf;

    ngx_str_t                 credentials[NGX_HTTP_LLM_CREDENTIALS];

    llcf = ctx->conf;

    ngx_memzero(credentials, sizeof(credentials));

    ngx_http_llm_auth_headers(r, credentials);

    for (i = 0; i < 2 * NGX_HTTP_LLM_CREDENTIALS; i++) {
        n = i / 2;
        key = &credentials[n];

        /* at first as it is, then as one that has a password in it */

        if (key->len == 0
            || (i % 2
                && (n != NGX_HTTP_LLM_CREDENTIAL_AUTHORIZATION
                    || ngx_http_llm_auth_basic(r->pool, key) != NGX_OK)))
        {
            continue;
        }

        rc = NGX_OK;
        client = ngx_http_llm_auth_find(llcf->admins, key);

        if (client == NULL) {
            rc = admin ? NGX_ABORT : NGX_OK;
            client = ngx_http_llm_auth_find(llcf->readers, key);
        }

        if (client == NULL) {
            client = ngx_http_llm_auth_find(llcf->clients, key);
        }

        if (client) {
            ctx->client = client->name;

            if (rc == NGX_OK && admin && ctx->client.len == 0) {
                ngx_str_set(&ctx->client, "admin");
            }

            return rc;
        }
    }

    if (admin && llcf->admins == NULL) {
        return NGX_ABORT;
    }

    if (!admin && llcf->clients == NULL && llcf->readers == NULL
        && llcf->anonymous == 1)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent no key that may see the status");

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_auth_collect(ngx_http_request_t *r, ngx_str_t *credentials)
{
    ngx_http_llm_auth_headers(r, credentials);

    return ngx_http_llm_auth_query(r,
                                 &credentials[NGX_HTTP_LLM_CREDENTIAL_QUERY]);
}


static void
ngx_http_llm_auth_headers(ngx_http_request_t *r, ngx_str_t *credentials)
{
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    ngx_http_llm_headers_start(&headers, &r->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            break;
        }

        ngx_http_llm_auth_header(h, credentials);
    }
}


/*
 * nginx writes the request line into every line of its error log: the key is
 * overwritten there, and wherever else nginx keeps the arguments.
 */

static ngx_int_t
ngx_http_llm_auth_query(ngx_http_request_t *r, ngx_str_t *key)
{
    u_char     *dst, *src;
    ngx_str_t   value, argument;

    if (r->args.len == 0
        || ngx_http_arg(r, (u_char *) "key", 3, &value) != NGX_OK
        || value.len == 0)
    {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, value.len);
    argument.len = sizeof("key=") - 1 + value.len;
    argument.data = ngx_pnalloc(r->pool, argument.len);

    if (dst == NULL || argument.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(argument.data, value.data - (sizeof("key=") - 1), argument.len);

    src = value.data;
    key->data = dst;
    ngx_unescape_uri(&dst, &src, value.len, 0);
    key->len = dst - key->data;

    ngx_http_llm_auth_hide(&r->args, &argument);
    ngx_http_llm_auth_hide(&r->unparsed_uri, &argument);
    ngx_http_llm_auth_hide(&r->request_line, &argument);

    return NGX_OK;
}


static void
ngx_http_llm_auth_hide(ngx_str_t *text, ngx_str_t *argument)
{
    size_t   name;
    u_char  *p, *last;

    name = sizeof("key=") - 1;
    last = text->data + text->len;

    for (p = text->data; p && p < last; /* void */ ) {
        p = memmem(p, last - p, argument->data, argument->len);

        if (p) {
            ngx_memset(p + name, '*', argument->len - name);
            p += argument->len;
        }
    }
}


static void
ngx_http_llm_auth_header(ngx_table_elt_t *h, ngx_str_t *credentials)
{
    ngx_uint_t             i;
    ngx_http_llm_place_t  *place;

    /* most headers of a request end here */

    switch (h->key.len) {

    case sizeof("api-key") - 1:
    case sizeof("x-api-key") - 1:
    case sizeof("authorization") - 1:
    case sizeof("x-goog-api-key") - 1:
    case sizeof("x-litellm-api-key") - 1:
    case sizeof("ocp-apim-subscription-key") - 1:
    case sizeof("sec-websocket-protocol") - 1:
        break;

    default:
        return;
    }

    if (h->key.len == sizeof("sec-websocket-protocol") - 1
        && ngx_strncmp(h->lowcase_key, "sec-websocket-protocol", h->key.len)
           == 0)
    {
        ngx_http_llm_auth_websocket(&h->value,
                          &credentials[NGX_HTTP_LLM_CREDENTIAL_WEBSOCKET]);
        return;
    }

    place = ngx_http_llm_places;

    for (i = 0; i < NGX_HTTP_LLM_CREDENTIAL_QUERY; i++) {

        if (place[i].name.len != h->key.len
            || ngx_memcmp(place[i].name.data, h->lowcase_key, h->key.len) != 0)
        {
            continue;
        }

        credentials[i] = h->value;

        if (place[i].scheme) {
            ngx_http_llm_auth_scheme(&credentials[i]);
        }

        return;
    }
}


/*
 * "Bearer KEY", "Basic KEY" and, from libraries for AWS, "AWS4-HMAC-SHA256
 * Credential=Bearer KEY/..."; a value without a scheme is the key itself.
 */

static void
ngx_http_llm_auth_scheme(ngx_str_t *value)
{
    u_char  *p, *last;

    last = value->data + value->len;
    p = value->data;

    if (value->len > sizeof("AWS4-HMAC") - 1
        && ngx_strncasecmp(p, (u_char *) "AWS4-HMAC", sizeof("AWS4-HMAC") - 1)
           == 0)
    {
        p = ngx_strlcasestrn(p, last, (u_char *) "Credential=Bearer ",
                             sizeof("Credential=Bearer ") - 2);
        if (p == NULL) {
            return;
        }

        value->data = p + sizeof("Credential=Bearer ") - 1;

        p = ngx_strlchr(value->data, last, '/');
        value->len = (p ? p : last) - value->data;

        return;
    }

    if ((value->len > sizeof("Bearer ") - 1
         && ngx_strncasecmp(p, (u_char *) "Bearer ", sizeof("Bearer ") - 1)
            == 0)
        || (value->len > sizeof("Basic ") - 1
            && ngx_strncasecmp(p, (u_char *) "Basic ", sizeof("Basic ") - 1)
               == 0))
    {
        p = ngx_strlchr(p, last, ' ');

        while (p < last && *p == ' ') {
            p++;
        }

        value->data = p;
        value->len = last - p;
    }
}


/* what browsers send, as they can set no header for a WebSocket */

static void
ngx_http_llm_auth_websocket(ngx_str_t *value, ngx_str_t *credential)
{
    u_char  *p, *last;

    last = value->data + value->len;

    p = ngx_strlcasestrn(value->data, last,
                         (u_char *) NGX_HTTP_LLM_WEBSOCKET_KEY,
                         sizeof(NGX_HTTP_LLM_WEBSOCKET_KEY) - 2);
    if (p == NULL) {
        return;
    }

    p += sizeof(NGX_HTTP_LLM_WEBSOCKET_KEY) - 1;

    credential->data = p;

    while (p < last && *p != ',' && *p != ' ') {
        p++;
    }

    credential->len = p - credential->data;
}


/* all are compared, so that the time does not tell which one was near */

static ngx_http_llm_client_t *
ngx_http_llm_auth_find(ngx_array_t *keys, ngx_str_t *credential)
{
    u_char                  digest[NGX_HTTP_LLM_DIGEST_LEN];
    ngx_uint_t              i;
    ngx_http_llm_client_t  *clients, *found;

    if (keys == NULL || ngx_http_llm_digest(credential, digest) != NGX_OK) {
        return NULL;
    }

    found = NULL;
    clients = keys->elts;

    for (i = 0; i < keys->nelts; i++) {
        if (ngx_http_llm_digest_equal(digest, clients[i].digest)) {
            found = &clients[i];
        }
    }

    return found;
}


/* the password of basic authentication, as curl -u and browsers send it */

static ngx_int_t
ngx_http_llm_auth_basic(ngx_pool_t *pool, ngx_str_t *credential)
{
    u_char     *p;
    ngx_str_t   decoded;

    decoded.data = ngx_pnalloc(pool,
                               ngx_base64_decoded_length(credential->len) + 1);
    if (decoded.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_decode_base64(&decoded, credential) != NGX_OK) {
        return NGX_DECLINED;
    }

    p = ngx_strlchr(decoded.data, decoded.data + decoded.len, ':');
    if (p == NULL) {
        return NGX_DECLINED;
    }

    credential->len = decoded.data + decoded.len - (p + 1);
    credential->data = p + 1;

    return credential->len ? NGX_OK : NGX_DECLINED;
}


char *
ngx_http_llm_client_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_loc_conf_t *llcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   missing;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (llcf->clients || cf->args->nelts > 2) {
            return "is incompatible with other keys";
        }

        llcf->anonymous = 1;
        return NGX_CONF_OK;
    }

    if (llcf->anonymous == 1) {
        return "is incompatible with \"llm_client_key off\"";
    }

    llcf->anonymous = 0;

    if (llcf->clients == NULL) {
        llcf->clients = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_http_llm_client_t));
        if (llcf->clients == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rv = ngx_http_llm_auth_keys(cf, llcf->clients, &missing);

    if (missing) {

        /* without keys the check of the location decides, see conf room */

        if (ngx_process == NGX_PROCESS_SIGNALLER) {
            llcf->anonymous = 1;
        }

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "\"%V\" is not set",
                           &value[1]);
    }

    return rv;
}


char *
ngx_http_llm_reader_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_uint_t     missing;
    ngx_array_t  **keys;

    keys = (ngx_array_t **) ((char *) conf + cmd->offset);

    if (*keys == NULL) {
        *keys = ngx_array_create(cf->pool, 2, sizeof(ngx_http_llm_client_t));
        if (*keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    /* these may be missing: there is nobody then who can do it */

    return ngx_http_llm_auth_keys(cf, *keys, &missing);
}


static char *
ngx_http_llm_auth_keys(ngx_conf_t *cf, ngx_array_t *clients,
    ngx_uint_t *missing)
{
    ngx_int_t               rc;
    ngx_str_t              *value, *key, name;
    ngx_uint_t              i;
    ngx_array_t             keys;
    ngx_http_llm_client_t  *client;

    value = cf->args->elts;
    *missing = 0;

    ngx_str_null(&name);

    if (cf->args->nelts == 3) {

        if (value[2].len <= 5 || ngx_strncmp(value[2].data, "name=", 5) != 0) {
            return ngx_http_llm_secret_param(cf, &value[2], 2);
        }

        name.data = value[2].data + 5;
        name.len = value[2].len - 5;
    }

    if (value[1].len > 7 && ngx_strncmp(value[1].data, "sha256:", 7) == 0) {
        value[1].data += 7;
        value[1].len -= 7;

        client = ngx_array_push(clients);
        if (client == NULL) {
            return NGX_CONF_ERROR;
        }

        client->name = name;

        return ngx_http_llm_client_key_digest(cf, &value[1], client);
    }

    if (ngx_array_init(&keys, cf->temp_pool, 2, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_http_llm_secret_read(cf, &value[1], &keys);

    if (rc == NGX_DECLINED) {
        *missing = 1;
        return NGX_CONF_OK;
    }

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    key = keys.elts;

    for (i = 0; i < keys.nelts; i++) {
        client = ngx_array_push(clients);
        if (client == NULL) {
            return NGX_CONF_ERROR;
        }

        client->name = name;

        if (ngx_http_llm_digest(&key[i], client->digest) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_client_key_digest(ngx_conf_t *cf, ngx_str_t *hex,
    ngx_http_llm_client_t *client)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (hex->len != 2 * NGX_HTTP_LLM_DIGEST_LEN) {
        goto invalid;
    }

    for (i = 0; i < NGX_HTTP_LLM_DIGEST_LEN; i++) {
        n = ngx_hextoi(hex->data + 2 * i, 2);
        if (n == NGX_ERROR) {
            goto invalid;
        }

        client->digest[i] = (u_char) n;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"sha256:\" value, 64 hexadecimal digits "
                       "expected");

    return NGX_CONF_ERROR;
}
