
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_page.h"
#include "ngx_http_llm_compat.h"
#include "ngx_http_llm_digest.h"
#include "ngx_http_llm_page_html.h"


#define NGX_HTTP_LLM_PAGE_HASH_LEN                                            \
    ngx_base64_encoded_length(NGX_HTTP_LLM_DIGEST_LEN)


/* the icon is the only image, and stands in the page itself */

#define NGX_HTTP_LLM_PAGE_POLICY                                              \
    "default-src 'none'; script-src 'sha256-%V'; style-src 'sha256-%V'; "     \
    "connect-src 'self'; img-src data:; base-uri 'none'; "                    \
    "form-action 'none'; frame-ancestors 'none'"


static ngx_int_t ngx_http_llm_page_policy(ngx_http_request_t *r,
    ngx_str_t *policy);
static ngx_int_t ngx_http_llm_page_hash(ngx_str_t *begin, ngx_str_t *end,
    ngx_str_t *hash);
static ngx_int_t ngx_http_llm_page_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);


/*
 * fetch() of a page without a referrer may name "null" as the origin of a
 * POST, so the referrer is not left out where it stays on this server
 */

static ngx_keyval_t  ngx_http_llm_page_headers[] = {

    { ngx_string("X-Content-Type-Options"), ngx_string("nosniff") },
    { ngx_string("X-Frame-Options"), ngx_string("DENY") },
    { ngx_string("Referrer-Policy"), ngx_string("same-origin") },
    { ngx_string("Cache-Control"), ngx_string("no-store") },

    { ngx_null_string, ngx_null_string }
};


static ngx_str_t  ngx_http_llm_page_policy_name =
    ngx_string("Content-Security-Policy");

static ngx_str_t  ngx_http_llm_page_script = ngx_string("<script>");
static ngx_str_t  ngx_http_llm_page_script_end = ngx_string("</script>");
static ngx_str_t  ngx_http_llm_page_style = ngx_string("<style>");
static ngx_str_t  ngx_http_llm_page_style_end = ngx_string("</style>");


ngx_int_t
ngx_http_llm_page(ngx_http_request_t *r)
{
    ngx_buf_t     *b;
    ngx_int_t      rc;
    ngx_str_t      policy;
    ngx_chain_t    out;
    ngx_keyval_t  *header;

    if (ngx_http_llm_page_policy(r, &policy) != NGX_OK
        || ngx_http_llm_page_header(r, &ngx_http_llm_page_policy_name,
                                    &policy)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (header = ngx_http_llm_page_headers; header->key.len; header++) {
        if (ngx_http_llm_page_header(r, &header->key, &header->value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = ngx_http_llm_page_html;
    b->last = ngx_http_llm_page_html + sizeof(ngx_http_llm_page_html);
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = sizeof(ngx_http_llm_page_html);

    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_llm_page_policy(ngx_http_request_t *r, ngx_str_t *policy)
{
    size_t     len;
    u_char     script_hash[NGX_HTTP_LLM_PAGE_HASH_LEN];
    u_char     style_hash[NGX_HTTP_LLM_PAGE_HASH_LEN];
    ngx_str_t  script, style;

    script.data = script_hash;
    style.data = style_hash;

    if (ngx_http_llm_page_hash(&ngx_http_llm_page_script,
                               &ngx_http_llm_page_script_end, &script)
        != NGX_OK
        || ngx_http_llm_page_hash(&ngx_http_llm_page_style,
                                  &ngx_http_llm_page_style_end, &style)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(NGX_HTTP_LLM_PAGE_POLICY) + script.len + style.len;

    policy->data = ngx_pnalloc(r->pool, len);
    if (policy->data == NULL) {
        return NGX_ERROR;
    }

    policy->len = ngx_snprintf(policy->data, len, NGX_HTTP_LLM_PAGE_POLICY,
                               &script, &style)
                  - policy->data;

    return NGX_OK;
}


/* hashed here, as it is asked for rarely, and the build needs no tool for it */

static ngx_int_t
ngx_http_llm_page_hash(ngx_str_t *begin, ngx_str_t *end, ngx_str_t *hash)
{
    u_char     *p, *last, digest[NGX_HTTP_LLM_DIGEST_LEN];
    ngx_str_t   text, sha;

    p = ngx_http_llm_page_html;
    last = p + sizeof(ngx_http_llm_page_html);

    p = ngx_strlcasestrn(p, last, begin->data, begin->len - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.data = p + begin->len;

    p = ngx_strlcasestrn(text.data, last, end->data, end->len - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text.len = p - text.data;

    if (ngx_http_llm_digest(&text, digest) != NGX_OK) {
        return NGX_ERROR;
    }

    sha.len = sizeof(digest);
    sha.data = digest;

    ngx_encode_base64(hash, &sha);

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_page_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = *name;
    h->value = *value;
    ngx_http_llm_header_link(h);

    return NGX_OK;
}
