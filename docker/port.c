
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "start.h"

#include <netdb.h>


#define LLM_HEALTH_TIMEOUT  3


static int llm_ask(const char *host, const char *port, int loud);
static int llm_connect(const char *host, const char *port);


/* nginx tries five times, and says so in five lines */

int
llm_probe(const char *host, const char *port)
{
    int               s, rc, on, err;
    char             *end, text[NI_MAXHOST];
    long              n;
    struct addrinfo   hints, *ai;

    n = strtol(port, &end, 10);

    if (*end != '\0' || end == port || n < 1 || n > 65535) {
        fprintf(stderr, LLM_NAME "invalid port \"%s\", a number from 1 to "
                "65535 is expected\n", port);
        return -1;
    }

    (void) snprintf(text, sizeof(text), "%s", host);

    if (text[0] == '[') {
        text[strcspn(text, "]")] = '\0';
        memmove(text, text + 1, strlen(text));
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;

    rc = getaddrinfo(strcmp(text, "*") == 0 ? NULL : text, port, &hints, &ai);

    if (rc != 0) {
        fprintf(stderr, LLM_NAME "HOST \"%s\" is no address: %s\n", host,
                gai_strerror(rc));
        return -1;
    }

    err = 0;
    on = 1;
    s = socket(ai->ai_family, ai->ai_socktype, 0);

    if (s == -1
        || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1
        || bind(s, ai->ai_addr, ai->ai_addrlen) == -1)
    {
        err = errno;
    }

    if (s != -1) {
        (void) close(s);
    }

    freeaddrinfo(ai);

    if (err == 0) {
        return 0;
    }

    if (err == EADDRINUSE) {
        fprintf(stderr, LLM_NAME "port %s of %s is in use by another process; "
                "PORT or --port says another one\n", port, host);

    } else if (err == EACCES) {
        fprintf(stderr, LLM_NAME "port %s is not for this user; take one from "
                "1024, and map it if need be\n", port);

    } else {
        fprintf(stderr, LLM_NAME "cannot listen on port %s of %s: %s\n", port,
                host, strerror(err));
    }

    return -1;
}


/*
 * For HEALTHCHECK, where there need not be a shell, nor curl.  The file has
 * what the command line of the start said; after a kill it may be an old one.
 */

int
llm_health(llm_start_t *start)
{
    int          n;
    char         path[PATH_MAX], host[256], port[16];
    FILE        *file;
    const char  *given, *address;

    if (llm_path(path, sizeof(path), start->run_dir, "listen") != 0) {
        return -1;
    }

    given = getenv("PORT");
    given = (given && *given) ? given : NULL;

    address = getenv("HOST");
    address = (address && *address) ? address : "127.0.0.1";

    file = fopen(path, "r");

    if (file) {
        n = fscanf(file, "%255s %15s", host, port);
        (void) fclose(file);

        if (n == 2 && (given == NULL || strcmp(port, given) == 0)) {
            return llm_ask(host, port, 1);
        }

        if (n == 2 && !start->port && llm_ask(host, port, 0) == 0) {
            return 0;
        }
    }

    /* an nginx that was started without us did not write it */

    return llm_ask(address, given ? given : "4000", 1);
}


static int
llm_ask(const char *host, const char *port, int loud)
{
    int      s;
    char     text[64];
    size_t   len;
    ssize_t  n;

    static const char  request[] = "GET /health/liveliness HTTP/1.0" CRLF CRLF;

    s = llm_connect(host, port);

    if (s == -1) {
        if (loud) {
            fprintf(stderr, LLM_NAME "nobody answers on port %s\n", port);
        }

        return -1;
    }

    len = 0;

    if (send(s, request, sizeof(request) - 1, MSG_NOSIGNAL)
        == (ssize_t) sizeof(request) - 1)
    {
        while (len < sizeof(text) - 1) {
            n = recv(s, text + len, sizeof(text) - 1 - len, 0);

            if (n <= 0) {
                break;
            }

            len += n;
        }
    }

    (void) close(s);

    text[len] = '\0';

    if (strncmp(text, "HTTP/1.1 200 ", sizeof("HTTP/1.1 200 ") - 1) == 0) {
        return 0;
    }

    if (loud) {
        fprintf(stderr, LLM_NAME "the answer on port %s is \"%.*s\"\n", port,
                (int) strcspn(text, CRLF), text);
    }

    return -1;
}


static int
llm_connect(const char *host, const char *port)
{
    int               s;
    struct timeval    tv;
    struct addrinfo   hints, *ai;

    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0) {
        host = "127.0.0.1";

    } else if (strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0) {
        host = "::1";
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;

    if (getaddrinfo(host, port, &hints, &ai) != 0) {
        return -1;
    }

    tv.tv_sec = LLM_HEALTH_TIMEOUT;
    tv.tv_usec = 0;

    s = socket(ai->ai_family, ai->ai_socktype, 0);

    if (s != -1
        && (setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1
            || setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == -1
            || connect(s, ai->ai_addr, ai->ai_addrlen) == -1))
    {
        (void) close(s);
        s = -1;
    }

    freeaddrinfo(ai);

    return s;
}
