/*
 * test_intake.c - webhooks over real sockets into a real store: what is answered, when, and what is
 * there afterwards. A gate before the disk's sync decides when something is durable.
 */
#include "intake_rig.h"

#include "base/clock.h"
#include "flow/feed.h"

#include "torture.h"

/* ---- tests ---- */

static void a_webhook_is_answered_when_it_is_durable_and_not_before(void **state)
{
    struct in *in = setup(0);
    int fd = dial(in);
    char text[512];

    (void)state;
    gate_close();
    post(fd, "id-1", RIG_SECRET, "order:1 1");
    UNTIL(&in->rig, waits_at_gate());
    for (int i = 0; i < 10; i++)
        rig_turn(&in->rig);
    CHECK_EQ(heard(fd, text), 0);
    gate_open(0);
    CHECK_EQ(answer(in, fd), 200);
    close(fd);
    restart(in);
    struct found f = event_of(in, 1);
    CHECK_EQ(f.status, 0);
    CHECK_STR(f.body, "order:1 1");
    CHECK(memmem(f.headers, sizeof(f.headers), "X-Topic", 7) != NULL);
    CHECK(memmem(f.headers, sizeof(f.headers), "hidden", 6) == NULL);
    teardown(in);
}

static void a_duplicate_is_not_answered_before_its_original_is_durable(void **state)
{
    struct in *in = setup(0);
    int first = dial(in), second = dial(in);
    char text[512];

    (void)state;
    gate_close();
    post(first, "id-1", RIG_SECRET, "order:1 1");
    UNTIL(&in->rig, waits_at_gate()); /* the original is on its way to the disk */
    post(second, "id-1", RIG_SECRET, "order:1 1");
    for (int i = 0; i < 20; i++)
        rig_turn(&in->rig);
    CHECK_EQ(heard(first, text), 0);
    CHECK_EQ(heard(second, text), 0);
    gate_open(0);
    CHECK_EQ(answer(in, first), 200);
    CHECK_EQ(answer(in, second), 200);
    CHECK_EQ(in->rig.flow->stats.received, 1);
    CHECK_EQ(in->rig.flow->stats.duplicates, 1);
    close(first);
    close(second);
    teardown(in);
}

static void the_same_id_in_the_same_instant_is_taken_once(void **state)
{
    struct in *in = setup(0);
    int fd[8];

    (void)state;
    for (int i = 0; i < 8; i++)
        fd[i] = dial(in);
    for (int i = 0; i < 8; i++)
        post(fd[i], "id-1", RIG_SECRET, i == 5 ? "order:1 2" : "order:1 1");
    for (int i = 0; i < 8; i++)
        CHECK_EQ(answer(in, fd[i]), 200);
    CHECK_EQ(in->rig.flow->stats.received, 1);
    CHECK_EQ(in->rig.flow->stats.duplicates, 7);
    for (int i = 0; i < 8; i++)
        close(fd[i]);

    restart(in);
    CHECK_EQ(send_one(in, "id-1", RIG_SECRET, "order:1 1"), 200);
    CHECK_EQ(in->rig.flow->stats.received, 0);
    CHECK_EQ(in->rig.flow->stats.duplicates, 1);
    CHECK_EQ(send_one(in, "id-2", RIG_SECRET, "order:2 1"), 200);
    CHECK_EQ(send_one(in, NULL, RIG_SECRET, "order:3 1"), 200); /* no id, no key */
    CHECK_EQ(send_one(in, NULL, RIG_SECRET, "order:4 1"), 200);
    CHECK_EQ(in->rig.flow->stats.received, 3);
    teardown(in);
}

static void what_came_again_leaves_a_record_of_itself(void **state)
{
    struct in *in = setup(0);

    (void)state;
    CHECK_EQ(send_one(in, "id-1", RIG_SECRET, "order:1 1"), 200);
    UNTIL(&in->rig, in->rig.flow->stats.routed == 1);
    uint64_t before = log_seq(in);
    CHECK_EQ(send_one(in, "id-1", RIG_SECRET, "order:1 1"), 200);
    UNTIL(&in->rig, log_seq(in) == before + 1);
    teardown(in);
}

