
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/* LiteLLM's command line: what means something here is done, the rest named */


#include "start.h"


typedef enum {
    llm_flag_env = 0,       /* says what a variable says too */
    llm_flag_word,          /* taken into llm_start_t */
    llm_flag_on,            /* a bit of llm_start_t, with no value */
    llm_flag_debug,
    llm_flag_telemetry,
    llm_flag_ignored,
    llm_flag_ignored_on     /* with no value */
} llm_flag_e;


typedef struct {
    const char  *name;
    llm_flag_e   type;
    const char  *variable;  /* LiteLLM's name for the same */
    const char  *reason;
} llm_flag_t;


static int llm_flag_apply(llm_start_t *start, const llm_flag_t *flag,
    const char *value);
static void llm_flag_debug_on(const char *value);
static void llm_flag_variables(llm_start_t *start);
static const llm_flag_t *llm_flag_find(const char *name, size_t len);
static int llm_flag_is_bool(const char *word);
static int llm_flag_is_no(const char *word);


#define LLM_PASSED   "requests are passed on as the client made them"
#define LLM_NO_TLS                                                            \
    "plain HTTP is served; TLS ends in front of this, or in an nginx.conf "   \
    "of your own"
#define LLM_NO_DB    "there is no database"
#define LLM_NGINX    "nginx serves here"
#define LLM_WORKERS  "workers do not grow, and need no restart"


static const llm_flag_t  llm_flag_table[] = {

    { "host", llm_flag_env, "HOST", NULL },
    { "port", llm_flag_env, "PORT", NULL },
    { "num_workers", llm_flag_env, "NUM_WORKERS", NULL },

    { "config", llm_flag_word, "CONFIG_FILE_PATH", NULL },
    { "model", llm_flag_word, NULL, NULL },
    { "alias", llm_flag_word, NULL, NULL },
    { "api_base", llm_flag_word, NULL, NULL },

    { "health", llm_flag_on, NULL, NULL },
    { "version", llm_flag_on, NULL, NULL },
    { "help", llm_flag_on, NULL, NULL },
    { "validate_config", llm_flag_on, NULL, NULL },
    { "skip_server_startup", llm_flag_on, NULL, NULL },

    { "debug", llm_flag_debug, "DEBUG", NULL },
    { "detailed_debug", llm_flag_debug, "DETAILED_DEBUG", NULL },

    { "telemetry", llm_flag_telemetry, NULL, "nothing is ever reported" },

    { "api_version", llm_flag_ignored, NULL, LLM_PASSED },
    { "headers", llm_flag_ignored, NULL, LLM_PASSED },
    { "temperature", llm_flag_ignored, NULL, LLM_PASSED },
    { "max_tokens", llm_flag_ignored, NULL, LLM_PASSED },
    { "drop_params", llm_flag_ignored_on, NULL, LLM_PASSED },
    { "add_function_to_prompt", llm_flag_ignored_on, NULL, LLM_PASSED },

    { "request_timeout", llm_flag_ignored, NULL,
      "proxy_read_timeout in llm_proxy.conf says how long an answer may take" },

    { "max_budget", llm_flag_ignored, NULL, "money is not counted" },

    { "ssl_keyfile_path", llm_flag_ignored, "SSL_KEYFILE_PATH", LLM_NO_TLS },
    { "ssl_certfile_path", llm_flag_ignored, "SSL_CERTFILE_PATH", LLM_NO_TLS },
    { "ciphers", llm_flag_ignored, NULL, LLM_NO_TLS },

    { "keepalive_timeout", llm_flag_ignored, "KEEPALIVE_TIMEOUT",
      "keepalive_timeout in nginx.conf is the same" },

    { "limit_concurrency", llm_flag_ignored, "LIMIT_CONCURRENCY",
      "worker_connections in nginx.conf limits it" },

    { "max_requests_before_restart", llm_flag_ignored,
      "MAX_REQUESTS_BEFORE_RESTART", LLM_WORKERS },

    { "max_requests_before_restart_jitter", llm_flag_ignored,
      "MAX_REQUESTS_BEFORE_RESTART_JITTER", LLM_WORKERS },

    { "prometheus_metrics_port", llm_flag_ignored, "PROMETHEUS_METRICS_PORT",
      "there is one port" },

    { "log_config", llm_flag_ignored, NULL,
      "log_format in llm.conf says what is logged" },

    { "run_gunicorn", llm_flag_ignored_on, NULL, LLM_NGINX },
    { "run_hypercorn", llm_flag_ignored_on, NULL, LLM_NGINX },
    { "run_granian", llm_flag_ignored_on, NULL, LLM_NGINX },
    { "reload", llm_flag_ignored_on, NULL, "a SIGHUP reloads" },

    { "use_prisma_db_push", llm_flag_ignored_on, NULL, LLM_NO_DB },
    { "iam_token_db_auth", llm_flag_ignored_on, NULL, LLM_NO_DB },

    { "test", llm_flag_ignored_on, NULL, "no provider is asked at start" },
    { "setup", llm_flag_ignored_on, NULL, "the environment is the set-up" },

    { NULL, llm_flag_ignored, NULL, NULL }
};


