
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_request.h"
#include "ngx_http_llm_body.h"
#include "ngx_http_llm_route.h"
#include "ngx_http_llm_try.h"


/* shorter keys would be found in innocent headers */

#define NGX_HTTP_LLM_MIN_CREDENTIAL  4


/* the text takes the place of what is between start and end */

typedef struct {
    off_t                             start;
    off_t                             end;
    ngx_str_t                         text;
} ngx_http_llm_edit_t;


typedef struct {
    ngx_str_t                         uri;
    ngx_str_t                         args;
    ngx_str_t                         model;       /* as it is sent */
    off_t                             length;      /* of the body, -1: none */
    const ngx_http_llm_door_t        *door;
    const ngx_http_llm_auth_form_t   *auth;
    ngx_chain_t                      *body;
    ngx_http_llm_edit_t               edits[3];    /* of the body, in order */
    ngx_uint_t                        nedits;
    unsigned                          leaks:1;     /* look into every header */
    unsigned                          required:1;  /* the provider's header is
                                                      there */
} ngx_http_llm_request_t;


static ngx_int_t ngx_http_llm_request_head(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_request_t *req);
static u_char *ngx_http_llm_request_lines(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req, u_char *dst, u_char **pos, u_char *last);
static u_char *ngx_http_llm_request_line(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req, u_char *dst, u_char *line, u_char *last);
static ngx_uint_t ngx_http_llm_request_drops(ngx_http_llm_request_t *req,
    u_char *name, size_t len);
static u_char *ngx_http_llm_request_protocols(ngx_http_llm_ctx_t *ctx,
    u_char *dst, u_char *line, u_char *last);
static ngx_int_t ngx_http_llm_request_args(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_request_t *req);
static ngx_uint_t ngx_http_llm_request_has_key(ngx_http_llm_ctx_t *ctx,
    u_char *pos, u_char *last);
static ngx_int_t ngx_http_llm_request_body(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_request_t *req);
static ngx_uint_t ngx_http_llm_request_renamed(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req);
static ngx_uint_t ngx_http_llm_request_refused(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req);
static ngx_uint_t ngx_http_llm_request_counted(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_request_t *req);
static void ngx_http_llm_request_count(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req);
static ngx_int_t ngx_http_llm_request_rename(ngx_pool_t *pool,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_request_t *req, ngx_chain_t *in,
    ngx_uint_t refused);
static void ngx_http_llm_request_remove(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req, ngx_chain_t *in);
static void ngx_http_llm_request_edit(ngx_http_llm_request_t *req,
    off_t start, off_t end, ngx_str_t *text);
static ngx_int_t ngx_http_llm_request_splice(ngx_http_request_t *r,
    ngx_http_llm_request_t *req, ngx_chain_t *in);
static ngx_chain_t *ngx_http_llm_request_source(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx);
static ngx_int_t ngx_http_llm_request_copy(ngx_pool_t *pool, ngx_chain_t *in,
    off_t start, off_t end, ngx_chain_t ***out);
static ngx_int_t ngx_http_llm_request_slice(ngx_pool_t *pool, u_char *pos,
    u_char *last, ngx_chain_t ***out);
static off_t ngx_http_llm_request_find(ngx_chain_t *in, off_t start,
    u_char c);


/*
 * Headers that never reach a provider: credentials, what tells about the
 * client and the way it came, accounts that the key would not fit to, and
 * those that are written anew.
 */

static const char  ngx_http_llm_dropped[] =
    "authorization proxy-authorization x-api-key api-key x-goog-api-key "
    "x-litellm-api-key ocp-apim-subscription-key "
    "cookie forwarded x-real-ip "
    "openai-organization openai-project x-goog-user-project "
    "host accept-encoding content-length";


