
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Calls that make or use what a provider keeps for one account only.
 */


#ifndef _NGX_HTTP_LLM_BIND_H_INCLUDED_
#define _NGX_HTTP_LLM_BIND_H_INCLUDED_


#include "ngx_http_llm_fields.h"
#include "ngx_http_llm_path.h"


/* ids that a path may have */

#define NGX_HTTP_LLM_BIND_IDS     4


/* what an answer is read for */

#define NGX_HTTP_LLM_READ_TOKENS  0x01
#define NGX_HTTP_LLM_READ_OBJECT  0x02   /* the id of the thing it is about */
#define NGX_HTTP_LLM_READ_NAME    0x04   /* the same at Gemini: "files/abc" */
#define NGX_HTTP_LLM_READ_LIST    0x08   /* the ids of the things it lists */
#define NGX_HTTP_LLM_READ_ITEMS   0x10   /* what a model made on the way */


/*
 * Where ids are in answers.  Nothing that a client has chosen: it could give
 * other clients' ids away to its own account.
 */

extern const ngx_http_llm_json_path_t  ngx_http_llm_bind_paths[];


/*
 * Hashes of the ids in a path, the outermost first; returns how many.  See
 * the ids room for the hashes.
 */

ngx_uint_t ngx_http_llm_bind_path(ngx_http_llm_path_t *path, uint64_t *ids);

/* the hash of a model that belongs to one account, 0 of any other one */

uint64_t ngx_http_llm_bind_model(ngx_str_t *model);

/*
 * What to read in a successful answer, 0 for nothing: bits as above.  fields
 * are those of the request's body, NULL if it has none.
 *
 * Answers to GET are read too: files that a batch has written are named only
 * there, and things made before, or past the balancer, become known.
 */

ngx_uint_t ngx_http_llm_bind_reads(ngx_uint_t method,
    ngx_http_llm_path_t *path, ngx_http_llm_fields_t *fields);

/* the id in a value found by the i-th path, 0 if it has none */

uint64_t ngx_http_llm_bind_value(ngx_uint_t reads, ngx_uint_t i,
    ngx_http_llm_json_value_t *value);

/* the id that is gone after a successful answer, or 0 */

uint64_t ngx_http_llm_bind_forgets(ngx_uint_t method,
    ngx_http_llm_path_t *path);


#endif /* _NGX_HTTP_LLM_BIND_H_INCLUDED_ */
