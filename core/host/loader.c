#include "host/loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>
#include <uv.h>
#include "base/buf.h"
#include "base/mem.h"

struct loaded {
    UT_hash_handle hh;
    char *name;
    void *library;
    int fd; /* stays open: the dynamic linker knows the library by the descriptor's name, and
               would take the next one opened under the same number for this one */
    sl_plugin table; /* zeroed beyond what the plugin knew */
};

struct plugins {
    char **dirs;
    struct loaded *loaded; /* hash by name */
    char **names;          /* found files; NULL-terminated, made at the first question */
};

struct plugins *plugins_open(char *const *dirs)
{
    struct plugins *p = mem_zero(sizeof(*p));
    size_t n = 0;

    while (dirs && dirs[n])
        n++;
    p->dirs = mem_array(n + 1, sizeof(*p->dirs));
    for (size_t i = 0; i < n; i++)
        p->dirs[i] = mem_str(dirs[i]);
    return p;
}

static void loaded_free(struct loaded *l)
{
#ifndef SLUICE_SANITIZED /* a leak report needs the library's symbols to the end */
    if (l->library)
        dlclose(l->library);
#endif
    close(l->fd);
    free(l->name);
    free(l);
}

void plugins_close(struct plugins *p)
{
    struct loaded *l, *tmp;

    if (!p)
        return;
    HASH_ITER (hh, p->loaded, l, tmp) {
        HASH_DEL(p->loaded, l);
        loaded_free(l);
    }
    for (size_t i = 0; p->dirs[i]; i++)
        free(p->dirs[i]);
    for (size_t i = 0; p->names && p->names[i]; i++)
        free(p->names[i]);
    free(p->names);
    free(p->dirs);
    free(p);
}

/* ---- who could have written it ---- */

static int check_owner(const char *path, const struct stat *st, struct fail *fail)
{
    bool folder = S_ISDIR(st->st_mode);

    if (st->st_uid != 0 && st->st_uid != geteuid())
        return fail_set(fail, UV_EPERM,
                        "%s belongs to uid %u; it must belong to root or to the user Sluice runs "
                        "as (uid %u)",
                        path, st->st_uid, geteuid());
    /* A sticky folder such as /tmp lets others add files, not replace ours. */
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !(folder && st->st_mode & S_ISVTX))
        return fail_set(fail, UV_EPERM,
                        "%s can be written by others (mode %04o); run: chmod go-w %s", path,
                        st->st_mode & 07777, path);
    return 0;
}

/** Every folder from the file's own up to the root. `path` is absolute and real. */
static int check_folders(const char *path, struct fail *fail)
{
    char folder[PATH_MAX];
    struct stat st;

    snprintf(folder, sizeof(folder), "%s", path);
    for (;;) {
        char *slash = strrchr(folder, '/');
        if (!slash)
            return 0;
        slash[slash == folder] = 0;
        if (stat(folder, &st) < 0)
            return fail_set(fail, -errno, "%s: %s", folder, strerror(errno));
        int r = check_owner(folder, &st, fail);
        if (r < 0 || !folder[1])
            return r;
    }
}

