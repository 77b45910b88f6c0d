
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_hash.h"
#include "ngx_http_llm_ids.h"


static ngx_http_llm_ids_entry_t *ngx_http_llm_ids_set(
    ngx_http_llm_ids_t *map, uint64_t id);


uint64_t
ngx_http_llm_ids_hash(ngx_str_t *id)
{
    u_char      *p, *last, *start;
    ngx_uint_t   uri;

    start = id->data;
    last = start + id->len;
    uri = 0;

    for (p = start; p < last; p++) {

        if (*p == '?' || *p == '#') {
            last = p;
            break;
        }

        if (*p == ':' && last - p > 2 && p[1] == '/' && p[2] == '/') {
            uri = 1;
        }
    }

    while (last > start && last[-1] == '/') {
        last--;
    }

    for (p = last; p > start && p[-1] != '/'; p--) { /* void */ }

    if (p == last) {
        return 0;
    }

    if (uri
        && (p - start < (ssize_t) sizeof("/files/") - 1
            || ngx_strncmp(p - (sizeof("/files/") - 1), "/files/",
                           sizeof("/files/") - 1)
               != 0))
    {
        return 0;
    }

    return ngx_http_llm_hash_final(
               ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START, p, last - p));
}


ngx_uint_t
ngx_http_llm_ids_reasoning(ngx_str_t *id)
{
    return id->len > sizeof("rs_") - 1
           && ngx_strncmp(id->data, "rs_", sizeof("rs_") - 1) == 0;
}


uint64_t
ngx_http_llm_ids_content(ngx_str_t *content)
{
    size_t  len;

    if (content->len == 0) {
        return 0;
    }

    len = ngx_min(content->len, NGX_HTTP_LLM_IDS_CONTENT);

    return ngx_http_llm_hash_final(
               ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                        content->data, len));
}


size_t
ngx_http_llm_ids_size(ngx_uint_t n)
{
    n = (n + NGX_HTTP_LLM_IDS_WAYS - 1) / NGX_HTTP_LLM_IDS_WAYS;

    return sizeof(ngx_http_llm_ids_t)
           + ngx_max(n, 1) * NGX_HTTP_LLM_IDS_WAYS
             * sizeof(ngx_http_llm_ids_entry_t);
}


void
ngx_http_llm_ids_init(void *mem, ngx_uint_t n)
{
    ngx_http_llm_ids_t *map = mem;

    ngx_memzero(mem, ngx_http_llm_ids_size(n));

    n = (n + NGX_HTTP_LLM_IDS_WAYS - 1) / NGX_HTTP_LLM_IDS_WAYS;

    map->nsets = ngx_max(n, 1);
}


void
ngx_http_llm_ids_inherit(ngx_http_llm_ids_t *map, ngx_http_llm_ids_t *old)
{
    uint64_t                   n;
    ngx_uint_t                 i;
    ngx_http_llm_ids_entry_t  *entry;

    /* what is in front stays in front */

    for (i = NGX_HTTP_LLM_IDS_WAYS; i; i--) {

        for (n = 0; n < old->nsets; n++) {
            entry = &old->sets[n][i - 1];

            ngx_http_llm_ids_learn(map, entry->id, entry->group,
                                   entry->learned);
        }
    }
}


void
ngx_http_llm_ids_learn(ngx_http_llm_ids_t *map, uint64_t id, uint64_t group,
    uint32_t now)
{
    ngx_uint_t                 i;
    ngx_http_llm_ids_entry_t  *set;

    if (id == 0 || group == 0) {
        return;
    }

    set = ngx_http_llm_ids_set(map, id);

    for (i = 0; i < NGX_HTTP_LLM_IDS_WAYS - 1; i++) {
        if (set[i].id == id || set[i].id == 0) {
            break;
        }
    }

    ngx_memmove(&set[1], &set[0], i * sizeof(ngx_http_llm_ids_entry_t));

    set[0].id = id;
    set[0].group = group;
    set[0].learned = now;
}


uint64_t
ngx_http_llm_ids_find(ngx_http_llm_ids_t *map, uint64_t id)
{
    ngx_uint_t                 i;
    ngx_http_llm_ids_entry_t  *set;

    if (id == 0) {
        return 0;
    }

    set = ngx_http_llm_ids_set(map, id);

    for (i = 0; i < NGX_HTTP_LLM_IDS_WAYS; i++) {
        if (set[i].id == id) {
            return set[i].group;
        }
    }

    return 0;
}


void
ngx_http_llm_ids_forget(ngx_http_llm_ids_t *map, uint64_t id)
{
    ngx_uint_t                 i;
    ngx_http_llm_ids_entry_t  *set;

    if (id == 0) {
        return;
    }

    set = ngx_http_llm_ids_set(map, id);

    for (i = 0; i < NGX_HTTP_LLM_IDS_WAYS; i++) {

        if (set[i].id != id) {
            continue;
        }

        ngx_memmove(&set[i], &set[i + 1],
                    (NGX_HTTP_LLM_IDS_WAYS - 1 - i)
                    * sizeof(ngx_http_llm_ids_entry_t));
        ngx_memzero(&set[NGX_HTTP_LLM_IDS_WAYS - 1],
                    sizeof(ngx_http_llm_ids_entry_t));

        return;
    }
}


static ngx_http_llm_ids_entry_t *
ngx_http_llm_ids_set(ngx_http_llm_ids_t *map, uint64_t id)
{
    return map->sets[(id >> 32) * map->nsets >> 32];
}
