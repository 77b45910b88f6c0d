
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

#define NGX_HTTP_LLM_MAX_MODEL    512

#define NGX_HTTP_LLM_MAX_TOKENS   0x7fffffff

/* ids of a request that are kept; so many of them are of encrypted items */

#define NGX_HTTP_LLM_FIELDS_IDS   16
#define NGX_HTTP_LLM_FIELDS_ITEMS 4

/* bytes at the beginning of each part of the prompt that identify it */

#define NGX_HTTP_LLM_FIELDS_PROMPT  1024
#define NGX_HTTP_LLM_FIELDS_PARTS   11


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


/* "metadata" of the outermost object, which not every provider takes */

typedef enum {
    NGX_HTTP_LLM_METADATA_ABSENT = 0,
    NGX_HTTP_LLM_METADATA_NULL,
    NGX_HTTP_LLM_METADATA_STRINGS,         /* an object of strings only */
    NGX_HTTP_LLM_METADATA_OTHER
} ngx_http_llm_metadata_e;


typedef struct {
    ngx_uint_t      state;
    ngx_uint_t      first;     /* no member is in front of it */
    off_t           start;     /* in the body: behind that one, or the "{" */
    off_t           end;       /* behind the value */
} ngx_http_llm_metadata_t;


/* "stream_options" of the outermost object */

typedef enum {
    NGX_HTTP_LLM_OPTIONS_ABSENT = 0,
    NGX_HTTP_LLM_OPTIONS_NULL,
    NGX_HTTP_LLM_OPTIONS_OBJECT,
    NGX_HTTP_LLM_OPTIONS_OTHER             /* which no provider takes */
} ngx_http_llm_options_e;


/* "include_usage" in there */

typedef enum {
    NGX_HTTP_LLM_OPTION_ABSENT = 0,
    NGX_HTTP_LLM_OPTION_TRUE,
    NGX_HTTP_LLM_OPTION_OTHER
} ngx_http_llm_option_e;


typedef struct {
    ngx_uint_t      state;
    ngx_uint_t      members;   /* 0: the object is empty */
    off_t           start;     /* in the body: behind the name */
    off_t           end;       /* behind a scalar, or the "{" */

    ngx_uint_t      usage;
    off_t           usage_start;
    off_t           usage_end;
} ngx_http_llm_options_t;


/* of a part of the prompt, as far as it was read */

typedef struct {
    uint64_t               hash;
    size_t                 len;        /* 0: nothing was */
} ngx_http_llm_fields_part_t;


typedef struct {
    ngx_http_llm_json_t   *json;
    ngx_http_llm_field_t   model;
    ngx_http_llm_metadata_t  metadata;
    ngx_http_llm_options_t  options;
    ngx_uint_t             stream;     /* "stream": true */

    /* tokens that the answer may have: the largest limit, 0 is unknown */
    ngx_uint_t             max_tokens;

    /*
     * Hashes that the requests of one conversation have in common, 0 where
     * there is none: "session" of what the client says about it, "prompt" of
     * the beginning of the system prompt and of the first messages.  Both,
     * and ids, are complete when the body is.
     */
    uint64_t               session;
    uint64_t               prompt;

    /*
     * What the request refers to and a provider keeps for one account only:
     * distinct hashes, see the ids room.  Named ids are in the order of the
     * body; behind them are the latest encrypted items, by their ids and by
     * their content, since clients may leave the ids out.
     */
    uint64_t               ids[NGX_HTTP_LLM_FIELDS_IDS];
    ngx_uint_t             nids;

    unsigned               store:1;    /* "store": true */
    unsigned               no_store:1; /* "store": false */

    /* the second message is by the client, too, and not by a model */
    unsigned               second_message:1;
    unsigned               second_input:1;

    /* while the body is read */
    ngx_uint_t             rank;       /* of what "session" is made of */
    ngx_uint_t             nitems;
    uint64_t               items[NGX_HTTP_LLM_FIELDS_ITEMS];
    ngx_http_llm_fields_part_t  parts[NGX_HTTP_LLM_FIELDS_PARTS];
    off_t                  skipped;    /* where a value is that is no text */
    off_t                  foreign;    /* where one is that names no id */
    ngx_pool_t            *pool;
} ngx_http_llm_fields_t;


ngx_http_llm_fields_t *ngx_http_llm_fields_create(ngx_pool_t *pool);

/* NGX_DECLINED when the body cannot be a JSON object */

ngx_int_t ngx_http_llm_fields_feed(ngx_http_llm_fields_t *fields,
    u_char *data, size_t len);

/* the body ends: NGX_OK if it was one JSON object, or else NGX_DECLINED */

ngx_int_t ngx_http_llm_fields_finish(ngx_http_llm_fields_t *fields);


#endif /* _NGX_HTTP_LLM_FIELDS_H_INCLUDED_ */
