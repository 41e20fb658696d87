/*
 * The admin API over its real listeners: routing, who may ask, what is refused, and decisions.
 */
#include "api_rig.h"

#include "flow/mapper.h"

/* One event with a dead, a held and a delivery without an endpoint; another that is delivered. */
static void fill_some(struct rig *store)
{
    struct rec_delivery d[3];
    uint64_t event = rig_receipt(store, "byron", "orders/paid", "a", "{\"id\":1}"); /* 1 */

    for (unsigned i = 0; i < 3; i++)
        d[i] = delivery(event, i, "byron");
    d[0].state = DS_DEAD;
    d[0].reason = STR("HTTP 422");
    d[1].state = DS_HELD;
    d[1].hold_type = STR("fraud");
    d[2].state = DS_HELD;
    d[2].hold_type = STR("unmapped-sku");
    d[2].endpoint = STR("");
    d[2].action = STR("");
    rig_routed(store, event, d, 3);
}

static void says(const struct api_rig *g, int status, const char *what)
{
    if (g->status != status || !strstr(g->body, what))
        fail_msg("wanted %d with %s, got %d: %s", status, what, g->status, g->body);
}

/* ---- routing ---- */

static void health_and_metrics_answer_on_the_socket(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, NULL);
    api_ask(&g, "GET", "/livez", "");
    says(&g, 200, "ok\n");
    api_ask(&g, "GET", "/readyz", "");
    says(&g, 200, "ok\n");
    api_ask(&g, "GET", "/metrics", "");
    says(&g, 200, "sluice_build_info");
    CHECK(strstr(g.answer.data, "Content-Type: text/plain; version=0.0.4\r\n") != NULL);
    watch_draining(g.watch);
    api_ask(&g, "GET", "/readyz", "");
    says(&g, 503, "shutting down\n");
    api_ask(&g, "GET", "/livez", "");
    says(&g, 200, "ok\n");
    api_finish(&g);
}

static void unknown_paths_and_wrong_methods_are_told_apart(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, NULL);
    api_ask(&g, "GET", "/v1/nope", "");
    says(&g, 404, "\"status\":404");
    CHECK(strstr(g.answer.data, "application/problem+json") != NULL);
    api_ask(&g, "GET", "/v1/events/", "");
    says(&g, 404, "no such path");
    api_ask(&g, "GET", "/v1/events/1/2", "");
    says(&g, 404, "no such path");
    api_ask(&g, "POST", "/v1/events", "{}");
    says(&g, 405, "GET");
    CHECK(strstr(g.answer.data, "\r\nAllow: GET\r\n") != NULL);
    api_ask(&g, "GET", "/v1/decide", "");
    says(&g, 405, "POST");
    CHECK(strstr(g.answer.data, "\r\nAllow: POST\r\n") != NULL);
    api_ask(&g, "GET", "/v1/events/%zz", "");
    says(&g, 400, "malformed");
    api_finish(&g);
}

static void a_question_takes_no_large_body(void **state)
{
    struct api_rig g;
    char body[8192];

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    api_start(&g, NULL);
    api_ask(&g, "GET", "/livez", body);
    CHECK_EQ(g.status, 413);
    api_finish(&g);
}

/* ---- who may ask ---- */

static void without_a_token_tcp_gives_health_alone_and_says_so(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, NULL);
    api_ask_tcp(&g, "GET", "/livez", "Host: localhost\r\n");
    says(&g, 200, "ok");
    api_ask_tcp(&g, "GET", "/v1/status", "Host: localhost\r\nAuthorization: Bearer x\r\n");
    says(&g, 403, "admin.token is not set");
    api_finish(&g);
}