int
llm_flags(llm_start_t *start, int argc, char *const *argv)
{
    int                i, given;
    char               name[64];
    size_t             len;
    const char        *word, *value;
    const llm_flag_t  *flag;

    for (i = 0; i < argc; i++) {
        word = argv[i];

        if (strcmp(word, "--") == 0) {
            continue;
        }

        if (word[0] != '-' || word[1] == '\0') {
            fprintf(stderr, LLM_NAME "\"%s\" is ignored: it is not a flag\n",
                    word);
            continue;
        }

        value = NULL;

        if (word[1] != '-') {

            /* "-c FILE" and "-cFILE" */

            len = 1;
            (void) snprintf(name, sizeof(name), "%s",
                            (word[1] == 'c') ? "config"
                            : (word[1] == 'm') ? "model"
                            : (word[1] == 'h') ? "help" : "-");

            if (word[2] != '\0' && strcmp(name, "-") != 0) {
                value = word + 2;
            }

            flag = llm_flag_find(name, strlen(name));

        } else {
            len = strcspn(word + 2, "=");
            value = (word[2 + len] == '=') ? word + 2 + len + 1 : NULL;
            flag = llm_flag_find(word + 2, len);
        }

        given = (value != NULL);

        if (!given && i + 1 < argc
            && (flag == NULL || flag->type == llm_flag_env
                || flag->type == llm_flag_word
                || flag->type == llm_flag_telemetry
                || flag->type == llm_flag_ignored
                || llm_flag_is_bool(argv[i + 1])))
        {
            if (argv[i + 1][0] != '-' || argv[i + 1][1] == '\0') {
                value = argv[++i];
            }
        }

        if (flag == NULL) {
            fprintf(stderr, LLM_NAME "%.*s is ignored: unknown\n",
                    (int) strcspn(word, "="), word);
            continue;
        }

        if (llm_flag_apply(start, flag, value) != 0) {
            return -1;
        }
    }

    llm_flag_variables(start);

    return 0;
}


static int
llm_flag_apply(llm_start_t *start, const llm_flag_t *flag, const char *value)
{
    char  variable[64];

    switch (flag->type) {

    case llm_flag_env:
    case llm_flag_word:

        if (value == NULL || *value == '\0') {
            fprintf(stderr, LLM_NAME "--%s has no value\n", flag->name);
            return -1;
        }

        if (flag->type == llm_flag_env) {
            (void) setenv(flag->variable, value, 1);

            if (strcmp(flag->name, "port") == 0) {
                start->port = 1;
            }

            (void) snprintf(variable, sizeof(variable), "%s_FILE",
                            flag->variable);
            (void) unsetenv(variable);

        } else if (strcmp(flag->name, "config") == 0) {
            start->config = value;

        } else if (strcmp(flag->name, "model") == 0) {
            start->model = value;

        } else if (strcmp(flag->name, "alias") == 0) {
            start->alias = value;

        } else {
            start->api_base = value;
        }

        return 0;

    case llm_flag_on:

        if (llm_flag_is_no(value)) {
            return 0;
        }

        if (strcmp(flag->name, "health") == 0) {
            start->health = 1;

        } else if (strcmp(flag->name, "version") == 0) {
            start->version = 1;

        } else if (strcmp(flag->name, "help") == 0) {
            start->help = 1;

        } else if (strcmp(flag->name, "validate_config") == 0) {
            start->check = 1;

        } else {
            start->skip = 1;
        }

        return 0;

    case llm_flag_debug:
        llm_flag_debug_on(value);
        return 0;

    case llm_flag_telemetry:

        if (llm_flag_is_no(value)) {
            return 0;
        }

        break;

    default: /* llm_flag_ignored, llm_flag_ignored_on */
        break;
    }

    fprintf(stderr, LLM_NAME "--%s is ignored: %s\n", flag->name,
            flag->reason);

    return 0;
}


