
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_multipart.h"


typedef enum {
    sw_content = 0,
    sw_delimiter,
    sw_delimiter_dash,
    sw_delimiter_lf,
    sw_header,
    sw_end
} ngx_http_llm_multipart_state_e;


static ngx_int_t ngx_http_llm_multipart_boundary(ngx_str_t *content_type,
    ngx_str_t *boundary);
static void ngx_http_llm_multipart_content(ngx_http_llm_multipart_t *mp,
    u_char *data, size_t len);
static void ngx_http_llm_multipart_part_end(ngx_http_llm_multipart_t *mp,
    off_t end);
static ngx_uint_t ngx_http_llm_multipart_wanted(u_char *header, size_t len);
static ngx_uint_t ngx_http_llm_multipart_param(u_char **pos, u_char *last,
    ngx_str_t *name, ngx_str_t *value);


ngx_int_t
ngx_http_llm_multipart_create(ngx_pool_t *pool, ngx_str_t *content_type,
    ngx_http_llm_multipart_t **multipart)
{
    u_char                    *p;
    ngx_str_t                  boundary;
    ngx_http_llm_multipart_t  *mp;

    if (ngx_http_llm_multipart_boundary(content_type, &boundary) != NGX_OK) {
        return NGX_DECLINED;
    }

    mp = ngx_pcalloc(pool, sizeof(ngx_http_llm_multipart_t));
    if (mp == NULL) {
        return NGX_ERROR;
    }

    mp->delimiter.len = sizeof(CRLF "--") - 1 + boundary.len;

    p = ngx_pnalloc(pool, mp->delimiter.len + NGX_HTTP_LLM_MAX_PART_HEADER
                          + NGX_HTTP_LLM_MAX_MODEL);
    if (p == NULL) {
        return NGX_ERROR;
    }

    mp->delimiter.data = p;

    p = ngx_cpymem(p, CRLF "--", sizeof(CRLF "--") - 1);
    p = ngx_cpymem(p, boundary.data, boundary.len);

    mp->header = p;
    mp->value = p + NGX_HTTP_LLM_MAX_PART_HEADER;

    /* the first boundary has no CRLF in front */

    mp->matched = sizeof(CRLF) - 1;

    *multipart = mp;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_multipart_boundary(ngx_str_t *content_type, ngx_str_t *boundary)
{
    u_char      *p, *last;
    ngx_str_t    name, value;
    ngx_uint_t   i;

    p = content_type->data;
    last = p + content_type->len;

    while (ngx_http_llm_multipart_param(&p, last, &name, &value)) {

        if (name.len != sizeof("boundary") - 1
            || ngx_strncasecmp(name.data, (u_char *) "boundary", name.len)
               != 0)
        {
            continue;
        }

        if (value.len == 0 || value.len > NGX_HTTP_LLM_MAX_BOUNDARY) {
            return NGX_DECLINED;
        }

        for (i = 0; i < value.len; i++) {
            if (value.data[i] < ' ' || value.data[i] >= 0x7f) {
                return NGX_DECLINED;
            }
        }

        *boundary = value;

        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_multipart_feed(ngx_http_llm_multipart_t *mp, u_char *data,
    size_t len)
{
    u_char  ch, *p, *last, *start;

    last = data + len;

    for (p = data; p < last; /* void */) {

        if (mp->state == sw_content) {

            if (mp->matched == 0) {
                start = p;

                p = memchr(p, CR, last - p);
                if (p == NULL) {
                    p = last;
                }

                ngx_http_llm_multipart_content(mp, start, p - start);

                if (p == last) {
                    break;
                }
            }

            if (*p != mp->delimiter.data[mp->matched]) {

                /* a delimiter has CR nowhere but in front */

                ngx_http_llm_multipart_content(mp, mp->delimiter.data,
                                               mp->matched);
                mp->matched = 0;

                if (*p != CR) {
                    ngx_http_llm_multipart_content(mp, p, 1);
                    p++;
                }

                continue;
            }

            p++;

            if (++mp->matched == mp->delimiter.len) {
                ngx_http_llm_multipart_part_end(mp, mp->offset + (p - data)
                                                    - mp->delimiter.len);
                mp->state = sw_delimiter;
            }

            continue;
        }

        ch = *p++;

        switch (mp->state) {

        case sw_delimiter:

            /* blanks may stand between the boundary and the line's end */

            if (ch == '-') {
                mp->state = sw_delimiter_dash;

            } else if (ch == CR) {
                mp->state = sw_delimiter_lf;

            } else if (ch != ' ' && ch != '\t') {
                return NGX_DECLINED;
            }

            break;

        case sw_delimiter_dash:

            if (ch != '-') {
                return NGX_DECLINED;
            }

            mp->state = sw_end;
            break;

        case sw_delimiter_lf:

            if (ch != LF) {
                return NGX_DECLINED;
            }

            mp->header_len = 0;
            mp->state = sw_header;
            break;

        case sw_header:

            if (mp->header_len == NGX_HTTP_LLM_MAX_PART_HEADER) {
                return NGX_DECLINED;
            }

            mp->header[mp->header_len++] = ch;

            if (ch != LF
                || !(mp->header_len == 2
                     || (mp->header_len > 3
                         && mp->header[mp->header_len - 3] == LF))
                || mp->header[mp->header_len - 2] != CR)
            {
                break;
            }

            mp->wanted = ngx_http_llm_multipart_wanted(mp->header,
                                                       mp->header_len);
            mp->value_len = 0;
            mp->start = mp->offset + (p - data);
            mp->matched = 0;
            mp->state = sw_content;
            break;

        default: /* sw_end: what follows has no meaning */

            p = last;
            break;
        }
    }

    mp->offset += len;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_multipart_finish(ngx_http_llm_multipart_t *mp)
{
    return (mp->state == sw_end) ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_llm_multipart_content(ngx_http_llm_multipart_t *mp, u_char *data,
    size_t len)
{
    if (!mp->wanted || mp->model.state != NGX_HTTP_LLM_FIELD_ABSENT) {
        return;
    }

    /* one too many tells that the value is too long */

    if (mp->value_len + len > NGX_HTTP_LLM_MAX_MODEL) {
        mp->value_len = NGX_HTTP_LLM_MAX_MODEL + 1;
        return;
    }

    ngx_memcpy(mp->value + mp->value_len, data, len);
    mp->value_len += len;
}


static void
ngx_http_llm_multipart_part_end(ngx_http_llm_multipart_t *mp, off_t end)
{
    ngx_http_llm_field_t  *model;

    if (!mp->wanted) {
        return;
    }

    mp->wanted = 0;
    model = &mp->model;

    if (mp->value_len > NGX_HTTP_LLM_MAX_MODEL) {
        model->state = NGX_HTTP_LLM_FIELD_OTHER;
        return;
    }

    /* which of two a provider reads is not known */

    if (model->state != NGX_HTTP_LLM_FIELD_ABSENT) {
        model->state = NGX_HTTP_LLM_FIELD_AMBIGUOUS;
        return;
    }

    model->state = NGX_HTTP_LLM_FIELD_STRING;
    model->value.data = mp->value;
    model->value.len = mp->value_len;
    model->start = mp->start;
    model->end = end;
}


static ngx_uint_t
ngx_http_llm_multipart_wanted(u_char *header, size_t len)
{
    u_char      *p, *last, *eol;
    ngx_str_t    name, value;
    ngx_uint_t   wanted;

    last = header + len;
    wanted = 0;

    for (p = header; p < last; p = eol + 1) {

        eol = ngx_strlchr(p, last, LF);
        if (eol == NULL) {
            break;
        }

        if (eol - p <= (ssize_t) sizeof("Content-Disposition:") - 1
            || ngx_strncasecmp(p, (u_char *) "Content-Disposition:",
                               sizeof("Content-Disposition:") - 1)
               != 0)
        {
            continue;
        }

        p += sizeof("Content-Disposition:") - 1;

        while (ngx_http_llm_multipart_param(&p, eol, &name, &value)) {

            if (name.len == 4
                && ngx_strncasecmp(name.data, (u_char *) "name", 4) == 0)
            {
                wanted = (value.len == 5
                          && ngx_strncmp(value.data, "model", 5) == 0);

            } else if (name.len >= 8
                       && ngx_strncasecmp(name.data, (u_char *) "filename", 8)
                          == 0)
            {
                return 0;
            }
        }
    }

    return wanted;
}


/* the next ";name=value" or ";name=\"value\""; moves pos behind it */

static ngx_uint_t
ngx_http_llm_multipart_param(u_char **pos, u_char *last, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p;

    p = ngx_strlchr(*pos, last, ';');

    if (p == NULL) {
        return 0;
    }

    for (p++; p < last && (*p == ' ' || *p == '\t'); p++) { /* void */ }

    name->data = p;

    while (p < last && *p != '=' && *p != ';') {
        p++;
    }

    name->len = p - name->data;

    if (p == last || *p == ';') {
        ngx_str_null(value);
        *pos = p;
        return 1;
    }

    p++;

    if (p < last && *p == '"') {
        value->data = ++p;

        while (p < last && *p != '"') {
            p += (*p == '\\' && p + 1 < last) ? 2 : 1;
        }

        value->len = p - value->data;
        *pos = p;

        return 1;
    }

    value->data = p;

    while (p < last && *p != ';' && *p != ' ' && *p != CR && *p != LF) {
        p++;
    }

    value->len = p - value->data;
    *pos = p;

    return 1;
}
