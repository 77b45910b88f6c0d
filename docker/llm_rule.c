
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Entries of one name, provider, base URL and model are the keys of an
 * upstream, which takes turns with them.  Others of that name are the next
 * targets of the rule, for when the first can do nothing.
 */


#include "llm_settings.h"


/* entries that become keys of one upstream */

typedef struct {
    llm_entry_t   **entries;
    size_t          n;
    double          weight;
} llm_cluster_t;


static void llm_rule_group(llm_config_t *config, llm_entry_t *first);
static void llm_rule_rank(llm_config_t *config, const char *name);
static llm_cluster_t *llm_rule_cluster(llm_config_t *config,
    llm_entry_t *first);
static void llm_rule_weights(llm_config_t *config, llm_cluster_t *cluster,
    int weighed);
static double llm_rule_limit(llm_entry_t *entry, int tpm);
static int llm_rule_same(const char *one, const char *two);
static llm_upstream_t *llm_rule_place(llm_config_t *config,
    llm_cluster_t *cluster);
static int llm_rule_fits(llm_upstream_t *upstream, llm_cluster_t *cluster);
static llm_key_t *llm_rule_key(llm_upstream_t *upstream, llm_key_t *key);
static void llm_rule_add_key(llm_upstream_t *upstream, llm_entry_t *entry,
    llm_key_t *added);
static void llm_rule_providers(llm_config_t *config, llm_entry_t *any);
static void llm_rule_target(llm_target_t ***targets, size_t *n,
    llm_upstream_t *upstream, const char *model);
static llm_rule_t *llm_rule_add(llm_config_t *config, const char *name,
    llm_node_t *node);
static llm_rule_t *llm_rule_match(llm_config_t *config, const char *name);
static int llm_rule_resolve(llm_config_t *config, const char *name,
    llm_target_t ***targets, size_t *n);
static void llm_rule_aliases(llm_config_t *config);
static llm_node_t *llm_rule_fallbacks(llm_config_t *config, const char *name);
static llm_node_t *llm_rule_fallback(llm_config_t *config, llm_node_t *list,
    size_t i);
static void llm_rule_chain(llm_config_t *config, llm_rule_t *rule,
    llm_node_t *list, const char **visited, int depth);
static void llm_rule_asked(llm_config_t *config);


void
llm_rule_make(llm_config_t *config)
{
    size_t        i;
    llm_node_t   *list;
    llm_rule_t   *rule;
    const char   *visited[LLM_MAX_FALLBACKS + 1];

    for (i = 0; i < config->nentries; i++) {
        if (config->entries[i]->placed) {
            continue;
        }

        if (config->entries[i]->provider == NULL) {
            llm_rule_providers(config, config->entries[i]);

        } else {
            llm_rule_group(config, config->entries[i]);
        }
    }

    llm_rule_aliases(config);
    llm_rule_asked(config);

    /* LiteLLM takes the first of these for names that it does not know */

    if (config->defaults && llm_rule_find(config, "*") == NULL) {
        list = llm_rule_fallback(config, config->defaults, 0);

        if (list && llm_rule_match(config, list->text)) {
            rule = llm_rule_add(config, "default", list);
            rule->rest = 1;
            (void) llm_rule_resolve(config, list->text, &rule->targets,
                                    &rule->ntargets);
        }
    }

    for (i = 0; i < config->nrules; i++) {
        rule = config->rules[i];

        llm_rule_chain(config, rule, NULL, visited, 0);
    }
}


/* all entries of a name */

