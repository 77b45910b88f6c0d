
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What is remembered over a restart, in a file with two slots that are written
 * in turn: if a write is cut short, the other slot still has what was known
 * before.  The numbers are those of the machine, times are those of the wall
 * clock.
 */


#ifndef _NGX_HTTP_LLM_STATE_H_INCLUDED_
#define _NGX_HTTP_LLM_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_node.h"


#define NGX_HTTP_LLM_STATE_VERSION  1

/* of a slot, whatever the size of the zone: it may change with a restart */

#define NGX_HTTP_LLM_STATE_RECORDS  4096


typedef struct {
    uint32_t                 magic;
    uint32_t                 version;
    uint64_t                 serial;     /* the greater one is the newer */
    uint32_t                 count;      /* of records, which follow */
    uint32_t                 crc;        /* of all, with 0 in its place */
} ngx_http_llm_state_header_t;


/* records of kinds that are not known are skipped */

#define NGX_HTTP_LLM_STATE_NODE     1

#define NGX_HTTP_LLM_STATE_WORKED   1
#define NGX_HTTP_LLM_STATE_PARKED   2
#define NGX_HTTP_LLM_STATE_DRAINING 4

typedef struct {
    uint32_t                 kind;
    uint32_t                 flags;
    u_char                   id[NGX_HTTP_LLM_FINGERPRINT_LEN];
    uint32_t                 state;
    uint32_t                 refusal;
    uint32_t                 level;
    uint32_t                 served;
    uint64_t                 outs;
    uint64_t                 until;      /* ms of the wall clock */
    uint64_t                 since;      /* the same */
    uint64_t                 organization;
    uint64_t                 line;
    uint32_t                 day;
    uint32_t                 today;
} ngx_http_llm_state_record_t;


#define ngx_http_llm_state_len(n)                                             \
    (sizeof(ngx_http_llm_state_header_t)                                      \
     + (n) * sizeof(ngx_http_llm_state_record_t))

#define NGX_HTTP_LLM_STATE_SLOT                                               \
    ngx_http_llm_state_len(NGX_HTTP_LLM_STATE_RECORDS)

/* where the slot of a serial number is */

#define ngx_http_llm_state_offset(serial)                                     \
    (((serial) & 1) ? 0 : NGX_HTTP_LLM_STATE_SLOT)

#define ngx_http_llm_state_records(slot)                                      \
    ((ngx_http_llm_state_record_t *)                                          \
                              ((slot) + sizeof(ngx_http_llm_state_header_t)))


/* what a slot or a file is; of two slots the greater one tells */

typedef enum {
    NGX_HTTP_LLM_STATE_EMPTY = 0,
    NGX_HTTP_LLM_STATE_ALIEN,            /* something else */
    NGX_HTTP_LLM_STATE_DAMAGED,
    NGX_HTTP_LLM_STATE_FOREIGN,          /* of another architecture */
    NGX_HTTP_LLM_STATE_NEWER,
    NGX_HTTP_LLM_STATE_VALID
} ngx_http_llm_state_e;


/* in the zone; changes by whoever has the lock */

typedef struct {
    uint64_t                 changes;    /* that are to be written soon */
    uint64_t                 counts;     /* that may wait for some seconds */
    uint64_t                 changes_written;
    uint64_t                 counts_written;
    uint64_t                 serial;     /* of what was written last */
    ngx_msec_t               at;         /* when that was */
    ngx_uint_t               owner;      /* the generation that may write */
    ngx_pid_t                writer;     /* who writes at the moment, or 0 */
    ngx_uint_t               failed;     /* and it was logged */
} ngx_http_llm_state_sh_t;


/* the file of one configuration */

typedef struct {
    ngx_str_t                name;
    ngx_fd_t                 fd;
    uint64_t                 serial;     /* that it had when it was opened */
    u_char                  *image;      /* until it is restored */
    u_char                  *slot;       /* in the image, NULL: nothing */
    u_char                  *buffer;     /* of what is to be written */
    ngx_uint_t               capacity;   /* of the buffer, in records */
    ngx_uint_t               records;    /* that are in it */
    uint64_t                 next;       /* its serial number */
    uint64_t                 changes;    /* that are in it */
    uint64_t                 counts;
    ngx_uint_t               owner;      /* the generation it belongs to */

    unsigned                 created:1;
    unsigned                 committed:1;
} ngx_http_llm_state_t;


/* of a slot of len bytes: finishes its n records; returns its length */

size_t ngx_http_llm_state_seal(u_char *slot, uint64_t serial, ngx_uint_t n);

/* what a slot is; len is how much of it there is */

ngx_uint_t ngx_http_llm_state_check(u_char *slot, size_t len);

/* what a file is, and the slot of it that counts if that is valid */

ngx_uint_t ngx_http_llm_state_choose(u_char *image, size_t len,
    u_char **slot);

/* a node as a record, and back; now is that of nodes, wall that of records */

void ngx_http_llm_state_put(ngx_http_llm_state_record_t *record,
    const ngx_http_llm_node_t *node, ngx_msec_t now, uint64_t wall);
void ngx_http_llm_state_get(const ngx_http_llm_state_record_t *record,
    ngx_http_llm_node_t *node, ngx_msec_t now, uint64_t wall);

/*
 * Declares the file, for a zone of so many nodes.  It is closed with the
 * pool, and removed if it was created for a configuration that failed.
 */

ngx_http_llm_state_t *ngx_http_llm_state_create(ngx_pool_t *pool,
    ngx_str_t *name, ngx_uint_t capacity);

/*
 * Opens it, and makes it if need be, unless the configuration is only tested.
 * What can be used is in state->slot until it is dropped.  Errors are logged.
 */

ngx_int_t ngx_http_llm_state_open(ngx_http_llm_state_t *state,
    ngx_log_t *log);
void ngx_http_llm_state_drop(ngx_http_llm_state_t *state);

/* the file is that of the configuration in force; under the lock */

void ngx_http_llm_state_commit(ngx_http_llm_state_t *state,
    ngx_http_llm_state_sh_t *sh, ngx_uint_t owner);

/*
 * Under the lock: whether there is something to write; it is in the buffer
 * then.  With "last" what may wait is written too.
 */

ngx_uint_t ngx_http_llm_state_begin(ngx_http_llm_state_t *state,
    ngx_http_llm_state_sh_t *sh, ngx_http_llm_node_t *nodes,
    ngx_uint_t nodes_n, ngx_uint_t last);

/* outside of the lock */

ngx_err_t ngx_http_llm_state_write(ngx_http_llm_state_t *state);

/* under the lock again: whether this is the first one of several failures */

ngx_uint_t ngx_http_llm_state_end(ngx_http_llm_state_t *state,
    ngx_http_llm_state_sh_t *sh, ngx_err_t err);


#endif /* _NGX_HTTP_LLM_STATE_H_INCLUDED_ */
