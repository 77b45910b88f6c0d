
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Ids of what a provider keeps (files, batches, stored responses), and which
 * group of keys they belong to.  The map is one block of memory without
 * pointers, as it lies in shared memory; the caller holds the lock.
 */


#ifndef _NGX_HTTP_LLM_IDS_H_INCLUDED_
#define _NGX_HTTP_LLM_IDS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* places that an id may be kept in; when all are taken, the oldest goes */

#define NGX_HTTP_LLM_IDS_WAYS     8

/* encrypted content differs within so many bytes */

#define NGX_HTTP_LLM_IDS_CONTENT  256


typedef struct {
    uint64_t                 id;        /* 0: a free place, and all behind */
    uint64_t                 group;
    uint32_t                 learned;   /* seconds, when it was the last time */
    uint32_t                 unused;
} ngx_http_llm_ids_entry_t;


/* a set has what was learnt last in front */

typedef struct {
    uint64_t                  nsets;
    uint64_t                  unused;
    ngx_http_llm_ids_entry_t  sets[][NGX_HTTP_LLM_IDS_WAYS];
} ngx_http_llm_ids_t;


/*
 * The hash of an id, 0 if the text is none.  An id is named by what is behind
 * its last "/", arguments left out: "files/abc" is "abc", and so is a URI
 * that ends with "/files/abc".  Any other URI is no id: it may lead anywhere.
 */

uint64_t ngx_http_llm_ids_hash(ngx_str_t *id);

/*
 * A reasoning item may be read by the account that made it only.  Its id has
 * a prefix of its own, and its encrypted content is an id as well.
 */

ngx_uint_t ngx_http_llm_ids_reasoning(ngx_str_t *id);
uint64_t ngx_http_llm_ids_content(ngx_str_t *content);

/* memory, aligned as for uint64_t, that a map of at least n ids takes */

size_t ngx_http_llm_ids_size(ngx_uint_t n);

void ngx_http_llm_ids_init(void *mem, ngx_uint_t n);

/* what another map knows, as far as there is room for it */

void ngx_http_llm_ids_inherit(ngx_http_llm_ids_t *map,
    ngx_http_llm_ids_t *old);

/* known or not, the id is the youngest afterwards; 0 is no id and no group */

void ngx_http_llm_ids_learn(ngx_http_llm_ids_t *map, uint64_t id,
    uint64_t group, uint32_t now);

/* the group, or 0; does not make the id younger */

uint64_t ngx_http_llm_ids_find(ngx_http_llm_ids_t *map, uint64_t id);

void ngx_http_llm_ids_forget(ngx_http_llm_ids_t *map, uint64_t id);


#endif /* _NGX_HTTP_LLM_IDS_H_INCLUDED_ */