static void tcp_wants_the_token_and_one_of_our_names(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, NULL);
    g.config.admin_token = "s3cret";
    api_ask_tcp(&g, "GET", "/v1/status", "Host: 127.0.0.1:8081\r\n");
    says(&g, 401, "Bearer");
    CHECK(strstr(g.answer.data, "WWW-Authenticate: Bearer") != NULL);
    api_ask_tcp(&g, "GET", "/v1/status", "Host: localhost\r\nAuthorization: Bearer s3cre\r\n");
    says(&g, 401, "Bearer");
    api_ask_tcp(&g, "GET", "/v1/status", "Host: localhost\r\nAuthorization: Basic s3cret\r\n");
    says(&g, 401, "Bearer");
    api_ask_tcp(&g, "GET", "/v1/nope", "Host: localhost\r\n");
    says(&g, 401, "Bearer");
    api_ask_tcp(&g, "GET", "/v1/status",
                "Host: attacker.example\r\nAuthorization: Bearer s3cret\r\n");
    says(&g, 421, "host");
    api_ask_tcp(&g, "GET", "/livez", "Host: 127.0.0.1.attacker.example:80\r\n");
    says(&g, 421, "host");
    api_ask_tcp(&g, "GET", "/v1/status", "Host: [::1]:8081\r\nAuthorization: Bearer s3cret\r\n");
    says(&g, 200, "\"ready\":true");
    api_finish(&g);
}

/* ---- reading ---- */

static void status_is_one_page_of_valid_json(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    api_ask(&g, "GET", "/v1/status", "");
    says(&g, 200, "\"summary\":{\"events\":1");
    says(&g, 200, "\"lanes\":[{\"endpoint\":\"byron\",\"breaker\":\"closed\"");
    says(&g, 200, "\"byron\":{\"held\":1,\"dead\":1}");
    says(&g, 200, "\"config\":{\"file\":\"sluice.yaml\"}");
    api_finish(&g);
}

static void lists_and_single_ones_are_given_and_bad_questions_named(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    api_ask(&g, "GET", "/v1/events?topic=orders%2Fpaid", "");
    says(&g, 200, "[{\"id\":1,");
    api_ask(&g, "GET", "/v1/events?topic=other", "");
    says(&g, 200, "[]");
    api_ask(&g, "GET", "/v1/events?state=dead", "");
    says(&g, 400, "unknown parameter \\\"state\\\"");
    api_ask(&g, "GET", "/v1/deliveries?state=held&hold_type=fraud", "");
    says(&g, 200, "[{\"id\":\"1.1\",");
    api_ask(&g, "GET", "/v1/deliveries?after=1.0&limit=1", "");
    says(&g, 200, "[{\"id\":\"1.1\",");
    api_ask(&g, "GET", "/v1/deliveries/1.0", "");
    says(&g, 200, "\"reason\":\"HTTP 422\"");
    api_ask(&g, "GET", "/v1/deliveries/1.9", "");
    says(&g, 404, "no delivery 1.9");
    api_ask(&g, "GET", "/v1/deliveries/x", "");
    says(&g, 400, "like 1042.0");
    api_ask(&g, "GET", "/v1/events/77", "");
    says(&g, 404, "no event 77");
    api_ask(&g, "GET", "/v1/events/1?x=1", "");
    says(&g, 400, "no parameters");
    api_finish(&g);
}

/* ---- deciding ---- */

