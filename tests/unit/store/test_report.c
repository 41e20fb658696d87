/*
 * test_report.c - what the store says to people.
 */
#include "rig.h"

#include <jansson.h>

/* ---- help ---- */

/* The answer as JSON; own. */
static json_t *report(struct rig *rig, enum store_report what, struct store_filter f)
{
    json_t *j;

    CHECK_EQ(rig_report(rig, what, f), 0);
    j = json_loadb(rig->text.data, rig->text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(j);
    return j;
}

static const char *str(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "(none)";
}

static json_int_t num(const json_t *o, const char *name)
{
    const json_t *j = json_object_get(o, name);

    CHECK(json_is_integer(j));
    return json_integer_value(j);
}

/* The order's way: event 1 to byron (held once) and to the crm (dead); the outcome emits event. */
struct story {
    uint64_t event, supplier, crm, batch, emitted;
};

static uint64_t put_receipt_with_headers(struct rig *rig)
{
    const sl_header headers[] = {
        { STR("Content-Type"), STR("application/json") },
        { STR("X-Shopify-Hmac-Sha256"), STR("c2VjcmV0") },
        { STR("webhook-SIGNATURE"), STR("v1,abc") },
        { STR("Authorization"), STR("Basic x") },
        { STR("Set-Cookie"), STR("a=b") },
        { STR("X-Access-Token"), STR("shpat_x") },
    };
    struct rec_receipt r = { .received_ms = 1700000000000,
                             .endpoint = STR("acme-shop"),
                             .topic = STR("orders/paid"),
                             .sender_id = STR("wh-1"),
                             .body = STR("{\"total\":19.90,\"id\":820982911946154508}") };
    struct buf packed = { 0 };
    uint64_t id;

    rec_headers_encode(&packed, headers, sizeof(headers) / sizeof(headers[0]));
    r.headers = buf_view(&packed);
    id = rig_put(rig, encoded(REC_RECEIPT, &r));
    buf_finish(&packed);
    return id;
}

static void outcome_that_emits(struct rig *rig, struct story *st)
{
    struct rec_move move = { .num = st->supplier,
                             .state = DS_DELIVERED,
                             .burnt = 1,
                             .attempt = 1,
                             .status = 201,
                             .latency_ms = 42,
                             .reference = STR("PO-77") };
    struct rec_link link = { STR("byron"), STR("po"), STR("PO-77"), STR("order:acme/1"),
                             st->supplier };
    struct rec_moves outcome = { .at_ms = 1700000000300,
                                 .batch = st->batch,
                                 .who = STR("adapter"),
                                 .moves = &move,
                                 .n_moves = 1,
                                 .links = &link,
                                 .n_links = 1 };
    struct rec_receipt emitted = { .origin = EO_EMITTED,
                                   .received_ms = 1700000000300,
                                   .cause = st->supplier,
                                   .endpoint = STR("byron"),
                                   .topic = STR("supplier/accepted"),
                                   .body = STR("{}"),
                                   .subject = STR("order:acme/1") };
    struct store_record r[] = { encoded(REC_OUTCOME, &outcome), encoded(REC_RECEIPT, &emitted) };

    CHECK_EQ(rig_append(rig, r, 2), 0);
    st->emitted = r[1].seq;
}

static struct story tell(struct rig *rig)
{
    struct story st = { .event = put_receipt_with_headers(rig) };
    struct rec_delivery d[] = { delivery(st.event, 0, "byron"), delivery(st.event, 1, "crm") };

    d[1].state = DS_DEAD;
    d[1].route = STR("order-to-crm");
    d[1].reason = STR("map: \"Cannot index number\"");
    d[1].body = (sl_str){ "\xff\xfe{", 3 };
    st.supplier = d[0].num;
    st.crm = d[1].num;
    rig_routed(rig, st.event, d, 2);
    st.batch = rig_sent(rig, &st.supplier, 1, 1);
    outcome_that_emits(rig, &st);
    return st;
}

static void start(struct rig *rig)
{
    rig_start(rig);
    rig_must_open(rig);
}

/* ---- the reports ---- */

static void a_summary_counts_deliveries_by_endpoint_route_and_state(void **state)
{
    struct rig rig;
    json_t *j;

    (void)state;
    start(&rig);
    tell(&rig);
    j = report(&rig, REPORT_SUMMARY, (struct store_filter){ 0 });
    CHECK_EQ(num(j, "events"), 2);
    CHECK_EQ(num(j, "unrouted"), 1); /* the emitted one */
    CHECK_EQ(num(j, "waiting_for_link"), 0);
    CHECK_EQ(num(j, "watermark"), 5);
    CHECK_STR(json_string_value(json_object_get(j, "oldest_event_at")), "2023-11-14T22:13:20.000Z");
    CHECK_EQ(num(json_object_get(json_object_get(j, "deliveries"), "byron"), "delivered"), 1);
    CHECK_EQ(num(json_object_get(json_object_get(j, "deliveries"), "crm"), "dead"), 1);
    CHECK_EQ(json_object_size(json_object_get(json_object_get(j, "deliveries"), "byron")), 1);
    CHECK_EQ(num(json_object_get(json_object_get(j, "routes"), "order-to-crm"), "dead"), 1);
    json_decref(j);
    rig_finish(&rig);
}

static void events_are_listed_newest_first_and_page(void **state)
{
    struct story st;
    struct rig rig;
    json_t *j, *e;

    (void)state;
    start(&rig);
    st = tell(&rig);
    j = report(&rig, REPORT_EVENTS, (struct store_filter){ .limit = 10 });
    CHECK_EQ(json_array_size(j), 2);
    CHECK_EQ(num(json_array_get(j, 0), "id"), st.emitted);
    e = json_array_get(j, 1);
    CHECK_EQ(num(e, "id"), st.event);
    CHECK_STR(str(e, "received_at"), "2023-11-14T22:13:20.000Z");
    CHECK_STR(str(e, "endpoint"), "acme-shop");
    CHECK_STR(str(e, "topic"), "orders/paid");
    CHECK_STR(str(e, "subject"), "order:acme/1");
    CHECK_STR(str(e, "sender_id"), "wh-1");
    CHECK(json_is_null(json_object_get(e, "duplicate_of")));
    CHECK_EQ(num(json_object_get(e, "deliveries"), "delivered"), 1);
    CHECK_EQ(num(json_object_get(e, "deliveries"), "dead"), 1);
    json_decref(j);
    j = report(&rig, REPORT_EVENTS, (struct store_filter){ .after = st.emitted, .limit = 1 });
    CHECK_EQ(json_array_size(j), 1);
    CHECK_EQ(num(json_array_get(j, 0), "id"), st.event);
    json_decref(j);
    j = report(&rig, REPORT_EVENTS,
               (struct store_filter){ .subject = "order:acme/1",
                                      .topic = "supplier/accepted",
                                      .endpoint = "byron",
                                      .limit = 10 });
    CHECK_EQ(json_array_size(j), 1); /* by its cause's subject, though not routed yet */
    json_decref(j);
    rig_finish(&rig);
}

static void an_event_shows_all_but_the_headers_that_carry_secrets(void **state)
{
    static const char *const secrets[] = { "c2VjcmV0", "v1,abc", "Basic x", "a=b", "shpat_x" };
    struct story st;
    struct rig rig;
    json_t *j, *h;

    (void)state;
    start(&rig);
    st = tell(&rig);
    j = report(&rig, REPORT_EVENT, (struct store_filter){ .id = st.event });
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
        assert_null(strstr(rig.text.data, secrets[i]));
    h = json_object_get(j, "headers");
    CHECK_EQ(json_array_size(h), 6);
    CHECK_STR(str(json_array_get(h, 0), "value"), "application/json");
    CHECK_STR(str(json_array_get(h, 1), "name"), "X-Shopify-Hmac-Sha256");
    CHECK_STR(str(json_array_get(h, 1), "value"), "(hidden)");
    CHECK_STR(str(j, "body"), "{\"total\":19.90,\"id\":820982911946154508}");
    CHECK(json_is_true(json_object_get(j, "body_is_json")));
    CHECK(json_is_false(json_object_get(j, "body_replaced")));
    CHECK_EQ(json_array_size(json_object_get(j, "deliveries")), 2);
    CHECK_STR(str(json_array_get(json_object_get(j, "deliveries"), 1), "reason"),
              "map: \"Cannot index number\"");
    CHECK_EQ(num(json_array_get(json_object_get(j, "emitted"), 0), "id"), st.emitted);
    CHECK_STR(str(json_array_get(json_object_get(j, "abouts"), 0), "version"), "v1");
    json_decref(j);
    CHECK_EQ(rig_report(&rig, REPORT_EVENT, (struct store_filter){ .id = 99 }), UV_ENOENT);
    rig_finish(&rig);
}

static void deliveries_are_listed_oldest_first_by_any_filter(void **state)
{
    static const struct store_filter filters[] = {
        { .state = "dead", .limit = 10 },
        { .endpoint = "crm", .limit = 10 },
        { .route = "order-to-crm", .limit = 10 },
        { .after = 4096, .limit = 10 },
    };
    struct story st;
    struct rig rig;
    json_t *j, *d;

    (void)state;
    start(&rig);
    st = tell(&rig);
    CHECK_EQ(st.supplier, 4096);
    j = report(&rig, REPORT_DELIVERIES, (struct store_filter){ .limit = 10 });
    CHECK_EQ(json_array_size(j), 2);
    d = json_array_get(j, 0);
    CHECK_STR(str(d, "id"), "1.0");
    CHECK_STR(str(d, "route"), "order-to-supplier");
    CHECK_STR(str(d, "piece"), "Byron Gears");
    CHECK_STR(str(d, "endpoint"), "byron");
    CHECK_STR(str(d, "action"), "order.submit");
    CHECK_STR(str(d, "state"), "delivered");
    CHECK_STR(str(d, "reference"), "PO-77");
    CHECK_EQ(num(d, "attempts"), 1);
    CHECK(json_is_null(json_object_get(d, "next_at")));
    CHECK_STR(str(d, "updated_at"), "2023-11-14T22:13:20.300Z");
    json_decref(j);
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        j = report(&rig, REPORT_DELIVERIES, filters[i]);
        CHECK_EQ(json_array_size(j), 1);
        CHECK_STR(str(json_array_get(j, 0), "id"), "1.1");
        json_decref(j);
    }
    rig_finish(&rig);
}