static void after_a_sync_that_failed_neither_of_two_is_acknowledged(void **state)
{
    struct in *in = setup(0);
    int first = dial(in), second = dial(in);

    (void)state;
    gate_close();
    post(first, "id-1", RIG_SECRET, "order:1 1");
    UNTIL(&in->rig, waits_at_gate());
    post(second, "id-1", RIG_SECRET, "order:1 1");
    UNTIL(&in->rig, in->rig.flow->appends == 2);
    gate_open(UV_EIO);
    CHECK_EQ(answer(in, first), 503);
    CHECK_EQ(answer(in, second), 503);
    CHECK_EQ(send_one(in, "id-2", RIG_SECRET, "order:2 1"), 503);
    CHECK_EQ(in->rig.flow->stats.received, 0);
    CHECK_EQ(in->rig.notices[NOTICE_REFUSING], 1);
    close(first);
    close(second);
    teardown(in);
}

/* Each has its own HMAC under each secret, whoever's piece comes next. */
static void bodies_in_pieces_do_not_mix(void **state)
{
    enum { N = 6, LEN = 100000, PIECE = 7919 };
    static char bodies[N][LEN];
    struct in *in = setup(0);
    char head[1024], id[16];
    uint64_t crc[N] = { 0 };
    int fd[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < LEN; k++) {
            bodies[i][k] = (char)('a' + (k * 7 + (size_t)i * k / 3) % 26);
            crc[i] = crc[i] * 31 + (unsigned char)bodies[i][k];
        }
        fd[i] = dial(in);
        snprintf(id, sizeof(id), "id-%d", i);
        /* the third's signature is of no secret, the fourth's of the older one */
        say(fd[i], head,
            head_of(head, sizeof(head), id,
                    i == 2   ? "no secret"
                    : i == 3 ? RIG_OLD_SECRET
                             : RIG_SECRET,
                    bodies[i], LEN));
    }
    for (size_t at = 0; at < LEN; at += PIECE)
        for (int i = 0; i < N; i++) {
            say(fd[i], bodies[i] + at, LEN - at < PIECE ? LEN - at : PIECE);
            rig_turn(&in->rig);
        }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(answer(in, fd[i]), i == 2 ? 401 : 200);
        close(fd[i]);
    }
    CHECK_EQ(in->rig.flow->stats.received, N - 1);
    CHECK_EQ(in->rig.flow->arriving_bytes, 0);
    for (uint64_t e = 1, seen = 0; seen < N - 1; e++) { /* `routed` records stand between */
        struct found f = event_of(in, e);
        bool known = false;
        if (f.status < 0)
            continue;
        seen++;
        CHECK_EQ(f.body_len, LEN);
        for (int i = 0; i < N; i++)
            known |= crc[i] == f.crc && i != 2;
        CHECK(known);
    }
    teardown(in);
}

static void one_bit_of_the_body_or_of_the_signature_is_a_401(void **state)
{
    struct in *in = setup(0);
    char text[1024], bad[1024];
    size_t n = head_of(text, sizeof(text), "id-1", RIG_SECRET, "order:1 1", 9);

    (void)state;
    memcpy(text + n, "order:1 1", 9);
    char *sig = strstr(text, "X-Sig: ") + 7;
    for (size_t i = 0; i < 64 + 9; i++) {
        size_t at = i < 64 ? (size_t)(sig - text) + i : n + (i - 64);
        int fd = dial(in);
        memcpy(bad, text, n + 9);
        bad[at] = bad[at] == '1' ? '0' : '1';
        say(fd, bad, n + 9);
        CHECK_EQ(answer(in, fd), 401);
        close(fd);
    }
    CHECK_EQ(in->rig.flow->stats.bad_signature, 73);
    CHECK_EQ(log_seq(in), 0);
    CHECK_EQ(send_one(in, "id-1", RIG_SECRET, "order:1 1"), 200);
    teardown(in);
}

static void a_full_queue_is_a_503_before_the_body_is_read_and_one_alert(void **state)
{
    struct in *in = setup(8192);
    int waiting[16], taken = 0, fd = dial(in);
    char head[1024], text[512];
    char *body = calloc(1, 4000);

    (void)state;
    gate_close();
    for (int i = 0; i < 16; i++) {
        char id[16];
        snprintf(id, sizeof(id), "id-%d", i);
        waiting[i] = dial(in);
        post(waiting[i], id, RIG_SECRET, "order:1 -");
    }
    UNTIL(&in->rig, in->rig.flow->stats.requests == 16 && waits_at_gate());
    /* only the head: its answer needs no more */
    say(fd, head, head_of(head, sizeof(head), "big", RIG_SECRET, body, 4000));
    int status = 0;
    for (int i = 0; i < 20 && !status; i++) {
        rig_turn(&in->rig);
        status = heard(fd, text);
    }
    bool refused = in->rig.flow->stats.refused > 0;
    if (refused) {
        CHECK_EQ(status, 503);
        CHECK(strstr(text, "Retry-After: "));
        CHECK_EQ(in->rig.notices[NOTICE_REFUSING], 1);
    }
    gate_open(0);
    for (int i = 0; i < 16; i++) {
        taken += answer(in, waiting[i]) == 200;
        close(waiting[i]);
    }
    CHECK(refused);
    CHECK_EQ(in->rig.flow->stats.received, taken);
    CHECK_EQ(send_one(in, "later", RIG_SECRET, "order:2 1"), 200); /* and it is over by itself */
    close(fd);
    free(body);
    teardown(in);
}

