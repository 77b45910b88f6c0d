
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_complaint.h"
#include "ngx_http_llm_catalog.h"
#include "ngx_http_llm_json.h"
#include "ngx_http_llm_limits.h"


typedef enum {
    NGX_HTTP_LLM_COMPLAINT_IS_CODE = 0,
    NGX_HTTP_LLM_COMPLAINT_IS_TYPE,      /* which may be "error" itself */
    NGX_HTTP_LLM_COMPLAINT_IS_TEXT,
    NGX_HTTP_LLM_COMPLAINT_IS_ERROR,     /* an object, or code and text */
    NGX_HTTP_LLM_COMPLAINT_IS_WAIT,
    NGX_HTTP_LLM_COMPLAINT_IS_NAME,      /* its presence is a code */
    NGX_HTTP_LLM_COMPLAINT_IS_RESULT     /* a code unless it is 0 */
} ngx_http_llm_complaint_kind_e;


typedef struct {
    ngx_http_llm_complaint_t   *complaint;
    ngx_pool_t                 *pool;
    uint64_t                    now;
    ngx_uint_t                  failed;  /* no memory */
} ngx_http_llm_complaint_ctx_t;


static ngx_int_t ngx_http_llm_complaint_value(void *data,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_complaint_code(ngx_http_llm_complaint_ctx_t *ctx,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_complaint_text(ngx_http_llm_complaint_ctx_t *ctx,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_complaint_advice(ngx_http_llm_complaint_t *complaint,
    ngx_str_t *text);
static void ngx_http_llm_complaint_wait(ngx_http_llm_complaint_t *complaint,
    ngx_msec_t wait);
static ngx_int_t ngx_http_llm_complaint_copy(ngx_http_llm_complaint_ctx_t *ctx,
    ngx_str_t *copy, ngx_str_t *text, size_t max);
static ngx_uint_t ngx_http_llm_complaint_field(ngx_str_t *line,
    const char *name);


/* the two lists go together */

static ngx_http_llm_json_path_t  ngx_http_llm_complaint_paths[] = {
    { { "error", "code", NULL } },
    { { "error", "type", NULL } },
    { { "error", "status", NULL } },
    { { "error", "reason", NULL } },
    { { "error", "details", "[]", "reason", NULL } },
    { { "error", "details", "[]", "violations", "[]", "quotaId", NULL } },
    { { "error", "metadata", "limit_source", NULL } },
    { { "error", "metadata", "reason", NULL } },
    { { "code", NULL } },
    { { "reason", NULL } },
    { { "status", NULL } },
    { { "type", NULL } },
    { { "object", NULL } },
    { { "error", NULL } },
    { { "error", "metadata", "provider_name", NULL } },
    { { "base_resp", "status_code", NULL } },
    { { "error", "message", NULL } },
    { { "message", NULL } },
    { { "detail", NULL } },
    { { "base_resp", "status_msg", NULL } },
    { { "error", "details", "[]", "retryDelay", NULL } },
    { { "error", "retry_after", NULL } },
    { { "error", "metadata", "headers", "X-RateLimit-Reset", NULL } },
    { { "retry_after", NULL } },
    { { NULL } }
};


static ngx_uint_t  ngx_http_llm_complaint_kinds[] = {
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_CODE,
    NGX_HTTP_LLM_COMPLAINT_IS_TYPE,
    NGX_HTTP_LLM_COMPLAINT_IS_TYPE,
    NGX_HTTP_LLM_COMPLAINT_IS_ERROR,
    NGX_HTTP_LLM_COMPLAINT_IS_NAME,
    NGX_HTTP_LLM_COMPLAINT_IS_RESULT,
    NGX_HTTP_LLM_COMPLAINT_IS_TEXT,
    NGX_HTTP_LLM_COMPLAINT_IS_TEXT,
    NGX_HTTP_LLM_COMPLAINT_IS_TEXT,
    NGX_HTTP_LLM_COMPLAINT_IS_TEXT,
    NGX_HTTP_LLM_COMPLAINT_IS_WAIT,
    NGX_HTTP_LLM_COMPLAINT_IS_WAIT,
    NGX_HTTP_LLM_COMPLAINT_IS_WAIT,
    NGX_HTTP_LLM_COMPLAINT_IS_WAIT
};


/* what stands in front of a time in messages */

static ngx_str_t  ngx_http_llm_complaint_advices[] = {
    ngx_string("try again in "),
    ngx_string("retry after "),
    ngx_string("retry in "),
    ngx_null_string
};


ngx_int_t
ngx_http_llm_complaint_read(ngx_http_llm_complaint_t *complaint,
    ngx_pool_t *pool, ngx_str_t *body, uint64_t now)
{
    size_t                         len;
    ngx_http_llm_json_t           *json;
    ngx_http_llm_complaint_ctx_t   ctx;

    ngx_memzero(complaint, sizeof(ngx_http_llm_complaint_t));

    len = ngx_min(body->len, NGX_HTTP_LLM_COMPLAINT_BODY);

    if (len == 0) {
        return NGX_OK;
    }

    ctx.complaint = complaint;
    ctx.pool = pool;
    ctx.now = now;
    ctx.failed = 0;

    json = ngx_http_llm_json_create(pool, ngx_http_llm_complaint_paths, 1,
                                    ngx_http_llm_complaint_value, &ctx);
    if (json == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_llm_json_feed(json, body->data, len);
    (void) ngx_http_llm_json_finish(json);

    return ctx.failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_llm_complaint_value(void *data, ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_complaint_ctx_t *ctx = data;

    ngx_str_t                  name;
    ngx_msec_t                 wait;
    ngx_http_llm_complaint_t  *complaint;
    ngx_http_llm_json_value_t  present;

    complaint = ctx->complaint;

    switch (ngx_http_llm_complaint_kinds[value->path]) {

    case NGX_HTTP_LLM_COMPLAINT_IS_TYPE:

        if (value->type == NGX_HTTP_LLM_JSON_STRING
            && value->text.len == sizeof("error") - 1
            && ngx_strncmp(value->text.data, "error", value->text.len) == 0)
        {
            complaint->error = 1;
            break;
        }

        /* fall through */

    case NGX_HTTP_LLM_COMPLAINT_IS_CODE:
        ngx_http_llm_complaint_code(ctx, value);
        break;

    case NGX_HTTP_LLM_COMPLAINT_IS_RESULT:

        if (value->text.len == 0
            || (value->text.len == 1 && value->text.data[0] == '0'))
        {
            break;
        }

        complaint->error = 1;
        ngx_http_llm_complaint_code(ctx, value);
        break;

    case NGX_HTTP_LLM_COMPLAINT_IS_ERROR:

        if (value->type == NGX_HTTP_LLM_JSON_OBJECT
            || (value->type == NGX_HTTP_LLM_JSON_STRING && value->text.len))
        {
            complaint->error = 1;
        }

        ngx_http_llm_complaint_code(ctx, value);

        /* fall through */

    case NGX_HTTP_LLM_COMPLAINT_IS_TEXT:
        ngx_http_llm_complaint_text(ctx, value);
        break;

    case NGX_HTTP_LLM_COMPLAINT_IS_NAME:

        if (value->type == NGX_HTTP_LLM_JSON_STRING) {
            ngx_str_set(&name, "provider_name");

            present = *value;
            present.text = name;

            ngx_http_llm_complaint_code(ctx, &present);
        }

        break;

    default: /* NGX_HTTP_LLM_COMPLAINT_IS_WAIT */

        if (value->type < NGX_HTTP_LLM_JSON_OBJECT
            && ngx_http_llm_limits_reset(&value->text, ctx->now, &wait)
               == NGX_OK)
        {
            ngx_http_llm_complaint_wait(complaint, wait);
        }

        break;
    }

    return ctx->failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_llm_complaint_code(ngx_http_llm_complaint_ctx_t *ctx,
    ngx_http_llm_json_value_t *value)
{
    ngx_int_t                  status;
    ngx_http_llm_complaint_t  *complaint;

    complaint = ctx->complaint;

    if ((value->type != NGX_HTTP_LLM_JSON_STRING
         && value->type != NGX_HTTP_LLM_JSON_NUMBER)
        || value->text.len == 0
        || value->text.len > NGX_HTTP_LLM_COMPLAINT_CODE
        || complaint->ncodes == NGX_HTTP_LLM_COMPLAINT_CODES)
    {
        return;
    }

    status = ngx_atoi(value->text.data, value->text.len);

    if (complaint->status == 0 && status >= 400 && status <= 599) {
        complaint->status = status;
    }

    if (ngx_http_llm_complaint_copy(ctx, &complaint->codes[complaint->ncodes],
                                    &value->text, NGX_HTTP_LLM_COMPLAINT_CODE)
        == NGX_OK)
    {
        complaint->ncodes++;
    }
}


static void
ngx_http_llm_complaint_text(ngx_http_llm_complaint_ctx_t *ctx,
    ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_complaint_t  *complaint;

    complaint = ctx->complaint;

    if (value->type != NGX_HTTP_LLM_JSON_STRING) {
        return;
    }

    ngx_http_llm_complaint_advice(complaint, &value->text);

    if (complaint->message.len == 0) {
        (void) ngx_http_llm_complaint_copy(ctx, &complaint->message,
                                           &value->text,
                                           NGX_HTTP_LLM_COMPLAINT_MESSAGE);
    }
}


/* "Please try again in 6m0s.", "Please retry after 37 seconds." */

static void
ngx_http_llm_complaint_advice(ngx_http_llm_complaint_t *complaint,
    ngx_str_t *text)
{
    u_char      *p, *last;
    ngx_str_t   *advice, time;
    ngx_msec_t   wait;

    last = text->data + text->len;

    for (advice = ngx_http_llm_complaint_advices; advice->len; advice++) {

        if (text->len <= advice->len) {
            continue;
        }

        p = ngx_strlcasestrn(text->data, last, advice->data, advice->len - 1);

        if (p == NULL) {
            continue;
        }

        p += advice->len;
        time.data = p;

        while (p < last && ((*p >= '0' && *p <= '9') || *p == '.'
                            || (*p >= 'a' && *p <= 'z')))
        {
            p++;
        }

        time.len = p - time.data;

        if (time.len && time.data[time.len - 1] == '.') {
            time.len--;
        }

        if (ngx_http_llm_limits_duration(&time, &wait) == NGX_OK) {
            ngx_http_llm_complaint_wait(complaint, wait);
            return;
        }

        /* without a unit these are seconds, if the next word says so */

        if (last - p > 4 && ngx_strncmp(p, " second", ngx_min(7, last - p))
                            == 0
            && ngx_http_llm_limits_reset(&time, 0, &wait) == NGX_OK)
        {
            ngx_http_llm_complaint_wait(complaint, wait);
            return;
        }
    }
}


static void
ngx_http_llm_complaint_wait(ngx_http_llm_complaint_t *complaint,
    ngx_msec_t wait)
{
    complaint->wait = ngx_max(complaint->wait, wait);
    complaint->waits = 1;
}


static ngx_int_t
ngx_http_llm_complaint_copy(ngx_http_llm_complaint_ctx_t *ctx,
    ngx_str_t *copy, ngx_str_t *text, size_t max)
{
    size_t  len;

    len = ngx_min(text->len, max);

    copy->data = ngx_pnalloc(ctx->pool, ngx_max(len, 1));
    if (copy->data == NULL) {
        ctx->failed = 1;
        return NGX_ERROR;
    }

    ngx_memcpy(copy->data, text->data, len);
    copy->len = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_complaint_event(ngx_str_t *text, ngx_uint_t whole,
    ngx_str_t *data, ngx_uint_t *named)
{
    u_char      *p, *last, *end, *out;
    ngx_str_t    line;
    ngx_uint_t   begun;

    p = text->data;
    last = text->data + text->len;
    out = text->data;
    begun = 0;

    data->data = out;
    *named = 0;

    for ( ;; ) {
        line.data = p;
        end = ngx_strlchr(p, last, LF);

        if (end == NULL) {

            if (!begun && p < last && *p == ':') {
                return NGX_DECLINED;
            }

            if (!whole) {
                return NGX_AGAIN;
            }

            end = last;
        }

        line.len = end - line.data;
        p = ngx_min(end + 1, last);

        if (line.len && line.data[line.len - 1] == CR) {
            line.len--;
        }

        if (line.len == 0) {

            if (begun || end == last) {
                data->len = out - data->data;
                return begun ? NGX_OK : NGX_DECLINED;
            }

            continue;
        }

        if (line.data[0] == ':' && !begun) {
            return NGX_DECLINED;
        }

        begun = 1;

        if (ngx_http_llm_complaint_field(&line, "data")) {

            /* lines of data are joined in place */

            if (out != data->data) {
                *out++ = LF;
            }

            out = ngx_movemem(out, line.data, line.len);

        } else if (ngx_http_llm_complaint_field(&line, "event")) {
            *named = (line.len == sizeof("error") - 1
                      && ngx_strncmp(line.data, "error", line.len) == 0);
        }
    }
}


/* a field of an event: if it is this one, the line becomes its value */

static ngx_uint_t
ngx_http_llm_complaint_field(ngx_str_t *line, const char *name)
{
    size_t  len;

    len = ngx_strlen(name);

    if (line->len <= len
        || ngx_strncmp(line->data, name, len) != 0
        || line->data[len] != ':')
    {
        return 0;
    }

    len++;

    if (line->len > len && line->data[len] == ' ') {
        len++;
    }

    line->data += len;
    line->len -= len;

    return 1;
}


ngx_uint_t
ngx_http_llm_complaint_has(ngx_http_llm_complaint_t *complaint,
    const char *pattern)
{
    ngx_str_t   glob;
    ngx_uint_t  i;

    glob.data = (u_char *) pattern;
    glob.len = ngx_strlen(pattern);

    for (i = 0; i < complaint->ncodes; i++) {
        if (ngx_http_llm_glob(&glob, &complaint->codes[i])) {
            return 1;
        }
    }

    return 0;
}
