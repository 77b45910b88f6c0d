
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include <ctype.h>

#include "llm_settings.h"


static llm_node_t *llm_entry_param(llm_config_t *config, llm_node_t *params,
    const char *name);
static int llm_entry_provider(llm_config_t *config, llm_entry_t *entry,
    llm_node_t *params);
static const ngx_http_llm_provider_t *llm_entry_known(const char *model);
static int llm_entry_wildcard(llm_entry_t *entry);
static long llm_entry_limit(llm_config_t *config, llm_node_t *item,
    llm_node_t *params, const char *name);
static void llm_entry_rest(llm_node_t *map, const char *known,
    const char *where);
static void llm_entry_literal(llm_node_t *node, const char *name);


llm_entry_t *
llm_entry_read(llm_config_t *config, llm_node_t *node)
{
    llm_node_t   *name, *params, *value;
    llm_entry_t  *entry;

    name = llm_yaml_get(node, "model_name");

    if (name == NULL || name->kind != LLM_SCALAR || *name->text == '\0') {
        llm_fail(node, "\"model_name\" is missing");
    }

    params = llm_yaml_get(node, "litellm_params");

    if (params == NULL || params->kind != LLM_MAPPING) {
        llm_fail(node, "\"litellm_params\" is missing");
    }

    entry = llm_alloc(sizeof(llm_entry_t));

    entry->node = name;
    entry->name = llm_config_text(config, name, "model_name");

    llm_entry_rest(node, "model_name litellm_params rpm tpm", "model_list");
    llm_entry_rest(params, "model api_key api_base base_url weight rpm tpm "
                   "order max_parallel_requests custom_llm_provider "
                   "litellm_credential_name",
                   "litellm_params");

    if (llm_entry_provider(config, entry, params) != 0
        || llm_entry_wildcard(entry) != 0)
    {
        return NULL;
    }

    entry->weight = -1;
    entry->order = LONG_MAX;

    value = llm_yaml_get(params, "weight");

    if (value) {
        entry->weight = llm_config_number(config, value, "weight");
    }

    value = llm_yaml_get(params, "order");

    if (value) {
        entry->order = (long) llm_config_number(config, value, "order");
    }

    entry->rpm = llm_entry_limit(config, node, params, "rpm");
    entry->tpm = llm_entry_limit(config, node, params, "tpm");
    entry->max_conns = llm_entry_limit(config, node, params,
                                       "max_parallel_requests");

    if (entry->provider == NULL) {
        return entry;
    }

    value = llm_entry_param(config, params, "api_base");

    if (value == NULL) {
        value = llm_entry_param(config, params, "base_url");
    }

    entry->base = llm_entry_base(config, entry, value);

    if (entry->base == NULL && entry->provider->base.len == 0) {
        llm_warn(name, "\"%s\" is left out: it has no \"api_base\"",
                 entry->name);
        return NULL;
    }

    llm_entry_keys(config, entry, llm_entry_param(config, params, "api_key"));

    return entry;
}


/* of the entry itself, or of the credentials that it names */

static llm_node_t *
llm_entry_param(llm_config_t *config, llm_node_t *params, const char *name)
{
    llm_node_t  *value;

    value = llm_yaml_get(params, name);

    if (value) {
        return value;
    }

    value = llm_yaml_get(params, "litellm_credential_name");

    return value ? llm_config_credential(config, value, name) : NULL;
}


/* settings that are there and wanted, and mean nothing here */

static void
llm_entry_rest(llm_node_t *map, const char *known, const char *where)
{
    size_t  i;

    for (i = 0; i < map->n; i += 2) {
        if (!llm_config_named(map->items[i]->text, known)
            && !llm_yaml_off(map->items[i + 1]))
        {
            llm_warn(map->items[i], "\"%s\" of \"%s\" has no counterpart",
                     map->items[i]->text, where);
        }
    }
}


