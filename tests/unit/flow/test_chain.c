/*
 * test_chain.c - whose turn it is among those of one route, subject and piece, whatever the order
 * in which they come to memory; and what of them stands in a pile. No store, and no clock.
 */
#include "../check.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/chain.h"

static const sl_action actions[] = { { .name = "send", .batch_records = 1 }, { 0 } };
static const sl_plugin plugin = { .size = sizeof(plugin), .name = "fake", .actions = actions };

struct rig {
    uv_loop_t loop;
    struct config config;
    struct conf_endpoint endpoint;
    struct adapter adapter;
    struct conf_target target;
    struct conf_route route, other; /* both ordered, to one endpoint */
    struct flow *flow;
    struct lane lane;
};

static struct rig *rig_new(void)
{
    struct rig *r = mem_zero(sizeof(*r));
    struct flow *f = mem_zero(sizeof(*f));

    uv_loop_init(&r->loop);
    r->endpoint = (struct conf_endpoint){ .name = (char *)"crm", .plugin = &plugin, .burst = 1 };
    r->config = (struct config){ .window = 100, .endpoints = &r->endpoint, .n_endpoints = 1 };
    r->adapter = (struct adapter){ .plugin = &plugin, .open = true, .conf = &r->endpoint };
    r->target = (struct conf_target){ .kind = TARGET_SEND, .endpoint = &r->endpoint };
    r->route = (struct conf_route){
        .name = (char *)"r", .targets = &r->target, .n_targets = 1, .ordered = true
    };
    r->other = r->route;
    r->other.name = (char *)"other";
    *f = (struct flow){ .loop = &r->loop, .config = &r->config, .started = true, .handles = 1 };
    list_init(&f->earlier);
    list_init(&f->latest_used);
    r->flow = f;
    lane_init(&r->lane, f, &r->adapter);
    return r;
}

static void rig_end(struct rig *r)
{
    struct delivery *d, *tmp;

    HASH_ITER (hh, r->flow->deliveries, d, tmp)
        lane_remove(d);
    CHECK(!r->flow->chains);
    lane_finish(&r->lane);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&r->loop), 0);
    free(r->flow);
    free(r);
}

static struct delivery *make(struct rig *r, const struct conf_route *route, unsigned event,
                             const char *subject, enum delivery_state state)
{
    struct delivery *d = mem_zero(sizeof(*d));

    d->num = delivery_num(event, 0);
    d->state = state;
    d->priority = PRIORITY_NORMAL;
    d->route = route;
    d->target = &r->target;
    d->subject = mem_str(subject);
    d->piece = mem_str("");
    d->topic = mem_str("t");
    d->body_len = 10;
    lane_add(&r->lane, d);
    return d;
}

/** Ready, and of route "r". */
static struct delivery *add(struct rig *r, unsigned event, const char *subject)
{
    return make(r, &r->route, event, subject, DS_READY);
}

static bool may_leave(const struct delivery *d)
{
    return !list_empty(&d->pile_node);
}

/** What stands in piles: as many as there are, and their bytes. */
static void check_piled(const struct rig *r, size_t want)
{
    size_t n = 0, said = 0;
    uint64_t bytes = 0;

    list_each (i, &r->lane.piles) {
        const struct pile *p = list_entry(i, struct pile, node);
        said += p->n;
        bytes += p->bytes;
        list_each (k, &p->ready)
            n++;
    }
    CHECK_EQ(n, want);
    CHECK_EQ(said, want);
    CHECK_EQ(bytes, 10 * want);
}

static struct chain *chain_of(const struct rig *r, const char *subject)
{
    return chain_find(r->flow, &r->route, str_of(subject), STR(""));
}

/* ---- turns ---- */

static void what_is_older_goes_first_although_it_comes_later(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    struct delivery *d5 = add(r, 5, "a");
    CHECK(may_leave(d5));
    struct delivery *d3 = add(r, 3, "a"); /* read back from the index, or sent again */
    CHECK(may_leave(d3) && !may_leave(d5));
    struct delivery *d4 = add(r, 4, "a"), *d9 = add(r, 9, "a");
    CHECK(may_leave(d3) && !may_leave(d4) && !may_leave(d5) && !may_leave(d9));
    CHECK(chain_last(r->flow, &r->route, STR("a"), STR("")) == d9);
    check_piled(r, 1);
    lane_remove(d5); /* out of the middle: nobody's turn comes by it */
    CHECK(may_leave(d3) && !may_leave(d4) && !may_leave(d9));
    lane_remove(d3);
    CHECK(may_leave(d4) && !may_leave(d9));
    lane_remove(d4);
    CHECK(may_leave(d9));
    rig_end(r);
}