static void a_decision_is_checked_before_anything_is_done(void **state)
{
    static const struct {
        const char *body, *why;
    } bad[] = {
        { "", "not JSON" },
        { "{\"action\":\"replay\",\"action\":\"discard\"}", "not JSON" },
        { "[]", "wanted a JSON object" },
        { "{\"ids\":[\"1.0\"]}", "\\\"action\\\"" },
        { "{\"action\":\"eat\",\"ids\":[\"1.0\"]}", "must be one of replay" },
        { "{\"action\":\"replay\"}", "either" },
        { "{\"action\":\"replay\",\"ids\":[\"1.0\"],\"filter\":{}}", "either" },
        { "{\"action\":\"replay\",\"ids\":[]}", "1 to 10000" },
        { "{\"action\":\"replay\",\"ids\":[1.0]}", "like" },
        { "{\"action\":\"replay\",\"ids\":[\"x\"]}", "not \\\"x\\\"" },
        { "{\"action\":\"replay\",\"filter\":{\"stat\":\"dead\"}}", "filter: unknown" },
        { "{\"action\":\"replay\",\"filter\":{\"state\":\"ded\"}}", "not \\\"ded\\\"" },
        { "{\"action\":\"replay\",\"filter\":{\"state\":5}}", "must be a text" },
        { "{\"action\":\"discard\",\"ids\":[\"1.0\"],\"force\":true}", "for \\\"replay\\\"" },
        { "{\"action\":\"replay\",\"ids\":[\"1.0\"],\"dry_run\":1}", "true or false" },
        { "{\"action\":\"replay\",\"ids\":[\"1.0\"],\"why\":7}", "must be a text" },
        { "{\"action\":\"replay\",\"ids\":[\"1.0\"],\"all\":true}", "unknown member" },
        { "{\"action\":\"release\",\"ids\":[\"1.0\"],\"to\":\"nope\"}",
          "no endpoint \\\"nope\\\"" },
        { "{\"action\":\"reject\",\"ids\":[\"1.0\"],\"to\":\"byron\"}", "for \\\"release\\\"" },
    };
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        api_ask(&g, "POST", "/v1/decide", bad[i].body);
        says(&g, 400, bad[i].why);
    }
    CHECK_EQ(rig_get(&g.store, delivery_num(1, 0)), 0);
    CHECK_EQ(g.store.d[0].state, DS_DEAD);
    api_finish(&g);
}

static void each_id_has_its_own_result_and_is_taken_once(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    api_ask(&g, "POST", "/v1/decide",
            "{\"action\":\"reject\",\"why\":\"no\",\"ids\":[\"1.1\",\"9.0\",\"1.0\",\"1.1\"]}");
    says(&g, 200, "{\"id\":\"1.0\",\"status\":\"refused\"");
    says(&g, 200, "{\"id\":\"1.1\",\"status\":\"done\"");
    says(&g, 200, "{\"id\":\"9.0\",\"status\":\"not_found\"");
    says(&g, 200, "\"done\":1,\"failed\":2,\"matched\":3");
    api_ask(&g, "GET", "/v1/deliveries/1.1", "");
    says(&g, 200, "\"state\":\"dead\"");
    says(&g, 200, "uid ");
    says(&g, 200, "\"reason\":\"no\"");
    api_finish(&g);
}

static void a_dry_run_lists_and_changes_nothing(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    api_ask(&g, "POST", "/v1/decide",
            "{\"action\":\"release\",\"filter\":{\"hold_type\":\"fraud\"},\"dry_run\":true}");
    says(&g, 200,
         "{\"id\":\"1.1\",\"status\":\"would\",\"text\":\"held: order-to-supplier -> byron\"}");
    says(&g, 200, "\"done\":0,\"failed\":0,\"matched\":1,\"more\":false,\"dry_run\":true");
    api_ask(&g, "POST", "/v1/decide",
            "{\"action\":\"release\",\"ids\":[\"5.0\"],\"dry_run\":true}");
    says(&g, 200, "not_found");
    CHECK_EQ(rig_get(&g.store, delivery_num(1, 1)), 0);
    CHECK_EQ(g.store.d[0].state, DS_HELD);
    CHECK_EQ(g.delivered, 0);
    api_finish(&g);
}

static void a_replayed_delivery_is_sent(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    api_ask(&g, "POST", "/v1/decide", "{\"action\":\"replay\",\"ids\":[\"1.0\"]}");
    says(&g, 200, "\"status\":\"done\"");
    api_until(&g, g.delivered == 1);
    api_ask(&g, "POST", "/v1/decide",
            "{\"action\":\"release\",\"ids\":[\"1.2\"],\"to\":\"byron\"}");
    says(&g, 200, "\"status\":\"done\"");
    api_until(&g, g.delivered == 2);
    api_finish(&g);
}

