
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Turns LiteLLM's config.yaml into directives for nginx's http block.  What
 * has none is named in a warning.
 */


#include "llm_settings.h"


typedef struct {
    const char   *name;
    void        (*set)(llm_config_t *config, llm_node_t *node);
} llm_setting_t;


static void llm_config_section(llm_config_t *config, llm_node_t *root,
    const char *name, const llm_setting_t *settings);
static void llm_config_policies(llm_config_t *config, llm_node_t *root);
static void llm_config_models(llm_config_t *config, llm_node_t *list);
static void llm_config_unused(llm_config_t *config);
static void llm_config_aliases(llm_config_t *config, llm_node_t *node);
static void llm_config_fallbacks(llm_config_t *config, llm_node_t *node);
static void llm_config_defaults(llm_config_t *config, llm_node_t *node);
static void llm_config_retries(llm_config_t *config, llm_node_t *node);
static void llm_config_timeout(llm_config_t *config, llm_node_t *node);
static void llm_config_cooldown(llm_config_t *config, llm_node_t *node);
static void llm_config_strategy(llm_config_t *config, llm_node_t *node);
static void llm_config_drop(llm_config_t *config, llm_node_t *node);
static void llm_config_master(llm_config_t *config, llm_node_t *node);
static void llm_config_quiet(llm_config_t *config, llm_node_t *node);


static const llm_setting_t  llm_router_settings[] = {
    { "model_group_alias", llm_config_aliases },
    { "fallbacks", llm_config_fallbacks },
    { "default_fallbacks", llm_config_defaults },
    { "num_retries", llm_config_retries },
    { "timeout", llm_config_timeout },
    { "stream_timeout", llm_config_timeout },
    { "cooldown_time", llm_config_cooldown },
    { "routing_strategy", llm_config_strategy },
    { "enable_pre_call_checks", llm_config_quiet },
    { NULL, NULL }
};


static const llm_setting_t  llm_litellm_settings[] = {
    { "fallbacks", llm_config_fallbacks },
    { "default_fallbacks", llm_config_defaults },
    { "num_retries", llm_config_retries },
    { "request_timeout", llm_config_timeout },
    { "drop_params", llm_config_drop },
    { "json_logs", llm_config_quiet },
    { "telemetry", llm_config_quiet },
    { NULL, NULL }
};


static const llm_setting_t  llm_general_settings[] = {
    { "master_key", llm_config_master },
    { NULL, NULL }
};


int
main(int argc, char *const *argv)
{
    char          *text;
    FILE          *out;
    size_t         i, len;
    llm_node_t    *root, *list;
    llm_config_t   config;

    if (argc != 2 || argv[1][0] == '\0' || argv[1][0] == '-') {
        fprintf(stderr, "usage: llm-config CONFIG.yaml\n");
        return 2;
    }

    memset(&config, 0, sizeof(llm_config_t));

    config.shuffle = 1;

    root = llm_yaml_read(argv[1]);

    if (root == NULL || root->kind != LLM_MAPPING) {
        fprintf(stderr, "%s:1:1: \"model_list\" is missing\n", argv[1]);
        return 1;
    }

    config.credentials = llm_yaml_get(root, "credential_list");
    config.environment = llm_yaml_get(root, "environment_variables");

    if (config.environment && config.environment->kind != LLM_MAPPING) {
        llm_fail(config.environment, "\"environment_variables\" is no "
                 "mapping");
    }

    llm_config_section(&config, root, "router_settings",
                       llm_router_settings);
    llm_config_section(&config, root, "litellm_settings",
                       llm_litellm_settings);
    llm_config_section(&config, root, "general_settings",
                       llm_general_settings);

    for (i = 0; i < root->n; i += 2) {

        if (!llm_config_named(root->items[i]->text, "model_list "
                              "router_settings litellm_settings "
                              "general_settings environment_variables "
                              "credential_list")
            && !llm_yaml_off(root->items[i + 1]))
        {
            llm_warn(root->items[i], "\"%s\" has no counterpart",
                     root->items[i]->text);
        }
    }

    if (config.master_key == NULL) {
        config.master_key = llm_config_environment(&config,
                                                   "LITELLM_MASTER_KEY");
    }

    list = llm_yaml_get(root, "model_list");

    if (list == NULL) {
        llm_fail(root, "\"model_list\" is missing");
    }

    llm_config_policies(&config, root);
    llm_config_models(&config, list);
    llm_rule_make(&config);

    if (config.nupstreams == 0) {
        llm_warn_flush();
        llm_fail(list, "no entry of \"model_list\" can be served");
    }

    /* an error that is found late leaves nothing behind */

    out = open_memstream(&text, &len);

    if (out == NULL) {
        llm_fail(root, "out of memory");
    }

    llm_print(&config, out);
    llm_config_unused(&config);

    if (fclose(out) != 0) {
        llm_fail(root, "out of memory");
    }

    llm_warn_flush();

    if (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0) {
        fprintf(stderr, "llm-config: stdout: %s\n", strerror(errno));
        return 1;
    }

    return 0;
}


static void
llm_config_section(llm_config_t *config, llm_node_t *root, const char *name,
    const llm_setting_t *settings)
{
    size_t       i, k;
    llm_node_t  *section, *key, *value;

    section = llm_yaml_get(root, name);

    if (section == NULL) {
        return;
    }

    if (section->kind != LLM_MAPPING) {
        llm_fail(section, "\"%s\" is no mapping", name);
    }

    for (i = 0; i < section->n; i += 2) {
        key = section->items[i];
        value = section->items[i + 1];

        for (k = 0; settings[k].name; k++) {
            if (strcmp(settings[k].name, key->text) == 0) {
                break;
            }
        }

        if (llm_yaml_null(value)) {
            continue;
        }

        if (settings[k].name) {
            settings[k].set(config, value);

        } else if (!llm_yaml_off(value)) {
            llm_warn(key, "\"%s\" of \"%s\" has no counterpart", key->text,
                     name);
        }
    }
}


