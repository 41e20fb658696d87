/*
 * Windows that are too small for what cannot go: it waits elsewhere, and the others go on.
 */
#include "flow/order.h"
#include "flow/pause.h"
#include "flow_rig.h"

#define WINDOW 4

static struct flow_rig *setup(void)
{
    struct flow_rig *rig = rig_new();

    rig->config.window = WINDOW;
    return rig;
}

static uint64_t event_of(struct flow_rig *rig, const char *topic, const char *subject, int i)
{
    char body[40];

    snprintf(body, sizeof(body), "%s %d", subject, i);
    return rig_event(rig, topic, body);
}

/** Of `n` subjects, one each; their names begin with `prefix`. */
static void others(struct flow_rig *rig, const char *topic, const char *prefix, int n)
{
    for (int i = 0; i < n; i++) {
        char subject[16];
        snprintf(subject, sizeof(subject), "%s%d", prefix, i);
        event_of(rig, topic, subject, 1);
    }
}

/** What it delivered rises, from `from` on in its log: they are of one subject. */
static void check_rises(const struct fake *fake, size_t from)
{
    unsigned long before = 0;

    for (const char *p = fake->log + from; *p; p = strchr(p, ' ') + 1) {
        unsigned long event = strtoul(p, NULL, 10);
        CHECK(event > before);
        before = event;
    }
}

/** The first of "a" is held, and far more follow it than a window has places. Gives the first. */
static uint64_t hold_first(struct flow_rig *rig, int followers)
{
    uint64_t first = event_of(rig, "t", "a", 1);

    rig_answer(rig_call(rig, CRM), SL_REVIEW);
    UNTIL(rig, rig_state(rig, first) == DS_HELD);
    for (int i = 2; i <= followers + 1; i++)
        event_of(rig, "t", "a", i);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    return first;
}

static void test_more_than_a_window_behind_a_held_one_keeps_no_other_subject_back(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t first;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    first = hold_first(rig, 40);
    struct lane *l = rig->flow->lanes[CRM];
    others(rig, "t", "b", 10);
    UNTIL(rig, l->delivered == 10);
    CHECK_EQ(l->windows[PRIORITY_NORMAL].n, 0);
    UNTIL(rig, !l->windows[PRIORITY_NORMAL].spilled);
    CHECK(HASH_COUNT(rig->flow->deliveries) <= 1 + 2 * WINDOW);
    size_t before = strlen(rig->fakes[CRM].log);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, first, NULL), 0);
    UNTIL(rig, l->delivered == 51);
    check_rises(&rig->fakes[CRM], before);
    UNTIL(rig, rig->flow->chains == NULL); /* once it is known that nothing more follows */
    CHECK_EQ(rig->flow->n_behind, 0);
    CHECK_EQ(rig->flow->aside, 0);
    rig_destroy(rig);
}

/* Of a group: each was to try its member out, and cannot go. */
static void test_trials_that_wait_behind_a_held_one_keep_no_other_subject_back(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    hold_first(rig, 0);
    for (int i = 2; i < 2 + WINDOW; i++) {
        uint64_t num = event_of(rig, "t", "a", i);
        UNTIL(rig, flow_delivery(rig->flow, num));
        flow_delivery(rig->flow, num)->trial = true;
    }
    others(rig, "t", "b", 5);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 5);
    rig_destroy(rig);
}

static void test_so_it_is_after_a_restart_with_all_of_it_in_the_index(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t first;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    first = hold_first(rig, 40);
    rig_crash(rig);
    rig_up(rig);
    struct lane *l = rig->flow->lanes[CRM];
    others(rig, "t", "b", 5);
    UNTIL(rig, l->delivered == 5);
    UNTIL(rig, !l->windows[PRIORITY_NORMAL].spilled);
    CHECK(HASH_COUNT(rig->flow->deliveries) <= 1 + 2 * WINDOW);
    size_t before = strlen(rig->fakes[CRM].log);
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, first, NULL), 0);
    UNTIL(rig, l->delivered == 45);
    check_rises(&rig->fakes[CRM], before);
    rig_destroy(rig);
}

