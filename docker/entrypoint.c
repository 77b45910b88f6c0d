
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Starts nginx as the balancer, for "make run": what the environment leaves
 * open is filled in here, what it says is read by the module's directives.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "../src/ngx_http_llm_catalog.h"

#include <sys/random.h>


#define LLM_DEFAULT_HOST     "127.0.0.1"
#define LLM_DEFAULT_PORT     "4000"
#define LLM_DEFAULT_WORKERS  "1"
#define LLM_DEFAULT_BALANCE  "headroom"
#define LLM_DEFAULT_QUEUE    "15s,64"

#define LLM_DEMO_KEYS        "demo-key-1,demo-key-2,demo-key-3"


static int llm_has_provider(void);
static int llm_is_set(const char *name, size_t len);
static void llm_default(const char *name, const char *value);
static int llm_master_key(void);
static int llm_demo(void);
static int llm_free_port(void);
static int llm_path(char *dst, size_t size, const char *dir,
    const char *name);


int
main(int argc, char *const *argv)
{
    int    demo;
    char   conf[PATH_MAX], module[PATH_MAX], run[PATH_MAX];
    char   globals[2 * PATH_MAX];

    if (argc != 4) {
        fprintf(stderr, "usage: llm-entrypoint CONF_DIR RUN_DIR MODULE\n");
        return 2;
    }

    llm_default("HOST", LLM_DEFAULT_HOST);
    llm_default("PORT", LLM_DEFAULT_PORT);
    llm_default("NUM_WORKERS", LLM_DEFAULT_WORKERS);
    llm_default("LLM_BALANCE", LLM_DEFAULT_BALANCE);

    if (strcmp(getenv("NUM_WORKERS"), "auto") != 0
        && (atoi(getenv("NUM_WORKERS")) < 1
            || strspn(getenv("NUM_WORKERS"), "0123456789")
               != strlen(getenv("NUM_WORKERS"))))
    {
        fprintf(stderr, "llm-entrypoint: NUM_WORKERS is \"%s\", a number "
                "from 1 or \"auto\" is expected\n", getenv("NUM_WORKERS"));
        return 1;
    }

    demo = !llm_has_provider();

    /* its limits are there to be seen, not to be waited for */

    llm_default("LLM_QUEUE", demo ? "off" : LLM_DEFAULT_QUEUE);

    if (demo) {
        if (llm_demo() != 0) {
            return 1;
        }

    } else if (llm_master_key() != 0) {
        return 1;
    }

    if (realpath(argv[2], run) == NULL || realpath(argv[3], module) == NULL) {
        fprintf(stderr, "llm-entrypoint: \"%s\", \"%s\": %s\n", argv[2],
                argv[3], strerror(errno));
        return 1;
    }

    if (llm_path(conf, sizeof(conf), argv[1],
                 demo ? "demo.conf" : "nginx.conf")
        != 0)
    {
        return 1;
    }

    (void) snprintf(globals, sizeof(globals),
                    "load_module %s; worker_processes %s; daemon off;",
                    module, getenv("NUM_WORKERS"));

    (void) execlp("nginx", "nginx", "-e", "stderr", "-p", run, "-c", conf,
                  "-g", globals, (char *) NULL);

    /* Debian has it where a user's path does not lead */

    (void) execl("/usr/sbin/nginx", "nginx", "-e", "stderr", "-p", run, "-c",
                 conf, "-g", globals, (char *) NULL);

    fprintf(stderr, "llm-entrypoint: nginx: %s\n", strerror(errno));

    return 1;
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


/* NAME or NAME_FILE, and not empty */

static int
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

static void
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
        fprintf(stderr, "llm-entrypoint: %s: \"%s\": %s\n", variable, path,
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

    fprintf(stderr, "llm-entrypoint: LITELLM_MASTER_KEY is not set; clients "
            "present it, and without it the provider keys would be open to "
            "everybody (LLM_ALLOW_ANONYMOUS=1 if that is meant)\n");

    return 1;
}


static int
llm_demo(void)
{
    int             i, port;
    char            key[sizeof("sk-demo-") + 2 * 12], base[64], text[16];
    const char     *shown;
    unsigned char   random[12];

    port = llm_free_port();

    if (port == -1
        || getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random))
    {
        fprintf(stderr, "llm-entrypoint: no demo: %s\n", strerror(errno));
        return 1;
    }

    strcpy(key, "sk-demo-");

    for (i = 0; i < (int) sizeof(random); i++) {
        (void) snprintf(key + strlen("sk-demo-") + 2 * i, 3, "%02x",
                        random[i]);
    }

    /* a generated key is there to be shown, somebody's own is not */

    shown = key;

    if (llm_is_set("LITELLM_MASTER_KEY", strlen("LITELLM_MASTER_KEY"))) {
        shown = "your LITELLM_MASTER_KEY";

    } else {
        (void) setenv("LITELLM_MASTER_KEY", key, 1);
    }

    (void) snprintf(text, sizeof(text), "%d", port);
    (void) setenv("LLM_DEMO_PORT", text, 1);

    (void) snprintf(base, sizeof(base), "http://127.0.0.1:%d/v1", port);
    (void) setenv("OPENAI_API_BASE", base, 1);
    (void) unsetenv("OPENAI_BASE_URL");
    (void) setenv("OPENAI_API_KEYS", LLM_DEMO_KEYS, 1);

    printf("\nNo provider key is in the environment, so this is the demo: a "
           "simulated\nOpenAI with three keys, each limited to a few requests "
           "a minute.  Try\n\n"
           "    curl http://%s:%s/v1/chat/completions \\\n"
           "        -H 'Authorization: Bearer %s' \\\n"
           "        -H 'Content-Type: application/json' \\\n"
           "        -d '{\"model\":\"gpt-4o\",\"messages\":"
           "[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n\n"
           "several times: the answer names the key it was made with, and the "
           "log below\ntells which keys had to be passed by.  For your own "
           "keys set\nOPENAI_API_KEYS=key1,key2 (or GEMINI_API_KEYS, "
           "MISTRAL_API_KEYS, ...) and\nLITELLM_MASTER_KEY.\n\n",
           getenv("HOST"), getenv("PORT"), shown);

    (void) fflush(stdout);

    return 0;
}


/* a port that nobody listens on at this moment */

static int
llm_free_port(void)
{
    int                 s;
    socklen_t           len;
    struct sockaddr_in  sin;

    s = socket(AF_INET, SOCK_STREAM, 0);

    if (s == -1) {
        return -1;
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    len = sizeof(sin);

    if (bind(s, (struct sockaddr *) &sin, len) == -1
        || getsockname(s, (struct sockaddr *) &sin, &len) == -1)
    {
        (void) close(s);
        return -1;
    }

    (void) close(s);

    return ntohs(sin.sin_port);
}


static int
llm_path(char *dst, size_t size, const char *dir, const char *name)
{
    char  path[PATH_MAX];

    if (realpath(dir, path) == NULL
        || snprintf(dst, size, "%s/%s", path, name) >= (int) size)
    {
        fprintf(stderr, "llm-entrypoint: \"%s/%s\": %s\n", dir, name,
                strerror(errno));
        return -1;
    }

    return 0;
}
