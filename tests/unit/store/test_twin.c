/*
 * test_twin.c - an event has one delivery for each route and piece, whatever the log says.
 */
#include "rig.h"

#include <string.h>

static uint64_t doubled(struct rig *rig)
{
    struct store_stats s;

    CHECK_EQ(rig_unrouted(rig, false), 0); /* the index has come so far */
    store_stats(rig->s, &s);
    return s.doubled;
}

/** The same piece of the same event under another number. */
static struct rec_delivery twin_of(struct rec_delivery d, unsigned ordinal)
{
    d.num = delivery_num(delivery_event(d.num), ordinal);
    return d;
}

static uint64_t begin(struct rig *rig, struct rec_delivery *d)
{
    uint64_t event;

    rig_start(rig);
    rig_must_open(rig);
    event = rig_receipt(rig, "acme-shop", "orders/paid", NULL, "{}");
    *d = delivery(event, 0, "byron");
    rig_routed(rig, event, d, 1);
    return event;
}

static struct store_record routed(uint64_t event, struct rec_delivery *d, size_t n)
{
    return encoded(REC_ROUTED, &(struct rec_routed){ .event = event,
                                                     .at_ms = 1700000000500,
                                                     .deliveries = d,
                                                     .n_deliveries = n });
}

/** What a person decided of one; as a replay that maps again closes the old one. */
static struct store_record decided(uint64_t num, enum delivery_state to, sl_str hold_type)
{
    struct rec_move m = { .num = num, .state = (uint8_t)to, .hold_type = hold_type };

    return encoded(REC_DECISION,
                   &(struct rec_moves){
                       .at_ms = 1700000000600, .who = STR("uid 0"), .moves = &m, .n_moves = 1 });
}

static void stands(struct rig *rig, uint64_t num, enum delivery_state state)
{
    CHECK_EQ(rig_get(rig, num), 0);
    CHECK_EQ(rig->d[0].state, state);
}

static void a_second_delivery_of_a_piece_is_refused_and_counted(void **state)
{
    struct rec_delivery first, second;
    struct rig rig;
    uint64_t event = begin(&rig, &first);

    (void)state;
    second = twin_of(first, 1);
    second.endpoint = STR("nord");
    rig_routed(&rig, event, &second, 1);
    CHECK_EQ(doubled(&rig), 1);
    stands(&rig, first.num, DS_READY);
    CHECK_EQ(rig_get(&rig, second.num), UV_ENOENT);
    CHECK_EQ(rig_claim(&rig, "nord", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 0);
    CHECK_EQ(rig_report(&rig, REPORT_SUMMARY, (struct store_filter){ 0 }), 0);
    assert_null(strstr(rig.text.data, "nord"));

    rig_move(&rig, (struct rec_move){ .num = first.num, .state = DS_DELIVERED }, 0);
    rig_routed(&rig, event, &second, 1); /* it is never too late to refuse it */
    CHECK_EQ(doubled(&rig), 2);
    stands(&rig, first.num, DS_DELIVERED);
    rig_reopen(&rig);
    CHECK_EQ(doubled(&rig), 2);
    rig_finish(&rig);
}

static void a_number_that_comes_twice_counts_too_and_the_first_one_holds(void **state)
{
    struct rec_delivery first, again;
    struct rig rig;
    uint64_t event = begin(&rig, &first);

    (void)state;
    again = delivery(event, 0, "nord");
    again.id[3] = 99;
    rig_routed(&rig, event, &again, 1);
    CHECK_EQ(doubled(&rig), 1);
    CHECK_EQ(rig_get(&rig, first.num), 0);
    CHECK_VIEW(rig.d[0].endpoint, "byron");
    rig_finish(&rig);
}

static void two_of_one_record_are_one(void **state)
{
    struct rec_delivery d[3];
    struct rig rig;
    uint64_t event;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    event = rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}");
    d[0] = delivery(event, 0, "byron");
    d[1] = twin_of(d[0], 1);
    d[2] = delivery(event, 2, "byron");
    rig_routed(&rig, event, d, 3);
    CHECK_EQ(doubled(&rig), 1);
    CHECK_EQ(rig_claim(&rig, "byron", 2, 0, 10), 0);
    CHECK_EQ(rig.n, 2);
    CHECK_EQ(rig.d[1].num, d[2].num);
    rig_finish(&rig);
}

/** Records between the routing and its twin, so that the two records of a remap lie in one
 *  transaction of the index or, but for what keeps them together, in two. */