static void test_what_comes_while_the_next_are_being_read_is_not_forgotten(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t first;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    first = hold_first(rig, 20);
    struct lane *l = rig->flow->lanes[CRM];
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, first, NULL), 0);
    for (int i = 100; i < 140; i++)
        event_of(rig, "t", "a", i);
    UNTIL(rig, l->delivered == 61);
    UNTIL(rig, rig->flow->n_behind == 0);
    rig_destroy(rig);
}

static void test_what_is_left_is_discarded_and_replayed_where_it_is(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t first, last;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    first = hold_first(rig, 20);
    others(rig, "t", "b", 1);
    UNTIL(rig, rig->flow->n_behind == 1);
    last = event_of(rig, "t", "a", 50);
    UNTIL(rig, rig_state(rig, last) == DS_READY);
    assert_null(flow_delivery(rig->flow, last));
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, last, NULL), 0);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, last, NULL), 0);
    assert_null(flow_delivery(rig->flow, last));
    CHECK_EQ(rig_decide(rig, DECISION_DISCARD, last, NULL), 0);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, first, NULL), 0);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 22);
    CHECK_EQ(rig_state(rig, last), DS_DISCARDED);
    CHECK_EQ(rig->fakes[CRM].records, 23); /* and the first of them once before */
    rig_destroy(rig);
}

static void test_a_dead_letter_that_blocks_its_subject_blocks_no_other(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t first;

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND)->on_dead = ON_DEAD_BLOCK;
    rig_up(rig);
    first = event_of(rig, "t", "a", 1);
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, first) == DS_DEAD);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    for (int i = 2; i < 30; i++)
        event_of(rig, "t", "a", i);
    others(rig, "t", "b", 5);
    struct lane *l = rig->flow->lanes[CRM];
    UNTIL(rig, l->delivered == 5);
    size_t before = strlen(rig->fakes[CRM].log);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, first, NULL), 0);
    UNTIL(rig, l->delivered == 34);
    check_rises(&rig->fakes[CRM], before);
    rig_destroy(rig);
}

/** Route "b", in the same lane, waits for "a", whose first are all dead. */
static void
test_what_waits_for_dead_letters_of_many_subjects_keeps_no_other_route_back(void **state)
{
    static struct conf_route *before[1];
    struct flow_rig *rig = setup();
    uint64_t dead[20];

    (void)state;
    struct conf_route *b = rig_route(rig, "b", "t", OTHER, ACT_SEND);
    before[0] = rig_route(rig, "a", "t", CRM, ACT_SEND);
    route_waits(b, before);
    rig_route(rig, "c", "u", OTHER, ACT_SEND);
    rig->fakes[CRM].auto_kind = SL_REJECTED;
    rig->fakes[OTHER].auto_kind = SL_DELIVERED;
    rig_up(rig);
    for (int i = 0; i < 20; i++) {
        char subject[16];
        snprintf(subject, sizeof(subject), "s%d", i);
        dead[i] = event_of(rig, "t", subject, 1);
    }
    struct lane *l = rig->flow->lanes[OTHER];
    UNTIL(rig, rig->flow->lanes[CRM]->dead == 20);
    others(rig, "u", "x", 5);
    UNTIL(rig, l->delivered == 5);
    UNTIL(rig, !l->windows[PRIORITY_NORMAL].spilled);
    CHECK(HASH_COUNT(rig->flow->deliveries) <= 2 * WINDOW);
    CHECK(l->windows[PRIORITY_NORMAL].out_from);

    rig->fakes[CRM].auto_kind = SL_DELIVERED; /* mended */
    for (int i = 0; i < 20; i++)
        CHECK_EQ(rig_decide(rig, DECISION_REPLAY, dead[i], NULL), 0);
    UNTIL(rig, l->delivered == 25);
    UNTIL(rig, !l->windows[PRIORITY_NORMAL].out_from);
    rig_destroy(rig);
}

static void on_paused(void *ctx, int status)
{
    CHECK_EQ(status, 0);
    *(bool *)ctx = true;
}