ngx_int_t
ngx_http_llm_request_build(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_llm_target_t    *target;
    ngx_http_llm_request_t    req;
    ngx_http_llm_upstream_t  *upstream;

    ngx_memzero(&req, sizeof(ngx_http_llm_request_t));

    target = &ctx->targets[ctx->target];
    upstream = target->upstream;

    ngx_http_llm_route_model(ctx, target, &req.model);

    /* only targets that have a door are entered */

    req.door = ngx_http_llm_path_door(&ctx->path, &upstream->site);

    if (ngx_http_llm_path_build(r->pool, &ctx->path, &upstream->site,
                                req.door, &req.model, &req.uri)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!upstream->anonymous) {
        req.auth = upstream->auth ? upstream->auth : req.door->auth;
    }

    if (ngx_http_llm_request_args(r, ctx, &req) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_llm_request_body(r, ctx, &req);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_llm_request_head(r, ctx, &req);
}


/*
 * The head is one buffer that begins with "METHOD uri HTTP/1.x".  With
 * proxy_set_body the body stands behind it in the same buffer.
 */

static ngx_int_t
ngx_http_llm_request_head(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    size_t                          len;
    u_char                         *p, *line, *last, *dst, *start;
    ngx_buf_t                      *b, *head;
    ngx_http_llm_try_t             *try;
    ngx_http_upstream_t            *u;
    ngx_http_llm_upstream_t        *upstream;
    const ngx_http_llm_provider_t  *provider;

    u = r->upstream;
    try = ctx->try;
    upstream = try->upstream;
    provider = upstream->provider;

    head = u->request_bufs->buf;
    last = head->last;

    if (ngx_strncmp(head->pos, "PRI * HTTP/2", sizeof("PRI * HTTP/2") - 1)
        == 0)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"proxy_http_version 2\" is not supported for "
                      "upstream \"%V\"", &upstream->name);
        return NGX_DECLINED;
    }

    len = head->last - head->pos
          + req->uri.len + 1 + req->args.len
          + sizeof("Host: " CRLF) - 1 + upstream->host.len
          + sizeof("Accept-Encoding: identity" CRLF) - 1
          + sizeof("Content-Length: " CRLF) - 1 + NGX_OFF_T_LEN
          + provider->header.len + sizeof(": " CRLF) - 1 + provider->value.len;

    if (req->auth) {
        len += req->auth->header.len + sizeof(": " CRLF) - 1
               + req->auth->prefix.len + try->secret.len;
    }

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    /* the request line, with the path at the provider */

    line = ngx_strlchr(head->pos, last, LF);

    if (line == NULL || u->uri.data < head->pos || u->uri.data > line) {
        return NGX_ERROR;
    }

    dst = ngx_cpymem(b->pos, head->pos, u->uri.data - head->pos);

    p = u->uri.data + u->uri.len;

    u->uri.data = dst;

    dst = ngx_cpymem(dst, req->uri.data, req->uri.len);

    if (req->args.len) {
        *dst++ = '?';
        dst = ngx_cpymem(dst, req->args.data, req->args.len);
    }

    u->uri.len = dst - u->uri.data;

    dst = ngx_cpymem(dst, p, line + 1 - p);

    dst = ngx_cpymem(dst, "Host: ", sizeof("Host: ") - 1);
    dst = ngx_cpymem(dst, upstream->host.data, upstream->host.len);
    dst = ngx_cpymem(dst, CRLF, sizeof(CRLF) - 1);

    line++;
    p = line;
    start = dst;

    dst = ngx_http_llm_request_lines(ctx, req, start, &p, last);

    if (p < last && ngx_http_llm_request_has_key(ctx, p, last)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"proxy_set_body\" has the client's key in it, which "
                      "is not for upstream \"%V\"", &upstream->name);
        return NGX_DECLINED;
    }

    if (ngx_http_llm_request_has_key(ctx, start, dst)) {
        req->leaks = 1;
        p = line;

        dst = ngx_http_llm_request_lines(ctx, req, start, &p, last);
    }

    dst = ngx_cpymem(dst, "Accept-Encoding: identity" CRLF,
                     sizeof("Accept-Encoding: identity" CRLF) - 1);

    if (req->length >= 0) {
        dst = ngx_sprintf(dst, "Content-Length: %O" CRLF, req->length);
    }

    if (provider->header.len && !req->required) {
        dst = ngx_sprintf(dst, "%V: %V" CRLF, &provider->header,
                          &provider->value);
    }

    if (req->auth) {
        dst = ngx_sprintf(dst, "%V: %V%V" CRLF, &req->auth->header,
                          &req->auth->prefix, &try->secret);
    }

    *dst++ = CR; *dst++ = LF;

    b->last = ngx_cpymem(dst, p, last - p);

    u->request_bufs->buf = b;

    if (req->body) {
        u->request_bufs->next = req->body;

    } else if (u->request_bufs->next == NULL) {
        b->flush = 1;
    }

    return NGX_OK;
}


