
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
    const char  *model;
    const char  *alias;
    const char  *api_base;

    unsigned     container:1;   /* not "make run" */
    unsigned     keys:1;        /* the file has some */
    unsigned     demo:1;
    unsigned     check:1;       /* nginx -t */
    unsigned     skip:1;        /* all but the start */
    unsigned     health:1;
    unsigned     version:1;
    unsigned     help:1;
} llm_start_t;


/* all of these say what is wrong themselves, and return -1 then */

int llm_flags(llm_start_t *start, int argc, char *const *argv);
int llm_one_model(llm_start_t *start);
int llm_convert(llm_start_t *start);
int llm_demo(void);
int llm_probe(const char *host, const char *port);
int llm_health(llm_start_t *start);
int llm_serve(char *const *argv);

/* NAME or NAME_FILE, and not empty; or else a value of ours */

int llm_is_set(const char *name, size_t len);
void llm_default(const char *name, const char *value);
int llm_path(char *dst, size_t size, const char *dir, const char *name);


#endif /* _LLM_START_H_INCLUDED_ */
