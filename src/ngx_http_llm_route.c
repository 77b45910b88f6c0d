
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_route.h"
#include "ngx_http_llm_binding.h"
#include "ngx_http_llm_error.h"
#include "ngx_http_llm_headers.h"


typedef struct {
    ngx_str_node_t          node;         /* node.str is the pattern */
    ngx_uint_t              kind;
    ngx_array_t             names;        /* of ngx_str_t: upstream[/model] */
    ngx_array_t             targets;      /* of ngx_http_llm_target_t */
#if (NGX_PCRE)
    ngx_regex_t            *regex;
#endif
} ngx_http_llm_rule_t;


typedef enum {
    NGX_HTTP_LLM_RULE_EXACT = 0,
    NGX_HTTP_LLM_RULE_GLOB,
    NGX_HTTP_LLM_RULE_REGEX,
    NGX_HTTP_LLM_RULE_DEFAULT
} ngx_http_llm_rule_kind_e;


typedef struct ngx_http_llm_routes_s {
    ngx_rbtree_t            exact;        /* of ngx_http_llm_rule_t */
    ngx_rbtree_node_t       sentinel;
    ngx_array_t             globs;        /* of ..._rule_t *, longest first */
    ngx_array_t             regexes;      /* of ..._rule_t *, in order */
    ngx_http_llm_rule_t    *fallback;
} ngx_http_llm_routes_t;


static char *ngx_http_llm_route_regex(ngx_conf_t *cf,
    ngx_http_llm_rule_t *rule);
static char *ngx_http_llm_route_resolve(ngx_conf_t *cf,
    ngx_http_llm_main_conf_t *lmcf, ngx_http_llm_rule_t *rule);
static char *ngx_http_llm_route_compile(ngx_conf_t *cf, ngx_array_t *rules,
    ngx_http_llm_routes_t **routes);
static ngx_int_t ngx_http_llm_route_longer(const void *one, const void *two);
static ngx_http_llm_rule_t *ngx_http_llm_route_rule(ngx_http_request_t *r,
    ngx_http_llm_routes_t *routes, ngx_str_t *model);
static ngx_http_llm_upstream_t *ngx_http_llm_route_provider(
    ngx_http_llm_main_conf_t *lmcf, const char *name);
static ngx_http_llm_upstream_t *ngx_http_llm_route_known(
    ngx_http_llm_main_conf_t *lmcf, ngx_str_t *model);
static ngx_http_llm_upstream_t *ngx_http_llm_route_shape(
    ngx_http_llm_main_conf_t *lmcf, ngx_uint_t shape);