static void a_delivery_shows_its_attempts_its_moves_and_its_links(void **state)
{
    struct story st;
    struct rig rig;
    json_t *j, *a, *m;

    (void)state;
    start(&rig);
    st = tell(&rig);
    j = report(&rig, REPORT_DELIVERY, (struct store_filter){ .id = st.supplier });
    CHECK_STR(str(j, "body"), "{\"total\":19.90}");
    CHECK_STR(str(j, "request"), "frozen");
    CHECK_STR(str(j, "key"), "key-0");
    a = json_object_get(j, "attempts");
    CHECK_EQ(json_array_size(a), 1);
    a = json_array_get(a, 0);
    CHECK_EQ(num(a, "attempt"), 1);
    CHECK_EQ(num(a, "batch"), st.batch);
    CHECK_EQ(num(a, "status"), 201);
    CHECK_EQ(num(a, "latency_ms"), 42);
    CHECK_STR(str(a, "state"), "delivered");
    CHECK_EQ(strlen(str(a, "request_sha256")), 64);
    m = json_object_get(j, "moves");
    CHECK_EQ(json_array_size(m), 3);
    CHECK_STR(str(json_array_get(m, 0), "state"), "ready");
    CHECK_STR(str(json_array_get(m, 1), "state"), "inflight");
    CHECK_STR(str(json_array_get(m, 2), "state"), "delivered");
    CHECK_STR(str(json_array_get(m, 2), "who"), "adapter");
    CHECK_STR(str(json_array_get(json_object_get(j, "links"), 0), "id"), "PO-77");
    CHECK_EQ(num(json_array_get(json_object_get(j, "emitted"), 0), "id"), st.emitted);
    json_decref(j);
    rig_finish(&rig);
}

