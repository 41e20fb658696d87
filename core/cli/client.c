#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "cli/exit.h"
#include "config/config.h"

#define CLIENT_TIMEOUT_S 120
#define CLIENT_MAX_BYTES (512u << 20)

/* ---- where ---- */

/** Own path, or NULL: told. */
static char *find_socket(struct cli *cli)
{
    const char *given = cli_value(cli, "socket");
    struct config_errors errors = { 0 };
    struct buf out = { 0 };
    char *path = NULL;

    if (given)
        return mem_str(given);
    if (config_admin_socket(cli->file, &path, &errors) == 0)
        return path;
    config_errors_print(&out, &errors);
    fprintf(stderr,
            "%sthe daemon's socket is not known: name the configuration with -c FILE, or "
            "the socket with --socket PATH\n",
            out.data ? out.data : "");
    buf_finish(&out);
    config_errors_finish(&errors);
    return NULL;
}

/** Tells of a failure, to a program as well: with --json it reads what a refusal of the API looks
 * like. */
static int failed(const struct cli *cli, int code, const char *text)
{
    json_t *o = cli->json ? json_pack("{s:s, s:i}", "detail", text, "exit", code) : NULL;

    fprintf(stderr, "sluice: %s\n", text);
    if (o) {
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(o);
    return code;
}

static int cannot_connect(const struct cli *cli, const char *path, int error)
{
    bool refused = error == EACCES || error == EPERM;
    struct buf text = { 0 };
    int r;

    if (refused)
        buf_printf(&text, "no permission for the socket %s; its group may use it", path);
    else
        buf_printf(&text, "no daemon at %s (%s); is `sluice run` running?", path, strerror(error));
    r = failed(cli, refused ? EXIT_REFUSED : EXIT_NO_DAEMON, text.data);
    buf_finish(&text);
    return r;
}

/** EXIT_DONE with *ret a connected descriptor. */
static int connect_to(const struct cli *cli, const char *path, int *ret)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = CLIENT_TIMEOUT_S };
    int fd;

    if (strlen(path) >= sizeof(to.sun_path)) {
        fprintf(stderr, "sluice: the socket's path is longer than %zu bytes: %s\n",
                sizeof(to.sun_path) - 1, path);
        return EXIT_USAGE;
    }
    memcpy(to.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return cannot_connect(cli, path, error);
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    *ret = fd;
    return EXIT_DONE;
}

/* ---- the bytes ---- */

/** A refused request is answered before it is read whole: a broken pipe still has an answer. */
static void send_all(int fd, sl_str s)
{
    while (s.len) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        s.ptr += n;
        s.len -= (size_t)n;
    }
}

static int read_all(int fd, struct buf *b)
{
    for (;;) {
        if (b->len > CLIENT_MAX_BYTES || buf_reserve(b, 64 << 10) < 0)
            return UV_E2BIG;
        ssize_t n = recv(fd, b->data + b->len, b->cap - b->len - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ECONNRESET && b->len)
            return 0; /* the answer is there, the rest of our request was not wanted */
        if (n <= 0)
            return n < 0 ? -errno : 0;
        b->len += (size_t)n;
        b->data[b->len] = '\0';
    }
}

/** The length that a head announces; -1: none. */
static int64_t announced(sl_str head)
{
    static const char name[] = "\r\ncontent-length:";

    for (size_t i = 0; i + sizeof(name) - 1 <= head.len; i++)
        if (str_eq_nocase((sl_str){ head.ptr + i, sizeof(name) - 1 }, str_of(name)))
            return strtoll(head.ptr + i + sizeof(name) - 1, NULL, 10);
    return -1;
}

int client_parse(sl_str answer, int *ret_status, sl_str *ret_body)
{
    const char *end;
    int status = 0;

    if (!str_starts(answer, STR("HTTP/1.1 ")) || answer.len < 12 ||
        !(end = memmem(answer.ptr, answer.len, "\r\n\r\n", 4)))
        return UV_EPROTO;
    for (int i = 9; i < 12; i++) {
        if (answer.ptr[i] < '0' || answer.ptr[i] > '9')
            return UV_EPROTO;
        status = status * 10 + (answer.ptr[i] - '0');
    }
    sl_str head = { answer.ptr, (size_t)(end - answer.ptr) + 2 };
    sl_str body = { end + 4, answer.len - (size_t)(end + 4 - answer.ptr) };
    int64_t length = announced(head);
    if (length < 0 || (uint64_t)length != body.len)
        return UV_EPROTO;
    *ret_status = status;
    *ret_body = body;
    return 0;
}

