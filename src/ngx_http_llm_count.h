
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Counters: what a key, an upstream, a model or a client was used for since
 * the zone began.  They lie in memory of the caller, who has the lock.
 */


#ifndef _NGX_HTTP_LLM_COUNT_H_INCLUDED_
#define _NGX_HTTP_LLM_COUNT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* as the verdict room has them */

#define NGX_HTTP_LLM_COUNT_VERDICTS  5

/* models, or clients, that are counted by name: the others together */

#define NGX_HTTP_LLM_COUNT_NAMES     64
#define NGX_HTTP_LLM_COUNT_NAME_LEN  64

#define NGX_HTTP_LLM_COUNT_BOUNDS    16


typedef struct {
    uint64_t                 requests;   /* that were answered */
    uint64_t                 input;
    uint64_t                 output;
    uint64_t                 cached;     /* of input */
    uint64_t                 reasoning;  /* of output */
} ngx_http_llm_spent_t;


typedef struct {
    ngx_http_llm_spent_t     spent;
    uint64_t                 verdicts[NGX_HTTP_LLM_COUNT_VERDICTS];
    uint64_t                 used;       /* ms since the epoch, 0: never */
} ngx_http_llm_count_t;


typedef struct {
    size_t                   len;
    u_char                   name[NGX_HTTP_LLM_COUNT_NAME_LEN];
    ngx_http_llm_spent_t     spent;
} ngx_http_llm_count_entry_t;


typedef struct {
    ngx_uint_t               n;
    ngx_uint_t               max;        /* that there is memory for */
    ngx_http_llm_spent_t     other;
    uint64_t                 hashes[NGX_HTTP_LLM_COUNT_NAMES];
    ngx_http_llm_count_entry_t  entries[NGX_HTTP_LLM_COUNT_NAMES];
} ngx_http_llm_count_names_t;


/* the last place is that of what is above all bounds */

typedef struct {
    uint64_t                 counts[NGX_HTTP_LLM_COUNT_BOUNDS + 1];
    uint64_t                 sum;        /* in ms */
} ngx_http_llm_histogram_t;


/* of an upstream; bounds are those of the GenAI conventions of OpenTelemetry */

typedef struct {
    ngx_http_llm_histogram_t  first;     /* until the first token of a stream */
    ngx_http_llm_histogram_t  duration;
} ngx_http_llm_times_t;


#define ngx_http_llm_count_names_size(max)                                    \
    (offsetof(ngx_http_llm_count_names_t, entries)                            \
     + (max) * sizeof(ngx_http_llm_count_entry_t))


/* in ms, ascending; 0 behind the last one */

extern const ngx_msec_t
    ngx_http_llm_count_first[NGX_HTTP_LLM_COUNT_BOUNDS + 1];
extern const ngx_msec_t
    ngx_http_llm_count_duration[NGX_HTTP_LLM_COUNT_BOUNDS + 1];


void ngx_http_llm_count_add(ngx_http_llm_spent_t *to,
    const ngx_http_llm_spent_t *spent);

/* by the hash of the name, which is never 0 */

void ngx_http_llm_count_name(ngx_http_llm_count_names_t *names, uint64_t hash,
    const ngx_str_t *name, const ngx_http_llm_spent_t *spent);

/* to an empty one: what it has no memory for goes to the others */

void ngx_http_llm_count_copy(ngx_http_llm_count_names_t *to,
    const ngx_http_llm_count_names_t *from);

/* the name of a hash, which need not have been counted; 0: it is not known */

size_t ngx_http_llm_count_find(ngx_http_llm_count_names_t *names,
    uint64_t hash, u_char *name);

void ngx_http_llm_count_time(ngx_http_llm_histogram_t *histogram,
    const ngx_msec_t *bounds, ngx_msec_t time);


#endif /* _NGX_HTTP_LLM_COUNT_H_INCLUDED_ */