static void who_goes_away_before_the_answer_has_sent_it_all_the_same(void **state)
{
    struct in *in = setup(0);
    int fd = dial(in), half = dial(in);
    char head[1024];

    (void)state;
    gate_close();
    post(fd, "id-1", RIG_SECRET, "order:1 1");
    say(half, head, head_of(head, sizeof(head), "id-2", RIG_SECRET, "order:2 1", 9));
    say(half, "order", 5);
    UNTIL(&in->rig, waits_at_gate() && in->rig.flow->stats.requests == 2);
    close(fd);
    close(half);
    for (int i = 0; i < 10; i++)
        rig_turn(&in->rig);
    gate_open(0);
    UNTIL(&in->rig, in->rig.flow->stats.received == 1);
    CHECK_EQ(in->rig.flow->arriving_bytes, 0);
    teardown(in);
}

/* Routing has its share, and whatever waited is routed in the end. */
static void a_flood_is_routed_once_it_calms(void **state)
{
    enum { N = 3000, CONNS = 32 };
    struct in *in = setup(0);
    int fd[CONNS];
    char id[16], body[32], text[512];
    unsigned sent = 0, answered = 0;

    (void)state;
    for (int i = 0; i < CONNS; i++)
        fd[i] = dial(in);
    bool busy[CONNS] = { false };
    uint64_t until = uv_hrtime() + UINT64_C(60) * 1000000000;
    while (answered < N && uv_hrtime() < until) {
        for (int i = 0; i < CONNS; i++) {
            if (busy[i] && heard(fd[i], text) == 200) {
                busy[i] = false;
                answered++;
            }
            if (!busy[i] && sent < N) {
                snprintf(id, sizeof(id), "id-%u", sent);
                snprintf(body, sizeof(body), "order:%u 1", sent++);
                post(fd[i], id, RIG_SECRET, body);
                busy[i] = true;
            }
        }
        rig_turn(&in->rig);
    }
    CHECK_EQ(answered, N);
    UNTIL(&in->rig, in->rig.flow->stats.routed == N);
    CHECK_EQ(in->rig.flow->router.queued, 0);
    CHECK_EQ(in->rig.flow->router.queued_bytes, 0);
    CHECK_EQ(in->rig.flow->stats.same_events, 0);
    for (int i = 0; i < CONNS; i++)
        close(fd[i]);
    teardown(in);
}

/* ---- no memory ---- */

static unsigned durable_with(struct in *in, unsigned n, const bool *acknowledged)
{
    unsigned found = 0;
    uint64_t last = log_seq(in);

    for (uint64_t e = 1; e <= last; e++) {
        struct found f = event_of(in, e);
        unsigned i;
        /* the index's thread may have had no memory either: soon it tries again */
        for (int tries = 0; f.status == UV_ENOMEM && tries < 2000; tries++) {
            uv_sleep(5);
            f = event_of(in, e);
        }
        if (f.status < 0)
            continue;
        CHECK_EQ(sscanf(f.body, "order:%u", &i), 1);
        CHECK(i < n);
        found += acknowledged[i];
    }
    return found;
}

/* A webhook whose nth allocation from the head to the answer fails. */
static int post_without_memory(struct in *in, unsigned number, unsigned n, bool lasting,
                               bool *failed)
{
    char head[2048], id[16], body[32];
    int fd = dial(in), status;

    snprintf(id, sizeof(id), "id-%u", number);
    size_t len = (size_t)snprintf(body, sizeof(body), "order:%u 1", number);
    size_t at = head_of(head, sizeof(head), id, RIG_SECRET, body, len);
    if (n % 2 == 0 || lasting) {
        say(fd, head, at);
        for (int i = 0; i < 3; i++)
            rig_turn(&in->rig);
        at = 0;
    }
    torture_arm(TORTURE_OWN, n, lasting);
    memcpy(head + at, body, len);
    send(fd, head, at + 3, MSG_NOSIGNAL); /* the body in pieces; the server may be gone */
    rig_turn(&in->rig);
    send(fd, head + at + 3, len - 3, MSG_NOSIGNAL);
    status = answer(in, fd);
    *failed = torture_disarm();
    close(fd);
    return status;
}

