/*
 * The bucket against a remote that keeps a bucket of its own: both count, and between them lie
 * latencies. A minute of simulated time with always something to send; the remote counts what was
 * used of its budget and what it had to refuse.
 */
#include "../check.h"
#include "../rounds.h"
#include "base/rng.h"
#include "flow/bucket.h"

#define MINUTE  60000
#define AT_ONCE 64
#define SEEDS   ((unsigned)part_of(60))

enum figure { FIGURE_NONE, FIGURE_AT_ENTRY, FIGURE_AT_EXIT };

struct plan {
    enum bucket_kind kind;
    uint64_t rate_milli;
    uint32_t burst;
    uint32_t concurrency;
    uint32_t cost;          /* the first one of three; others cost as much, or half of it */
    uint64_t way_ms;        /* to the remote, at least; at most twice as much */
    uint64_t work_ms;       /* at the remote, at most */
    unsigned foreign;       /* percent of the rate that another client uses ... */
    uint32_t foreign_burst; /* ... and calls it makes at once before ... */
    uint64_t foreign_from;  /* ... and from when on */
    enum figure figure;
    uint64_t assumed_milli; /* rate in our configuration; 0: the right one */
    unsigned returns;       /* percent of a call's cost that the remote gives back at its end ... */
    unsigned judged;        /* percent of the cost that we take it for; 0: as it is */
};

struct call {
    uint64_t enters, exits;
    bool entered, refused;
    uint32_t cost, judged;
    int64_t left; /* millionths, as it was told */
    struct bucket_ticket ticket;
};

struct minute {
    struct plan p;
    struct bucket b;
    struct rng rng;
    int64_t level, most; /* millionths: the remote's */
    struct call calls[AT_ONCE];
    unsigned out;
    uint64_t others_due;
    unsigned used, refused, ours;
};

static int64_t whole(int64_t level)
{
    return level < 0 ? 0 : level / 1000000;
}

static void enter(struct minute *m, struct call *c)
{
    c->entered = true;
    if (m->level >= (int64_t)c->cost * 1000000) {
        m->level -= (int64_t)c->cost * 1000000;
        m->used += c->cost;
        m->ours += c->cost;
    } else {
        m->refused++;
        c->refused = true;
    }
    c->left = whole(m->level);
}

static void leave(struct minute *m, struct call *c, uint64_t now)
{
    uint32_t back = c->refused ? c->cost : c->cost * m->p.returns / 100;
    int64_t left;

    if (!c->refused) {
        m->level += (int64_t)back * 1000000;
        m->level = m->level > m->most ? m->most : m->level;
        m->used -= back;
        m->ours -= back;
    }
    left = (m->p.figure == FIGURE_AT_EXIT ? whole(m->level) : c->left) * 1000;
    bucket_jitter(&m->b, m->p.way_ms);
    bucket_heard(&m->b, &c->ticket);
    if ((m->p.returns || m->p.judged) && c->judged > c->cost - back)
        bucket_return(&m->b, (uint64_t)(c->judged - (c->cost - back)) * 1000, now);
    else if ((m->p.returns || m->p.judged) && c->judged < c->cost - back)
        bucket_charge(&m->b, c->cost - back - c->judged, now);
    if (c->refused)
        bucket_refused(&m->b, c->cost);
    if (m->p.figure != FIGURE_NONE)
        bucket_told(&m->b, &c->ticket, left,
                    (m->p.kind == BUCKET_REQUESTS ? 0 : BUCKET_TOLD_RAISE) |
                        (m->p.figure == FIGURE_AT_EXIT ? BUCKET_TOLD_LATE : 0),
                    now);
    *c = m->calls[--m->out];
}

static void others(struct minute *m, uint64_t now)
{
    uint64_t every = m->p.foreign ? 100000000 / (m->p.rate_milli * m->p.foreign) : 0;

    if (!every || now < m->others_due || m->level < 1000000)
        return; /* refused, it tries again at once */
    m->others_due += every;
    m->level -= 1000000;
    m->used++;
}

