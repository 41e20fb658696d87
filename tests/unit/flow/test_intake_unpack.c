/*
 * test_intake_unpack.c - requests that hold several events: all of them durable before the one
 * answer, each known by itself when it comes again.
 *
 * The adapter's format: a line "TOPIC ID BODY" for each event ("-": none); "=STATUS TEXT": the
 * answer; "?": where to ask; "!": malformed; "*": memory is short; "#N": so many more events.
 */
#include "intake_rig.h"

#include "torture.h"

/* ---- the adapter ---- */

static sl_str word(sl_str *line)
{
    const char *blank = memchr(line->ptr, ' ', line->len);
    size_t n = blank ? (size_t)(blank - line->ptr) : line->len;
    sl_str w = { line->ptr, n };

    line->ptr += n + (blank != NULL);
    line->len -= n + (blank != NULL);
    return str_eq(w, STR("-")) ? STR("") : w;
}

static sl_status many(const sl_unpack_out *out, unsigned n)
{
    char id[16];

    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "many-%u", i);
        sl_status r = out->event(out->ctx, STR("t"), str_of(id), STR("order:1 -"));
        if (r < 0)
            return i + 1 == n ? SL_OK : r; /* one that overlooks an error */
    }
    return SL_OK;
}

static sl_status one_line(sl_str line, const sl_unpack_out *out, sl_fail *fail)
{
    char text[200];

    snprintf(text, sizeof(text), STR_FMT, STR_ARG(line));
    switch (text[0]) {
    case '!':
        snprintf(fail->text, sizeof(fail->text), "line %s is no event", text);
        return SL_E_INVALID;
    case '?':
        return out->follow(out->ctx);
    case '*':
        return SL_E_NO_MEMORY;
    case '#':
        return many(out, (unsigned)atoi(text + 1));
    case '=':
        return out->answer(out->ctx, &(sl_ack){ .size = sizeof(sl_ack),
                                                .status = (uint32_t)atoi(text + 1),
                                                .content_type = "text/xml",
                                                .body = text + 5 });
    default:
        break;
    }
    sl_str topic = word(&line), id = word(&line);
    return out->event(out->ctx, topic, id, line);
}

static sl_status fake_unpack(void *self, const sl_head *head, sl_str body, const sl_unpack_out *out,
                             sl_fail *fail)
{
    (void)self;
    CHECK(str_eq(head->method, STR("POST")));
    CHECK(str_eq(head->rest, STR("")));
    CHECK(head->n_headers > 3);
    while (body.len) {
        const char *end = memchr(body.ptr, '\n', body.len);
        size_t n = end ? (size_t)(end - body.ptr) : body.len;
        sl_status r = one_line((sl_str){ body.ptr, n }, out, fail);
        if (r < 0)
            return r;
        body.ptr += n + (end != NULL);
        body.len -= n + (end != NULL);
    }
    return SL_OK;
}

static void unpacks(struct in *in)
{
    static sl_plugin plugin;

    plugin = *in->rig.adapters[SHOP].plugin;
    plugin.unpack = fake_unpack;
    in->rig.adapters[SHOP].plugin = &plugin;
}

static struct in *begin(void)
{
    struct in *in = setup(0);

    unpacks(in);
    return in;
}

/** Sends it and gives the status; `text`: of 512, what was answered. */
static int ask(struct in *in, const char *body, char *text)
{
    int fd = dial(in), status = 0;

    post(fd, NULL, RIG_SECRET, body);
    UNTIL(&in->rig, (status = heard(fd, text)) != 0);
    close(fd);
    return status;
}

/* ---- tests ---- */