static void a_body_that_is_no_utf8_is_shown_with_replacements_and_a_flag(void **state)
{
    struct story st;
    struct rig rig;
    json_t *j;

    (void)state;
    start(&rig);
    st = tell(&rig);
    j = report(&rig, REPORT_DELIVERY, (struct store_filter){ .id = st.crm });
    CHECK_STR(str(j, "body"), "\xef\xbf\xbd\xef\xbf\xbd{");
    CHECK(json_is_true(json_object_get(j, "body_replaced")));
    CHECK(json_is_false(json_object_get(j, "body_is_json")));
    CHECK(json_is_null(json_object_get(j, "request")));
    json_decref(j);
    rig_finish(&rig);
}

/* Names and bodies come from the network: whatever they hold, the report is JSON. */
static void any_bytes_make_a_report_that_parses(void **state)
{
    char bytes[256];
    struct rec_receipt r = { .endpoint = STR("e"),
                             .topic = { bytes, 256 },
                             .sender_id = { bytes, 9 },
                             .body = { bytes, 256 },
                             .headers = STR("not packed") };
    struct rig rig;
    uint64_t id;

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)(i * 37);
    start(&rig);
    id = rig_put(&rig, encoded(REC_RECEIPT, &r));
    json_decref(report(&rig, REPORT_EVENT, (struct store_filter){ .id = id }));
    json_decref(report(&rig, REPORT_EVENTS, (struct store_filter){ .limit = 1 }));
    rig_finish(&rig);
}

