
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * A YAML file as a tree, and messages that name its lines.  The process ends
 * after one file, so nothing is freed.
 */


#ifndef _LLM_YAML_H_INCLUDED_
#define _LLM_YAML_H_INCLUDED_


#include <stddef.h>


typedef enum {
    LLM_SCALAR = 0,
    LLM_SEQUENCE,
    LLM_MAPPING
} llm_kind_e;


typedef struct llm_node_s  llm_node_t;

struct llm_node_s {
    llm_kind_e     kind;
    const char    *text;       /* of a scalar */
    int            plain;      /* unquoted: null, true and numbers are that */
    int            line;
    int            column;
    int            merged;     /* a key that came by "<<" */
    int            used;
    llm_node_t   **items;      /* of a mapping: key, value, key ... */
    size_t         n;
};


void *llm_alloc(size_t size);
char *llm_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void llm_push(void *list, size_t *n, void *item);

/* a file that is no YAML, or cannot be read, ends the process */

llm_node_t *llm_yaml_read(const char *path);

/* the value of a key, or NULL if there is none or it is null */

llm_node_t *llm_yaml_get(llm_node_t *map, const char *name);
int llm_yaml_null(llm_node_t *node);

/* null, false and 0: what says that something is not wanted */

int llm_yaml_off(llm_node_t *node);
int llm_yaml_true(llm_node_t *node);

/* warnings of one text are one line; "FILE:LINE:COLUMN: text" and exit */

void llm_warn(llm_node_t *node, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void llm_warn_flush(void);
void llm_fail(llm_node_t *node, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));


#endif /* _LLM_YAML_H_INCLUDED_ */