/* LLM_BALANCE and LLM_QUEUE, which are there for all upstreams */

static void
llm_config_policies(llm_config_t *config, llm_node_t *root)
{
    char    *queue;
    size_t   len;

    if (config->balance == NULL) {
        config->balance = llm_config_variable(root, "LLM_BALANCE");
    }

    if (config->balance
        && !llm_config_named(config->balance,
                             "round_robin least_conn headroom affinity"))
    {
        llm_fail(root, "invalid policy \"%s\" in LLM_BALANCE",
                 config->balance);
    }

    config->queue = llm_config_variable(root, "LLM_QUEUE");

    if (config->queue == NULL) {
        return;
    }

    if (strcmp(config->queue, "off") == 0) {
        config->queue = NULL;
        return;
    }

    queue = llm_format("%s", config->queue);
    len = strcspn(queue, ",");

    if (len == 0 || strspn(queue, "0123456789smhd ") != len
        || queue[len] == '\0' || atoi(queue + len + 1) < 1
        || strspn(queue + len + 1, "0123456789") != strlen(queue + len + 1))
    {
        llm_fail(root, "invalid \"%s\" in LLM_QUEUE, a time and a number as "
                 "in \"15s,64\" or \"off\" is expected", config->queue);
    }

    queue[len] = ' ';
    config->queue = queue;
}


static void
llm_config_models(llm_config_t *config, llm_node_t *list)
{
    size_t        i;
    llm_entry_t  *entry;

    if (list->kind != LLM_SEQUENCE || list->n == 0) {
        llm_fail(list, "\"model_list\" has no entries");
    }

    for (i = 0; i < list->n; i++) {
        entry = llm_entry_read(config, list->items[i]);

        if (entry) {
            llm_push(&config->entries, &config->nentries, entry);
        }
    }
}


/* variables that no key or base URL was taken from */

static void
llm_config_unused(llm_config_t *config)
{
    size_t       i;
    llm_node_t  *key, *value;

    for (i = 0; config->environment && i < config->environment->n; i += 2) {
        key = config->environment->items[i];
        value = config->environment->items[i + 1];

        if (!value->used && !llm_yaml_null(value)) {
            llm_warn(key, "\"%s\" of \"environment_variables\" has no "
                     "counterpart", key->text);
        }
    }
}


static void
llm_config_aliases(llm_config_t *config, llm_node_t *node)
{
    if (node->kind != LLM_MAPPING) {
        llm_fail(node, "\"model_group_alias\" is no mapping");
    }

    config->aliases = node;
}


static void
llm_config_fallbacks(llm_config_t *config, llm_node_t *node)
{
    size_t  i;

    if (node->kind != LLM_SEQUENCE) {
        llm_fail(node, "\"fallbacks\" is no list");
    }

    for (i = 0; i < node->n; i++) {
        if (node->items[i]->kind != LLM_MAPPING) {
            llm_fail(node->items[i], "\"fallbacks\" expects name: [name, ...]");
        }
    }

    config->fallbacks[config->nfallbacks++] = node;
}


static void
llm_config_defaults(llm_config_t *config, llm_node_t *node)
{
    if (node->kind == LLM_MAPPING) {
        llm_fail(node, "\"default_fallbacks\" is no list");
    }

    config->defaults = node;
}


static void
llm_config_retries(llm_config_t *config, llm_node_t *node)
{
    /* that of the router goes first, as it does there */

    if (config->retries == NULL) {
        config->retries = node;
    }
}


static void
llm_config_timeout(llm_config_t *config, llm_node_t *node)
{
    (void) config;

    llm_warn(node, "a time-out has no counterpart at this level, as "
             "llm_proxy.conf sets proxy_read_timeout in the location");
}


static void
llm_config_cooldown(llm_config_t *config, llm_node_t *node)
{
    (void) config;

    llm_warn(node, "\"cooldown_time\" has no counterpart: a key is out as "
             "long as its provider says, or for 5s");
}


static void
llm_config_strategy(llm_config_t *config, llm_node_t *node)
{
    const char  *name;

    name = llm_config_text(config, node, "routing_strategy");

    config->shuffle = 0;

    if (strcmp(name, "simple-shuffle") == 0) {
        config->shuffle = 1;
        config->balance = "round_robin";

    } else if (strcmp(name, "least-busy") == 0) {
        config->balance = "least_conn";

    } else if (llm_config_named(name, "usage-based-routing "
                                      "usage-based-routing-v2"))
    {
        config->balance = "headroom";

    } else {
        config->shuffle = 1;
        config->balance = "round_robin";

        llm_warn(node, "\"routing_strategy\" \"%s\" has no counterpart, keys "
                 "are used in turn", name);
    }
}


static void
llm_config_drop(llm_config_t *config, llm_node_t *node)
{
    (void) config;

    if (!llm_yaml_off(node)) {
        llm_warn(node, "\"drop_params\" has no counterpart: requests are "
                 "passed as they come");
    }
}


static void
llm_config_master(llm_config_t *config, llm_node_t *node)
{
    config->master_key = node;
}


/* what is so here in any case */

static void
llm_config_quiet(llm_config_t *config, llm_node_t *node)
{
    (void) config;
    (void) node;
}
