/*
 * The timer heap: always the least first, whatever was pushed and taken out of its middle.
 */
#include "../check.h"
#include "base/heap.h"
#include "base/rng.h"

#include <stdlib.h>

struct item {
    int64_t key;
    size_t place;
};

static int64_t key_of(const void *i)
{
    return ((const struct item *)i)->key;
}

static void moved(void *i, size_t place)
{
    ((struct item *)i)->place = place;
}

static void check_order(const struct heap *h)
{
    for (size_t i = 1; i <= h->n; i++) {
        CHECK_EQ(((struct item *)h->at[i])->place, i);
        if (i > 1)
            CHECK(key_of(h->at[i / 2]) <= key_of(h->at[i]));
    }
}

static void the_least_comes_first_after_any_pushes_and_removals(void **state)
{
    static struct item items[500];
    struct heap h = { .key = key_of, .moved = moved };
    struct rng rng;

    (void)state;
    rng_seed(&rng, 42);
    for (int step = 0; step < 20000; step++) {
        struct item *i = &items[rng_below(&rng, 500)];
        if (i->place) {
            heap_remove(&h, i->place);
            CHECK_EQ(i->place, 0);
        } else {
            i->key = (int64_t)rng_below(&rng, 100);
            heap_push(&h, i);
            CHECK(i->place > 0);
        }
        if (step % 100 == 0)
            check_order(&h);
    }
    int64_t last = -1;
    while (h.n) {
        struct item *i = heap_first(&h);
        CHECK(i->key >= last);
        last = i->key;
        heap_remove(&h, i->place);
    }
    CHECK(heap_first(&h) == NULL);
    free(h.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_comes_first_after_any_pushes_and_removals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
