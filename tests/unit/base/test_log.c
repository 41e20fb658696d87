/*
 * test_log.c - log lines, read back from where standard error points.
 */
#include "../check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/log.h"

/* "2026-11-20T09:15:32.123Z": as long as every time */
#define TIME_BYTES 24

static int pipe_fds[2], real_stderr;
static char line[65536];

static const struct logger byron = { .room = "lane", .name = "byron" };

static int capture(void **state)
{
    (void)state;
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    if (pipe(pipe_fds) < 0)
        return -1;
    dup2(pipe_fds[1], STDERR_FILENO);
    log_setup(LOG_INFO, LOG_TEXT);
    return 0;
}

static int release(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* What was written since; "" when nothing was. */
static const char *logged(void)
{
    ssize_t n;

    if (write(pipe_fds[1], "|", 1) != 1) /* so that the read never waits */
        return NULL;
    n = read(pipe_fds[0], line, sizeof(line) - 1);
    if (n < 1 || line[n - 1] != '|')
        return NULL;
    line[n - 1] = '\0';
    return line;
}

static const char *after_time(const char *s)
{
    CHECK(s && strlen(s) > TIME_BYTES);
    CHECK_EQ(s[10], 'T');
    CHECK_EQ(s[TIME_BYTES - 1], 'Z');
    return s + TIME_BYTES;
}

static void a_line_names_time_level_and_owner(void **state)
{
    (void)state;
    log_warn(&byron, "err=%s attempt=%d", "ETIMEDOUT", 3);
    CHECK_STR(after_time(logged()), " warn lane byron: err=ETIMEDOUT attempt=3\n");
    log_line(&(struct logger){ .room = "intake" }, LOG_INFO, "up");
    CHECK_STR(after_time(logged()), " info intake: up\n");
    log_line(NULL, LOG_ERROR, "bare");
    CHECK_STR(after_time(logged()), " error bare\n");
}

static void levels_below_the_setting_are_not_written(void **state)
{
    (void)state;
    log_debug(&byron, "hidden");
    CHECK_STR(logged(), "");
    log_setup(LOG_DEBUG, LOG_TEXT);
    CHECK_EQ(log_level(), LOG_DEBUG);
    log_debug(&byron, "shown");
    log_trace(&byron, "hidden");
    CHECK_STR(after_time(logged()), " debug lane byron: shown\n");
    log_setup(LOG_ERROR, LOG_TEXT);
    log_warn(&byron, "hidden");
    CHECK_STR(logged(), "");
}

static void levels_have_names(void **state)
{
    (void)state;
    CHECK_EQ(log_level_of("error"), LOG_ERROR);
    CHECK_EQ(log_level_of("warn"), LOG_WARN);
    CHECK_EQ(log_level_of("info"), LOG_INFO);
    CHECK_EQ(log_level_of("debug"), LOG_DEBUG);
    CHECK_EQ(log_level_of("trace"), LOG_TRACE);
    CHECK_EQ(log_level_of("Error"), -1);
    CHECK_EQ(log_level_of(""), -1);
    CHECK_EQ(log_level_of(NULL), -1);
}

static void nobody_forges_a_line_or_steers_a_terminal(void **state)
{
    (void)state;
    log_info(&byron, "%s", "a\nb\r\tc\x1b[31m\x7f\xc2\x9b\xff M\xc3\xbcller");
    CHECK_STR(after_time(logged()),
              " info lane byron: a\\nb\\r\\tc\\x1b[31m\\x7f\\xc2\\x9b\\xff M\xc3\xbcller\n");
    log_line(&(struct logger){ .room = "lane", .name = "x\ny" }, LOG_INFO, "z");
    CHECK_STR(after_time(logged()), " info lane x\\ny: z\n");
}

static void the_json_form_is_one_object_a_line(void **state)
{
    const char *got;

    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    log_warn(&byron, "%s", "a \"b\" \\ \n\x01\xc2\x9b\xff");
    got = logged();
    CHECK_EQ(strncmp(got, "{\"time\":\"20", 11), 0);
    CHECK_STR(got + strlen("{\"time\":\"") + TIME_BYTES,
              "\",\"level\":\"warn\",\"room\":\"lane\",\"name\":\"byron\","
              "\"text\":\"a \\\"b\\\" \\\\ \\n\\u0001\\u009b\xef\xbf\xbd\"}\n");
    log_line(&(struct logger){ .room = "intake" }, LOG_INFO, "up");
    CHECK_STR(logged() + strlen("{\"time\":\"") + TIME_BYTES,
              "\",\"level\":\"info\",\"room\":\"intake\",\"text\":\"up\"}\n");
}

static void long_lines_are_cut_at_8_kib_and_stay_whole(void **state)
{
    char *text = malloc(20001), name[1000];
    const char *got;
    size_t n;

    (void)state;
    memset(text, 'x', 20000);
    text[20000] = '\0';
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    log_info(&byron, "%s", text);
    got = logged();
    n = strlen(got);
    CHECK(n > 8000 && n <= 8192);
    CHECK_EQ(got[n - 1], '\n');

    log_setup(LOG_INFO, LOG_JSON);
    for (size_t i = 0; i < 20000; i += 2)
        memcpy(text + i, i % 4 ? "\xc3\xa9" : "\"\n", 2);
    for (size_t cut = 0; cut < 16; cut++) { /* wherever the end falls, it is no half escape */
        log_line(&(struct logger){ .room = "lane", .name = name + cut }, LOG_INFO, "%s",
                 text + cut);
        got = logged();
        n = strlen(got);
        CHECK(n <= 8192);
        CHECK_STR(got + n - 3, "\"}\n");
        assert_non_null(strstr(got, ",\"text\":\""));
        CHECK(got[n - 4] != '\\' || got[n - 5] == '\\');
        for (const char *p = got; *p; p += str_utf8(str_of(p)))
            CHECK(str_utf8(str_of(p)) > 0);
    }
    free(text);
}

static void logging_leaves_errno_alone(void **state)
{
    (void)state;
    close(STDERR_FILENO);
    errno = ERANGE;
    log_error(&byron, "nowhere to go");
    CHECK_EQ(errno, ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_names_time_level_and_owner, capture, release),
        cmocka_unit_test_setup_teardown(levels_below_the_setting_are_not_written, capture, release),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test_setup_teardown(nobody_forges_a_line_or_steers_a_terminal, capture,
                                        release),
        cmocka_unit_test_setup_teardown(the_json_form_is_one_object_a_line, capture, release),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_at_8_kib_and_stay_whole, capture,
                                        release),
        cmocka_unit_test_setup_teardown(logging_leaves_errno_alone, capture, release),
    };

    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
