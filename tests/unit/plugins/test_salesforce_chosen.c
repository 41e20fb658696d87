/*
 * test_salesforce_chosen.c - records of which a person said which one they are.
 */
#include "salesforce_fixture.h"

#include <stdio.h>

#define ID_A   "0035g00000Tst01AAB"
#define RECORD SF_BASE "/services/data/v66.0/sobjects/Contact/" ID_A
#define BY_KEY SF_BASE "/services/data/v66.0/composite/sobjects/Contact/" SF_KEY
#define HEADER \
    "Sforce-Duplicate-Rule-Header: allowSave=true\nContent-Type: application/json; charset=UTF-8"
#define JSON(key) "{\"attributes\":{\"type\":\"Contact\"},\"" SF_KEY "\":\"" key "\"}"

/* As sf_deliver(); each body with what was chosen for it. */
static void deliver(struct sf_fixture *x, const char *const *bodies, const char *const *choices,
                    const char *token)
{
    static sl_str chosen[SF_MAX];
    size_t n = 0;

    for (; bodies[n]; n++) {
        x->records[n] = (sl_record){ .size = sizeof(sl_record),
                                     .attempt = 2,
                                     .delivery = fake_str("1.0"),
                                     .key = fake_str("k"),
                                     .body = fake_str(bodies[n]),
                                     .request = fake_str(bodies[n]) };
        chosen[n] = fake_str(choices[n]);
    }
    x->batch = (sl_batch){
        .size = sizeof(x->batch), .id = 7, .records = x->records, .n_records = n, .choices = chosen
    };
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_done_init(&x->done, x->host, n);
    if (token)
        x->plugin->resume(x->self, x->handle, &x->batch, fake_str(token), &x->done.done);
    else
        x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    CHECK(!x->done.finished);
}

static void expect_use(struct sf_fixture *x, const char *key, uint32_t status, const char *answer)
{
    static char bodies[8][200];
    static size_t n;
    char *body = bodies[n++ % 8];

    snprintf(body, sizeof(bodies[0]),
             "{\"attributes\":{\"type\":\"Contact\"},\"" SF_KEY "\":\"%s\"}", key);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = RECORD, .headers = HEADER, .body = body,
                .status = status, .answer = answer);
}

#define ONE(body, choice) SF_BODIES(body), SF_BODIES(choice), NULL

static void the_record_that_was_chosen_is_updated_and_gets_the_external_id(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_use(x, "a", 204, NULL);
    deliver(x, ONE(SF_ROW("a"), "use:" ID_A));
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
    CHECK_STR(x->done.outcomes[0].reference, ID_A);
    CHECK_STR(x->done.outcomes[0].link_kind[0], "salesforce:Contact");
    CHECK_STR(x->done.outcomes[0].link_id[0], ID_A);
}

static void a_new_one_is_saved_beside_its_duplicates(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .headers = HEADER,
                .body = "{\"allOrNone\":false,\"records\":[" JSON("a") "]}", .status = 200,
                .answer = "[{\"id\":\"" ID_A
                          "\",\"success\":true,\"errors\":[],\"created\":true}]");
    deliver(x, ONE(SF_ROW("a"), "create"));
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
    CHECK_STR(x->done.outcomes[0].reference, ID_A);
}

static void the_rest_of_the_batch_goes_its_usual_way(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    expect_use(x, "c", 204, NULL); /* the job has its bodies to read first */
    sf_expect_create(x, SF_ID);
    sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
    sf_expect_close(x, SF_JOB);
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK SF_B_OK, NULL, NULL);
    deliver(x, SF_BODIES(SF_ROW("c"), SF_ROW("a"), SF_ROW("b")),
            SF_BODIES("use:" ID_A, "", "something else"), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
    CHECK_STR(o[0].reference, ID_A);
    CHECK_STR(o[1].reference, "0035g00000Tst01AAB");
    CHECK_STR(o[2].reference, "0035g00000Tst02AAB");
}

static void after_a_restart_the_job_goes_on_without_them(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_use(x, "c", 204, NULL);
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK SF_B_OK, NULL, NULL);
    deliver(x, SF_BODIES(SF_ROW("c"), SF_ROW("a"), SF_ROW("b")), SF_BODIES("use:" ID_A, "", ""),
            SF_CLOSED);
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
}

