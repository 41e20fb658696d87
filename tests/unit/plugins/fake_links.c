/*
 * fake_links.c - what outcomes linked, and the answers to who asks.
 */
#include "fake_links.h"

#include <stdlib.h>
#include <string.h>

#include "fake_host.h"

struct fake_links {
    struct fake_links *next;
    char *key, *subject;
};

/* One line for each reference: neither a kind nor an id has a line break. */
static char *key_of(sl_str kind, sl_str id)
{
    char *key = calloc(1, kind.len + id.len + 3);

    assert_non_null(key);
    memcpy(key, kind.ptr, kind.len);
    key[kind.len] = ' ';
    memcpy(key + kind.len + 1, id.ptr, id.len);
    CHECK(!memchr(key, '\n', strlen(key)));
    return key;
}

void fake_links_add(struct fake_links **all, sl_str kind, sl_str id, sl_str subject)
{
    struct fake_links *l = calloc(1, sizeof(*l));

    l->key = key_of(kind, id);
    l->subject = strndup(subject.ptr, subject.len);
    l->next = *all;
    *all = l;
}

char *fake_links_ask(const sl_ref *refs, size_t n)
{
    char *asked = strdup(""), *key;

    for (size_t i = 0; i < n; i++) {
        key = key_of(refs[i].kind, refs[i].id);
        asked = realloc(asked, strlen(asked) + strlen(key) + 2);
        strcat(asked, key);
        strcat(asked, "\n");
        free(key);
    }
    return asked;
}

void fake_links_answer(const struct fake_links *all, char *asked, sl_status status, sl_linked_cb cb,
                       void *ctx)
{
    sl_str subjects[4096];
    size_t n = 0;
    char *rest = asked, *line;

    while (status == SL_OK && (line = strsep(&rest, "\n")) && rest) {
        CHECK(n < 4096);
        subjects[n] = (sl_str){ 0 };
        for (const struct fake_links *l = all; l && !subjects[n].len; l = l->next)
            if (strcmp(l->key, line) == 0)
                subjects[n] = fake_str(l->subject);
        n++;
    }
    cb(ctx, status, n > 0 ? subjects : NULL, n);
    free(asked);
}

void fake_links_free(struct fake_links *all)
{
    while (all) {
        struct fake_links *next = all->next;

        free(all->key);
        free(all->subject);
        free(all);
        all = next;
    }
}