static void all_events_of_a_request_are_durable_before_its_answer(void **state)
{
    struct in *in = begin();
    int fd = dial(in);
    char text[512];

    (void)state;
    gate_close();
    post(fd, NULL, RIG_SECRET, "a one order:1 1\nb two order:2 1\n=202 said\na three order:1 2");
    UNTIL(&in->rig, waits_at_gate());
    for (int i = 0; i < 10; i++)
        rig_turn(&in->rig);
    CHECK_EQ(heard(fd, text), 0);
    gate_open(0);
    int status = 0;
    UNTIL(&in->rig, (status = heard(fd, text)) != 0);
    CHECK_EQ(status, 202);
    CHECK(strstr(text, "Content-Type: text/xml\r\n") && strstr(text, "\r\n\r\nsaid"));
    close(fd);
    CHECK_EQ(in->rig.flow->stats.received, 3);
    CHECK_EQ(in->rig.flow->arriving_bytes, 0);
    restart(in);
    const char *bodies[] = { "order:1 1", "order:2 1", "order:1 2" };
    for (uint64_t i = 0; i < 3; i++) {
        struct found f = event_of(in, i + 1);
        CHECK_EQ(f.status, 0);
        CHECK_STR(f.body, bodies[i]);
        CHECK(memmem(f.headers, sizeof(f.headers), "X-Topic", 7) != NULL);
        CHECK(memmem(f.headers, sizeof(f.headers), "hidden", 6) == NULL);
    }
    teardown(in);
}

static void of_what_comes_again_only_what_is_new_is_taken(void **state)
{
    struct in *in = begin();
    char text[512];

    (void)state;
    CHECK_EQ(ask(in, "a one order:1 1\na two order:2 1", text), 200);
    CHECK_EQ(ask(in, "a two order:2 1\na three order:3 1\na one order:1 1", text), 200);
    CHECK_EQ(in->rig.flow->stats.received, 3);
    CHECK_EQ(in->rig.flow->stats.duplicates, 2);
    UNTIL(&in->rig, in->rig.flow->stats.routed == 3);
    restart(in);
    unpacks(in);
    CHECK_EQ(ask(in, "a four order:4 1\na one order:1 1\na four order:4 1\na - order:5 1", text),
             200);
    CHECK_EQ(in->rig.flow->stats.received, 2); /* of the two in one request the first */
    CHECK_EQ(in->rig.flow->stats.duplicates, 2);
    teardown(in);
}

static void what_is_malformed_keeps_nothing_of_its_request(void **state)
{
    struct in *in = begin();
    char text[512];

    (void)state;
    CHECK_EQ(ask(in, "a one order:1 1\n!x", text), 400);
    CHECK(strstr(text, "line !x is no event"));
    CHECK_EQ(ask(in, "a one order:1 1\n- two order:2 1", text), 400); /* no topic */
    CHECK_EQ(ask(in, "a one order:1 1\n=404 no", text), 400);
    CHECK_EQ(ask(in, "a one order:1 1\n*", text), 503);
    CHECK_EQ(in->rig.flow->stats.malformed, 3);
    CHECK_EQ(in->rig.flow->stats.refused, 1);
    CHECK_EQ(log_seq(in), 0);
    int fd = dial(in);
    post(fd, NULL, "no secret", "a one order:1 1");
    CHECK_EQ(answer(in, fd), 401);
    close(fd);
    CHECK_EQ(log_seq(in), 0);
    CHECK_EQ(ask(in, "", text), 200); /* nothing in it is fine */
    CHECK_EQ(log_seq(in), 0);
    CHECK_EQ(ask(in, "a one order:1 1", text), 200);
    teardown(in);
}

static void a_request_holds_a_thousand_events_and_no_more(void **state)
{
    struct in *in = begin();
    char text[512];

    (void)state;
    CHECK_EQ(ask(in, "#1001", text), 413); /* although the adapter said that all is well */
    CHECK_EQ(in->rig.flow->stats.too_large, 1);
    CHECK_EQ(log_seq(in), 0);
    CHECK_EQ(ask(in, "#1000", text), 200);
    CHECK_EQ(in->rig.flow->stats.received, 1000);
    UNTIL(&in->rig, in->rig.flow->stats.routed == 1000);
    CHECK_EQ(ask(in, "#1000", text), 200);
    CHECK_EQ(in->rig.flow->stats.duplicates, 1000);
    teardown(in);
}

static void after_a_sync_that_failed_none_is_acknowledged(void **state)
{
    struct in *in = begin();
    int fd = dial(in);

    (void)state;
    gate_close();
    post(fd, NULL, RIG_SECRET, "a one order:1 1\na two order:2 1");
    UNTIL(&in->rig, waits_at_gate());
    gate_open(UV_EIO);
    CHECK_EQ(answer(in, fd), 503);
    CHECK_EQ(in->rig.flow->stats.received, 0);
    close(fd);
    teardown(in);
}

