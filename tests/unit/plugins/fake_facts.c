/*
 * fake_facts.c - what outcomes had remembered, and the answers to who recalls it.
 */
#include "fake_facts.h"

#include <stdlib.h>
#include <string.h>

#include "fake_host_parts.h"

#define GAP "\x1f" /* in no text of a test */

/** In the order of spaces and keys. */
struct fake_facts {
    struct fake_facts *next;
    char *space, *key, *value;
};

static int compare(const struct fake_facts *f, const char *space, const char *key)
{
    int by_space = strcmp(f->space, space);

    return by_space ? by_space : strcmp(f->key, key);
}

static void fact_free(struct fake_facts *f)
{
    free(f->space);
    free(f->key);
    free(f->value);
    free(f);
}

static void put(struct fake_facts **all, sl_str space, const sl_fact *fact)
{
    struct fake_facts *f = calloc(1, sizeof(*f));

    f->space = fake_copy(space);
    f->key = fake_copy(fact->key);
    f->value = fake_copy(fact->value);
    while (*all && compare(*all, f->space, f->key) < 0)
        all = &(*all)->next;
    f->next = *all;
    if (*all && compare(*all, f->space, f->key) == 0) {
        f->next = (*all)->next;
        fact_free(*all);
    }
    *all = fact->value.len ? f : f->next;
    if (!fact->value.len)
        fact_free(f);
}

void fake_facts_tell(struct fake_facts **all, const sl_facts *told)
{
    CHECK(told->size == sizeof(*told) && told->n_facts <= 1000);
    CHECK(told->space.len > 0 && told->space.len <= 128);
    for (size_t i = 0; i < told->space.len; i++)
        CHECK(strchr("abcdefghijklmnopqrstuvwxyz0123456789_/-", told->space.ptr[i]));
    for (size_t i = 0; i < told->n_facts; i++) {
        CHECK(told->facts[i].key.len > 0 && told->facts[i].key.len <= 1024);
        CHECK(told->facts[i].value.len <= 4096);
        put(all, told->space, &told->facts[i]);
    }
}

char *fake_facts_ask(sl_str space, sl_str prefix, sl_str after)
{
    char *texts[] = { fake_copy(space), fake_copy(prefix), fake_copy(after) };
    char *asked = calloc(1, space.len + prefix.len + after.len + 3);

    for (int i = 0; i < 3; i++) {
        strcat(strcat(asked, texts[i]), i < 2 ? GAP : "");
        free(texts[i]);
    }
    return asked;
}

void fake_facts_answer(const struct fake_facts *all, char *asked, sl_status status, sl_recall_cb cb,
                       void *ctx)
{
    char *rest = asked;
    const char *space = strsep(&rest, GAP), *prefix = strsep(&rest, GAP), *after = rest;
    sl_fact found[SL_RECALL_MAX];
    size_t n = 0;

    for (; all && status == SL_OK && n < SL_RECALL_MAX; all = all->next)
        if (strcmp(all->space, space) == 0 && strncmp(all->key, prefix, strlen(prefix)) == 0 &&
            strcmp(all->key, after) > 0)
            found[n++] = (sl_fact){ fake_str(all->key), fake_str(all->value) };
    cb(ctx, status, n ? found : NULL, n);
    free(asked);
}

void fake_facts_free(struct fake_facts *all)
{
    while (all) {
        struct fake_facts *next = all->next;

        fact_free(all);
        all = next;
    }
}