/* What was refused is lost if it does not come again: it is looked for soon. */
static void a_refusal_brings_the_next_sweep_nearer(void **state)
{
    struct conf_feed sweep = {
        .name = (char *)"orders", .kind = 1, .every_ms = 900000, .at_minute = -1, .alert_after = 3
    };
    struct in *in = calloc(1, sizeof(*in));
    int waiting[17];
    struct feed *feed;

    (void)state;
    gate_open(0);
    rig_init(&in->rig);
    in->rig.max_queue_bytes = 8192;
    in->rig.endpoints[SHOP].feeds = &sweep;
    in->rig.endpoints[SHOP].n_feeds = 1;
    rig_up(&in->rig);
    listen_up(in);
    feed = in->rig.flow->feeds;
    rig_polled(rig_call(&in->rig, SHOP), SL_OK, 0); /* that of the start */
    UNTIL(&in->rig, feed->runs == 1);
    feed->began_ms -= 300000;
    CHECK(feed->next_ms > clock_wall_ms() + 500000);
    gate_close();
    for (int i = 0; i < 17; i++) {
        char body[600], id[16];
        snprintf(id, sizeof(id), "id-%d", i);
        snprintf(body, sizeof(body), "order:1 - %*s", 500, "");
        waiting[i] = dial(in);
        post(waiting[i], id, RIG_SECRET, body);
    }
    UNTIL(&in->rig, in->rig.flow->stats.refused > 0);
    CHECK(feed->next_ms <= clock_wall_ms() + 10000);
    gate_open(0);
    for (int i = 0; i < 17; i++) {
        answer(in, waiting[i]);
        close(waiting[i]);
    }
    teardown(in);
}

/* 503 or a closed connection, and what was answered 200 is there. The router rests: what it does is
 * not a sender's doing. */
static void each_allocation_may_fail_while_webhooks_come_in(void **state)
{
    enum { MOST = 400 };
    bool acknowledged[2 * MOST] = { false }, failed = true;
    struct in *in = setup(0);
    unsigned taken = 0, refused = 0, gone = 0, rounds = 0;

    (void)state;
    in->rig.flow->router.spilled = in->rig.flow->router.claiming = true;
    for (int lasting = 0; lasting < 2; lasting++) {
        unsigned whole = 0; /* two that found all they wanted: whole heads, and bodies alone */
        for (unsigned n = 1; n < MOST && whole < 2; n++) {
            unsigned number = n + (lasting ? MOST : 0);
            int status = post_without_memory(in, number, n, lasting, &failed);
            CHECK(status == 200 || status == 503 || status == -1);
            CHECK(failed || status == 200);
            whole += !failed;
            acknowledged[number] = status == 200;
            taken += status == 200;
            refused += status == 503;
            gone += status == -1;
            rounds++;
        }
        CHECK(!failed);
    }
    CHECK(refused > 0);
    CHECK_EQ(in->rig.flow->arriving_bytes, 0);
    CHECK_EQ(in->rig.flow->appends, 0);
    CHECK_EQ(durable_with(in, 2 * MOST, acknowledged), taken);
    print_message("%u webhooks: %u taken, %u refused, %u closed\n", rounds, taken, refused, gone);
    in->rig.flow->router.claiming = false;
    teardown(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_webhook_is_answered_when_it_is_durable_and_not_before),
        cmocka_unit_test(a_duplicate_is_not_answered_before_its_original_is_durable),
        cmocka_unit_test(the_same_id_in_the_same_instant_is_taken_once),
        cmocka_unit_test(what_came_again_leaves_a_record_of_itself),
        cmocka_unit_test(after_a_sync_that_failed_neither_of_two_is_acknowledged),
        cmocka_unit_test(bodies_in_pieces_do_not_mix),
        cmocka_unit_test(one_bit_of_the_body_or_of_the_signature_is_a_401),
        cmocka_unit_test(a_full_queue_is_a_503_before_the_body_is_read_and_one_alert),
        cmocka_unit_test(a_refusal_brings_the_next_sweep_nearer),
        cmocka_unit_test(who_goes_away_before_the_answer_has_sent_it_all_the_same),
        cmocka_unit_test(a_flood_is_routed_once_it_calms),
        cmocka_unit_test(each_allocation_may_fail_while_webhooks_come_in),
    };

    gate_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
