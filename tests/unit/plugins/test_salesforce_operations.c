/*
 * test_salesforce_operations.c - insert, update and delete beside the upsert: what is asked for,
 * what is refused at bind, and which refusals of a row mean that it was done before.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREATE(op)                                    \
    "{\"object\":\"Contact\",\"operation\":\"" op     \
    "\",\"contentType\":\"CSV\",\"columnDelimiter\":" \
    "\"COMMA\",\"lineEnding\":\"LF\"}"
#define PARAMS(...) ((const struct fake_setting[]){ { "object", "Contact" }, __VA_ARGS__{ 0 } })

/* one id, as long and as short as it can be */
#define ID_A    "0035g00000Tst01AAB"
#define ID_A_15 "0035g00000Tst01"
#define ID_B    "0035g00000Tst02AAB"
#define ID_OK   "\"sf__Id\",\"sf__Created\",Id\n"
#define ID_FAIL "\"sf__Id\",\"sf__Error\",Id\n"

static void use_insert(struct sf_fixture *x)
{
    sf_use(x, "insert", PARAMS({ "external_id", SF_KEY }, { "unique", "true" }, ),
           CREATE("insert"));
}

static void use_update(struct sf_fixture *x)
{
    sf_use(x, "update", PARAMS(), CREATE("update"));
}

static void use_delete(struct sf_fixture *x)
{
    sf_use(x, "delete", PARAMS(), CREATE("delete"));
}

static void what_could_not_be_repeated_is_refused_at_bind(void **state)
{
    struct sf_fixture *x = *state;

    CHECK_HAS(sf_refusal(x, "insert", PARAMS({ "external_id", SF_KEY }, { "unique", "false" }, )),
              "use upsert");
    CHECK_HAS(sf_refusal(x, "insert", PARAMS({ "external_id", "a b" }, { "unique", "true" }, )),
              "is not an API name");
    CHECK_HAS(sf_refusal(x, "delete", PARAMS({ "hard", "true" }, )), "recycle bin");
    use_insert(x);
    use_update(x);
    use_delete(x);
}

static void
an_insert_that_was_done_before_is_delivered_with_the_record_that_has_its_key(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    use_insert(x);
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_KEY "\na\nb\nc\nd\n");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK,
                      SF_FAIL_HEAD "\"\",\"DUPLICATE_VALUE:duplicate value found: " SF_KEY
                                   " duplicates value on record with id: " ID_B
                                   ":--\",\"b\"\n"
                                   "\"\",\"DUPLICATE_VALUE:duplicate value found: Tax_Id__c"
                                   " duplicates value on record with id: " ID_B
                                   ":--\",\"c\"\n"
                                   "\"\",\"DUPLICATE_VALUE:duplicate value found: " SF_KEY
                                   " duplicates value on record with id: <unknown>:--\",\"d\"\n",
                      NULL);
    sf_deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("c"), SF_ROW("d")), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_DELIVERED);
    CHECK_STR(o[1].reference, ID_B);
    CHECK_STR(o[1].link_id[0], ID_B);
    CHECK_EQ(o[2].kind, SL_REJECTED); /* another field: another record is in the way */
    CHECK_EQ(o[3].kind, SL_RETRY);    /* ours, but which is it? */
}

static void the_same_refusal_of_an_upsert_is_a_race_and_tried_again(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK,
                      SF_FAIL_HEAD "\"\",\"DUPLICATE_VALUE:duplicate value found: " SF_KEY
                                   " duplicates value on record with id: " ID_B ":--\",\"b\"\n",
                      NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
}

