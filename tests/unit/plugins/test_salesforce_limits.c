/*
 * test_salesforce_limits.c - what is left of the org's day: asked for, told to the host, drawn out
 * for people.
 */
#include "salesforce_fixture.h"

#include "org/usage.h"
#include "salesforce.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    (INT64_C(20000) * DAY)

/* ---- the day's use ------------------------------------------------------------------------- */

static void room_is_there_when_the_oldest_use_leaves_the_window(void **state)
{
    struct usage u = { 0 };

    (void)state;
    CHECK_EQ(usage_room_at(&u, 1, NOW), 0);
    usage_note(&u, 5000, NOW); /* when they came is not known */
    CHECK_EQ(usage_room_at(&u, 1, NOW + HOUR), 0);
    usage_note(&u, 5010, NOW + 2 * HOUR);
    usage_note(&u, 9000, NOW + 3 * HOUR);
    CHECK_EQ(usage_room_at(&u, 10, NOW + 4 * HOUR), NOW + DAY + 2 * HOUR + 30 * MINUTE);
    CHECK_EQ(usage_room_at(&u, 11, NOW + 4 * HOUR), NOW + DAY + 3 * HOUR + 30 * MINUTE);
    CHECK_EQ(usage_room_at(&u, 4001, NOW + 4 * HOUR), 0);
}

static void what_has_left_does_not_count_twice(void **state)
{
    struct usage u = { 0 };

    (void)state;
    usage_note(&u, 0, NOW);
    usage_note(&u, 100, NOW);
    usage_note(&u, 200, NOW + HOUR);
    usage_note(&u, 100, NOW + DAY + 31 * MINUTE); /* the first hundred have left */
    usage_note(&u, 150, NOW + DAY + 32 * MINUTE);
    CHECK_EQ(usage_room_at(&u, 1, NOW + DAY + 33 * MINUTE), NOW + DAY + HOUR + 30 * MINUTE);
    CHECK_EQ(usage_room_at(&u, 150, NOW + DAY + 33 * MINUTE),
             NOW + 2 * DAY + HOUR); /* 32 min past is of the half-hour that ends then */
    CHECK_EQ(usage_room_at(&u, 151, NOW + DAY + 33 * MINUTE), 0);
}

/* ---- /limits ------------------------------------------------------------------------------- */

#define ONE(name, max, left) "\"" name "\":{\"Max\":" max ",\"Remaining\":" left "}"
#define LIMITS                                                                                   \
    "{" ONE("DailyApiRequests", "100000", "99000") "," ONE(                                      \
        "DailyBulkApiBatches", "15000", "14990") ",\"Other\":{\"App\":{}}," ONE("DataStorageMB", \
                                                                                "1024", "7") "}"

static void the_figures_are_read_and_what_is_not_said_is_not_known(void **state)
{
    struct limits l = { 0 };

    (void)state;
    CHECK(limits_read(fake_str(LIMITS), &l));
    CHECK_EQ(l.calls_max, 100000);
    CHECK_EQ(l.calls_left, 99000);
    CHECK_EQ(l.batches_left, 14990);
    CHECK_EQ(l.query_jobs_left, -1);
    CHECK_EQ(l.storage_left_mb, 7);
    CHECK(limits_read(fake_str("{\"DailyApiRequests\":{\"Max\":\"x\",\"Remaining\":-7}}"), &l));
    CHECK_EQ(l.calls_max, -1);
    CHECK_EQ(l.calls_left, 0);
    CHECK(!limits_read(fake_str("[]"), &l));
    CHECK(!limits_read(fake_str("<html>"), &l));
    CHECK(!limits_read(fake_str(""), &l));
}

/* An endpoint that asks for its limits every minute; nothing else differs from the fixture's. */
static struct fake_setting settings[] = {
    { "instance", SF_BASE },     { "login", SF_LOGIN },
    { "auth.client_id", "key" }, { "auth.username", "sync@acme.example" },
    { "auth.key", NULL },        { "describe_every", "0s" },
    { "limits_every", "1m" },    { 0 },
};

static void expect_limits(struct fake_host *host, const char *headers)
{
    FAKE_EXPECT(host, .method = "GET", .url = SF_BASE "/services/data/v66.0/limits",
                .headers = SF_BEARER, .status = 200, .answer = LIMITS, .answer_headers = headers);
}

static void expect_busy_job(struct fake_host *host)
{
    FAKE_EXPECT(host, .method = "POST", .url = SF_JOBS, .status = 503);
}

struct asking {
    struct fake_host *host;
    void *self;
};

static void open_asking(struct asking *a, const struct sf_fixture *x)
{
    settings[4].value = sf_pem();
    a->host = fake_host_create("crm", x->plugin->settings, settings);
    a->self = fake_host_open(a->host, x->plugin);
}

static void close_asking(struct asking *a, const struct sf_fixture *x)
{
    fake_host_close(a->host, x->plugin, a->self);
    fake_host_destroy(a->host);
}

