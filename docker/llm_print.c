
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include <ctype.h>
#include <math.h>

#include "llm_settings.h"


static void llm_print_names(llm_config_t *config);
static int llm_print_taken(llm_config_t *config, const char *name);
static const char *llm_print_host(const char *base);
static void llm_print_upstream(llm_config_t *config,
    llm_upstream_t *upstream);
static int llm_print_sets(llm_upstream_t *upstream);
static int llm_print_has(llm_key_t *key, const char *model);
static void llm_print_models(llm_key_t *key);
static long *llm_print_weights(llm_upstream_t *upstream);
static void llm_print_secret(llm_key_t *key);
static void llm_print_rules(llm_config_t *config);
static const char *llm_print_rule_name(llm_config_t *config,
    llm_rule_t *rule);
static void llm_print_retries(llm_config_t *config);
static void llm_print_word(llm_node_t *node, const char *word);


static FILE  *llm_out;


void
llm_print(llm_config_t *config, FILE *out)
{
    size_t      i;
    llm_key_t  *key;

    llm_out = out;

    llm_print_names(config);

    fprintf(llm_out, "# Made by llm-config: changes belong into the YAML "
            "file.\n");

    for (i = 0; i < config->nupstreams; i++) {
        llm_print_upstream(config, config->upstreams[i]);
    }

    llm_print_rules(config);
    llm_print_retries(config);

    if (config->master_key) {
        key = llm_entry_secret(config, config->master_key, "master_key");

        if (key->literal && strcmp(key->literal, "sk-1234") == 0) {
            llm_warn(config->master_key, "\"master_key\" is the one of "
                     "LiteLLM's documentation");
        }

        fprintf(llm_out, "\nllm_client_key ");
        llm_print_secret(key);
        fprintf(llm_out, ";\n");
    }
}


/* openai, or openai-example for one of several that has a base of its own */

static void
llm_print_names(llm_config_t *config)
{
    int              n;
    size_t           i, k;
    const char      *stem, *name;
    llm_upstream_t  *upstream, *other;

    for (i = 0; i < config->nupstreams; i++) {
        upstream = config->upstreams[i];

        stem = llm_format("%.*s", (int) upstream->provider->name.len,
                          upstream->provider->name.data);

        for (k = 0; k < config->nupstreams; k++) {
            other = config->upstreams[k];

            if (other->provider == upstream->provider
                && (other->base == NULL || upstream->base == NULL
                    || strcmp(other->base, upstream->base) != 0)
                && other != upstream)
            {
                break;
            }
        }

        if (upstream->base && k < config->nupstreams) {
            stem = llm_format("%s-%s", stem, llm_print_host(upstream->base));
        }

        name = stem;

        for (n = 2; llm_print_taken(config, name); n++) {
            name = llm_format("%s-%d", stem, n);
        }

        upstream->name = name;
    }
}


