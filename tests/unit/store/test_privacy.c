/*
 * test_privacy.c - what is erased: found wherever it stands, gone from the index's file to the last
 * byte and, in time, from every file of the log; and not back when the index is made anew.
 */
#include "retain_box.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/check.h"

#define NAME "ada@example.com"

/* ---- records ---- */

static uint64_t order_of(struct box *b, const char *subject, const char *body)
{
    struct rec_about about = { .subject = str_of(subject), .version = STR("v1") };
    uint64_t id = box_put(b, receipt("acme", "orders/paid", NULL, body), NULL);
    struct rec_delivery d = delivery(id, 0, "byron");

    d.subject = about.subject;
    d.body = str_of(body);
    box_put(b,
            encoded(REC_ROUTED, &(struct rec_routed){ .event = id,
                                                      .at_ms = T0,
                                                      .abouts = &about,
                                                      .n_abouts = 1,
                                                      .deliveries = &d,
                                                      .n_deliveries = 1 }),
            NULL);
    return id;
}

/* Delivered, with a link and a frozen request. */
static void deliver(struct box *b, uint64_t id, const char *request, const char *link)
{
    uint64_t num = delivery_num(id, 0), batch;
    struct rec_sent_item item = {
        .num = num, .attempt = 1, .key = STR("k"), .request = str_of(request)
    };

    batch = box_put(b,
                    encoded(REC_SENT, &(struct rec_sent){ .at_ms = T0,
                                                          .endpoint = STR("byron"),
                                                          .route = STR("order-to-supplier"),
                                                          .items = &item,
                                                          .n_items = 1 }),
                    NULL);
    box_moved(b, num, DS_DELIVERED, batch, T0, link);
}

static uint64_t say(struct box *b, struct rec_privacy rec)
{
    return box_put(b, encoded(REC_PRIVACY, &rec), NULL);
}

static void asked(struct box *b, uint64_t event)
{
    say(b, (struct rec_privacy){ .event = event,
                                 .what = PRIVACY_ASKED,
                                 .at_ms = T0,
                                 .kind = PRIVACY_ERASE,
                                 .due_ms = T0 + 30 * DAY,
                                 .endpoint = STR("acme"),
                                 .topic = STR("customers/redact"),
                                 .asked = STR("{}") });
}

static void erase(struct box *b, uint64_t request, uint64_t *events, size_t n)
{
    say(b, (struct rec_privacy){ .event = request,
                                 .what = PRIVACY_ERASED,
                                 .at_ms = T0,
                                 .events = events,
                                 .n_events = n });
    box_apply(b);
}

static void wipe(struct box *b)
{
    struct query q = { .type = QUERY_WIPE };

    do {
        q.next = 0;
        index_answer(b->ix, &q);
        CHECK_EQ(q.status, 0);
    } while (q.next);
}

static uint64_t done(struct box *b, uint64_t request, int64_t log_due_ms)
{
    uint64_t seq = say(
        b, (struct rec_privacy){
               .event = request, .what = PRIVACY_DONE, .at_ms = T0, .due_ms = log_due_ms });
    box_apply(b);
    return seq;
}

/* ---- asking ---- */

struct search {
    sl_str subjects[2], values[2], apart[2];
    struct store_private what;
};

static struct search *search_for(struct box *b, struct search *s, const char *subject,
                                 const char *value)
{
    *s = (struct search){ .subjects = { str_of(subject) }, .values = { str_of(value) } };
    s->what = (struct store_private){ .endpoint = STR("acme"),
                                      .subjects = s->subjects,
                                      .n_subjects = subject != NULL,
                                      .values = s->values,
                                      .n_values = value != NULL,
                                      .apart = s->apart,
                                      .until = index_watermark(b->ix) };
    return s;
}

