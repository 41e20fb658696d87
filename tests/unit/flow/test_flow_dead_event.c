/*
 * test_flow_dead_event.c - a route that wants to hear of its dead letters: each is an event,
 * whatever it died of, at its endpoint or as it was made.
 */
#include "flow_rig.h"

/* `dies`: as it is made, so that it reaches no endpoint. */
static struct flow_rig *setup_topic(const char *topic, bool dies)
{
    static struct conf_target targets[2];
    struct flow_rig *rig = rig_new();
    struct conf_route *r = rig_route(rig, "to-crm", topic, CRM, ACT_SEND);

    if (dies) {
        targets[0] = (struct conf_target){ .kind = TARGET_DEAD, .text = "cannot be read" };
        targets[1] = r->targets[0];
        r->targets = targets;
        r->n_targets = 2;
    }
    r->dead_event = "thing/failed";
    r->has_retry = true;
    r->retry =
        (struct conf_retry){ .first_ms = 1, .cap_ms = 1, .max_age_ms = 60000, .max_attempts = 2 };
    r = rig_route(rig, "to-other", "thing/failed", OTHER, ACT_SEND);
    r->from_endpoint = "crm";
    rig_up(rig);
    return rig;
}

static struct flow_rig *setup(void)
{
    return setup_topic("create", false);
}

/* The events' bodies are what the other endpoint gets. */
static void told(struct flow_rig *rig, const char *subject, const char *why)
{
    struct call *c = rig_call(rig, OTHER);
    const sl_record *r = &c->batch->records[0];
    char body[400];

    snprintf(body, sizeof(body), STR_FMT, STR_ARG(r->body));
    CHECK(str_eq(r->topic, STR("thing/failed")));
    CHECK(str_eq(r->subject, str_of(subject)));
    CHECK(strstr(body, "{\"status\":\"failed\",\"why\":\""));
    CHECK(strstr(body, why));
    CHECK(strstr(body, "\"route\":\"to-crm\",\"delivery\":\""));
    rig_answer(c, SL_DELIVERED);
}

static void what_is_refused_is_an_event(void **state)
{
    struct flow_rig *rig = setup();
    uint64_t num = rig_event(rig, "create", "order:1 1");

    (void)state;
    rig_answer(rig_call(rig, CRM), SL_REJECTED);
    told(rig, "order:1", "the test");
    CHECK_EQ(rig_state(rig, num), DS_DEAD);
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

static void what_is_given_up_is_one_too_and_what_is_retried_is_not(void **state)
{
    struct flow_rig *rig = setup();

    (void)state;
    rig_event(rig, "create", "order:1 1");
    rig_not_sent(rig_call(rig, CRM), 0);
    CHECK(rig_quiet(rig, OTHER));
    rig_not_sent(rig_call(rig, CRM), 0);
    told(rig, "order:1", "given up after 2 attempts");
    rig_destroy(rig);
}

static void what_its_adapter_says_better_is_not_said_twice(void **state)
{
    const sl_emit emit = { STR("thing/failed"), STR("{\"mine\":true}") };
    sl_outcome o = { .size = sizeof(o), .kind = SL_REJECTED, .emits = &emit, .n_emits = 1 };
    struct flow_rig *rig = setup();

    (void)state;
    rig_event(rig, "create", "order:1 1");
    struct call *c = rig_call(rig, CRM);
    c->done->outcome(c->done->ctx, 0, &o);
    rig_end(c);
    c = rig_call(rig, OTHER);
    CHECK(str_eq(c->batch->records[0].body, STR("{\"mine\":true}")));
    rig_answer(c, SL_DELIVERED);
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

/* It would have gone to crm, so its event comes from there; made again by a person it dies again.
 */
static void what_died_as_it_was_made_is_one_too(void **state)
{
    struct flow_rig *rig = setup_topic("create", true);
    uint64_t num = rig_event(rig, "create", "order:1 1");

    (void)state;
    told(rig, "order:1", "cannot be read");
    CHECK_EQ(rig_state(rig, num), DS_DEAD);
    CHECK(rig_quiet(rig, OTHER));
    CHECK_EQ(rig_decide(rig, DECISION_REPLAY, num, &(struct decide){ .remap = true }), 0);
    told(rig, "order:1", "cannot be read");
    CHECK(rig_quiet(rig, OTHER));
    rig_crash(rig); /* both were durable with what died: no start tells it again */
    rig_up(rig);
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

/* The same event under another sender's id makes nothing, so nothing dies of it. */
static void an_event_that_was_there_before_tells_nothing(void **state)
{
    struct flow_rig *rig = setup_topic("create", true);

    (void)state;
    rig_event(rig, "create", "order:1 1");
    told(rig, "order:1", "cannot be read");
    rig_event(rig, "create", "order:1 1");
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

/* A route that takes them would be given its own for ever. */
static void what_dies_of_a_dead_event_tells_no_further_one(void **state)
{
    struct flow_rig *rig = setup_topic("thing/failed", true);
    uint64_t num = rig_event(rig, "thing/failed", "order:1 1");

    (void)state;
    UNTIL(rig, rig_state(rig, num) == DS_DEAD);
    CHECK(rig_quiet(rig, OTHER));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused_is_an_event),
        cmocka_unit_test(what_is_given_up_is_one_too_and_what_is_retried_is_not),
        cmocka_unit_test(what_its_adapter_says_better_is_not_said_twice),
        cmocka_unit_test(what_died_as_it_was_made_is_one_too),
        cmocka_unit_test(an_event_that_was_there_before_tells_nothing),
        cmocka_unit_test(what_dies_of_a_dead_event_tells_no_further_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
