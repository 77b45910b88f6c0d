
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_mask.h"


static u_char *ngx_http_llm_mask_find(ngx_str_t *secret, u_char *pos,
    u_char *last);


ngx_uint_t
ngx_http_llm_mask(ngx_http_llm_mask_t *mask, ngx_str_t *secret, u_char *pos,
    u_char *last)
{
    size_t      n, rest;
    u_char     *p;
    ngx_uint_t  found;

    found = 0;

    if (secret->len < NGX_HTTP_LLM_MASK_MIN) {
        return 0;
    }

    if (mask && mask->matched) {

        /* the rest of what the last piece began */

        rest = secret->len - mask->matched;
        n = ngx_min(rest, (size_t) (last - pos));

        if (ngx_memcmp(pos, secret->data + mask->matched, n) == 0) {
            ngx_memset(pos, '*', n);
            found = 1;

            pos += n;
            mask->matched = (n < rest) ? mask->matched + n : 0;

            if (mask->matched) {
                return 1;
            }

        } else {
            mask->matched = 0;
        }
    }

    for ( ;; ) {
        p = ngx_http_llm_mask_find(secret, pos, last);

        if (p == NULL) {
            return found;
        }

        n = ngx_min(secret->len, (size_t) (last - p));

        if (n < secret->len) {

            if (mask == NULL) {
                return found;
            }

            mask->matched = n;

            /* may be anything that begins alike, as all keys of a kind do */

            if (n >= NGX_HTTP_LLM_MASK_SHOWN) {
                ngx_memset(p, '*', n);
                found = 1;
            }

            return found;
        }

        ngx_memset(p, '*', n);
        found = 1;

        pos = p + n;
    }
}


/* an occurrence, or the beginning of one that the end cuts off */

static u_char *
ngx_http_llm_mask_find(ngx_str_t *secret, u_char *pos, u_char *last)
{
    size_t   n;
    u_char  *p;

    for (p = pos; p < last; p++) {

        p = memchr(p, secret->data[0], last - p);
        if (p == NULL) {
            return NULL;
        }

        n = ngx_min(secret->len, (size_t) (last - p));

        if (ngx_memcmp(p, secret->data, n) == 0) {
            return p;
        }
    }

    return NULL;
}
