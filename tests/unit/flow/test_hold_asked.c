/*
 * test_hold_asked.c - what an adapter asks a person, and the answer it gets back: as texts, and
 * over the whole way through the flow, a crash included.
 */
#include <jansson.h>

#include "flow/hold_asked.h"
#include "flow_rig.h"

#define USUAL \
    "\"choices\":[{\"name\":\"release\",\"do\":\"release\"},{\"name\":\"reject\",\"do\":\"reject\"}]"
#define TWO                                                                                          \
    "[{\"name\":\"use:003A\",\"text\":\"it is \\\"Ada\\\"\",\"do\":\"release\"},{\"do\":\"reject\"," \
    "\"name\":\"drop\",\"more\":7}]"

/* ---- the detail ---- */

static char type[64];

/** What becomes of it; own. */
static char *asked(const char *hold_type, const char *choices, const char *evidence)
{
    struct lane lane = { .name = (char *)"crm" };
    struct conf_route route = { .name = (char *)"r", .owner = (char *)"crm-team" };
    struct delivery d = { .lane = &lane, .route = &route };
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_REVIEW,
                     .hold_type = str_of(hold_type),
                     .choices = str_of(choices),
                     .evidence = str_of(evidence) };
    char *t, *detail;

    hold_asked(&d, &o, &t, &detail);
    snprintf(type, sizeof(type), "%s", t);
    free(t);
    return detail;
}

static void check_asked(const char *hold_type, const char *choices, const char *evidence,
                        const char *want_type, const char *want)
{
    char *detail = asked(hold_type, choices, evidence);
    json_t *j = json_loads(detail, 0, NULL);

    CHECK_STR(type, want_type);
    CHECK_STR(detail, want);
    CHECK(j != NULL);
    json_decref(j);
    free(detail);
}

static void test_a_question_carries_its_type_owner_choices_and_evidence(void **state)
{
    (void)state;
    check_asked("contact-merge", TWO, "{\"total\":0.10}", "contact-merge",
                "{\"hold\":\"contact-merge\",\"owner\":\"crm-team\",\"asked_by\":\"crm\","
                "\"choices\":[{\"name\":\"use:003A\",\"do\":\"release\",\"text\":\"it is "
                "\\\"Ada\\\"\"},{\"name\":\"drop\",\"do\":\"reject\"}],"
                "\"evidence\":{\"total\":0.10}}");
    check_asked("", "", "", "review",
                "{\"hold\":\"review\",\"owner\":\"crm-team\",\"asked_by\":\"crm\"," USUAL "}");
}

static void test_choices_of_another_form_leave_the_usual_two(void **state)
{
    static const char *const odd[] = {
        "7",
        "{}",
        "[]",
        "[{\"name\":\"a\"}]",
        "[{\"name\":\"a\",\"do\":\"explode\"}]",
        "[{\"name\":\"\",\"do\":\"reject\"}]",
        "[{\"name\":\"a\\u001b[2J\",\"do\":\"reject\"}]",
        "[{\"name\":\"a\",\"text\":\"b\\nc\",\"do\":\"reject\"}]",
        "[{\"name\":\"a\",\"do\":\"reject\",\"do\":\"release\"}]",
        "[{\"name\":\"a\",\"do\":\"reject\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        check_asked("duplicate", odd[i], "", "duplicate",
                    "{\"hold\":\"duplicate\",\"owner\":\"crm-team\",\"asked_by\":\"crm\"," USUAL
                    "}");
}

static void test_types_of_the_flow_itself_are_not_an_adapters_to_give(void **state)
{
    static const char *const bad[] = { "interlock", "unknown-outcome",
                                       "fallback",  "orphaned",
                                       "restored",  "poison",
                                       "Merge",     "a b",
                                       "\"",        "a-type-that-is-much-longer-than-forty-bytes" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        free(asked(bad[i], "", ""));
        CHECK_STR(type, "review");
    }
}