static void an_update_joins_its_rows_by_id_however_long_it_is(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    use_update(x);
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, "Id,LastName\n" ID_A_15 ",A\n" ID_B ",B\n");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB,
                      "\"sf__Id\",\"sf__Created\",Id,LastName\n\"" ID_A "\",\"false\",\"" ID_A
                      "\",\"A\"\n",
                      "\"sf__Id\",\"sf__Error\",Id,LastName\n"
                      "\"" ID_B
                      "\",\"ENTITY_IS_DELETED:entity is deleted:--\",\"0035g00000Tst02\","
                      "\"B\"\n",
                      NULL);
    sf_deliver(x,
               SF_BODIES("{\"Id\":\"" ID_A_15 "\",\"LastName\":\"A\"}",
                         "{\"Id\":\"" ID_B "\",\"LastName\":\"B\"}",
                         "{\"Id\":\"" ID_A "\",\"LastName\":\"C\"}",
                         "{\"Id\":\"gid-7001\",\"LastName\":\"D\"}", "{\"LastName\":\"E\"}"),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_STR(o[0].reference, ID_A);
    CHECK_EQ(o[1].kind, SL_REJECTED); /* what is deleted cannot be updated */
    CHECK_EQ(o[2].kind, SL_RETRY);    /* the record of the first again */
    CHECK_EQ(o[2].not_sent, 1);
    CHECK_EQ(o[3].kind, SL_REJECTED);
    CHECK_HAS(o[3].why, "no id of Salesforce");
    CHECK_EQ(o[4].kind, SL_REJECTED);
}

static void ids_that_differ_in_case_alone_are_two_records(void **state)
{
    struct sf_fixture *x = *state;

    use_update(x);
#define KEY_OF(body) x->plugin->row_key(x->self, x->handle, fake_str(body))
    CHECK_VIEW(KEY_OF("{\"Id\":\"" ID_A_15 "\"}"), "0035g00000tst01aab");
    CHECK_VIEW(KEY_OF("{\"Id\":\"" ID_A "\"}"), "0035g00000tst01aab");
    CHECK_VIEW(KEY_OF("{\"Id\":\"0035g00000tst01\"}"), "0035g00000tst01aaa");
}

static void a_delete_sends_ids_alone_and_takes_what_is_gone_for_done(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    use_delete(x);
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, "Id\n" ID_A "\n" ID_B "\n0035g00000Tst03AAB\n");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, ID_OK "\"" ID_A "\",\"false\",\"" ID_A "\"\n",
                      ID_FAIL "\"" ID_B "\",\"ENTITY_IS_DELETED:entity is deleted:--\",\"" ID_B
                              "\"\n\"\",\"INVALID_CROSS_REFERENCE_KEY:invalid cross reference "
                              "id:--\",\"0035g00000Tst03AAB\"\n",
                      NULL);
    sf_deliver(x,
               SF_BODIES("{\"Id\":\"" ID_A "\"}", "{\"Id\":\"" ID_B "\"}",
                         "{\"Id\":\"0035g00000Tst03AAB\"}",
                         "{\"Id\":\"0035g00000Tst04AAB\",\"LastName\":\"x\"}"),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_DELIVERED);
    CHECK_STR(o[1].reference, ID_B);
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_EQ(o[3].kind, SL_REJECTED);
    CHECK_HAS(o[3].why, "leave out LastName");
}

static void an_insert_takes_no_id(void **state)
{
    struct sf_fixture *x = *state;

    use_insert(x);
    sf_deliver(x, SF_BODIES("{\"" SF_KEY "\":\"a\",\"Id\":\"" ID_A "\"}"), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_REJECTED);
    CHECK_HAS(x->done.outcomes[0].why, "Salesforce gives it");
}

static void an_upsert_by_an_external_id_takes_no_id_beside_it(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const transports[] = { "bulk", "collections" };

    for (size_t i = 0; i < 2; i++) {
        sf_use(x, "upsert", PARAMS({ "external_id", SF_KEY }, { "transport", transports[i] }, ),
               CREATE("upsert"));
        sf_deliver(x, SF_BODIES("{\"" SF_KEY "\":\"a\",\"id\":\"" ID_A "\"}"), NULL);
        fake_host_run(x->host);
        sf_check_all(x, SL_REJECTED);
        CHECK_HAS(x->done.outcomes[0].why, "takes no Id beside it");
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_could_not_be_repeated_is_refused_at_bind),
        TEST(an_insert_that_was_done_before_is_delivered_with_the_record_that_has_its_key),
        TEST(the_same_refusal_of_an_upsert_is_a_race_and_tried_again),
        TEST(an_update_joins_its_rows_by_id_however_long_it_is),
        TEST(ids_that_differ_in_case_alone_are_two_records),
        TEST(a_delete_sends_ids_alone_and_takes_what_is_gone_for_done),
        TEST(an_insert_takes_no_id),
        TEST(an_upsert_by_an_external_id_takes_no_id_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
