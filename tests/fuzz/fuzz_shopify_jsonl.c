/*
 * fuzz_shopify_jsonl.c - the file of a bulk operation, whatever it holds: cut anywhere it gives the
 * same roots or the same complaint as in one piece, and from each root's place the same rest.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "bulk/jsonl.h"

#define MOST 64

static const struct jsonl_child table[] = {
    { NULL, "L", "lines" }, { NULL, "N", "notes" }, { "L", "T", "taxes" }, { 0 }
};

struct seen {
    size_t n;
    int bad;
    int64_t offsets[MOST];
    char *roots[MOST];
};

static int take(struct jsonl *j, struct seen *s)
{
    json_t *root = NULL;
    enum jsonl_next next;

    while ((next = jsonl_next(j, &root)) == JSONL_ROOT) {
        if (s->n < MOST) {
            s->offsets[s->n] = j->offset;
            s->roots[s->n] = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
        }
        s->n++;
        PROMISE(json_is_object(root), "%zu", s->n);
        PROMISE(!json_object_get(root, "__parentId"), "%zu", s->n);
        json_decref(root);
    }
    PROMISE((next == JSONL_BAD) == (j->why[0] != '\0'), "%d: %s", (int)next, j->why);
    return next;
}

static void forget(struct seen *s)
{
    for (size_t i = 0; i < s->n && i < MOST; i++)
        free(s->roots[i]);
}

static struct seen read_from(const char *p, size_t n, int64_t from, size_t cut)
{
    struct jsonl j = { .table = table, .offset = from, .line_at = from };
    struct seen s = { 0 };
    int next = JSONL_MORE;
    size_t at = (size_t)from;

    while (at < n && next == JSONL_MORE) {
        size_t some = cut && cut < n - at ? cut : n - at;

        PROMISE(jsonl_add(&j, p + at, some) == 0, "%s", j.why);
        at += some;
        next = take(&j, &s);
    }
    if (next == JSONL_MORE) {
        jsonl_end(&j);
        next = take(&j, &s);
        PROMISE(next != JSONL_MORE, "%zu", n);
    }
    s.bad = next == JSONL_BAD;
    PROMISE(s.bad || j.offset <= (int64_t)n, "%zu", n);
    jsonl_finish(&j);
    return s;
}

static void same(const struct seen *all, const struct seen *part, size_t first)
{
    PROMISE(part->bad == all->bad && part->n + first == all->n, "%zu of %zu", part->n, all->n);
    for (size_t i = first; i < all->n && i < MOST; i++) {
        PROMISE(strcmp(all->roots[i], part->roots[i - first]) == 0, "%s", all->roots[i]);
        PROMISE(all->offsets[i] == part->offsets[i - first], "%zu", i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data + 1;
    struct seen all, part;

    if (size < 1)
        return 0;
    all = read_from(p, size - 1, 0, 0);
    part = read_from(p, size - 1, 0, data[0] % 64 + 1u);
    same(&all, &part, 0);
    forget(&part);
    if (all.n > 0 && all.n <= MOST) {
        size_t k = data[0] % all.n;

        part = read_from(p, size - 1, all.offsets[k], 0);
        same(&all, &part, k + 1);
        forget(&part);
    }
    forget(&all);
    return 0;
}
