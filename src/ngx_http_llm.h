
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Types that the rooms share: the configuration, and a request's context.
 * No functions.
 */


#ifndef _NGX_HTTP_LLM_H_INCLUDED_
#define _NGX_HTTP_LLM_H_INCLUDED_


#include "ngx_http_llm_compat.h"
#include "ngx_http_llm_catalog.h"
#include "ngx_http_llm_digest.h"
#include "ngx_http_llm_fields.h"
#include "ngx_http_llm_multipart.h"
#include "ngx_http_llm_path.h"
#include "ngx_http_llm_price.h"
#include "ngx_http_llm_usage.h"
#include "ngx_http_llm_pool.h"


#define NGX_HTTP_LLM_VERSION  "0.1.0"

/* browsers present a key as one of the protocols of a WebSocket */

#define NGX_HTTP_LLM_WEBSOCKET_KEY  "openai-insecure-api-key."


/* an upstream block with llm_provider, or one made from the environment */

typedef struct {
    ngx_str_t                         name;
    const ngx_http_llm_provider_t    *provider;
    ngx_http_llm_site_t               site;

    ngx_str_t                         host;      /* Host: name[:port] */
    ngx_str_t                         server_name;
    in_port_t                         port;
    const ngx_http_llm_auth_form_t   *auth;      /* NULL: the door's */

    ngx_array_t                       keys;      /* of ngx_http_llm_key_t */
    ngx_array_t                       secrets;   /* of ngx_str_t, the same */
    ngx_http_llm_pool_t               pool;
    ngx_uint_t                        model_sets;  /* a key has models= */
    ngx_uint_t                        policy;      /* llm_balance */
    ngx_msec_t                        queue_time;  /* llm_queue */
    ngx_uint_t                        queue_number;  /* 0: off */

    ngx_http_upstream_srv_conf_t     *uscf;
    ngx_uint_t                        naddrs;      /* 1 if it is not known */
    struct ngx_http_llm_resolve_s    *resolve;     /* NULL: they are fixed */
    ngx_http_upstream_init_pt         original_init_upstream;
    ngx_http_upstream_init_peer_pt    original_init_peer;

    unsigned                          ssl:1;
    unsigned                          verify:1;
    unsigned                          anonymous:1;   /* auth=none */
    unsigned                          addressed:1;   /* has addresses */
    unsigned                          unresolved:1;  /* or would, by name, in
                                                        this worker */
    unsigned                          balanced:1;    /* llm_balance was given */
    unsigned                          queued:1;      /* llm_queue was */
} ngx_http_llm_upstream_t;


/* where a model goes; an empty model: under the name that was asked for */

typedef struct {
    ngx_http_llm_upstream_t          *upstream;
    ngx_str_t                         model;
} ngx_http_llm_target_t;


typedef struct {
    ngx_http_llm_zone_t              *zone;
    size_t                            zone_size;
    ngx_str_t                         state;      /* llm_state */
    ngx_array_t                       upstreams;  /* of ..._upstream_t * */
    ngx_http_upstream_srv_conf_t     *late;       /* see the upstream room */
    struct ngx_http_llm_resolver_s   *resolver;   /* of the system */
    ngx_uint_t                        providers;  /* llm_providers env */
    ngx_str_t                         fallback;   /* LLM_DEFAULT_UPSTREAM */
    ngx_http_llm_prices_t            *prices;     /* llm_price, may be NULL */
} ngx_http_llm_main_conf_t;


/* of a server block, or of an upstream block */

typedef struct {
    ngx_http_llm_upstream_t          *upstream;
    ngx_array_t                      *rules;      /* of ..._rule_t */
    struct ngx_http_llm_routes_s     *routes;
    ngx_uint_t                        balancer;   /* has such a location */
} ngx_http_llm_srv_conf_t;


typedef struct {
    u_char                            digest[NGX_HTTP_LLM_DIGEST_LEN];
    ngx_str_t                         name;
} ngx_http_llm_client_t;


