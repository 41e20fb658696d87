/*
 * test_issues.c - fingerprints of reasons; dead letters with the same one are one issue; what
 * became of what a replay sent again.
 */
#include "rig.h"

#include <jansson.h>
#include "store/fingerprint.h"

/* ---- fingerprints ---- */

static void becomes(const char *reason, const char *wanted)
{
    struct buf b = { 0 };

    fingerprint_reason(&b, str_of(reason));
    if (strcmp(b.data ? b.data : "", wanted) != 0)
        fail_msg("\"%s\" became \"%s\", not \"%s\"", reason, b.data, wanted);
    buf_finish(&b);
}

static void what_differs_between_two_of_a_kind_is_left_out(void **state)
{
    (void)state;
    becomes("", "");
    becomes("HTTP 422: no such sku A-17", "HTTP #: no such sku A-#");
    becomes("order 450789469 of 2026-11-20T09:15:32.123Z is late", "order # of # is late");
    becomes("connect to 10.0.0.1:8443: refused", "connect to #: refused");
    becomes("id 550e8400-e29b-41d4-a716-446655440000 unknown", "id # unknown");
    becomes("key deadbeefcafe is taken", "key # is taken");
    becomes("no field \"total price\" in 'lines', it doesn't", "no field * in *, it doesn't");
    becomes("map: object ({\"id\":820982911946154508,...) and number (7) cannot be added",
            "map: object (*) and number (#) cannot be added");
    becomes("map: string (\"The Byron (Ge...) cannot be parsed as a number",
            "map: string (*) cannot be parsed as a number");
    becomes("map: null (null) has no keys", "map: null (null) has no keys");
    becomes("two\n\t lines ", "two lines");
    becomes("caf\xc3\xa9 \"cut", "caf\xc3\xa9 *");
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    char text[400];
    struct buf b = { 0 };

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 1; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    fingerprint_reason(&b, (sl_str){ text, sizeof(text) - 1 });
    CHECK(b.len <= FINGERPRINT_REASON && b.len > FINGERPRINT_REASON - 2);
    CHECK((b.data[b.len - 1] & 0xc0) == 0x80);
    buf_finish(&b);
}

static void a_fingerprint_has_a_name(void **state)
{
    char name[FINGERPRINT_HEX];
    uint64_t id = fingerprint_of(STR("r"), STR("e"), STR("refused"), STR("no")), again = 0;

    (void)state;
    CHECK(id != fingerprint_of(STR("r"), STR("other"), STR("refused"), STR("no")));
    fingerprint_name(id, name);
    CHECK_EQ(strlen(name), 12);
    CHECK_EQ(fingerprint_parse(str_of(name), &again), 0);
    CHECK_EQ(again, id);
    CHECK_EQ(fingerprint_parse(STR("3f2a"), &again), UV_EINVAL);
    CHECK_EQ(fingerprint_parse(STR("000000000000"), &again), UV_EINVAL);
    CHECK_EQ(fingerprint_parse(STR("zzzzzzzzzzzz"), &again), UV_EINVAL);
}

/* ---- issues ---- */

static json_t *report(struct rig *rig, enum store_report what, struct store_filter f)
{
    json_t *j;

    CHECK_EQ(rig_report(rig, what, f), 0);
    j = json_loadb(rig->text.data, rig->text.len, 0, NULL);
    assert_non_null(j);
    return j;
}

static json_int_t num(const json_t *o, const char *name)
{
    CHECK(json_is_integer(json_object_get(o, name)));
    return json_integer_value(json_object_get(o, name));
}

static const char *str(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "(none)";
}

/* One event with one delivery to byron; its num. */
static uint64_t one(struct rig *rig, const char *dead_of)
{
    uint64_t event = rig_receipt(rig, "acme-shop", "orders/paid", NULL, "{\"id\":1}");
    struct rec_delivery d = delivery(event, 0, "byron");

    if (dead_of) {
        d.state = DS_DEAD;
        d.reason = str_of(dead_of);
    }
    rig_routed(rig, event, &d, 1);
    return d.num;
}

static void move_by(struct rig *rig, uint64_t num, enum delivery_state to, const char *why,
                    const char *who, int64_t at_ms)
{
    struct rec_move m = { .num = num, .state = (uint8_t)to, .reason = str_of(why) };
    struct rec_moves rec = { .at_ms = at_ms, .who = str_of(who), .moves = &m, .n_moves = 1 };

    if (strcmp(who, "adapter") == 0) {
        m.attempt = m.burnt = 1;
        m.status = to == DS_DEAD ? 422 : 200;
    }
    rig_put(rig, encoded(strcmp(who, "adapter") ? REC_DECISION : REC_OUTCOME, &rec));
}

