
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_fields.h"
#include "ngx_http_llm_catalog.h"
#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_ids.h"


typedef enum {
    NGX_HTTP_LLM_FIELDS_MODEL = 0,
    NGX_HTTP_LLM_FIELDS_STREAM,
    NGX_HTTP_LLM_FIELDS_STORE,
    NGX_HTTP_LLM_FIELDS_STREAM_OPTIONS,
    NGX_HTTP_LLM_FIELDS_INCLUDE_USAGE,
    NGX_HTTP_LLM_FIELDS_MAX,
    NGX_HTTP_LLM_FIELDS_SESSION = NGX_HTTP_LLM_FIELDS_MAX + 6,
    NGX_HTTP_LLM_FIELDS_MESSAGE_ROLE = NGX_HTTP_LLM_FIELDS_SESSION + 5,
    NGX_HTTP_LLM_FIELDS_INPUT_ROLE,
    NGX_HTTP_LLM_FIELDS_SKIPPED,
    NGX_HTTP_LLM_FIELDS_PROMPT_PART = NGX_HTTP_LLM_FIELDS_SKIPPED + 2,
    NGX_HTTP_LLM_FIELDS_FOREIGN = NGX_HTTP_LLM_FIELDS_PROMPT_PART
                                  + NGX_HTTP_LLM_FIELDS_PARTS,
    NGX_HTTP_LLM_FIELDS_METADATA = NGX_HTTP_LLM_FIELDS_FOREIGN + 3,
    NGX_HTTP_LLM_FIELDS_ITEM_ID,
    NGX_HTTP_LLM_FIELDS_ITEM_CONTENT,
    NGX_HTTP_LLM_FIELDS_ID
} ngx_http_llm_fields_e;


static ngx_int_t ngx_http_llm_fields_value(void *data,
    ngx_http_llm_json_value_t *value);
