
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Values in LiteLLM's file: texts, numbers and what they refer to.
 */


#include "llm_settings.h"


/* a value, of which "os.environ/NAME" is one too */

const char *
llm_config_text(llm_config_t *config, llm_node_t *node, const char *name)
{
    llm_node_t  *value;
    const char  *text, *variable;

    if (node->kind != LLM_SCALAR) {
        llm_fail(node, "\"%s\" is no single value", name);
    }

    if (strncmp(node->text, LLM_ENVIRON, strlen(LLM_ENVIRON)) != 0) {
        return node->text;
    }

    variable = node->text + strlen(LLM_ENVIRON);
    value = llm_config_environment(config, variable);

    text = value ? value->text : llm_config_variable(node, variable);

    if (text == NULL) {
        llm_fail(node, "%s is not set", variable);
    }

    return text;
}


double
llm_config_number(llm_config_t *config, llm_node_t *node, const char *name)
{
    char        *end;
    double       number;
    const char  *text;

    text = llm_config_text(config, node, name);
    number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= 0 && number < 1e15)) {
        llm_fail(node, "\"%s\" is no number from 0", name);
    }

    return number;
}


/* what the file itself sets, unless that is a reference again */

llm_node_t *
llm_config_environment(llm_config_t *config, const char *name)
{
    llm_node_t  *value;

    value = llm_yaml_get(config->environment, name);

    if (value == NULL || value->kind != LLM_SCALAR || *value->text == '\0'
        || strncmp(value->text, LLM_ENVIRON, strlen(LLM_ENVIRON)) == 0)
    {
        return NULL;
    }

    value->used = 1;

    return value;
}


/* the values of the entry of "credential_list" that a node names */

llm_node_t *
llm_config_credential(llm_config_t *config, llm_node_t *node,
    const char *name)
{
    size_t       i;
    llm_node_t  *list, *item, *title;
    const char  *text;

    text = llm_config_text(config, node, "litellm_credential_name");
    list = config->credentials;

    for (i = 0; list && list->kind == LLM_SEQUENCE && i < list->n; i++) {
        item = list->items[i];
        title = llm_yaml_get(item, "credential_name");

        if (title && title->kind == LLM_SCALAR
            && strcmp(title->text, text) == 0)
        {
            return llm_yaml_get(llm_yaml_get(item, "credential_values"),
                                name);
        }
    }

    llm_fail(node, "no \"credential_name\" \"%s\" in \"credential_list\"",
             text);
}


/* NAME or NAME_FILE, as the module reads them */

int
llm_config_is_set(llm_config_t *config, const char *name)
{
    const char  *value;

    if (llm_config_environment(config, name)) {
        return 1;
    }

    value = getenv(name);

    if (value && *value) {
        return 1;
    }

    value = getenv(llm_format("%s_FILE", name));

    return value && *value;
}


/* the value of these, or NULL, as ngx_http_llm_secret_env() reads it */

const char *
llm_config_variable(llm_node_t *node, const char *name)
{
    char        *text, quote;
    FILE        *file;
    size_t       len;
    const char  *value, *path;

    value = getenv(name);

    if (value && *value) {
        text = llm_format("%s", value);
        len = strlen(text);

    } else {
        name = llm_format("%s_FILE", name);
        path = getenv(name);

        if (path == NULL || *path == '\0') {
            return NULL;
        }

        text = llm_alloc(LLM_MAX_WORD + 1);
        file = fopen(path, "r");
        len = file ? fread(text, 1, LLM_MAX_WORD, file) : 0;

        if (file == NULL || ferror(file)) {
            llm_fail(node, "%s: \"%s\": %s", name, path, strerror(errno));
        }

        (void) fclose(file);
    }

    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }

    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        len--;
    }

    text[len] = '\0';
    text += strspn(text, " \t");
    len = strlen(text);
    quote = text[0];

    if (len > 1 && (quote == '"' || quote == '\'')
        && text[len - 1] == quote)
    {
        text[len - 1] = '\0';
        text++;
    }

    return *text ? text : NULL;
}


int
llm_config_named(const char *name, const char *words)
{
    ngx_str_t  text;

    text.data = (u_char *) name;
    text.len = strlen(name);

    return ngx_http_llm_catalog_has(words, &text);
}
