#include "../check.h"

#include <stdlib.h>
#include "admin/api.h"

#define ALL (ASK_DELIVERIES | ASK_AFTER_EVENT | ASK_AFTER_DELIVERY | ASK_LIMIT)

static void percent_escapes_are_decoded_and_bad_ones_refused(void **state)
{
    char *s;

    (void)state;
    CHECK_STR(s = ask_decode(STR("a%2Fb+c"), true), "a/b c");
    free(s);
    CHECK_STR(s = ask_decode(STR("a%2fb+c"), false), "a/b+c");
    free(s);
    CHECK(ask_decode(STR("a%2"), true) == NULL);
    CHECK(ask_decode(STR("a%"), true) == NULL);
    CHECK(ask_decode(STR("%zz"), true) == NULL);
    CHECK(ask_decode(STR("%00"), true) == NULL);
}

static void a_query_fills_the_filter(void **state)
{
    struct store_filter f;
    struct fail fail = { 0 };

    (void)state;
    CHECK_EQ(ask_query(&f, ALL & ~ASK_AFTER_EVENT,
                       STR("state=dead&subject=order%3Aa%2F1&after=7.2&limit=5&"), &fail),
             0);
    CHECK_STR(f.state, "dead");
    CHECK_STR(f.subject, "order:a/1");
    CHECK_EQ(f.after, delivery_num(7, 2));
    CHECK_EQ(f.limit, 5);
    CHECK(f.endpoint == NULL);
    ask_finish(&f);
    CHECK_EQ(ask_query(&f, ASK_AFTER_EVENT, STR(""), &fail), 0);
    CHECK_EQ(f.limit, 100);
    ask_finish(&f);
}

static void a_time_is_a_moment_or_so_long_ago(void **state)
{
    struct store_filter f;
    int64_t ms = 0;

    (void)state;
    CHECK_EQ(ask_time("since", "2h", 10000000, &ms, NULL), 0);
    CHECK_EQ(ms, 10000000 - 7200000);
    CHECK_EQ(ask_time("since", "1970-01-01T00:00:01.5Z", 10000000, &ms, NULL), 0);
    CHECK_EQ(ms, 1500);
    CHECK_EQ(ask_time("since", "1970-01-01T01:00:02+01:00", 10000000, &ms, NULL), 0);
    CHECK_EQ(ms, 2000);
    CHECK_EQ(ask_time("since", "yesterday", 10000000, &ms, NULL), UV_EINVAL);
    CHECK_EQ(ask_query(&f, ALL, STR("error=No+such&until=2026-11-20T00:00:00Z"), NULL), 0);
    CHECK_STR(f.error, "No such");
    CHECK_EQ(f.until_ms, 1795132800000);
    CHECK_EQ(f.since_ms, 0);
    ask_finish(&f);
}

static void refused(unsigned allowed, const char *query, const char *why)
{
    struct store_filter f;
    struct fail fail = { 0 };

    CHECK_EQ(ask_query(&f, allowed, str_of(query), &fail), UV_EINVAL);
    if (!strstr(fail.text, why))
        fail_msg("\"%s\" said: %s", query, fail.text);
}

static void what_is_wrong_is_named_with_what_would_be_right(void **state)
{
    (void)state;
    refused(ASK_ENDPOINT | ASK_LIMIT, "topik=x", "\"topik\"; there are: endpoint, limit");
    refused(ASK_ENDPOINT, "topic=x", "unknown parameter \"topic\"");
    refused(ALL, "state=bogus", "must be one of ready, inflight");
    refused(ALL, "state=parked", "not \"parked\"");
    refused(ALL, "limit=0", "1 to 1000");
    refused(ALL, "limit=1001", "1 to 1000");
    refused(ALL, "limit=-1", "1 to 1000");
    refused(ALL, "limit=99999999999999999999999", "1 to 1000");
    refused(ALL, "limit=", "1 to 1000");
    refused(ASK_AFTER_EVENT, "after=1.0", "id of an event");
    refused(ASK_AFTER_EVENT, "after=0", "id of an event");
    refused(ASK_AFTER_DELIVERY, "after=1", "id of a delivery");
    refused(ALL, "endpoint=", "is empty");
    refused(ALL, "since=soon", "a duration such as 2h");
    refused(ALL, "until=", "a duration such as 2h");
    refused(ALL, "endpoint=a&endpoint=b", "twice");
    refused(ALL, "endpoint", "has no value");
    refused(ALL, "endpoint=%1", "malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_escapes_are_decoded_and_bad_ones_refused),
        cmocka_unit_test(a_query_fills_the_filter),
        cmocka_unit_test(a_time_is_a_moment_or_so_long_ago),
        cmocka_unit_test(what_is_wrong_is_named_with_what_would_be_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