static void
llm_rule_group(llm_config_t *config, llm_entry_t *first)
{
    int              rank, weighed;
    size_t           i, k, n;
    llm_rule_t      *rule;
    llm_entry_t     *entry;
    llm_cluster_t  **clusters, *cluster;

    llm_rule_rank(config, first->name);

    clusters = NULL;
    n = 0;
    weighed = 0;

    for (i = 0; i < config->nentries; i++) {
        if (strcmp(config->entries[i]->name, first->name) == 0
            && config->entries[i]->weight > 0)
        {
            weighed = 1;
        }
    }

    for (i = 0; i < config->nentries; i++) {
        entry = config->entries[i];

        if (entry->placed || strcmp(entry->name, first->name) != 0
            || entry->provider == NULL)
        {
            continue;
        }

        cluster = llm_rule_cluster(config, entry);
        llm_rule_weights(config, cluster, weighed);

        llm_push(&clusters, &n, cluster);
    }

    /* by order, then the heaviest, then as they stand */

    for (i = 1; i < n; i++) {
        cluster = clusters[i];

        for (k = i; k > 0; k--) {
            rank = clusters[k - 1]->entries[0]->rank
                   - cluster->entries[0]->rank;

            if (rank < 0
                || (rank == 0
                    && clusters[k - 1]->weight >= cluster->weight))
            {
                break;
            }

            clusters[k] = clusters[k - 1];
        }

        clusters[k] = cluster;
    }

    rule = llm_rule_add(config, first->name, first->node);

    for (i = 0; i < n; i++) {
        entry = clusters[i]->entries[0];

        if (i && clusters[i - 1]->entries[0]->rank == entry->rank) {
            llm_warn(entry->node, "\"%s\" is at several providers, base URLs "
                     "or models, which are asked one behind the other%s and "
                     "not in turn", entry->name,
                     weighed ? ", the heaviest first," : "");
        }

        llm_rule_target(&rule->targets, &rule->ntargets,
                        llm_rule_place(config, clusters[i]),
                        strchr(entry->model, '*') ? NULL : entry->model);
    }
}


/* the place of each "order" among those of the name; without one: behind */

static void
llm_rule_rank(llm_config_t *config, const char *name)
{
    size_t        i, k, m;
    llm_entry_t  *entry, *other, *same;

    for (i = 0; i < config->nentries; i++) {
        entry = config->entries[i];

        if (strcmp(entry->name, name) != 0) {
            continue;
        }

        for (k = 0; k < config->nentries; k++) {
            other = config->entries[k];

            if (strcmp(other->name, name) != 0
                || other->order >= entry->order)
            {
                continue;
            }

            for (m = 0; m < k; m++) {
                same = config->entries[m];

                if (same->order == other->order
                    && strcmp(same->name, name) == 0)
                {
                    break;
                }
            }

            entry->rank += (m == k);
        }
    }
}


static llm_cluster_t *
llm_rule_cluster(llm_config_t *config, llm_entry_t *first)
{
    size_t          i;
    llm_entry_t    *entry;
    llm_cluster_t  *cluster;

    cluster = llm_alloc(sizeof(llm_cluster_t));

    for (i = 0; i < config->nentries; i++) {
        entry = config->entries[i];

        if (entry->placed
            || entry->provider != first->provider
            || entry->rank != first->rank
            || (entry->nkeys == 0) != (first->nkeys == 0)
            || strcmp(entry->name, first->name) != 0
            || strcmp(entry->model, first->model) != 0
            || !llm_rule_same(entry->base, first->base))
        {
            continue;
        }

        entry->placed = 1;

        if (entry->weight > 0) {
            cluster->weight += entry->weight;
        }

        llm_push(&cluster->entries, &cluster->n, entry);
    }

    return cluster;
}


/* those of simple-shuffle, which takes rpm or tpm where there is no weight */

static void
llm_rule_weights(llm_config_t *config, llm_cluster_t *cluster, int weighed)
{
    int           tpm;
    size_t        i, k;
    double        weight;
    llm_key_t    *key;
    llm_entry_t  *entry;

    tpm = -1;

    if (config->shuffle && !weighed) {

        for (tpm = 0; tpm < 2; tpm++) {
            for (i = 0; i < cluster->n; i++) {
                if (llm_rule_limit(cluster->entries[i], tpm) == 0) {
                    break;
                }
            }

            if (i == cluster->n) {
                break;
            }
        }
    }

    for (i = 0; i < cluster->n; i++) {
        entry = cluster->entries[i];

        weight = (entry->weight > 0) ? entry->weight : 1;

        if (tpm == 0 || tpm == 1) {
            weight = llm_rule_limit(entry, tpm);
        }

        for (k = 0; k < entry->nkeys; k++) {
            key = entry->keys[k];

            /* a weight of 0 is never chosen, if there are others */

            key->down = (weighed && entry->weight == 0);

            /* one alone has all, whatever its weight */

            key->weight = ((cluster->n == 1 && entry->nkeys == 1) || key->down)
                          ? 0 : weight;
            key->rpm = entry->rpm;
            key->tpm = entry->tpm;
            key->max_conns = entry->max_conns;
        }
    }
}


static double
llm_rule_limit(llm_entry_t *entry, int tpm)
{
    return tpm ? entry->tpm : entry->rpm;
}


static int
llm_rule_same(const char *one, const char *two)
{
    return (one && two) ? strcmp(one, two) == 0 : one == two;
}