/* Their ids with blanks between, "!" behind what is under way; stopped deliveries in brackets. */
static void find(struct box *b, const struct search *s, char out[200])
{
    struct query q = { .type = QUERY_PRIVATE, .private = s->what };
    size_t at = 0;

    out[0] = '\0';
    do {
        q.next = q.n = q.n_found = 0;
        index_answer(b->ix, &q);
        CHECK_EQ(q.status, 0);
        for (size_t i = 0; i < q.n_found; i++)
            at += (size_t)snprintf(out + at, 200 - at, "%s%llu%s", at ? " " : "",
                                   (unsigned long long)q.found[i].event,
                                   q.found[i].under_way ? "!" : "");
        for (size_t i = 0; i < q.n; i++)
            at += (size_t)snprintf(out + at, 200 - at, "(%llu)",
                                   (unsigned long long)delivery_event(q.nums[i]));
        q.private.after = q.next;
        arena_finish(&q.arena);
    } while (q.next);
    free(q.found);
    free(q.nums);
}

#define CHECK_FOUND(b, s, wanted)            \
    do {                                     \
        char found_[200];                    \
        find(b, s, found_);                  \
        assert_string_equal(found_, wanted); \
    } while (0)

static bool file_has(const char *path, const char *text)
{
    size_t n = strlen(text), len;
    FILE *f = fopen(path, "rb");
    char *all;
    bool has;

    CHECK(f);
    CHECK_EQ(fseek(f, 0, SEEK_END), 0);
    len = (size_t)ftell(f);
    rewind(f);
    all = malloc(len + 1);
    CHECK_EQ(fread(all, 1, len, f), len);
    fclose(f);
    has = memmem(all, len, text, n) != NULL;
    free(all);
    return has;
}

/* Files below the store's folder that say it. */
static size_t files_with(const struct box *b, const char *folder, const char *text)
{
    char dir[128], path[512];
    struct dirent *e;
    size_t n = 0;
    DIR *d;

    rig_path(&b->rig, folder, dir);
    CHECK((d = opendir(dir)));
    while ((e = readdir(d))) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        n += e->d_type == DT_REG && file_has(path, text);
    }
    closedir(d);
    return n;
}

static void check_green(struct box *b)
{
    struct check_report report;
    struct fail fail = { 0 };

    box_kill(b);
    if (store_check(b->rig.dir, &report, &fail) < 0)
        fail_msg("%s", fail.text);
    for (size_t i = 0; i < report.n; i++)
        print_error("%s: %s\n", report.findings[i].file, report.findings[i].what);
    CHECK_EQ(report.n, 0);
    check_report_finish(&report);
}

/* ---- finding ---- */

