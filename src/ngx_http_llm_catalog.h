
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * The provider catalogue: data, and look-ups in it.  Nothing here allocates
 * or needs a running nginx, so that the container's entry point links it too.
 */


#ifndef _NGX_HTTP_LLM_CATALOG_H_INCLUDED_
#define _NGX_HTTP_LLM_CATALOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the families of requests and answers */

typedef enum {
    NGX_HTTP_LLM_OPENAI = 0,
    NGX_HTTP_LLM_ANTHROPIC,
    NGX_HTTP_LLM_GEMINI,
    NGX_HTTP_LLM_NATIVE                    /* a provider's own, passed as is */
} ngx_http_llm_shape_e;


/* which "metadata" of a request for an answer the provider takes */

typedef enum {
    NGX_HTTP_LLM_METADATA_ANY = 0,
    NGX_HTTP_LLM_METADATA_STORED,          /* strings, of what is stored */
    NGX_HTTP_LLM_METADATA_NONE
} ngx_http_llm_metadata_rule_e;


/* how a key is presented: "header: prefix" followed by the key */

typedef struct {
    ngx_str_t                         header;
    ngx_str_t                         prefix;
} ngx_http_llm_auth_form_t;


/*
 * A door is a place in the provider's path tree.  What a client asks for
 * below one of the roots is sent to prefix + that path; a native door takes
 * the paths that begin with its prefix and a root.
 */

typedef struct {
    ngx_uint_t                        shape;
    ngx_str_t                         prefix;
    const ngx_http_llm_auth_form_t   *auth;
    const char                       *roots;   /* NULL: any */
} ngx_http_llm_door_t;


#define NGX_HTTP_LLM_MAX_DOORS  4


/* the lists are words parted by spaces, NULL when there are none */

typedef struct {
    ngx_str_t                         name;    /* also LiteLLM's prefix */
    const char                       *aliases;
    const char                       *keys;    /* environment names */
    const char                       *bases;   /* environment names */
    ngx_str_t                         base;    /* scheme and host, or empty */
    ngx_http_llm_door_t               doors[NGX_HTTP_LLM_MAX_DOORS];

    /* a header that the provider requires and a client may have set */
    ngx_str_t                         header;
    ngx_str_t                         value;

    const char                       *globs;   /* well-known model names */
    const char                       *models;  /* well-known model ids */

    /* at the doors for OpenAI's requests; others have another one */
    ngx_uint_t                        metadata;

    unsigned                          rooted:1;
    unsigned                          keyless:1;
    unsigned                          vendors:1;
} ngx_http_llm_provider_t;

/*
 * rooted:   a base URL from outside names the root below which the doors
 *           lie ("https://api.anthropic.com"), not the first door itself
 * keyless:  works without a key; a base URL in the environment is enough
 * vendors:  model ids have the form vendor/name
 */


extern const ngx_http_llm_auth_form_t  ngx_http_llm_auth_bearer;


/* the i-th entry, or NULL behind the last one */

const ngx_http_llm_provider_t *ngx_http_llm_catalog_entry(ngx_uint_t i);

/* by name or alias, or NULL; "custom" is in the catalogue too */

const ngx_http_llm_provider_t *ngx_http_llm_catalog_find(ngx_str_t *name);

/* whether name is the provider's own name or one of its aliases */

ngx_uint_t ngx_http_llm_catalog_named(const ngx_http_llm_provider_t *provider,
    ngx_str_t *name);

/* the next word of a list: 0 behind the last one; moves the list on */

ngx_uint_t ngx_http_llm_catalog_word(const char **list, ngx_str_t *word);

/* whether a list has the text as a word */

ngx_uint_t ngx_http_llm_catalog_has(const char *list, ngx_str_t *text);

/* "*" in a pattern stands for any run of characters, an empty one too */

ngx_uint_t ngx_http_llm_glob(ngx_str_t *pattern, ngx_str_t *text);

/* the length of the longest well-known glob or id that fits, 0 if none does */

size_t ngx_http_llm_catalog_knows(const ngx_http_llm_provider_t *provider,
    ngx_str_t *model);


#endif /* _NGX_HTTP_LLM_CATALOG_H_INCLUDED_ */