/* all headers; moves pos behind the empty line */

static u_char *
ngx_http_llm_request_lines(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req, u_char *dst, u_char **pos, u_char *last)
{
    u_char  *line, *eol;

    for (line = *pos; line < last; line = eol + 1) {

        eol = ngx_strlchr(line, last, LF);

        if (eol == NULL) {
            eol = last - 1;
        }

        if (*line == CR) {
            line = eol + 1;
            break;
        }

        dst = ngx_http_llm_request_line(ctx, req, dst, line, eol + 1);
    }

    *pos = line;

    return dst;
}


/* one header with its CRLF: copied, or not */

static u_char *
ngx_http_llm_request_line(ngx_http_llm_ctx_t *ctx, ngx_http_llm_request_t *req,
    u_char *dst, u_char *line, u_char *last)
{
    size_t                          len;
    u_char                         *colon;
    const ngx_http_llm_provider_t  *provider;

    colon = ngx_strlchr(line, last, ':');

    if (colon == NULL) {
        return dst;
    }

    len = colon - line;

    if (ngx_http_llm_request_drops(req, line, len)) {
        return dst;
    }

    if (len == sizeof("Sec-WebSocket-Protocol") - 1
        && ngx_strncasecmp(line, (u_char *) "Sec-WebSocket-Protocol", len)
           == 0)
    {
        return ngx_http_llm_request_protocols(ctx, dst, line, last);
    }

    if (req->leaks
        && !(len == sizeof("Content-Type") - 1
             && ngx_strncasecmp(line, (u_char *) "Content-Type", len) == 0)
        && ngx_http_llm_request_has_key(ctx, colon, last))
    {
        return dst;
    }

    provider = ctx->try->upstream->provider;

    if (len == provider->header.len
        && ngx_strncasecmp(line, provider->header.data, len) == 0)
    {
        req->required = 1;
    }

    return ngx_cpymem(dst, line, last - line);
}


static ngx_uint_t
ngx_http_llm_request_drops(ngx_http_llm_request_t *req, u_char *name,
    size_t len)
{
    u_char       low[32];
    ngx_str_t    text;

    if (req->auth
        && len == req->auth->header.len
        && ngx_strncasecmp(name, req->auth->header.data, len) == 0)
    {
        return 1;
    }

    if (len > sizeof("x-forwarded-") - 1
        && ngx_strncasecmp(name, (u_char *) "x-forwarded-",
                           sizeof("x-forwarded-") - 1)
           == 0)
    {
        return 1;
    }

    /* most headers end here */

    switch (len) {

    case sizeof("host") - 1:
    case sizeof("cookie") - 1:
    case sizeof("api-key") - 1:
    case sizeof("x-api-key") - 1:           /* forwarded, x-real-ip */
    case sizeof("authorization") - 1:
    case sizeof("x-goog-api-key") - 1:      /* openai-project, content-length */
    case sizeof("accept-encoding") - 1:
    case sizeof("x-litellm-api-key") - 1:
    case sizeof("proxy-authorization") - 1: /* openai-organization,
                                               x-goog-user-project */
    case sizeof("ocp-apim-subscription-key") - 1:
        break;

    default:
        return 0;
    }

    ngx_strlow(low, name, len);

    text.data = low;
    text.len = len;

    if (!ngx_http_llm_catalog_has(ngx_http_llm_dropped, &text)) {
        return 0;
    }

    /* the length that proxy_set_body made is right */

    return !(req->length < 0
             && len == sizeof("content-length") - 1
             && low[0] == 'c');
}