static void deliver_one(struct asking *a, const struct sf_fixture *x)
{
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("a")) };
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    struct fake_done done;

    fake_done_init(&done, a->host, 1);
    x->plugin->deliver(a->self, x->handle, &batch, &done.done);
    fake_host_run(a->host);
    CHECK(done.finished);
    fake_done_finish(&done);
}

static void limits_are_asked_with_the_first_traffic_and_then_at_their_time(void **state)
{
    struct sf_fixture *x = *state;
    struct asking a;
    const sl_budget *b;

    open_asking(&a, x);
    fake_host_run_for(a.host, 600000); /* no traffic, no question */
    FAKE_EXPECT(a.host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = SF_TOKEN);
    expect_limits(a.host, NULL);
    expect_busy_job(a.host);
    deliver_one(&a, x);
    b = fake_host_budget(a.host);
    CHECK_EQ(b->kind, SL_BUDGET_QUOTA);
    CHECK_EQ(b->limit, 100000);
    CHECK_EQ(b->remaining, 99000);
    CHECK_EQ(((struct salesforce *)a.self)->limits.batches_left, 14990); /* for the choice */

    expect_busy_job(a.host);
    deliver_one(&a, x); /* within the minute */
    fake_host_run_for(a.host, 61000);
    expect_limits(a.host, NULL);
    expect_busy_job(a.host);
    deliver_one(&a, x);
    close_asking(&a, x);
}

static void a_header_is_newer_than_what_limits_say(void **state)
{
    struct sf_fixture *x = *state;
    struct asking a;

    open_asking(&a, x);
    FAKE_EXPECT(a.host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = SF_TOKEN);
    expect_limits(a.host, "Sforce-Limit-Info: api-usage=40000/100000");
    expect_busy_job(a.host);
    deliver_one(&a, x);
    CHECK_EQ(fake_host_budget(a.host)->remaining, 60000);
    close_asking(&a, x);
}

static void limits_that_cannot_be_had_hold_nothing_up(void **state)
{
    struct sf_fixture *x = *state;
    struct asking a;

    open_asking(&a, x);
    FAKE_EXPECT(a.host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = SF_TOKEN);
    FAKE_EXPECT(a.host, .method = "GET", .status = 500);
    expect_busy_job(a.host);
    deliver_one(&a, x);
    CHECK(!((struct salesforce *)a.self)->limits.known);
    FAKE_EXPECT(a.host, .method = "POST", .url = SF_JOBS,
                .status = 503); /* and not at once again */
    deliver_one(&a, x);
    close_asking(&a, x);
}

/* ---- used up ------------------------------------------------------------------------------- */

#define TOTAL \
    "[{\"message\":\"TotalRequests Limit exceeded.\",\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\"}]"
#define CONCURRENT                                               \
    "[{\"message\":\"ConcurrentPerOrgLongTxn Limit exceeded.\"," \
    "\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\"}]"

static void a_day_that_is_used_up_parks_with_the_time_of_the_first_room(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 503,
                .answer_headers = "Sforce-Limit-Info: api-usage=90000/100000");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 503,
                .answer_headers = "Sforce-Limit-Info: api-usage=99000/100000");
    sf_deliver(x, SF_TWO, NULL); /* at 09:15: nine thousand came */
    fake_host_run(x->host);
    fake_host_run_for(x->host, 2 * HOUR);
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 403, .answer = TOTAL,
                .answer_headers = "Sforce-Limit-Info: api-usage=100000/100000");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK(x->done.parked);
    CHECK_EQ(x->done.park_after_ms, 900000);
    CHECK_HAS(x->done.park_why, "the org's daily API requests are used up");
    CHECK_HAS(x->done.park_why, "there is room again at about 09:30 UTC (in 1334 min)");
}

static void a_day_used_up_before_we_came_says_what_is_known(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 403, .answer = TOTAL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK(x->done.parked);
    CHECK_HAS(x->done.park_why, "24 hours after it came");
}

static void too_many_long_requests_wait_for_seconds_and_park_nothing(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 403, .answer = CONCURRENT);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK(!x->done.parked);
    sf_check_all(x, SL_THROTTLED);
    CHECK_EQ(x->done.outcomes[0].after_ms, 10000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_there_when_the_oldest_use_leaves_the_window),
        cmocka_unit_test(what_has_left_does_not_count_twice),
        cmocka_unit_test(the_figures_are_read_and_what_is_not_said_is_not_known),
        TEST(limits_are_asked_with_the_first_traffic_and_then_at_their_time),
        TEST(a_header_is_newer_than_what_limits_say),
        TEST(limits_that_cannot_be_had_hold_nothing_up),
        TEST(a_day_that_is_used_up_parks_with_the_time_of_the_first_room),
        TEST(a_day_used_up_before_we_came_says_what_is_known),
        TEST(too_many_long_requests_wait_for_seconds_and_park_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