static llm_upstream_t *
llm_rule_place(llm_config_t *config, llm_cluster_t *cluster)
{
    size_t           i, k;
    llm_entry_t     *entry;
    llm_upstream_t  *upstream;

    entry = cluster->entries[0];
    upstream = NULL;

    for (i = 0; i < config->nupstreams; i++) {
        if (llm_rule_fits(config->upstreams[i], cluster)) {
            upstream = config->upstreams[i];
            break;
        }
    }

    if (upstream == NULL) {
        upstream = llm_alloc(sizeof(llm_upstream_t));

        upstream->provider = entry->provider;
        upstream->base = entry->base;
        upstream->rank = entry->rank;
        upstream->anonymous = (entry->nkeys == 0);

        llm_push(&config->upstreams, &config->nupstreams, upstream);
    }

    for (i = 0; i < cluster->n; i++) {
        entry = cluster->entries[i];

        for (k = 0; k < entry->nkeys; k++) {
            llm_rule_add_key(upstream, entry, entry->keys[k]);
        }
    }

    return upstream;
}


static int
llm_rule_fits(llm_upstream_t *upstream, llm_cluster_t *cluster)
{
    size_t        i, k;
    llm_key_t    *key, *old;
    llm_entry_t  *entry;

    entry = cluster->entries[0];

    if (upstream->provider != entry->provider
        || upstream->rank != entry->rank
        || upstream->anonymous != (entry->nkeys == 0)
        || !llm_rule_same(upstream->base, entry->base))
    {
        return 0;
    }

    for (i = 0; i < cluster->n; i++) {
        entry = cluster->entries[i];

        for (k = 0; k < entry->nkeys; k++) {
            key = entry->keys[k];
            old = llm_rule_key(upstream, key);

            if (old
                && (old->rpm != key->rpm || old->tpm != key->tpm
                    || old->max_conns != key->max_conns
                    || old->down != key->down
                    || (old->weight > 0 && key->weight > 0
                        && old->weight != key->weight)))
            {
                return 0;
            }
        }
    }

    return 1;
}


static llm_key_t *
llm_rule_key(llm_upstream_t *upstream, llm_key_t *key)
{
    size_t  i;

    for (i = 0; i < upstream->nkeys; i++) {
        if (llm_rule_same(upstream->keys[i]->env, key->env)
            && llm_rule_same(upstream->keys[i]->literal, key->literal))
        {
            return upstream->keys[i];
        }
    }

    return NULL;
}


static void
llm_rule_add_key(llm_upstream_t *upstream, llm_entry_t *entry,
    llm_key_t *added)
{
    size_t      i;
    llm_key_t  *key;

    key = llm_rule_key(upstream, added);

    if (key == NULL) {
        key = llm_alloc(sizeof(llm_key_t));
        *key = *added;

        llm_push(&upstream->keys, &upstream->nkeys, key);
    }

    if (key->weight == 0) {
        key->weight = added->weight;
    }

    for (i = 0; i < key->nmodels; i++) {
        if (strcmp(key->models[i], entry->model) == 0) {
            return;
        }
    }

    if (key->nmodels && (key->rpm || key->tpm)) {
        llm_warn(entry->node, "\"rpm\" and \"tpm\" limit a key, not each of "
                 "its models");
    }

    if (strcmp(entry->model, "*") == 0) {
        key->any = 1;
    }

    llm_push(&key->models, &key->nmodels, (void *) entry->model);
}


/* "*" at "*": whatever the environment has, by the names that all know */

static void
llm_rule_providers(llm_config_t *config, llm_entry_t *any)
{
    size_t          n;
    ngx_uint_t      i;
    llm_entry_t    *entry;
    llm_cluster_t   cluster;
    const char     *list;
    ngx_str_t       word;

    for (i = 0; ngx_http_llm_catalog_entry(i); i++) {
        entry = llm_alloc(sizeof(llm_entry_t));

        *entry = *any;
        entry->provider = ngx_http_llm_catalog_entry(i);

        entry->base = llm_entry_base(config, entry, NULL);

        list = entry->provider->keys;
        n = (entry->provider->keyless && entry->base);

        while (ngx_http_llm_catalog_word(&list, &word)) {
            n += llm_config_is_set(config, llm_format("%.*s", (int) word.len,
                                                      word.data));
        }

        if (n == 0
            || (entry->base == NULL && entry->provider->base.len == 0))
        {
            continue;
        }

        llm_entry_keys(config, entry, NULL);

        memset(&cluster, 0, sizeof(llm_cluster_t));
        llm_push(&cluster.entries, &cluster.n, entry);

        llm_rule_weights(config, &cluster, 0);
        (void) llm_rule_place(config, &cluster);
    }

    any->placed = 1;
}


