/*
 * Every status and every way to fail says whether the remote can have acted.
 */
#include "../check.h"
#include "rest.h"

static void check(uint32_t from, uint32_t to, uint32_t kind)
{
    for (uint32_t status = from; status <= to; status++) {
        sl_http_answer a = { .size = sizeof(a), .status = status, .retry_after_ms = -1 };
        if (rest_meaning_of_status(&a).kind != kind)
            fail_msg("%u is %u, wanted %u", status, rest_meaning_of_status(&a).kind, kind);
    }
}

static void every_status_has_its_meaning(void **state)
{
    (void)state;
    check(100, 299, MEANS_PERHAPS);
    check(300, 400, SL_REJECTED);
    check(401, 403, MEANS_PARK);
    check(404, 407, SL_REJECTED);
    check(408, 408, MEANS_PERHAPS);
    check(409, 418, SL_REJECTED);
    check(419, 419, SL_THROTTLED);
    check(420, 422, SL_REJECTED);
    check(423, 423, MEANS_PARK);
    check(424, 424, SL_REJECTED);
    check(425, 425, MEANS_PERHAPS);
    check(426, 428, SL_REJECTED);
    check(429, 429, SL_THROTTLED);
    check(430, 430, MEANS_PARK);
    check(431, 499, SL_REJECTED);
    check(500, 500, MEANS_PERHAPS);
    check(501, 501, SL_REJECTED);
    check(502, 599, MEANS_PERHAPS);
    check(600, 999, MEANS_PERHAPS);
}

static void a_503_that_says_when_to_come_again_does_nothing_now(void **state)
{
    sl_http_answer a = { .size = sizeof(a), .status = 503, .retry_after_ms = 0 };

    (void)state;
    CHECK_EQ(rest_meaning_of_status(&a).kind, MEANS_BUSY);
    a.status = 502;
    CHECK_EQ(rest_meaning_of_status(&a).kind, MEANS_PERHAPS);
}

static void after_the_first_byte_all_is_possible_before_it_nothing_happened(void **state)
{
    static const int32_t errors[] = { SL_E_NETWORK,  SL_E_TIMEOUT, SL_E_DNS,
                                      SL_E_PROTOCOL, SL_E_LIMIT,   SL_E_CANCELLED,
                                      SL_E_TLS,      SL_E_INVALID, SL_E_NO_MEMORY };

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        sl_http_answer a = { .size = sizeof(a), .error = errors[i], .sent = 1 };
        CHECK_EQ(rest_meaning_of_error(&a).kind, MEANS_PERHAPS);
        a.sent = 0;
        CHECK_EQ(rest_meaning_of_error(&a).kind, errors[i] == SL_E_TLS       ? MEANS_PARK
                                                 : errors[i] == SL_E_INVALID ? MEANS_INVALID
                                                                             : SL_RETRY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_meaning),
        cmocka_unit_test(a_503_that_says_when_to_come_again_does_nothing_now),
        cmocka_unit_test(after_the_first_byte_all_is_possible_before_it_nothing_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