typedef struct {
    ngx_flag_t                        enable;
    ngx_array_t                      *clients;    /* of ..._client_t */
    ngx_flag_t                        anonymous;  /* llm_client_key off */
    ngx_flag_t                        stream_usage;
    ngx_array_t                      *readers;    /* llm_metrics_key */
    ngx_array_t                      *admins;     /* llm_admin_key */
    ngx_uint_t                        status;     /* llm_status */
    ngx_http_llm_upstream_t          *upstream;   /* proxy_pass names it */
    ngx_uint_t                        adjusted;   /* proxy settings are */
} ngx_http_llm_loc_conf_t;


/* an answer of our own, instead of nginx's page or of the provider's answer */

typedef struct {
    ngx_uint_t                        status;
    const char                       *type;
    const char                       *code;       /* NULL: null */
    ngx_str_t                         message;
    const char                       *param;      /* JSON text, NULL: null */
    time_t                            retry_after;
    unsigned                          no_retry:1;   /* x-should-retry: false */
} ngx_http_llm_error_t;


typedef struct {
    ngx_http_llm_loc_conf_t          *conf;
    ngx_http_llm_path_t               path;
    ngx_http_llm_error_t              error;

    ngx_http_llm_upstream_t          *forced;      /* by the configuration */
    ngx_str_t                         client;      /* name of its key */
    ngx_str_t                        *credentials; /* all that it presented */
    ngx_uint_t                        ncredentials;

    /* the body */
    ngx_http_llm_fields_t            *fields;
    ngx_http_llm_multipart_t         *multipart;
    ngx_http_llm_field_t             *field;       /* model, if it has one */
    ngx_str_t                         model;       /* as it was asked for */
    ngx_str_t                         mapped;      /* the body in memory */

    /* where it may go, in this order, and where it is going */
    ngx_http_llm_target_t            *targets;
    ngx_uint_t                        ntargets;
    ngx_uint_t                        target;

    uint64_t                          group;       /* it must go to, or 0 */
    ngx_uint_t                        refers;      /* see the binding room */

    struct ngx_http_llm_try_s        *try;
    struct ngx_http_llm_waiter_s     *waiter;
    struct ngx_http_llm_resolve_waiter_s  *resolving;
    struct ngx_http_llm_peer_s       *peer;
    struct ngx_http_llm_judge_s      *judge;
    struct ngx_http_llm_hold_s       *hold;
    struct ngx_http_llm_response_s   *response;
    ngx_buf_t                        *answer;      /* of our own */

    /*
     * What a provider's 2xx answer says, NULL if it is not read: up to date
     * with what has passed, so complete when the peer is freed.
     */
    ngx_http_llm_usage_t             *usage;

    ngx_msec_t                        queued;      /* time, all together */
    ngx_msec_t                        first;       /* from the start to the
                                                      first byte of the
                                                      answer's body */
    unsigned                          reading:1;
    unsigned                          read:1;
    unsigned                          prepared:1;
    unsigned                          waiting:1;   /* for an address or a
                                                      key, before the first
                                                      try */
    unsigned                          answered:1;  /* by the provider */
    unsigned                          begun:1;     /* first is known */
    unsigned                          hides:1;     /* the chunk of usage that
                                                      the client did not ask
                                                      for */
    unsigned                          replace:1;   /* its answer by ours */
    unsigned                          replaced:1;  /* which was sent */
} ngx_http_llm_ctx_t;


typedef struct ngx_http_llm_judge_s  ngx_http_llm_judge_t;
typedef struct ngx_http_llm_hold_s   ngx_http_llm_hold_t;
typedef struct ngx_http_llm_peer_s   ngx_http_llm_peer_t;
typedef struct ngx_http_llm_resolve_s   ngx_http_llm_resolve_t;
typedef struct ngx_http_llm_resolver_s  ngx_http_llm_resolver_t;
typedef struct ngx_http_llm_waiter_s  ngx_http_llm_waiter_t;


extern ngx_module_t  ngx_http_llm_balancer_module;


#endif /* _NGX_HTTP_LLM_H_INCLUDED_ */