static void an_address_is_found_as_a_word_alone(void **state)
{
    static const struct {
        const char *text;
        bool has;
    } cases[] = {
        { "{\"email\":\"ada@example.com\"}", true },
        { "<ADA@Example.COM>", true },
        { "write to ada@example.com.", true },
        { "mail:\\nada@example.com", true },
        { "{\"email\":\"x.ada@example.com\"}", false },
        { "bada@example.com", false },
        { "ada@example.com.au", false },
        { "ada@example.community", false },
        { "ada@example.co", false },
        { "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_EQ(index_has_word(str_of(cases[i].text), STR(NAME)), cases[i].has);
    CHECK(index_has_word(STR("\"+16135550100\""), STR("+16135550100")));
    CHECK(!index_has_word(STR("\"+161355501001\""), STR("+16135550100")));
    CHECK(!index_has_word(STR("anything"), STR("")));
}

static void what_is_about_somebody_is_found_wherever_it_says_so(void **state)
{
    uint64_t by_subject, by_body, by_request, other, caused;
    struct search s;
    struct box b;
    char wanted[200];

    (void)state;
    box_start(&b);
    by_subject = order_of(&b, "order:acme/7", "{\"id\":7}");
    other = order_of(&b, "order:acme/8", "{\"id\":8}");
    by_body = order_of(&b, "checkout:acme/1", "{\"email\":\"" NAME "\"}");
    deliver(&b, by_body, "{}", "");
    by_request = order_of(&b, "checkout:acme/2", "{}");
    deliver(&b, by_request, "to=Ada@Example.com", "");
    caused = box_put(&b,
                     encoded(REC_RECEIPT, &(struct rec_receipt){ .origin = EO_EMITTED,
                                                                 .received_ms = T0,
                                                                 .cause = delivery_num(by_body, 0),
                                                                 .endpoint = STR("byron"),
                                                                 .topic = STR("supplier/accepted"),
                                                                 .subject = STR("checkout:acme/1"),
                                                                 .body = STR("{}") }),
                     NULL);
    box_routed(&b, caused, NULL, 0);
    box_apply(&b);
    snprintf(wanted, sizeof(wanted), "%llu! %llu %llu %llu", (unsigned long long)by_subject,
             (unsigned long long)by_body, (unsigned long long)by_request,
             (unsigned long long)caused);
    CHECK_FOUND(&b, search_for(&b, &s, "order:acme/7", NAME), wanted);
    /* the same address at another shop is another matter */
    s.apart[0] = STR("acme");
    s.what.n_apart = 1;
    snprintf(wanted, sizeof(wanted), "%llu!", (unsigned long long)by_subject);
    CHECK_FOUND(&b, &s, wanted);
    /* nothing is asked for: nothing is found */
    CHECK_FOUND(&b, search_for(&b, &s, NULL, NULL), "");
    (void)other;
    box_finish(&b);
}

static void all_of_an_endpoint_is_what_came_from_it_and_what_that_caused(void **state)
{
    uint64_t theirs, others, caused;
    struct search s;
    char wanted[200];
    struct box b;

    (void)state;
    box_start(&b);
    theirs = order_of(&b, "order:acme/7", "{}");
    deliver(&b, theirs, "{}", "");
    others = box_put(&b, receipt("crm", "account", NULL, "{}"), NULL);
    box_routed(&b, others, NULL, 0);
    caused = box_put(&b,
                     encoded(REC_RECEIPT, &(struct rec_receipt){ .origin = EO_EMITTED,
                                                                 .received_ms = T0,
                                                                 .cause = delivery_num(theirs, 0),
                                                                 .endpoint = STR("byron"),
                                                                 .topic = STR("supplier/accepted"),
                                                                 .body = STR("{}") }),
                     NULL);
    box_routed(&b, caused, NULL, 0);
    box_apply(&b);
    search_for(&b, &s, NULL, NULL);
    s.what.all = true;
    snprintf(wanted, sizeof(wanted), "%llu %llu", (unsigned long long)theirs,
             (unsigned long long)caused);
    CHECK_FOUND(&b, &s, wanted);
    s.what.asks = theirs; /* the one that asks is dealt with at the end */
    snprintf(wanted, sizeof(wanted), "%llu", (unsigned long long)caused);
    CHECK_FOUND(&b, &s, wanted);
    box_finish(&b);
}

static void what_came_after_the_request_is_new_unless_it_is_about_its_orders(void **state)
{
    uint64_t before, asks, another, of_order, caused;
    struct search s;
    char wanted[200];
    struct box b;

    (void)state;
    box_start(&b);
    before = order_of(&b, "order:acme/7", "{\"email\":\"" NAME "\"}");
    deliver(&b, before, "{}", "");
    asks = box_put(&b, receipt("acme", "customers/redact", NULL, NAME), NULL);
    box_routed(&b, asks, NULL, 0);
    asked(&b, asks);
    another = box_put(&b, receipt("acme", "customers/redact", NULL, NAME), NULL);
    box_routed(&b, another, NULL, 0);
    asked(&b, another);
    order_of(&b, "order:acme/8", "{\"email\":\"" NAME "\"}");
    of_order = order_of(&b, "order:acme/7", "{}");
    caused = box_put(&b,
                     encoded(REC_RECEIPT, &(struct rec_receipt){ .origin = EO_EMITTED,
                                                                 .received_ms = T0,
                                                                 .cause = delivery_num(before, 0),
                                                                 .endpoint = STR("byron"),
                                                                 .topic = STR("supplier/accepted"),
                                                                 .body = STR("{}") }),
                     NULL);
    box_routed(&b, caused, NULL, 0);
    box_apply(&b);
    search_for(&b, &s, "order:acme/7", NAME);
    s.what.asks = asks;
    snprintf(wanted, sizeof(wanted), "%llu %llu! %llu", (unsigned long long)before,
             (unsigned long long)of_order, (unsigned long long)caused);
    CHECK_FOUND(&b, &s, wanted);
    search_for(&b, &s, NULL, NULL); /* nor all of the endpoint's, and no other request's event */
    s.what.all = true;
    s.what.asks = another;
    snprintf(wanted, sizeof(wanted), "%llu %llu", (unsigned long long)before,
             (unsigned long long)caused);
    CHECK_FOUND(&b, &s, wanted);
    done(&b, asks, T0 + DAY); /* then it is one like the others */
    snprintf(wanted, sizeof(wanted), "%llu %llu %llu", (unsigned long long)before,
             (unsigned long long)asks, (unsigned long long)caused);
    CHECK_FOUND(&b, &s, wanted);
    box_finish(&b);
}

static void what_is_held_or_dead_is_told_as_stopped(void **state)
{
    uint64_t held, dead;
    struct search s;
    char wanted[200];
    struct box b;

    (void)state;
    box_start(&b);
    held = order_of(&b, "order:acme/7", "{}");
    box_moved(&b, delivery_num(held, 0), DS_HELD, 0, T0, "");
    dead = order_of(&b, "order:acme/7", "{}");
    box_moved(&b, delivery_num(dead, 0), DS_DEAD, 0, T0, "");
    box_apply(&b);
    snprintf(wanted, sizeof(wanted), "%llu %llu(%llu)(%llu)", (unsigned long long)held,
             (unsigned long long)dead, (unsigned long long)held, (unsigned long long)dead);
    CHECK_FOUND(&b, search_for(&b, &s, "order:acme/7", NULL), wanted);
    box_finish(&b);
}

/* ---- erasing ---- */

/* Orders of hers and of others, in enough rows that pages split and are used again. */
static size_t many_orders(struct box *b, uint64_t hers[40])
{
    char body[6000];
    size_t n = 0;

    for (int i = 0; i < 120; i++) {
        uint64_t id;
        bool is_hers = i % 3 == 0;

        memset(body, 'x', sizeof(body));
        snprintf(body, sizeof(body), "{\"id\":%d,\"email\":\"%s\",\"pad\":\"", i,
                 is_hers ? NAME : "bob@example.com");
        body[strlen(body)] = 'x';
        body[i * 45 + 100] = '\0';
        id = order_of(b, is_hers ? "order:acme/7" : "order:acme/8", body);
        deliver(b, id, body, is_hers ? NAME : "");
        box_apply(b);
        if (is_hers)
            hers[n++] = id;
    }
    return n;
}

static void nothing_of_it_is_left_in_the_index_and_what_is_counted_adds_up(void **state)
{
    uint64_t hers[41], request;
    struct search s;
    struct box b;
    size_t n;

    (void)state;
    box_start(&b);
    n = many_orders(&b, hers);
    request = order_of(&b, "customer:acme/1", "{\"email\":\"" NAME "\"}");
    asked(&b, request);
    box_apply(&b);
    CHECK(files_with(&b, ".", NAME) > 0);
    CHECK(has_link(&b, NAME));
    hers[n++] = request;
    erase(&b, request, hers, n);
    wipe(&b);
    CHECK_EQ(files_with(&b, ".", NAME), 0); /* sluice.db, its WAL */
    CHECK(!has_link(&b, NAME));
    CHECK_FOUND(&b, search_for(&b, &s, "order:acme/7", NAME), "");
    CHECK_EQ(ask_event(&b, hers[0]), UV_ENOENT); /* the log has it still, and it is not read */
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM events"), 121);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM deliveries"), 121);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM deliveries WHERE hold_type = 'erased'"),
             (int64_t)n);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM bodies"), 80);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM wipe"), 0);
    CHECK_EQ(box_count(&b, "SELECT events FROM privacy"), (int64_t)n);
    CHECK_EQ(box_count(&b, "SELECT deliveries FROM privacy"), (int64_t)n);
    check_counts(&b);
    check_green(&b); /* an index made anew of the log says the same */
    box_finish(&b);
}