static ngx_int_t ngx_http_llm_fields_model(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_fields_metadata(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_fields_options(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_fields_max(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_fields_session(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);
static ngx_uint_t ngx_http_llm_fields_asks(ngx_http_llm_json_value_t *value);
static void ngx_http_llm_fields_part(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_fields_item(ngx_http_llm_fields_t *fields,
    uint64_t id);
static void ngx_http_llm_fields_id(ngx_http_llm_fields_t *fields,
    uint64_t id, ngx_uint_t max);


/*
 * In the order of the enumeration.  What says how to take a value stands in
 * front of what takes it.
 */

static const ngx_http_llm_json_path_t
    ngx_http_llm_fields_paths[NGX_HTTP_LLM_JSON_PATHS + 1] =
{
    { { "model", NULL } },
    { { "stream", NULL } },
    { { "store", NULL } },
    { { "stream_options", "**", NULL } },
    { { "stream_options", "include_usage", NULL } },

    { { "max_completion_tokens", NULL } },
    { { "max_output_tokens", NULL } },
    { { "max_tokens", NULL } },
    { { "generationConfig", "maxOutputTokens", NULL } },
    { { "generation_config", "max_output_tokens", NULL } },
    { { "options", "num_predict", NULL } },

    /* the best signal in front */

    { { "prompt_cache_key", NULL } },
    { { "metadata", "session_id", NULL } },
    { { "user", NULL } },
    { { "metadata", "user_id", NULL } },
    { { "safety_identifier", NULL } },

    { { "messages", "[1]", "role", NULL } },
    { { "input", "[1]", "role", NULL } },

    /*
     * A text may be a string in one request and a list of typed parts in the
     * next, and the marks for the cache move on.
     */

    { { "**", "type", NULL } },
    { { "**", "ttl", NULL } },

    { { "messages", "[1]", "**", NULL } },
    { { "input", "[1]", "**", NULL } },
    { { "instructions", "**", NULL } },
    { { "system", "**", NULL } },
    { { "systemInstruction", "**", NULL } },
    { { "system_instruction", "**", NULL } },
    { { "messages", "[0]", "**", NULL } },
    { { "contents", "[0]", "**", NULL } },
    { { "input", NULL } },
    { { "input", "[0]", "**", NULL } },
    { { "prompt", "**", NULL } },

    /* arguments and results of the client's own functions and its notes */

    { { "messages", "[]", "content", "[]", "input", "**", NULL } },
    { { "contents", "[]", "parts", "[]", "functionCall", "**", NULL } },
    { { "contents", "[]", "parts", "[]", "functionResponse", "**", NULL } },
    { { "metadata", "**", NULL } },

    { { "input", "[]", "id", NULL } },
    { { "input", "[]", "encrypted_content", NULL } },

    { { "conversation", "id", NULL } },
    { { "container", "id", NULL } },
    { { "file_ids", "[]", NULL } },
    { { "input_files", "[]", NULL } },
    { { "tools", "[]", "vector_store_ids", "[]", NULL } },
    { { "tools", "[]", "container", "file_ids", "[]", NULL } },
    { { "tools", "[]", "fileSearch", "fileSearchStoreNames", "[]", NULL } },
    { { "tool_resources", "file_search", "vector_store_ids", "[]", NULL } },
    { { "tool_resources", "code_interpreter", "file_ids", "[]", NULL } },
    { { "batch", "input_config", "file_name", NULL } },
    { { "**", "previous_response_id", NULL } },
    { { "**", "previous_interaction_id", NULL } },
    { { "**", "conversation", NULL } },
    { { "**", "conversation_id", NULL } },
    { { "**", "file_id", NULL } },
    { { "**", "input_file_id", NULL } },
    { { "**", "input_file", NULL } },
    { { "**", "training_file", NULL } },
    { { "**", "validation_file", NULL } },
    { { "**", "container", NULL } },
    { { "**", "container_id", NULL } },
    { { "**", "vector_store_id", NULL } },
    { { "**", "assistant_id", NULL } },
    { { "**", "thread_id", NULL } },
    { { "**", "batch_id", NULL } },
    { { "**", "cachedContent|cached_content", NULL } },
    { { "**", "fileUri|file_uri", NULL } },
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
    fields->rank = NGX_MAX_UINT32_VALUE;
    fields->skipped = -1;
    fields->foreign = -1;

    fields->json = ngx_http_llm_json_create(pool, ngx_http_llm_fields_paths,
                                            0, ngx_http_llm_fields_value,
                                            fields);
    if (fields->json == NULL) {
        return NULL;
    }

    fields->json->whole = (uint64_t) 1 << NGX_HTTP_LLM_FIELDS_METADATA
                          | (uint64_t) 1 << NGX_HTTP_LLM_FIELDS_STREAM_OPTIONS;

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
    uint64_t                     hash;
    ngx_uint_t                   i, n;
    ngx_http_llm_fields_part_t  *part;

    /* an answer of a model is not there in the first request */

    if (!fields->second_message) {
        fields->parts[0].len = 0;
    }

    if (!fields->second_input) {
        fields->parts[1].len = 0;
    }

    /* parts are hashed in our order, whichever order the body has */

    hash = NGX_HTTP_LLM_HASH_START;
    n = 0;

    for (i = 0; i < NGX_HTTP_LLM_FIELDS_PARTS; i++) {
        part = &fields->parts[i];

        if (part->len) {
            hash = ngx_http_llm_hash_update(hash, (u_char *) &part->hash,
                                            sizeof(part->hash));
            n++;
        }
    }

    if (n) {
        fields->prompt = ngx_http_llm_hash_final(hash);
    }

    n = ngx_min(fields->nitems, NGX_HTTP_LLM_FIELDS_ITEMS);

    for (i = 0; i < n; i++) {
        ngx_http_llm_fields_id(fields, fields->items[i],
                               NGX_HTTP_LLM_FIELDS_IDS);
    }

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
        return NGX_OK;

    case NGX_HTTP_LLM_FIELDS_STORE:
        fields->store = (value->type == NGX_HTTP_LLM_JSON_TRUE);
        fields->no_store = (value->type == NGX_HTTP_LLM_JSON_FALSE);
        return NGX_OK;

    case NGX_HTTP_LLM_FIELDS_STREAM_OPTIONS:
        ngx_http_llm_fields_options(fields, value);
        return NGX_OK;

    case NGX_HTTP_LLM_FIELDS_INCLUDE_USAGE:
        fields->options.usage = (value->type == NGX_HTTP_LLM_JSON_TRUE)
                                ? NGX_HTTP_LLM_OPTION_TRUE
                                : NGX_HTTP_LLM_OPTION_OTHER;
        fields->options.usage_start = value->start;
        fields->options.usage_end = value->end;

        if (value->type >= NGX_HTTP_LLM_JSON_OBJECT) {
            fields->options.state = NGX_HTTP_LLM_OPTIONS_OTHER;
        }

        return NGX_OK;

    case NGX_HTTP_LLM_FIELDS_MESSAGE_ROLE:
        fields->second_message = ngx_http_llm_fields_asks(value);
        return NGX_OK;

    case NGX_HTTP_LLM_FIELDS_INPUT_ROLE:
        fields->second_input = ngx_http_llm_fields_asks(value);
        return NGX_OK;
    }

    if (value->path < NGX_HTTP_LLM_FIELDS_SESSION) {
        ngx_http_llm_fields_max(fields, value);
        return NGX_OK;
    }

    if (value->path < NGX_HTTP_LLM_FIELDS_MESSAGE_ROLE) {
        ngx_http_llm_fields_session(fields, value);
        return NGX_OK;
    }

    if (value->path < NGX_HTTP_LLM_FIELDS_PROMPT_PART) {
        fields->skipped = value->start;
        return NGX_OK;
    }

    if (value->path < NGX_HTTP_LLM_FIELDS_FOREIGN) {
        ngx_http_llm_fields_part(fields, value);
        return NGX_OK;
    }

    if (value->path == NGX_HTTP_LLM_FIELDS_METADATA) {
        ngx_http_llm_fields_metadata(fields, value);
    }

    if (value->path < NGX_HTTP_LLM_FIELDS_ITEM_ID) {
        fields->foreign = value->start;
        return NGX_OK;
    }

    if (value->type != NGX_HTTP_LLM_JSON_STRING
        || value->start == fields->foreign)
    {
        return NGX_OK;
    }

    switch (value->path) {

    case NGX_HTTP_LLM_FIELDS_ITEM_ID:

        if (ngx_http_llm_ids_reasoning(&value->text)) {
            ngx_http_llm_fields_item(fields,
                                     ngx_http_llm_ids_hash(&value->text));
        }

        break;

    case NGX_HTTP_LLM_FIELDS_ITEM_CONTENT:
        ngx_http_llm_fields_item(fields,
                                 ngx_http_llm_ids_content(&value->text));
        break;

    default:
        ngx_http_llm_fields_id(fields, ngx_http_llm_ids_hash(&value->text),
                               NGX_HTTP_LLM_FIELDS_IDS
                               - NGX_HTTP_LLM_FIELDS_ITEMS);
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


static void
ngx_http_llm_fields_metadata(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_metadata_t  *metadata;

    metadata = &fields->metadata;

    if (fields->json->depth > 1) {

        if (value->type != NGX_HTTP_LLM_JSON_STRING) {
            metadata->state = NGX_HTTP_LLM_METADATA_OTHER;
        }

        return;
    }

    metadata->end = value->end;

    switch (value->type) {

    case NGX_HTTP_LLM_JSON_END:
        return;

    case NGX_HTTP_LLM_JSON_OBJECT:
        metadata->state = NGX_HTTP_LLM_METADATA_STRINGS;
        break;

    case NGX_HTTP_LLM_JSON_NULL:
        metadata->state = NGX_HTTP_LLM_METADATA_NULL;
        break;

    default:
        metadata->state = NGX_HTTP_LLM_METADATA_OTHER;
    }

    metadata->start = fields->json->ended;
    metadata->first = (fields->json->members == 1);
}


static void
ngx_http_llm_fields_options(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_options_t  *options;

    options = &fields->options;

    if (fields->json->depth > 1) {
        options->members++;
        return;
    }

    if (value->type == NGX_HTTP_LLM_JSON_END) {
        return;
    }

    ngx_memzero(options, sizeof(ngx_http_llm_options_t));

    switch (value->type) {

    case NGX_HTTP_LLM_JSON_OBJECT:
        options->state = NGX_HTTP_LLM_OPTIONS_OBJECT;
        break;

    case NGX_HTTP_LLM_JSON_NULL:
        options->state = NGX_HTTP_LLM_OPTIONS_NULL;
        break;

    default:
        options->state = NGX_HTTP_LLM_OPTIONS_OTHER;
    }

    options->start = value->start;
    options->end = value->end;
}


static void
ngx_http_llm_fields_max(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value)
{
    size_t      i;
    ngx_uint_t  n;

    if (value->type != NGX_HTTP_LLM_JSON_NUMBER) {
        return;
    }

    n = 0;

    for (i = 0; i < value->text.len; i++) {

        if (value->text.data[i] < '0' || value->text.data[i] > '9') {
            return;
        }

        n = ngx_min(n * 10 + (value->text.data[i] - '0'),
                    NGX_HTTP_LLM_MAX_TOKENS);
    }

    fields->max_tokens = ngx_max(fields->max_tokens, n);
}


static void
ngx_http_llm_fields_session(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value)
{
    if (value->type != NGX_HTTP_LLM_JSON_STRING
        || value->text.len == 0
        || value->path > fields->rank)
    {
        return;
    }

    fields->rank = value->path;
    fields->session = ngx_http_llm_hash_final(
                          ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                                   value->text.data,
                                                   value->text.len));
}


static ngx_uint_t
ngx_http_llm_fields_asks(ngx_http_llm_json_value_t *value)
{
    return value->type == NGX_HTTP_LLM_JSON_STRING
           && ngx_http_llm_catalog_has("user system developer", &value->text);
}


static void
ngx_http_llm_fields_part(ngx_http_llm_fields_t *fields,
    ngx_http_llm_json_value_t *value)
{
    u_char                       number;
    size_t                       len;
    ngx_uint_t                   i;
    ngx_http_llm_fields_part_t  *part;

    i = value->path - NGX_HTTP_LLM_FIELDS_PROMPT_PART;
    part = &fields->parts[i];

    if ((value->type != NGX_HTTP_LLM_JSON_STRING
         && value->type != NGX_HTTP_LLM_JSON_NUMBER)
        || value->start == fields->skipped
        || value->text.len == 0
        || part->len == NGX_HTTP_LLM_FIELDS_PROMPT)
    {
        return;
    }

    if (part->len == 0) {
        number = (u_char) i;
        part->hash = ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                              &number, 1);
    }

    len = ngx_min(value->text.len, NGX_HTTP_LLM_FIELDS_PROMPT - part->len);

    part->hash = ngx_http_llm_hash_update(part->hash, value->text.data, len);
    part->len += len;

    /* "ab", "c" is not "a", "bc" */

    part->hash = ngx_http_llm_hash_update(part->hash, (u_char *) "", 1);
}


/* there may be more items than places: the latest are the ones still known */

static void
ngx_http_llm_fields_item(ngx_http_llm_fields_t *fields, uint64_t id)
{
    fields->items[fields->nitems++ % NGX_HTTP_LLM_FIELDS_ITEMS] = id;
}


static void
ngx_http_llm_fields_id(ngx_http_llm_fields_t *fields, uint64_t id,
    ngx_uint_t max)
{
    ngx_uint_t  i;

    if (id == 0 || fields->nids >= max) {
        return;
    }

    for (i = 0; i < fields->nids; i++) {
        if (fields->ids[i] == id) {
            return;
        }
    }

    fields->ids[fields->nids++] = id;
}
