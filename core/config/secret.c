/*
 * secret.c - reading of secrets and of the files a configuration names.
 */
#include "config/values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"

#define SECRET_MAX (64 * 1024)

/* ---- files ---- */

/* One byte more than `max` is asked for, to tell "just fits" from "too large". */
static int read_all(int fd, char *data, size_t max, size_t *ret_len)
{
    size_t len = 0;

    while (len <= max) {
        ssize_t n = read(fd, data + len, max + 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return uv_translate_sys_error(errno);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return len > max ? UV_EFBIG : 0;
}

static int read_fd(int fd, const char *path, size_t max, struct text *ret, struct fail *fail)
{
    char *data = mem_array(max + 2, 1);
    size_t len = 0;
    int r = read_all(fd, data, max, &len);

    if (r == 0) {
        data[len] = '\0';
        ret->data = mem_dup((sl_str){ .ptr = data, .len = len });
        ret->len = len;
    } else if (r == UV_EFBIG) {
        fail_set(fail, r, "\"%s\" is larger than %zu KiB", path, max / 1024);
    } else {
        fail_set(fail, r, "cannot read \"%s\": %s", path, uv_strerror(r));
    }
    explicit_bzero(data, max + 2);
    free(data);
    return r;
}

int file_read(const char *path, size_t max, struct text *ret, struct fail *fail)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r;

    if (fd < 0) {
        r = uv_translate_sys_error(errno);
        return fail_set(fail, r, "cannot read \"%s\": %s", path, uv_strerror(r));
    }
    r = read_fd(fd, path, max, ret, fail);
    close(fd);
    return r;
}

/* `guarded`: nobody but the owner may have any right on it. */
static int secret_file(const char *path, bool guarded, struct text *ret, struct fail *fail)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a fifo must not hang us */
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0) {
        r = fail_set(fail, uv_translate_sys_error(errno), "cannot read \"%s\": %s", path,
                     uv_strerror(uv_translate_sys_error(errno)));
    } else if (!S_ISREG(st.st_mode)) {
        r = fail_set(fail, UV_EINVAL, "\"%s\" is not a regular file", path);
    } else if (guarded && (st.st_mode & 077)) {
        r = fail_set(fail, UV_EACCES,
                     "the secret in \"%s\" is open to other users (mode %04o); run: chmod 600 %s",
                     path, (unsigned)(st.st_mode & 07777), path);
    } else {
        r = read_fd(fd, path, SECRET_MAX, ret, fail);
    }
    if (fd >= 0)
        close(fd);
    if (r == 0 && ret->len > 0 && ret->data[ret->len - 1] == '\n')
        ret->data[--ret->len] = '\0';
    if (r == 0 && ret->len > 0 && ret->data[ret->len - 1] == '\r')
        ret->data[--ret->len] = '\0';
    if (r == 0 && ret->len == 0) {
        text_wipe(ret);
        r = fail_set(fail, UV_EINVAL, "the secret in \"%s\" is empty", path);
    }
    return r;
}

/* ---- where a secret comes from ---- */

static int from_env(struct reader *rd, sl_str name, struct text *ret, struct fail *fail)
{
    const char *value = rd->env->skip_secrets ? NULL : getenv(name.ptr);

    if (rd->env->skip_secrets)
        return 0;
    if (!value)
        return fail_set(fail, UV_ENOENT,
                        "the environment variable \"%s\" is not set; set it, or take the secret "
                        "from { file: PATH }",
                        name.ptr);
    if (!*value)
        return fail_set(fail, UV_EINVAL, "the environment variable \"%s\" is empty", name.ptr);
    *ret = (struct text){ .data = mem_str(value), .len = strlen(value) };
    return 0;
}

static int from_file(struct reader *rd, sl_str name, struct text *ret, struct fail *fail)
{
    char *path;
    int r;

    if (rd->env->skip_secrets)
        return 0;
    path = reader_path(rd, name);
    r = secret_file(path, true, ret, fail);
    free(path);
    return r;
}

/* systemd's LoadCredential=: a folder that only the service may enter guards it. */
static int from_credential(struct reader *rd, sl_str name, struct text *ret, struct fail *fail)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    struct buf path = { 0 };
    int r;

    if (strchr(name.ptr, '/') || name.ptr[0] == '.')
        return fail_set(fail, UV_EINVAL, "a credential is named without a path, found \"%s\"",
                        name.ptr);
    if (rd->env->skip_secrets)
        return 0;
    if (!folder || !*folder)
        return fail_set(fail, UV_ENOENT,
                        "no credentials here: $CREDENTIALS_DIRECTORY is not set; start the service "
                        "by systemd with LoadCredential=%s:PATH",
                        name.ptr);
    buf_printf(&path, "%s/%s", folder, name.ptr);
    r = path.failed ? UV_ENOMEM : secret_file(path.data, false, ret, fail);
    buf_finish(&path);
    return r;
}

#define FORMS "{ env: NAME }, { file: PATH } or { credential: NAME }"

bool secret_read(struct reader *rd, const char *name, const struct yaml_node *node,
                 struct text *ret)
{
    static const struct {
        const char *key;
        int (*read)(struct reader *rd, sl_str name, struct text *ret, struct fail *fail);
    } ways[] = { { "env", from_env }, { "file", from_file }, { "credential", from_credential } };
    struct nearest near;
    struct fail fail = { 0 };
    char found[96];

    if (node->kind != YAML_MAP || node->n != 1) {
        report_hide(&rd->report, node->start, node->end);
        report_node(rd, node, "\"%s\" wants a secret as " FORMS ", found %s", name,
                    node->kind == YAML_TEXT   ? "a text; a secret does not stand in this file"
                    : node->kind == YAML_MAP  ? "a mapping of another form"
                    : node->kind == YAML_LIST ? "a list"
                                              : "nothing");
        return false;
    }
    near = (struct nearest){ .given = node->items[0].key };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const struct yaml_node *value = node->items[0].value;

        nearest_offer(&near, str_of(ways[i].key));
        if (!str_eq(node->items[0].key, str_of(ways[i].key)))
            continue;
        if (value->kind != YAML_TEXT || value->text.len == 0) {
            yaml_describe(value, found);
            report_node(rd, value, "\"%s\": \"%s\" wants a name, found %s", name, ways[i].key,
                        value->kind == YAML_TEXT ? "an empty text" : found);
            return false;
        }
        if (ways[i].read(rd, value->text, ret, &fail) == 0)
            return true;
        report_node(rd, value, "\"%s\": %s", name, fail.text);
        return false;
    }
    report_hide(&rd->report, node->items[0].value->start, node->items[0].value->end);
    report_node(rd, &node->items[0], "\"%s\" wants a secret as " FORMS ", found the key %s%s", name,
                report_quote(node->items[0].key, found),
                near.name.len ? "; a letter is wrong" : "");
    return false;
}