static void an_index_made_anew_does_not_bring_it_back(void **state)
{
    static const char *const files[] = { "sluice.db", "sluice.db-wal", "sluice.db-shm" };
    uint64_t hers[41], request;
    struct box b;
    char path[128];
    size_t n;

    (void)state;
    box_start(&b);
    n = many_orders(&b, hers);
    request = order_of(&b, "customer:acme/1", "{}");
    asked(&b, request);
    erase(&b, request, hers, n);
    index_close(b.ix);
    for (size_t i = 0; i < 3; i++) {
        rig_path(&b.rig, files[i], path);
        unlink(path);
    }
    CHECK_EQ(index_open(&b.ix, b.rig.dir, b.r, reclog_id(b.l), reclog_last(b.l), NULL), 0);
    box_apply(&b);
    wipe(&b);
    CHECK_EQ(files_with(&b, ".", NAME), 0);
    CHECK_EQ(ask_event(&b, hers[0]), UV_ENOENT);
    box_finish(&b);
}

/* What was copied out of the log for what was dead then goes as well. */
static void a_copy_that_retention_made_is_erased_and_goes(void **state)
{
    struct rec_delivery d;
    uint64_t id, request;
    struct box b;

    (void)state;
    box_start(&b);
    id = box_event(&b, NAME);
    d = delivery(id, 0, "byron");
    box_routed(&b, id, &d, 1);
    box_moved(&b, d.num, DS_DEAD, 0, T0, "");
    box_fill(&b, 3);
    box_apply(&b);
    b.wall = T0 + 2 * b.step_ms + KEEP;
    box_pass(&b, HOUR);
    CHECK_EQ(b.l->segments[0].number, 3);
    CHECK_EQ(ask_event(&b, id), 0);
    request = box_event(&b, "asks");
    asked(&b, request);
    box_moved(&b, d.num, DS_DISCARDED, 0, T0, "");
    erase(&b, request, &id, 1);
    wipe(&b);
    CHECK_EQ(ask_event(&b, id), UV_ENOENT);
    CHECK_EQ(files_with(&b, ".", NAME), 0);
    box_pass(&b, 2 * HOUR); /* a round goes through what stayed */
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM receipts"), 0);
    CHECK_EQ(all_rows(&b, id), 0);
    box_finish(&b);
}