static ngx_uint_t ngx_http_llm_route_title(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_route_to(ngx_http_request_t *r,
    ngx_http_llm_ctx_t *ctx, ngx_http_llm_upstream_t *upstream);
static void ngx_http_llm_route_strip(ngx_http_llm_upstream_t *upstream,
    ngx_str_t *model);


char *
ngx_http_llm_model(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_llm_srv_conf_t *lscf = conf;

    ngx_str_t            *value, *name;
    ngx_uint_t            i;
    ngx_http_llm_rule_t  *rule;

    value = cf->args->elts;

    if (lscf->rules == NULL) {
        lscf->rules = ngx_array_create(cf->pool, 8,
                                       sizeof(ngx_http_llm_rule_t));
        if (lscf->rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = lscf->rules->elts;

    for (i = 0; i < lscf->rules->nelts; i++) {
        if (rule[i].node.str.len == value[1].len
            && ngx_strcmp(rule[i].node.str.data, value[1].data) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate model \"%V\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(lscf->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_llm_rule_t));

    rule->node.str = value[1];

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid model \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "default") == 0) {
        rule->kind = NGX_HTTP_LLM_RULE_DEFAULT;

    } else if (value[1].data[0] == '~') {
        rule->kind = NGX_HTTP_LLM_RULE_REGEX;

        if (ngx_http_llm_route_regex(cf, rule) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }

    } else if (ngx_strchr(value[1].data, '*')) {
        rule->kind = NGX_HTTP_LLM_RULE_GLOB;

    } else {
        rule->kind = NGX_HTTP_LLM_RULE_EXACT;
    }

    if (ngx_array_init(&rule->names, cf->pool, 1, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&rule->targets, cf->pool, 1,
                          sizeof(ngx_http_llm_target_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        name = ngx_array_push(&rule->names);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_route_regex(ngx_conf_t *cf, ngx_http_llm_rule_t *rule)
{
#if (NGX_PCRE)
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern = rule->node.str;
    rc.pattern.data++;
    rc.pattern.len--;

    if (rc.pattern.len && rc.pattern.data[0] == '*') {
        rc.pattern.data++;
        rc.pattern.len--;
        rc.options = NGX_REGEX_CASELESS;
    }

    rc.pool = cf->pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V", &rc.err);
        return NGX_CONF_ERROR;
    }

    rule->regex = rc.regex;

    return NGX_CONF_OK;
#else
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "using regex \"%V\" requires PCRE library",
                       &rule->node.str);

    return NGX_CONF_ERROR;
#endif
}


char *
ngx_http_llm_route_merge(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf,
    ngx_http_llm_srv_conf_t *prev, ngx_http_llm_srv_conf_t *conf)
{
    ngx_uint_t            i;
    ngx_http_llm_rule_t  *rule;

    if (conf->rules == NULL) {
        conf->rules = prev->rules;
        conf->routes = prev->routes;
    }

    if (conf->rules == NULL || conf->routes) {
        return NGX_CONF_OK;
    }

    rule = conf->rules->elts;

    for (i = 0; i < conf->rules->nelts; i++) {
        if (ngx_http_llm_route_resolve(cf, lmcf, &rule[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_llm_route_compile(cf, conf->rules, &conf->routes)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->rules == prev->rules) {
        prev->routes = conf->routes;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_route_resolve(ngx_conf_t *cf, ngx_http_llm_main_conf_t *lmcf,
    ngx_http_llm_rule_t *rule)
{
    u_char                   *slash;
    ngx_str_t                *name, upstream;
    ngx_uint_t                i, k;
    ngx_http_llm_target_t    *target;
    ngx_http_llm_upstream_t  *found;

    name = rule->names.elts;

    for (i = 0; i < rule->names.nelts; i++) {

        for (k = 0; k < i; k++) {
            if (name[k].len == name[i].len
                && ngx_strncmp(name[k].data, name[i].data, name[i].len) == 0)
            {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "duplicate target \"%V\" in \"llm_model %V\"",
                              &name[i], &rule->node.str);
                return NGX_CONF_ERROR;
            }
        }

        upstream = name[i];
        slash = ngx_strlchr(name[i].data, name[i].data + name[i].len, '/');

        if (slash) {
            upstream.len = slash - name[i].data;
        }

        found = ngx_http_llm_route_named(lmcf, &upstream);

        if (found == NULL) {

            /* a provider of the catalogue that has no keys today */

            if (lmcf->providers && ngx_http_llm_catalog_find(&upstream)) {
                ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                              "\"llm_model %V\" does without upstream \"%V\", "
                              "which has no keys", &rule->node.str, &upstream);
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown upstream \"%V\" in \"llm_model %V\"",
                          &upstream, &rule->node.str);
            return NGX_CONF_ERROR;
        }

        target = ngx_array_push(&rule->targets);
        if (target == NULL) {
            return NGX_CONF_ERROR;
        }

        target->upstream = found;
        ngx_str_null(&target->model);

        if (slash) {
            target->model.data = slash + 1;
            target->model.len = name[i].data + name[i].len - (slash + 1);

            if (target->model.len == 0) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "invalid target \"%V\" in \"llm_model %V\"",
                              &name[i], &rule->node.str);
                return NGX_CONF_ERROR;
            }
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_llm_route_compile(ngx_conf_t *cf, ngx_array_t *rules,
    ngx_http_llm_routes_t **compiled)
{
    ngx_uint_t               i;
    ngx_http_llm_rule_t     *rule, **p;
    ngx_http_llm_routes_t   *routes;

    routes = ngx_pcalloc(cf->pool, sizeof(ngx_http_llm_routes_t));
    if (routes == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_rbtree_init(&routes->exact, &routes->sentinel,
                    ngx_str_rbtree_insert_value);

    if (ngx_array_init(&routes->globs, cf->pool, 4,
                       sizeof(ngx_http_llm_rule_t *))
           != NGX_OK
        || ngx_array_init(&routes->regexes, cf->pool, 4,
                          sizeof(ngx_http_llm_rule_t *))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {

        if (rule[i].targets.nelts == 0) {
            continue;
        }

        switch (rule[i].kind) {

        case NGX_HTTP_LLM_RULE_EXACT:
            rule[i].node.node.key = ngx_crc32_long(rule[i].node.str.data,
                                                   rule[i].node.str.len);
            ngx_rbtree_insert(&routes->exact, &rule[i].node.node);
            break;

        case NGX_HTTP_LLM_RULE_DEFAULT:
            routes->fallback = &rule[i];
            break;

        default:
            p = ngx_array_push(rule[i].kind == NGX_HTTP_LLM_RULE_GLOB
                               ? &routes->globs : &routes->regexes);
            if (p == NULL) {
                return NGX_CONF_ERROR;
            }

            *p = &rule[i];
        }
    }

    ngx_sort(routes->globs.elts, routes->globs.nelts,
             sizeof(ngx_http_llm_rule_t *), ngx_http_llm_route_longer);

    *compiled = routes;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_llm_route_longer(const void *one, const void *two)
{
    ngx_http_llm_rule_t  *first, *second;

    first = *(ngx_http_llm_rule_t **) one;
    second = *(ngx_http_llm_rule_t **) two;

    return (ngx_int_t) second->node.str.len
           - (ngx_int_t) first->node.str.len;
}


ngx_http_llm_upstream_t *
ngx_http_llm_route_named(ngx_http_llm_main_conf_t *lmcf, ngx_str_t *name)
{
    ngx_uint_t                 i;
    ngx_http_llm_upstream_t  **upstreams;

    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        if (upstreams[i]->name.len == name->len
            && ngx_strncmp(upstreams[i]->name.data, name->data, name->len)
               == 0)
        {
            return upstreams[i];
        }
    }

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        if (ngx_http_llm_catalog_named(upstreams[i]->provider, name)) {
            return upstreams[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_llm_route(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx)
{
    u_char                    *slash;
    ngx_str_t                  prefix, model;
    ngx_http_llm_rule_t       *rule;
    ngx_http_llm_upstream_t   *upstream, **upstreams;
    ngx_http_llm_srv_conf_t   *lscf;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    lscf = ngx_http_get_module_srv_conf(r, ngx_http_llm_balancer_module);

    model = ctx->model;

    /* the configuration, or the path, leaves no choice */

    upstream = ctx->forced;

    if (upstream == NULL && ctx->path.upstream.len) {
        upstream = ngx_http_llm_route_named(lmcf, &ctx->path.upstream);
    }

    if (upstream) {
        return ngx_http_llm_route_to(r, ctx, upstream);
    }

    if (model.len) {
        rule = ngx_http_llm_route_rule(r, lscf->routes, &model);

        if (rule) {
            ctx->targets = rule->targets.elts;
            ctx->ntargets = rule->targets.nelts;
            return NGX_OK;
        }

        slash = ngx_strlchr(model.data, model.data + model.len, '/');

        if (slash) {
            prefix.data = model.data;
            prefix.len = slash - model.data;

            /* libraries send this to OpenRouter, without "openrouter/" */

            if (ngx_http_llm_route_title(r)) {
                upstream = ngx_http_llm_route_provider(lmcf, "openrouter");

                if (upstream) {
                    return ngx_http_llm_route_to(r, ctx, upstream);
                }
            }

            upstream = ngx_http_llm_route_named(lmcf, &prefix);

            if (upstream) {
                return ngx_http_llm_route_to(r, ctx, upstream);
            }

            upstream = ngx_http_llm_route_provider(lmcf, "openrouter");

            if (upstream) {
                return ngx_http_llm_route_to(r, ctx, upstream);
            }
        }

        upstream = ngx_http_llm_route_known(lmcf, &model);

        if (upstream) {
            return ngx_http_llm_route_to(r, ctx, upstream);
        }

    } else {
        upstream = ngx_http_llm_binding_upstream(r, ctx);

        if (upstream) {
            return ngx_http_llm_route_to(r, ctx, upstream);
        }
    }

    upstream = ngx_http_llm_route_shape(lmcf, ctx->path.shape);

    if (upstream) {
        return ngx_http_llm_route_to(r, ctx, upstream);
    }

    if (lscf->routes && lscf->routes->fallback) {
        ctx->targets = lscf->routes->fallback->targets.elts;
        ctx->ntargets = lscf->routes->fallback->targets.nelts;
        return NGX_OK;
    }

    if (lmcf->fallback.len) {
        upstream = ngx_http_llm_route_named(lmcf, &lmcf->fallback);
    }

    if (upstream == NULL && lmcf->upstreams.nelts == 1) {
        upstreams = lmcf->upstreams.elts;
        upstream = upstreams[0];
    }

    if (upstream) {
        return ngx_http_llm_route_to(r, ctx, upstream);
    }

    if (model.len == 0 && ctx->field && ctx->path.inference) {
        (void) ngx_http_llm_error(r, ctx, NGX_HTTP_BAD_REQUEST,
                                  "invalid_request_error", "model_required",
                                  "The request names no model: put its name "
                                  "into \"model\" of the body.");

        ctx->error.param = "\"model\"";

        return ctx->error.status;
    }

    if (model.len == 0) {
        return ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_FOUND,
                                  "invalid_request_error", "model_required",
                                  "The request names no model, and \"%V\" "
                                  "alone does not tell the provider. Put the "
                                  "name of the provider in front of the path, "
                                  "as in \"/openai/v1/files\".", &r->uri);
    }

    (void) ngx_http_llm_error(r, ctx, NGX_HTTP_NOT_FOUND,
                              "invalid_request_error", "model_not_found",
                              "The model \"%V\" is not known here, and there "
                              "is no default provider. Use \"provider/model\", "
                              "or a name that /v1/models lists.", &model);

    ctx->error.param = "\"model\"";

    return NGX_HTTP_NOT_FOUND;
}


static ngx_http_llm_rule_t *
ngx_http_llm_route_rule(ngx_http_request_t *r, ngx_http_llm_routes_t *routes,
    ngx_str_t *model)
{
    ngx_uint_t             i;
    ngx_str_node_t        *node;
    ngx_http_llm_rule_t  **rules;

    if (routes == NULL) {
        return NULL;
    }

    node = ngx_str_rbtree_lookup(&routes->exact, model,
                                 ngx_crc32_long(model->data, model->len));
    if (node) {
        return (ngx_http_llm_rule_t *) node;
    }

    rules = routes->globs.elts;

    for (i = 0; i < routes->globs.nelts; i++) {
        if (ngx_http_llm_glob(&rules[i]->node.str, model)) {
            return rules[i];
        }
    }

#if (NGX_PCRE)

    rules = routes->regexes.elts;

    for (i = 0; i < routes->regexes.nelts; i++) {
        if (ngx_regex_exec(rules[i]->regex, model, NULL, 0) >= 0) {
            return rules[i];
        }
    }

#endif

    return NULL;
}


static ngx_http_llm_upstream_t *
ngx_http_llm_route_provider(ngx_http_llm_main_conf_t *lmcf, const char *name)
{
    ngx_str_t  text;

    text.data = (u_char *) name;
    text.len = ngx_strlen(name);

    return ngx_http_llm_route_named(lmcf, &text);
}


/* by the shipped names, so that the environment alone is enough */

static ngx_http_llm_upstream_t *
ngx_http_llm_route_known(ngx_http_llm_main_conf_t *lmcf, ngx_str_t *model)
{
    size_t                     best, len;
    ngx_uint_t                 i;
    ngx_http_llm_upstream_t  **upstreams, *found;

    best = 0;
    found = NULL;
    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        len = ngx_http_llm_catalog_knows(upstreams[i]->provider, model);

        if (len > best) {
            best = len;
            found = upstreams[i];
        }
    }

    return found;
}


/* paths that only one kind of provider has */

static ngx_http_llm_upstream_t *
ngx_http_llm_route_shape(ngx_http_llm_main_conf_t *lmcf, ngx_uint_t shape)
{
    switch (shape) {

    case NGX_HTTP_LLM_ANTHROPIC:
        return ngx_http_llm_route_provider(lmcf, "anthropic");

    case NGX_HTTP_LLM_GEMINI:
        return ngx_http_llm_route_provider(lmcf, "gemini");

    default:
        return NULL;
    }
}


static ngx_uint_t
ngx_http_llm_route_title(ngx_http_request_t *r)
{
    ngx_table_elt_t         *h;
    ngx_http_llm_headers_t   headers;

    ngx_http_llm_headers_start(&headers, &r->headers_in.headers);

    for ( ;; ) {
        h = ngx_http_llm_headers_next(&headers);

        if (h == NULL) {
            return 0;
        }

        if (ngx_http_llm_headers_is(h, "x-title")) {
            return 1;
        }
    }
}


static ngx_int_t
ngx_http_llm_route_to(ngx_http_request_t *r, ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_upstream_t *upstream)
{
    ngx_http_llm_target_t  *target;

    target = ngx_palloc(r->pool, sizeof(ngx_http_llm_target_t));
    if (target == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    target->upstream = upstream;
    ngx_str_null(&target->model);

    ctx->targets = target;
    ctx->ntargets = 1;

    return NGX_OK;
}


void
ngx_http_llm_route_model(ngx_http_llm_ctx_t *ctx,
    ngx_http_llm_target_t *target, ngx_str_t *model)
{
    if (target->model.len) {
        *model = target->model;
        return;
    }

    *model = ctx->model;

    ngx_http_llm_route_strip(target->upstream, model);
}


/*
 * "openai/gpt-4o" becomes "gpt-4o" at openai.  Where all ids have the form
 * vendor/name, "openrouter/auto" is such an id.
 */

static void
ngx_http_llm_route_strip(ngx_http_llm_upstream_t *upstream, ngx_str_t *model)
{
    u_char     *slash, *last;
    ngx_str_t   prefix;

    last = model->data + model->len;
    slash = ngx_strlchr(model->data, last, '/');

    if (slash == NULL || slash + 1 == last) {
        return;
    }

    if (upstream->provider->vendors
        && ngx_strlchr(slash + 1, last, '/') == NULL)
    {
        return;
    }

    prefix.data = model->data;
    prefix.len = slash - model->data;

    if ((prefix.len == upstream->name.len
         && ngx_strncmp(prefix.data, upstream->name.data, prefix.len) == 0)
        || ngx_http_llm_catalog_named(upstream->provider, &prefix))
    {
        model->data = slash + 1;
        model->len = last - (slash + 1);
    }
}


ngx_int_t
ngx_http_llm_route_each(ngx_http_request_t *r, ngx_http_llm_route_each_pt each,
    void *data)
{
    ngx_int_t                   rc;
    ngx_str_t                   word;
    ngx_uint_t                  i;
    const char                 *list;
    ngx_http_llm_rule_t        *rule;
    ngx_http_llm_target_t       target;
    ngx_http_llm_upstream_t   **upstreams;
    ngx_http_llm_srv_conf_t    *lscf;
    ngx_http_llm_main_conf_t   *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    lscf = ngx_http_get_module_srv_conf(r, ngx_http_llm_balancer_module);

    if (lscf->rules) {
        rule = lscf->rules->elts;

        for (i = 0; i < lscf->rules->nelts; i++) {

            if (rule[i].kind != NGX_HTTP_LLM_RULE_EXACT
                || rule[i].targets.nelts == 0)
            {
                continue;
            }

            rc = each(data, &rule[i].node.str, rule[i].targets.elts);
            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    upstreams = lmcf->upstreams.elts;

    for (i = 0; i < lmcf->upstreams.nelts; i++) {
        list = upstreams[i]->provider->models;

        while (ngx_http_llm_catalog_word(&list, &word)) {

            /* one that is somebody else's by a rule was listed there */

            if (ngx_http_llm_route_rule(r, lscf->routes, &word)
                || ngx_http_llm_route_known(lmcf, &word) != upstreams[i])
            {
                continue;
            }

            target.upstream = upstreams[i];
            target.model = word;

            rc = each(data, &word, &target);
            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    return NGX_OK;
}
