
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_json.h"

#include <yajl/yajl_parse.h>


static void ngx_http_llm_json_cleanup(void *data);
static int ngx_http_llm_json_null(void *ctx);
static int ngx_http_llm_json_boolean(void *ctx, int value);
static int ngx_http_llm_json_number(void *ctx, const char *text, size_t len);
static int ngx_http_llm_json_string(void *ctx, const unsigned char *text,
    size_t len);
static int ngx_http_llm_json_start_map(void *ctx);
static int ngx_http_llm_json_map_key(void *ctx, const unsigned char *text,
    size_t len);
static int ngx_http_llm_json_start_array(void *ctx);
static int ngx_http_llm_json_end(void *ctx);
static int ngx_http_llm_json_scalar(ngx_http_llm_json_t *json,
    ngx_uint_t type, const char *text, size_t len);
static int ngx_http_llm_json_value(ngx_http_llm_json_t *json, ngx_uint_t type,
    const char *text, size_t len);
static ngx_uint_t ngx_http_llm_json_complete(ngx_http_llm_json_t *json,
    ngx_uint_t path, ngx_uint_t type);
static void ngx_http_llm_json_element(ngx_http_llm_json_t *json);
static void ngx_http_llm_json_descend(ngx_http_llm_json_t *json,
    ngx_uint_t array);
static uint64_t ngx_http_llm_json_match(ngx_http_llm_json_t *json,
    uint64_t mask, ngx_uint_t depth, const char *name, size_t len);
static ngx_uint_t ngx_http_llm_json_named(const char *names, const char *name,
    size_t len);

#define ngx_http_llm_json_position(json)                                      \
    ((json)->offset + (off_t) yajl_get_bytes_consumed((json)->parser))


/* numbers as text: yajl would refuse those that do not fit into 64 bits */

static yajl_callbacks  ngx_http_llm_json_callbacks = {
    ngx_http_llm_json_null,
    ngx_http_llm_json_boolean,
    NULL,
    NULL,
    ngx_http_llm_json_number,
    ngx_http_llm_json_string,
    ngx_http_llm_json_start_map,
    ngx_http_llm_json_map_key,
    ngx_http_llm_json_end,
    ngx_http_llm_json_start_array,
    ngx_http_llm_json_end
};