static void send(struct minute *m, uint64_t now)
{
    static uint32_t n;
    struct call *c = &m->calls[m->out];
    uint32_t cost = n++ % 3 ? (m->p.cost + 1) / 2 : m->p.cost;
    uint32_t judged = m->p.judged ? (cost * m->p.judged + 99) / 100 : cost;

    if (m->out == m->p.concurrency || bucket_take(&m->b, judged, now) != 0)
        return;
    m->out++;
    *c = (struct call){ .cost = cost,
                        .judged = judged,
                        .ticket = bucket_leave(&m->b, judged, 0, now) };
    c->enters = now + m->p.way_ms + rng_below(&m->rng, m->p.way_ms + 1);
    c->exits = c->enters + m->p.way_ms + rng_below(&m->rng, m->p.work_ms + 1);
}

static void turn(struct minute *m, uint64_t now)
{
    m->level += (int64_t)m->p.rate_milli;
    m->level = m->level > m->most ? m->most : m->level;
    others(m, now);
    for (unsigned i = 0; i < m->out; i++)
        if (!m->calls[i].entered && m->calls[i].enters <= now)
            enter(m, &m->calls[i]);
    for (unsigned i = 0; i < m->out; i++)
        if (m->calls[i].exits <= now)
            leave(m, &m->calls[i--], now);
    for (unsigned i = 0; i < m->p.concurrency; i++)
        send(m, now);
}

static void run_minute(struct minute *m, const struct plan *p, uint64_t seed)
{
    *m = (struct minute){ .p = *p, .others_due = p->foreign_from };
    rng_seed(&m->rng, seed);
    m->most = m->level = (int64_t)p->burst * 1000000;
    bucket_init(&m->b, p->assumed_milli ? p->assumed_milli : p->rate_milli, p->burst, 1);
    bucket_jitter(&m->b, p->way_ms);
    m->level -= (int64_t)p->foreign_burst * 1000000;
    m->used = p->foreign_burst;
    for (uint64_t now = 1; now <= MINUTE; now++)
        turn(m, now);
}

/** Percent of the budget that was used, in hundredths, in the worst of all; 0: a call was refused.
 */
static unsigned run(const char *name, const struct plan *p)
{
    uint64_t budget = p->burst + p->rate_milli * MINUTE / 1000000;
    unsigned worst = 10000, refused = 0;
    struct minute m;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_minute(&m, p, seed);
        unsigned pct = (unsigned)(m.used * UINT64_C(10000) / budget);
        worst = pct < worst ? pct : worst;
        refused += m.refused;
    }
    print_message("%-44s %3u.%02u %% of %lu used, %u by others, %u refused\n", name, worst / 100,
                  worst % 100, (unsigned long)budget, m.used - m.ours, refused);
    return refused ? 0 : worst;
}

static void check_later(const char *name, const struct plan *p)
{
    struct minute m;
    unsigned refused = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_minute(&m, p, seed);
        CHECK(m.refused <= p->concurrency);
        CHECK(m.used * 100 >= 98 * (p->burst + p->rate_milli * MINUTE / 1000000));
        refused += m.refused;
    }
    print_message("%-44s %u refused in %u minutes\n", name, refused, SEEDS);
}

#define CHECK_RUN(name, ...) CHECK(run(name, &(struct plan){ __VA_ARGS__ }) >= 9800)

static void a_rate_without_feedback_is_used_up_and_never_passed(void **state)
{
    (void)state;
    CHECK_RUN("requests, 5/s, burst 10", .kind = BUCKET_REQUESTS, .rate_milli = 5000, .burst = 10,
              .concurrency = 8, .cost = 1, .way_ms = 5, .work_ms = 100);
    CHECK_RUN("requests, 2/s, burst 2", .kind = BUCKET_REQUESTS, .rate_milli = 2000, .burst = 2,
              .concurrency = 4, .cost = 1, .way_ms = 4, .work_ms = 100);
    CHECK_RUN("requests, 50/s, burst 50", .kind = BUCKET_REQUESTS, .rate_milli = 50000, .burst = 50,
              .concurrency = 32, .cost = 1, .way_ms = 5, .work_ms = 200);
    CHECK_RUN("requests, 1/s, burst 1", .kind = BUCKET_REQUESTS, .rate_milli = 1000, .burst = 1,
              .concurrency = 4, .cost = 1, .way_ms = 5, .work_ms = 200);
}

