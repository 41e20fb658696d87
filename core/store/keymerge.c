/*
 * keymerge.c - neighbouring runs into one, a part at a time.
 *
 * A run of level n covers about 8^n segments; eight neighbours of a level become one of the next.
 * So a key is written once for each level, and no level has more than seven runs that wait. A run
 * goes with the newest of its segments: none grows beyond 64 of them, or a quarter of the log.
 */
#include <stdlib.h>
#include <string.h>
#include "store/keys_int.h"

#define INPUT_PAGES  16u
#define STEP_ENTRIES (64u << 10)
#define SPAN_ALWAYS  64u
#define SPAN_PART    4u

/* ---- which ---- */

static unsigned level_of(const struct keyrun *run)
{
    uint64_t span = (uint64_t)run->last - run->first + 1;
    unsigned level = 0;

    for (; span >= KEYS_FAN; span /= KEYS_FAN)
        level++;
    return level;
}

/* Neighbours of the same level from i on, at most KEYS_FAN. */
static size_t row_from(const struct keys *k, size_t i)
{
    size_t n = 0;

    for (; i + n < k->n_runs && n < KEYS_FAN; n++) {
        const struct keyrun *run = k->runs[i + n].run;

        if (atomic_load_explicit(&run->bad, memory_order_relaxed) ||
            level_of(run) != level_of(k->runs[i].run) ||
            (n && k->runs[i + n - 1].run->last + 1 != run->first))
            break;
    }
    return n;
}

/* They stand before a larger run, so no more of their kind will come. */
static bool left_behind(const struct keys *k, size_t i, size_t n)
{
    unsigned level = level_of(k->runs[i].run);

    if (n < 2)
        return false;
    for (size_t j = i + n; j < k->n_runs; j++)
        if (level_of(k->runs[j].run) > level)
            return true;
    return false;
}

/* A run goes with its newest segment: a wide one must be a small part of the log. */
static bool too_wide(const struct keys *k, size_t i, size_t n)
{
    uint64_t kept = (uint64_t)k->newest_sealed - k->first + 1;
    uint64_t span = (uint64_t)k->runs[i + n - 1].run->last - k->runs[i].run->first + 1;

    return span > SPAN_ALWAYS && span > kept / SPAN_PART;
}

static bool pick(const struct keys *k, bool behind, size_t *ret_i, size_t *ret_n)
{
    for (size_t i = 0; i < k->n_runs; i++) {
        size_t n = row_from(k, i);

        if ((n == KEYS_FAN || (behind && left_behind(k, i, n))) && !too_wide(k, i, n)) {
            *ret_i = i;
            *ret_n = n;
            return true;
        }
    }
    return false;
}

bool keymerge_pick(const struct keys *k, size_t *ret_i, size_t *ret_n)
{
    return pick(k, false, ret_i, ret_n) || pick(k, true, ret_i, ret_n);
}

/* ---- how ---- */

struct input {
    struct keyrun *run;
    uint64_t page;          /* the next to be read */
    uint8_t *buf;           /* INPUT_PAGES pages */
    size_t i_page, n_pages; /* in buf */
    size_t i, n;            /* in the page */
    struct key_entry now;
};

struct keymerge {
    struct keyrun_writer *w;
    struct input in[KEYS_FAN]; /* older first */
    size_t n;
    uint8_t last[16]; /* written */
    bool any;
    uint8_t *bufs;
};

/* 1: in->now is the next; 0: none is left; or a code. */
static int next_entry(struct input *in)
{
    if (in->i == in->n) {
        int r;

        if (in->i_page == in->n_pages) {
            uint64_t left = in->run->n_pages - in->page;
            size_t n = left < INPUT_PAGES ? (size_t)left : INPUT_PAGES;

            if (n == 0)
                return 0;
            if ((r = keyrun_read(in->run, in->page, n, in->buf)) < 0)
                return r;
            in->i_page = 0;
            in->n_pages = n;
        }
        r = keyrun_check_page(in->run, in->page, in->buf + in->i_page * KEYRUN_PAGE);
        if (r < 0)
            return r;
        in->page++;
        in->i_page++;
        in->i = 0;
        in->n = (size_t)r;
    }
    keyrun_entry(in->buf + (in->i_page - 1) * KEYRUN_PAGE, in->i++, &in->now);
    return 1;
}

/* The input's next, or it leaves. */
static int advance(struct keymerge *m, size_t i)
{
    int r = next_entry(&m->in[i]);

    if (r < 0)
        atomic_store_explicit(&m->in[i].run->bad, true, memory_order_relaxed);
    if (r == 0) {
        m->n--;
        memmove(&m->in[i], &m->in[i + 1], (m->n - i) * sizeof(m->in[0]));
    }
    return r;
}

int keymerge_begin(struct keymerge **ret, const char *dir, struct keyrun *const *runs, size_t n)
{
    struct keymerge *m = calloc(1, sizeof(*m));
    uint64_t most = 0;
    int r = UV_ENOMEM;

    if (!m)
        return r;
    m->bufs = malloc(n * INPUT_PAGES * KEYRUN_PAGE);
    if (!m->bufs)
        goto out;
    for (size_t i = 0; i < n; i++) {
        m->in[i] = (struct input){ .run = runs[i], .buf = m->bufs + i * INPUT_PAGES * KEYRUN_PAGE };
        most += runs[i]->n;
    }
    m->n = n;
    if ((r = keyrun_begin(&m->w, dir, runs[0]->first, runs[n - 1]->last, most)) < 0)
        goto out;
    for (size_t i = n; i-- > 0;)
        if ((r = advance(m, i)) < 0)
            goto out;
    *ret = m;
    return 0;
out:
    keymerge_end(m);
    return r;
}

/* Which input stands lowest; of equals the newest, and it is the one that counts. */
static size_t lowest(const struct keymerge *m)
{
    size_t at = m->n - 1;

    for (size_t i = m->n - 1; i-- > 0;)
        if (memcmp(m->in[i].now.hash, m->in[at].now.hash, 16) < 0)
            at = i;
    return at;
}

int keymerge_step(struct keymerge *m, struct keyrun **ret)
{
    for (unsigned done = 0; m->n && done < STEP_ENTRIES; done++) {
        size_t i = lowest(m);
        const struct key_entry *e = &m->in[i].now;
        int r;

        if (!m->any || memcmp(e->hash, m->last, 16) != 0) {
            if ((r = keyrun_add(m->w, e)) < 0)
                return r;
            memcpy(m->last, e->hash, 16);
            m->any = true;
        }
        if ((r = advance(m, i)) < 0)
            return r;
    }
    return m->n ? 1 : keyrun_finish(m->w, ret);
}

void keymerge_end(struct keymerge *m)
{
    if (!m)
        return;
    keyrun_abandon(m->w);
    free(m->bufs);
    free(m);
}
