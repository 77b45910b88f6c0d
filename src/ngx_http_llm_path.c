
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_path.h"


/*
 * First segments of the calls that answer and leave nothing behind: they may
 * be sent again, and a POST has a body that names a model.
 */

static const char  ngx_http_llm_inference[] =
    "chat completions responses embeddings images audio moderations "
    "rerank messages complete fim agents classifications ocr search score "
    "pooling classify tokenize detokenize embed generate";

/* what a Gemini path may end with behind ":" */

static const char  ngx_http_llm_gemini_methods[] =
    "generateContent streamGenerateContent countTokens embedContent "
    "batchEmbedContents predict";

static const char  ngx_http_llm_gemini_jobs[] =
    "batchGenerateContent asyncBatchEmbedContent predictLongRunning";

static const char  ngx_http_llm_anthropic_roots[] =
    "messages complete skills";


static ngx_int_t ngx_http_llm_path_fold(ngx_pool_t *pool, ngx_str_t *uri,
    ngx_str_t *path);
static ngx_uint_t ngx_http_llm_path_begins(ngx_str_t *path, ngx_str_t *prefix);
static ngx_uint_t ngx_http_llm_path_is(ngx_str_t *path, const char *text);
static ngx_int_t ngx_http_llm_path_beta(ngx_pool_t *pool, ngx_str_t *path,
    size_t len);
static void ngx_http_llm_path_segment(ngx_str_t *path, ngx_str_t *segment);
static void ngx_http_llm_path_skip(ngx_str_t *path, size_t len);
static void ngx_http_llm_path_version(ngx_http_llm_path_t *path,
    const ngx_http_llm_provider_t *provider);
static void ngx_http_llm_path_own(ngx_http_llm_path_t *path,
    ngx_uint_t version);
static void ngx_http_llm_path_shape(ngx_http_llm_path_t *path);
static ngx_uint_t ngx_http_llm_path_gemini(ngx_http_llm_path_t *path);
static ngx_uint_t ngx_http_llm_path_fits(ngx_http_llm_path_t *path,
    const ngx_http_llm_door_t *door);
static ngx_uint_t ngx_http_llm_path_cut(ngx_str_t *path, const char *ending);


static ngx_str_t  ngx_http_llm_v1 = ngx_string("/v1");
static ngx_str_t  ngx_http_llm_v1beta = ngx_string("/v1beta");
static ngx_str_t  ngx_http_llm_gemini_compat = ngx_string("/v1beta/openai");
static ngx_str_t  ngx_http_llm_upload = ngx_string("/upload");
static ngx_str_t  ngx_http_llm_download = ngx_string("/download");
static ngx_str_t  ngx_http_llm_openai_deployments =
    ngx_string("/openai/deployments");
static ngx_str_t  ngx_http_llm_deployments = ngx_string("/deployments");
static ngx_str_t  ngx_http_llm_batches = ngx_string("/batches");
static ngx_str_t  ngx_http_llm_engines = ngx_string("/engines");
static ngx_str_t  ngx_http_llm_models = ngx_string("/models");