static void a_leaky_bucket_alone_is_used_up_and_never_passed(void **state)
{
    (void)state;
    CHECK_RUN("leaky, 40 slots, 2/s", .kind = BUCKET_LEAKY, .rate_milli = 2000, .burst = 40,
              .concurrency = 8, .cost = 1, .way_ms = 20, .work_ms = 300, .figure = FIGURE_AT_ENTRY);
    CHECK_RUN("leaky, 40 slots, 2/s, told at exit", .kind = BUCKET_LEAKY, .rate_milli = 2000,
              .burst = 40, .concurrency = 8, .cost = 1, .way_ms = 20, .work_ms = 300,
              .figure = FIGURE_AT_EXIT);
    CHECK_RUN("leaky, 400 slots, 20/s", .kind = BUCKET_LEAKY, .rate_milli = 20000, .burst = 400,
              .concurrency = 16, .cost = 1, .way_ms = 20, .work_ms = 300,
              .figure = FIGURE_AT_ENTRY);
    CHECK_RUN("leaky, 400 slots, 20/s, thought to be 10", .kind = BUCKET_LEAKY, .rate_milli = 20000,
              .burst = 400, .concurrency = 32, .cost = 1, .way_ms = 20, .work_ms = 300,
              .figure = FIGURE_AT_ENTRY, .assumed_milli = 10000);
}

static void points_alone_are_used_up_and_never_passed(void **state)
{
    (void)state;
    CHECK_RUN("points, 1000, 50/s, cost 10", .kind = BUCKET_POINTS, .rate_milli = 50000,
              .burst = 1000, .concurrency = 8, .cost = 10, .way_ms = 20, .work_ms = 300,
              .figure = FIGURE_AT_EXIT);
    CHECK_RUN("points, 2000, 100/s, cost 13", .kind = BUCKET_POINTS, .rate_milli = 100000,
              .burst = 2000, .concurrency = 16, .cost = 13, .way_ms = 20, .work_ms = 300,
              .figure = FIGURE_AT_ENTRY);
}

static void another_client_that_eats_half_is_seen_and_left_room(void **state)
{
    (void)state;
    CHECK_RUN("leaky, 40 slots, 2/s, half eaten", .kind = BUCKET_LEAKY, .rate_milli = 2000,
              .burst = 40, .concurrency = 8, .cost = 1, .way_ms = 10, .work_ms = 100,
              .figure = FIGURE_AT_ENTRY, .foreign = 50, .foreign_burst = 20);
    CHECK_RUN("leaky, 40 slots, 2/s, half eaten, at exit", .kind = BUCKET_LEAKY, .rate_milli = 2000,
              .burst = 40, .concurrency = 8, .cost = 1, .way_ms = 10, .work_ms = 100,
              .figure = FIGURE_AT_EXIT, .foreign = 50, .foreign_burst = 20);
    CHECK_RUN("leaky, 400 slots, 20/s, half eaten", .kind = BUCKET_LEAKY, .rate_milli = 20000,
              .burst = 400, .concurrency = 16, .cost = 1, .way_ms = 20, .work_ms = 200,
              .figure = FIGURE_AT_ENTRY, .foreign = 50, .foreign_burst = 200);
    CHECK_RUN("points, 1000, 50/s, half eaten", .kind = BUCKET_POINTS, .rate_milli = 50000,
              .burst = 1000, .concurrency = 8, .cost = 10, .way_ms = 20, .work_ms = 200,
              .figure = FIGURE_AT_EXIT, .foreign = 50, .foreign_burst = 500);
    CHECK_RUN("requests, 5/s, burst 40, half eaten", .kind = BUCKET_REQUESTS, .rate_milli = 5000,
              .burst = 40, .concurrency = 8, .cost = 1, .way_ms = 10, .work_ms = 100,
              .figure = FIGURE_AT_ENTRY, .foreign = 50, .foreign_burst = 20);
}

