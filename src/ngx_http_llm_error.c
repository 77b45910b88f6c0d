
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_error.h"


/* room for a model's name and for what stands around it */

#define NGX_HTTP_LLM_ERROR_LEN  (NGX_HTTP_LLM_MAX_MODEL + 512)


typedef struct {
    ngx_uint_t    status;
    const char   *type;         /* OpenAI's, and Anthropic's if that is NULL */
    const char   *anthropic;
    const char   *gemini;
    const char   *message;      /* for answers that nginx gives */
} ngx_http_llm_error_row_t;


/*
 * OpenHands, by way of LiteLLM, takes any invalid_request_error for a 400 and
 * the words "rate limit" for a 429, whatever the status is: so these stand
 * only where they are meant.
 */

static ngx_http_llm_error_row_t  ngx_http_llm_errors[] = {

    { 400, "invalid_request_error", NULL, "INVALID_ARGUMENT",
      "the request is not valid HTTP" },
    { 401, "authentication_error", NULL, "UNAUTHENTICATED",
      "the request is not authorized" },
    { 403, "permission_error", NULL, "PERMISSION_DENIED",
      "the request is not allowed" },
    { 404, "invalid_request_error", "not_found_error", "NOT_FOUND",
      "there is nothing at this path" },
    { 405, "invalid_request_error", NULL, "INVALID_ARGUMENT",
      "the method is not allowed at this path" },
    { 408, "timeout_error", NULL, "DEADLINE_EXCEEDED",
      "the request took too long to arrive" },
    { 413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT",
      "the request body is larger than this gateway accepts" },
    { 414, "invalid_request_error", NULL, "INVALID_ARGUMENT",
      "the request line is too long" },
    { 429, "rate_limit_error", NULL, "RESOURCE_EXHAUSTED",
      "too many requests at once" },
    { 500, "server_error", "api_error", "INTERNAL",
      "the gateway failed" },
    { 502, "server_error", "api_error", "UNAVAILABLE",
      "the provider could not be reached" },
    { 503, "server_error", "overloaded_error", "UNAVAILABLE",
      "the service is not available at the moment" },
    { 504, "timeout_error", NULL, "DEADLINE_EXCEEDED",
      "the provider did not answer in time" },

    { 0,   NULL, NULL, NULL, NULL }
};


static ngx_http_llm_error_row_t *ngx_http_llm_error_row(ngx_uint_t status);


ngx_int_t
ngx_http_llm_error(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_uint_t status, const char *type, const char *code, const char *fmt, ...)
{
    u_char                *p;
    va_list                args;
    ngx_http_llm_error_t  *error;

    error = &ctx->error;

    ngx_memzero(error, sizeof(ngx_http_llm_error_t));

    error->status = status;
    error->type = type;
    error->code = code;

    p = ngx_pnalloc(r->pool, NGX_HTTP_LLM_ERROR_LEN);
    if (p == NULL) {
        ngx_str_set(&error->message, "out of memory");
        return status;
    }

    error->message.data = p;

    va_start(args, fmt);
    p = ngx_vslprintf(p, p + NGX_HTTP_LLM_ERROR_LEN, fmt, args);
    va_end(args);

    error->message.len = p - error->message.data;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm error %ui: %V", status, &error->message);

    return status;
}


void
ngx_http_llm_error_status(ngx_http_llm_error_t *error, ngx_uint_t status)
{
    ngx_http_llm_error_row_t  *row;

    ngx_memzero(error, sizeof(ngx_http_llm_error_t));

    /* OpenHands does not retry a 502 */

    error->status = (status == NGX_HTTP_BAD_GATEWAY)
                    ? NGX_HTTP_SERVICE_UNAVAILABLE : status;

    row = ngx_http_llm_error_row(status);

    error->type = row->type;
    error->message.data = (u_char *) row->message;
    error->message.len = ngx_strlen(row->message);
}


/* a status that is not in the table is read as the hundred it belongs to */

static ngx_http_llm_error_row_t *
ngx_http_llm_error_row(ngx_uint_t status)
{
    ngx_http_llm_error_row_t  *row;

    for (row = ngx_http_llm_errors; row->status; row++) {
        if (row->status == status) {
            return row;
        }
    }

    return ngx_http_llm_error_row(status < 500 ? 400 : 500);
}


ngx_buf_t *
ngx_http_llm_error_render(ngx_pool_t *pool, ngx_http_llm_error_t *error,
    ngx_uint_t shape)
{
    size_t                     len;
    u_char                    *text;
    ngx_buf_t                 *b;
    ngx_str_t                  message;
    ngx_http_llm_error_row_t  *row;

    row = ngx_http_llm_error_row(error->status);

    text = error->message.data;
    len = error->message.len;

    message.len = len + ngx_escape_json(NULL, text, len);
    message.data = ngx_pnalloc(pool, message.len);
    if (message.data == NULL) {
        return NULL;
    }

    ngx_escape_json(message.data, text, len);

    b = ngx_create_temp_buf(pool, message.len + 256);
    if (b == NULL) {
        return NULL;
    }

    switch (shape) {

    case NGX_HTTP_LLM_ANTHROPIC:
        b->last = ngx_slprintf(b->last, b->end,
                               "{\"type\":\"error\",\"error\":"
                               "{\"type\":\"%s\",\"message\":\"%V\"}}" CRLF,
                               row->anthropic ? row->anthropic : error->type,
                               &message);
        break;

    case NGX_HTTP_LLM_GEMINI:
        b->last = ngx_slprintf(b->last, b->end,
                               "{\"error\":{\"code\":%ui,\"message\":\"%V\","
                               "\"status\":\"%s\"}}" CRLF,
                               error->status, &message, row->gemini);
        break;

    default:
        b->last = ngx_slprintf(b->last, b->end,
                               "{\"error\":{\"message\":\"%V\","
                               "\"type\":\"%s\",\"param\":%s,\"code\":%s%s%s}}"
                               CRLF,
                               &message, error->type,
                               error->param ? error->param : "null",
                               error->code ? "\"" : "",
                               error->code ? error->code : "null",
                               error->code ? "\"" : "");
    }

    return b;
}
