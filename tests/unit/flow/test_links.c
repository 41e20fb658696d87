/*
 * test_links.c - events of which only a reference is known: each is routed once, by the first link
 * that says what it is about, whatever the restart between them meets.
 */
#include "clock_rig.h"

enum { LATE, LINKER };

static struct clock_rig rig;
static unsigned questions_fail; /* so many of those for what waits for a link */

int __real_store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                          void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n),
                          void *ctx);
int __wrap_store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                          void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n),
                          void *ctx);

int __wrap_store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                          void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n),
                          void *ctx)
{
    if (waiting && questions_fail) {
        if (!--questions_fail) /* a second after the start, and a second before the next one */
            clock_rig_begin_event(&rig, "crm", "t", "- ref 8");
        return UV_ENOMEM;
    }
    return __real_store_unrouted(s, waiting, after, limit, cb, ctx);
}

/** Route "late" has events of which a link of "crm" says what they are about; "linker" writes one.
 */
static struct clock_rig *setup(void)
{
    clock_rig_init(&rig);
    clock_rig_route(&rig, "late", "t")->from_endpoint = "crm";
    clock_rig_route(&rig, "linker", "link");
    clock_rig_up(&rig);
    return &rig;
}

/** It is delivered, and writes the link with this id. */
static void link_to(struct clock_rig *r, const char *id)
{
    r->link = id;
    clock_rig_event(r, "link", "a");
    clock_rig_pass(r, SEC);
    r->link = NULL;
}

static void test_what_waits_is_routed_by_its_link_after_a_restart(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t late = clock_rig_event_of(r, "crm", "t", "- ref 7");
    clock_rig_crash(r);
    clock_rig_up(r);
    clock_rig_pass(r, SEC);
    assert_null(clock_rig_row(r, late));
    link_to(r, "7");
    CHECK_EQ(clock_rig_row(r, late)->state, DS_DELIVERED);
    CHECK_EQ(r->delivers, 2);
    clock_rig_finish(r);
}

static void test_what_comes_while_the_restart_asks_again_is_routed_once(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    uint64_t before = clock_rig_event_of(r, "crm", "t", "- ref 7");
    clock_rig_crash(r);
    questions_fail = 2;
    clock_rig_up(r);
    clock_rig_pass(r, SEC);
    CHECK_EQ(questions_fail, 0);
    uint64_t meanwhile = delivery_num(r->last_event, 0);
    CHECK(meanwhile > before);
    CHECK_EQ(router_waiting(&r->flow->router), 2);
    link_to(r, "7");
    link_to(r, "8");
    CHECK_EQ(clock_rig_row(r, before)->state, DS_DELIVERED);
    CHECK_EQ(clock_rig_row(r, meanwhile)->state, DS_DELIVERED);
    CHECK_EQ(r->delivers, 4); /* these two, and each one's link */
    clock_rig_finish(r);
}

/* It is in the log, and that it waits is not yet: the start routes it, and then finds it waiting.
 */
static void test_what_begins_to_wait_while_the_restart_asks_again_is_routed_once(void **state)
{
    struct clock_rig *r = setup();

    (void)state;
    store_sim_crash_after(r->store, 1);
    clock_rig_begin_event(r, "crm", "t", "- ref 7");
    clock_rig_pass(r, 200);
    clock_rig_crash(r);
    questions_fail = 2;
    clock_rig_up(r);
    clock_rig_pass(r, SEC + 500);
    CHECK_EQ(questions_fail, 0);
    CHECK_EQ(router_waiting(&r->flow->router), 2); /* and the one that came meanwhile */
    clock_rig_pass(r, SEC);
    CHECK(!r->flow->router.begun_here);
    link_to(r, "7");
    CHECK_EQ(r->delivers, 2); /* it, and the link's own */
    clock_rig_finish(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits_is_routed_by_its_link_after_a_restart),
        cmocka_unit_test(test_what_comes_while_the_restart_asks_again_is_routed_once),
        cmocka_unit_test(test_what_begins_to_wait_while_the_restart_asks_again_is_routed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