/* ---- what it means ---- */

int client_exit_code(int status)
{
    switch (status) {
    case 400:
    case 413:
        return EXIT_USAGE;
    case 404:
        return EXIT_NOT_FOUND;
    case 422: /* a configuration, printed as `check` does */
        return EXIT_CONFIG;
    case 401:
    case 403:
    case 409:
    case 421:
        return EXIT_REFUSED;
    default:
        return status >= 200 && status < 300 ? EXIT_DONE : EXIT_FAILED;
    }
}

static int read_answer(const struct cli *cli, int fd, struct answer *ret)
{
    struct buf raw = { 0 };
    sl_str body;
    char text[128];
    int status, r = read_all(fd, &raw);

    if (r == 0)
        r = client_parse(buf_view(&raw), &status, &body);
    if (r < 0) {
        buf_finish(&raw);
        snprintf(text, sizeof(text), "no whole answer from the daemon: %s",
                 r == UV_EAGAIN ? "it took too long" : uv_strerror(r));
        return failed(cli, EXIT_FAILED, text);
    }
    ret->json = json_loadb(body.ptr, body.len, 0, NULL);
    r = client_exit_code(status);
    if (r == EXIT_DONE && !ret->json) {
        fprintf(stderr, "sluice: the daemon's answer is not JSON\n");
        r = EXIT_FAILED;
    } else if (r != EXIT_DONE) {
        const char *detail = json_string_value(json_object_get(ret->json, "detail"));
        fprintf(stderr, "%s%s\n", r == EXIT_CONFIG ? "" : "sluice: ",
                detail ? detail : "the daemon refused without a reason");
        if (cli->json && ret->json) {
            json_dumpf(ret->json, stdout, JSON_COMPACT);
            putchar('\n');
        }
    }
    if (r == EXIT_DONE)
        buf_str(&ret->text, body);
    else
        json_decref(ret->json);
    buf_finish(&raw);
    return r;
}

int client_look(struct cli *cli)
{
    char *path = find_socket(cli);
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd, r = EXIT_DONE;

    if (!path)
        return EXIT_CONFIG;
    if (strlen(path) < sizeof(to.sun_path)) { /* a longer one is told about when it is used */
        memcpy(to.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
            (errno == ENOENT || errno == ECONNREFUSED))
            r = EXIT_NO_DAEMON;
        close(fd);
    }
    free(path);
    return r;
}

static int call(struct cli *cli, const char *method, const char *target, sl_str body,
                struct answer *ret)
{
    char *path = find_socket(cli);
    struct buf head = { 0 };
    int fd = -1, r;

    *ret = (struct answer){ 0 };
    if (!path)
        return EXIT_CONFIG;
    r = connect_to(cli, path, &fd);
    free(path);
    if (r != EXIT_DONE)
        return r;
    buf_printf(&head,
               "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               method, target, body.len);
    buf_str(&head, body);
    send_all(fd, buf_view(&head));
    buf_finish(&head);
    r = read_answer(cli, fd, ret);
    close(fd);
    return r;
}

int client_get(struct cli *cli, const char *target, struct answer *ret)
{
    return call(cli, "GET", target, STR(""), ret);
}

int client_post(struct cli *cli, const char *target, json_t *body, struct answer *ret)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int r = call(cli, "POST", target, str_of(text), ret);

    free(text);
    json_decref(body);
    return r;
}

void answer_finish(struct answer *a)
{
    buf_finish(&a->text);
    json_decref(a->json);
    a->json = NULL;
}

void answer_print(const struct answer *a)
{
    fwrite(a->text.data, 1, a->text.len, stdout);
    if (a->text.len && a->text.data[a->text.len - 1] != '\n')
        putchar('\n');
}

/* ---- targets ---- */

void target_segment(struct buf *target, const char *name)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    for (; *name; name++)
        if (strchr(plain, *name))
            buf_char(target, *name);
        else
            buf_printf(target, "%%%02X", (unsigned char)*name);
}

void target_param(struct buf *target, const char *name, const char *value)
{
    if (!value)
        return;
    buf_char(target, memchr(target->data, '?', target->len) ? '&' : '?');
    buf_cstr(target, name);
    buf_char(target, '=');
    target_segment(target, value);
}