static void
llm_flag_debug_on(const char *value)
{
    if (!llm_flag_is_no(value)) {
        (void) setenv("LITELLM_LOG", "DEBUG", 1);
    }
}


/* the variables that LiteLLM takes for flags; the flags go first */

static void
llm_flag_variables(llm_start_t *start)
{
    const char        *value;
    const llm_flag_t  *flag;

    for (flag = llm_flag_table; flag->name; flag++) {

        value = flag->variable ? getenv(flag->variable) : NULL;

        if (value == NULL || *value == '\0') {
            continue;
        }

        if (flag->type == llm_flag_debug) {

            /* programs of all kinds are told something in "DEBUG" */

            if (llm_flag_is_bool(value)) {
                llm_flag_debug_on(value);
            }

        } else if (flag->type == llm_flag_word) {

            if (start->config == NULL) {
                start->config = strdup(value);
            }

            (void) unsetenv(flag->variable);

        } else if (flag->type == llm_flag_ignored) {
            fprintf(stderr, LLM_NAME "%s is ignored: %s\n", flag->variable,
                    flag->reason);
        }
    }
}


static const llm_flag_t *
llm_flag_find(const char *name, size_t len)
{
    size_t             i;
    const llm_flag_t  *flag;

    for (flag = llm_flag_table; flag->name; flag++) {

        for (i = 0; i < len; i++) {
            if (flag->name[i] != (name[i] == '-' ? '_' : name[i])) {
                break;
            }
        }

        if (i == len && flag->name[i] == '\0') {
            return flag;
        }
    }

    return NULL;
}


static int
llm_flag_is_bool(const char *word)
{
    return strcasecmp(word, "true") == 0 || strcmp(word, "1") == 0
           || strcasecmp(word, "yes") == 0 || llm_flag_is_no(word);
}


static int
llm_flag_is_no(const char *word)
{
    return word && (strcasecmp(word, "false") == 0 || strcmp(word, "0") == 0
                    || strcasecmp(word, "no") == 0);
}


/* --model, --alias and --api_base, as rules and a base URL */

int
llm_one_model(llm_start_t *start)
{
    char                            rules[4096], variable[128];
    size_t                          len;
    ngx_str_t                       word;
    ngx_uint_t                      i;
    const char                     *model, *list, *before, *name;
    const ngx_http_llm_provider_t  *provider;

    if (start->model == NULL) {

        if (start->alias || start->api_base) {
            fprintf(stderr, LLM_NAME "--alias and --api_base are ignored "
                    "without --model\n");
        }

        return 0;
    }

    name = "openai";
    len = strcspn(start->model, "/");
    model = start->model;

    for (i = 0; /* void */ ; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            len = strlen(name);
            break;
        }

        if (model[len] == '/' && provider->name.len == len
            && strncmp((char *) provider->name.data, model, len) == 0)
        {
            name = model;
            model += len + 1;
            break;
        }
    }

    for (i = 0; start->api_base; i++) {
        provider = ngx_http_llm_catalog_entry(i);

        if (provider == NULL) {
            break;
        }

        if (provider->name.len == len
            && strncmp((char *) provider->name.data, name, len) == 0)
        {
            list = provider->bases;

            if (list && ngx_http_llm_catalog_word(&list, &word)) {
                (void) snprintf(variable, sizeof(variable), "%.*s",
                                (int) word.len, word.data);
                (void) setenv(variable, start->api_base, 1);
            }

            break;
        }
    }

    before = getenv("LLM_FALLBACKS");

    if (strpbrk(start->model, " \t\n;")
        || (start->alias && strpbrk(start->alias, " \t\n;"))
        || snprintf(rules, sizeof(rules), "%s%s* %.*s/%s%s%s%s%.*s%s%s",
                    before ? before : "", (before && *before) ? "; " : "",
                    (int) len, name, model,
                    start->alias ? "; " : "", start->alias ? start->alias : "",
                    start->alias ? " " : "", start->alias ? (int) len : 0,
                    name, start->alias ? "/" : "", start->alias ? model : "")
           >= (int) sizeof(rules))
    {
        fprintf(stderr, LLM_NAME "--model or --alias is not a name\n");
        return -1;
    }

    (void) setenv("LLM_FALLBACKS", rules, 1);

    return 0;
}