static void
llm_rule_target(llm_target_t ***targets, size_t *n, llm_upstream_t *upstream,
    const char *model)
{
    size_t         i;
    llm_target_t  *target;

    for (i = 0; i < *n; i++) {
        target = (*targets)[i];

        if (target->upstream == upstream
            && llm_rule_same(target->model, model))
        {
            return;
        }
    }

    target = llm_alloc(sizeof(llm_target_t));

    target->upstream = upstream;
    target->model = model;

    llm_push(targets, n, target);
}


static llm_rule_t *
llm_rule_add(llm_config_t *config, const char *name, llm_node_t *node)
{
    llm_rule_t  *rule;

    rule = llm_alloc(sizeof(llm_rule_t));

    rule->name = name;
    rule->node = node;

    llm_push(&config->rules, &config->nrules, rule);

    return rule;
}


llm_rule_t *
llm_rule_find(llm_config_t *config, const char *name)
{
    size_t  i;

    for (i = 0; i < config->nrules; i++) {
        if (!config->rules[i]->rest
            && strcmp(config->rules[i]->name, name) == 0)
        {
            return config->rules[i];
        }
    }

    return NULL;
}


/* as the module would: the name itself, or the longest pattern */

static llm_rule_t *
llm_rule_match(llm_config_t *config, const char *name)
{
    size_t       i;
    ngx_str_t    text, pattern;
    llm_rule_t  *rule, *best;

    best = llm_rule_find(config, name);

    if (best) {
        return best;
    }

    text.data = (u_char *) name;
    text.len = strlen(name);

    for (i = 0; i < config->nrules; i++) {
        rule = config->rules[i];

        pattern.data = (u_char *) rule->name;
        pattern.len = strlen(rule->name);

        if (!rule->rest && strchr(rule->name, '*')
            && ngx_http_llm_glob(&pattern, &text)
            && (best == NULL || pattern.len > strlen(best->name)))
        {
            best = rule;
        }
    }

    return best;
}


/* the targets of a name, with what a pattern leaves to the client filled in */

static int
llm_rule_resolve(llm_config_t *config, const char *name,
    llm_target_t ***targets, size_t *n)
{
    size_t         i;
    ngx_str_t      prefix;
    llm_rule_t    *rule;
    const char    *model, *slash;
    llm_target_t  *target;

    rule = llm_rule_match(config, name);

    if (rule == NULL) {
        return -1;
    }

    slash = strchr(name, '/');

    prefix.data = (u_char *) name;
    prefix.len = slash ? slash - name : 0;

    for (i = 0; i < rule->ntargets; i++) {
        target = rule->targets[i];
        model = target->model;

        if (model == NULL && strcmp(rule->name, name) != 0) {
            model = (slash && ngx_http_llm_catalog_named(
                                  target->upstream->provider, &prefix))
                    ? slash + 1 : name;
        }

        llm_rule_target(targets, n, target->upstream, model);
    }

    return 0;
}


static void
llm_rule_aliases(llm_config_t *config)
{
    size_t          i;
    llm_node_t     *key, *value;
    llm_rule_t     *rule;
    llm_target_t  **targets;
    size_t          n;

    if (config->aliases == NULL) {
        return;
    }

    for (i = 0; i < config->aliases->n; i += 2) {
        key = config->aliases->items[i];
        value = config->aliases->items[i + 1];

        if (value->kind == LLM_MAPPING) {
            if (llm_yaml_get(value, "hidden")
                && !llm_yaml_off(llm_yaml_get(value, "hidden")))
            {
                llm_warn(key, "\"hidden\" has no counterpart");
            }

            value = llm_yaml_get(value, "model");
        }

        if (value == NULL || value->kind != LLM_SCALAR || !*key->text) {
            llm_fail(key, "\"model_group_alias\" has no name for \"%s\"",
                     key->text);
        }

        targets = NULL;
        n = 0;

        if (llm_rule_resolve(config, value->text, &targets, &n) != 0) {
            llm_warn(value, "alias \"%s\" is left out: \"%s\" is no "
                     "\"model_name\"", key->text, value->text);
            continue;
        }

        rule = llm_rule_find(config, key->text);

        if (rule) {
            llm_warn(key, "alias \"%s\" takes the place of the "
                     "\"model_name\"", key->text);

        } else {
            rule = llm_rule_add(config, key->text, key);
        }

        rule->alias = value->text;
        rule->targets = targets;
        rule->ntargets = n;
    }
}


