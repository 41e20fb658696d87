/*
 * fuzz_config.c - a configuration file of any bytes: loaded, or refused with mistakes that can be
 * printed; every handle is unbound again, and memory stays bounded (-rss_limit_mb).
 *
 * The file is one in memory, read through /proc/self/fd. What it names is only read.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../unit/config/fake.h"

#define PRINTED_MAX (1 << 20)

static int fd;
static char path[32];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int empty = open("/dev/null", O_RDONLY);

    (void)argc, (void)argv;
    PROMISE(empty >= 0 && dup2(empty, STDIN_FILENO) == STDIN_FILENO, "{ file: /dev/stdin }");
    fd = memfd_create("fuzz.yaml", 0);
    PROMISE(fd >= 0, "memfd_create");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    setenv("SECRET", "hush", 1);
    return 0;
}

static void check_refused(const struct config_errors *errors)
{
    struct buf out = { 0 };

    PROMISE(errors->n > 0, "no reason");
    for (size_t i = 0; i < errors->n; i++)
        PROMISE(errors->list[i].text && errors->list[i].text[0], "mistake %zu", i);
    config_errors_print(&out, errors);
    PROMISE(out.len > 0 && out.len < PRINTED_MAX, "%zu bytes to print", out.len);
    buf_finish(&out);
}

/* The lenient looks at one key: the rest of the file may be wrong. */
static void check_looks(void)
{
    struct config_errors errors;
    char **dirs = NULL, *socket = NULL;

    if (config_plugin_dirs(path, &dirs, &errors) < 0)
        check_refused(&errors);
    config_errors_finish(&errors);
    for (size_t i = 0; dirs && dirs[i]; i++)
        free(dirs[i]);
    free(dirs);
    if (config_admin_socket(path, &socket, &errors) < 0)
        check_refused(&errors);
    else
        PROMISE(socket && socket[0], "no socket");
    config_errors_finish(&errors);
    free(socket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors;
    struct config *c = NULL;
    struct config_env env = fake_env;

    env.skip_secrets = size > 0 && data[size - 1] == '#'; /* a comment's beginning: no matter */
    PROMISE(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "write");
    if (config_load(path, &env, &c, &errors) == 0) {
        PROMISE(errors.n == 0 && c->listen && c->store_path, "half a configuration");
        for (size_t i = 0; i < c->n_routes; i++)
            PROMISE(c->routes[i].n_targets > 0, "route %zu leads nowhere", i);
        config_destroy(c);
    } else {
        PROMISE(!c, "refused, but given");
        check_refused(&errors);
    }
    config_errors_finish(&errors);
    if (size % 4 == 0) /* each reads the file again, which is what takes long here */
        check_looks();
    PROMISE(fake_bound == 0, "%d handles still bound", fake_bound);
    return 0;
}
