
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_headers.h"


void
ngx_http_llm_headers_start(ngx_http_llm_headers_t *headers, ngx_list_t *list)
{
    headers->part = &list->part;
    headers->i = 0;
}


ngx_table_elt_t *
ngx_http_llm_headers_next(ngx_http_llm_headers_t *headers)
{
    ngx_table_elt_t  *h;

    while (headers->i >= headers->part->nelts) {

        if (headers->part->next == NULL) {
            return NULL;
        }

        headers->part = headers->part->next;
        headers->i = 0;
    }

    h = headers->part->elts;

    return &h[headers->i++];
}


ngx_uint_t
ngx_http_llm_headers_is(ngx_table_elt_t *h, const char *name)
{
    return h->key.len == ngx_strlen(name)
           && ngx_strncmp(h->lowcase_key, name, h->key.len) == 0;
}
