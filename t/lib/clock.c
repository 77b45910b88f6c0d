
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * For LD_PRELOAD: clocks that are ahead by as many milliseconds as the file
 * says that LLM_TEST_CLOCK names, so that a test need not wait for an hour.
 * The file is mapped before nginx forgets its environment, and forked with it.
 */


#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


static volatile int64_t  *clock_ahead;


__attribute__((constructor)) static void
clock_open(void)
{
    int    fd;
    void  *p;

    if (getenv("LLM_TEST_CLOCK") == NULL) {
        return;
    }

    fd = open(getenv("LLM_TEST_CLOCK"), O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        abort();
    }

    p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        abort();
    }

    clock_ahead = p;

    close(fd);
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int      rc;
    int64_t  ahead;

    rc = syscall(SYS_clock_gettime, id, ts);

    if (rc != 0 || clock_ahead == NULL
        || id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID)
    {
        return rc;
    }

    ahead = *clock_ahead;

    ts->tv_sec += ahead / 1000;
    ts->tv_nsec += ahead % 1000 * 1000000;

    if (ts->tv_nsec >= 1000000000) {
        ts->tv_nsec -= 1000000000;
        ts->tv_sec++;
    }

    return 0;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec  ts;

    (void) tz;

    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timeval  tv;

    if (gettimeofday(&tv, NULL) != 0) {
        return -1;
    }

    if (t) {
        *t = tv.tv_sec;
    }

    return tv.tv_sec;
}