/* names in "fallbacks" that only a pattern serves get a rule of their own */

static void
llm_rule_asked(llm_config_t *config)
{
    size_t       i, k, m;
    llm_node_t  *list, *key;
    llm_rule_t  *rule;

    for (i = 0; i < config->nfallbacks; i++) {
        for (k = 0; k < config->fallbacks[i]->n; k++) {
            list = config->fallbacks[i]->items[k];

            for (m = 0; m < list->n; m += 2) {
                key = list->items[m];

                if (strcmp(key->text, "*") == 0
                    || llm_rule_find(config, key->text))
                {
                    continue;
                }

                if (llm_rule_match(config, key->text) == NULL) {
                    llm_warn(key, "fallbacks of \"%s\" are left out: it is no "
                             "\"model_name\"", key->text);
                    continue;
                }

                rule = llm_alloc(sizeof(llm_rule_t));
                rule->name = key->text;
                rule->node = key;

                (void) llm_rule_resolve(config, key->text, &rule->targets,
                                        &rule->ntargets);

                llm_push(&config->rules, &config->nrules, rule);
            }
        }
    }
}


static llm_node_t *
llm_rule_fallbacks(llm_config_t *config, const char *name)
{
    size_t       i, k;
    llm_node_t  *list;

    for (i = 0; i < config->nfallbacks; i++) {
        for (k = 0; k < config->fallbacks[i]->n; k++) {
            list = llm_yaml_get(config->fallbacks[i]->items[k], name);

            if (list) {
                return list;
            }
        }
    }

    return NULL;
}


/* a name, or a mapping with a name and what to send there */

static llm_node_t *
llm_rule_fallback(llm_config_t *config, llm_node_t *list, size_t i)
{
    llm_node_t  *item;

    item = (list->kind == LLM_SEQUENCE) ? list->items[i] : list;

    if (item->kind == LLM_MAPPING) {
        if (item->n > 2) {
            llm_warn(item, "parameters of a fallback have no counterpart");
        }

        item = llm_yaml_get(item, "model");
    }

    if (item == NULL || item->kind != LLM_SCALAR) {
        llm_fail(list, "a fallback is no name");
    }

    if (llm_rule_match(config, item->text) == NULL) {
        llm_warn(item, "fallback \"%s\" is left out: it is no "
                 "\"model_name\"", item->text);
        return NULL;
    }

    return item;
}


/* what a rule has itself, then its fallbacks, and each one's own */

static void
llm_rule_chain(llm_config_t *config, llm_rule_t *rule, llm_node_t *list,
    const char **visited, int depth)
{
    int          k;
    size_t       i, n;
    llm_node_t  *item;

    if (depth == 0) {
        for (i = 0; i < rule->ntargets; i++) {
            llm_rule_target(&rule->chain, &rule->nchain,
                            rule->targets[i]->upstream,
                            rule->targets[i]->model);
        }

        visited[0] = rule->name;

        list = rule->rest ? NULL : llm_rule_fallbacks(config, rule->name);

        if (list == NULL && rule->alias) {
            list = llm_rule_fallbacks(config, rule->alias);
        }

        if (list == NULL) {
            list = llm_rule_fallbacks(config, "*");
        }

        if (list == NULL) {
            list = config->defaults;
        }
    }

    if (list == NULL) {
        return;
    }

    n = (list->kind == LLM_SEQUENCE) ? list->n : 1;

    for (i = 0; i < n; i++) {
        item = llm_rule_fallback(config, list, i);

        if (item == NULL) {
            continue;
        }

        for (k = 0; k <= depth; k++) {
            if (strcmp(visited[k], item->text) == 0) {
                break;
            }
        }

        if (k <= depth) {
            continue;
        }

        (void) llm_rule_resolve(config, item->text, &rule->chain,
                                &rule->nchain);

        if (depth + 1 < LLM_MAX_FALLBACKS) {
            visited[depth + 1] = item->text;

            llm_rule_chain(config, rule,
                           llm_rule_fallbacks(config, item->text), visited,
                           depth + 1);
        }
    }
}