static void maps_again(unsigned before)
{
    struct store_record *r = test_calloc(before + 2, sizeof(*r));
    struct rec_delivery first, second;
    struct rig rig;
    uint64_t event = begin(&rig, &first);

    CHECK_EQ(doubled(&rig), 0);
    for (unsigned i = 0; i < before; i++)
        r[i] = receipt("acme-shop", "orders/paid", NULL, "{}");
    second = twin_of(first, 1);
    r[before] = routed(event, &second, 1);
    r[before + 1] = decided(first.num, DS_DISCARDED, STR("remapped"));
    CHECK_EQ(rig_append(&rig, r, before + 2), 0);
    CHECK_EQ(doubled(&rig), 0);
    stands(&rig, first.num, DS_DISCARDED);
    stands(&rig, second.num, DS_READY);

    first = twin_of(first, 2); /* and again: the oldest of the three is in nobody's way */
    r[0] = routed(event, &first, 1);
    r[1] = decided(second.num, DS_DISCARDED, STR("remapped"));
    CHECK_EQ(rig_append(&rig, r, 2), 0);
    CHECK_EQ(doubled(&rig), 0);
    stands(&rig, first.num, DS_READY);
    rig_finish(&rig);
    test_free(r);
}

static void what_is_mapped_again_takes_the_place_of_what_was_there(void **state)
{
    (void)state;
    maps_again(0);
    for (unsigned before = 1022; before <= 1025; before++)
        maps_again(before);
}

static void what_only_looks_like_it_is_refused(void **state)
{
    struct rec_delivery first, second;
    struct store_record r[2];
    struct rig rig;
    uint64_t event = begin(&rig, &first);

    (void)state;
    second = twin_of(first, 1);
    r[0] = routed(event, &second, 1);
    r[1] = decided(first.num, DS_DISCARDED, STR("")); /* by a person's hand */
    CHECK_EQ(rig_append(&rig, r, 2), 0);
    CHECK_EQ(doubled(&rig), 1);
    r[0] = routed(event, &second, 1);
    r[1] = decided(second.num, DS_DISCARDED, STR("remapped")); /* itself */
    CHECK_EQ(rig_append(&rig, r, 2), 0);
    CHECK_EQ(doubled(&rig), 2);
    r[0] = routed(event, &second, 1);
    r[1] = receipt("acme-shop", "orders/paid", NULL, "{}");
    CHECK_EQ(rig_append(&rig, r, 2), 0);
    CHECK_EQ(doubled(&rig), 3);
    stands(&rig, first.num, DS_DISCARDED);
    CHECK_EQ(rig_get(&rig, second.num), UV_ENOENT);
    rig_finish(&rig);
}

static void a_dead_twin_leaves_no_issue_open(void **state)
{
    struct rec_delivery first, second;
    struct rig rig;
    uint64_t event = begin(&rig, &first);
    struct store_stats s;

    (void)state;
    second = twin_of(first, 1);
    second.state = DS_DEAD;
    second.reason = STR("refused");
    rig_routed(&rig, event, &second, 1);
    CHECK_EQ(doubled(&rig), 1);
    store_stats(rig.s, &s);
    CHECK_EQ(s.issues_open + s.issues_dead, 0);
    rig_finish(&rig);
}

static void notes_of_what_could_not_be_made_are_nobodys_twins(void **state)
{
    struct rec_delivery first, note, made;
    struct store_record r[2];
    struct rig rig;
    uint64_t event = begin(&rig, &first);

    (void)state;
    for (unsigned i = 1; i < 3; i++) {
        note = twin_of(first, i);
        note.state = DS_DEAD;
        note.endpoint = STR("");
        note.reason = STR("split gave two pieces of the key ");
        rig_routed(&rig, event, &note, 1);
    }
    CHECK_EQ(doubled(&rig), 0);
    stands(&rig, note.num, DS_DEAD);

    made = twin_of(first, 3); /* mapped again: the note goes, but the first one is there still */
    r[0] = routed(event, &made, 1);
    r[1] = decided(note.num, DS_DISCARDED, STR("remapped"));
    CHECK_EQ(rig_append(&rig, r, 2), 0);
    CHECK_EQ(doubled(&rig), 1);
    stands(&rig, first.num, DS_READY);
    CHECK_EQ(rig_get(&rig, made.num), UV_ENOENT);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_delivery_of_a_piece_is_refused_and_counted),
        cmocka_unit_test(a_number_that_comes_twice_counts_too_and_the_first_one_holds),
        cmocka_unit_test(two_of_one_record_are_one),
        cmocka_unit_test(what_is_mapped_again_takes_the_place_of_what_was_there),
        cmocka_unit_test(what_only_looks_like_it_is_refused),
        cmocka_unit_test(a_dead_twin_leaves_no_issue_open),
        cmocka_unit_test(notes_of_what_could_not_be_made_are_nobodys_twins),
    };

    return cmocka_run_group_tests_name("store: one delivery of a piece", tests, NULL, NULL);
}