/** A bucket that has run dry cannot know of the first one that another takes: what is
 *  out by then may be refused, and that is all. */
static void another_client_that_comes_later_costs_what_is_out_at_most(void **state)
{
    (void)state;
    check_later("leaky, 40 slots, 2/s, half from 20 s on",
                &(struct plan){ .kind = BUCKET_LEAKY,
                                .rate_milli = 2000,
                                .burst = 40,
                                .concurrency = 8,
                                .cost = 1,
                                .way_ms = 10,
                                .work_ms = 100,
                                .figure = FIGURE_AT_ENTRY,
                                .foreign = 50,
                                .foreign_from = 20000 });
    check_later("points, 1000, 50/s, half from 20 s on", &(struct plan){ .kind = BUCKET_POINTS,
                                                                         .rate_milli = 50000,
                                                                         .burst = 1000,
                                                                         .concurrency = 8,
                                                                         .cost = 10,
                                                                         .way_ms = 20,
                                                                         .work_ms = 200,
                                                                         .figure = FIGURE_AT_EXIT,
                                                                         .foreign = 50,
                                                                         .foreign_from = 20000 });
}

static void points_that_are_given_back_are_spent_again(void **state)
{
    (void)state;
    CHECK_RUN("points, 2000, 100/s, half given back", .kind = BUCKET_POINTS, .rate_milli = 100000,
              .burst = 2000, .concurrency = 8, .cost = 20, .way_ms = 20, .work_ms = 200,
              .figure = FIGURE_AT_EXIT, .returns = 50);
    CHECK_RUN("points, 2000, 100/s, half back, half eaten", .kind = BUCKET_POINTS,
              .rate_milli = 100000, .burst = 2000, .concurrency = 8, .cost = 20, .way_ms = 20,
              .work_ms = 200, .figure = FIGURE_AT_EXIT, .returns = 50, .foreign = 50,
              .foreign_burst = 1000);
    CHECK_RUN("points, 20000, 1000/s, most given back", .kind = BUCKET_POINTS,
              .rate_milli = 1000000, .burst = 20000, .concurrency = 32, .cost = 71, .way_ms = 20,
              .work_ms = 300, .figure = FIGURE_AT_EXIT, .returns = 70);
}

static void a_cost_that_is_misjudged_is_set_right_by_the_answer(void **state)
{
    (void)state;
    CHECK_RUN("points, 2000, 100/s, taken for dearer", .kind = BUCKET_POINTS, .rate_milli = 100000,
              .burst = 2000, .concurrency = 8, .cost = 20, .way_ms = 20, .work_ms = 200,
              .figure = FIGURE_AT_EXIT, .judged = 130);
    CHECK_RUN("points, 2000, 100/s, dearer, half eaten", .kind = BUCKET_POINTS,
              .rate_milli = 100000, .burst = 2000, .concurrency = 8, .cost = 20, .way_ms = 20,
              .work_ms = 200, .figure = FIGURE_AT_EXIT, .judged = 130, .foreign = 50,
              .foreign_burst = 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_without_feedback_is_used_up_and_never_passed),
        cmocka_unit_test(a_leaky_bucket_alone_is_used_up_and_never_passed),
        cmocka_unit_test(points_alone_are_used_up_and_never_passed),
        cmocka_unit_test(another_client_that_eats_half_is_seen_and_left_room),
        cmocka_unit_test(points_that_are_given_back_are_spent_again),
        cmocka_unit_test(a_cost_that_is_misjudged_is_set_right_by_the_answer),
        cmocka_unit_test(another_client_that_comes_later_costs_what_is_out_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
