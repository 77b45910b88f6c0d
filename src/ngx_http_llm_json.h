
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Finds values by their paths in a JSON document, as the document arrives.
 * The only user of yajl's parser.
 */


#ifndef _NGX_HTTP_LLM_JSON_H_INCLUDED_
#define _NGX_HTTP_LLM_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* names that a path may have, and paths that one search may have */

#define NGX_HTTP_LLM_JSON_DEPTH  6
#define NGX_HTTP_LLM_JSON_PATHS  64


/*
 * Names from the outermost object in, NULL behind the last:
 *
 *     "[]"   any element of an array
 *     "[0]"  its first element, up to "[9]"
 *     "**"   as the first name: at any depth
 *            as the last one: all scalars below
 *     "a|ab" either name; both begin with the same letter
 *
 * A list of paths ends with an empty one.
 */

typedef struct {
    const char              *names[NGX_HTTP_LLM_JSON_DEPTH + 1];
} ngx_http_llm_json_path_t;


typedef enum {
    NGX_HTTP_LLM_JSON_NULL = 0,
    NGX_HTTP_LLM_JSON_FALSE,
    NGX_HTTP_LLM_JSON_TRUE,
    NGX_HTTP_LLM_JSON_NUMBER,
    NGX_HTTP_LLM_JSON_STRING,
    NGX_HTTP_LLM_JSON_OBJECT,    /* it begins; what is in it has own paths */
    NGX_HTTP_LLM_JSON_ARRAY,
    NGX_HTTP_LLM_JSON_END        /* one of these ends; see "whole" */
} ngx_http_llm_json_type_e;


typedef struct {
    ngx_uint_t               path;      /* index in the list */
    ngx_uint_t               type;
    ngx_str_t                text;      /* a string decoded, a number as it
                                           stands; gone after the call */
    off_t                    start;     /* in the document: behind the name */
    off_t                    end;       /* behind a scalar, or what ended */
} ngx_http_llm_json_value_t;


/* is told of values in the order of the document; NGX_OK, or ends it all */

typedef ngx_int_t (*ngx_http_llm_json_pt)(void *data,
    ngx_http_llm_json_value_t *value);


typedef struct {
    uint64_t                 mask;      /* of paths that led here */
    ngx_uint_t               index;     /* of the next element */
    unsigned                 array:1;
} ngx_http_llm_json_level_t;


typedef struct {
    off_t                    open;      /* behind the "{" of the document */
    ngx_uint_t               members;   /* of the outermost object */
    off_t                    ended;     /* behind its last whole member, or
                                           behind its "{" */

    /*
     * Paths with "**" at the end that are told of objects and arrays too,
     * where they begin and where they end; to be set after the creation.
     */
    uint64_t                 whole;

    const ngx_http_llm_json_path_t  *paths;
    ngx_http_llm_json_pt     handler;
    void                    *data;

    void                    *parser;
    off_t                    offset;    /* bytes fed before this chunk */
    off_t                    start;     /* of the value that comes next */
    uint64_t                 mask;      /* of paths that lead to it */
    uint64_t                 anywhere;  /* that begin with "**" */
    uint64_t                 below;     /* that end with "**" */
    ngx_uint_t               depth;
    ngx_uint_t               wrapped;   /* an array is around the document */
    ngx_http_llm_json_level_t  levels[NGX_HTTP_LLM_JSON_DEPTH + 1];
} ngx_http_llm_json_t;


/*
 * Begins a search.  The document is an object; with "wrapped" it may also
 * stand in an array, as some errors do.
 */

ngx_http_llm_json_t *ngx_http_llm_json_create(ngx_pool_t *pool,
    const ngx_http_llm_json_path_t *paths, ngx_uint_t wrapped,
    ngx_http_llm_json_pt handler, void *data);

/*
 * NGX_DECLINED when this cannot become such a document, or when the handler
 * ended the search; what was found before has been told all the same.
 */

ngx_int_t ngx_http_llm_json_feed(ngx_http_llm_json_t *json, u_char *data,
    size_t len);

/* the document ends: NGX_OK if it is whole, or else NGX_DECLINED */

ngx_int_t ngx_http_llm_json_finish(ngx_http_llm_json_t *json);


#endif /* _NGX_HTTP_LLM_JSON_H_INCLUDED_ */
