/*
 * test_host.c - an adapter's instances and what the host does for them: calls and timers, a
 * configuration that takes another's place, and the end.
 */
#include "../check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../net/pki.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/host.h"

/* ---- an adapter that the test plays ---- */

/** One opened instance, as its adapter sees it. */
struct opened {
    const sl_host *host;
    bool closed;
    unsigned answers, timers; /* called back */
    int32_t error;            /* of the newest answer */
    sl_status http_then;      /* what another call said inside that answer ... */
    uint64_t timer_then;      /* ... and another timer */
};

static struct pki pki;       /* one certificate is read sooner than the system's */
static struct opened all[8]; /* in the order they were opened */
static size_t n_opened;
static bool refuses; /* the next open() */

static sl_status fake_open(const sl_host *host, void **ret_self, sl_fail *fail)
{
    if (refuses) {
        snprintf(fail->text, sizeof(fail->text), "not today");
        return SL_E_INVALID;
    }
    all[n_opened] = (struct opened){ .host = host };
    *ret_self = &all[n_opened++];
    return SL_OK;
}

static void fake_close(void *self)
{
    struct opened *o = self;

    CHECK(!o->closed);
    o->closed = true;
}

static const sl_plugin fake = {
    .size = sizeof(fake), .name = "fake", .open = fake_open, .close = fake_close
};
static const sl_plugin another = {
    .size = sizeof(another), .name = "another", .open = fake_open, .close = fake_close
};

static void on_answer(void *ctx, const sl_http_answer *a);

static sl_status call(struct opened *o, const char *url)
{
    sl_http_request req = { .size = sizeof(req),
                            .method = { "GET", 3 },
                            .url = { url, strlen(url) } };

    return o->host->http(o->host->ctx, &req, on_answer, o);
}

static void on_timer(void *ctx)
{
    struct opened *o = ctx;

    CHECK(!o->closed);
    o->timers++;
}

static uint64_t timer(struct opened *o, int64_t ms)
{
    return o->host->timer(o->host->ctx, ms, on_timer, o);
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct opened *o = ctx;

    CHECK(!o->closed);
    o->answers++;
    o->error = a->error;
    o->http_then = call(o, "http://127.0.0.1:1/");
    o->timer_then = timer(o, 0);
}

/* ---- the host ---- */

struct rig {
    uv_loop_t loop;
    struct host *host;
    struct config config;
    struct conf_endpoint endpoints[2];
    bool closed;
};

static struct config config_of(struct conf_endpoint *endpoints, size_t n)
{
    static const char *const names[] = { "a", "b" };

    for (size_t i = 0; i < n; i++)
        endpoints[i] = (struct conf_endpoint){ .name = (char *)names[i],
                                               .plugin = &fake,
                                               .ca_file = pki.ca_file,
                                               .connect_ms = 10000,
                                               .first_byte_ms = 10000,
                                               .total_ms = 10000,
                                               .max_answer = 1000,
                                               .concurrency = 1,
                                               .index = i };
    return (struct config){ .endpoints = endpoints, .n_endpoints = n };
}

static struct rig *rig_new(size_t n)
{
    struct rig *r = mem_zero(sizeof(*r));
    struct fail fail = { 0 };

    log_setup(LOG_ERROR, LOG_TEXT);
    n_opened = 0;
    refuses = false;
    uv_loop_init(&r->loop);
    r->config = config_of(r->endpoints, n);
    CHECK_EQ(host_open(&r->host, &r->loop, &r->config, NULL, &fail), 0);
    CHECK_EQ(n_opened, n);
    return r;
}

static void on_closed(void *ctx)
{
    ((struct rig *)ctx)->closed = true;
}

static void rig_end(struct rig *r)
{
    host_close(r->host, on_closed, r);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    CHECK(r->closed);
    for (size_t i = 0; i < n_opened; i++)
        CHECK(all[i].closed);
    CHECK_EQ(host_instances(r->host), 0);
    host_destroy(r->host);
    CHECK_EQ(uv_loop_close(&r->loop), 0);
    free(r);
}

/** What is due is done; nothing is waited for. */
static void turns(struct rig *r)
{
    for (int i = 0; i < 5; i++)
        uv_run(&r->loop, UV_RUN_NOWAIT);
}

/** Takes connections and says nothing. */
static int listen_silently(char url[64])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(bind(fd, (struct sockaddr *)&at, len), 0);
    CHECK_EQ(listen(fd, 8), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(url, 64, "http://127.0.0.1:%u/", ntohs(at.sin_port));
    return fd;
}