static void refusals_have_their_meaning(void **state)
{
    static const struct {
        uint32_t status;
        const char *answer;
        uint32_t kind;
        const char *why;
    } table[] = {
        { 400,
          "[{\"errorCode\":\"REQUIRED_FIELD_MISSING\",\"message\":\"[LastName]\",\"fields\":["
          "\"LastName\"]}]",
          SL_REJECTED, "Contact needs LastName" },
        { 400, "[{\"errorCode\":\"UNABLE_TO_LOCK_ROW\",\"message\":\"x\"}]", SL_RETRY, "locked" },
        { 400, "[{\"errorCode\":\"DUPLICATES_DETECTED\",\"message\":\"x\"}]", SL_REVIEW,
          "duplicate" },
        { 404, SF_GONE, SL_REJECTED, "not there any more" },
        { 503, "<html>", SL_RETRY, "503" },
        { 429, "", SL_THROTTLED, "429" },
        { 400, "<html>", SL_REJECTED, "does not say why" },
    };
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        expect_use(x, "a", table[i].status, table[i].answer);
        deliver(x, ONE(SF_ROW("a"), "use:" ID_A));
        fake_host_run(x->host);
        sf_check_all(x, table[i].kind);
        if (table[i].kind == SL_RETRY && table[i].status == 400)
            CHECK_HAS(x->done.outcomes[0].why, "UNABLE_TO_LOCK_ROW");
        else
            CHECK_HAS(x->done.outcomes[0].why, table[i].why);
    }
}

static void an_answer_to_a_new_one_that_says_no_is_read_or_asked_for_again(void **state)
{
    static const struct {
        const char *answer;
        uint32_t kind;
    } table[] = {
        { "[{\"success\":false,\"errors\":[{\"statusCode\":\"DUPLICATES_DETECTED\",\"message\":"
          "\"blocked\",\"fields\":[]}]}]",
          SL_REVIEW },
        { "[{\"success\":false,\"errors\":[{\"statusCode\":\"STRING_TOO_LONG\",\"message\":\"x\"}]}]",
          SL_REJECTED },
        { "<html>", SL_RETRY },
        { "[]", SL_RETRY },
    };
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .status = 200,
                    .answer = table[i].answer);
        deliver(x, ONE(SF_ROW("a"), "create"));
        fake_host_run(x->host);
        sf_check_all(x, table[i].kind);
    }
}

static void an_endpoint_that_is_no_good_parks_and_leaves_them_as_they_are(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_use(x, "a", 403, "[{\"errorCode\":\"API_DISABLED_FOR_ORG\",\"message\":\"x\"}]");
    deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b")), SF_BODIES("use:" ID_A, "use:" ID_A), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished && x->done.parked);
    CHECK_EQ(x->done.outcomes[0].told + x->done.outcomes[1].told, 0);
}

static void a_body_that_cannot_be_sent_costs_no_call(void **state)
{
    struct sf_fixture *x = *state;

    deliver(x, ONE("{\"A\":[]}", "use:" ID_A));
    fake_host_run(x->host);
    sf_check_all(x, SL_REJECTED);
}

static void a_host_that_closes_meanwhile_frees_both_parts(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = RECORD, .never = true);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .never = true);
    deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b")), SF_BODIES("use:" ID_A, ""), NULL);
    fake_host_run(x->host);
    sf_close(x);
    CHECK(!x->done.finished);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_record_that_was_chosen_is_updated_and_gets_the_external_id),
        TEST(a_new_one_is_saved_beside_its_duplicates),
        TEST(the_rest_of_the_batch_goes_its_usual_way),
        TEST(after_a_restart_the_job_goes_on_without_them),
        TEST(refusals_have_their_meaning),
        TEST(an_answer_to_a_new_one_that_says_no_is_read_or_asked_for_again),
        TEST(an_endpoint_that_is_no_good_parks_and_leaves_them_as_they_are),
        TEST(a_body_that_cannot_be_sent_costs_no_call),
        TEST(a_host_that_closes_meanwhile_frees_both_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