ngx_http_llm_json_t *
ngx_http_llm_json_create(ngx_pool_t *pool,
    const ngx_http_llm_json_path_t *paths, ngx_uint_t wrapped,
    ngx_http_llm_json_pt handler, void *data)
{
    ngx_uint_t            i, n;
    ngx_pool_cleanup_t   *cln;
    ngx_http_llm_json_t  *json;

    json = ngx_pcalloc(pool, sizeof(ngx_http_llm_json_t));
    if (json == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_llm_json_cleanup;
    cln->data = json;

    json->paths = paths;
    json->wrapped = wrapped;
    json->handler = handler;
    json->data = data;

    for (i = 0; paths[i].names[0]; i++) {

        if (ngx_strcmp(paths[i].names[0], "**") == 0) {
            json->anywhere |= (uint64_t) 1 << i;
            continue;
        }

        for (n = 0; paths[i].names[n + 1]; n++) { /* void */ }

        if (ngx_strcmp(paths[i].names[n], "**") == 0) {
            json->below |= (uint64_t) 1 << i;
        }

        json->levels[1].mask |= (uint64_t) 1 << i;
    }

    json->parser = yajl_alloc(&ngx_http_llm_json_callbacks, NULL, json);
    if (json->parser == NULL) {
        return NULL;
    }

    return json;
}


static void
ngx_http_llm_json_cleanup(void *data)
{
    ngx_http_llm_json_t *json = data;

    if (json->parser) {
        yajl_free(json->parser);
        json->parser = NULL;
    }
}


ngx_int_t
ngx_http_llm_json_feed(ngx_http_llm_json_t *json, u_char *data, size_t len)
{
    if (yajl_parse(json->parser, data, len) != yajl_status_ok) {
        return NGX_DECLINED;
    }

    json->offset += len;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_json_finish(ngx_http_llm_json_t *json)
{
    ngx_int_t  rc;

    rc = (yajl_complete_parse(json->parser) == yajl_status_ok)
         ? NGX_OK : NGX_DECLINED;

    /* the parser keeps what it had to copy: up to the largest string */

    ngx_http_llm_json_cleanup(json);

    return rc;
}


static int
ngx_http_llm_json_null(void *ctx)
{
    return ngx_http_llm_json_scalar(ctx, NGX_HTTP_LLM_JSON_NULL, NULL, 0);
}


static int
ngx_http_llm_json_boolean(void *ctx, int value)
{
    return ngx_http_llm_json_scalar(ctx, value ? NGX_HTTP_LLM_JSON_TRUE
                                               : NGX_HTTP_LLM_JSON_FALSE,
                                    NULL, 0);
}


static int
ngx_http_llm_json_number(void *ctx, const char *text, size_t len)
{
    return ngx_http_llm_json_scalar(ctx, NGX_HTTP_LLM_JSON_NUMBER, text, len);
}


static int
ngx_http_llm_json_string(void *ctx, const unsigned char *text, size_t len)
{
    return ngx_http_llm_json_scalar(ctx, NGX_HTTP_LLM_JSON_STRING,
                                    (const char *) text, len);
}


static int
ngx_http_llm_json_start_map(void *ctx)
{
    ngx_http_llm_json_t *json = ctx;

    if (json->depth == 0) {
        json->depth = 1;
        json->open = ngx_http_llm_json_position(json);
        json->ended = json->open;

        return 1;
    }

    ngx_http_llm_json_element(json);

    if (!ngx_http_llm_json_value(json, NGX_HTTP_LLM_JSON_OBJECT, NULL, 0)) {
        return 0;
    }

    ngx_http_llm_json_descend(json, 0);

    return 1;
}


static int
ngx_http_llm_json_map_key(void *ctx, const unsigned char *text, size_t len)
{
    ngx_http_llm_json_t *json = ctx;

    ngx_uint_t  depth;

    depth = json->depth;
    json->start = ngx_http_llm_json_position(json);

    if (depth == 1) {
        json->members++;
    }

    json->mask = (depth <= NGX_HTTP_LLM_JSON_DEPTH)
                 ? ngx_http_llm_json_match(json, json->levels[depth].mask,
                                           depth - 1, (const char *) text, len)
                 : json->levels[NGX_HTTP_LLM_JSON_DEPTH].mask & json->below;

    if (json->anywhere) {
        json->mask |= ngx_http_llm_json_match(json, json->anywhere, 1,
                                              (const char *) text, len);
    }

    return 1;
}


static int
ngx_http_llm_json_start_array(void *ctx)
{
    ngx_http_llm_json_t *json = ctx;

    if (json->depth == 0) {

        if (!json->wrapped) {
            return 0;
        }

        json->wrapped = 0;

        return 1;
    }

    ngx_http_llm_json_element(json);

    if (!ngx_http_llm_json_value(json, NGX_HTTP_LLM_JSON_ARRAY, NULL, 0)) {
        return 0;
    }

    ngx_http_llm_json_descend(json, 1);

    return 1;
}


static int
ngx_http_llm_json_end(void *ctx)
{
    ngx_http_llm_json_t *json = ctx;

    int  rc;

    if (json->depth == 0) {
        return 1;
    }

    rc = 1;

    if (--json->depth && json->depth < NGX_HTTP_LLM_JSON_DEPTH) {
        json->mask = json->levels[json->depth + 1].mask & json->whole;
        rc = ngx_http_llm_json_value(json, NGX_HTTP_LLM_JSON_END, NULL, 0);
        json->mask = 0;
    }

    if (json->depth == 1) {
        json->ended = ngx_http_llm_json_position(json);
    }

    return rc;
}


static int
ngx_http_llm_json_scalar(ngx_http_llm_json_t *json, ngx_uint_t type,
    const char *text, size_t len)
{
    if (json->depth == 0) {
        return 0;
    }

    ngx_http_llm_json_element(json);

    if (!ngx_http_llm_json_value(json, type, text, len)) {
        return 0;
    }

    json->mask = 0;

    if (json->depth == 1) {
        json->ended = ngx_http_llm_json_position(json);
    }

    return 1;
}


/* tells of a value by all paths that end here */

static int
ngx_http_llm_json_value(ngx_http_llm_json_t *json, ngx_uint_t type,
    const char *text, size_t len)
{
    uint64_t                    mask;
    ngx_uint_t                  i;
    ngx_http_llm_json_value_t   value;

    if (json->mask == 0) {
        return 1;
    }

    value.type = type;
    value.text.data = (u_char *) text;
    value.text.len = len;
    value.start = json->start;
    value.end = ngx_http_llm_json_position(json);

    for (mask = json->mask; mask; mask &= mask - 1) {

        i = __builtin_ctzll(mask);

        if (!(json->anywhere >> i & 1)
            && !ngx_http_llm_json_complete(json, i, type))
        {
            continue;
        }

        value.path = i;

        if (json->handler(json->data, &value) != NGX_OK) {
            return 0;
        }
    }

    return 1;
}


/* whether a path that led to a value ends there */

static ngx_uint_t
ngx_http_llm_json_complete(ngx_http_llm_json_t *json, ngx_uint_t path,
    ngx_uint_t type)
{
    ngx_uint_t   n;
    const char  *const *names;

    names = json->paths[path].names;

    for (n = 0; n < json->depth && names[n]; n++) { /* void */ }

    if (json->below >> path & 1) {
        return (type < NGX_HTTP_LLM_JSON_OBJECT || json->whole >> path & 1)
               && (names[n] == NULL || names[n + 1] == NULL);
    }

    return n == json->depth && names[n] == NULL;
}


/* a value that has no name, but a number */

static void
ngx_http_llm_json_element(ngx_http_llm_json_t *json)
{
    char                        name[4];
    ngx_http_llm_json_level_t  *level;

    if (json->depth > NGX_HTTP_LLM_JSON_DEPTH) {

        /* it may have a name as well: that is not known any more */

        json->mask &= json->anywhere;
        json->mask |= json->levels[NGX_HTTP_LLM_JSON_DEPTH].mask & json->below;

        return;
    }

    level = &json->levels[json->depth];

    if (!level->array) {
        return;
    }

    name[0] = '[';
    name[1] = (char) ('0' + ngx_min(level->index, 10));
    name[2] = ']';

    level->index++;

    json->start = ngx_http_llm_json_position(json);
    json->mask = ngx_http_llm_json_match(json, level->mask, json->depth - 1,
                                         name, 3)
                 | ngx_http_llm_json_match(json, level->mask, json->depth - 1,
                                           "[]", 2);
}


static void
ngx_http_llm_json_descend(ngx_http_llm_json_t *json, ngx_uint_t array)
{
    ngx_http_llm_json_level_t  *level;

    json->mask &= ~json->anywhere;

    if (++json->depth > NGX_HTTP_LLM_JSON_DEPTH) {
        return;
    }

    level = &json->levels[json->depth];

    level->mask = json->mask;
    level->index = 0;
    level->array = array;
}


/* those of the paths that go on with the name */

static uint64_t
ngx_http_llm_json_match(ngx_http_llm_json_t *json, uint64_t mask,
    ngx_uint_t depth, const char *name, size_t len)
{
    uint64_t     found;
    ngx_uint_t   i, n;
    const char  *const *names;

    found = 0;

    for ( /* void */ ; mask; mask &= mask - 1) {

        i = __builtin_ctzll(mask);
        names = json->paths[i].names;

        for (n = 0; n < depth && names[n]; n++) { /* void */ }

        if (names[n] == NULL) {

            /* it ended above, which only one that takes all below goes past */

            if (json->below >> i & 1) {
                found |= (uint64_t) 1 << i;
            }

            continue;
        }

        if ((len
             && names[n][0] == name[0]
             && ngx_http_llm_json_named(names[n], name, len))
            || (json->below >> i & 1 && names[n + 1] == NULL))
        {
            found |= (uint64_t) 1 << i;
        }
    }

    return found;
}


/* a name may have a zero in it */

static ngx_uint_t
ngx_http_llm_json_named(const char *names, const char *name, size_t len)
{
    size_t  n;

    for ( ;; ) {

        for (n = 0; n < len && names[n] == name[n] && name[n]; n++) {
            /* void */
        }

        if (n == len && (names[n] == '\0' || names[n] == '|')) {
            return 1;
        }

        names = ngx_strchr(names, '|');

        if (names == NULL) {
            return 0;
        }

        names++;
    }
}
