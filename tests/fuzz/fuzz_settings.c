/*
 * fuzz_settings.c - an adapter's settings and its action's parameters as a configuration file gives
 * them: taken by the checker, the adapter's check() and bind(), or refused with mistakes that can
 * be printed. Built once for each shipped adapter.
 *
 * Input: lines of the endpoint, a line "--", then what stands in the route's target.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/buf.h"
#include "config/config.h"

static const sl_plugin *plugin;
static int fd;
static char path[32];

static const sl_plugin *adapter(void *ctx, const char *name, struct fail *fail)
{
    (void)ctx;
    if (strcmp(name, plugin->name) == 0)
        return plugin;
    fail_set(fail, -2, "no such adapter");
    return NULL;
}

static const char *adapter_name(void *ctx, size_t index)
{
    (void)ctx;
    return index == 0 ? plugin->name : NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int empty = open("/dev/null", O_RDONLY);

    (void)argc, (void)argv;
    PROMISE(empty >= 0 && dup2(empty, STDIN_FILENO) == STDIN_FILENO, "{ file: /dev/stdin }");
    plugin = sl_plugin_v0();
    fd = memfd_create("fuzz.yaml", 0);
    PROMISE(fd >= 0, "memfd_create");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    setenv("SECRET", "hush", 1);
    return 0;
}

/* Each line of `text`, moved in. */
static void put_lines(struct buf *b, sl_str text, const char *indent)
{
    while (text.len > 0) {
        const char *nl = memchr(text.ptr, '\n', text.len);
        size_t len = nl ? (size_t)(nl - text.ptr) : text.len, step = len + (nl != NULL);

        buf_cstr(b, indent);
        buf_str(b, (sl_str){ text.ptr, len });
        buf_cstr(b, "\n");
        text = (sl_str){ text.ptr + step, text.len - step };
    }
}

static void write_file(sl_str text)
{
    const char *gap = text.len ? memmem(text.ptr, text.len, "\n--\n", 4) : NULL;
    sl_str endpoint = { text.ptr, gap ? (size_t)(gap - text.ptr) : text.len };
    sl_str target = gap ? (sl_str){ gap + 4, text.len - endpoint.len - 4 } : STR("");
    struct buf b = { 0 };

    buf_printf(&b, "store: { path: s }\nendpoints:\n  x:\n    adapter: %s\n", plugin->name);
    put_lines(&b, endpoint, "    ");
    buf_cstr(&b, "routes:\n  - name: r\n    from: { endpoint: x, topic: \"*\" }\n    to:\n");
    if (plugin->actions)
        buf_printf(&b, "      endpoint: x\n      action: %s\n", plugin->actions[0].name);
    else
        buf_cstr(&b, "      hold: later\n");
    put_lines(&b, target, "      ");
    PROMISE(ftruncate(fd, 0) == 0 && pwrite(fd, b.data, b.len, 0) == (ssize_t)b.len, "write");
    buf_finish(&b);
}

static void check_refused(const struct config_errors *errors, sl_str file)
{
    struct buf out = { 0 };

    PROMISE(errors->n > 0, "no reason");
    for (size_t i = 0; i < errors->n; i++)
        PROMISE(errors->list[i].text && errors->list[i].text[0], "mistake %zu", i);
    config_errors_print(&out, errors);
    PROMISE(out.len > 0, "nothing is printed");
    if (!memmem(file.ptr, file.len, "hush", 4)) /* libFuzzer sees what is compared, and writes it */
        PROMISE(!memmem(out.data, out.len, "hush", 4), "a secret is printed");
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_env env = { .adapter = adapter, .adapter_name = adapter_name };
    sl_str file = size ? whole(data, size) : STR("");
    struct config_errors errors;
    struct config *c = NULL;

    write_file(file);
    if (config_load(path, &env, &c, &errors) == 0) {
        PROMISE(errors.n == 0 && c->n_endpoints >= 1 && c->endpoints[0].settings, "no settings");
        config_destroy(c);
    } else {
        PROMISE(!c, "refused, but given");
        check_refused(&errors, file);
    }
    config_errors_finish(&errors);
    return 0;
}
