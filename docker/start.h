
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _LLM_START_H_INCLUDED_
#define _LLM_START_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "../src/ngx_http_llm_catalog.h"


#define LLM_NAME  "llm-entrypoint: "


typedef struct {
    const char  *conf_dir;
    const char  *run_dir;
    const char  *module;
    const char  *config;        /* LiteLLM's file */
    const char  *client_key;    /* "env:NAME" in it, or NULL */
    const char  *model;
    const char  *alias;
    const char  *api_base;

    unsigned     container:1;   /* not "make run" */
    unsigned     keys:1;        /* the file has some */
    unsigned     literal:1;     /* and a master key */
    unsigned     demo:1;
    unsigned     port:1;        /* "--port" was given */
    unsigned     check:1;       /* nginx -t */
    unsigned     skip:1;        /* all but the start */
    unsigned     health:1;
    unsigned     version:1;
    unsigned     help:1;
} llm_start_t;


/* as the module reads them: each once */

typedef struct {
    char       **keys;
    ngx_uint_t   n;
} llm_keys_t;


/* all of these say what is wrong themselves, and return -1 then */

int llm_flags(llm_start_t *start, int argc, char *const *argv);
int llm_one_model(llm_start_t *start);
int llm_convert(llm_start_t *start);
int llm_convert_again(llm_start_t *start);
int llm_demo(void);
int llm_probe(const char *host, const char *port);
int llm_health(llm_start_t *start);
int llm_serve(llm_start_t *start, char *const *argv);

/* NAME or NAME_FILE, and not empty; or else a value of ours */

int llm_is_set(const char *name, size_t len);
void llm_default(const char *name, const char *value);
void llm_keys_add(llm_keys_t *keys, const char *source);
int llm_path(char *dst, size_t size, const char *dir, const char *name);


#endif /* _LLM_START_H_INCLUDED_ */