#define EVENTS_MANY 3
#define EACH        4096

/* More dead ones than one decision takes: 3 events of 4096. */
static void fill_many(struct rig *store)
{
    static struct rec_delivery d[EACH];

    for (unsigned e = 0; e < EVENTS_MANY; e++) {
        uint64_t event = rig_receipt(store, "byron", "orders/paid", NULL, "{}");
        for (unsigned i = 0; i < EACH; i++) {
            d[i] = delivery(event, i, "byron");
            d[i].state = DS_DEAD;
        }
        rig_routed(store, event, d, EACH);
    }
}

static void a_bulk_goes_page_by_page_and_lists_not_all_of_very_many(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_many);
    api_ask(&g, "POST", "/v1/decide", "{\"action\":\"discard\",\"filter\":{},\"dry_run\":true}");
    says(&g, 200, "\"done\":0,\"failed\":0,\"matched\":12288,\"more\":true");
    api_ask(&g, "POST", "/v1/decide", "{\"action\":\"discard\",\"filter\":{\"since\":\"1h\"}}");
    says(&g, 200, "\"done\":0,\"failed\":0,\"matched\":0,\"more\":false");
    api_ask(&g, "POST", "/v1/decide",
            "{\"action\":\"discard\",\"filter\":{\"error\":\"no such\"}}");
    says(&g, 200, "\"matched\":0");
    api_ask(&g, "POST", "/v1/decide", "{\"action\":\"discard\",\"filter\":{\"until\":\"1h\"}}");
    says(&g, 200, "\"done\":12288,\"failed\":0,\"matched\":12288,\"more\":true");
    api_ask(&g, "POST", "/v1/decide", "{\"action\":\"discard\",\"filter\":{}}");
    says(&g, 200, "{\"results\":[],\"done\":0");
    api_finish(&g);
}

static void who_hangs_up_loses_the_answer_but_not_the_decision(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    api_leave(&g, "POST", "/v1/decide", "{\"action\":\"discard\",\"ids\":[\"1.0\"]}");
    for (int i = 0; i < 20; i++)
        api_leave(&g, "GET", "/v1/status", "");
    do
        CHECK_EQ(rig_get(&g.store, delivery_num(1, 0)), 0);
    while (g.store.d[0].state != DS_DISCARDED);
    api_ask(&g, "GET", "/livez", "");
    says(&g, 200, "ok");
    api_finish(&g);
}

static void closing_with_calls_under_way_leaves_nothing_behind(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, fill_some);
    for (int i = 0; i < 10; i++)
        api_leave(&g, "GET", "/v1/events", "");
    uv_run(&g.store.loop, UV_RUN_NOWAIT);
    api_finish(&g);
}

/* ---- lanes, routes, try ---- */