/* ---- services ---- */

static void nothing_is_called_back_before_the_function_has_returned(void **state)
{
    struct rig *r = rig_new(1);
    char url[64];
    int fd = listen_silently(url);

    (void)state;
    close(fd); /* refused at once */
    CHECK_EQ(call(&all[0], url), SL_OK);
    CHECK(timer(&all[0], 0) != 0);
    CHECK_EQ(all[0].answers, 0);
    CHECK_EQ(all[0].timers, 0);
    while (!all[0].answers || !all[0].timers)
        uv_run(&r->loop, UV_RUN_ONCE);
    CHECK_EQ(all[0].error, SL_E_NETWORK);
    rig_end(r);
}

static void never_linked(void *ctx, sl_status status, const sl_str *subjects, size_t n)
{
    (void)ctx;
    (void)status;
    (void)subjects;
    (void)n;
    fail_msg("called back although it was refused");
}

static void never_durable(void *ctx, sl_status status)
{
    (void)ctx;
    (void)status;
    fail_msg("called back although it was refused");
}

static void never_kept(void *ctx, sl_status status, sl_str value)
{
    (void)value;
    never_durable(ctx, status);
}

static void what_cannot_be_asked_for_is_refused_and_never_called_back(void **state)
{
    struct rig *r = rig_new(1);
    const sl_host *h = all[0].host;
    const sl_str name = { "tokens", 6 }, wrong = { "To kens", 7 };
    sl_ref ref = { .kind = { "po", 2 }, .id = { "1", 1 } };

    (void)state;
    CHECK_EQ(call(&all[0], "ftp://127.0.0.1/"), SL_E_INVALID);
    CHECK_EQ(call(&all[0], ""), SL_E_INVALID);
    /* no store yet, and so no links */
    CHECK_EQ(all[0].host->linked(all[0].host->ctx, &ref, 1, never_linked, NULL), SL_E_CANCELLED);
    CHECK_EQ(h->kept(h->ctx, name, never_kept, NULL), SL_E_UNSUPPORTED);
    CHECK_EQ(h->keep(h->ctx, name, name, never_durable, NULL), SL_E_UNSUPPORTED);
    CHECK_EQ(h->keep(h->ctx, wrong, name, never_durable, NULL), SL_E_INVALID);
    turns(r);
    CHECK_EQ(all[0].answers, 0);
    struct host_stats stats;
    host_stats(r->host, 0, &stats);
    CHECK_EQ(stats.calls, 0);
    rig_end(r);
}

static void a_timer_runs_once_and_one_that_was_cancelled_never(void **state)
{
    struct rig *r = rig_new(2);
    const sl_host *h = all[0].host;

    (void)state;
    uint64_t first = timer(&all[0], 0), second = timer(&all[0], 0);
    CHECK(first && second && first != second);
    h->timer_cancel(h->ctx, first);
    h->timer_cancel(h->ctx, first);
    h->timer_cancel(h->ctx, 0);
    h->timer_cancel(h->ctx, 12345);
    all[1].host->timer_cancel(all[1].host->ctx, second); /* which is another instance's */
    while (!all[0].timers)
        uv_run(&r->loop, UV_RUN_ONCE);
    turns(r);
    CHECK_EQ(all[0].timers, 1);
    CHECK_EQ(all[1].timers, 0);
    rig_end(r);
}

static void on_slow_timer(void *ctx)
{
    uint64_t until = clock_mono_us() + 6000;

    on_timer(ctx);
    while (clock_mono_us() < until)
        ;
}

static void a_callback_that_keeps_the_loop_for_too_long_is_counted(void **state)
{
    struct rig *r = rig_new(1);
    struct host_stats stats;

    (void)state;
    all[0].host->timer(all[0].host->ctx, 0, on_slow_timer, &all[0]);
    while (!all[0].timers)
        uv_run(&r->loop, UV_RUN_ONCE);
    host_stats(r->host, 0, &stats);
    CHECK_EQ(stats.slow_callbacks, 1);
    rig_end(r);
}

/* ---- the end ---- */

static void at_the_end_calls_are_cancelled_timers_dropped_and_then_it_is_closed(void **state)
{
    struct rig *r = rig_new(2);
    char url[64];
    int fd = listen_silently(url);

    (void)state;
    CHECK_EQ(call(&all[0], url), SL_OK);
    CHECK(timer(&all[0], 3600000) != 0);
    turns(r);
    CHECK_EQ(all[0].answers, 0);
    rig_end(r); /* a callback after close() fails in on_answer() and on_timer() */
    CHECK_EQ(all[0].answers, 1);
    CHECK_EQ(all[0].error, SL_E_CANCELLED);
    CHECK_EQ(all[0].http_then, SL_E_CANCELLED); /* nothing new begins */
    CHECK_EQ(all[0].timer_then, 0);
    CHECK_EQ(all[0].timers, 0);
    close(fd);
}