static void pause_route(struct flow_rig *rig, const char *name, enum pause_what what)
{
    bool done = false;
    struct flow_pause p = { .what = what, .route = true, .name = str_of(name) };

    CHECK_EQ(flow_pause(rig->flow, &p, on_paused, &done), 0);
    UNTIL(rig, done);
}

static void test_what_a_paused_route_piles_up_keeps_no_other_route_back(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_route(rig, "p", "t", CRM, ACT_SEND);
    rig_route(rig, "q", "u", CRM, ACT_SEND);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    pause_route(rig, "p", PAUSE_BEGINS);
    others(rig, "t", "a", 30);
    others(rig, "u", "b", 5);
    struct lane *l = rig->flow->lanes[CRM];
    UNTIL(rig, l->delivered == 5);
    CHECK(HASH_COUNT(rig->flow->deliveries) <= 2 * WINDOW);
    pause_route(rig, "p", PAUSE_ENDS);
    UNTIL(rig, l->delivered == 35);
    rig_destroy(rig);
}

static void test_a_window_that_works_through_its_subjects_sets_nothing_aside(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    rig_up(rig);
    others(rig, "t", "a", 100);
    UNTIL(rig, rig->flow->lanes[CRM]->delivered == 100);
    CHECK_EQ(rig->flow->n_behind, 0);
    CHECK(!rig->flow->beyond);
    rig_destroy(rig);
}

static void test_what_is_replayed_below_live_traffic_still_goes_before_what_follows_it(void **state)
{
    struct flow_rig *rig = setup();
    char name[2][32];
    uint64_t first, next;

    (void)state;
    rig->endpoints[CRM].concurrency = 1;
    rig_route(rig, "r", "t", CRM, ACT_SEND);
    rig_up(rig);
    struct lane *l = rig->flow->lanes[CRM];
    first = event_of(rig, "t", "a", 1);
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    UNTIL(rig, rig_state(rig, first) == DS_DEAD);
    l->parked = true;
    l->parked_until = UINT64_MAX;
    next = event_of(rig, "t", "a", 2);
    others(rig, "t", "b", 8);
    UNTIL(rig, rig->flow->stats.routed == 10);
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, first,
                        &(struct decide){ .set_priority = 1 + PRIORITY_LOW }),
             0);
    CHECK_EQ(rig_state(rig, first), DS_READY);
    CHECK_EQ(rig->row.priority, PRIORITY_LOW);
    rig->fakes[CRM].auto_kind = SL_DELIVERED;
    size_t before = strlen(rig->fakes[CRM].log);
    lane_unpark(l);
    lane_pump(l);
    UNTIL(rig, l->delivered == 10);
    delivery_name(first, name[0]);
    delivery_name(next, name[1]);
    strcat(name[0], " ");
    strcat(name[1], " ");
    const char *log = rig->fakes[CRM].log + before;
    CHECK(strncmp(log, name[0], strlen(name[0])) != 0); /* live traffic went first */
    CHECK(strstr(log, name[0]) < strstr(log, name[1]));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_than_a_window_behind_a_held_one_keeps_no_other_subject_back),
        cmocka_unit_test(test_trials_that_wait_behind_a_held_one_keep_no_other_subject_back),
        cmocka_unit_test(test_so_it_is_after_a_restart_with_all_of_it_in_the_index),
        cmocka_unit_test(test_what_comes_while_the_next_are_being_read_is_not_forgotten),
        cmocka_unit_test(test_what_is_left_is_discarded_and_replayed_where_it_is),
        cmocka_unit_test(test_a_dead_letter_that_blocks_its_subject_blocks_no_other),
        cmocka_unit_test(
            test_what_waits_for_dead_letters_of_many_subjects_keeps_no_other_route_back),
        cmocka_unit_test(test_what_a_paused_route_piles_up_keeps_no_other_route_back),
        cmocka_unit_test(test_a_window_that_works_through_its_subjects_sets_nothing_aside),
        cmocka_unit_test(
            test_what_is_replayed_below_live_traffic_still_goes_before_what_follows_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