ngx_int_t
ngx_http_llm_path_parse(ngx_pool_t *pool, ngx_str_t *uri,
    ngx_http_llm_path_named_pt named, void *data, ngx_http_llm_path_t *path)
{
    ngx_str_t                       segment;
    const ngx_http_llm_provider_t  *provider;

    ngx_memzero(path, sizeof(ngx_http_llm_path_t));

    provider = NULL;

    if (ngx_http_llm_path_fold(pool, uri, &path->full) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_http_llm_path_begins(&path->full,
                                  &ngx_http_llm_openai_deployments))
    {
        ngx_http_llm_path_segment(&path->full, &segment);

        if (segment.len) {
            provider = named(data, &segment);
        }

        if (provider) {
            path->upstream = segment;
            ngx_http_llm_path_skip(&path->full, segment.len + 1);
        }
    }

    if ((ngx_http_llm_path_begins(&path->full, &ngx_http_llm_upload)
         && ngx_http_llm_path_beta(pool, &path->full, ngx_http_llm_upload.len)
            != NGX_OK)
        || (ngx_http_llm_path_begins(&path->full, &ngx_http_llm_download)
            && ngx_http_llm_path_beta(pool, &path->full,
                                      ngx_http_llm_download.len)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    path->rest = path->full;

    ngx_http_llm_path_version(path, provider);
    ngx_http_llm_path_shape(path);

    return NGX_OK;
}


/* slashes are merged by nginx already, unless merge_slashes is off */

static ngx_int_t
ngx_http_llm_path_fold(ngx_pool_t *pool, ngx_str_t *uri, ngx_str_t *path)
{
    u_char  *p, *last, *dst;

    *path = *uri;

    last = uri->data + uri->len;

    for (p = uri->data + 1; p < last; p++) {
        if (p[-1] == '/' && p[0] == '/') {
            break;
        }
    }

    if (p >= last) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, uri->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    path->data = dst;

    for (p = uri->data; p < last; p++) {
        if (*p == '/' && dst > path->data && dst[-1] == '/') {
            continue;
        }

        *dst++ = *p;
    }

    path->len = dst - path->data;

    return NGX_OK;
}


/* a prefix ends where a segment ends */

static ngx_uint_t
ngx_http_llm_path_begins(ngx_str_t *path, ngx_str_t *prefix)
{
    return path->len >= prefix->len
           && ngx_memcmp(path->data, prefix->data, prefix->len) == 0
           && (path->len == prefix->len || path->data[prefix->len] == '/');
}


static ngx_uint_t
ngx_http_llm_path_is(ngx_str_t *path, const char *text)
{
    size_t  len;

    len = path->len;

    if (len > 1 && path->data[len - 1] == '/') {
        len--;
    }

    return len == ngx_strlen(text) && ngx_strncmp(path->data, text, len) == 0;
}


/* "/upload/v1/files": files are Gemini's in the beta version only */

static ngx_int_t
ngx_http_llm_path_beta(ngx_pool_t *pool, ngx_str_t *path, size_t len)
{
    u_char     *p;
    ngx_str_t   rest, old;

    old = *path;
    rest = old;
    ngx_http_llm_path_skip(&rest, len);

    if (!ngx_http_llm_path_begins(&rest, &ngx_http_llm_v1)) {
        return NGX_OK;
    }

    ngx_http_llm_path_skip(&rest, ngx_http_llm_v1.len);

    path->len = len + ngx_http_llm_v1beta.len + rest.len;

    path->data = ngx_pnalloc(pool, path->len);
    if (path->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(path->data, old.data, len);
    p = ngx_cpymem(p, ngx_http_llm_v1beta.data, ngx_http_llm_v1beta.len);
    ngx_memcpy(p, rest.data, rest.len);

    return NGX_OK;
}


/* the first segment of "/segment/...", without slashes */

static void
ngx_http_llm_path_segment(ngx_str_t *path, ngx_str_t *segment)
{
    u_char  *p, *last;

    last = path->data + path->len;

    segment->data = path->data + (path->len != 0);

    for (p = segment->data; p < last && *p != '/'; p++) { /* void */ }

    segment->len = p - segment->data;
}


static void
ngx_http_llm_path_skip(ngx_str_t *path, size_t len)
{
    path->data += len;
    path->len -= len;
}


static void
ngx_http_llm_path_version(ngx_http_llm_path_t *path,
    const ngx_http_llm_provider_t *provider)
{
    ngx_str_t   *rest, prefix;
    ngx_uint_t   i, version;

    rest = &path->rest;
    version = 0;

    /* "/groq/openai/v1/...": the provider's own base path in front */

    for (i = 0; provider && i < NGX_HTTP_LLM_MAX_DOORS; i++) {
        prefix = provider->doors[i].prefix;

        if (provider->doors[i].shape == NGX_HTTP_LLM_OPENAI
            && prefix.len
            && ngx_http_llm_path_begins(rest, &prefix))
        {
            ngx_http_llm_path_skip(rest, prefix.len);
            return;
        }
    }

    /* a base URL that ends with /v1, and a client that adds it once more */

    while (ngx_http_llm_path_begins(rest, &ngx_http_llm_v1)) {
        ngx_http_llm_path_skip(rest, ngx_http_llm_v1.len);
        version = 1;
    }

    if (version && ngx_http_llm_path_begins(rest, &ngx_http_llm_v1beta)) {
        path->full = *rest;
    }

    if (ngx_http_llm_path_begins(rest, &ngx_http_llm_gemini_compat)) {
        ngx_http_llm_path_skip(rest, ngx_http_llm_gemini_compat.len);

    } else if (ngx_http_llm_path_begins(rest, &ngx_http_llm_v1beta)) {
        ngx_http_llm_path_skip(rest, ngx_http_llm_v1beta.len);
        path->beta = 1;

    } else if (path->upstream.len == 0) {
        ngx_http_llm_path_own(path, version);
    }
}


static void
ngx_http_llm_path_own(ngx_http_llm_path_t *path, ngx_uint_t version)
{
    ngx_str_t  *rest;

    rest = &path->rest;

    if (ngx_http_llm_path_is(rest, "/models")) {
        path->own = NGX_HTTP_LLM_MODELS;

    } else if (ngx_http_llm_path_is(rest, "/model/info")) {
        path->own = NGX_HTTP_LLM_MODEL_INFO;

    } else if (version) {
        return;

    } else if (ngx_http_llm_path_is(rest, "/health")) {
        path->own = NGX_HTTP_LLM_HEALTH;

    } else if (ngx_http_llm_path_is(rest, "/health/liveliness")
               || ngx_http_llm_path_is(rest, "/health/liveness"))
    {
        path->own = NGX_HTTP_LLM_LIVENESS;

    } else if (ngx_http_llm_path_is(rest, "/health/readiness")) {
        path->own = NGX_HTTP_LLM_READINESS;
    }
}


static void
ngx_http_llm_path_shape(ngx_http_llm_path_t *path)
{
    ngx_str_t   segment, *rest;
    ngx_uint_t  deployments;

    rest = &path->rest;

    if (ngx_http_llm_path_begins(rest, &ngx_http_llm_upload)
        || ngx_http_llm_path_begins(rest, &ngx_http_llm_download))
    {
        path->shape = NGX_HTTP_LLM_GEMINI;
        path->raw = 1;
        return;
    }

    if (path->beta || ngx_http_llm_path_begins(rest, &ngx_http_llm_models)) {

        if (ngx_http_llm_path_gemini(path)) {
            path->shape = NGX_HTTP_LLM_GEMINI;
            return;
        }

        if (path->beta) {
            path->shape = NGX_HTTP_LLM_GEMINI;
        }
    }

    deployments = 0;

    if (ngx_http_llm_path_begins(rest, &ngx_http_llm_openai_deployments)) {
        ngx_http_llm_path_skip(rest, ngx_http_llm_openai_deployments.len);
        deployments = 1;

    } else if (ngx_http_llm_path_begins(rest, &ngx_http_llm_deployments)) {
        ngx_http_llm_path_skip(rest, ngx_http_llm_deployments.len);
        deployments = 1;

    } else if (ngx_http_llm_path_begins(rest, &ngx_http_llm_engines)) {
        ngx_http_llm_path_skip(rest, ngx_http_llm_engines.len);
        deployments = 1;
    }

    if (deployments) {
        ngx_http_llm_path_segment(rest, &path->model);
        ngx_http_llm_path_skip(rest, ngx_min(rest->len, path->model.len + 1));
        path->deployment = 1;

    } else if (ngx_http_llm_path_begins(rest, &ngx_http_llm_models)
               && rest->len > ngx_http_llm_models.len + 1)
    {
        path->model = *rest;
        ngx_http_llm_path_skip(&path->model, ngx_http_llm_models.len + 1);
    }

    ngx_http_llm_path_segment(rest, &segment);

    if (!path->beta
        && ngx_http_llm_catalog_has(ngx_http_llm_anthropic_roots, &segment))
    {
        path->shape = NGX_HTTP_LLM_ANTHROPIC;
    }

    if (ngx_http_llm_catalog_has(ngx_http_llm_inference, &segment)) {

        /* "/messages/batches" keeps something, "/responses/{id}" is old */

        ngx_http_llm_path_skip(&segment, segment.len);
        segment.len = rest->data + rest->len - segment.data;

        path->inference = !ngx_http_llm_path_begins(&segment,
                                                    &ngx_http_llm_batches)
                          && !(rest->len > sizeof("/responses/")
                               && ngx_strncmp(rest->data, "/responses/",
                                              sizeof("/responses/") - 1)
                                  == 0);
    }
}


/* "/models/{model}:method"; elsewhere a ":" is an ordinary character */

static ngx_uint_t
ngx_http_llm_path_gemini(ngx_http_llm_path_t *path)
{
    u_char     *p, *last;
    ngx_str_t   method, *rest;

    rest = &path->rest;
    last = rest->data + rest->len;

    for (p = last; p > rest->data && p[-1] != ':' && p[-1] != '/'; p--) {
        /* void */
    }

    if (p == rest->data || p[-1] != ':') {
        return 0;
    }

    method.data = p;
    method.len = last - p;

    path->inference = ngx_http_llm_catalog_has(ngx_http_llm_gemini_methods,
                                               &method);

    if (!path->inference
        && !ngx_http_llm_catalog_has(ngx_http_llm_gemini_jobs, &method))
    {
        return path->beta;
    }

    path->model.data = rest->data + 1;
    path->model.len = p - 1 - path->model.data;

    if (ngx_http_llm_path_begins(rest, &ngx_http_llm_models)) {
        ngx_http_llm_path_skip(&path->model, ngx_http_llm_models.len);
    }

    return 1;
}


const ngx_http_llm_door_t *
ngx_http_llm_path_door(ngx_http_llm_path_t *path, ngx_http_llm_site_t *site)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LLM_MAX_DOORS && site->doors[i].auth; i++) {
        if (ngx_http_llm_path_fits(path, &site->doors[i])) {
            return &site->doors[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_llm_path_build(ngx_pool_t *pool, ngx_http_llm_path_t *path,
    ngx_http_llm_site_t *site, const ngx_http_llm_door_t *door,
    ngx_str_t *model, ngx_str_t *uri)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    part[3], *prefix;
    ngx_uint_t   i, n;

    prefix = &site->prefix[door - site->doors];

    part[0] = (door->shape == NGX_HTTP_LLM_NATIVE) ? path->full : path->rest;
    n = 1;

    if (path->model.len
        && path->model.data >= part[0].data
        && path->model.data < part[0].data + part[0].len)
    {
        part[1] = *model;
        part[2].data = path->model.data + path->model.len;
        part[2].len = part[0].data + part[0].len - part[2].data;
        part[0].len = path->model.data - part[0].data;
        n = 3;
    }

    len = prefix->len;

    for (i = 0; i < n; i++) {
        len += part[i].len + 2 * ngx_escape_uri(NULL, part[i].data,
                                                part[i].len, NGX_ESCAPE_URI);
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri->data = p;

    p = ngx_cpymem(p, prefix->data, prefix->len);

    for (i = 0; i < n; i++) {
        p = (u_char *) ngx_escape_uri(p, part[i].data, part[i].len,
                                      NGX_ESCAPE_URI);
    }

    uri->len = p - uri->data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_path_fits(ngx_http_llm_path_t *path,
    const ngx_http_llm_door_t *door)
{
    ngx_str_t  rest, segment, prefix;

    rest = path->rest;

    switch (door->shape) {

    case NGX_HTTP_LLM_NATIVE:
        prefix = door->prefix;

        if (!ngx_http_llm_path_begins(&path->full, &prefix)) {
            return 0;
        }

        rest = path->full;
        ngx_http_llm_path_skip(&rest, prefix.len);
        break;

    case NGX_HTTP_LLM_GEMINI:
        if (path->shape != NGX_HTTP_LLM_GEMINI) {
            return 0;
        }

        break;

    default:
        if (path->shape == NGX_HTTP_LLM_GEMINI) {
            return 0;
        }
    }

    if (door->roots == NULL) {
        return 1;
    }

    ngx_http_llm_path_segment(&rest, &segment);

    return ngx_http_llm_catalog_has(door->roots, &segment);
}


ngx_int_t
ngx_http_llm_path_site(ngx_pool_t *pool,
    const ngx_http_llm_provider_t *provider, ngx_str_t *base,
    ngx_http_llm_site_t *site)
{
    u_char                     *p;
    ngx_str_t                   root, first, cut;
    ngx_uint_t                  i;
    const ngx_http_llm_door_t  *doors;

    doors = provider->doors;
    site->doors = doors;

    if (base) {
        root = *base;

        while (root.len && root.data[root.len - 1] == '/') {
            root.len--;
        }

        (void) (ngx_http_llm_path_cut(&root, "/chat/completions")
                || ngx_http_llm_path_cut(&root, "/messages")
                || ngx_http_llm_path_cut(&root, "/chat"));

        first = root;

        for (i = 0; i < NGX_HTTP_LLM_MAX_DOORS; i++) {
            cut = root;

            if (doors[i].auth
                && doors[i].prefix.len
                && ngx_http_llm_path_cut(&cut, (char *) doors[i].prefix.data))
            {
                root = cut;
                break;
            }

            if (!provider->rooted) {
                break;
            }
        }

    } else {
        ngx_str_null(&root);
        first = doors[0].prefix;
    }

    for (i = 0; i < NGX_HTTP_LLM_MAX_DOORS; i++) {

        if (i == 0 && !(base && provider->rooted)) {
            site->prefix[0] = first;
            continue;
        }

        site->prefix[i] = root;

        if (doors[i].shape == NGX_HTTP_LLM_NATIVE) {
            continue;
        }

        p = ngx_pnalloc(pool, root.len + doors[i].prefix.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        site->prefix[i].data = p;
        site->prefix[i].len = root.len + doors[i].prefix.len;

        p = ngx_cpymem(p, root.data, root.len);
        ngx_memcpy(p, doors[i].prefix.data, doors[i].prefix.len);
    }

    return NGX_OK;
}


/* takes an ending off a path, if it is there */

static ngx_uint_t
ngx_http_llm_path_cut(ngx_str_t *path, const char *ending)
{
    size_t  len;

    len = ngx_strlen(ending);

    if (path->len < len
        || ngx_strncmp(path->data + path->len - len, ending, len) != 0)
    {
        return 0;
    }

    path->len -= len;

    return 1;
}