static void test_evidence_that_cannot_be_shown_is_said_to_lack(void **state)
{
    char *long_one = malloc(20000), *detail;

    (void)state;
    memset(long_one, '1', 19999);
    long_one[19999] = '\0';
    detail = asked("duplicate", "", long_one);
    CHECK_HAS(detail, "\"evidence_lacks\":\"it is longer than 16 KiB\"}");
    free(detail);
    detail = asked("duplicate", "", "{\"a\":");
    CHECK_HAS(detail, "\"evidence_lacks\":\"what the adapter gave is not JSON\"}");
    free(detail);
    free(long_one);
}

static void test_an_outcome_of_an_older_plugin_has_nothing_behind_its_end(void **state)
{
    struct lane lane = { .name = (char *)"crm" };
    struct delivery d = { .lane = &lane };
    /* what stands there is not the plugin's */
    sl_outcome o = { .size = offsetof(sl_outcome, hold_type),
                     .kind = SL_REVIEW,
                     .hold_type = { (const char *)8, 1 },
                     .choices = { (const char *)8, 1 },
                     .evidence = { (const char *)8, 1 } };
    char *t, *detail;

    (void)state;
    hold_asked(&d, &o, &t, &detail);
    CHECK_STR(t, "review");
    CHECK_STR(detail, "{\"hold\":\"review\",\"asked_by\":\"crm\"," USUAL "}");
    free(t);
    free(detail);
}

static void test_an_answer_is_for_the_endpoint_that_asked(void **state)
{
    static const char detail[] =
        "{\"hold\":\"x\",\"asked_by\":\"crm\",\"choices\":[],\"answer\":"
        "\"use:1\",\"evidence\":{\"answer\":\"use:2\",\"n\":1e999}}";
    char *answer = hold_answer(STR(detail), STR("crm"));

    (void)state;
    CHECK_STR(answer, "use:1");
    free(answer);
    CHECK(hold_answer(STR(detail), STR("other")) == NULL);
    CHECK(hold_answer(STR("{\"hold\":\"x\",\"asked_by\":\"crm\",\"choices\":[],\"evidence\":{"
                          "\"answer\":\"use:2\"}}"),
                      STR("crm")) == NULL);
    CHECK(hold_answer(STR(""), STR("crm")) == NULL);
    CHECK(hold_answer(STR("\"answer\":\"torn"), STR("crm")) == NULL);
}

/* ---- the way through the flow ---- */

static void ask(struct call *c)
{
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_REVIEW,
                     .why = STR("who is it?"),
                     .hold_type = STR("contact-merge"),
                     .choices = STR(TWO),
                     .evidence = STR("{\"id\":12345678901234567890}") };

    for (size_t i = 0; i < c->n; i++)
        c->done->outcome(c->done->ctx, i, &o);
    rig_end(c);
}

static const struct decide ada = { .choice = STR("use:003A") };

/** Held so, and released by the choice; the call that comes of it. */
static struct call *chosen(struct flow_rig *rig, uint64_t num)
{
    ask(rig_call(rig, CRM));
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_STR(rig->hold_type, "contact-merge");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, &ada), 0);
    return rig_call(rig, CRM);
}

static struct flow_rig *setup(uint32_t action)
{
    struct flow_rig *rig = rig_new();

    rig_route(rig, "r", "t", CRM, action);
    rig_up(rig);
    return rig;
}