static void who_goes_away_before_the_answer_has_sent_all_of_them(void **state)
{
    struct in *in = begin();
    int fd = dial(in);

    (void)state;
    gate_close();
    post(fd, NULL, RIG_SECRET, "a one order:1 1\na two order:2 1");
    UNTIL(&in->rig, waits_at_gate());
    close(fd);
    for (int i = 0; i < 10; i++)
        rig_turn(&in->rig);
    gate_open(0);
    UNTIL(&in->rig, in->rig.flow->stats.received == 2);
    teardown(in);
}

/* An answer, or a closed connection, and never a part of a request. */
static void each_allocation_may_fail_while_it_is_unpacked(void **state)
{
    enum { MOST = 300 };
    struct in *in = begin();
    unsigned taken = 0, refused = 0;
    bool failed = true;

    (void)state;
    in->rig.flow->router.spilled = in->rig.flow->router.claiming = true; /* it rests */
    for (unsigned n = 1; n < MOST && failed; n++) {
        char head[1024], body[200];
        snprintf(body, sizeof(body), "a a%u order:1 1\na b%u order:1 2\n=202 said", n, n);
        int fd = dial(in);
        say(fd, head, head_of(head, sizeof(head), NULL, RIG_SECRET, body, strlen(body)));
        for (int i = 0; i < 3; i++)
            rig_turn(&in->rig);
        torture_arm(TORTURE_OWN, n, false);
        say(fd, body, strlen(body));
        int status = answer(in, fd);
        failed = torture_disarm();
        close(fd);
        CHECK(status == 202 || status == 503 || status == -1);
        CHECK(failed || status == 202);
        taken += status == 202;
        refused += status == 503;
        CHECK_EQ(in->rig.flow->stats.received % 2, 0);
    }
    CHECK(!failed);
    CHECK(refused > 3);
    CHECK_EQ(in->rig.flow->stats.received, 2 * taken);
    CHECK_EQ(in->rig.flow->arriving_bytes, 0);
    in->rig.flow->router.claiming = false;
    teardown(in);
}

/* ---- what becomes of it ---- */

#define HOOKS "https://hooks.example.com/in/shop"

/** What a GET is answered; `text`: of 512. */
static int look(struct in *in, const char *path, char *text)
{
    int fd = dial(in), status = 0;
    char line[400];

    say(fd, line,
        (size_t)snprintf(line, sizeof(line), "GET /in/shop%s HTTP/1.1\r\nHost: h\r\n\r\n", path));
    UNTIL(&in->rig, (status = heard(fd, text)) != 0);
    close(fd);
    return status;
}

static struct in *begin_with_status(void)
{
    struct in *in = calloc(1, sizeof(*in));

    gate_open(0);
    rig_init(&in->rig);
    in->rig.endpoints[SHOP].status_url = "https://hooks.example.com";
    in->rig.endpoints[SHOP].status_secret = "a secret of the status";
    rig_route(&in->rig, "to-crm", "a", CRM, ACT_SEND);
    rig_up(&in->rig);
    listen_up(in);
    unpacks(in);
    return in;
}

/** The path of what an answer says, behind /in/shop; static. */
static const char *path_in(const char *text)
{
    static char path[100];
    const char *at = strstr(text, "\"status_url\":\"" HOOKS);

    CHECK(at != NULL);
    snprintf(path, sizeof(path), "%s", at + strlen("\"status_url\":\"" HOOKS));
    *strchr(path, '"') = '\0';
    return path;
}