/* What the sender gives again under the same id; its own number. The key's value stands for the
 * body's; the first one's is 0. */
static uint64_t put_again(struct rig *rig, const char *body, uint64_t value)
{
    struct store_record r = receipt("acme-shop", "orders/paid", "wh-1", body);
    const struct rec_duplicate dup = { .received_ms = 1700000005000,
                                       .body_bytes = strlen(body),
                                       .endpoint = STR("acme-shop"),
                                       .topic = STR("orders/paid"),
                                       .sender_id = STR("wh-1") };

    r.keys[0].value = value;
    rec_duplicate_encode(&r.duplicate, &dup);
    CHECK_EQ(rig_append(rig, &r, 1), 0);
    CHECK(r.refused);
    return r.seq;
}

/* Another event that says what the first one said, as the flow finds when it routes it. */
static uint64_t put_same(struct rig *rig, uint64_t original)
{
    uint64_t id = rig_receipt(rig, "acme-shop", "orders/paid", "wh-2", "{}");
    struct rec_routed routed = { .event = id, .at_ms = 6, .duplicate_of = original };

    rig_put(rig, encoded(REC_ROUTED, &routed));
    return id;
}

static void what_comes_twice_is_listed_and_names_its_original(void **state)
{
    uint64_t first, again, other, same;
    json_t *j, *e;
    struct rig rig;

    (void)state;
    start(&rig);
    first = rig_receipt(&rig, "acme-shop", "orders/paid", "wh-1", "{\"id\":1}");
    rig_routed(&rig, first, (struct rec_delivery[]){ delivery(first, 0, "byron") }, 1);
    again = put_again(&rig, "{\"id\":1}", 0);
    other = put_again(&rig, "{\"id\":2}", 1);
    same = put_same(&rig, first);
    j = report(&rig, REPORT_EVENTS, (struct store_filter){ .duplicates = true, .limit = 10 });
    CHECK_EQ(json_array_size(j), 3);
    CHECK_EQ(num(json_array_get(j, 0), "id"), same);
    CHECK_STR(str(json_array_get(j, 0), "origin"), "webhook");
    CHECK_EQ(num(json_array_get(j, 1), "id"), other);
    CHECK_STR(str(json_array_get(j, 1), "note"), "same id, another body");
    e = json_array_get(j, 2);
    CHECK_EQ(num(e, "id"), again);
    CHECK_EQ(num(e, "duplicate_of"), first);
    CHECK_STR(str(e, "note"), "same id");
    CHECK_STR(str(e, "origin"), "duplicate");
    CHECK_STR(str(e, "routed"), "routed");
    CHECK_STR(str(e, "sender_id"), "wh-1");
    CHECK_EQ(num(e, "body_bytes"), 8);
    json_decref(j);
    j = report(&rig, REPORT_SUMMARY, (struct store_filter){ 0 });
    CHECK_EQ(num(j, "events"), 2); /* what came again under the same id is no event more */
    CHECK_EQ(num(json_object_get(j, "duplicates"), "by_id"), 2);
    CHECK_EQ(num(json_object_get(j, "duplicates"), "by_content"), 1);
    CHECK_EQ(num(j, "unrouted"), 0);
    json_decref(j);
    j = report(&rig, REPORT_EVENT, (struct store_filter){ .id = other });
    e = json_object_get(j, "original");
    CHECK_EQ(num(e, "id"), first);
    CHECK_EQ(num(json_object_get(e, "deliveries"), "ready"), 1);
    CHECK(json_is_null(json_object_get(j, "body")));
    CHECK_STR(str(j, "body_missing"), "what comes again under the same id is not kept");
    json_decref(j);
    j = report(&rig, REPORT_EVENT, (struct store_filter){ .id = first });
    CHECK_EQ(json_array_size(json_object_get(j, "duplicates")), 3);
    CHECK_STR(str(j, "body"), "{\"id\":1}");
    assert_null(json_object_get(j, "original"));
    json_decref(j);
    CHECK_EQ(rig_event(&rig, other), UV_ENOENT); /* nothing there to be routed again */
    rig_finish(&rig);
}

