
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * --config: llm-config makes directives of LiteLLM's file, nginx.conf includes
 * them.  As nginx looks for includes beside its main file only, and the image
 * may be read-only, that is done in a directory of links.
 */


#include "start.h"

#include <sys/wait.h>


#define LLM_SERVER  "# server: "
#define LLM_CLIENT  "llm_client_key "


static int llm_link_all(const char *from, const char *to);
static int llm_run_tool(const char *config, const char *path);
static int llm_make(llm_start_t *start, char **key);
static int llm_read_back(llm_start_t *start, const char *path, char **key);
static char *llm_word(const char *text);
static int llm_client_key(llm_start_t *start, const char *source);
static int llm_write_key(llm_start_t *start, const char *key);


int
llm_convert(llm_start_t *start)
{
    char  dir[PATH_MAX], *key;

    if (llm_path(dir, sizeof(dir), start->run_dir, "conf") != 0) {
        return -1;
    }

    if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", dir, strerror(errno));
        return -1;
    }

    if (llm_link_all(start->conf_dir, dir) != 0) {
        return -1;
    }

    start->conf_dir = strdup(dir);

    if (start->conf_dir == NULL
        || llm_make(start, &key) != 0
        || llm_client_key(start, key) != 0)
    {
        return -1;
    }

    free(key);

    return 0;
}


/*
 * At SIGHUP.  The environment of nginx cannot be changed then, so that a master
 * key has to stay where it is.
 */

int
llm_convert_again(llm_start_t *start)
{
    int    rc;
    char  *key;

    if (llm_make(start, &key) != 0) {
        return -1;
    }

    rc = 0;

    if (key && start->literal && strncmp(key, "env:", 4) != 0) {
        rc = llm_write_key(start, key);

    } else if (start->literal
               || (key != NULL) != (start->client_key != NULL)
               || (key && strcmp(key, start->client_key) != 0))
    {
        fprintf(stderr, LLM_NAME "master_key is elsewhere now, which takes a "
                "restart; the one of the start is still valid\n");
    }

    free(key);

    return rc;
}


/* one that is wrong does not take the place of one that was not */

static int
llm_make(llm_start_t *start, char **key)
{
    char  path[PATH_MAX], made[PATH_MAX];

    *key = NULL;

    if (llm_path(path, sizeof(path), start->conf_dir, "litellm.conf") != 0
        || llm_path(made, sizeof(made), start->conf_dir, "litellm.new") != 0
        || llm_run_tool(start->config, made) != 0
        || llm_read_back(start, made, key) != 0)
    {
        return -1;
    }

    if (rename(made, path) == -1) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", path, strerror(errno));
        return -1;
    }

    return 0;
}


static int
llm_link_all(const char *from, const char *to)
{
    DIR            *dir;
    char            source[PATH_MAX], target[PATH_MAX];
    struct dirent  *entry;

    dir = opendir(from);

    if (dir == NULL) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", from, strerror(errno));
        return -1;
    }

    while ((entry = readdir(dir)) != NULL) {

        if (entry->d_name[0] == '.') {
            continue;
        }

        if (llm_path(source, sizeof(source), from, entry->d_name) != 0
            || llm_path(target, sizeof(target), to, entry->d_name) != 0)
        {
            (void) closedir(dir);
            return -1;
        }

        (void) unlink(target);

        if (symlink(source, target) == -1) {
            fprintf(stderr, LLM_NAME "\"%s\": %s\n", target, strerror(errno));
            (void) closedir(dir);
            return -1;
        }
    }

    (void) closedir(dir);

    return 0;
}


/* it stands beside this program, and says itself what is wrong */

static int
llm_run_tool(const char *config, const char *path)
{
    int      fd, status;
    char     tool[PATH_MAX], *p;
    pid_t    pid;
    ssize_t  n;

    n = readlink("/proc/self/exe", tool, sizeof(tool) - 1);
    tool[n < 0 ? 0 : n] = '\0';
    p = strrchr(tool, '/');

    if (p == NULL
        || p + 1 + sizeof("llm-config") > tool + sizeof(tool))
    {
        fprintf(stderr, LLM_NAME "llm-config is not found\n");
        return -1;
    }

    strcpy(p + 1, "llm-config");

    /* what was written out in the file stands in this one too */

    (void) unlink(path);
    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", path, strerror(errno));
        return -1;
    }

    pid = fork();

    if (pid == 0) {

        /* it is the same already if stdout was closed */

        if (fd == STDOUT_FILENO ? fcntl(fd, F_SETFD, 0) != -1
                                : dup2(fd, STDOUT_FILENO) != -1)
        {
            (void) execl(tool, "llm-config", config, (char *) NULL);
        }

        fprintf(stderr, LLM_NAME "\"%s\": %s\n", tool, strerror(errno));
        _exit(1);
    }

    (void) close(fd);

    if (pid == -1 || waitpid(pid, &status, 0) != pid
        || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    {
        (void) unlink(path);
        return -1;
    }

    return 0;
}


