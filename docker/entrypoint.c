
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Starts nginx as the balancer, for "make run" and in the container: what the
 * environment leaves open is filled in here, what it says is read by the
 * module's directives.
 */


#include "start.h"


#define LLM_DEFAULT_HOST     "127.0.0.1"
#define LLM_DEFAULT_PORT     "4000"
#define LLM_DEFAULT_WORKERS  "1"
#define LLM_DEFAULT_BALANCE  "headroom"
#define LLM_DEFAULT_QUEUE    "15s,64"

#define LLM_CONTAINER_HOST   "0.0.0.0"
#define LLM_CONTAINER_CONF   "/etc/llm-balancer"
#define LLM_CONTAINER_RUN    "/var/lib/llm-balancer"
#define LLM_CONTAINER_MODULE                                                  \
    "/usr/lib/nginx/modules/ngx_http_llm_balancer_module.so"


static int llm_settle(llm_start_t *start);
static int llm_start(llm_start_t *start);
static int llm_listening(llm_start_t *start, const char *run);
static const char *llm_log_level(void);
static int llm_has_provider(void);
static int llm_master_key(void);


int
main(int argc, char *const *argv)
{
    llm_start_t  start;

    memset(&start, 0, sizeof(start));

    if (argc >= 4 && argv[1][0] != '-') {
        start.conf_dir = argv[1];
        start.run_dir = argv[2];
        start.module = argv[3];
        argc -= 4;
        argv += 4;

    } else {
        start.conf_dir = LLM_CONTAINER_CONF;
        start.run_dir = LLM_CONTAINER_RUN;
        start.module = LLM_CONTAINER_MODULE;
        start.container = 1;
        argc -= 1;
        argv += 1;
    }

    if (llm_flags(&start, argc, argv) != 0) {
        return 1;
    }

    if (start.help) {
        printf("usage: llm-entrypoint [CONF_DIR RUN_DIR MODULE] [--port PORT] "
               "[--host HOST]\n           [--num_workers NUMBER|auto] "
               "[--config FILE] [--debug] [--health]\n           "
               "[--validate_config] [--version]\n"
               "SIGHUP reloads, and reads FILE again\n");
        return 0;
    }

    if (start.version) {
        printf("nginx %s, for the LLM balancer\n", NGINX_VERSION);
        return 0;
    }

    if (start.health) {
        return (llm_health(&start) == 0) ? 0 : 1;
    }

    if (llm_settle(&start) != 0) {
        return 1;
    }

    if (start.skip) {
        return 0;
    }

    return llm_start(&start);
}


/* everything that can be wrong is found here, before nginx is started */

static int
llm_settle(llm_start_t *start)
{
    const char  *demo, *workers;

    llm_default("HOST", start->container ? LLM_CONTAINER_HOST
                                         : LLM_DEFAULT_HOST);
    llm_default("PORT", LLM_DEFAULT_PORT);
    llm_default("NUM_WORKERS", LLM_DEFAULT_WORKERS);
    llm_default("LLM_BALANCE", LLM_DEFAULT_BALANCE);

    workers = getenv("NUM_WORKERS");

    if (strcmp(workers, "auto") != 0
        && (atoi(workers) < 1
            || strspn(workers, "0123456789") != strlen(workers)))
    {
        fprintf(stderr, LLM_NAME "NUM_WORKERS is \"%s\", a number from 1 or "
                "\"auto\" is expected\n", workers);
        return -1;
    }

    if (access(start->run_dir, W_OK|X_OK) == -1) {
        fprintf(stderr, LLM_NAME "\"%s\" must be a directory to write to: "
                "%s\n", start->run_dir, strerror(errno));
        return -1;
    }

    /* llm-config looks for it too; a file is not for the demo */

    if (start->config) {
        llm_default("LLM_QUEUE", LLM_DEFAULT_QUEUE);
    }

    if (llm_one_model(start) != 0
        || (start->config && llm_convert(start) != 0))
    {
        return -1;
    }

    if (!start->keys && !llm_has_provider()) {

        demo = getenv("LLM_DEMO");

        if (start->container && (demo == NULL || strcmp(demo, "1") != 0)) {
            fprintf(stderr, LLM_NAME "there is no provider key: set "
                    "OPENAI_API_KEYS=key1,key2 (or GEMINI_API_KEYS, "
                    "MISTRAL_API_KEYS, ...), or LLM_DEMO=1 for a simulated "
                    "provider\n");
            return -1;
        }

        start->demo = 1;
    }

    /* its limits are there to be seen, not to be waited for */

    llm_default("LLM_QUEUE", start->demo ? "off" : LLM_DEFAULT_QUEUE);

    if (!start->demo && llm_master_key() != 0) {
        return -1;
    }

    if (!start->check && llm_probe(getenv("HOST"), getenv("PORT")) != 0) {
        return -1;
    }

    return start->demo ? llm_demo() : 0;
}


