
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/* nginx as a child: SIGTERM lets requests end, as docker stop means it */


#include "start.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>


#define LLM_FILES  65536


static pid_t llm_pump(void);
static void llm_copy(int from, int to);
static int llm_exec(char *const *argv, sigset_t *set);
static int llm_wait(llm_start_t *start, pid_t nginx, sigset_t *set);


int
llm_serve(llm_start_t *start, char *const *argv)
{
    int       status;
    pid_t     nginx, pump;
    sigset_t  set, old;

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    (void) sigaddset(&set, SIGQUIT);
    (void) sigaddset(&set, SIGHUP);
    (void) sigaddset(&set, SIGUSR1);
    (void) sigaddset(&set, SIGCHLD);

    /* the first process of a container ignores what it does not wait for */

    if (sigprocmask(SIG_BLOCK, &set, &old) == -1) {
        fprintf(stderr, LLM_NAME "sigprocmask() failed: %s\n",
                strerror(errno));
        return 1;
    }

    pump = llm_pump();
    nginx = (pump == -1) ? -1 : fork();

    if (nginx == -1) {
        fprintf(stderr, LLM_NAME "fork() failed: %s\n", strerror(errno));
        return 1;
    }

    if (nginx == 0) {
        return llm_exec(argv, &old);
    }

    /* the end of a pipe is seen when nobody has it any more */

    (void) close(STDOUT_FILENO);

    status = llm_wait(start, nginx, &set);

    if (pump) {
        (void) waitpid(pump, NULL, 0);
    }

    return status;
}


/*
 * The access log opens /dev/stdout.  That fails where stdout is a socket, or a
 * pipe of another user; a pipe of our own stands in for it then.
 */

static pid_t
llm_pump(void)
{
    int    fd, out, fds[2];
    pid_t  pid;

    fd = open("/dev/stdout", O_WRONLY|O_APPEND);

    if (fd != -1) {
        (void) close(fd);
        return 0;
    }

    out = dup(STDOUT_FILENO);

    if (out == -1 || pipe(fds) == -1 || dup2(fds[1], STDOUT_FILENO) == -1) {
        return -1;
    }

    (void) close(fds[1]);

    pid = fork();

    if (pid == 0) {
        (void) close(STDOUT_FILENO);
        llm_copy(fds[0], out);
        _exit(0);
    }

    (void) close(fds[0]);
    (void) close(out);

    return pid;
}


static void
llm_copy(int from, int to)
{
    char     text[65536];
    ssize_t  n, sent, size;

    for ( ;; ) {
        size = read(from, text, sizeof(text));

        if (size <= 0) {
            return;
        }

        /* a reader that has gone must not stop nginx */

        for (sent = 0; sent < size; sent += n) {
            n = write(to, text + sent, size - sent);

            if (n <= 0) {
                break;
            }
        }
    }
}


static int
llm_exec(char *const *argv, sigset_t *set)
{
    struct rlimit  files;

    /* worker_connections need more than a shell is given */

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = ngx_max(files.rlim_cur,
                                 ngx_min(files.rlim_max, LLM_FILES));
        (void) setrlimit(RLIMIT_NOFILE, &files);
    }

    (void) prctl(PR_SET_PDEATHSIG, SIGQUIT);
    (void) sigprocmask(SIG_SETMASK, set, NULL);

    (void) execvp("nginx", argv);

    /* Debian has it where a user's path does not lead */

    (void) execv("/usr/sbin/nginx", argv);

    fprintf(stderr, LLM_NAME "nginx: %s\n", strerror(errno));

    return 1;
}


static int
llm_wait(llm_start_t *start, pid_t nginx, sigset_t *set)
{
    int    signo, status, stopping;
    pid_t  pid;

    for (stopping = 0; /* void */ ; /* void */ ) {

        if (sigwait(set, &signo) != 0) {
            continue;
        }

        switch (signo) {

        case SIGCHLD:

            /* orphans come to the first process of a container too */

            while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == nginx) {
                    return WIFEXITED(status) ? WEXITSTATUS(status)
                                             : 128 + WTERMSIG(status);
                }
            }

            break;

        case SIGINT:
            (void) kill(nginx, SIGTERM);
            break;

        case SIGTERM:
        case SIGQUIT:

            /* who asks twice does not want to wait */

            (void) kill(nginx, stopping ? SIGTERM : SIGQUIT);
            stopping = 1;
            break;

        case SIGHUP:

            if (start->config && llm_convert_again(start) != 0) {
                fprintf(stderr, LLM_NAME "what was read before stays\n");
                break;
            }

            (void) kill(nginx, signo);
            break;

        default: /* SIGUSR1 */
            (void) kill(nginx, signo);
        }
    }
}