/* less the item that is a key: "realtime, openai-insecure-api-key.KEY" */

static u_char *
ngx_http_llm_request_protocols(ngx_http_llm_ctx_t *ctx, u_char *dst,
    u_char *line, u_char *last)
{
    u_char      *p, *end, *start;
    ngx_uint_t   items;

    start = dst;
    p = ngx_strlchr(line, last, ':') + 1;

    dst = ngx_cpymem(dst, line, p - line);

    items = 0;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ',' || *p == CR || *p == LF)) {
            p++;
        }

        for (end = p; end < last && *end != ',' && *end != CR; end++) {
            /* void */
        }

        if (end == p) {
            break;
        }

        if ((size_t) (end - p) < sizeof(NGX_HTTP_LLM_WEBSOCKET_KEY) - 1
            || (ngx_strncmp(p, NGX_HTTP_LLM_WEBSOCKET_KEY,
                            sizeof(NGX_HTTP_LLM_WEBSOCKET_KEY) - 1)
                != 0))
        {
            if (!ngx_http_llm_request_has_key(ctx, p, end)) {
                *dst++ = items++ ? ',' : ' ';
                dst = ngx_cpymem(dst, p, end - p);
            }
        }

        p = end;
    }

    if (items == 0) {
        return start;
    }

    *dst++ = CR; *dst++ = LF;

    return dst;
}


/* arguments without "key", and without any that has the client's key */

