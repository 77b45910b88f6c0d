
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/* a simulated provider, for those who have no key yet */


#include "start.h"

#include <sys/random.h>


#define LLM_DEMO_KEYS  "demo-key-1,demo-key-2,demo-key-3"


static int llm_free_port(void);


int
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
        fprintf(stderr, LLM_NAME "no demo: %s\n", strerror(errno));
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
           strcmp(getenv("HOST"), "0.0.0.0") == 0 ? "127.0.0.1"
                                                  : getenv("HOST"),
           getenv("PORT"), shown);

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
