/*
 * test_intake_serve.c - questions by GET that an adapter answers: now or later, so many at once,
 * and nothing of them is stored.
 */
#include "intake_rig.h"

#define AT_ONCE 64

/* ---- the adapter: /now, /later, /no (404), /wrong (400), /memory (503), else 405 ---- */

static struct {
    sl_serve_cb cb;
    void *ctx;
} later[AT_ONCE + 1];
static size_t n_later;

static void tell(sl_serve_cb cb, void *ctx, uint32_t status, const char *body)
{
    cb(ctx, &(sl_served){ .size = sizeof(sl_served), .status = status, .body = str_of(body) });
}

static sl_status fake_serve(void *self, const sl_head *head, sl_serve_cb cb, void *ctx,
                            sl_fail *fail)
{
    (void)self;
    CHECK(str_eq(head->query, STR("a=1")) && head->n_headers == 1);
    if (str_eq(head->rest, STR("/now"))) {
        tell(cb, ctx, 200, "{\"now\":1}");
    } else if (str_eq(head->rest, STR("/later"))) {
        CHECK(n_later <= AT_ONCE);
        later[n_later].cb = cb;
        later[n_later++].ctx = ctx;
    } else if (str_eq(head->rest, STR("/no"))) {
        return SL_E_NOT_FOUND;
    } else if (str_eq(head->rest, STR("/memory"))) {
        return SL_E_NO_MEMORY;
    } else if (str_eq(head->rest, STR("/wrong"))) {
        snprintf(fail->text, sizeof(fail->text), "the query is none");
        return SL_E_INVALID;
    } else {
        return SL_E_UNSUPPORTED;
    }
    return SL_OK;
}

static void answer_all(uint32_t status)
{
    size_t n = n_later;

    n_later = 0;
    for (size_t i = 0; i < n; i++)
        tell(later[i].cb, later[i].ctx, status, "{\"later\":1}");
}

static struct in *begin(void)
{
    static sl_plugin plugin;
    struct in *in = setup(0);

    n_later = 0;
    plugin = *in->rig.adapters[SHOP].plugin;
    plugin.serve = fake_serve;
    in->rig.adapters[SHOP].plugin = &plugin;
    return in;
}

static int dial_and_ask(struct in *in, const char *method, const char *path)
{
    int fd = dial(in);
    char text[200];

    snprintf(text, sizeof(text), "%s /in/shop%s?a=1 HTTP/1.1\r\nHost: h\r\n\r\n", method, path);
    say(fd, text, strlen(text));
    return fd;
}

static int hear(struct in *in, int fd, char *text)
{
    int status = 0;

    UNTIL(&in->rig, (status = heard(fd, text)) != 0);
    close(fd);
    return status;
}

static int ask(struct in *in, const char *method, const char *path, char *text)
{
    return hear(in, dial_and_ask(in, method, path), text);
}

/* ---- tests ---- */

static void a_question_is_answered_and_nothing_of_it_is_stored(void **state)
{
    struct in *in = begin();
    char text[512];
    int fd;

    (void)state;
    CHECK_EQ(ask(in, "GET", "/now", text), 200);
    CHECK_HAS(text, "Content-Type: application/json\r\n");
    CHECK_HAS(text, "Cache-Control: no-store\r\n");
    CHECK_HAS(text, "\r\n\r\n{\"now\":1}");
    CHECK_EQ(ask(in, "HEAD", "/now", text), 200);
    CHECK(!strstr(text, "now\":1"));
    fd = dial_and_ask(in, "GET", "/later");
    UNTIL(&in->rig, n_later == 1);
    answer_all(200);
    CHECK_EQ(hear(in, fd, text), 200);
    CHECK_HAS(text, "{\"later\":1}");
    CHECK_EQ(ask(in, "GET", "/no", text), 404);
    CHECK_EQ(ask(in, "GET", "/wrong", text), 400);
    CHECK_HAS(text, "the query is none");
    CHECK_EQ(ask(in, "GET", "/memory", text), 503);
    CHECK_HAS(text, "Retry-After");
    CHECK_EQ(ask(in, "GET", "/else", text), 405);
    /* what comes by POST is a webhook */
    CHECK_EQ(send_one(in, "one", RIG_SECRET, "a 1"), 200);
    CHECK_EQ(in->rig.flow->stats.received, 1);
    CHECK_EQ(in->rig.flow->stats.refused, 0);
    CHECK_EQ(in->rig.flow->serving, 0);
    teardown(in);
}

static void more_than_so_many_at_once_are_told_to_come_again(void **state)
{
    struct in *in = begin();
    int fds[AT_ONCE];
    char text[512];

    (void)state;
    for (int i = 0; i < AT_ONCE; i++)
        fds[i] = dial_and_ask(in, "GET", "/later");
    UNTIL(&in->rig, n_later == AT_ONCE);
    CHECK_EQ(ask(in, "GET", "/now", text), 503);
    CHECK_HAS(text, "Retry-After");
    CHECK_EQ(send_one(in, "one", RIG_SECRET, "a 1"), 200); /* webhooks are taken all the same */
    close(fds[0]); /* who has gone does not matter to the answer */
    for (int i = 0; i < 10; i++)
        rig_turn(&in->rig);
    answer_all(299);
    for (int i = 1; i < AT_ONCE; i++)
        CHECK_EQ(hear(in, fds[i], text), 299);
    CHECK_EQ(ask(in, "GET", "/now", text), 200);
    CHECK_EQ(in->rig.flow->serving, 0);
    teardown(in);
}

static void which_secret_has_signed_is_counted(void **state)
{
    struct in *in = begin();
    struct lane_stats s;

    (void)state;
    CHECK_EQ(send_one(in, "one", RIG_OLD_SECRET, "a 1"), 200);
    CHECK_EQ(send_one(in, "two", RIG_SECRET, "a 2"), 200);
    CHECK_EQ(send_one(in, "three", RIG_SECRET, "a 3"), 200);
    CHECK_EQ(send_one(in, "four", "of nobody", "a 4"), 401);
    flow_lane_stats(in->rig.flow, SHOP, &s);
    CHECK_EQ(s.n_secrets, 2);
    CHECK_EQ(s.signed_by[0].webhooks + s.signed_by[1].webhooks, 3);
    CHECK_EQ(s.signed_by[0].webhooks, 2);
    CHECK(s.signed_by[1].last_ms > 0 && s.signed_by[1].last_ms <= s.signed_by[0].last_ms);
    teardown(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_answered_and_nothing_of_it_is_stored),
        cmocka_unit_test(more_than_so_many_at_once_are_told_to_come_again),
        cmocka_unit_test(which_secret_has_signed_is_counted),
    };

    gate_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