static void says(struct rig *rig, const char *state, const char *name, json_int_t dead,
                 json_int_t replaying, json_int_t count, json_int_t reopened)
{
    json_t *list = report(rig, REPORT_ISSUES, (struct store_filter){ .state = state, .limit = 10 });
    json_t *i = json_array_get(list, 0);

    CHECK_EQ(json_array_size(list), 1);
    CHECK_STR(str(i, "state"), name);
    CHECK_EQ(num(i, "dead"), dead);
    CHECK_EQ(num(i, "replaying"), replaying);
    CHECK_EQ(num(i, "count"), count);
    CHECK_EQ(num(i, "reopened"), reopened);
    json_decref(list);
}

static void an_issue_opens_resolves_and_opens_again_by_itself(void **state)
{
    struct rig rig;
    uint64_t a, b;
    json_t *list, *i;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    a = one(&rig, NULL);
    b = one(&rig, NULL);
    move_by(&rig, a, DS_DEAD, "HTTP 422: no sku 17", "adapter", 1000);
    move_by(&rig, b, DS_DEAD, "HTTP 422: no sku 18", "adapter", 2000);
    says(&rig, "open", "open", 2, 0, 2, 0);
    list = report(&rig, REPORT_ISSUES, (struct store_filter){ .limit = 10 });
    i = json_array_get(list, 0);
    CHECK_STR(str(i, "class"), "refused, status 422");
    CHECK_STR(str(i, "reason"), "HTTP #: no sku #");
    CHECK_STR(str(i, "first_at"), "1970-01-01T00:00:01.000Z");
    CHECK_STR(str(i, "last_at"), "1970-01-01T00:00:02.000Z");
    CHECK_STR(str(json_object_get(i, "example"), "reason"), "HTTP 422: no sku 18");
    json_decref(list);

    move_by(&rig, a, DS_READY, "again", "uid 0", 3000);
    says(&rig, NULL, "open", 1, 1, 2, 0);
    move_by(&rig, b, DS_READY, "again", "uid 0", 3000);
    move_by(&rig, a, DS_DELIVERED, "", "adapter", 4000);
    says(&rig, NULL, "open", 0, 1, 2, 0); /* one is on its way still */
    rig_reopen(&rig);
    move_by(&rig, b, DS_DELIVERED, "", "adapter", 4000);
    says(&rig, "resolved", "resolved", 0, 0, 2, 0);

    a = one(&rig, NULL);
    move_by(&rig, a, DS_DEAD, "HTTP 422: no sku 99", "adapter", 9000);
    says(&rig, "open", "open", 1, 0, 3, 1);
    move_by(&rig, a, DS_READY, "again", "uid 0", 9100); /* the same once more: never resolved */
    move_by(&rig, a, DS_DEAD, "HTTP 422: no sku 99", "adapter", 9200);
    says(&rig, "open", "open", 1, 0, 4, 1);
    move_by(&rig, a, DS_DISCARDED, "", "uid 0", 9300);
    says(&rig, "resolved", "resolved", 0, 0, 4, 1);
    rig_finish(&rig);
}

static void two_classes_are_two_issues_and_filter_their_dead(void **state)
{
    struct rig rig;
    struct store_filter f = { .state = "dead", .limit = 10 };
    json_t *list;
    uint64_t a;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    a = one(&rig, "map: null (null) has no keys");
    one(&rig, "map: number (5) has no keys");
    one(&rig, "map: null (null) has no keys");
    list = report(&rig, REPORT_ISSUES, (struct store_filter){ .limit = 10 });
    CHECK_EQ(json_array_size(list), 2);
    json_decref(list);
    list = report(&rig, REPORT_REPLAYABLE, f);
    CHECK_EQ(json_array_size(list), 2);
    CHECK_EQ(num(json_array_get(list, 0), "count"), 2);
    CHECK_EQ(fingerprint_parse(str_of(str(json_array_get(list, 0), "issue")), &f.issue), 0);
    json_decref(list);
    CHECK_EQ(rig_select(&rig, f), 0);
    CHECK_EQ(rig.n, 2);
    CHECK_EQ(rig.nums[0], a);
    f = (struct store_filter){ .state = "dead", .error = "NUMBER (", .limit = 10 };
    CHECK_EQ(rig_select(&rig, f), 0);
    CHECK_EQ(rig.n, 1);
    rig_finish(&rig);
}

static void acknowledge(struct rig *rig, const char *id, const char *value)
{
    struct rec_state_item it = { STR("issue"), str_of(id), str_of(value) };
    struct rec_state rec = {
        .at_ms = 5000, .who = STR("uid 0"), .why = STR("known"), .items = &it, .n_items = 1
    };

    rig_put(rig, encoded(REC_STATE, &rec));
}

