/*
 * The commands against a daemon that is played: each runs in a child process with its output
 * caught, the test reads its request from a unix socket and sends a canned answer.
 */
#include "../check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>
#include "base/buf.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/table.h"

int sluice_main(int argc, char **argv); /* main.c under another name */

int command_run(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_check(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_db_check(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_db_repair(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_db_backup(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_db_restore(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_reference(struct cli *cli)
{
    (void)cli;
    return EXIT_FAILED;
}

int command_version(struct cli *cli)
{
    (void)cli;
    return EXIT_DONE;
}

/* ---- the played daemon ---- */

static char socket_path[64];

struct ran {
    int code;
    char out[16384], err[4096], request[4096];
};
static struct ran ran;

static void slurp(int fd, char *to, size_t cap)
{
    ssize_t n = pread(fd, to, cap - 1, 0);

    to[n > 0 ? n : 0] = '\0';
    close(fd);
}

static int listen_there(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(at.sun_path, socket_path, strlen(socket_path));
    unlink(socket_path);
    CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_EQ(listen(fd, 1), 0);
    return fd;
}

/* Head and body of one request; then the answer. */
static void serve(int listener, const char *answer)
{
    int fd = accept(listener, NULL, NULL);
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, ran.request + len, sizeof(ran.request) - 1 - len, 0);
        CHECK(n > 0);
        len += (size_t)n;
        ran.request[len] = '\0';
        const char *body = strstr(ran.request, "\r\n\r\n");
        const char *length = strstr(ran.request, "Content-Length: ");
        if (body && strlen(body + 4) >= strtoul(length + 16, NULL, 10))
            break;
    }
    CHECK(send(fd, answer, strlen(answer), MSG_NOSIGNAL) == (ssize_t)strlen(answer));
    close(fd);
}

/* Runs "sluice ..." of words split at blanks; answer NULL: no request is expected. */
static void sluice(const char *line, const char *answer)
{
    int out = memfd_create("out", 0), err = memfd_create("err", 0), status;
    int listener = answer ? listen_there() : -1;
    char words[1024], *argv[64], *save = NULL;
    int argc = 0;

    ran = (struct ran){ 0 };
    snprintf(words, sizeof(words), "sluice %s --socket %s", line, socket_path);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, 1);
        dup2(err, 2);
        int code = sluice_main(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    if (answer)
        serve(listener, answer);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    ran.code = WEXITSTATUS(status);
    slurp(out, ran.out, sizeof(ran.out));
    slurp(err, ran.err, sizeof(ran.err));
    if (answer) {
        close(listener);
        unlink(socket_path);
    }
}

static const char *answer_of(int status, const char *body)
{
    static char text[16384];

    snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    return text;
}

#define HAS(text, what)                                                       \
    do {                                                                      \
        if (!strstr((text), (what)))                                          \
            fail_msg("no \"%s\" in: %s (exit %d)", (what), (text), ran.code); \
    } while (0)

/* ---- bytes ---- */

static void an_answer_that_is_cut_short_is_no_answer(void **state)
{
    int status = 0;
    sl_str body;

    (void)state;
    CHECK_EQ(client_parse(STR("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), &status, &body),
             0);
    CHECK_EQ(status, 200);
    CHECK_VIEW(body, "ok");
    CHECK_EQ(client_parse(STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), &status, &body),
             UV_EPROTO);
    CHECK_EQ(client_parse(STR("HTTP/1.1 200 OK\r\n\r\nok"), &status, &body), UV_EPROTO);
    CHECK_EQ(client_parse(STR("HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"), &status, &body),
             UV_EPROTO);
    CHECK_EQ(client_parse(STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), &status, &body),
             UV_EPROTO);
    CHECK_EQ(client_parse(STR(""), &status, &body), UV_EPROTO);
}

static void each_status_has_its_exit_code(void **state)
{
    (void)state;
    CHECK_EQ(client_exit_code(200), EXIT_DONE);
    CHECK_EQ(client_exit_code(400), EXIT_USAGE);
    CHECK_EQ(client_exit_code(401), EXIT_REFUSED);
    CHECK_EQ(client_exit_code(403), EXIT_REFUSED);
    CHECK_EQ(client_exit_code(404), EXIT_NOT_FOUND);
    CHECK_EQ(client_exit_code(503), EXIT_FAILED);
}

static void targets_are_encoded(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_cstr(&b, "/v1/x/");
    target_segment(&b, "a/b ?");
    target_param(&b, "none", NULL);
    target_param(&b, "subject", "order:a/1&x=ü");
    target_param(&b, "limit", "5");
    CHECK_STR(b.data, "/v1/x/a%2Fb%20%3F?subject=order%3Aa%2F1%26x%3D%C3%BC&limit=5");
    buf_finish(&b);
}

/* ---- tables ---- */

static void columns_are_aligned_by_characters(void **state)
{
    struct table t;
    struct buf b = { 0 };

    (void)state;
    table_init(&t, "NAME|>COUNT|NOTE");
    table_cell(&t, "Zürich");
    table_cell(&t, "7");
    table_cell(&t, "a b");
    table_cell(&t, "x");
    table_cell(&t, "1234567");
    table_cell(&t, NULL);
    table_write(&t, &b);
    CHECK_STR(b.data,
              "NAME      COUNT  NOTE\n"
              "Zürich        7  a b\n"
              "x       1234567\n");
    buf_finish(&b);
    table_finish(&t);
}

static void what_came_from_outside_cannot_move_the_cursor(void **state)
{
    struct buf b = { 0 };

    (void)state;
    clean_text(&b, STR("a\x1b[31mb\r\n\tc\x7f \xc2\x9b \xff\xc3"));
    CHECK_STR(b.data, "a [31mb   c    ??");
    buf_clear(&b);
    clean_lines(&b, (sl_str){ "a\n\tb\0c\x1b", 7 });
    CHECK_STR(b.data, "a\n\tb c ");
    buf_finish(&b);
}

static void a_wide_cell_is_cut_but_not_the_last(void **state)
{
    struct table t;
    struct buf b = { 0 };
    char wide[80];

    (void)state;
    memset(wide, 'w', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    table_init(&t, "A|B");
    table_cell(&t, wide);
    table_cell(&t, wide);
    table_write(&t, &b);
    HAS(b.data, "www...  www");
    HAS(b.data, wide);
    buf_finish(&b);
    table_finish(&t);
}

static void raw_json_is_taken_out_as_it_was_written(void **state)
{
    sl_str o = STR("{ \"a\" : {\"body\":1}, \"b\\\"\":\"}\" ,\"body\":{\"x\":19.90,\"y\":[1,2]}}");
    sl_str a = STR("[ 1 , \"],\" ,{\"k\":[2]}]");

    (void)state;
    CHECK_VIEW(raw_member(o, "body"), "{\"x\":19.90,\"y\":[1,2]}");
    CHECK_VIEW(raw_member(o, "none"), "");
    CHECK_VIEW(raw_member(STR("{}"), "a"), "");
    CHECK_VIEW(raw_element(a, 0), "1");
    CHECK_VIEW(raw_element(a, 1), "\"],\"");
    CHECK_VIEW(raw_element(a, 2), "{\"k\":[2]}");
    CHECK_VIEW(raw_element(a, 3), "");
    CHECK_VIEW(raw_element(STR("[]"), 0), "");
}

/* ---- commands ---- */

static void without_a_daemon_the_socket_is_named_and_the_code_is_6(void **state)
{
    (void)state;
    sluice("status", NULL);
    CHECK_EQ(ran.code, EXIT_NO_DAEMON);
    HAS(ran.err, socket_path);
    HAS(ran.err, "is `sluice run` running?");
    CHECK_STR(ran.out, "");
}

static void a_bulk_needs_ids_or_all(void **state)
{
    static const struct {
        const char *line, *why;
    } bad[] = {
        { "dead replay", "--all" },
        { "dead discard --route r", "--all" },
        { "dead replay 1.0 --all", "not both" },
        { "dead replay 1.0 --route r", "narrows --all" },
        { "held release", "--all" },
        { "held arrived", "wants the ids" },
        { "held arrived --all", "unknown option --all" },
        { "dead show", "wants one id" },
        { "dead show 1.0 2.0", "got 2 arguments" },
        { "events list x", "takes no argument" },
        { "endpoints trip", "wants one name" },
        { "try --endpoint shop", "--topic" },
        { "dead repaly", "did you mean \"dead replay\"" },
        { "db", "sluice db VERB" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sluice(bad[i].line, NULL);
        CHECK_EQ(ran.code, EXIT_USAGE);
        HAS(ran.err, bad[i].why);
        CHECK_STR(ran.out, "");
    }
}

static void ids_and_filters_reach_the_daemon(void **state)
{
    const char *none =
        "{\"results\":[],\"done\":0,\"failed\":0,\"matched\":0,\"more\":false,"
        "\"dry_run\":false}";

    (void)state;
    sluice("dead replay --all --route r --endpoint=e --subject s --remap --force --why again",
           answer_of(200, none));
    HAS(ran.request, "POST /v1/decide HTTP/1.1\r\n");
    HAS(ran.request,
        "{\"action\":\"replay\",\"filter\":{\"state\":\"dead\",\"route\":\"r\","
        "\"endpoint\":\"e\",\"subject\":\"s\"},\"why\":\"again\",\"remap\":true,"
        "\"force\":true}");
    HAS(ran.err, "nothing matches");
    CHECK_EQ(ran.code, EXIT_DONE);
    sluice("held release 1.0 2.3 --to byron --dry-run", answer_of(200, none));
    HAS(ran.request,
        "{\"action\":\"release\",\"ids\":[\"1.0\",\"2.3\"],\"to\":\"byron\","
        "\"dry_run\":true}");
    sluice("held reject --all --type fraud", answer_of(200, none));
    HAS(ran.request, "\"filter\":{\"state\":\"held\",\"hold_type\":\"fraud\"}");
    sluice("dead list --error no --since 2h --until 2026-11-20T00:00:00Z", answer_of(200, "[]"));
    HAS(ran.request,
        "GET /v1/deliveries?state=dead&error=no&since=2h&until=2026-11-20T00%3A00%3A00Z");
    sluice("held list --type fraud --limit 5", answer_of(200, "[]"));
    HAS(ran.request, "GET /v1/deliveries?state=held&hold_type=fraud&limit=5 HTTP/1.1\r\n");
    sluice("events list --subject order:a/1", answer_of(200, "[]"));
    HAS(ran.request, "GET /v1/events?subject=order%3Aa%2F1 HTTP/1.1\r\n");
    sluice("routes resume a/b", answer_of(200, "{\"route\":\"a/b\",\"paused\":false}"));
    HAS(ran.request, "POST /v1/routes/a%2Fb/resume HTTP/1.1\r\n");
}

static void results(const char *statuses, int code)
{
    struct buf b = { 0 };
    char copy[128], *save = NULL;
    int matched = 0, failed = 0;

    snprintf(copy, sizeof(copy), "%s", statuses);
    for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
        buf_printf(&b, "%s{\"id\":\"1.0\",\"status\":\"%s\",\"text\":\"t\"}", b.len ? "," : "", s);
        matched++;
        failed += strcmp(s, "done") != 0;
    }
    struct buf all = { 0 };
    buf_printf(&all, "{\"results\":[%s],\"done\":%d,\"failed\":%d,\"matched\":%d,\"more\":true}",
               b.data, matched - failed, failed, matched);
    sluice("dead replay 1.0", answer_of(200, all.data));
    if (ran.code != code)
        fail_msg("%s gave %d, not %d", statuses, ran.code, code);
    HAS(ran.err, "not all are listed");
    buf_finish(&b);
    buf_finish(&all);
}

static void the_exit_code_says_what_became_of_them(void **state)
{
    (void)state;
    results("done done", EXIT_DONE);
    results("done refused", EXIT_PARTIAL);
    results("done not_found", EXIT_PARTIAL);
    results("not_found", EXIT_NOT_FOUND);
    results("refused busy", EXIT_REFUSED);
    results("failed", EXIT_FAILED);
}

static void a_problem_is_told_with_its_detail(void **state)
{
    (void)state;
    sluice("events show 9", answer_of(404, "{\"status\":404,\"detail\":\"there is no event 9\"}"));
    CHECK_EQ(ran.code, EXIT_NOT_FOUND);
    CHECK_STR(ran.err, "sluice: there is no event 9\n");
    sluice("events list --limit 0", answer_of(400, "{\"detail\":\"limit must\"}"));
    CHECK_EQ(ran.code, EXIT_USAGE);
    sluice("status", answer_of(500, "oops"));
    CHECK_EQ(ran.code, EXIT_FAILED);
    sluice("status", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}");
    CHECK_EQ(ran.code, EXIT_FAILED);
    HAS(ran.err, "no whole answer");
    sluice("status", answer_of(200, "not json"));
    CHECK_EQ(ran.code, EXIT_FAILED);
}

static void json_is_passed_on_byte_for_byte(void **state)
{
    (void)state;
    sluice("events list --json", answer_of(200, "[{\"id\":1,\"x\":19.90}]"));
    CHECK_STR(ran.out, "[{\"id\":1,\"x\":19.90}]\n");
    CHECK_STR(ran.err, "");
    sluice("endpoints list --json", answer_of(200, "{\"a\":1,\"lanes\":[{\"x\":1.0}]}"));
    CHECK_STR(ran.out, "[{\"x\":1.0}]\n");
}

static void try_sends_the_file_and_every_header(void **state)
{
    char name[] = "/tmp/sluice-try-XXXXXX", line[256];
    int fd = mkstemp(name);

    (void)state;
    CHECK_EQ(write(fd, "{\"a\":\"b\"}", 9), 9);
    close(fd);
    snprintf(line, sizeof(line),
             "try %s --endpoint shop --topic orders/create --header X-A:1 --header X-B:2", name);
    sluice(line, answer_of(200,
                           "{\"subject\":\"s\",\"deliveries\":[{\"route\":\"r\",\"to\":\"byron\","
                           "\"action\":\"order.submit\",\"body\":{\"p\":19.90}}],"
                           "\"understood\":true}"));
    CHECK_EQ(ran.code, EXIT_DONE);
    HAS(ran.request,
        "{\"endpoint\":\"shop\",\"topic\":\"orders/create\",\"headers\":{\"X-A\":\"1\","
        "\"X-B\":\"2\"},\"body\":\"{\\\"a\\\":\\\"b\\\"}\"}");
    HAS(ran.out, "r -> byron; order.submit\n{\"p\":19.90}\n");
    HAS(ran.err, "nothing was stored or sent");
    snprintf(line, sizeof(line), "try %s --endpoint a --topic t --header nocolon", name);
    sluice(line, NULL);
    CHECK_EQ(ran.code, EXIT_USAGE);
    unlink(name);
    sluice("try /nonexistent/x --endpoint a --topic t", NULL);
    CHECK_EQ(ran.code, EXIT_FAILED);
}

static void every_command_knows_help(void **state)
{
    char line[128];

    (void)state;
    for (const struct command *c = commands; c->name; c++) {
        snprintf(line, sizeof(line), "%s --help", c->name);
        bool remote = false;
        for (const struct cli_option *o = c->options; o && o->name; o++)
            remote = remote || strcmp(o->name, "socket") == 0;
        if (!remote)
            continue; /* sluice() adds --socket */
        sluice(line, NULL);
        CHECK_EQ(ran.code, EXIT_DONE);
        HAS(ran.out, c->help);
        HAS(ran.out, "--socket PATH");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_cut_short_is_no_answer),
        cmocka_unit_test(each_status_has_its_exit_code),
        cmocka_unit_test(targets_are_encoded),
        cmocka_unit_test(columns_are_aligned_by_characters),
        cmocka_unit_test(what_came_from_outside_cannot_move_the_cursor),
        cmocka_unit_test(a_wide_cell_is_cut_but_not_the_last),
        cmocka_unit_test(raw_json_is_taken_out_as_it_was_written),
        cmocka_unit_test(without_a_daemon_the_socket_is_named_and_the_code_is_6),
        cmocka_unit_test(a_bulk_needs_ids_or_all),
        cmocka_unit_test(ids_and_filters_reach_the_daemon),
        cmocka_unit_test(the_exit_code_says_what_became_of_them),
        cmocka_unit_test(a_problem_is_told_with_its_detail),
        cmocka_unit_test(json_is_passed_on_byte_for_byte),
        cmocka_unit_test(try_sends_the_file_and_every_header),
        cmocka_unit_test(every_command_knows_help),
    };

    snprintf(socket_path, sizeof(socket_path), "/tmp/sluice-cli-%d.sock", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
