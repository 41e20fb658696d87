/*
 * fuzz_keyrun.c - a run of duplicate keys whose file was changed here and there: it is refused, or
 * each look-up gives what is true, or says that it cannot. A key is never made up, and none is lost
 * without a word.
 *
 * Input: two bytes for the number of keys, a byte for how alike they are, then changes: three bytes
 * for a place, one for the bits that turn over. A place behind the end cuts the file there instead.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>
#include "store/disk.h"
#include "store/keyrun.h"

#define MOST 1000

/* One file in memory stands for whatever is opened. */
static int file;
static struct disk memory;

static int open_memory(const char *path, int flags)
{
    (void)path;
    if (flags & O_TRUNC)
        PROMISE(ftruncate(file, 0) == 0, "truncate");
    return dup(file);
}

static int nothing(int fd)
{
    (void)fd;
    return 0;
}

static int nothing_at(const char *path)
{
    (void)path;
    return 0;
}

static int no_rename(const char *from, const char *to)
{
    (void)from, (void)to;
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    file = memfd_create("run", 0);
    PROMISE(file >= 0, "memfd");
    memory = disk_system;
    memory.open = open_memory;
    memory.sync = nothing;
    memory.sync_dir = memory.remove = nothing_at;
    memory.rename = no_rename;
    store_disk = &memory;
    return 0;
}

/* The i-th key, rising by hash. `alike`: so many first bytes are the same in all. */
static void make_entry(size_t i, uint8_t alike, struct key_entry *ret)
{
    memset(ret, 0, sizeof(*ret));
    memset(ret->hash, 0x40, alike % 13);
    ret->hash[alike % 13] = (uint8_t)(i >> 8);
    ret->hash[alike % 13 + 1] = (uint8_t)i;
    ret->hash[15] = 1;
    ret->seq = i + 1;
    ret->value = i * 3;
}

static void make_run(size_t n, uint8_t alike)
{
    struct keyrun_writer *w;
    struct keyrun *run;

    PROMISE(keyrun_begin(&w, "d", 3, 5, n) == 0, "begin");
    for (size_t i = 0; i < n; i++) {
        struct key_entry e;

        make_entry(i, alike, &e);
        PROMISE(keyrun_add(w, &e) == 0, "add");
    }
    PROMISE(keyrun_finish(w, &run) == 0, "finish");
    keyrun_abandon(w);
    keyrun_close(run);
}

/* Was anything changed? */
static bool damage(struct input *in)
{
    bool changed = false;

    while (in->end - in->p >= 4) {
        off_t at = take_u8(in), end = lseek(file, 0, SEEK_END);
        uint8_t b;

        at |= take_u8(in) << 8;
        at |= take_u8(in) << 16;
        if (at < end) {
            PROMISE(pread(file, &b, 1, at) == 1, "read");
            b ^= *in->p;
            changed |= *in->p != 0;
            PROMISE(pwrite(file, &b, 1, at) == 1, "write");
        } else if (end > 0) {
            PROMISE(ftruncate(file, at % end) == 0, "cut");
            changed = true;
        }
        in->p++;
    }
    return changed;
}

/* keyrun_find() does not ask the filter, its callers do; neither may lose a key. */
static void look_up(struct keyrun *run, size_t i, uint8_t alike, bool there, bool changed)
{
    struct key_entry asked, got;
    uint8_t page[KEYRUN_PAGE];
    uint64_t reads = 0;
    int r;

    make_entry(i, alike, &asked);
    if (!there)
        asked.hash[15] = 2;
    r = keyrun_find(run, asked.hash, page, &got, &reads);
    if (r == UV_EILSEQ && changed)
        return;
    PROMISE(r == there, "key %zu: %d", i, r);
    if (there)
        PROMISE(memcmp(&asked, &got, sizeof(got)) == 0, "key %zu is another", i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    size_t n = take_u8(&in);
    struct keyrun *run;
    uint8_t alike;
    bool changed;
    int r;

    n = 1 + (n | (size_t)take_u8(&in) << 8) % MOST;
    alike = take_u8(&in);
    make_run(n, alike);
    changed = damage(&in);
    r = keyrun_open(&run, "d", 3, 5);
    PROMISE(r == 0 || (changed && (r == UV_EILSEQ || r == UV_EOF || r == UV_ENOTSUP)), "%s",
            uv_err_name(r));
    if (r < 0)
        return 0;
    for (size_t i = 0; i < n; i += 1 + n / 50) {
        look_up(run, i, alike, true, changed);
        look_up(run, i, alike, false, changed);
    }
    keyrun_close(run);
    return 0;
}
