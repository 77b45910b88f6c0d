
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_body.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"


typedef struct {
    void    *addr;
    size_t   len;
} ngx_http_llm_body_mapping_t;


static ngx_int_t ngx_http_llm_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_llm_body_feed(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, u_char *data, size_t len);
static ngx_int_t ngx_http_llm_body_invalid(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_body_model(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_table_elt_t *ngx_http_llm_body_encoding(ngx_http_request_t *r);
static void ngx_http_llm_body_unmap(void *data);


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;


void
ngx_http_llm_body_init(void)
{
    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_llm_body_filter;
}


static ngx_int_t
ngx_http_llm_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t            rc;
    ngx_chain_t         *cl;
    ngx_http_llm_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_llm_balancer_module);

    if (ctx == NULL || !ctx->reading) {
        return ngx_http_next_request_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        rc = ngx_http_llm_body_feed(r, ctx, cl->buf->pos,
                                    cl->buf->last - cl->buf->pos);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_http_next_request_body_filter(r, in);
}


static ngx_int_t
ngx_http_llm_body_feed(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    u_char *data, size_t len)
{
    ngx_int_t  rc;

    if (len == 0) {
        return NGX_OK;
    }

    rc = NGX_OK;

    if (ctx->fields) {
        rc = ngx_http_llm_fields_feed(ctx->fields, data, len);

    } else if (ctx->multipart) {
        rc = ngx_http_llm_multipart_feed(ctx->multipart, data, len);
    }

    return (rc == NGX_OK) ? NGX_OK : ngx_http_llm_body_invalid(r, ctx);
}


static ngx_int_t
ngx_http_llm_body_invalid(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent an invalid request body");

    return ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                              "invalid_request_error", "invalid_body",
                              ctx->fields
                              ? "The request body is not one JSON object "
                                "with nothing behind it."
                              : "The request body is not a complete "
                                "multipart/form-data body.");
}


ngx_int_t
ngx_http_llm_body_start(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    u_char           *last;
    ngx_int_t         rc;
    ngx_str_t         type;
    ngx_uint_t        json;
    ngx_table_elt_t  *encoding;

    if (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked) {

        if (ctx->path.inference && r->method == NGX_HTTP_POST) {
            return ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                      "invalid_request_error", "missing_body",
                                      "This request needs a JSON body.");
        }

        return NGX_OK;
    }

    if (ctx->path.raw) {
        return NGX_OK;
    }

    ngx_str_null(&type);

    if (r->headers_in.content_type) {
        type = r->headers_in.content_type->value;
    }

    last = type.data + type.len;

    if (type.len >= sizeof("multipart/form-data") - 1
        && ngx_strncasecmp(type.data, (u_char *) "multipart/form-data",
                           sizeof("multipart/form-data") - 1)
           == 0)
    {
        json = 0;

    } else if (ctx->path.inference
               || (type.len > 4
                   && ngx_strlcasestrn(type.data, last, (u_char *) "json",
                                       4 - 1)))
    {
        json = 1;

    } else {
        return NGX_OK;
    }

    encoding = ngx_http_llm_body_encoding(r);

    if (encoding) {
        return ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                  "invalid_request_error",
                                  "unsupported_encoding",
                                  "The request body has the encoding \"%V\". "
                                  "Send it without compression.",
                                  &encoding->value);
    }

    if (json) {
        ctx->fields = ngx_http_llm_fields_create(r->pool);

        return ctx->fields ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_llm_multipart_create(r->pool, &type, &ctx->multipart);

    if (rc == NGX_DECLINED) {
        return ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                  "invalid_request_error", "invalid_body",
                                  "The content type multipart/form-data has "
                                  "no usable boundary.");
    }

    return (rc == NGX_OK) ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_table_elt_t *
