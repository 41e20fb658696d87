/*
 * What is the newest of a chain, as far as this process knows: made, moved, read from the index.
 */
#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/order.h"

static struct conf_route route = {
    .name = "r", .ordered = true, .coalesce = COALESCE_SUBJECT, .latest = true
};

static struct flow *flow_new(uint64_t first_seq)
{
    struct flow *f = mem_zero(sizeof(*f));

    list_init(&f->latest_used);
    f->first_seq = first_seq;
    return f;
}

static void flow_end(struct flow *f)
{
    latest_finish(f);
    CHECK(!f->latests && !f->latest_fell.at);
    free(f);
}

static void made(struct flow *f, unsigned event, const char *subject, enum delivery_state state)
{
    struct rec_delivery rd = { .num = delivery_num(event, 0), .subject = str_of(subject) };

    latest_made(f, &route, &rd, state);
}

static void fell(struct flow *f, unsigned event, const char *subject)
{
    latest_moved(f, &(struct order_move){ .num = delivery_num(event, 0),
                                          .route = &route,
                                          .subject = str_of(subject),
                                          .piece = STR(""),
                                          .state = DS_DEAD });
}

/** The event of the newest; 0: it is to be asked for. */
static uint64_t newest(struct flow *f, const char *subject, unsigned than)
{
    uint8_t key[16];
    uint64_t num = 0;

    chain_key(&route, str_of(subject), STR(""), key);
    return latest_newest(f, key, delivery_num(than, 0), &num) ? delivery_event(num) : 0;
}

static void answer(struct flow *f, const char *subject, const unsigned *events, size_t n)
{
    struct store_delivery rows[4] = { 0 };
    uint8_t key[16];

    chain_key(&route, str_of(subject), STR(""), key);
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct store_delivery){ .num = delivery_num(events[i], 0), .state = DS_READY };
    latest_read(f, key, rows, n);
}

static void what_was_made_here_is_known_and_what_was_there_before_is_asked_for(void **state)
{
    struct flow *f = flow_new(10);

    (void)state;
    CHECK_EQ(newest(f, "a", 3), 0);
    made(f, 12, "a", DS_READY);
    CHECK_EQ(newest(f, "a", 3), 12);
    CHECK_EQ(newest(f, "a", 12), 12);
    CHECK_EQ(newest(f, "b", 3), 0);
    made(f, 7, "b", DS_READY); /* routed late: there may be newer ones of before */
    CHECK_EQ(newest(f, "b", 3), 7);
    CHECK_EQ(newest(f, "b", 7), 0);
    flow_end(f);
}

static void what_is_held_supersedes_nothing(void **state)
{
    struct flow *f = flow_new(10);

    (void)state;
    made(f, 12, "a", DS_READY);
    made(f, 13, "a", DS_HELD);
    CHECK_EQ(newest(f, "a", 3), 12);
    flow_end(f);
}

static void when_the_newest_dies_the_next_best_is_looked_for(void **state)
{
    struct flow *f = flow_new(10);

    (void)state;
    made(f, 12, "a", DS_READY);
    fell(f, 11, "a");
    CHECK_EQ(newest(f, "a", 3), 12);
    fell(f, 12, "a");
    CHECK_EQ(newest(f, "a", 3), 0);
    answer(f, "a", (unsigned[]){ 9, 5 }, 2);
    CHECK_EQ(newest(f, "a", 3), 9);
    flow_end(f);
}

static void what_died_while_it_was_asked_is_left_out_of_the_answer(void **state)
{
    struct flow *f = flow_new(10);

    (void)state;
    latest_asked(f);
    latest_asked(f);
    fell(f, 9, "a");
    answer(f, "a", (unsigned[]){ 9, 5 }, 2);
    latest_answered(f);
    CHECK_EQ(newest(f, "a", 3), 5);
    CHECK_EQ(f->latest_fell.n, 1); /* another answer is still on its way */
    latest_answered(f);
    CHECK_EQ(f->latest_fell.n, 0);
    fell(f, 4, "a"); /* nobody asks: nothing is kept */
    CHECK_EQ(f->latest_fell.n, 0);
    flow_end(f);
}

static void what_is_least_used_is_forgotten_and_nothing_wrong_is_said_of_it(void **state)
{
    struct flow *f = flow_new(1);
    char subject[16];

    (void)state;
    made(f, 1, "first", DS_READY);
    for (unsigned i = 2; i < 65538; i++) {
        snprintf(subject, sizeof(subject), "%u", i);
        made(f, i, subject, DS_READY);
    }
    CHECK_EQ(newest(f, "first", 0), 0);
    CHECK_EQ(newest(f, "65537", 0), 65537);
    flow_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_made_here_is_known_and_what_was_there_before_is_asked_for),
        cmocka_unit_test(what_is_held_supersedes_nothing),
        cmocka_unit_test(when_the_newest_dies_the_next_best_is_looked_for),
        cmocka_unit_test(what_died_while_it_was_asked_is_left_out_of_the_answer),
        cmocka_unit_test(what_is_least_used_is_forgotten_and_nothing_wrong_is_said_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