static int open_checked(const char *path, struct fail *fail)
{
    char real[PATH_MAX], folder[PATH_MAX];
    struct stat st;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_set(fail, errno == ELOOP ? UV_EPERM : -errno, "%s: %s", path,
                        errno == ELOOP ? "is a symbolic link; put the file itself there"
                                       : strerror(errno));
    int r = 0;
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    const char *base = slash ? slash + 1 : path;
    if (slash)
        *slash = 0;
    if (fstat(fd, &st) < 0)
        r = fail_set(fail, -errno, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        r = fail_set(fail, UV_EPERM, "%s is not a regular file", path);
    else if (!realpath(slash ? folder : ".", real))
        r = fail_set(fail, -errno, "%s: %s", folder, strerror(errno));
    else if ((r = check_owner(path, &st, fail)) == 0) {
        strncat(real, "/", sizeof(real) - strlen(real) - 1);
        strncat(real, base, sizeof(real) - strlen(real) - 1);
        r = check_folders(real, fail);
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

/* ---- is it a plugin we can run ---- */

/** A file that ends before its segments do would be mapped, and reading what is missing would kill
 * the process with SIGBUS. Whatever else is wrong with the file, dlopen() says itself. */
static int check_whole(const char *path, int fd, struct fail *fail)
{
    ElfW(Ehdr) head;
    ElfW(Phdr) part;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail_set(fail, -errno, "%s: %s", path, strerror(errno));
    if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_phentsize != sizeof(part))
        return 0;
    for (size_t i = 0; i < head.e_phnum; i++) {
        uint64_t size = (uint64_t)st.st_size, at = head.e_phoff + i * sizeof(part);
        if (pread(fd, &part, sizeof(part), (off_t)at) != (ssize_t)sizeof(part))
            return 0;
        if (part.p_type != PT_LOAD)
            continue;
        if (part.p_offset > size || part.p_filesz > size - part.p_offset)
            return fail_set(fail, UV_EINVAL, "%s is cut short, at %llu bytes; copy it again", path,
                            (unsigned long long)size);
    }
    return 0;
}

/** The symbol's digit is the ABI's major: find out which one a stranger speaks. */
static int other_major(void *library)
{
    char symbol[32];

    for (int i = 0; i < 100; i++) {
        snprintf(symbol, sizeof(symbol), "sl_plugin_v%d", i);
        if (i != SL_ABI_MAJOR && dlsym(library, symbol))
            return i;
    }
    return -1;
}

static int check_options(const char *path, const char *where, const sl_option *o, struct fail *fail)
{
    for (; o && o->name; o++)
        if (o->type < SL_OPT_STRING || o->type > SL_OPT_POINTER)
            return fail_set(fail, UV_EINVAL,
                            "%s: %s option \"%s\" has type %u, which this ABI does "
                            "not know",
                            path, where, o->name, o->type);
    return 0;
}

#define FIND_MOST 10000

static int check_find(const char *path, const sl_find *f, struct fail *fail)
{
    if (f->size < offsetof(sl_find, ask) + sizeof(f->ask) || !f->ask)
        return fail_set(fail, UV_EINVAL, "%s: `find` has no function `ask`", path);
    if (f->keys < 1 || f->keys > FIND_MOST)
        return fail_set(fail, UV_EINVAL, "%s: `find` takes %u keys at once; 1 to %d are possible",
                        path, f->keys, FIND_MOST);
    return check_options(path, "find", f->params, fail);
}

static int check_table(const char *path, const char *name, const sl_plugin *p, struct fail *fail)
{
    int r = check_options(path, "settings", p->settings, fail);

    if (!p->name || strcmp(p->name, name))
        return fail_set(fail, UV_EINVAL, "%s calls itself \"%s\"; the file's name must be %s.so",
                        path, p->name ? p->name : "", p->name ? p->name : "its name,");
    if (!p->open || !p->close)
        return fail_set(fail, UV_EINVAL, "%s has no %s function; open and close are required", path,
                        p->open ? "close" : "open");
    if (!p->actions != !p->deliver)
        return fail_set(fail, UV_EINVAL, "%s has %s; a destination needs both", path,
                        p->actions ? "actions but no deliver function"
                                   : "a deliver function but no actions");
    if (!p->feeds != !p->poll)
        return fail_set(fail, UV_EINVAL, "%s has %s; a source that is polled needs both", path,
                        p->feeds ? "feeds but no poll function" : "a poll function but no feeds");
    if (!p->verify && !p->deliver && !p->poll)
        return fail_set(fail, UV_EINVAL,
                        "%s can neither take webhooks (verify) nor deliver nor be polled", path);
    for (const sl_feed *d = p->feeds; r == 0 && d && d->name; d++)
        r = check_options(path, d->name, d->params, fail);
    for (const sl_action *a = p->actions; r == 0 && a && a->name; a++)
        r = check_options(path, a->name, a->params, fail);
    if (r == 0 && p->find)
        r = check_find(path, p->find, fail);
    return r;
}

/** What every 0.1 plugin has; later minors only append. */
#define LEAST_SIZE (offsetof(sl_plugin, row_key) + sizeof(((sl_plugin *)0)->row_key))

static int load_table(const char *path, const char *name, void *library, sl_plugin *ret,
                      struct fail *fail)
{
    const sl_plugin *(*entry)(void);

    *(void **)&entry = dlsym(library, "sl_plugin_v0");
    if (!entry) {
        int major = other_major(library);
        if (major >= 0)
            return fail_set(fail, UV_EINVAL,
                            "%s is built for plugin ABI %d, this Sluice speaks %d.%d; rebuild it "
                            "with this version's headers",
                            path, major, SL_ABI_MAJOR, SL_ABI_MINOR);
        return fail_set(fail, UV_EINVAL,
                        "%s is not a Sluice plugin: it does not export "
                        "sl_plugin_v0",
                        path);
    }
    const sl_plugin *p = entry();
    if (!p)
        return fail_set(fail, UV_EINVAL, "%s: sl_plugin_v0() returned no table", path);
    if (p->size < LEAST_SIZE)
        return fail_set(fail, UV_EINVAL,
                        "%s: its table has %u bytes, at least %zu are needed; was `size` set to "
                        "sizeof(sl_plugin)?",
                        path, p->size, LEAST_SIZE);
    if (p->abi_minor > SL_ABI_MINOR)
        return fail_set(fail, UV_EINVAL, "%s needs plugin ABI %d.%u, this Sluice speaks %d.%d",
                        path, SL_ABI_MAJOR, p->abi_minor, SL_ABI_MAJOR, SL_ABI_MINOR);
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, p, p->size < sizeof(*ret) ? p->size : sizeof(*ret));
    return check_table(path, name, ret, fail);
}

static int load_file(const char *path, const char *name, struct loaded **ret, struct fail *fail)
{
    char by_fd[64];
    int fd = open_checked(path, fail);

    if (fd < 0)
        return fd;
    int r = check_whole(path, fd, fail);
    if (r < 0) {
        close(fd);
        return r;
    }
    struct loaded *l = mem_zero(sizeof(*l));
    l->name = mem_str(name);
    l->fd = fd;
    /* By descriptor: what was checked is what is loaded, whatever happens to the name. */
    snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
    l->library = dlopen(by_fd, RTLD_NOW | RTLD_LOCAL);
    if (!l->library) {
        const char *why = dlerror();
        const char *colon = why ? strstr(why, ": ") : NULL;
        r = fail_set(fail, UV_EINVAL, "%s cannot be loaded: %s", path,
                     colon ? colon + 2 : "unknown error");
    } else {
        r = load_table(path, name, l->library, &l->table, fail);
    }
    if (r < 0) {
        loaded_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

/* ---- by name ---- */

static bool name_valid(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n > 0 && n < 64 && !name[n];
}

const sl_plugin *plugins_find(struct plugins *p, const char *name, struct fail *fail)
{
    struct loaded *l;
    struct buf tried = { 0 };

    HASH_FIND_STR(p->loaded, name, l);
    if (l)
        return &l->table;
    if (!name_valid(name)) {
        fail_set(fail, UV_EINVAL, "\"%s\" is no adapter's name: [a-z0-9-]", name);
        return NULL;
    }
    for (size_t i = 0; p->dirs[i]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s.so", p->dirs[i], name);
        buf_printf(&tried, "%s%s", i ? ", " : "", p->dirs[i]);
        if (access(path, F_OK) < 0)
            continue;
        buf_finish(&tried);
        if (load_file(path, name, &l, fail) < 0)
            return NULL;
        HASH_ADD_KEYPTR(hh, p->loaded, l->name, strlen(l->name), l);
        return &l->table;
    }
    fail_set(fail, UV_ENOENT, "there is no %s.so in %s", name,
             tried.len ? tried.data : "any folder (plugins: is empty)");
    buf_finish(&tried);
    return NULL;
}

static void list_names(struct plugins *p)
{
    size_t n = 0;

    p->names = mem_array(1, sizeof(*p->names));
    for (size_t i = 0; p->dirs[i]; i++) {
        DIR *d = opendir(p->dirs[i]);
        struct dirent *e;
        while (d && (e = readdir(d))) {
            size_t len = strlen(e->d_name);
            if (len < 4 || strcmp(e->d_name + len - 3, ".so"))
                continue;
            p->names = mem_grow(p->names, (n + 2) * sizeof(*p->names));
            p->names[n++] = mem_dup((sl_str){ e->d_name, len - 3 });
            p->names[n] = NULL;
        }
        if (d)
            closedir(d);
    }
}

const char *plugins_name(struct plugins *p, size_t index)
{
    if (!p->names)
        list_names(p);
    for (size_t i = 0; i <= index; i++)
        if (!p->names[i])
            return NULL;
    return p->names[index];
}
