/*
 * restart.c - which keys a running daemon cannot take over: what is bound, opened or started once.
 */
#include <string.h>
#include "config/config.h"

static bool same(const char *a, const char *b)
{
    return str_eq(str_of(a), str_of(b));
}

static bool same_dirs(const struct config *a, const struct config *b)
{
    if (a->n_plugin_dirs != b->n_plugin_dirs)
        return false;
    for (size_t i = 0; i < a->n_plugin_dirs; i++)
        if (!same(a->plugin_dirs[i], b->plugin_dirs[i]))
            return false;
    return true;
}

size_t config_restart_keys(const struct config *a, const struct config *b,
                           const char *ret[CONFIG_RESTART_KEYS])
{
    const struct {
        const char *key;
        bool same;
    } keys[CONFIG_RESTART_KEYS] = {
        { "listen", same(a->listen, b->listen) },
        { "intake.mode", a->unix_mode == b->unix_mode },
        { "admin.listen", same(a->admin_listen, b->admin_listen) },
        { "admin.socket", same(a->admin_socket, b->admin_socket) },
        { "store.path", same(a->store_path, b->store_path) },
        { "store.queue", a->store_queue == b->store_queue },
        { "store.disk_reserve", a->disk_reserve == b->disk_reserve },
        { "store.keep", a->keep_ms == b->keep_ms },
        { "plugins", same_dirs(a, b) },
        { "workers.count", a->workers == b->workers },
        { "workers.deadline", a->worker_deadline_ms == b->worker_deadline_ms },
        { "workers.memory", a->worker_memory == b->worker_memory },
        { "workers.output", a->worker_output == b->worker_output },
    };
    size_t n = 0;

    for (size_t i = 0; i < CONFIG_RESTART_KEYS; i++)
        if (!keys[i].same)
            ret[n++] = keys[i].key;
    return n;
}
