
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_count.h"


const ngx_msec_t  ngx_http_llm_count_first[] = {
    1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500,
    10000, 0
};

const ngx_msec_t  ngx_http_llm_count_duration[] = {
    10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960,
    81920, 0, 0, 0
};


void
ngx_http_llm_count_add(ngx_http_llm_spent_t *to,
    const ngx_http_llm_spent_t *spent)
{
    to->requests += spent->requests;
    to->input += spent->input;
    to->output += spent->output;
    to->cached += spent->cached;
    to->reasoning += spent->reasoning;
}


void
ngx_http_llm_count_name(ngx_http_llm_count_names_t *names, uint64_t hash,
    const ngx_str_t *name, const ngx_http_llm_spent_t *spent)
{
    ngx_uint_t                   i;
    ngx_http_llm_count_entry_t  *entry;

    for (i = 0; i < names->n; i++) {
        if (names->hashes[i] == hash) {
            ngx_http_llm_count_add(&names->entries[i].spent, spent);
            return;
        }
    }

    if (i == names->max && spent->requests) {

        /* in the place of one that was only named */

        for (i = 0; i < names->n; i++) {
            if (names->entries[i].spent.requests == 0) {
                break;
            }
        }
    }

    if (i == names->max || name->len > NGX_HTTP_LLM_COUNT_NAME_LEN) {
        ngx_http_llm_count_add(&names->other, spent);
        return;
    }

    names->n = ngx_max(names->n, i + 1);
    names->hashes[i] = hash;

    entry = &names->entries[i];

    entry->len = name->len;
    ngx_memcpy(entry->name, name->data, name->len);
    entry->spent = *spent;
}


void
ngx_http_llm_count_copy(ngx_http_llm_count_names_t *to,
    const ngx_http_llm_count_names_t *from)
{
    ngx_uint_t  i;

    to->other = from->other;

    for (i = 0; i < from->n; i++) {

        if (i >= to->max) {
            ngx_http_llm_count_add(&to->other, &from->entries[i].spent);
            continue;
        }

        to->hashes[i] = from->hashes[i];
        to->entries[i] = from->entries[i];
        to->n = i + 1;
    }
}


size_t
ngx_http_llm_count_find(ngx_http_llm_count_names_t *names, uint64_t hash,
    u_char *name)
{
    ngx_uint_t                   i;
    ngx_http_llm_count_entry_t  *entry;

    for (i = 0; i < names->n; i++) {
        entry = &names->entries[i];

        if (names->hashes[i] == hash) {
            ngx_memcpy(name, entry->name, entry->len);
            return entry->len;
        }
    }

    return 0;
}


void
ngx_http_llm_count_time(ngx_http_llm_histogram_t *histogram,
    const ngx_msec_t *bounds, ngx_msec_t time)
{
    ngx_uint_t  i;

    for (i = 0; bounds[i] && time > bounds[i]; i++) {
        /* void */
    }

    histogram->counts[i]++;
    histogram->sum += time;
}