static void who_sent_an_event_may_ask_what_becomes_of_it(void **state)
{
    struct in *in = begin_with_status();
    char text[512], path[100], other[100];

    (void)state;
    CHECK_EQ(ask(in, "a one order:1 1\n?", text), 202);
    CHECK(strstr(text, "Content-Type: application/json\r\n"));
    CHECK(strstr(text, "{\"status\":\"accepted\",\"status_url\":\"" HOOKS "/status/1-"));
    strcpy(path, path_in(text));
    CHECK_EQ(look(in, path, text), 200);
    CHECK(strstr(text, "\"status\":\"processing\"") && strstr(text, "Cache-Control: no-store"));
    /* sent again it is the same; another one is another */
    CHECK_EQ(ask(in, "a one order:1 1\n?", text), 202);
    CHECK_STR(path_in(text), path);
    CHECK_EQ(ask(in, "a two order:2 1\n?", text), 202);
    strcpy(other, path_in(text));
    CHECK(strcmp(other, path) != 0);

    struct call *c = rig_call(&in->rig, CRM);
    const sl_emit emits[] = { { STR("thing/ready"), STR("{\"status\":\"x\",\"link\":\"here\"}") } };
    sl_outcome o = { .size = sizeof(o), .kind = SL_DELIVERED, .emits = emits, .n_emits = 1 };
    c->done->outcome(c->done->ctx, 0, &o);
    rig_end(c);
    UNTIL(&in->rig, look(in, path, text) == 200 && strstr(text, "\"ready\""));
    CHECK(strstr(text, "\"status\":\"ready\"") && strstr(text, "\"link\":\"here\""));
    rig_answer(rig_call(&in->rig, CRM), SL_REJECTED); /* the other one */
    UNTIL(&in->rig, look(in, other, text) == 200 && strstr(text, "\"failed\""));
    CHECK(strstr(text, "\"why\":\"the test\""));

    restart(in); /* it is the store's knowledge, not the process's */
    CHECK_EQ(look(in, path, text), 200);
    CHECK(strstr(text, "\"link\":\"here\""));
    CHECK_EQ(in->rig.flow->appends, 0);
    teardown(in);
}

static void nobody_else_may(void **state)
{
    struct in *in = begin_with_status();
    char text[512], path[100], bad[300];

    (void)state;
    CHECK_EQ(ask(in, "a one order:1 1\n?", text), 202);
    strcpy(path, path_in(text));
    for (size_t i = strlen("/status/"); path[i]; i++) {
        strcpy(bad, path);
        bad[i] = bad[i] == '1' ? '2' : '1';
        CHECK_EQ(look(in, bad, text), 404);
        CHECK(strstr(text, "no such event"));
    }
    static const char *const none[] = {
        "/status/",
        "/status/1",
        "/status/1-",
        "/status/-",
        "/status/99999999999999999999-00000000000000000000000000000000",
        "/status/1-0123456789abcdef0123456789abcdef0"
    };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        CHECK_EQ(look(in, none[i], text), 404);
    /* a body has no place in a question */
    int fd = dial(in), status;
    snprintf(bad, sizeof(bad), "GET /in/shop%s HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
             path);
    say(fd, bad, strlen(bad));
    UNTIL(&in->rig, (status = heard(fd, text)) != 0);
    CHECK_EQ(status, 413);
    close(fd);
    in->rig.endpoints[SHOP].status_secret = "another secret, after a leak";
    CHECK_EQ(look(in, path, text), 404);
    in->rig.endpoints[SHOP].status_secret = NULL; /* no status at all: the adapter's path */
    CHECK(look(in, path, text) >= 400);
    /* the adapter insists on an answer that cannot be given: nothing is kept */
    CHECK_EQ(ask(in, "a two order:1 1\n?", text), 405);
    CHECK_EQ(in->rig.flow->stats.received, 1);
    teardown(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_events_of_a_request_are_durable_before_its_answer),
        cmocka_unit_test(of_what_comes_again_only_what_is_new_is_taken),
        cmocka_unit_test(what_is_malformed_keeps_nothing_of_its_request),
        cmocka_unit_test(a_request_holds_a_thousand_events_and_no_more),
        cmocka_unit_test(after_a_sync_that_failed_none_is_acknowledged),
        cmocka_unit_test(who_goes_away_before_the_answer_has_sent_all_of_them),
        cmocka_unit_test(each_allocation_may_fail_while_it_is_unpacked),
        cmocka_unit_test(who_sent_an_event_may_ask_what_becomes_of_it),
        cmocka_unit_test(nobody_else_may),
    };

    gate_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