static int
llm_start(llm_start_t *start)
{
    int    n;
    char   conf[PATH_MAX], module[PATH_MAX], run[PATH_MAX];
    char   globals[2 * PATH_MAX];
    char  *args[12];

    if (realpath(start->run_dir, run) == NULL
        || realpath(start->module, module) == NULL)
    {
        fprintf(stderr, LLM_NAME "\"%s\", \"%s\": %s\n", start->run_dir,
                start->module, strerror(errno));
        return 1;
    }

    if (llm_path(conf, sizeof(conf), start->conf_dir,
                 start->demo ? "demo.conf" : "nginx.conf")
        != 0
        || llm_listening(start, run) != 0)
    {
        return 1;
    }

    (void) snprintf(globals, sizeof(globals),
                    "load_module %s; worker_processes %s; daemon off; "
                    "error_log stderr %s;",
                    module, getenv("NUM_WORKERS"), llm_log_level());

    n = 0;

    args[n++] = (char *) "nginx";
    args[n++] = (char *) "-e";
    args[n++] = (char *) "stderr";
    args[n++] = (char *) "-p";
    args[n++] = run;
    args[n++] = (char *) "-c";
    args[n++] = conf;
    args[n++] = (char *) "-g";
    args[n++] = globals;

    if (start->check) {
        args[n++] = (char *) "-t";
    }

    args[n] = NULL;

    n = llm_serve(start, args);

    if (!start->check
        && llm_path(conf, sizeof(conf), run, "listen") == 0)
    {
        (void) unlink(conf);
    }

    return n;
}


/* for "--health", which has the environment but not the command line */

static int
llm_listening(llm_start_t *start, const char *run)
{
    char   path[PATH_MAX];
    FILE  *file;

    if (start->check) {
        return 0;
    }

    if (llm_path(path, sizeof(path), run, "listen") != 0) {
        return -1;
    }

    file = fopen(path, "w");

    if (file == NULL
        || fprintf(file, "%s %s\n", getenv("HOST"), getenv("PORT")) < 0
        || fclose(file) != 0)
    {
        fprintf(stderr, LLM_NAME "\"%s\": %s\n", path, strerror(errno));
        return -1;
    }

    return 0;
}


/* never nginx's own debug: that writes whole requests, with their keys */

static const char *
llm_log_level(void)
{
    size_t       i;
    const char  *level;

    static const char  *levels[][2] = {
        { "DEBUG", "info" },
        { "INFO", "notice" },
        { "WARNING", "warn" },
        { "ERROR", "error" },
        { "CRITICAL", "crit" }
    };

    level = getenv("LITELLM_LOG");

    if (level == NULL || *level == '\0') {
        return "notice";
    }

    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcasecmp(level, levels[i][0]) == 0) {
            return levels[i][1];
        }
    }

    fprintf(stderr, LLM_NAME "LITELLM_LOG is ignored: \"%s\" is not one of "
            "DEBUG, INFO, WARNING, ERROR, CRITICAL\n", level);

    return "notice";
}


/* what "llm_providers env" would make an upstream of */

static int
llm_has_provider(void)
{
    ngx_str_t                       word;
    ngx_uint_t                      i;
    const char                     *list;
    const ngx_http_llm_provider_t  *provider;

    for (i = 0; /* void */ ; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            return 0;
        }

        list = provider->keys;

        while (ngx_http_llm_catalog_word(&list, &word)) {
            if (llm_is_set((char *) word.data, word.len)) {
                return 1;
            }
        }

        list = provider->keyless ? provider->bases : NULL;

        while (ngx_http_llm_catalog_word(&list, &word)) {
            if (llm_is_set((char *) word.data, word.len)) {
                return 1;
            }
        }
    }
}


static int
llm_master_key(void)
{
    const char  *anonymous;

    anonymous = getenv("LLM_ALLOW_ANONYMOUS");

    if (llm_is_set("LITELLM_MASTER_KEY", strlen("LITELLM_MASTER_KEY"))
        || (anonymous && strcmp(anonymous, "1") == 0))
    {
        return 0;
    }

    fprintf(stderr, LLM_NAME "LITELLM_MASTER_KEY is not set; clients "
            "present it, and without it the provider keys would be open to "
            "everybody (LLM_ALLOW_ANONYMOUS=1 if that is meant)\n");

    return 1;
}