static void what_people_say_of_an_issue_is_kept_until_it_comes_again(void **state)
{
    struct rig rig;
    json_t *list;
    char id[32];

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    one(&rig, "map: bad");
    list = report(&rig, REPORT_ISSUES, (struct store_filter){ .limit = 10 });
    snprintf(id, sizeof(id), "%s", str(json_array_get(list, 0), "id"));
    json_decref(list);
    acknowledge(&rig, id, "{\"state\":\"acknowledged\"}");
    says(&rig, "acknowledged", "acknowledged", 1, 0, 1, 0);
    one(&rig, "map: bad");
    says(&rig, "acknowledged", "acknowledged", 2, 0, 2, 0);
    acknowledge(&rig, id, "{\"state\":\"resolved\"}");
    says(&rig, "resolved", "resolved", 2, 0, 2, 0);
    rig_reopen(&rig);
    one(&rig, "map: bad");
    says(&rig, "open", "open", 3, 0, 3, 1);
    rig_finish(&rig);
}

/* ---- replays ---- */

static void what_a_replay_sent_again_is_counted_once(void **state)
{
    struct rig rig;
    uint64_t a, b, c;
    json_t *j, *again;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    a = one(&rig, "map: bad");
    b = one(&rig, "map: bad");
    c = one(&rig, "map: bad");
    move_by(&rig, a, DS_READY, "", "replay:7 uid 0", 10);
    move_by(&rig, b, DS_READY, "", "replay:7 uid 0", 10);
    move_by(&rig, c, DS_READY, "", "uid 0", 10);
    move_by(&rig, a, DS_DELIVERED, "", "adapter", 20);
    move_by(&rig, b, DS_DEAD, "HTTP 422: new", "adapter", 20);
    move_by(&rig, c, DS_DELIVERED, "", "adapter", 20);
    move_by(&rig, b, DS_READY, "", "uid 0", 30); /* by hand: no longer the replay's */
    move_by(&rig, b, DS_DEAD, "HTTP 422: new", "adapter", 40);
    j = report(&rig, REPORT_REPLAY, (struct store_filter){ .id = 7 });
    CHECK_EQ(num(j, "replayed"), 2);
    CHECK_EQ(num(j, "delivered"), 1);
    again = json_object_get(j, "dead_again");
    CHECK_EQ(json_array_size(again), 1);
    CHECK_EQ(num(json_array_get(again, 0), "count"), 1);
    CHECK_STR(str(json_array_get(again, 0), "class"), "refused, status 422");
    json_decref(j);
    rig_finish(&rig);
}

static void what_is_mapped_again_hands_its_issue_on(void **state)
{
    struct rig rig;
    uint64_t a;
    json_t *j;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    a = one(&rig, "map: bad");
    struct rec_delivery d[2] = { delivery(delivery_event(a), 1, "byron"),
                                 delivery(delivery_event(a), 2, "byron") };
    struct rec_routed routed = {
        .event = delivery_event(a), .at_ms = 50, .deliveries = d, .n_deliveries = 2
    };
    struct rec_move m = { .num = a, .state = DS_DISCARDED, .hold_type = STR("remapped") };
    struct rec_moves rec = { .at_ms = 50, .who = STR("replay:3 uid 0"), .moves = &m, .n_moves = 1 };
    d[1].piece = STR("two");
    struct store_record r[] = { encoded(REC_ROUTED, &routed), encoded(REC_DECISION, &rec) };
    CHECK_EQ(rig_append(&rig, r, 2), 0);
    says(&rig, NULL, "open", 0, 2, 1, 0);
    move_by(&rig, d[0].num, DS_DELIVERED, "", "adapter", 60);
    says(&rig, NULL, "open", 0, 1, 1, 0);
    move_by(&rig, d[1].num, DS_DELIVERED, "", "adapter", 60);
    says(&rig, NULL, "resolved", 0, 0, 1, 0);
    j = report(&rig, REPORT_REPLAY, (struct store_filter){ .id = 3 });
    CHECK_EQ(num(j, "replayed"), 1);
    CHECK_EQ(num(j, "delivered"), 2);
    json_decref(j);
    rig_finish(&rig);
}

struct found {
    struct rig *rig;
    uint64_t next;
};

static void on_found(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next)
{
    struct found *f = ctx;

    f->rig->status = status;
    f->rig->n = n;
    for (size_t i = 0; i < n; i++)
        f->rig->nums[i] = ids[i];
    f->next = next;
    f->rig->done = true;
}

