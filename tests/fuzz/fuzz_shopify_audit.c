/*
 * fuzz_shopify_audit.c - a line of an audit's cursor, then the subscriptions that a shop lists.
 * What is said to be missing is not there, what is said to be right is, what was altered says how;
 * the finding is one bounded line; the next audit reads the cursor.
 */
#include "fuzz.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit_int.h"
#include "shopify.h"

#define HERE "https://hooks.example.com/in/acme"
#define N    3

static int64_t wall_ms(void *ctx)
{
    (void)ctx;
    return 1763630132000;
}

static int is(const json_t *o, const char *name, const char *text)
{
    const char *found = json_string_value(json_object_get(o, name));

    return found && strcmp(found, text) == 0;
}

static void check_topic(const struct wanted_topic *t, const struct audit_topic *a,
                        const json_t *listed)
{
    const json_t *one;
    size_t i, here = 0, right = 0;
    char what[240];

    json_array_foreach(listed, i, one)
    {
        if (!is(one, "topic", t->name) || !is(one, "uri", HERE))
            continue;
        here++;
        right += audit_is_right(t, HERE, one, what, sizeof(what)) != 0;
    }
    PROMISE((a->state == AUDIT_RIGHT) == (right > 0), "%s: %zu right", t->topic, right);
    PROMISE(a->state != AUDIT_MISSING || here == 0, "%s: %zu here", t->topic, here);
    PROMISE(a->state != AUDIT_ALTERED || a->what[0], "%s", t->topic);
    PROMISE(a->more == (here ? here - 1 : 0), "%s: %u more of %zu", t->topic, a->more, here);
}

static void check_told(struct audit *a)
{
    char text[1000], *cursor = audit_cursor(a);
    json_t *next = audit_read_cursor((sl_str){ cursor, strlen(cursor) });

    audit_say(a, text, sizeof(text));
    PROMISE(strlen(text) < sizeof(text) && !strchr(text, '\n'), "%s", text);
    for (size_t i = 0; i < N; i++)
        PROMISE((json_object_get(json_object_get(next, "wrong"), a->wanted->topics[i].topic) !=
                 NULL) == (a->topics[i].state != AUDIT_RIGHT),
                "%s", cursor);
    json_decref(next);
    free(cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
    size_t n = line ? (size_t)(line - text) : size;
    struct wanted_topic topics[N] = {
        { (char *)"orders/create", (char *)"ORDERS_CREATE", (char *)"", json_array() },
        { (char *)"orders/paid", (char *)"ORDERS_PAID", (char *)"total_price:>=100", json_array() },
        { (char *)"orders/edited", (char *)"ORDERS_EDITED", (char *)"",
          json_pack("[s,s]", "id", "updated_at") },
    };
    struct wanted wanted = { .url = (char *)HERE, .topics = topics, .n = N };
    struct audit_topic found[N];
    struct audit_deed deeds[N] = { 0 };
    sl_host host = { .size = sizeof(host), .wall_ms = wall_ms };
    struct shopify shop = { .host = &host };
    struct audit a = { .s = &shop,
                       .wanted = &wanted,
                       .url = (char *)HERE,
                       .before = audit_read_cursor((sl_str){ text, n }),
                       .listed = line ? json_loadb(line + 1, size - n - 1, 0, NULL) : NULL,
                       .topics = found,
                       .deeds = deeds };

    audit_compare(&wanted, HERE, a.listed, json_object_get(a.before, "ids"), found);
    a.left_over = audit_left_over(&wanted, HERE, a.listed);
    for (size_t i = 0; i < N; i++)
        check_topic(&topics[i], &found[i], a.listed);
    check_told(&a);
    for (size_t i = 0; i < N; i++)
        json_decref(topics[i].fields);
    json_decref(a.before);
    json_decref(a.listed);
    json_decref(a.left_over);
    return 0;
}
