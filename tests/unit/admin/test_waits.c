/*
 * What the store tells of deliveries, with why they wait put in.
 */
#include "../check.h"

#include "admin/waits.h"

/** 1042.0 is asked for; the others are not in memory. */
static bool ask(void *ctx, uint64_t num, struct why *ret)
{
    uint64_t known;

    ++*(unsigned *)ctx;
    CHECK_EQ(delivery_parse(STR("1042.0"), &known), 0);
    if (num != known)
        return false;
    snprintf(ret->text, sizeof(ret->text), "byron is parked: \"no\"");
    ret->until_ms = 1763632800000;
    return true;
}

static void check_put(const char *json, const char *want, unsigned asked)
{
    struct buf out = { 0 };
    unsigned n = 0;

    waits_put(&out, str_of(json), ask, &n);
    CHECK_STR(out.data, want);
    CHECK_EQ(n, asked);
    buf_finish(&out);
}

#define PARKED                                                  \
    ",\"waits_for\":{\"text\":\"byron is parked: \\\"no\\\"\"," \
    "\"until\":\"2025-11-20T10:00:00.000Z\"}"

static void who_is_not_final_says_what_it_waits_for(void **state)
{
    (void)state;
    check_put("[{\"id\":\"1042.0\",\"state\":\"ready\"},{\"id\":\"1043.0\",\"state\":\"dead\"}]",
              "[{\"id\":\"1042.0\",\"state\":\"ready\"" PARKED
              "},{\"id\":\"1043.0\",\"state\":\"dead\"}]",
              1);
    check_put("[]", "[]", 0);
}

static void what_is_not_in_memory_waits_on_disk(void **state)
{
    (void)state;
    check_put(
        "{\"id\":\"7.0\",\"state\":\"ready\"}",
        "{\"id\":\"7.0\",\"state\":\"ready\",\"waits_for\":{\"text\":\"it waits on disk, behind "
        "older ones of its subject or of its lane\",\"until\":null}}",
        1);
}

static void attempts_moves_and_bodies_are_copied_as_they_are(void **state)
{
    (void)state;
    check_put(
        "{\"id\":\"1042.0\",\"state\":\"waiting\",\"body\":\"{\\\"id\\\":\\\"1042.0\\\"}\\\\\","
        "\"moves\":[{\"record\":1,\"state\":\"delivered\"}],\"reason\":\"state\",\"n\":1}",
        "{\"id\":\"1042.0\",\"state\":\"waiting\",\"body\":\"{\\\"id\\\":\\\"1042.0\\\"}\\\\\","
        "\"moves\":[{\"record\":1,\"state\":\"delivered\"}],\"reason\":\"state\",\"n\":1" PARKED
        "}",
        1);
    check_put("{\"id\":12,\"deliveries\":[{\"id\":\"1042.0\",\"state\":\"unknown\"}]}",
              "{\"id\":12,\"deliveries\":[{\"id\":\"1042.0\",\"state\":\"unknown\"" PARKED "}]}",
              1);
    check_put("{\"id\":\"1042.0\",\"state\":", "{\"id\":\"1042.0\",\"state\":", 0);
    check_put("{\"id\":\"", "{\"id\":\"", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_not_final_says_what_it_waits_for),
        cmocka_unit_test(what_is_not_in_memory_waits_on_disk),
        cmocka_unit_test(attempts_moves_and_bodies_are_copied_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
