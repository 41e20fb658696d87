/*
 * test_shopify_documents.c - what the adapter asks of the shop, every document of it: none may cost
 * what the shop refuses (1,000 points), however long its lists are asked for.
 *
 * The documents are taken out of this very program, into which the adapter is linked: no list of
 * them could be forgotten to be kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/sluice.h>

#include "../check.h"
#include "admin/points.h"
#include "feeds/feeds.h"
#include "feeds/order.h"

const sl_plugin *sl_plugin_v0(void);

#define LONGEST  250 /* a list: the shop gives no more at once */
#define ROOM     128
#define NAME_LEN 64

struct found {
    char name[NAME_LEN];
    uint32_t points;
};

struct documents {
    size_t n;
    struct found at[ROOM];
};

/* ---- lists that are asked for shorter ---- */

/* A page of orders has lists of ORDER_FEW; what has more is asked for alone. */
static const struct {
    const char *document, *variable;
    int longest;
} shorter[] = {
    { "ChangedOrders", "few", ORDER_FEW },
    { "ChangedOrders", "first", FEED_PAGE_MOST },
    { "OrderParts", "few", ORDER_FEW },
};

/* Every variable that says how long a list is, at its longest. Own. */
static json_t *variables_of(const char *name, const char *document)
{
    json_t *to = json_object();

    for (const char *at = document; (at = strpbrk(at, "fl")); at++) {
        size_t word = strncmp(at, "first:", 6) == 0 ? 6 : strncmp(at, "last:", 5) == 0 ? 5 : 0;
        char variable[NAME_LEN];
        int n = LONGEST;

        if (!word || sscanf(at + word + strspn(at + word, " "), "$%63[A-Za-z0-9_]", variable) != 1)
            continue;
        for (size_t i = 0; i < sizeof(shorter) / sizeof(*shorter); i++)
            if (strcmp(shorter[i].document, name) == 0 &&
                strcmp(shorter[i].variable, variable) == 0)
                n = shorter[i].longest;
        json_object_set_new(to, variable, json_integer(n));
    }
    return to;
}

/* ---- which there are ---- */

static int is_whole(const char *text)
{
    int open = 0, sets = 0;

    for (; *text; text++) {
        open += (*text == '{' || *text == '(') - (*text == '}' || *text == ')');
        sets += *text == '{';
    }
    return open == 0 && sets > 0;
}

/* "query Name(", "mutation Name(" with all that belongs to it. */
static void take(struct documents *to, const char *text)
{
    char name[NAME_LEN];
    json_t *variables;

    if ((sscanf(text, "query %63[A-Za-z0-9_]", name) != 1 &&
         sscanf(text, "mutation %63[A-Za-z0-9_]", name) != 1) ||
        !is_whole(text))
        return;
    if (to->n == ROOM)
        fail_msg("more than %d documents: make room for them", ROOM);
    variables = variables_of(name, text);
    memcpy(to->at[to->n].name, name, sizeof(name));
    to->at[to->n++].points = points_of(text, variables);
    json_decref(variables);
}

static void read_program(struct documents *to)
{
    FILE *f = fopen("/proc/self/exe", "rb");
    size_t room = 64u << 20, n;
    char *all = malloc(room + 1);

    assert_non_null(f);
    assert_non_null(all);
    n = fread(all, 1, room, f);
    CHECK(feof(f));
    fclose(f);
    all[n] = '\0';
    for (char *p = all; p < all + n; p += strlen(p) + 1)
        take(to, p);
    free(all);
}

static const struct found *found(const struct documents *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->at[i].name, name) == 0)
            return &d->at[i];
    fail_msg("the program has no document \"%s\"", name);
    return NULL;
}

/* ---- the tests ---- */

static void test_no_document_costs_what_the_shop_refuses(void **state)
{
    static const char *const some[] = { "ChangedOrders",  "WholeOrder",
                                        "OrderParts",     "OrderShipments",
                                        "RefundsOfOrder", "InventorySetQuantities",
                                        "VariantsBySku",  "FulfillmentOrdersOfOrder" };
    struct documents *d = calloc(1, sizeof(*d));

    (void)state;
    assert_non_null(d);
    CHECK(sl_plugin_v0() != NULL); /* so that all of it is linked */
    read_program(d);
    for (size_t i = 0; i < d->n; i++)
        if (d->at[i].points > POINTS_MOST)
            print_error("%s may cost %u points\n", d->at[i].name, d->at[i].points);
        else
            print_message("%5u points: %s\n", d->at[i].points, d->at[i].name);
    for (size_t i = 0; i < d->n; i++)
        CHECK(d->at[i].points <= POINTS_MOST);
    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
        found(d, some[i]);
    CHECK(d->n > 40);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_document_costs_what_the_shop_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
