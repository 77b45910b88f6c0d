
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_text.h"
#include "ngx_http_llm_compat.h"


#define NGX_HTTP_LLM_TEXT_BUFFER  16384


static u_char *ngx_http_llm_text_room(ngx_http_llm_text_t *text);


void
ngx_http_llm_text_start(ngx_http_llm_text_t *text, ngx_pool_t *pool)
{
    ngx_memzero(text, sizeof(ngx_http_llm_text_t));

    text->pool = pool;
    text->last = &text->first;
}


/* where a piece can be written, or NULL */

static u_char *
ngx_http_llm_text_room(ngx_http_llm_text_t *text)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = text->buf;

    if (b && b->end - b->last >= NGX_HTTP_LLM_TEXT_PIECE) {
        return b->last;
    }

    if (text->failed) {
        return NULL;
    }

    text->failed = 1;

    b = ngx_create_temp_buf(text->pool, NGX_HTTP_LLM_TEXT_BUFFER);
    if (b == NULL) {
        return NULL;
    }

    cl = ngx_alloc_chain_link(text->pool);
    if (cl == NULL) {
        return NULL;
    }

    text->failed = 0;
    text->buf = b;

    cl->buf = b;
    cl->next = NULL;

    *text->last = cl;
    text->last = &cl->next;

    return b->last;
}


void
ngx_http_llm_text_add(ngx_http_llm_text_t *text, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    p = ngx_http_llm_text_room(text);
    if (p == NULL) {
        return;
    }

    va_start(args, fmt);
    text->buf->last = ngx_vslprintf(p, p + NGX_HTTP_LLM_TEXT_PIECE, fmt, args);
    va_end(args);
}


void
ngx_http_llm_text_quote(ngx_http_llm_text_t *text, const ngx_str_t *str)
{
    size_t   n;
    u_char  *p, *s, *next, *last;

    s = str->data;
    last = s + str->len;

    ngx_http_llm_text_add(text, "\"");

    while (s < last) {

        p = ngx_http_llm_text_room(text);
        if (p == NULL) {
            return;
        }

        for (n = 0; s < last && n + 4 < NGX_HTTP_LLM_TEXT_PIECE; /* void */ ) {

            if (*s == '"' || *s == '\\') {
                p[n++] = '\\';
                p[n++] = *s++;
                continue;
            }

            if (*s < 0x80) {
                p[n++] = (*s < 0x20 || *s == 0x7f) ? '?' : *s;
                s++;
                continue;
            }

            next = s;

            if (ngx_utf8_decode(&next, last - s) > 0x10ffff) {
                p[n++] = '?';
                s++;
                continue;
            }

            while (s < next) {
                p[n++] = *s++;
            }
        }

        text->buf->last = p + n;
    }

    ngx_http_llm_text_add(text, "\"");
}


void
ngx_http_llm_text_seconds(ngx_http_llm_text_t *text, uint64_t msec)
{
    ngx_http_llm_text_add(text, "%uL.%03uL", msec / 1000, msec % 1000);
}


ngx_int_t
ngx_http_llm_text_send(ngx_http_request_t *r, ngx_http_llm_text_t *text,
    ngx_uint_t status, const char *type)
{
    ngx_int_t         rc;
    ngx_chain_t      *cl;
    ngx_table_elt_t  *h;

    if (text->failed || text->first == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = 0;

    for (cl = text->first; cl; cl = cl->next) {
        r->headers_out.content_length_n += cl->buf->last - cl->buf->pos;
    }

    text->buf->last_buf = (r == r->main) ? 1 : 0;
    text->buf->last_in_chain = 1;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Cache-Control");
    ngx_str_set(&h->value, "no-store");
    ngx_http_llm_header_link(h);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, text->first);
}
