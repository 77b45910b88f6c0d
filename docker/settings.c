
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * What the environment says, and where things are.
 */


#include "start.h"


/* NAME or NAME_FILE, and not empty */

int
llm_is_set(const char *name, size_t len)
{
    char         variable[128];
    const char  *value;

    (void) snprintf(variable, sizeof(variable), "%.*s", (int) len, name);

    value = getenv(variable);

    if (value && *value) {
        return 1;
    }

    (void) snprintf(variable, sizeof(variable), "%.*s_FILE", (int) len, name);

    value = getenv(variable);

    return value && *value;
}


/* what nginx's command line and the demo need is taken out of its file here */

void
llm_default(const char *name, const char *value)
{
    char         variable[128], text[256];
    FILE        *file;
    const char  *path;

    path = getenv(name);

    if (path && *path) {
        return;
    }

    (void) snprintf(variable, sizeof(variable), "%s_FILE", name);

    path = getenv(variable);
    file = (path && *path) ? fopen(path, "r") : NULL;

    if (path && *path && file == NULL) {
        fprintf(stderr, LLM_NAME "%s: \"%s\": %s\n", variable, path,
                strerror(errno));
        exit(1);
    }

    if (file && fgets(text, sizeof(text), file)) {
        text[strcspn(text, " \t\r\n")] = '\0';
        value = text[0] ? text : value;
    }

    if (file) {
        (void) fclose(file);
    }

    (void) unsetenv(variable);
    (void) setenv(name, value, 1);
}


/* of "env:NAME", "file:PATH" or a key itself */

void
llm_keys_add(llm_keys_t *keys, const char *source)
{
    int          lines;
    char         variable[256], *text, *p, *end;
    FILE        *file;
    size_t       len, size;
    ngx_uint_t   i;
    const char  *path, *value;

    path = NULL;
    value = source;

    if (strncmp(source, "env:", 4) == 0) {
        value = getenv(source + 4);

        if (value == NULL || *value == '\0') {
            (void) snprintf(variable, sizeof(variable), "%s_FILE",
                            source + 4);
            path = getenv(variable);
            value = "";
        }

    } else if (strncmp(source, "file:", 5) == 0) {
        path = source + 5;
    }

    lines = (path && *path);

    if (lines) {

        /* nginx says it, if this cannot be read */

        file = fopen(path, "r");
        text = NULL;
        size = 0;

        if (file == NULL || getdelim(&text, &size, '\0', file) == -1) {
            free(text);
            text = strdup("");
        }

        if (file) {
            (void) fclose(file);
        }

    } else {
        text = strdup(value);
    }

    len = text ? strlen(text) : 0;

    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        text[--len] = '\0';
    }

    p = text;

    if (!lines && len > 1 && (*p == '"' || *p == '\'')
        && strchr(p + 1, *p) == p + len - 1)
    {
        text[--len] = '\0';
        p++;
    }

    for ( /* void */ ; p && *p; p = end) {

        p += strspn(p, " \t");
        end = p + strcspn(p, lines ? ",\n" : ",");
        len = end - p;
        end += (*end != '\0');

        if (lines && len && p[len - 1] == '\r') {
            len--;
        }

        while (len && (p[len - 1] == ' ' || p[len - 1] == '\t')) {
            len--;
        }

        if (len > 1 && (*p == '"' || *p == '\'') && p[len - 1] == *p) {
            p++;
            len -= 2;
        }

        for (i = 0; i < keys->n; i++) {
            if (strlen(keys->keys[i]) == len
                && strncmp(keys->keys[i], p, len) == 0)
            {
                break;
            }
        }

        if (len == 0 || i < keys->n) {
            continue;
        }

        keys->keys = realloc(keys->keys, (i + 1) * sizeof(char *));
        p = keys->keys ? strndup(p, len) : NULL;

        if (p == NULL) {
            fprintf(stderr, LLM_NAME "out of memory\n");
            exit(1);
        }

        keys->keys[keys->n++] = p;
    }

    free(text);
}


int
llm_path(char *dst, size_t size, const char *dir, const char *name)
{
    char  path[PATH_MAX];

    if (realpath(dir, path) == NULL
        || snprintf(dst, size, "%s/%s", path, name) >= (int) size)
    {
        fprintf(stderr, LLM_NAME "\"%s/%s\": %s\n", dir, name,
                strerror(errno));
        return -1;
    }

    return 0;
}
