
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Finds the field "model" in a multipart/form-data body, as it arrives.
 */


#ifndef _NGX_HTTP_LLM_MULTIPART_H_INCLUDED_
#define _NGX_HTTP_LLM_MULTIPART_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_fields.h"


/* RFC 2046 allows 70 characters */

#define NGX_HTTP_LLM_MAX_BOUNDARY     70

#define NGX_HTTP_LLM_MAX_PART_HEADER  4096


typedef struct {
    ngx_http_llm_field_t   model;
    ngx_uint_t             state;
    ngx_uint_t             matched;    /* bytes of the delimiter so far */
    off_t                  offset;
    ngx_str_t              delimiter;  /* CRLF "--" boundary */
    u_char                *header;     /* of the part, as far as it is read */
    size_t                 header_len;
    u_char                *value;
    size_t                 value_len;
    off_t                  start;      /* of the part's content */
    unsigned               wanted:1;   /* the part is the field */
} ngx_http_llm_multipart_t;


/*
 * NGX_DECLINED when the content type is multipart/form-data without a usable
 * boundary; NGX_ERROR when memory ends.
 */

ngx_int_t ngx_http_llm_multipart_create(ngx_pool_t *pool,
    ngx_str_t *content_type, ngx_http_llm_multipart_t **multipart);

/* NGX_DECLINED when the body cannot be such a form */

ngx_int_t ngx_http_llm_multipart_feed(ngx_http_llm_multipart_t *mp,
    u_char *data, size_t len);

/* the body ends: NGX_OK if its last boundary was seen, or NGX_DECLINED */

ngx_int_t ngx_http_llm_multipart_finish(ngx_http_llm_multipart_t *mp);


#endif /* _NGX_HTTP_LLM_MULTIPART_H_INCLUDED_ */
