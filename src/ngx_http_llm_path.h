
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Paths: what a client asks for, and what that is called at a provider.
 */


#ifndef _NGX_HTTP_LLM_PATH_H_INCLUDED_
#define _NGX_HTTP_LLM_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_catalog.h"


typedef enum {
    NGX_HTTP_LLM_PROXIED = 0,
    NGX_HTTP_LLM_MODELS,
    NGX_HTTP_LLM_MODEL_INFO,
    NGX_HTTP_LLM_HEALTH,
    NGX_HTTP_LLM_LIVENESS,
    NGX_HTTP_LLM_READINESS
} ngx_http_llm_own_e;


/* strings point into the path that was parsed, or into static memory */

typedef struct {
    ngx_str_t    upstream;     /* pass-through prefix, empty if there is none */
    ngx_str_t    full;         /* all behind that prefix */
    ngx_str_t    rest;         /* all behind the version: "/chat/completions" */
    ngx_str_t    model;        /* a part of full, empty if there is none */
    ngx_uint_t   shape;
    ngx_uint_t   own;          /* one of our own endpoints */

    unsigned     beta:1;       /* the version was /v1beta */
    unsigned     deployment:1; /* Azure's /openai/deployments/{model}/... */
    unsigned     inference:1;  /* a POST has a body and may be repeated */
    unsigned     raw:1;        /* bodies are a file's bytes, not JSON */
} ngx_http_llm_path_t;


/* where an upstream is: what its base URL, or the catalogue, says */

typedef struct {
    const ngx_http_llm_door_t        *doors;

    /* what stands in front of the rest, for a native door of the whole path */
    ngx_str_t                         prefix[NGX_HTTP_LLM_MAX_DOORS];
} ngx_http_llm_site_t;


/* the provider of the upstream that has this name, or NULL */

typedef const ngx_http_llm_provider_t *(*ngx_http_llm_path_named_pt)(
    void *data, ngx_str_t *name);


/* uri is decoded; NGX_ERROR when memory ends */

ngx_int_t ngx_http_llm_path_parse(ngx_pool_t *pool, ngx_str_t *uri,
    ngx_http_llm_path_named_pt named, void *data, ngx_http_llm_path_t *path);

/* the door that a path goes through, or NULL if the provider has none */

const ngx_http_llm_door_t *ngx_http_llm_path_door(ngx_http_llm_path_t *path,
    ngx_http_llm_site_t *site);

/*
 * Writes the path behind a door, escaped and without arguments.  A model in
 * the path is replaced by the given one.  NGX_ERROR when memory ends.
 */

ngx_int_t ngx_http_llm_path_build(ngx_pool_t *pool, ngx_http_llm_path_t *path,
    ngx_http_llm_site_t *site, const ngx_http_llm_door_t *door,
    ngx_str_t *model, ngx_str_t *uri);

/*
 * Places the doors of a provider.  base is the path of a base URL, or NULL
 * for the one of the catalogue.  It names the first door, or the root below
 * which all doors lie, where the catalogue says so; an ending that a door or
 * a client would add is taken off.
 */

ngx_int_t ngx_http_llm_path_site(ngx_pool_t *pool,
    const ngx_http_llm_provider_t *provider, ngx_str_t *base,
    ngx_http_llm_site_t *site);


#endif /* _NGX_HTTP_LLM_PATH_H_INCLUDED_ */
