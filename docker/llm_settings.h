
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#ifndef _LLM_SETTINGS_H_INCLUDED_
#define _LLM_SETTINGS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "../src/ngx_http_llm_catalog.h"
#include "llm_yaml.h"


#define LLM_ENVIRON        "os.environ/"

#define LLM_MAX_WEIGHT     65535
#define LLM_MAX_LIMIT      2147483647

/* nginx reads a word into a buffer of 4096 bytes */

#define LLM_MAX_WORD       4000

/* LiteLLM's ROUTER_MAX_FALLBACKS */

#define LLM_MAX_FALLBACKS  5


typedef struct {
    const char                      *env;        /* or */
    const char                      *literal;
    llm_node_t                      *node;
    double                           weight;     /* 0: any */
    int                              down;
    long                             rpm;
    long                             tpm;
    long                             max_conns;
    const char                     **models;
    size_t                           nmodels;
    int                              any;        /* all models */
} llm_key_t;


/* of "model_list" */

typedef struct {
    llm_node_t                      *node;
    const char                      *name;
    const ngx_http_llm_provider_t   *provider;   /* NULL: any that has keys */
    const char                      *base;
    const char                      *model;
    long                             order;
    int                              rank;       /* among those of its name */
    double                           weight;     /* -1: not given */
    long                             rpm;
    long                             tpm;
    long                             max_conns;
    llm_key_t                      **keys;
    size_t                           nkeys;
    int                              placed;
} llm_entry_t;


typedef struct {
    const ngx_http_llm_provider_t   *provider;
    const char                      *base;
    int                              rank;
    int                              anonymous;
    const char                      *name;
    llm_key_t                      **keys;
    size_t                           nkeys;
} llm_upstream_t;


typedef struct {
    llm_upstream_t                  *upstream;
    const char                      *model;      /* NULL: the client's name */
} llm_target_t;


typedef struct {
    const char                      *name;
    int                              rest;       /* what nothing else takes */
    const char                      *alias;      /* of what name, or NULL */
    llm_node_t                      *node;
    llm_target_t                   **targets;
    size_t                           ntargets;
    llm_target_t                   **chain;      /* with the fallbacks */
    size_t                           nchain;
} llm_rule_t;


typedef struct {
    llm_node_t                      *environment;
    llm_node_t                      *credentials;

    llm_entry_t                    **entries;
    size_t                           nentries;
    llm_upstream_t                 **upstreams;
    size_t                           nupstreams;
    llm_rule_t                     **rules;
    size_t                           nrules;

    llm_node_t                      *aliases;
    llm_node_t                      *fallbacks[2];
    size_t                           nfallbacks;
    llm_node_t                      *defaults;
    llm_node_t                      *retries;
    llm_node_t                      *master_key;
    const char                      *balance;
    const char                      *queue;
    int                              shuffle;
} llm_config_t;


/* llm_config.c: values as LiteLLM reads them */

const char *llm_config_text(llm_config_t *config, llm_node_t *node,
    const char *name);
double llm_config_number(llm_config_t *config, llm_node_t *node,
    const char *name);
llm_node_t *llm_config_environment(llm_config_t *config, const char *name);
int llm_config_is_set(llm_config_t *config, const char *name);
const char *llm_config_variable(llm_node_t *node, const char *name);
llm_node_t *llm_config_credential(llm_config_t *config, llm_node_t *node,
    const char *name);
int llm_config_named(const char *name, const char *words);

/* llm_entry.c: an entry of "model_list", or NULL if it cannot be served */

llm_entry_t *llm_entry_read(llm_config_t *config, llm_node_t *node);
void llm_entry_keys(llm_config_t *config, llm_entry_t *entry,
    llm_node_t *node);
const char *llm_entry_base(llm_config_t *config, llm_entry_t *entry,
    llm_node_t *node);
llm_key_t *llm_entry_secret(llm_config_t *config, llm_node_t *node,
    const char *name);

/* llm_rule.c: upstreams and rules of the entries */

void llm_rule_make(llm_config_t *config);
llm_rule_t *llm_rule_find(llm_config_t *config, const char *name);

/* llm_print.c: what nginx reads */

void llm_print(llm_config_t *config, FILE *out);


#endif /* _LLM_SETTINGS_H_INCLUDED_ */
