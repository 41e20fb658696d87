/*
 * test_wait.c - what waits: clocks of held deliveries, deadlines, what an event may end, and what
 * came before.
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

/* ---- asking ---- */

static struct {
    struct rig *rig;
    struct store_due due[64];
    struct store_deadline deadline[64];
    struct store_came came[64];
    uint64_t held[64];
    size_t n, n_deadlines;
    int64_t horizon_ms;
} got;

static void begin(struct rig *rig)
{
    memset(&got, 0, sizeof(got));
    got.rig = rig;
    rig->done = false;
}

static void on_due(void *ctx, int status, const struct store_due *d, size_t n, int64_t horizon_ms)
{
    (void)ctx;
    CHECK_EQ(status, 0);
    if (n)
        memcpy(got.due, d, n * sizeof(*d));
    got.n = n;
    got.horizon_ms = horizon_ms;
    got.rig->done = true;
}

static void due(struct rig *rig, uint32_t limit)
{
    begin(rig);
    CHECK_EQ(store_due(rig->s, limit, on_due, NULL), 0);
    rig_wait(rig);
}

static void on_deadlines(void *ctx, int status, const struct store_deadline *d, size_t n)
{
    (void)ctx;
    CHECK_EQ(status, 0);
    for (size_t i = 0; i < n; i++)
        got.deadline[i] = d[i];
    got.n_deadlines = n;
    got.rig->done = true;
}

static bool is_open(struct rig *rig, uint64_t num)
{
    begin(rig);
    CHECK_EQ(store_deadlines(rig->s, &num, 1, on_deadlines, NULL), 0);
    rig_wait(rig);
    CHECK_EQ(got.n_deadlines, 1);
    return got.deadline[0].open;
}

static void on_ends(void *ctx, int status, const struct store_ends *e)
{
    (void)ctx;
    CHECK_EQ(status, 0);
    for (size_t i = 0; i < e->n_held; i++)
        got.held[i] = e->held[i].num;
    got.n = e->n_held;
    on_deadlines(NULL, 0, e->deadlines, e->n_deadlines);
}

static void ends(struct rig *rig, const char *subject, uint64_t cause, const char *po)
{
    sl_str about = str_of(subject);
    struct rec_ref ref = { STR("byron"), STR("po"), str_of(po) };

    begin(rig);
    CHECK_EQ(store_ends(rig->s, &about, 1, cause, &ref, po ? 1 : 0, on_ends, NULL), 0);
    rig_wait(rig);
}

static void on_came(void *ctx, int status, const struct store_came *c, size_t n)
{
    (void)ctx;
    CHECK_EQ(status, 0);
    for (size_t i = 0; i < n; i++)
        got.came[i].id = c[i].id;
    got.n = n;
    got.rig->done = true;
}

static void came(struct rig *rig, const char *subject)
{
    begin(rig);
    CHECK_EQ(store_came(rig->s, str_of(subject), 10, on_came, NULL), 0);
    rig_wait(rig);
}

/* ---- writing ---- */

/** An event about a subject, with one delivery of a piece; held with this clock if it is one. */
static uint64_t routed(struct rig *rig, const char *subject, const char *piece, int64_t clock_ms)
{
    uint64_t id = rig_receipt(rig, "shop", "orders/paid", NULL, "{}");
    struct rec_delivery d = delivery(id, 0, "byron");
    struct rec_about about = { str_of(subject), STR("") };

    d.subject = str_of(subject);
    d.piece = str_of(piece);
    if (clock_ms) {
        d.state = DS_HELD;
        d.hold_type = STR("fraud");
        d.next_ms = clock_ms;
    }
    rig_put(rig, encoded(REC_ROUTED, &(struct rec_routed){ .event = id,
                                                           .at_ms = 1,
                                                           .abouts = &about,
                                                           .n_abouts = 1,
                                                           .deliveries = &d,
                                                           .n_deliveries = 1 }));
    return d.num;
}

static void moved(struct rig *rig, uint64_t num, enum delivery_state state, int64_t next_ms,
                  const char *po)
{
    struct rec_move m = { .num = num, .state = state, .next_ms = next_ms };
    struct rec_link link = { STR("byron"), STR("po"), str_of(po), STR("order:1"), num };

    rig_put(rig, encoded(REC_OUTCOME,
                         &(struct rec_moves){
                             .moves = &m, .n_moves = 1, .links = &link, .n_links = po ? 1 : 0 }));
}

static void deadline(struct rig *rig, uint64_t num, enum deadline_what what, int64_t next_ms,
                     const char *subject)
{
    struct rec_deadline d = { .num = num,
                              .what = what,
                              .next_ms = next_ms,
                              .due_ms = next_ms,
                              .expect = STR("supplier/tracking"),
                              .topic = STR("sla/missing"),
                              .owner = STR("team"),
                              .route = STR("r"),
                              .subject = str_of(subject),
                              .endpoint = STR("byron") };

    rig_put(rig, encoded(REC_DEADLINE,
                         &(struct rec_deadlines){ .at_ms = 1, .items = &d, .n_items = 1 }));
}

static void up(struct rig *rig)
{
    rig_start(rig);
    rig_must_open(rig);
}

/* ---- tests ---- */