/* ---- another configuration ---- */

/** Another configuration of so many endpoints, and what the host makes of it. */
struct another {
    struct conf_endpoint endpoints[2];
    struct config config;
    struct host_next *next;
    struct fail fail;
};

/** As before, but for the adapter of endpoint `other`. */
static void another_of(struct another *a, size_t n, size_t other)
{
    *a = (struct another){ 0 };
    a->config = config_of(a->endpoints, n);
    a->endpoints[other].plugin = &another;
}

static int prepare(struct rig *r, struct another *a)
{
    return host_prepare(r->host, &a->config, &a->next, &a->fail);
}

static void what_is_the_same_goes_on_and_what_changed_opens_beside_it(void **state)
{
    struct rig *r = rig_new(2);
    struct another with;

    (void)state;
    another_of(&with, 2, 1);
    struct adapter *a = host_adapters(r->host)[0], *b = host_adapters(r->host)[1];
    CHECK_EQ(prepare(r, &with), 0);
    CHECK(!host_next_opened(with.next, 0) && host_next_opened(with.next, 1));
    CHECK(host_next_adapters(with.next)[0] == a && host_next_adapters(with.next)[1] != b);
    CHECK_EQ(n_opened, 3);
    adapter_ref(b); /* a batch is under way */
    host_commit(r->host, with.next);
    adapter_retire(b);
    turns(r);
    CHECK(!all[1].closed);
    CHECK(timer(&all[1], 0) != 0); /* it goes on as long as it is needed */
    while (!all[1].timers)
        uv_run(&r->loop, UV_RUN_ONCE);
    adapter_unref(b);
    turns(r);
    CHECK(all[1].closed && !all[0].closed && !all[2].closed);
    CHECK_EQ(host_instances(r->host), 2);
    CHECK(host_adapters(r->host)[1]->self == &all[2]);
    rig_end(r);
}

static void what_was_opened_in_vain_is_closed_and_the_others_are_as_they_were(void **state)
{
    struct rig *r = rig_new(2);
    struct another with;

    (void)state;
    another_of(&with, 2, 0);
    CHECK_EQ(prepare(r, &with), 0);
    host_abandon(r->host, with.next);
    turns(r);
    CHECK(all[2].closed && !all[0].closed && !all[1].closed);
    with.endpoints[1].plugin = &another;
    refuses = true;
    CHECK_EQ(prepare(r, &with), UV_EINVAL);
    CHECK_STR(with.fail.text, "endpoint a: adapter another cannot open: not today");
    turns(r);
    CHECK_EQ(n_opened, 3);
    CHECK_EQ(host_instances(r->host), 2);
    CHECK(host_adapters(r->host)[0]->self == &all[0] && !all[0].closed && !all[1].closed);
    rig_end(r);
}

static void of_an_instance_that_ends_nothing_is_left_when_the_host_ends_as_well(void **state)
{
    struct rig *r = rig_new(1);
    struct another with;

    (void)state;
    another_of(&with, 1, 0);
    CHECK_EQ(prepare(r, &with), 0);
    struct adapter *old = host_adapters(r->host)[0];
    host_commit(r->host, with.next);
    adapter_retire(old); /* its end has begun ... */
    CHECK(!all[0].closed);
    rig_end(r); /* ... and is not over */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_called_back_before_the_function_has_returned),
        cmocka_unit_test(what_cannot_be_asked_for_is_refused_and_never_called_back),
        cmocka_unit_test(a_timer_runs_once_and_one_that_was_cancelled_never),
        cmocka_unit_test(a_callback_that_keeps_the_loop_for_too_long_is_counted),
        cmocka_unit_test(at_the_end_calls_are_cancelled_timers_dropped_and_then_it_is_closed),
        cmocka_unit_test(what_is_the_same_goes_on_and_what_changed_opens_beside_it),
        cmocka_unit_test(what_was_opened_in_vain_is_closed_and_the_others_are_as_they_were),
        cmocka_unit_test(of_an_instance_that_ends_nothing_is_left_when_the_host_ends_as_well),
    };

    pki_open(&pki);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pki_close(&pki);
    return failed;
}
