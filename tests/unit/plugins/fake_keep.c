/*
 * fake_keep.c - small facts that an adapter keeps.
 */
#include "fake_keep.h"

#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "fake_host_parts.h"

struct fake_keep {
    struct fake_keep *next;
    char *name, *value;
};

void fake_keep_put(struct fake_keep **all, sl_str name, sl_str value)
{
    struct fake_keep *k = *all;

    while (k && (strlen(k->name) != name.len || memcmp(k->name, name.ptr, name.len) != 0))
        k = k->next;
    if (!k) {
        k = calloc(1, sizeof(*k));
        assert_non_null(k);
        k->name = fake_copy(name);
        k->next = *all;
        *all = k;
    }
    fake_replace(&k->value, value);
}

const char *fake_keep_get(const struct fake_keep *all, sl_str name)
{
    for (const struct fake_keep *k = all; k; k = k->next)
        if (strlen(k->name) == name.len && memcmp(k->name, name.ptr, name.len) == 0)
            return k->value;
    return "";
}

void fake_keep_free(struct fake_keep *all)
{
    while (all) {
        struct fake_keep *next = all->next;

        free(all->name);
        free(all->value);
        free(all);
        all = next;
    }
}
