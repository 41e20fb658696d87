/*
 * What is left to the index behind one of its subject, while it is read from there: by a simulated
 * clock and store, at each of the moments that there are.
 */
#include "clock_rig.h"
#include "flow/behind.h"

#define WINDOW    2
#define FOLLOWERS 4
#define MOMENTS   60 /* turns of the loop: by then all are delivered */

static struct behind *behind_of(const struct clock_rig *r)
{
    return r->flow->chains ? r->flow->chains->behind : NULL;
}

/** One is held, more than a window follows it, and what there is no room for is in the index alone:
 *  no window has anything to read. */
static uint64_t set_up(struct clock_rig *r)
{
    clock_rig_init(r);
    r->config.window = WINDOW;
    clock_rig_route(r, "r", "t")->ordered = true;
    clock_rig_up(r);
    r->kind = SL_REVIEW;
    uint64_t first = clock_rig_event(r, "t", "a");
    while (clock_rig_row(r, first)->state != DS_HELD)
        world_turn(&r->w);
    r->kind = SL_DELIVERED;
    r->log[0] = '\0';
    for (int i = 0; i < FOLLOWERS; i++)
        clock_rig_event(r, "t", "a");
    clock_rig_pass(r, 10 * SEC);
    CHECK(behind_of(r) != NULL);
    CHECK(!r->flow->lanes[CRM]->windows[PRIORITY_NORMAL].spilled);
    return first;
}

/** Each once, in their order. */
static void check_log(const struct clock_rig *r, size_t n)
{
    unsigned long before = 0;
    size_t seen = 0;

    for (const char *p = r->log; *p; p = strchr(p, ' ') + 1, seen++) {
        unsigned long event = strtoul(p, NULL, 10);
        CHECK(event > before);
        before = event;
    }
    CHECK_EQ(seen, n);
}

static void what_comes_while_the_next_are_read_goes_in_its_turn(void **state)
{
    unsigned read_meanwhile = 0;

    (void)state;
    for (int moment = 0; moment < MOMENTS; moment++) {
        struct clock_rig r;
        uint64_t first = set_up(&r);
        bool meanwhile = false;
        clock_rig_begin_decide(&r, DECISION_RELEASE, first, NULL);
        for (int i = 0; i < moment; i++)
            world_turn(&r.w);
        clock_rig_begin_event(&r, "shop", "t", "a");
        for (int i = 0; i < MOMENTS; i++) {
            world_turn(&r.w);
            meanwhile |= behind_of(&r) && behind_of(&r)->asking && behind_of(&r)->more;
        }
        clock_rig_pass(&r, 60 * SEC);
        check_log(&r, 1 + FOLLOWERS + 1);
        CHECK_EQ(r.flow->n_behind, 0);
        read_meanwhile += meanwhile;
        clock_rig_finish(&r);
    }
    CHECK(read_meanwhile > 0); /* else it shows nothing */
}

static bool has_gone(const struct clock_rig *r, uint64_t num)
{
    char name[32];

    delivery_name(num, name);
    strcat(name, " ");
    return strstr(r->log, name) != NULL;
}

static void what_is_discarded_while_it_is_read_does_not_go(void **state)
{
    unsigned read_meanwhile = 0;

    (void)state;
    for (int moment = 0; moment < MOMENTS; moment++) {
        struct clock_rig r;
        uint64_t first = set_up(&r), last = delivery_num(r.last_event, 0);
        bool meanwhile = false;
        assert_null(flow_delivery(r.flow, last));
        clock_rig_begin_decide(&r, DECISION_RELEASE, first, NULL);
        for (int i = 0; i < moment; i++)
            world_turn(&r.w);
        clock_rig_begin_decide(&r, DECISION_DISCARD, last, NULL);
        for (int i = 0; i < MOMENTS; i++) {
            world_turn(&r.w);
            meanwhile |= behind_of(&r) && behind_of(&r)->asking && behind_of(&r)->again;
        }
        clock_rig_pass(&r, 60 * SEC);
        CHECK_EQ(clock_rig_row(&r, last)->state, has_gone(&r, last) ? DS_DELIVERED : DS_DISCARDED);
        check_log(&r, FOLLOWERS + has_gone(&r, last));
        read_meanwhile += meanwhile;
        clock_rig_finish(&r);
    }
    CHECK(read_meanwhile > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_while_the_next_are_read_goes_in_its_turn),
        cmocka_unit_test(what_is_discarded_while_it_is_read_does_not_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
