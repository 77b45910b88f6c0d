
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
static int llm_read_back(llm_start_t *start, const char *path);
static int llm_client_key(char *source);
static ngx_uint_t llm_count(char *source);


int
llm_convert(llm_start_t *start)
{
    char  dir[PATH_MAX], path[PATH_MAX];

    if (llm_path(dir, sizeof(dir), start->run_dir, "conf") != 0) {
        return -1;
    }

    if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", dir, strerror(errno));
        return -1;
    }

    if (llm_link_all(start->conf_dir, dir) != 0
        || llm_path(path, sizeof(path), dir, "litellm.conf") != 0
        || llm_run_tool(start->config, path) != 0
        || llm_read_back(start, path) != 0)
    {
        return -1;
    }

    start->conf_dir = strdup(dir);

    return start->conf_dir ? 0 : -1;
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
        if (dup2(fd, STDOUT_FILENO) != -1) {
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
llm_read_back(llm_start_t *start, const char *path)
{
    char        *line, *p, *name;
    FILE        *file;
    size_t       size;
    ngx_uint_t   keys;

    file = fopen(path, "r");

    if (file == NULL) {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", path, strerror(errno));
        return -1;
    }

    line = NULL;
    name = NULL;
    size = 0;
    keys = 0;

    while (getline(&line, &size, file) != -1) {

        p = line + strspn(line, " \t");
        p[strcspn(p, ";{\n")] = '\0';

        if (strncmp(p, LLM_SERVER, strlen(LLM_SERVER)) == 0) {
            p += strlen(LLM_SERVER);
        }

        if (strncmp(p, LLM_CLIENT, strlen(LLM_CLIENT)) == 0) {

            if (llm_client_key(p + strlen(LLM_CLIENT)) != 0) {
                (void) fclose(file);
                return -1;
            }

        } else if (strncmp(p, "upstream ", 9) == 0) {
            free(name);
            p += 9 + strspn(p + 9, " ");
            name = strndup(p, strcspn(p, " "));
            keys = 0;

        } else if (strncmp(p, "llm_key ", 8) == 0) {
            keys += llm_count(p + 8 + strspn(p + 8, " "));

        } else if (*p == '}' && name) {
            fprintf(stderr, LLM_NAME "upstream \"%s\": %lu key%s\n", name,
                    (unsigned long) keys, keys == 1 ? "" : "s");
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


/* llm.conf has its own line in the server, which goes before one at http */

static int
llm_client_key(char *source)
{
    char  *value, variable[256];

    source += strspn(source, " ");
    source[strcspn(source, " ")] = '\0';

    if (source[0] == '"' || source[0] == '\'') {
        source++;
        source[strcspn(source, "\"'")] = '\0';
    }

    if (strncmp(source, "env:", 4) == 0) {
        source += 4;

        if (strcmp(source, "LITELLM_MASTER_KEY") == 0) {
            return 0;
        }

        value = getenv(source);

        if (value == NULL || *value == '\0') {
            (void) snprintf(variable, sizeof(variable), "%s_FILE", source);
            value = getenv(variable);

            if (value && *value) {
                (void) unsetenv("LITELLM_MASTER_KEY");
                (void) setenv("LITELLM_MASTER_KEY_FILE", value, 1);
                return 0;
            }

            fprintf(stderr, LLM_NAME "master_key is in \"%s\", which is not "
                    "set\n", source);
            return -1;
        }

        source = value;
    }

    (void) setenv("LITELLM_MASTER_KEY", source, 1);

    return 0;
}


/* as many as there are commas more than none; nginx counts them with care */

static ngx_uint_t
llm_count(char *source)
{
    char         name[256];
    ngx_uint_t   n;
    const char  *list;

    if (strncmp(source, "env:", 4) != 0) {
        return 1;
    }

    (void) snprintf(name, sizeof(name), "%.*s",
                    (int) strcspn(source + 4, " "), source + 4);

    list = getenv(name);

    if (list == NULL || *list == '\0') {
        return 0;
    }

    for (n = 1; *list; list++) {
        if (*list == ',' && list[1] != '\0') {
            n++;
        }
    }

    return n;
}