static void a_kill_while_pages_are_written_over_leaves_a_whole_index(void **state)
{
    uint64_t hers[41], request;
    struct query q = { .type = QUERY_WIPE };
    struct box b;
    size_t n;

    (void)state;
    box_start(&b);
    n = many_orders(&b, hers);
    request = order_of(&b, "customer:acme/1", "{}");
    asked(&b, request);
    erase(&b, request, hers, n);
    b.ix->large = true;
    index_answer(b.ix, &q); /* some are taken */
    CHECK_EQ(q.next, 1);
    check_green(&b);
    wipe(&b);
    CHECK_EQ(files_with(&b, ".", NAME), 0);
    CHECK_EQ(box_count(&b, "SELECT count(*) FROM wipe"), 0);
    check_green(&b);
    box_finish(&b);
}

/* ---- the log ---- */

static void the_log_has_nothing_of_it_when_its_time_has_come_however_long_it_keeps(void **state)
{
    uint64_t hers[41], request, last;
    int64_t due;
    struct box b;
    size_t n;

    (void)state;
    box_start(&b);
    n = many_orders(&b, hers);
    request = order_of(&b, "customer:acme/1", "{\"email\":\"" NAME "\"}");
    asked(&b, request);
    hers[n++] = request;
    erase(&b, request, hers, n);
    wipe(&b);
    due = T0 + 5 * DAY; /* before anything is as old as `keep` */
    last = done(&b, request, due);
    CHECK(b.l->n_segments > 2);
    b.wall = T0 + 2 * DAY;
    box_pass(&b, DAY);
    CHECK_EQ(b.l->segments[0].number, 1); /* nothing goes before */
    b.wall = due - HOUR;
    box_pass(&b, DAY);
    CHECK_EQ(b.l->n_segments, 1); /* all but the newest, which takes no more */
    CHECK(files_with(&b, "log", NAME) > 0);
    box_routed(&b, box_event(&b, "somebody else"), NULL, 0);
    box_apply(&b);
    box_pass(&b, HOUR);
    CHECK(reclog_first(b.l) > last);
    CHECK_EQ(files_with(&b, "log", NAME), 0);
    CHECK_EQ(files_with(&b, ".", NAME), 0);
    check_green(&b);
    box_finish(&b);
}

