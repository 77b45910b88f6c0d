
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What the balancer reads in a JSON request.
 */


#ifndef _NGX_HTTP_LLM_FIELDS_H_INCLUDED_
#define _NGX_HTTP_LLM_FIELDS_H_INCLUDED_


#include "ngx_http_llm_json.h"


/* longer names are of no model */

#define NGX_HTTP_LLM_MAX_MODEL  512


typedef enum {
    NGX_HTTP_LLM_FIELD_ABSENT = 0,
    NGX_HTTP_LLM_FIELD_STRING,
    NGX_HTTP_LLM_FIELD_OTHER,              /* of another type, or too long */
    NGX_HTTP_LLM_FIELD_AMBIGUOUS           /* given twice, and differently */
} ngx_http_llm_field_e;


/*
 * A field of the body.  Of several with one name the last counts, as for the
 * parsers of the providers.
 */

typedef struct {
    ngx_uint_t      state;
    ngx_str_t       value;     /* decoded */
    off_t           start;     /* in the body: behind the name, or the value's
                                  first byte where there is no colon */
    off_t           end;       /* behind the value */
} ngx_http_llm_field_t;


typedef struct {
    ngx_http_llm_json_t   *json;
    ngx_http_llm_field_t   model;
    ngx_uint_t             stream;       /* "stream": true */
    ngx_pool_t            *pool;
} ngx_http_llm_fields_t;


ngx_http_llm_fields_t *ngx_http_llm_fields_create(ngx_pool_t *pool);

/* NGX_DECLINED when the body cannot be a JSON object */

ngx_int_t ngx_http_llm_fields_feed(ngx_http_llm_fields_t *fields,
    u_char *data, size_t len);

/* the body ends: NGX_OK if it was one JSON object, or else NGX_DECLINED */

ngx_int_t ngx_http_llm_fields_finish(ngx_http_llm_fields_t *fields);


#endif /* _NGX_HTTP_LLM_FIELDS_H_INCLUDED_ */