static int
llm_entry_provider(llm_config_t *config, llm_entry_t *entry,
    llm_node_t *params)
{
    size_t       len;
    ngx_str_t    name;
    llm_node_t  *value;
    const char  *model, *custom, *slash;

    value = llm_yaml_get(params, "model");

    if (value == NULL) {
        llm_fail(params, "\"model\" is missing");
    }

    model = llm_config_text(config, value, "model");

    if (*model == '\0') {
        llm_fail(value, "\"model\" is empty");
    }

    value = llm_yaml_get(params, "custom_llm_provider");
    custom = value ? llm_config_text(config, value, "custom_llm_provider")
                   : NULL;

    entry->model = model;

    if (custom == NULL && strcmp(model, "*") == 0) {

        if (strcmp(entry->name, "*") != 0) {
            llm_warn(entry->node, "\"%s\" is left out: its provider is not "
                     "known", entry->name);
            return -1;
        }

        return 0;
    }

    slash = strchr(model, '/');

    name.data = (u_char *) (custom ? custom : model);
    name.len = custom ? strlen(custom) : slash ? (size_t) (slash - model) : 0;

    len = name.len;

    if (slash && (size_t) (slash - model) == len
        && strncmp(model, (char *) name.data, len) == 0)
    {
        entry->model = slash + 1;
    }

    /* what LiteLLM calls otherwise */

    if (len && llm_config_named(llm_format("%.*s", (int) len, name.data),
                                "text-completion-openai"))
    {
        ngx_str_set(&name, "openai");

    } else if (len && llm_config_named(llm_format("%.*s", (int) len,
                                                  name.data),
                                       "custom_openai openai_like"))
    {
        ngx_str_set(&name, "custom");
    }

    entry->provider = len ? ngx_http_llm_catalog_find(&name)
                          : llm_entry_known(model);

    if (entry->provider == NULL || *entry->model == '\0') {

        if (len) {
            llm_warn(entry->node, "\"%s\" is left out: provider \"%.*s\" is "
                     "not served", entry->name, (int) len, name.data);

        } else {
            llm_warn(entry->node, "\"%s\" is left out: its provider is not "
                     "known", entry->name);
        }

        return -1;
    }

    return 0;
}


/* by a name that only one provider has */

static const ngx_http_llm_provider_t *
llm_entry_known(const char *model)
{
    size_t                          len, best;
    ngx_str_t                       text;
    ngx_uint_t                      i;
    const ngx_http_llm_provider_t  *provider, *found;

    text.data = (u_char *) model;
    text.len = strlen(model);

    best = 0;
    found = NULL;

    for (i = 0; /* void */ ; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            return found;
        }

        len = ngx_http_llm_catalog_knows(provider, &text);

        if (len > best) {
            best = len;
            found = provider;
        }
    }
}


/*
 * A target is a name or the client's, less the prefix of the provider: so
 * "openai/gpt-*" and "gpt-*" can be "openai/gpt-*", "my-*" cannot.
 */

static int
llm_entry_wildcard(llm_entry_t *entry)
{
    ngx_str_t    prefix;
    const char  *slash;

    if (entry->provider == NULL || strchr(entry->model, '*') == NULL
        || (strcmp(entry->name, "*") == 0 && strcmp(entry->model, "*") == 0)
        || strcmp(entry->name, entry->model) == 0)
    {
        return 0;
    }

    slash = strchr(entry->name, '/');

    if (slash && strcmp(slash + 1, entry->model) == 0) {
        prefix.data = (u_char *) entry->name;
        prefix.len = slash - entry->name;

        if (ngx_http_llm_catalog_named(entry->provider, &prefix)) {
            return 0;
        }
    }

    llm_warn(entry->node, "\"%s\" is left out: it cannot be rewritten to "
             "\"%s\"", entry->name, entry->model);

    return -1;
}


static long
llm_entry_limit(llm_config_t *config, llm_node_t *item, llm_node_t *params,
    const char *name)
{
    double       number;
    llm_node_t  *value;

    value = llm_yaml_get(params, name);

    if (value == NULL) {
        value = llm_yaml_get(item, name);
    }

    if (value == NULL) {
        return 0;
    }

    number = llm_config_number(config, value, name);

    if (number > 0 && number < 1) {
        number = 1;
    }

    /* a limit that large is none */

    return (number > LLM_MAX_LIMIT) ? 0 : (long) number;
}


const char *
llm_entry_base(llm_config_t *config, llm_entry_t *entry, llm_node_t *node)
{
    char                           *copy;
    size_t                          len;
    ngx_str_t                       word;
    const char                     *base, *list, *p, *name;
    const ngx_http_llm_provider_t  *provider;

    provider = entry->provider;
    base = node ? llm_config_text(config, node, "api_base") : NULL;
    list = provider->bases;
    name = "api_base";

    while ((base == NULL || *base == '\0')
           && ngx_http_llm_catalog_word(&list, &word))
    {
        name = llm_format("%.*s", (int) word.len, word.data);
        node = llm_config_environment(config, name);
        base = node ? node->text : llm_config_variable(entry->node, name);
    }

    if (base == NULL || *base == '\0') {
        return NULL;
    }

    if (node == NULL) {
        node = entry->node;
    }

    if (strncasecmp(base, "http://", 7) != 0
        && strncasecmp(base, "https://", 8) != 0)
    {
        llm_fail(node, "\"%s\" does not begin with \"http://\" or "
                 "\"https://\"", name);
    }

    for (p = base; *p; p++) {
        if ((unsigned char) *p <= ' ' || *p == 0x7f || *p == '?'
            || *p == '@')
        {
            llm_fail(node, "\"%s\" has an invalid character", name);
        }
    }

    copy = llm_format("%s", base);
    len = strlen(copy);

    while (copy[len - 1] == '/') {
        copy[--len] = '\0';
    }

    if (strchr(copy, '/') == NULL || strchr(copy, '/')[1] != '/'
        || strchr(copy, '/')[2] == '\0')
    {
        llm_fail(node, "\"%s\" has no host", name);
    }

    /* the catalogue's own needs no saying */

    if (strcmp(copy, llm_format("%.*s%.*s", (int) provider->base.len,
                                provider->base.data,
                                (int) provider->doors[0].prefix.len,
                                provider->doors[0].prefix.data)) == 0
        || (provider->rooted && provider->base.len == len
            && strncmp(copy, (char *) provider->base.data, len) == 0))
    {
        return NULL;
    }

    return copy;
}