static void one_that_waits_keeps_its_own_subject_back_and_no_other(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    struct delivery *a1 = make(r, &r->route, 1, "a", DS_WAITING);
    struct delivery *held = make(r, &r->route, 2, "h", DS_HELD);
    struct delivery *a3 = add(r, 3, "a"), *b4 = add(r, 4, "b"), *h5 = add(r, 5, "h");
    struct delivery *other = make(r, &r->other, 6, "a", DS_READY);
    CHECK(!may_leave(a1) && !may_leave(a3) && !may_leave(held) && !may_leave(h5));
    CHECK(may_leave(b4) && may_leave(other));
    lane_enter(held, DS_DISCARDED);
    lane_place(held);
    CHECK(may_leave(h5));
    lane_enter(a1, DS_READY);
    lane_place(a1);
    CHECK(may_leave(a1) && !may_leave(a3));
    rig_end(r);
}

static void without_order_or_a_subject_nobody_waits(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    r->other.ordered = false;
    struct delivery *d[] = { make(r, &r->other, 1, "a", DS_READY),
                             make(r, &r->other, 2, "a", DS_READY), add(r, 3, ""), add(r, 4, "") };
    for (size_t i = 0; i < 4; i++)
        CHECK(may_leave(d[i]) && !d[i]->chain);
    check_piled(r, 4);
    CHECK(!r->flow->chains);
    CHECK(!chain_last(r->flow, &r->other, STR("a"), STR("")));
    CHECK(!chain_find(r->flow, NULL, STR("a"), STR("")));
    rig_end(r);
}

static void a_name_that_ends_where_another_begins_is_another_name(void **state)
{
    struct conf_route a = { .name = (char *)"a" }, ab = { .name = (char *)"ab" };
    uint8_t keys[6][16];

    (void)state;
    chain_key(&a, STR("bc"), STR(""), keys[0]);
    chain_key(&ab, STR("c"), STR(""), keys[1]);
    chain_key(&a, STR("b"), STR("c"), keys[2]);
    chain_key(&ab, STR(""), STR("c"), keys[3]);
    chain_key(&a, STR("b\0c"), STR(""), keys[4]);
    chain_key(&a, STR(""), STR("bc"), keys[5]);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            CHECK(memcmp(keys[i], keys[k], 16) != 0);
}

/* ---- who may be in a pile ---- */

static void to_be_put_into_a_pile_twice_counts_once(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    struct delivery *d = add(r, 1, "a"), *next = add(r, 2, "a");
    pile_add(d);
    pile_add(next);
    check_piled(r, 1);
    pile_take(next);
    pile_take(d);
    pile_take(d);
    check_piled(r, 0);
    pile_add(d);
    check_piled(r, 1);
    rig_end(r);
}

static void what_somebody_is_at_does_not_leave_nor_does_its_follower(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    struct delivery *d = add(r, 1, "a"), *next = add(r, 2, "a");
    d->settling = true;
    lane_place(d);
    CHECK(!may_leave(d) && !may_leave(next));
    d->settling = false;
    d->deciding = true;
    lane_place(d);
    CHECK(!may_leave(d) && !may_leave(next));
    d->deciding = false;
    d->target = NULL; /* its route is gone */
    pile_add(d);
    CHECK(!may_leave(d));
    d->target = &r->target;
    d->gates_passed--; /* it waits for another one's delivery */
    pile_add(d);
    CHECK(!may_leave(d));
    lane_place(d);
    CHECK(may_leave(d) && !may_leave(next));
    rig_end(r);
}

/* ---- on_dead: block ---- */

