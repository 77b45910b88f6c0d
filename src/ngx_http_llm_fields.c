
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_fields.h"


typedef enum {
    NGX_HTTP_LLM_FIELDS_MODEL = 0,
    NGX_HTTP_LLM_FIELDS_STREAM
} ngx_http_llm_fields_e;


static ngx_int_t ngx_http_llm_fields_value(void *data,
    ngx_http_llm_json_value_t *value);
static ngx_int_t ngx_http_llm_fields_model(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);


/* in the order of the enumeration */

static const ngx_http_llm_json_path_t  ngx_http_llm_fields_paths[] = {
    { { "model", NULL } },
    { { "stream", NULL } },
    { { NULL } }
};


ngx_http_llm_fields_t *
ngx_http_llm_fields_create(ngx_pool_t *pool)
{
    ngx_http_llm_fields_t  *fields;

    fields = ngx_pcalloc(pool, sizeof(ngx_http_llm_fields_t));
    if (fields == NULL) {
        return NULL;
    }

    fields->pool = pool;

    fields->json = ngx_http_llm_json_create(pool, ngx_http_llm_fields_paths,
                                            0, ngx_http_llm_fields_value,
                                            fields);
    if (fields->json == NULL) {
        return NULL;
    }

    return fields;
}


ngx_int_t
ngx_http_llm_fields_feed(ngx_http_llm_fields_t *fields, u_char *data,
    size_t len)
{
    return ngx_http_llm_json_feed(fields->json, data, len);
}


ngx_int_t
ngx_http_llm_fields_finish(ngx_http_llm_fields_t *fields)
{
    return ngx_http_llm_json_finish(fields->json);
}


static ngx_int_t
ngx_http_llm_fields_value(void *data, ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_fields_t *fields = data;

    switch (value->path) {

    case NGX_HTTP_LLM_FIELDS_MODEL:
        return ngx_http_llm_fields_model(fields, value);

    case NGX_HTTP_LLM_FIELDS_STREAM:
        fields->stream = (value->type == NGX_HTTP_LLM_JSON_TRUE);
        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_fields_model(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_field_t  *model;

    model = &fields->model;

    model->start = value->start;
    model->end = value->end;

    if (value->type != NGX_HTTP_LLM_JSON_STRING
        || value->text.len > NGX_HTTP_LLM_MAX_MODEL)
    {
        model->state = NGX_HTTP_LLM_FIELD_OTHER;
        return NGX_OK;
    }

    model->value.data = ngx_pnalloc(fields->pool, value->text.len + 1);
    if (model->value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(model->value.data, value->text.data, value->text.len);

    model->value.len = value->text.len;
    model->state = NGX_HTTP_LLM_FIELD_STRING;

    return NGX_OK;
}