static void test_what_a_person_chose_comes_with_the_released_delivery(void **state)
{
    struct flow_rig *rig = setup(ACT_SAFE);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = rig_call(rig, CRM);

    (void)state;
    CHECK(c->batch->choices == NULL);
    c = chosen(rig, num);
    CHECK(c->batch->choices != NULL);
    CHECK_VIEW(c->batch->choices[0], "use:003A");
    rig_answer(c, SL_RETRY); /* and with each attempt after it */
    c = rig_call(rig, CRM);
    CHECK_VIEW(c->batch->choices[0], "use:003A");
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_the_answer_outlives_the_process(void **state)
{
    struct flow_rig *rig = setup(ACT_SAFE);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c;

    (void)state;
    chosen(rig, num);
    rig_crash(rig);
    rig_up(rig);
    c = rig_call(rig, CRM);
    if (c->kind == CALL_CONFIRM) { /* was it done? */
        rig_confirm(c, SL_CONFIRM_NO);
        c = rig_call(rig, CRM);
    }
    CHECK_EQ(c->kind, CALL_DELIVER);
    CHECK(c->batch->choices != NULL);
    CHECK_VIEW(c->batch->choices[0], "use:003A");
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_asked_anew_the_old_answer_is_gone(void **state)
{
    struct flow_rig *rig = setup(ACT_SAFE);
    uint64_t num = rig_event(rig, "t", "a 1");
    struct call *c = chosen(rig, num);

    (void)state;
    ask(c);
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, NULL), 0); /* without a choice */
    c = rig_call(rig, CRM);
    CHECK(c->batch->choices == NULL);
    rig_answer(c, SL_DELIVERED);
    UNTIL(rig, rig_state(rig, num) == DS_DELIVERED);
    rig_destroy(rig);
}

static void test_a_choice_that_rejects_ends_it_and_one_that_was_not_offered_is_refused(void **state)
{
    static const struct decide none = { .choice = STR("use:003B") };
    static const struct decide drop = { .choice = STR("drop") };
    struct flow_rig *rig = setup(ACT_SAFE);
    uint64_t num = rig_event(rig, "t", "a 1");

    (void)state;
    ask(rig_call(rig, CRM));
    UNTIL(rig, rig_state(rig, num) == DS_HELD);
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, &none), UV_EINVAL);
    CHECK_HAS(rig->decided.text, "there are: use:003A, drop");
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, num, &drop), 0);
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    rig_destroy(rig);
}

static void test_in_a_batch_each_record_has_its_own_answer(void **state)
{
    struct flow_rig *rig = setup(ACT_BULK);
    uint64_t a = rig_event(rig, "t", "a 1"), b;
    struct call *c;

    (void)state;
    ask(rig_call(rig, CRM));
    UNTIL(rig, rig_state(rig, a) == DS_HELD);
    rig->fakes[CRM].auto_kind = 0;
    b = rig_event(rig, "t", "b 1");
    c = rig_call(rig, CRM); /* out, so that the next ones gather */
    CHECK_EQ(rig_decide(rig, DECISION_RELEASE, a, &ada), 0);
    rig_answer(c, SL_RETRY);
    for (unsigned seen = 0; seen < 2;) {
        c = rig_call(rig, CRM);
        for (size_t i = 0; i < c->n; i++) {
            bool is_a = strcmp(c->names[i], rig_name(a)) == 0;
            sl_str choice = c->batch->choices ? c->batch->choices[i] : (sl_str){ 0 };

            CHECK_VIEW(choice, is_a ? "use:003A" : "");
            seen++;
        }
        rig_answer(c, SL_DELIVERED);
    }
    UNTIL(rig, rig_state(rig, a) == DS_DELIVERED && rig_state(rig, b) == DS_DELIVERED);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_carries_its_type_owner_choices_and_evidence),
        cmocka_unit_test(test_choices_of_another_form_leave_the_usual_two),
        cmocka_unit_test(test_types_of_the_flow_itself_are_not_an_adapters_to_give),
        cmocka_unit_test(test_evidence_that_cannot_be_shown_is_said_to_lack),
        cmocka_unit_test(test_an_outcome_of_an_older_plugin_has_nothing_behind_its_end),
        cmocka_unit_test(test_an_answer_is_for_the_endpoint_that_asked),
        cmocka_unit_test(test_what_a_person_chose_comes_with_the_released_delivery),
        cmocka_unit_test(test_the_answer_outlives_the_process),
        cmocka_unit_test(test_asked_anew_the_old_answer_is_gone),
        cmocka_unit_test(
            test_a_choice_that_rejects_ends_it_and_one_that_was_not_offered_is_refused),
        cmocka_unit_test(test_in_a_batch_each_record_has_its_own_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
