/*
 * mem.c - allocation that succeeds or ends the process.
 */
#include "base/mem.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
    static const char text[] = "sluice: out of memory, giving up; a restart resumes the work\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

    (void)ignored;
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* libuv and others abort without a word, mostly when they find no memory. */
static void on_death(int signum)
{
    static const char aborted[] =
        "sluice: a library gave up, most likely for want of memory; a restart resumes the work\n";
    static const char crashed[] =
        "sluice: crashed, by a fault or for want of memory; a restart resumes the work\n";
    ssize_t ignored = signum == SIGABRT ? write(STDERR_FILENO, aborted, sizeof(aborted) - 1)
                                        : write(STDERR_FILENO, crashed, sizeof(crashed) - 1);

    (void)ignored;
}

void mem_watch_deaths(void)
{
    struct sigaction action = { .sa_handler = on_death,
                                .sa_flags = (int)SA_RESETHAND | SA_ONSTACK };

    sigaction(SIGABRT, &action, NULL);
#ifndef SLUICE_SANITIZED         /* it has more to say of a crash, on a stack of its own */
    static char stack[16 << 10]; /* the usual one may be what cannot grow */
    stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };

    sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
#endif
}

void *mem_zero(size_t n)
{
    return mem_array(1, n);
}

void *mem_array(size_t n, size_t size)
{
    void *p = n == 0 || size == 0 ? calloc(1, 1) : calloc(n, size);

    if (!p)
        out_of_memory();
    return p;
}

void *mem_grow(void *p, size_t n)
{
    void *q = realloc(p, n > 0 ? n : 1);

    if (!q)
        out_of_memory();
    return q;
}

char *mem_str(const char *s)
{
    return s ? mem_dup((sl_str){ .ptr = s, .len = strlen(s) }) : NULL;
}

char *mem_dup(sl_str s)
{
    char *copy;

    if (s.len == SIZE_MAX)
        out_of_memory();
    copy = mem_grow(NULL, s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}
