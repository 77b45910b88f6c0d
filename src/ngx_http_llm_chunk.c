
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_chunk.h"
#include "ngx_http_llm_json.h"


typedef struct {
    ngx_http_llm_json_t  *json;
    unsigned              empty:1;     /* "choices": [] */
    unsigned              usage:1;     /* "usage": {...} */
} ngx_http_llm_chunk_facts_t;


static ngx_int_t ngx_http_llm_chunk_buf(ngx_http_llm_chunk_t *chunk,
    ngx_chain_t **in, ngx_chain_t ***next);
static u_char *ngx_http_llm_chunk_end(ngx_http_llm_chunk_t *chunk, u_char *p,
    u_char *last);
static ngx_int_t ngx_http_llm_chunk_keep(ngx_http_llm_chunk_t *chunk,
    u_char *p, size_t len);
static ngx_uint_t ngx_http_llm_chunk_other(u_char *p, u_char *last);
static ngx_int_t ngx_http_llm_chunk_choices(u_char *p, u_char *last);
static ngx_uint_t ngx_http_llm_chunk_is(ngx_http_llm_chunk_t *chunk,
    u_char *p, u_char *last);
static ngx_int_t ngx_http_llm_chunk_value(void *data,
    ngx_http_llm_json_value_t *value);
static ngx_int_t ngx_http_llm_chunk_slice(ngx_http_llm_chunk_t *chunk,
    u_char *pos, u_char *last, ngx_chain_t ***next);
static ngx_int_t ngx_http_llm_chunk_flush(ngx_http_llm_chunk_t *chunk,
    ngx_chain_t ***next);


static const ngx_http_llm_json_path_t  ngx_http_llm_chunk_paths[] = {
    { { "choices", "**", NULL } },
    { { "usage", "**", NULL } },
    { { NULL } }
};


ngx_http_llm_chunk_t *
ngx_http_llm_chunk_create(ngx_pool_t *pool, ngx_chain_t **free,
    ngx_buf_tag_t tag)
{
    ngx_http_llm_chunk_t  *chunk;

    chunk = ngx_pcalloc(pool, sizeof(ngx_http_llm_chunk_t));
    if (chunk == NULL) {
        return NULL;
    }

    if (ngx_array_init(&chunk->bufs, pool, 1, sizeof(ngx_buf_t *)) != NGX_OK) {
        return NULL;
    }

    chunk->pool = pool;
    chunk->free = free;
    chunk->tag = tag;

    return chunk;
}