static int
llm_print_taken(llm_config_t *config, const char *name)
{
    size_t  i;

    for (i = 0; i < config->nupstreams; i++) {
        if (config->upstreams[i]->name
            && strcmp(config->upstreams[i]->name, name) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* the first label, or the whole address with its port, as a word */

static const char *
llm_print_host(const char *base)
{
    char    *name;
    size_t   i;

    base = strstr(base, "://") + 3;
    name = llm_format("%.*s", (int) strcspn(base, "/"), base);

    if (strspn(name, "0123456789.:[]abcdef") != strlen(name)) {
        name[strcspn(name, ".")] = '\0';
    }

    for (i = 0; name[i]; i++) {
        name[i] = isalnum((unsigned char) name[i])
                  ? (char) tolower((unsigned char) name[i]) : '-';
    }

    return name;
}


static void
llm_print_upstream(llm_config_t *config, llm_upstream_t *upstream)
{
    int          sets;
    long        *weights;
    size_t       i;
    llm_key_t   *key;

    fprintf(llm_out, "\nupstream %s {\n    llm_provider %.*s", upstream->name,
            (int) upstream->provider->name.len, upstream->provider->name.data);

    if (upstream->base) {
        fprintf(llm_out, " ");
        llm_print_word(NULL, llm_format("base=%s", upstream->base));
    }

    fprintf(llm_out, "%s;\n", upstream->anonymous ? " auth=none" : "");

    if (config->balance) {
        fprintf(llm_out, "    llm_balance %s;\n", config->balance);
    }

    if (config->queue) {
        fprintf(llm_out, "    llm_queue %s;\n", config->queue);
    }

    sets = llm_print_sets(upstream);
    weights = llm_print_weights(upstream);

    for (i = 0; i < upstream->nkeys; i++) {
        key = upstream->keys[i];

        fprintf(llm_out, "    llm_key ");
        llm_print_secret(key);

        if (weights[i] > 1) {
            fprintf(llm_out, " weight=%ld", weights[i]);
        }

        if (key->max_conns) {
            fprintf(llm_out, " max_conns=%ld", key->max_conns);
        }

        if (key->rpm) {
            fprintf(llm_out, " rpm=%ld", key->rpm);
        }

        if (key->tpm) {
            fprintf(llm_out, " tpm=%ld", key->tpm);
        }

        if (sets && !key->any) {
            llm_print_models(key);
        }

        fprintf(llm_out, "%s;\n", key->down ? " down" : "");
    }

    fprintf(llm_out, "    keepalive 64;\n}\n");
}


/* whether keys differ in what they are for */

static int
llm_print_sets(llm_upstream_t *upstream)
{
    size_t      i, k;
    llm_key_t  *first, *key;

    for (i = 1; i < upstream->nkeys; i++) {
        first = upstream->keys[0];
        key = upstream->keys[i];

        if (first->any && key->any) {
            continue;
        }

        if (first->any != key->any || first->nmodels != key->nmodels) {
            return 1;
        }

        for (k = 0; k < key->nmodels; k++) {
            if (!llm_print_has(first, key->models[k])) {
                return 1;
            }
        }
    }

    return 0;
}


static int
llm_print_has(llm_key_t *key, const char *model)
{
    size_t  i;

    for (i = 0; i < key->nmodels; i++) {
        if (strcmp(key->models[i], model) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
llm_print_models(llm_key_t *key)
{
    char    *list;
    size_t   i;

    list = "models=";

    for (i = 0; i < key->nmodels; i++) {

        if (strchr(key->models[i], ',')) {
            llm_warn(key->node, "a key of \"%s\" is for all models, as the "
                     "name has a comma", key->models[i]);
            return;
        }

        list = llm_format("%s%s%s", list, i ? "," : "", key->models[i]);
    }

    if (strlen(list) > LLM_MAX_WORD) {
        llm_warn(key->node, "a key is for all models, as it has too many");
        return;
    }

    fprintf(llm_out, " ");
    llm_print_word(key->node, list);
}


/* whole numbers in the same proportion, as small as can be */

static long *
llm_print_weights(llm_upstream_t *upstream)
{
    long        *weights, a, b, c;
    size_t       i;
    double       factor, largest, weight;
    llm_key_t   *key;

    weights = llm_alloc((upstream->nkeys + 1) * sizeof(long));
    largest = 1;

    for (factor = 1; factor < 1000; factor *= 10) {
        for (i = 0; i < upstream->nkeys; i++) {
            weight = upstream->keys[i]->weight * factor;

            if (fabs(weight - round(weight)) > 1e-6) {
                break;
            }
        }

        if (i == upstream->nkeys) {
            break;
        }
    }

    for (i = 0; i < upstream->nkeys; i++) {
        weight = upstream->keys[i]->weight * factor;
        largest = (weight > largest) ? weight : largest;
    }

    if (largest > LLM_MAX_WEIGHT) {
        factor *= LLM_MAX_WEIGHT / largest;
    }

    a = 0;

    for (i = 0; i < upstream->nkeys; i++) {
        key = upstream->keys[i];
        weights[i] = key->weight > 0 ? lround(key->weight * factor) : 0;

        if (weights[i] == 0 && key->weight > 0) {
            weights[i] = 1;
        }

        for (b = weights[i]; b; b = c) {
            c = a % b;
            a = b;
        }
    }

    for (i = 0; i < upstream->nkeys; i++) {
        weights[i] = a ? weights[i] / a : 0;
    }

    return weights;
}


static void
llm_print_secret(llm_key_t *key)
{
    llm_print_word(key->node, key->env ? llm_format("env:%s", key->env)
                                       : key->literal);
}


static void
llm_print_rules(llm_config_t *config)
{
    size_t         i, k;
    llm_rule_t    *rule;
    llm_target_t  *target;

    if (config->nrules) {
        fprintf(llm_out, "\n");
    }

    for (i = 0; i < config->nrules; i++) {
        rule = config->rules[i];

        fprintf(llm_out, "llm_model ");
        llm_print_word(rule->node, llm_print_rule_name(config, rule));

        for (k = 0; k < rule->nchain; k++) {
            target = rule->chain[k];

            fprintf(llm_out, " ");

            if (target->model) {
                llm_print_word(rule->node,
                               llm_format("%s/%s", target->upstream->name,
                                          target->model));

            } else {
                llm_print_word(rule->node, target->upstream->name);
            }
        }

        fprintf(llm_out, ";\n");
    }
}


/* "default" and "~" mean something else to llm_model */

static const char *
llm_print_rule_name(llm_config_t *config, llm_rule_t *rule)
{
    char         *name;
    size_t        i;
    ngx_str_t     text, pattern;
    const char   *p;

    if (rule->rest
        || (strcmp(rule->name, "default") != 0 && rule->name[0] != '~'))
    {
        return rule->name;
    }

    text.data = (u_char *) rule->name;
    text.len = strlen(rule->name);

    for (i = 0; i < config->nrules; i++) {
        pattern.data = (u_char *) config->rules[i]->name;
        pattern.len = strlen(config->rules[i]->name);

        if (config->rules[i] != rule && !config->rules[i]->rest
            && strchr(config->rules[i]->name, '*')
            && ngx_http_llm_glob(&pattern, &text))
        {
            llm_warn(rule->node, "\"%s\" comes behind \"%s\" here",
                     rule->name, config->rules[i]->name);
        }
    }

    name = "~^";

    for (p = rule->name; *p; p++) {
        name = (*p == '*') ? llm_format("%s.*", name)
               : (isalnum((unsigned char) *p) || (*p & 0x80))
               ? llm_format("%s%c", name, *p) : llm_format("%s\\%c", name, *p);
    }

    return llm_format("%s$", name);
}


/* tries are all together: with fallbacks they would be used up before */

static void
llm_print_retries(llm_config_t *config)
{
    long    number;
    size_t  i;

    if (config->retries == NULL) {
        return;
    }

    number = (long) llm_config_number(config, config->retries, "num_retries");

    for (i = 0; i < config->nrules; i++) {
        if (config->rules[i]->nchain > 1) {
            llm_warn(config->retries, "\"num_retries\" has no counterpart "
                     "where there are fallbacks: each key is tried once");
            return;
        }
    }

    fprintf(llm_out, "\nproxy_next_upstream_tries %ld;\n", number + 1);
}


/* a word of nginx's configuration */

static void
llm_print_word(llm_node_t *node, const char *word)
{
    const char  *p;

    for (p = word; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            llm_fail(node, "a control character");
        }
    }

    if (strpbrk(word, " \"'\\{};$#") == NULL) {
        fprintf(llm_out, "%s", word);
        return;
    }

    putc('"', llm_out);

    for (p = word; *p; p++) {
        if (*p == '"' || *p == '\\') {
            putc('\\', llm_out);
        }

        putc(*p, llm_out);
    }

    putc('"', llm_out);
}
