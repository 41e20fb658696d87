/*
 * test_mem.c - allocation that succeeds or ends the process.
 */
#include "../check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"

static void what_is_given_is_zeroed_and_may_be_of_no_size(void **state)
{
    unsigned char *p = mem_zero(100), *q = mem_array(10, 10), *none = mem_zero(0);
    unsigned char zero[100] = { 0 };

    (void)state;
    assert_memory_equal(p, zero, 100);
    assert_memory_equal(q, zero, 100);
    assert_non_null(none);
    p[99] = 7;
    p = mem_grow(p, 5000);
    CHECK_EQ(p[99], 7);
    free(p);
    free(q);
    free(none);
}

static void copies_are_terminated(void **state)
{
    char *a = mem_str("text"), *b = mem_dup((sl_str){ .ptr = "textual", .len = 4 });
    char *c = mem_dup((sl_str){ 0 });

    (void)state;
    CHECK_STR(a, "text");
    CHECK_STR(b, "text");
    CHECK_STR(c, "");
    assert_null(mem_str(NULL));
    free(a);
    free(b);
    free(c);
}

static void an_array_too_large_to_count_ends_the_process(void **state)
{
    volatile size_t huge = SIZE_MAX / 2;
    struct rlimit no_core = { 0 };
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO);
        free(mem_array(huge, 4));
        _exit(0);
    }
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    /* under a sanitizer the allocator itself ends the process, with a code of its own */
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) ||
          (WIFEXITED(status) && WEXITSTATUS(status) != 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_zeroed_and_may_be_of_no_size),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(an_array_too_large_to_count_ends_the_process),
    };

    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