static size_t without(struct rig *rig, struct store_backfill what)
{
    struct found f = { .rig = rig };

    rig->done = false;
    CHECK_EQ(store_backfill(rig->s, &what, on_found, &f), 0);
    rig_wait(rig);
    CHECK_EQ(rig->status, 0);
    CHECK_EQ(f.next, what.limit == rig->n ? rig->nums[rig->n - 1] : 0);
    return rig->n;
}

static void old_events_without_a_route_are_found_by_time_and_topic(void **state)
{
    const char *topics[] = { "orders/*" }, *others[] = { "refunds/create", "carts/*" };
    struct store_backfill what = {
        .endpoint = "acme-shop", .topics = topics, .n_topics = 1, .route = "new", .limit = 10
    };
    struct rig rig;
    uint64_t first, second;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    first = delivery_event(one(&rig, NULL));
    second = delivery_event(one(&rig, NULL));
    rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}"); /* not routed yet */
    CHECK_EQ(without(&rig, what), 2);
    CHECK_EQ(rig.nums[0], first);
    what.limit = 1;
    CHECK_EQ(without(&rig, what), 1);
    what.limit = 10;
    what.after = first;
    CHECK_EQ(without(&rig, what), 1);
    CHECK_EQ(rig.nums[0], second);
    what.after = 0;
    what.topics = others;
    what.n_topics = 2;
    CHECK_EQ(without(&rig, what), 0);
    what.topics = topics;
    what.n_topics = 1;
    what.endpoint = "other";
    CHECK_EQ(without(&rig, what), 0);
    what.endpoint = NULL;
    what.endpoints = (const char *[]){ "acme-shop", "other" }; /* each topic with its own */
    what.topics = (const char *[]){ "carts/*", "orders/paid" };
    what.n_topics = 2;
    CHECK_EQ(without(&rig, what), 0);
    what.endpoints = (const char *[]){ "other", "acme-shop" };
    CHECK_EQ(without(&rig, what), 2);
    what.endpoints = NULL;
    what.topics = topics;
    what.n_topics = 1;
    what.since_ms = INT64_MAX / 2;
    CHECK_EQ(without(&rig, what), 0);
    what.since_ms = 0;

    struct rec_delivery d = delivery(first, 1, "byron");
    d.route = STR("new");
    rig_routed(&rig, first, &d, 1);
    CHECK_EQ(without(&rig, what), 1);
    CHECK_EQ(rig.nums[0], second);
    rig_finish(&rig);
}

static void what_once_has_marked_a_replay_does_not_bring_back(void **state)
{
    struct rig rig;
    uint64_t event, num;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    event = rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}");
    struct rec_delivery d = delivery(event, 0, "byron");
    d.state = DS_SUPERSEDED;
    num = d.num;
    rig_routed(&rig, event, &d, 1);
    move_by(&rig, num, DS_READY, "", "replay:7 uid 0", 10);
    CHECK_EQ(rig_get(&rig, num), 0);
    CHECK_EQ(rig.d[0].state, DS_SUPERSEDED);
    rig_finish(&rig);
}

static void an_edited_body_keeps_the_one_before(void **state)
{
    struct rig rig;
    uint64_t a;
    json_t *j, *edits;

    (void)state;
    rig_start(&rig);
    rig_must_open(&rig);
    a = one(&rig, "map: bad");
    rig_move(&rig,
             (struct rec_move){
                 .num = a, .state = DS_READY, .generation = 1, .body = STR("{\"mended\":1}") },
             0);
    j = report(&rig, REPORT_DELIVERY, (struct store_filter){ .id = a });
    edits = json_object_get(j, "edits");
    CHECK_STR(str(j, "body"), "{\"mended\":1}");
    CHECK_EQ(json_array_size(edits), 1);
    CHECK_EQ(strlen(str(json_array_get(edits, 0), "body_sha256")), 64);
    CHECK(strcmp(str(json_array_get(edits, 0), "body"), "{\"mended\":1}") != 0);
    json_decref(j);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_differs_between_two_of_a_kind_is_left_out),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
        cmocka_unit_test(a_fingerprint_has_a_name),
        cmocka_unit_test(an_issue_opens_resolves_and_opens_again_by_itself),
        cmocka_unit_test(two_classes_are_two_issues_and_filter_their_dead),
        cmocka_unit_test(what_people_say_of_an_issue_is_kept_until_it_comes_again),
        cmocka_unit_test(what_a_replay_sent_again_is_counted_once),
        cmocka_unit_test(what_is_mapped_again_hands_its_issue_on),
        cmocka_unit_test(old_events_without_a_route_are_found_by_time_and_topic),
        cmocka_unit_test(what_once_has_marked_a_replay_does_not_bring_back),
        cmocka_unit_test(an_edited_body_keeps_the_one_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
