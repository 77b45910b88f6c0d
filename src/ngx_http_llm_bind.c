
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_bind.h"
#include "ngx_http_llm_ids.h"

#include <ngx_http.h>


/* an id follows in the path */

static const char  ngx_http_llm_bind_collections[] =
    "files uploads batches responses threads runs vector_stores file_batches "
    "jobs checkpoints conversations containers assistants evals videos "
    "completions interactions libraries documents agents skills "
    "cachedContents operations fileSearchStores tunedModels corpora";

/* or one of these does, which is a method */

static const char  ngx_http_llm_bind_methods[] =
    "compact input_tokens search edits extensions characters delete";


typedef enum {
    NGX_HTTP_LLM_BIND_NOTHING = 0,
    NGX_HTTP_LLM_BIND_COLLECTION,
    NGX_HTTP_LLM_BIND_ID,
    NGX_HTTP_LLM_BIND_METHOD
} ngx_http_llm_bind_end_e;


/* what a value must be */

typedef enum {
    NGX_HTTP_LLM_BIND_ANY = 0,
    NGX_HTTP_LLM_BIND_RESOURCE,          /* "files/abc" */
    NGX_HTTP_LLM_BIND_REASONING,         /* an id of a reasoning item */
    NGX_HTTP_LLM_BIND_CONTENT,           /* not an id, but as good as one */
    NGX_HTTP_LLM_BIND_MODEL
} ngx_http_llm_bind_form_e;


static ngx_uint_t ngx_http_llm_bind_walk(ngx_http_llm_path_t *path,
    uint64_t *ids, ngx_uint_t *end);


const ngx_http_llm_json_path_t  ngx_http_llm_bind_paths[] = {
    { { "id", NULL } },
    { { "response", "id", NULL } },
    { { "file", "id", NULL } },
    { { "thread_id", NULL } },
    { { "conversation_id", NULL } },
    { { "conversation", "id", NULL } },
    { { "output_file_id", NULL } },
    { { "error_file_id", NULL } },
    { { "output_file", NULL } },
    { { "error_file", NULL } },
    { { "fine_tuned_model", NULL } },

    { { "data", "[]", "id", NULL } },
    { { "data", "[]", "output_file_id", NULL } },
    { { "data", "[]", "error_file_id", NULL } },
    { { "data", "[]", "fine_tuned_model", NULL } },

    { { "name", NULL } },
    { { "file", "name", NULL } },
    { { "files", "[]", "name", NULL } },
    { { "cachedContents", "[]", "name", NULL } },
    { { "operations", "[]", "name", NULL } },
    { { "tunedModels", "[]", "name", NULL } },
    { { "fileSearchStores", "[]", "name", NULL } },
    { { "response", "responsesFile", NULL } },
    { { "metadata", "output", "responsesFile", NULL } },

    { { "output", "[]", "id", NULL } },
    { { "item", "id", NULL } },
    { { "output", "[]", "encrypted_content", NULL } },
    { { "item", "encrypted_content", NULL } },
    { { "output", "[]", "container_id", NULL } },
    { { "item", "container_id", NULL } },
    { { "container", "id", NULL } },
    { { "message", "container", "id", NULL } },
    { { "delta", "container", "id", NULL } },
    { { NULL } }
};


/* in the order of the paths */

static const struct {
    ngx_uint_t  reads;
    ngx_uint_t  form;
} ngx_http_llm_bind_values[] = {
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_OBJECT, NGX_HTTP_LLM_BIND_MODEL },

    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_MODEL },

    { NGX_HTTP_LLM_READ_NAME, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_NAME, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_LIST, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_NAME, NGX_HTTP_LLM_BIND_RESOURCE },
    { NGX_HTTP_LLM_READ_NAME, NGX_HTTP_LLM_BIND_RESOURCE },

    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_REASONING },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_REASONING },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_CONTENT },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_CONTENT },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_ANY },
    { NGX_HTTP_LLM_READ_ITEMS, NGX_HTTP_LLM_BIND_ANY }
};


ngx_uint_t
ngx_http_llm_bind_path(ngx_http_llm_path_t *path, uint64_t *ids)
{
    ngx_uint_t  end;

    return ngx_http_llm_bind_walk(path, ids, &end);
}


/* end is what the path ends with */

static ngx_uint_t
ngx_http_llm_bind_walk(ngx_http_llm_path_t *path, uint64_t *ids,
    ngx_uint_t *end)
{
    u_char      *p, *last, *colon;
    ngx_str_t    segment;
    ngx_uint_t   n, collection;

    p = path->rest.data;
    last = p + path->rest.len;

    n = 0;
    collection = 0;
    *end = NGX_HTTP_LLM_BIND_NOTHING;

    while (p < last) {

        if (*p == '/') {
            p++;
            continue;
        }

        segment.data = p;
        p = memchr(p, '/', last - p);
        p = p ? p : last;
        segment.len = p - segment.data;

        if (ngx_http_llm_catalog_has(ngx_http_llm_bind_collections,
                                     &segment))
        {
            collection = 1;
            *end = NGX_HTTP_LLM_BIND_COLLECTION;
            continue;
        }

        if (!collection
            || ngx_http_llm_catalog_has(ngx_http_llm_bind_methods, &segment))
        {
            if (*end != NGX_HTTP_LLM_BIND_NOTHING) {
                *end = NGX_HTTP_LLM_BIND_METHOD;
            }

            collection = 0;
            continue;
        }

        collection = 0;
        *end = NGX_HTTP_LLM_BIND_ID;

        if (path->shape == NGX_HTTP_LLM_GEMINI) {
            colon = memchr(segment.data, ':', segment.len);

            if (colon) {
                segment.len = colon - segment.data;
                *end = NGX_HTTP_LLM_BIND_METHOD;
            }
        }

        if (n < NGX_HTTP_LLM_BIND_IDS) {
            ids[n] = ngx_http_llm_ids_hash(&segment);
            n += (ids[n] != 0);
        }
    }

    return n;
}