static void a_dead_letter_blocks_what_came_after_it_and_nothing_before(void **state)
{
    struct rig *r = rig_new();
    uint8_t key[16];

    (void)state;
    r->route.on_dead = ON_DEAD_BLOCK;
    chain_key(&r->route, STR("a"), STR(""), key);
    chain_blocked(r->flow, key, delivery_num(7, 0)); /* nothing of it is in memory */
    CHECK(!r->flow->chains);
    struct delivery *d5 = add(r, 5, "a"), *d9 = add(r, 9, "a");
    chain_blocked(r->flow, key, delivery_num(7, 0));
    CHECK(may_leave(d5) && !may_leave(d9));
    lane_remove(d5);
    CHECK(!may_leave(d9));
    d5 = add(r, 5, "a"); /* sent again: it is older than the dead one */
    CHECK(may_leave(d5));
    chain_blocked(r->flow, key, delivery_num(3, 0));
    CHECK(!may_leave(d5) && !may_leave(d9));
    check_piled(r, 0);
    chain_blocked(r->flow, key, 0);
    CHECK(may_leave(d5) && !may_leave(d9));
    chain_blocked(r->flow, key, 0);
    check_piled(r, 1);
    rig_end(r);
}

static void where_dead_letters_do_not_block_one_changes_nothing(void **state)
{
    struct rig *r = rig_new();
    uint8_t key[16];

    (void)state;
    chain_key(&r->route, STR("a"), STR(""), key);
    struct delivery *d = add(r, 5, "a");
    chain_blocked(r->flow, key, delivery_num(3, 0));
    CHECK(may_leave(d));
    d->route = NULL; /* a reload took it: no route, no rule */
    chain_blocked(r->flow, key, delivery_num(2, 0));
    CHECK(may_leave(d));
    d->route = &r->route;
    rig_end(r);
}

/* ---- what is in the index alone ---- */

static void what_is_in_the_index_alone_keeps_back_what_is_newer(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    struct delivery *d3 = add(r, 3, "a"), *d8 = add(r, 8, "a");
    struct chain *c = chain_of(r, "a");
    behind_note(c, d3, delivery_num(5, 0));
    CHECK(may_leave(d3));
    CHECK(behind_keeps(r->flow, &r->route, STR("a"), STR(""), delivery_num(6, 0)));
    CHECK(!behind_keeps(r->flow, &r->route, STR("a"), STR(""), delivery_num(4, 0)));
    CHECK(!behind_keeps(r->flow, &r->route, STR("b"), STR(""), delivery_num(6, 0)));
    c->behind->asking = true; /* as it will be, when its first leaves */
    lane_remove(d3);
    CHECK(!may_leave(d8)); /* 5 goes before it */
    behind_note(c, d8, delivery_num(4, 0));
    CHECK_EQ(c->behind->from, delivery_num(4, 0));
    CHECK(c->behind->again); /* what is being answered says nothing of it */
    c->behind->asking = false;
    behind_forget(c);
    pile_add(d8);
    CHECK(may_leave(d8));
    CHECK_EQ(r->flow->n_behind, 0);
    rig_end(r);
}

/* What is read behind it is asked nothing more, if there can be none before. */
static void a_chain_that_a_window_left_some_of_out_is_not_known_whole(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    struct delivery *d3 = add(r, 3, "a");
    struct window *w = &d3->lane->windows[d3->priority];
    struct chain *c = chain_of(r, "a");
    w->last = delivery_num(8, 0);
    behind_note(c, d3, delivery_num(8, 0));
    CHECK(c->behind->whole);
    behind_forget(c);
    w->out_from = delivery_num(5, 0); /* of whatever chain: 5 may be of this one */
    behind_note(c, d3, delivery_num(8, 0));
    CHECK(!c->behind->whole);
    behind_note(c, d3, delivery_num(4, 0));
    CHECK(c->behind->whole);
    behind_forget(c);
    w->out_from = w->last = 0;
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_goes_first_although_it_comes_later),
        cmocka_unit_test(one_that_waits_keeps_its_own_subject_back_and_no_other),
        cmocka_unit_test(without_order_or_a_subject_nobody_waits),
        cmocka_unit_test(a_name_that_ends_where_another_begins_is_another_name),
        cmocka_unit_test(to_be_put_into_a_pile_twice_counts_once),
        cmocka_unit_test(what_somebody_is_at_does_not_leave_nor_does_its_follower),
        cmocka_unit_test(a_dead_letter_blocks_what_came_after_it_and_nothing_before),
        cmocka_unit_test(where_dead_letters_do_not_block_one_changes_nothing),
        cmocka_unit_test(what_is_in_the_index_alone_keeps_back_what_is_newer),
        cmocka_unit_test(a_chain_that_a_window_left_some_of_out_is_not_known_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
