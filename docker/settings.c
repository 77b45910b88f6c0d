
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