uint64_t
ngx_http_llm_bind_model(ngx_str_t *model)
{
    u_char     *p, *last;
    ngx_str_t   name;

    /* a vendor, or the name of an upstream, may stand in front */

    last = model->data + model->len;

    for (p = last; p > model->data && p[-1] != '/'; p--) { /* void */ }

    name.data = p;
    name.len = last - p;

    if ((name.len > 3
         && (ngx_strncmp(name.data, "ft:", 3) == 0
             || ngx_strncmp(name.data, "ag:", 3) == 0))
        || (model->len > sizeof("tunedModels/") - 1
            && ngx_strncmp(model->data, "tunedModels/",
                           sizeof("tunedModels/") - 1)
               == 0))
    {
        return ngx_http_llm_ids_hash(&name);
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_bind_reads(ngx_uint_t method, ngx_http_llm_path_t *path,
    ngx_http_llm_fields_t *fields)
{
    u_char      *p, *last;
    uint64_t     ids[NGX_HTTP_LLM_BIND_IDS];
    ngx_str_t    first;
    ngx_uint_t   n, end, gemini;

    n = ngx_http_llm_bind_walk(path, ids, &end);

    gemini = (path->shape == NGX_HTTP_LLM_GEMINI);

    if (method == NGX_HTTP_GET) {

        if (end == NGX_HTTP_LLM_BIND_ID) {
            return NGX_HTTP_LLM_READ_OBJECT
                   | (gemini ? NGX_HTTP_LLM_READ_NAME : 0);
        }

        /* what is below a known thing is found through that one */

        return (end == NGX_HTTP_LLM_BIND_COLLECTION && n == 0)
               ? NGX_HTTP_LLM_READ_LIST : 0;
    }

    if (!(method & (NGX_HTTP_POST|NGX_HTTP_PUT|NGX_HTTP_PATCH))) {
        return 0;
    }

    last = path->rest.data + path->rest.len;
    first.data = path->rest.data + (path->rest.len != 0);

    for (p = first.data; p < last && *p != '/'; p++) { /* void */ }

    first.len = p - first.data;

    if (ngx_http_llm_catalog_has("responses", &first)) {
        return NGX_HTTP_LLM_READ_TOKENS|NGX_HTTP_LLM_READ_ITEMS
               | ((fields && fields->no_store) ? 0 : NGX_HTTP_LLM_READ_OBJECT);
    }

    if (path->inference && n == 0) {

        if (ngx_http_llm_catalog_has("messages", &first)) {
            return NGX_HTTP_LLM_READ_TOKENS|NGX_HTTP_LLM_READ_ITEMS;
        }

        return NGX_HTTP_LLM_READ_TOKENS
               | ((fields && fields->store) ? NGX_HTTP_LLM_READ_OBJECT : 0);
    }

    if (gemini) {
        return NGX_HTTP_LLM_READ_TOKENS|NGX_HTTP_LLM_READ_OBJECT
               |NGX_HTTP_LLM_READ_NAME;
    }

    return (end == NGX_HTTP_LLM_BIND_NOTHING)
           ? 0 : NGX_HTTP_LLM_READ_TOKENS|NGX_HTTP_LLM_READ_OBJECT;
}


uint64_t
ngx_http_llm_bind_value(ngx_uint_t reads, ngx_uint_t i,
    ngx_http_llm_json_value_t *value)
{
    if (value->type != NGX_HTTP_LLM_JSON_STRING
        || !(ngx_http_llm_bind_values[i].reads & reads))
    {
        return 0;
    }

    switch (ngx_http_llm_bind_values[i].form) {

    case NGX_HTTP_LLM_BIND_RESOURCE:
        if (ngx_strlchr(value->text.data, value->text.data + value->text.len,
                        '/')
            == NULL)
        {
            return 0;
        }

        break;

    case NGX_HTTP_LLM_BIND_REASONING:
        if (!ngx_http_llm_ids_reasoning(&value->text)) {
            return 0;
        }

        break;

    case NGX_HTTP_LLM_BIND_CONTENT:
        return ngx_http_llm_ids_content(&value->text);

    case NGX_HTTP_LLM_BIND_MODEL:
        return ngx_http_llm_bind_model(&value->text);
    }

    return ngx_http_llm_ids_hash(&value->text);
}


uint64_t
ngx_http_llm_bind_forgets(ngx_uint_t method, ngx_http_llm_path_t *path)
{
    uint64_t    ids[NGX_HTTP_LLM_BIND_IDS];
    ngx_uint_t  n, end;

    if (method != NGX_HTTP_DELETE) {
        return 0;
    }

    n = ngx_http_llm_bind_walk(path, ids, &end);

    /* "/vector_stores/a/files/b" takes a file out, the file remains */

    return (n == 1 && end == NGX_HTTP_LLM_BIND_ID) ? ids[0] : 0;
}