/* how many keys each upstream has, and what clients present */

static int
llm_read_back(llm_start_t *start, const char *path, char **key)
{
    char        *line, *p, *name, *value;
    FILE        *file;
    size_t       size;
    llm_keys_t   keys;

    file = fopen(path, "r");

    if (file == NULL) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", path, strerror(errno));
        return -1;
    }

    line = NULL;
    name = NULL;
    size = 0;

    memset(&keys, 0, sizeof(llm_keys_t));

    while (getline(&line, &size, file) != -1) {

        p = line + strspn(line, " \t");

        if (strncmp(p, LLM_SERVER, strlen(LLM_SERVER)) == 0) {
            p += strlen(LLM_SERVER);
        }

        if (strncmp(p, LLM_CLIENT, strlen(LLM_CLIENT)) == 0) {

            free(*key);
            *key = llm_word(p + strlen(LLM_CLIENT));

        } else if (strncmp(p, "upstream ", 9) == 0) {
            free(name);
            name = llm_word(p + 9);
            keys.n = 0;

        } else if (strncmp(p, "llm_key ", 8) == 0) {
            value = llm_word(p + 8);
            llm_keys_add(&keys, value);
            free(value);

        } else if (*p == '}' && name) {
            fprintf(stderr, LLM_NAME "upstream \"%s\": %lu key%s\n", name,
                    (unsigned long) keys.n, keys.n == 1 ? "" : "s");
            free(name);
            name = NULL;
            start->keys = 1;
        }
    }

    free(name);
    free(line);
    (void) fclose(file);

    return 0;
}


/* the first word, without what llm-config quotes it with */

static char *
llm_word(const char *text)
{
    char  *word, *p, quote;

    text += strspn(text, " \t");
    word = malloc(strlen(text) + 1);

    if (word == NULL) {
        fprintf(stderr, LLM_NAME "out of memory\n");
        exit(1);
    }

    p = word;
    quote = (*text == '"' || *text == '\'') ? *text++ : '\0';

    for ( /* void */ ; *text && *text != '\n'; text++) {

        if (quote ? *text == quote : strchr(" \t;{", *text) != NULL) {
            break;
        }

        if (*text == '\\' && text[1] != '\0'
            && strchr("\"'\\", text[1]) != NULL)
        {
            text++;
        }

        *p++ = *text;
    }

    *p = '\0';

    return word;
}


/* llm.conf has its own line in the server, which goes before one at http */

static int
llm_client_key(llm_start_t *start, const char *source)
{
    char         variable[256], path[PATH_MAX];
    const char  *value;

    if (source == NULL) {
        return 0;
    }

    if (strncmp(source, "env:", 4) != 0) {
        start->literal = 1;

        if (llm_path(path, sizeof(path), start->conf_dir, "master_key") != 0) {
            return -1;
        }

        (void) unsetenv("LITELLM_MASTER_KEY");
        (void) setenv("LITELLM_MASTER_KEY_FILE", path, 1);

        return llm_write_key(start, source);
    }

    start->client_key = strdup(source);
    source += 4;

    if (strcmp(source, "LITELLM_MASTER_KEY") == 0) {
        return 0;
    }

    value = getenv(source);

    if (value && *value) {
        (void) setenv("LITELLM_MASTER_KEY", value, 1);
        return 0;
    }

    (void) snprintf(variable, sizeof(variable), "%s_FILE", source);
    value = getenv(variable);

    if (value && *value) {
        (void) unsetenv("LITELLM_MASTER_KEY");
        (void) setenv("LITELLM_MASTER_KEY_FILE", value, 1);
        return 0;
    }

    fprintf(stderr, LLM_NAME "master_key is in \"%s\", which is not set\n",
            source);

    return -1;
}


/* in a file, as that can be another one at SIGHUP */

static int
llm_write_key(llm_start_t *start, const char *key)
{
    int      fd;
    char     path[PATH_MAX], made[PATH_MAX];
    ssize_t  n;

    if (llm_path(path, sizeof(path), start->conf_dir, "master_key") != 0
        || llm_path(made, sizeof(made), start->conf_dir, "master_key.new")
           != 0)
    {
        return -1;
    }

    (void) unlink(made);
    fd = open(made, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
    n = (fd == -1) ? -1 : write(fd, key, strlen(key));

    if (n != (ssize_t) strlen(key) || close(fd) == -1
        || rename(made, path) == -1)
    {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", path, strerror(errno));
        return -1;
    }

    return 0;
}