static void what_is_due_is_read_in_pages_with_the_time_up_to_which_they_are_whole(void **state)
{
    struct rig rig;

    (void)state;
    up(&rig);
    uint64_t late = routed(&rig, "order:1", "", 300), soon = routed(&rig, "order:2", "", 100),
             then = routed(&rig, "order:3", "", 200);
    routed(&rig, "order:4", "", 0); /* ready: no clock */
    due(&rig, 2);
    CHECK_EQ(got.n, 2);
    CHECK_EQ(got.due[0].num, soon);
    CHECK_EQ(got.due[1].num, then);
    CHECK_EQ(got.horizon_ms, 200);
    moved(&rig, soon, DS_READY, 0, NULL);
    moved(&rig, then, DS_HELD, 400, NULL); /* its clock is set anew */
    deadline(&rig, soon, DEADLINE_BEGINS, 350, "order:2");
    rig_reopen(&rig);
    due(&rig, 10);
    CHECK_EQ(got.n, 3);
    CHECK_EQ(got.horizon_ms, INT64_MAX);
    CHECK_EQ(got.due[0].num, late);
    CHECK_EQ(got.due[1].at_ms, 400);
    CHECK(got.due[2].deadline && got.due[2].num == soon && got.due[2].at_ms == 350);
    rig_finish(&rig);
}

static void a_deadline_ends_once_and_may_begin_again(void **state)
{
    struct rig rig;

    (void)state;
    up(&rig);
    uint64_t num = routed(&rig, "order:1", "", 0);
    deadline(&rig, num, DEADLINE_BEGINS, 100, "order:1");
    deadline(&rig, num, DEADLINE_BEGINS, 500, "order:1"); /* it goes on as it is */
    CHECK(is_open(&rig, num));
    CHECK_EQ(got.deadline[0].due_ms, 100);
    deadline(&rig, num, DEADLINE_WARNED, 120, NULL);
    CHECK(is_open(&rig, num));
    CHECK_EQ(got.deadline[0].next_ms, 120);
    deadline(&rig, num, DEADLINE_MET, 0, NULL);
    CHECK(!is_open(&rig, num));
    deadline(&rig, num, DEADLINE_MISSED, 0, NULL);
    due(&rig, 10);
    CHECK_EQ(got.n, 0);
    deadline(&rig, num, DEADLINE_BEGINS, 900, "order:1"); /* delivered once more */
    CHECK(is_open(&rig, num));
    CHECK_EQ(got.deadline[0].due_ms, 900);
    rig_finish(&rig);
}

static void an_event_finds_what_it_may_end(void **state)
{
    struct rig rig;

    (void)state;
    up(&rig);
    uint64_t held = routed(&rig, "order:1", "", 100), first = routed(&rig, "order:1", "a", 0),
             second = routed(&rig, "order:1", "b", 0), other = routed(&rig, "order:2", "", 0);
    deadline(&rig, second, DEADLINE_BEGINS, 300, "order:1");
    deadline(&rig, first, DEADLINE_BEGINS, 200, "order:1");
    deadline(&rig, other, DEADLINE_BEGINS, 50, "order:2");
    ends(&rig, "order:1", 0, NULL); /* nobody knows which: the first due before the other */
    CHECK_EQ(got.n, 1);
    CHECK_EQ(got.held[0], held);
    CHECK_EQ(got.n_deadlines, 2);
    CHECK(got.deadline[0].num == first && !got.deadline[0].linked);
    CHECK_EQ(got.deadline[1].num, second);
    moved(&rig, second, DS_DELIVERED, 0, "po-2");
    ends(&rig, "order:1", 0, "po-2"); /* its link says which, and then it is no other */
    CHECK_EQ(got.n_deadlines, 1);
    CHECK(got.deadline[0].num == second && got.deadline[0].linked);
    ends(&rig, "order:1", second, NULL); /* its cause says which; of another piece it is not */
    CHECK_EQ(got.n_deadlines, 1);
    CHECK(got.deadline[0].num == second && got.deadline[0].linked);
    deadline(&rig, second, DEADLINE_MET, 0, NULL);
    ends(&rig, "order:1", 0, "po-2");
    CHECK_EQ(got.n_deadlines, 0);
    rig_finish(&rig);
}

static void events_that_came_before_are_found_by_their_subject_the_newest_first(void **state)
{
    struct rig rig;

    (void)state;
    up(&rig);
    uint64_t one = delivery_event(routed(&rig, "order:1", "", 0)),
             two = delivery_event(routed(&rig, "order:1", "", 0));
    routed(&rig, "order:2", "", 0);
    rig_receipt(&rig, "shop", "orders/paid", NULL, "{}"); /* not routed yet */
    came(&rig, "order:1");
    CHECK_EQ(got.n, 2);
    CHECK_EQ(got.came[0].id, two);
    CHECK_EQ(got.came[1].id, one);
    came(&rig, "order:3");
    CHECK_EQ(got.n, 0);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_is_read_in_pages_with_the_time_up_to_which_they_are_whole),
        cmocka_unit_test(a_deadline_ends_once_and_may_begin_again),
        cmocka_unit_test(an_event_finds_what_it_may_end),
        cmocka_unit_test(events_that_came_before_are_found_by_their_subject_the_newest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