ngx_int_t
ngx_http_llm_chunk_filter(ngx_http_llm_chunk_t *chunk, ngx_chain_t **in)
{
    while (*in) {

        if (!ngx_buf_in_memory((*in)->buf)
            || (*in)->buf->pos == (*in)->buf->last)
        {
            in = &(*in)->next;
            continue;
        }

        if (ngx_http_llm_chunk_buf(chunk, in, &in) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* puts what is to be sent of a buf in its place; next is behind that */

static ngx_int_t
ngx_http_llm_chunk_buf(ngx_http_llm_chunk_t *chunk, ngx_chain_t **in,
    ngx_chain_t ***next)
{
    u_char       *p, *end, *keep, *last;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *rest;

    cl = *in;
    rest = cl->next;
    b = cl->buf;

    keep = b->pos;
    last = b->last;

    *in = NULL;
    *next = in;

    for (p = b->pos; p < last; p = end) {

        end = ngx_http_llm_chunk_end(chunk, p, last);

        if (chunk->passes) {
            chunk->passes = (end == NULL);
            end = end ? end : last;
            continue;
        }

        if (chunk->held == NULL && end) {

            if (ngx_http_llm_chunk_is(chunk, p, end)) {
                if (ngx_http_llm_chunk_slice(chunk, keep, p, next) != NGX_OK) {
                    return NGX_ERROR;
                }

                keep = end;
            }

            continue;
        }

        /* an event in pieces */

        if (end == NULL) {
            end = last;

            if (chunk->held == NULL && ngx_http_llm_chunk_other(p, last)) {
                chunk->passes = 1;
                continue;
            }

            if (ngx_http_llm_chunk_slice(chunk, keep, p, next) != NGX_OK) {
                return NGX_ERROR;
            }

            keep = p;

            switch (ngx_http_llm_chunk_keep(chunk, p, last - p)) {

            case NGX_OK:
                keep = last;

                if (!ngx_http_llm_chunk_other(chunk->held->pos,
                                              chunk->held->last))
                {
                    continue;
                }

                break;

            case NGX_ERROR:
                return NGX_ERROR;
            }

            chunk->passes = 1;

        } else {

            switch (ngx_http_llm_chunk_keep(chunk, p, end - p)) {

            case NGX_OK:
                keep = end;

                if (ngx_http_llm_chunk_is(chunk, chunk->held->pos,
                                          chunk->held->last))
                {
                    chunk->held->last = chunk->held->pos;
                    chunk->held = NULL;
                    continue;
                }

                break;

            case NGX_ERROR:
                return NGX_ERROR;
            }
        }

        if (ngx_http_llm_chunk_flush(chunk, next) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (keep < last) {
        b->pos = keep;
        **next = cl;
        *next = &cl->next;

    } else {
        cl->next = *chunk->free;
        *chunk->free = cl;
    }

    **next = rest;

    return NGX_OK;
}


/* behind the empty line, or NULL */

static u_char *
ngx_http_llm_chunk_end(ngx_http_llm_chunk_t *chunk, u_char *p, u_char *last)
{
    u_char  *lf;

    while (p < last) {

        lf = memchr(p, LF, last - p);

        if (chunk->line == 0) {
            chunk->first = *p;
        }

        if (lf == NULL) {
            chunk->line += last - p;
            return NULL;
        }

        chunk->line += lf - p;
        p = lf + 1;

        if (chunk->line == 0 || (chunk->line == 1 && chunk->first == CR)) {
            chunk->line = 0;
            return p;
        }

        chunk->line = 0;
    }

    return NULL;
}


/* NGX_DECLINED: there is no room, so that it is another event */

static ngx_int_t
ngx_http_llm_chunk_keep(ngx_http_llm_chunk_t *chunk, u_char *p, size_t len)
{
    ngx_buf_t   *b, **bufs, **slot;
    ngx_uint_t   i;

    b = chunk->held;

    if (b == NULL) {

        if (len > NGX_HTTP_LLM_CHUNK_SIZE) {
            return NGX_DECLINED;
        }

        bufs = chunk->bufs.elts;

        for (i = 0; i < chunk->bufs.nelts; i++) {
            if (bufs[i]->pos == bufs[i]->last) {
                b = bufs[i];
                b->pos = b->start;
                b->last = b->start;
                break;
            }
        }

        if (b == NULL) {
            b = ngx_create_temp_buf(chunk->pool, NGX_HTTP_LLM_CHUNK_SIZE);
            if (b == NULL) {
                return NGX_ERROR;
            }

            b->tag = (ngx_buf_tag_t) &ngx_http_llm_chunk_filter;
            b->flush = 1;

            slot = ngx_array_push(&chunk->bufs);
            if (slot == NULL) {
                return NGX_ERROR;
            }

            *slot = b;
        }

        chunk->held = b;
    }

    if (len > (size_t) (b->end - b->last)) {
        return NGX_DECLINED;
    }

    b->last = ngx_cpymem(b->last, p, len);

    return NGX_OK;
}


/* whether the beginning of an event is one of another */

static ngx_uint_t
ngx_http_llm_chunk_other(u_char *p, u_char *last)
{
    u_char  *cr;

    if (last - p > NGX_HTTP_LLM_CHUNK_SIZE) {
        return 1;
    }

    /* lines that end with CR alone are not looked into */

    cr = memchr(p, CR, last - p);

    if (cr && cr + 1 < last && cr[1] != LF) {
        return 1;
    }

    if (ngx_http_llm_chunk_choices(p, last) == NGX_DECLINED) {
        return 1;
    }

    if (last - p < (ssize_t) sizeof("data: ") - 1
        || ngx_strncmp(p, "data:", sizeof("data:") - 1) != 0)
    {
        return 0;
    }

    p += sizeof("data:") - 1;

    if (*p == ' ') {
        p++;
    }

    return p < last && *p != '{';
}


/*
 * NGX_OK: there are empty choices.  NGX_DECLINED: there are others.  NGX_AGAIN:
 * none so far.  Inside of a string the name would have a backslash behind it.
 */

static ngx_int_t
ngx_http_llm_chunk_choices(u_char *p, u_char *last)
{
    static u_char  name[] = "\"choices\"";
    static u_char  signs[] = ":[";

    size_t  i;

    p = memmem(p, last - p, name, sizeof(name) - 1);

    if (p == NULL) {
        return NGX_AGAIN;
    }

    p += sizeof(name) - 1;

    for (i = 0; i < sizeof(signs); i++) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
            p++;
        }

        if (p == last) {
            return NGX_AGAIN;
        }

        if (i == sizeof(signs) - 1) {
            break;
        }

        if (*p++ != signs[i]) {
            return NGX_DECLINED;
        }
    }

    return (*p == ']') ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_llm_chunk_is(ngx_http_llm_chunk_t *chunk, u_char *p, u_char *last)
{
    u_char                      *end;
    ngx_int_t                    rc;
    ngx_pool_t                  *pool;
    ngx_http_llm_chunk_facts_t   facts;

    if (last - p > NGX_HTTP_LLM_CHUNK_SIZE
        || ngx_http_llm_chunk_choices(p, last) != NGX_OK)
    {
        return 0;
    }

    pool = ngx_create_pool(1024, chunk->pool->log);
    if (pool == NULL) {
        return 0;
    }

    ngx_memzero(&facts, sizeof(ngx_http_llm_chunk_facts_t));

    rc = NGX_DECLINED;

    facts.json = ngx_http_llm_json_create(pool, ngx_http_llm_chunk_paths, 0,
                                          ngx_http_llm_chunk_value, &facts);
    if (facts.json) {
        facts.json->whole = 0x03;
        rc = NGX_OK;
    }

    for ( /* void */ ; p < last && rc == NGX_OK; p = end + 1) {

        end = memchr(p, LF, last - p);

        if (end == NULL) {
            break;
        }

        if (end - p > (ssize_t) sizeof("data:") - 1
            && ngx_strncmp(p, "data:", sizeof("data:") - 1) == 0)
        {
            p += sizeof("data:") - 1;
            rc = ngx_http_llm_json_feed(facts.json, p, end - p);
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_json_finish(facts.json);
    }

    ngx_destroy_pool(pool);

    return rc == NGX_OK && facts.empty && facts.usage;
}


static ngx_int_t
ngx_http_llm_chunk_value(void *data, ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_chunk_facts_t *facts = data;

    if (value->type == NGX_HTTP_LLM_JSON_END) {
        return NGX_OK;
    }

    if (value->path == 0) {
        facts->empty = (facts->json->depth == 1
                        && value->type == NGX_HTTP_LLM_JSON_ARRAY);

    } else if (facts->json->depth == 1) {
        facts->usage = (value->type == NGX_HTTP_LLM_JSON_OBJECT);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_chunk_slice(ngx_http_llm_chunk_t *chunk, u_char *pos,
    u_char *last, ngx_chain_t ***next)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (pos == last) {
        return NGX_OK;
    }

    cl = ngx_chain_get_free_buf(chunk->pool, chunk->free);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b = cl->buf;

    b->flush = 1;
    b->memory = 1;
    b->tag = chunk->tag;
    b->pos = pos;
    b->last = last;

    cl->next = NULL;

    **next = cl;
    *next = &cl->next;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_chunk_flush(ngx_http_llm_chunk_t *chunk, ngx_chain_t ***next)
{
    ngx_chain_t  *cl;

    if (chunk->held == NULL) {
        return NGX_OK;
    }

    cl = ngx_alloc_chain_link(chunk->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = chunk->held;
    cl->next = NULL;

    **next = cl;
    *next = &cl->next;

    chunk->held = NULL;

    return NGX_OK;
}


ngx_buf_t *
ngx_http_llm_chunk_rest(ngx_http_llm_chunk_t *chunk)
{
    ngx_buf_t  *b;

    b = chunk->held;

    chunk->held = NULL;

    return b;
}
