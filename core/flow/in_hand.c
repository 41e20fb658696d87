#include "flow/in_hand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "base/digest.h"

#define MAGIC        0x314448534c53554cull
#define NOTED_MOST   1024
#define SUSPECT_MOST 1024

struct noted {
    uint64_t num;
    uint32_t what; /* enum in_hand_what */
    uint32_t ends; /* of a suspect */
};

/* The file, in the machine's own byte order: it never leaves the machine. */
struct marker {
    uint64_t magic;
    uint32_t n_noted, n_suspects;
    struct noted noted[NOTED_MOST], suspects[SUSPECT_MOST];
};

struct in_hand {
    struct marker *m;
    size_t beyond; /* taken and not noted: the list was full */
};

static struct noted *suspect(const struct marker *m, uint32_t what, uint64_t num)
{
    for (uint32_t i = 0; i < m->n_suspects; i++)
        if (m->suspects[i].num == num && m->suspects[i].what == what)
            return (struct noted *)&m->suspects[i];
    return NULL;
}

static void acquit(struct marker *m, struct noted *s)
{
    *s = m->suspects[--m->n_suspects];
}

/* What was in hand is suspect once more; what was suspect and is not in hand stays as it was: its
 * turn has not come yet. */
static void count_ends(struct marker *m)
{
    for (uint32_t i = 0; i < m->n_noted; i++) {
        const struct noted *n = &m->noted[i];
        struct noted *s = suspect(m, n->what, n->num);

        if (!s && m->n_suspects < SUSPECT_MOST) {
            s = &m->suspects[m->n_suspects++];
            *s = (struct noted){ .num = n->num, .what = n->what };
        }
        if (s)
            s->ends++;
    }
    m->n_noted = 0;
}

static int map_file(struct in_hand *h, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), r;
    struct stat st;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    /* blocks at once: a full disk must be an error here, not a SIGBUS later */
    r = fstat(fd, &st) < 0                    ? errno
        : st.st_size == sizeof(struct marker) ? 0
        : ftruncate(fd, 0) < 0                ? errno
                                              : 0;
    if (r == 0)
        r = posix_fallocate(fd, 0, sizeof(struct marker));
    if (r == 0) {
        h->m = mmap(NULL, sizeof(struct marker), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        r = h->m == MAP_FAILED ? errno : 0;
    }
    close(fd);
    return r ? uv_translate_sys_error(r) : 0;
}

int in_hand_open(struct in_hand **ret, const char *dir, struct fail *fail)
{
    struct in_hand *h = calloc(1, sizeof(*h));
    char path[4096];
    int r;

    if (!h)
        return fail_set(fail, UV_ENOMEM, "no memory");
    snprintf(path, sizeof(path), "%s/in-hand", dir);
    if ((r = map_file(h, path)) < 0) {
        free(h);
        return fail_set(fail, r, "%s: %s", path, uv_strerror(r));
    }
    if (h->m->magic != MAGIC || h->m->n_noted > NOTED_MOST || h->m->n_suspects > SUSPECT_MOST)
        memset(h->m, 0, sizeof(*h->m));
    h->m->magic = MAGIC;
    count_ends(h->m);
    *ret = h;
    return 0;
}

void in_hand_close(struct in_hand *h)
{
    if (!h)
        return;
    munmap(h->m, sizeof(*h->m));
    free(h);
}

void in_hand_take(struct in_hand *h, enum in_hand_what what, const uint64_t *nums, size_t n)
{
    for (size_t i = 0; h && i < n; i++) {
        if (h->m->n_noted == NOTED_MOST)
            h->beyond += what != IN_HAND_FEED; /* that one ends by its name */
        else
            h->m->noted[h->m->n_noted++] = (struct noted){ .num = nums[i], .what = what };
    }
}

void in_hand_drop(struct in_hand *h, size_t n)
{
    if (!h)
        return;
    for (; n > 0 && h->beyond > 0; n--)
        h->beyond--;
    for (; n > 0 && h->m->n_noted > 0; n--) {
        const struct noted *went_well = &h->m->noted[h->m->n_noted - 1];
        struct noted *s = suspect(h->m, went_well->what, went_well->num);

        if (s)
            acquit(h->m, s);
        h->m->n_noted--;
    }
}

void in_hand_end(struct in_hand *h, enum in_hand_what what, uint64_t num)
{
    struct marker *m = h ? h->m : NULL;

    in_hand_forget(h, what, num);
    for (uint32_t i = 0; m && i < m->n_noted; i++) {
        if (m->noted[i].num != num || m->noted[i].what != what)
            continue;
        m->n_noted--;
        memmove(&m->noted[i], &m->noted[i + 1], (m->n_noted - i) * sizeof(m->noted[0]));
        return;
    }
}

uint64_t in_hand_num(sl_str name)
{
    uint8_t full[DIGEST_SHA256];
    uint64_t num;

    digest_parts(&name, 1, full);
    memcpy(&num, full, sizeof(num));
    return num;
}

unsigned in_hand_ends(const struct in_hand *h, enum in_hand_what what, uint64_t num)
{
    const struct noted *s = h ? suspect(h->m, what, num) : NULL;

    return s ? s->ends : 0;
}

void in_hand_forget(struct in_hand *h, enum in_hand_what what, uint64_t num)
{
    struct noted *s = h ? suspect(h->m, what, num) : NULL;

    if (s)
        acquit(h->m, s);
}