/* those of the entry, or of the environment */

void
llm_entry_keys(llm_config_t *config, llm_entry_t *entry, llm_node_t *node)
{
    llm_key_t   *key;
    ngx_str_t    word;
    const char  *list, *name, *first;

    if (node && node->kind != LLM_SCALAR) {
        llm_fail(node, "\"api_key\" is no single value");
    }

    if (node && *node->text) {
        key = llm_entry_secret(config, node, "api_key");
        llm_push(&entry->keys, &entry->nkeys, key);
        return;
    }

    list = entry->provider->keys;
    first = NULL;

    while (ngx_http_llm_catalog_word(&list, &word)) {
        name = llm_format("%.*s", (int) word.len, word.data);

        if (first == NULL && name[word.len - 1] != 'S') {
            first = name;
        }

        if (!llm_config_is_set(config, name)) {
            continue;
        }

        node = llm_config_environment(config, name);

        if (node) {
            key = llm_entry_secret(config, node, name);

        } else {
            key = llm_alloc(sizeof(llm_key_t));
            key->env = name;
            key->node = entry->node;
        }

        llm_push(&entry->keys, &entry->nkeys, key);
    }

    if (entry->nkeys || entry->provider->keyless) {
        return;
    }

    llm_warn(entry->node, "\"%s\" has no \"api_key\", and %s is not set",
             entry->name, first);

    key = llm_alloc(sizeof(llm_key_t));
    key->env = first;
    key->node = entry->node;

    llm_push(&entry->keys, &entry->nkeys, key);
}


/* the name of a variable, or a key, which no message shows */

llm_key_t *
llm_entry_secret(llm_config_t *config, llm_node_t *node, const char *name)
{
    llm_key_t   *key;
    llm_node_t  *value;
    const char  *p;

    if (node->kind != LLM_SCALAR) {
        llm_fail(node, "\"%s\" is no single value", name);
    }

    key = llm_alloc(sizeof(llm_key_t));
    key->node = node;

    if (strncmp(node->text, LLM_ENVIRON, strlen(LLM_ENVIRON)) == 0) {
        key->env = node->text + strlen(LLM_ENVIRON);

        for (p = key->env; *p; p++) {
            if (!isalnum((unsigned char) *p) && *p != '_') {
                llm_fail(node, "\"%s\" has an invalid name of a variable",
                         name);
            }
        }

        if (*key->env == '\0') {
            llm_fail(node, "\"%s\" has no name of a variable", name);
        }

        value = llm_config_environment(config, key->env);

        if (value == NULL) {
            if (!llm_config_is_set(config, key->env)) {
                llm_warn(node, "%s is not set", key->env);
            }

            return key;
        }

        key->env = NULL;
        node = value;
    }

    key->literal = node->text;

    llm_entry_literal(node, name);

    return key;
}


/* what the module would read as something else than this one key */

static void
llm_entry_literal(llm_node_t *node, const char *name)
{
    size_t       i, len;
    const char  *key;

    static const char  *prefixes[] = { "env:", "file:", "sha256:" };

    key = node->text;
    len = strlen(key);

    if (len == 0) {
        llm_fail(node, "\"%s\" is empty", name);
    }

    for (i = 0; i < len; i++) {
        if ((unsigned char) key[i] <= ' ' || key[i] == 0x7f) {
            llm_fail(node, "\"%s\" has a character that no key has", name);
        }

        if (key[i] == ',') {
            llm_fail(node, "\"%s\" has a comma, which would make two keys "
                     "of it", name);
        }
    }

    if (len > 1 && (key[0] == '"' || key[0] == '\'')
        && key[len - 1] == key[0])
    {
        llm_fail(node, "\"%s\" has quotes of its own around it", name);
    }

    for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            llm_fail(node, "\"%s\" begins with \"%s\", which is no key here",
                     name, prefixes[i]);
        }
    }

    if (len > LLM_MAX_WORD) {
        llm_fail(node, "\"%s\" is too long", name);
    }
}
