
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_json.h"

#include <yajl/yajl_parse.h>


typedef enum {
    NGX_HTTP_LLM_JSON_NONE = 0,
    NGX_HTTP_LLM_JSON_MODEL,
    NGX_HTTP_LLM_JSON_STREAM
} ngx_http_llm_json_key_e;


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
static int ngx_http_llm_json_scalar(ngx_http_llm_json_t *json);


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
ngx_http_llm_json_create(ngx_pool_t *pool)
{
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

    json->pool = pool;

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
    return ngx_http_llm_json_scalar(ctx);
}


static int
ngx_http_llm_json_boolean(void *ctx, int value)
{
    ngx_http_llm_json_t *json = ctx;

    if (json->key == NGX_HTTP_LLM_JSON_STREAM) {
        json->stream = value;
        json->key = NGX_HTTP_LLM_JSON_NONE;
    }

    return ngx_http_llm_json_scalar(json);
}


static int
ngx_http_llm_json_number(void *ctx, const char *text, size_t len)
{
    return ngx_http_llm_json_scalar(ctx);
}


static int
ngx_http_llm_json_string(void *ctx, const unsigned char *text, size_t len)
{
    ngx_http_llm_json_t *json = ctx;

    ngx_http_llm_field_t  *model;

    if (json->key != NGX_HTTP_LLM_JSON_MODEL) {
        return ngx_http_llm_json_scalar(json);
    }

    json->key = NGX_HTTP_LLM_JSON_NONE;

    model = &json->model;
    model->end = json->offset + yajl_get_bytes_consumed(json->parser);

    if (len > NGX_HTTP_LLM_MAX_MODEL) {
        model->state = NGX_HTTP_LLM_FIELD_OTHER;
        return 1;
    }

    model->value.data = ngx_pnalloc(json->pool, len ? len : 1);
    if (model->value.data == NULL) {
        return 0;
    }

    ngx_memcpy(model->value.data, text, len);

    model->value.len = len;
    model->state = NGX_HTTP_LLM_FIELD_STRING;

    return 1;
}


static int
ngx_http_llm_json_start_map(void *ctx)
{
    ngx_http_llm_json_t *json = ctx;

    (void) ngx_http_llm_json_scalar(json);

    if (json->depth++ == 0) {
        json->open = json->offset + yajl_get_bytes_consumed(json->parser);
    }

    return 1;
}


static int
ngx_http_llm_json_map_key(void *ctx, const unsigned char *text, size_t len)
{
    ngx_http_llm_json_t *json = ctx;

    if (json->depth != 1) {
        return 1;
    }

    json->members++;

    if (len == 5 && ngx_strncmp(text, "model", 5) == 0) {
        json->key = NGX_HTTP_LLM_JSON_MODEL;
        json->model.start = json->offset
                            + yajl_get_bytes_consumed(json->parser);

    } else if (len == 6 && ngx_strncmp(text, "stream", 6) == 0) {
        json->key = NGX_HTTP_LLM_JSON_STREAM;
    }

    return 1;
}


static int
ngx_http_llm_json_start_array(void *ctx)
{
    ngx_http_llm_json_t *json = ctx;

    if (json->depth == 0) {
        return 0;
    }

    (void) ngx_http_llm_json_scalar(json);

    json->depth++;

    return 1;
}


static int
ngx_http_llm_json_end(void *ctx)
{
    ngx_http_llm_json_t *json = ctx;

    json->depth--;

    return 1;
}


/* a value that is not what the key before it should have */

static int
ngx_http_llm_json_scalar(ngx_http_llm_json_t *json)
{
    if (json->key == NGX_HTTP_LLM_JSON_MODEL) {
        json->model.state = NGX_HTTP_LLM_FIELD_OTHER;

    } else if (json->key == NGX_HTTP_LLM_JSON_STREAM) {
        json->stream = 0;
    }

    json->key = NGX_HTTP_LLM_JSON_NONE;

    return json->depth != 0;
}