static void no_file_that_said_it_is_used_again(void **state)
{
    uint64_t hers[41], request;
    struct box b;

    (void)state;
    box_start(&b);
    many_orders(&b, hers);
    b.wall = T0 + 30 * DAY;
    box_pass(&b, DAY); /* all that is old goes, its files are kept as spare ones ... */
    CHECK_EQ(b.l->n_segments, 1);
    CHECK(files_with(&b, "log", NAME) > 1); /* ... and still say it */
    box_routed(&b, request = box_event(&b, "asks"), NULL, 0);
    asked(&b, request);
    box_apply(&b);
    box_pass(&b, HOUR);
    CHECK_EQ(files_with(&b, "log", NAME), 0);
    box_finish(&b);
}

static void no_segment_goes_early_for_what_is_handed_out(void **state)
{
    uint64_t request;
    struct box b;

    (void)state;
    box_start(&b);
    box_routed(&b, request = box_event(&b, "asks"), NULL, 0);
    say(&b, (struct rec_privacy){ .event = request,
                                  .what = PRIVACY_ASKED,
                                  .at_ms = T0,
                                  .kind = PRIVACY_HAND_OUT,
                                  .due_ms = T0 + 30 * DAY,
                                  .asked = STR("{}") });
    box_fill(&b, 3);
    done(&b, request, 0);
    b.wall = T0 + 3 * DAY;
    box_pass(&b, DAY);
    CHECK_EQ(b.l->n_segments, 3);
    CHECK_EQ(box_count(&b, "SELECT state FROM privacy"), PRIVACY_ENDED);
    box_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_found_as_a_word_alone),
        cmocka_unit_test(what_is_about_somebody_is_found_wherever_it_says_so),
        cmocka_unit_test(all_of_an_endpoint_is_what_came_from_it_and_what_that_caused),
        cmocka_unit_test(what_came_after_the_request_is_new_unless_it_is_about_its_orders),
        cmocka_unit_test(what_is_held_or_dead_is_told_as_stopped),
        cmocka_unit_test(nothing_of_it_is_left_in_the_index_and_what_is_counted_adds_up),
        cmocka_unit_test(an_index_made_anew_does_not_bring_it_back),
        cmocka_unit_test(a_copy_that_retention_made_is_erased_and_goes),
        cmocka_unit_test(a_kill_while_pages_are_written_over_leaves_a_whole_index),
        cmocka_unit_test(the_log_has_nothing_of_it_when_its_time_has_come_however_long_it_keeps),
        cmocka_unit_test(no_file_that_said_it_is_used_again),
        cmocka_unit_test(no_segment_goes_early_for_what_is_handed_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