static ngx_int_t
ngx_http_llm_request_args(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    size_t      len;
    u_char     *p, *end, *last, *dst, *plain, *from, *to;
    ngx_uint_t  rename;

    if (r->args.len == 0) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, r->args.len + req->model.len
                               + 2 * ngx_escape_uri(NULL, req->model.data,
                                                    req->model.len,
                                                    NGX_ESCAPE_ARGS));
    if (dst == NULL) {
        return NGX_ERROR;
    }

    plain = ngx_pnalloc(r->pool, r->args.len);
    if (plain == NULL) {
        return NGX_ERROR;
    }

    /* a model that is nowhere else, as in "/realtime?model=" */

    rename = (ctx->path.model.len == 0
              && (ctx->field == NULL
                  || ctx->field->state == NGX_HTTP_LLM_FIELD_ABSENT)
              && (req->model.len != ctx->model.len
                  || ngx_memcmp(req->model.data, ctx->model.data,
                                req->model.len) != 0));

    req->args.data = dst;

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        len = end - p;

        if (len == 0) {
            continue;
        }

        from = p;
        to = plain;

        ngx_unescape_uri(&to, &from, len, 0);

        if ((to - plain >= 4
             && ngx_strncasecmp(plain, (u_char *) "key=", 4) == 0)
            || ngx_http_llm_request_has_key(ctx, plain, to))
        {
            continue;
        }

        if (dst > req->args.data) {
            *dst++ = '&';
        }

        if (rename && len > 6 && ngx_strncmp(p, "model=", 6) == 0) {
            dst = ngx_cpymem(dst, p, 6);
            dst = (u_char *) ngx_escape_uri(dst, req->model.data,
                                            req->model.len, NGX_ESCAPE_ARGS);
            rename = 0;

        } else {
            dst = ngx_cpymem(dst, p, len);
        }
    }

    req->args.len = dst - req->args.data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_request_has_key(ngx_http_llm_ctx_t *ctx, u_char *pos,
    u_char *last)
{
    ngx_str_t   *key;
    ngx_uint_t   i;

    key = ctx->credentials;

    for (i = 0; i < ctx->ncredentials; i++) {
        if (key[i].len >= NGX_HTTP_LLM_MIN_CREDENTIAL
            && (size_t) (last - pos) >= key[i].len
            && memmem(pos, last - pos, key[i].data, key[i].len) != NULL)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Nothing else in a body changes than the model's name, the metadata, and with
 * llm_stream_usage the options of a stream.
 */

static ngx_int_t
ngx_http_llm_request_body(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    ngx_uint_t    renamed, refused, counted;
    ngx_chain_t  *cl, *in;

    req->length = -1;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    /* not there with proxy_pass_request_body off, and with proxy_set_body */

    if (r->upstream->request_bufs->next == NULL) {
        return NGX_OK;
    }

    req->length = 0;

    for (cl = r->upstream->request_bufs->next; cl; cl = cl->next) {
        req->length += ngx_buf_size(cl->buf);
    }

    renamed = ngx_http_llm_request_renamed(ctx, req);
    refused = ngx_http_llm_request_refused(ctx, req);
    counted = ngx_http_llm_request_counted(r, ctx, req);

    ctx->hides = counted;

    if (!renamed && !refused && !counted) {
        return NGX_OK;
    }

    in = ngx_http_llm_request_source(r, ctx);
    if (in == NULL) {
        return NGX_ERROR;
    }

    if (renamed
        && ngx_http_llm_request_rename(r->pool, ctx, req, in, refused)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (counted) {
        ngx_http_llm_request_count(ctx, req);
    }

    if (refused) {
        ngx_http_llm_request_remove(ctx, req, in);
    }

    return ngx_http_llm_request_splice(r, req, in);
}


static ngx_uint_t
ngx_http_llm_request_renamed(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    ngx_http_llm_field_t  *field;

    field = ctx->field;

    if (field == NULL || req->model.len == 0) {
        return 0;
    }

    /*
     * A form without the field is one that needs none.  A path that names
     * the model does so for all who know such paths.
     */

    if (field->state == NGX_HTTP_LLM_FIELD_ABSENT) {
        return ctx->fields && ctx->path.deployment;
    }

    return !(field->state == NGX_HTTP_LLM_FIELD_STRING
             && field->value.len == req->model.len
             && ngx_memcmp(field->value.data, req->model.data, req->model.len)
                == 0);
}


/* whether the provider would refuse the request for its metadata */

static ngx_uint_t
ngx_http_llm_request_refused(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    ngx_uint_t              rule;
    ngx_http_llm_fields_t  *fields;

    static ngx_str_t  responses = ngx_string("/responses");

    fields = ctx->fields;

    if (fields == NULL
        || fields->metadata.state == NGX_HTTP_LLM_METADATA_ABSENT
        || !ctx->path.inference
        || (req->door->shape != NGX_HTTP_LLM_OPENAI
            && req->door->shape != NGX_HTTP_LLM_NATIVE))
    {
        return 0;
    }

    rule = ctx->targets[ctx->target].upstream->provider->metadata;

    if (rule != NGX_HTTP_LLM_METADATA_STORED) {
        return rule == NGX_HTTP_LLM_METADATA_NONE;
    }

    switch (fields->metadata.state) {

    case NGX_HTTP_LLM_METADATA_NULL:
        return 0;

    case NGX_HTTP_LLM_METADATA_STRINGS:

        /* responses are stored unless the request says otherwise */

        return !fields->store
               && !(ctx->path.rest.len == responses.len
                    && ngx_strncmp(ctx->path.rest.data, responses.data,
                                   responses.len)
                       == 0);

    default: /* NGX_HTTP_LLM_METADATA_OTHER */
        return 1;
    }
}


/* whether usage is asked for that the client did not ask for */

static ngx_uint_t
ngx_http_llm_request_counted(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    ngx_http_llm_options_t   *options;
    ngx_http_llm_loc_conf_t  *llcf;

    static ngx_str_t  chat = ngx_string("/chat/completions");

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_llm_balancer_module);

    if (!llcf->stream_usage
        || ctx->fields == NULL
        || !ctx->fields->stream
        || req->door->shape != NGX_HTTP_LLM_OPENAI
        || ctx->path.rest.len != chat.len
        || ngx_strncmp(ctx->path.rest.data, chat.data, chat.len) != 0)
    {
        return 0;
    }

    options = &ctx->fields->options;

    return options->state != NGX_HTTP_LLM_OPTIONS_OTHER
           && options->usage != NGX_HTTP_LLM_OPTION_TRUE;
}


/* "stream" is another member, so that commas are needed */

static void
ngx_http_llm_request_count(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req)
{
    ngx_str_t                text;
    ngx_http_llm_options_t  *options;

    options = &ctx->fields->options;

    switch (options->state) {

    case NGX_HTTP_LLM_OPTIONS_ABSENT:
        ngx_str_set(&text, "\"stream_options\":{\"include_usage\":true},");
        ngx_http_llm_request_edit(req, ctx->fields->json->open,
                                  ctx->fields->json->open, &text);
        return;

    case NGX_HTTP_LLM_OPTIONS_NULL:
        ngx_str_set(&text, ":{\"include_usage\":true}");
        ngx_http_llm_request_edit(req, options->start, options->end, &text);
        return;
    }

    /* state == NGX_HTTP_LLM_OPTIONS_OBJECT */

    if (options->usage == NGX_HTTP_LLM_OPTION_OTHER) {
        ngx_str_set(&text, ":true");
        ngx_http_llm_request_edit(req, options->usage_start,
                                  options->usage_end, &text);
        return;
    }

    if (options->members) {
        ngx_str_set(&text, "\"include_usage\":true,");

    } else {
        ngx_str_set(&text, "\"include_usage\":true");
    }

    ngx_http_llm_request_edit(req, options->end, options->end, &text);
}


static ngx_int_t
ngx_http_llm_request_rename(ngx_pool_t *pool, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req, ngx_chain_t *in, ngx_uint_t refused)
{
    u_char                *p;
    ngx_str_t              text;
    ngx_http_llm_json_t   *json;
    ngx_http_llm_field_t  *field;

    field = ctx->field;

    if (ctx->fields == NULL) {
        ngx_http_llm_request_edit(req, field->start, field->end, &req->model);
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, sizeof("\"model\":\"\",") - 1 + req->model.len
                          + ngx_escape_json(NULL, req->model.data,
                                            req->model.len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.data = p;

    if (field->state == NGX_HTTP_LLM_FIELD_ABSENT) {
        p = ngx_cpymem(p, "\"model\":", sizeof("\"model\":") - 1);
    }

    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, req->model.data, req->model.len);
    *p++ = '"';

    if (field->state == NGX_HTTP_LLM_FIELD_ABSENT) {
        json = ctx->fields->json;

        if (json->members > refused) {
            *p++ = ',';
        }

        text.len = p - text.data;

        ngx_http_llm_request_edit(req, json->open, json->open, &text);

        return NGX_OK;
    }

    text.len = p - text.data;

    ngx_http_llm_request_edit(req,
                              ngx_http_llm_request_find(in, field->start, '"'),
                              field->end, &text);

    return NGX_OK;
}


/* a member goes with the comma in front of it, the first with the one behind */

static void
ngx_http_llm_request_remove(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_request_t *req, ngx_chain_t *in)
{
    off_t                     end;
    ngx_str_t                 text;
    ngx_http_llm_metadata_t  *metadata;

    metadata = &ctx->fields->metadata;
    end = metadata->end;

    if (metadata->first && ctx->fields->json->members > 1) {
        end = ngx_http_llm_request_find(in, end, ',') + 1;
    }

    ngx_str_null(&text);

    ngx_http_llm_request_edit(req, metadata->start, end, &text);
}


static void
ngx_http_llm_request_edit(ngx_http_llm_request_t *req, off_t start, off_t end,
    ngx_str_t *text)
{
    ngx_http_llm_edit_t  *edit;

    edit = &req->edits[req->nedits++];

    for ( /* void */ ; edit > req->edits && edit[-1].start > start; edit--) {
        *edit = edit[-1];
    }

    edit->start = start;
    edit->end = end;
    edit->text = *text;
}


static ngx_int_t
ngx_http_llm_request_splice(ngx_http_request_t *r, ngx_http_llm_request_t *req,
    ngx_chain_t *in)
{
    off_t                 pos, length;
    ngx_uint_t            i;
    ngx_chain_t          *cl, **out;
    ngx_http_llm_edit_t  *edit;

    out = &req->body;
    pos = 0;
    length = req->length;

    for (i = 0; i < req->nedits; i++) {
        edit = &req->edits[i];

        if (ngx_http_llm_request_copy(r->pool, in, pos, edit->start, &out)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (edit->text.len
            && ngx_http_llm_request_slice(r->pool, edit->text.data,
                                          edit->text.data + edit->text.len,
                                          &out)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        pos = edit->end;
        req->length += edit->text.len - (edit->end - edit->start);
    }

    if (ngx_http_llm_request_copy(r->pool, in, pos, length, &out) != NGX_OK) {
        return NGX_ERROR;
    }

    for (cl = req->body; cl->next; cl = cl->next) { /* void */ }

    cl->buf->flush = 1;

    return NGX_OK;
}


/*
 * The body in memory.  A file is mapped: nginx puts file positions of a
 * request that is sent again where they would be without splices.
 */

static ngx_chain_t *
ngx_http_llm_request_source(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    ngx_chain_t  *cl, **out;

    if (r->request_body->temp_file == NULL) {
        return r->request_body->bufs;
    }

    if (ctx->mapped.len == 0
        && ngx_http_llm_body_map(r, &ctx->mapped) != NGX_OK)
    {
        return NULL;
    }

    out = &cl;

    if (ngx_http_llm_request_slice(r->pool, ctx->mapped.data,
                                   ctx->mapped.data + ctx->mapped.len, &out)
        != NGX_OK)
    {
        return NULL;
    }

    return cl;
}


static ngx_int_t
ngx_http_llm_request_copy(ngx_pool_t *pool, ngx_chain_t *in, off_t start,
    off_t end, ngx_chain_t ***out)
{
    off_t    size, from, to;
    u_char  *pos;

    for ( /* void */ ; in && end > 0; in = in->next) {

        pos = in->buf->pos;
        size = in->buf->last - pos;

        from = ngx_max(start, 0);
        to = ngx_min(end, size);

        if (from < to
            && ngx_http_llm_request_slice(pool, pos + from, pos + to, out)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        start -= size;
        end -= size;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_request_slice(ngx_pool_t *pool, u_char *pos, u_char *last,
    ngx_chain_t ***out)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    /* a request that is sent again begins at start */

    b->memory = 1;
    b->start = pos;
    b->pos = pos;
    b->last = last;
    b->end = last;

    cl->buf = b;
    cl->next = NULL;

    **out = cl;
    *out = &cl->next;

    return NGX_OK;
}


/* the next such byte: in front of it are only white space and a ":" */

static off_t
ngx_http_llm_request_find(ngx_chain_t *in, off_t start, u_char c)
{
    off_t    offset, size;
    u_char  *p;

    for (offset = 0; in; in = in->next) {

        size = in->buf->last - in->buf->pos;

        if (start < offset + size) {
            p = memchr(in->buf->pos + (start - offset), c,
                       offset + size - start);
            if (p) {
                return offset + (p - in->buf->pos);
            }

            start = offset + size;
        }

        offset += size;
    }

    return start;
}