static void breakers_and_routes_are_moved_by_hand(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, NULL);
    api_ask(&g, "POST", "/v1/endpoints/byron/trip", "");
    says(&g, 200, "{\"endpoint\":\"byron\",\"breaker\":\"open\"");
    api_ask(&g, "POST", "/v1/endpoints/byron/reset", "");
    says(&g, 200, "\"breaker\":\"closed\"");
    api_ask(&g, "POST", "/v1/endpoints/byron/unpark", "");
    says(&g, 200, "\"parked\":false");
    api_ask(&g, "POST", "/v1/endpoints/b%22/trip", "");
    says(&g, 404, "no endpoint \\\"b\\\"\\\"");
    api_ask(&g, "POST", "/v1/routes/order-to-supplier/resume", "");
    says(&g, 200, "\"paused\":null");
    api_ask(&g, "POST", "/v1/routes/order-to-supplier/pause", "{\"why\":\"wrong prices\"}");
    says(&g, 200, "\"paused\":{\"drain\":false,\"since\":\"20");
    api_ask(&g, "GET", "/v1/routes", "");
    says(&g, 200, "\"why\":\"wrong prices\"");
    api_ask(&g, "POST", "/v1/routes/order-to-supplier/resume", "");
    says(&g, 200, "\"paused\":null");
    api_ask(&g, "POST", "/v1/endpoints/byron/drain", "");
    says(&g, 200, "\"paused\":{\"drain\":true");
    api_ask(&g, "POST", "/v1/endpoints/byron/pause", "{\"because\":1}");
    says(&g, 400, "\\\"why\\\"");
    api_ask(&g, "POST", "/v1/endpoints/byron/resume", "");
    says(&g, 200, "\"paused\":null");
    api_ask(&g, "POST", "/v1/reload", "");
    says(&g, 409, "cannot read its configuration anew");
    api_ask(&g, "GET", "/v1/places", "");
    says(&g, 200, "[");
    api_ask(&g, "POST", "/v1/routes/x/resume", "");
    says(&g, 404, "no route");
    api_finish(&g);
}

static void a_try_shows_where_a_payload_would_go(void **state)
{
    struct api_rig g;

    (void)state;
    api_start(&g, NULL);
    api_ask(&g, "POST", "/v1/try",
            "{\"endpoint\":\"byron\",\"topic\":\"orders/create\",\"headers\":{\"X-A\":\"b\"},"
            "\"body\":\"{\\\"total\\\":19.90}\"}");
    says(&g, 200, "\"to\":\"byron\"");
    says(&g, 200, "\"body\":{\"total\":19.90}");
    api_ask(&g, "POST", "/v1/try", "{\"endpoint\":\"nope\",\"topic\":\"t\",\"body\":\"\"}");
    says(&g, 404, "no endpoint \\\"nope\\\"");
    api_ask(&g, "POST", "/v1/try", "{\"endpoint\":\"byron\"}");
    says(&g, 400, "wanted");
    api_ask(&g, "POST", "/v1/try", "{\"endpoint\":\"byron\",\"topic\":\"t\",\"headers\":[]}");
    says(&g, 400, "headers");
    api_ask(&g, "POST", "/v1/try", "{\"endpoint\":\"byron\",\"topic\":\"t\",\"bodi\":\"\"}");
    says(&g, 400, "unknown member");
    api_ask(&g, "GET", "/v1/events", "");
    says(&g, 200, "[]");
    CHECK_EQ(g.delivered, 0);
    api_finish(&g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_and_metrics_answer_on_the_socket),
        cmocka_unit_test(unknown_paths_and_wrong_methods_are_told_apart),
        cmocka_unit_test(a_question_takes_no_large_body),
        cmocka_unit_test(without_a_token_tcp_gives_health_alone_and_says_so),
        cmocka_unit_test(tcp_wants_the_token_and_one_of_our_names),
        cmocka_unit_test(status_is_one_page_of_valid_json),
        cmocka_unit_test(lists_and_single_ones_are_given_and_bad_questions_named),
        cmocka_unit_test(a_decision_is_checked_before_anything_is_done),
        cmocka_unit_test(each_id_has_its_own_result_and_is_taken_once),
        cmocka_unit_test(a_dry_run_lists_and_changes_nothing),
        cmocka_unit_test(a_replayed_delivery_is_sent),
        cmocka_unit_test(a_bulk_goes_page_by_page_and_lists_not_all_of_very_many),
        cmocka_unit_test(who_hangs_up_loses_the_answer_but_not_the_decision),
        cmocka_unit_test(closing_with_calls_under_way_leaves_nothing_behind),
        cmocka_unit_test(breakers_and_routes_are_moved_by_hand),
        cmocka_unit_test(a_try_shows_where_a_payload_would_go),
    };

    if (argc == 2 && strcmp(argv[1], "map-worker") == 0)
        return map_worker_main(); /* the mapper starts its own binary */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