ngx_http_llm_body_encoding(ngx_http_request_t *r)
{
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    ngx_http_llm_headers_start(&headers, &r->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            return NULL;
        }

        if (ngx_http_llm_headers_is(h, "content-encoding")
            && !(h->value.len == sizeof("identity") - 1
                 && ngx_strncasecmp(h->value.data, (u_char *) "identity",
                                    h->value.len)
                    == 0))
        {
            return h;
        }
    }
}


ngx_int_t
ngx_http_llm_body_finish(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (ctx->fields) {
        rc = ngx_http_llm_fields_finish(ctx->fields);
        ctx->field = &ctx->fields->model;

    } else if (ctx->multipart) {
        rc = ngx_http_llm_multipart_finish(ctx->multipart);
        ctx->field = &ctx->multipart->model;
    }

    if (rc != NGX_OK) {
        return ngx_http_llm_body_invalid(r, ctx);
    }

    return ngx_http_llm_body_model(r, ctx);
}


static ngx_int_t
ngx_http_llm_body_model(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    u_char      *src, *dst;
    size_t       i;
    ngx_str_t    value;

    if (ctx->field) {

        switch (ctx->field->state) {

        case NGX_HTTP_LLM_FIELD_OTHER:
            (void) ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                      "invalid_request_error",
                                      "invalid_model",
                                      "\"model\" must be a string of at most "
                                      "%d bytes.", NGX_HTTP_LLM_MAX_MODEL);
            ctx->error.param = "\"model\"";
            return NGX_HTTP_BAD_REQUEST;

        case NGX_HTTP_LLM_FIELD_AMBIGUOUS:
            (void) ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                      "invalid_request_error",
                                      "invalid_model",
                                      "The form has more than one field "
                                      "\"model\".");
            ctx->error.param = "\"model\"";
            return NGX_HTTP_BAD_REQUEST;

        case NGX_HTTP_LLM_FIELD_STRING:
            ctx->model = ctx->field->value;
            break;
        }
    }

    /* a path names the model for everybody who reads the request */

    if (ctx->path.model.len) {
        ctx->model = ctx->path.model;
    }

    if (ctx->model.len == 0
        && r->args.len
        && ngx_http_arg(r, (u_char *) "model", 5, &value) == NGX_OK
        && value.len)
    {
        src = value.data;
        dst = ngx_pnalloc(r->pool, value.len);
        if (dst == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->model.data = dst;
        ngx_unescape_uri(&dst, &src, value.len, 0);
        ctx->model.len = dst - ctx->model.data;
    }

    for (i = 0; i < ctx->model.len; i++) {
        if (ctx->model.data[i] < ' ' || ctx->model.data[i] == 0x7f) {
            return ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                      "invalid_request_error", "invalid_model",
                                      "The name of the model has a control "
                                      "character.");
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_body_feed_all(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_str_t     body;
    ngx_chain_t  *cl;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    if (r->request_body->temp_file) {

        if (ngx_http_llm_body_map(r, &body) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_llm_body_feed(r, ctx, body.data, body.len);
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        rc = ngx_http_llm_body_feed(r, ctx, cl->buf->pos,
                                    cl->buf->last - cl->buf->pos);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_body_map(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_temp_file_t              *tf;
    ngx_pool_cleanup_t           *cln;
    ngx_http_llm_body_mapping_t  *mapping;

    tf = r->request_body->temp_file;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_llm_body_mapping_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    mapping = cln->data;

    mapping->len = (size_t) tf->offset;
    mapping->addr = mmap(NULL, mapping->len, PROT_READ, MAP_SHARED,
                         tf->file.fd, 0);

    if (mapping->addr == MAP_FAILED) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, ngx_errno,
                      "mmap() \"%V\" failed", &tf->file.name);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_llm_body_unmap;

    body->data = mapping->addr;
    body->len = mapping->len;

    return NGX_OK;
}


static void
ngx_http_llm_body_unmap(void *data)
{
    ngx_http_llm_body_mapping_t *mapping = data;

    (void) munmap(mapping->addr, mapping->len);
}