/* Over more events than a span of the index over subjects holds. */
static void a_subject_is_found_however_far_apart_its_events_are(void **state)
{
    enum { BETWEEN = 66000, AT_ONCE = 1000 };
    static struct store_record r[AT_ONCE];
    uint64_t ids[2];
    struct rig rig;
    json_t *j;

    (void)state;
    start(&rig);
    for (size_t i = 0; i < 2; i++) {
        struct rec_about about = { .subject = STR("order:acme/7"), .version = STR("v1") };
        struct rec_delivery d;

        ids[i] = rig_receipt(&rig, "acme-shop", "orders/paid", NULL, "{}");
        d = delivery(ids[i], 0, "byron");
        d.subject = about.subject;
        rig_put(&rig, encoded(REC_ROUTED, &(struct rec_routed){ .event = ids[i],
                                                                .at_ms = 5,
                                                                .abouts = &about,
                                                                .n_abouts = 1,
                                                                .deliveries = &d,
                                                                .n_deliveries = 1 }));
        for (size_t n = 0; i == 0 && n < BETWEEN; n += AT_ONCE) {
            for (size_t k = 0; k < AT_ONCE; k++)
                r[k] = receipt("acme-shop", "orders/paid", NULL, "{}");
            CHECK_EQ(rig_append(&rig, r, AT_ONCE), 0);
        }
    }
    j = report(&rig, REPORT_EVENTS,
               (struct store_filter){ .subject = "order:acme/7", .limit = 10 });
    CHECK_EQ(json_array_size(j), 2);
    CHECK_EQ(num(json_array_get(j, 0), "id"), ids[1]);
    CHECK_EQ(num(json_array_get(j, 1), "id"), ids[0]);
    json_decref(j);
    CHECK_EQ(rig_select(&rig, (struct store_filter){ .subject = "order:acme/7", .limit = 10 }), 0);
    CHECK_EQ(rig.n, 2);
    CHECK_EQ(rig.nums[0], delivery_num(ids[0], 0));
    CHECK_EQ(rig.nums[1], delivery_num(ids[1], 0));
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_summary_counts_deliveries_by_endpoint_route_and_state),
        cmocka_unit_test(events_are_listed_newest_first_and_page),
        cmocka_unit_test(an_event_shows_all_but_the_headers_that_carry_secrets),
        cmocka_unit_test(deliveries_are_listed_oldest_first_by_any_filter),
        cmocka_unit_test(a_delivery_shows_its_attempts_its_moves_and_its_links),
        cmocka_unit_test(a_body_that_is_no_utf8_is_shown_with_replacements_and_a_flag),
        cmocka_unit_test(any_bytes_make_a_report_that_parses),
        cmocka_unit_test(what_comes_twice_is_listed_and_names_its_original),
        cmocka_unit_test(a_subject_is_found_however_far_apart_its_events_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
