/*
 * retain_box.c - a log, its index and its time, step by step.
 */
#include "retain_box.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static void box_open(struct box *b)
{
    struct reclog_conf conf = { .dir = b->rig.dir, .segment_bytes = 64u << 10 };
    struct fail fail = { 0 };

    CHECK_EQ(reclog_open(&b->l, &conf, &fail), 0);
    CHECK_EQ(reclog_reader_open(&b->r, b->l), 0);
    CHECK_EQ(index_open(&b->ix, b->rig.dir, b->r, reclog_id(b->l), reclog_last(b->l), &fail), 0);
    retain_init(&b->retain, b->l, b->ix, KEEP, b->wall, b->mono);
}

static void box_close(struct box *b)
{
    index_close(b->ix);
    reclog_reader_close(b->r);
    reclog_close(b->l);
}

void box_start(struct box *b)
{
    *b = (struct box){ .wall = T0, .mono = 1000, .step_ms = HOUR };
    rig_start(&b->rig);
    box_open(b);
}

void box_finish(struct box *b)
{
    box_close(b);
    arena_finish(&b->q.arena);
    rig_finish(&b->rig);
}

/* The n-th segment began n steps after the first: what the log writes is the machine's time. */
static void stamp(struct box *b)
{
    for (size_t i = 0; i < b->l->n_segments; i++)
        b->l->segments[i].begun_ms = T0 + (int64_t)(b->l->segments[i].number - 1) * b->step_ms;
}

void box_keeper(struct box *b)
{
    while (reclog_work(b->l) > 0)
        ;
}

uint64_t box_put(struct box *b, struct store_record rec, bool *ret_refused)
{
    struct store_append a = { .records = &rec, .n = 1 };
    struct list group = LIST_INIT(group);
    struct reclog_result res;

    list_append(&group, &a.node);
    CHECK_EQ(reclog_append(b->l, &group, &res), 0);
    if (ret_refused)
        *ret_refused = rec.refused;
    store_append_finish(&a);
    box_keeper(b);
    stamp(b);
    return rec.seq;
}

static int apply_one(void *ctx, const struct reclog_record *rec)
{
    return index_apply(ctx, rec);
}

void box_apply(struct box *b)
{
    uint64_t from = index_watermark(b->ix) + 1, last = reclog_last(b->l);

    CHECK_EQ(index_begin(b->ix), 0);
    if (from <= last)
        CHECK_EQ(reclog_read(b->r, from, (uint32_t)(last - from + 1), apply_one, b->ix),
                 last - from + 1);
    CHECK_EQ(index_commit(b->ix), 0);
}

/* ---- records ---- */

uint64_t box_event(struct box *b, const char *key)
{
    char body[3000];

    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    memcpy(body, key, strlen(key));
    return box_put(b, receipt("acme", "orders/paid", key, body), NULL);
}

uint64_t box_routed(struct box *b, uint64_t id, struct rec_delivery *d, size_t n)
{
    struct rec_about about = { .subject = STR("order:acme/1"), .version = STR("v1") };
    struct rec_about more[] = { about, about };

    return box_put(b,
                   encoded(REC_ROUTED, &(struct rec_routed){ .event = id,
                                                             .at_ms = T0,
                                                             .abouts = more,
                                                             .n_abouts = 2,
                                                             .deliveries = d,
                                                             .n_deliveries = n }),
                   NULL);
}

uint64_t box_sent(struct box *b, uint64_t num)
{
    struct rec_sent_item item = { .num = num, .attempt = 1, .key = STR("k"), .request = STR("r") };

    return box_put(b,
                   encoded(REC_SENT, &(struct rec_sent){ .at_ms = T0,
                                                         .endpoint = STR("byron"),
                                                         .route = STR("order-to-supplier"),
                                                         .items = &item,
                                                         .n_items = 1 }),
                   NULL);
}

uint64_t box_moved(struct box *b, uint64_t num, int state, uint64_t batch, int64_t at_ms,
                   const char *link)
{
    struct rec_move m = { .num = num, .state = (uint8_t)state, .attempt = batch != 0 };
    struct rec_link l = { STR("byron"), STR("po"), str_of(link), STR("order:acme/1"), num };

    return box_put(b,
                   encoded(REC_OUTCOME, &(struct rec_moves){ .at_ms = at_ms,
                                                             .batch = batch,
                                                             .who = STR("adapter"),
                                                             .moves = &m,
                                                             .n_moves = 1,
                                                             .links = &l,
                                                             .n_links = *link != 0 }),
                   NULL);
}

uint64_t box_order(struct box *b, const char *key, int state)
{
    uint64_t id = box_event(b, key), batch;
    struct rec_delivery d = delivery(id, 0, "byron");

    box_routed(b, id, &d, 1);
    batch = box_sent(b, d.num);
    if (state != DS_INFLIGHT)
        box_moved(b, d.num, state, batch, T0, state == DS_DELIVERED || state == DS_DEAD ? key : "");
    return id;
}

void box_fill(struct box *b, uint32_t segments)
{
    char key[32];

    while (b->l->n_segments < segments) {
        snprintf(key, sizeof(key), "filler %llu", (unsigned long long)reclog_last(b->l));
        box_routed(b, box_event(b, key), NULL, 0);
    }
}

/* ---- time ---- */

void box_pass(struct box *b, int64_t ms)
{
    uint64_t until = b->mono + (uint64_t)ms;

    while (b->mono <= until) {
        uint64_t due = retain_due_ms(&b->retain, b->mono);
        int r;

        if (due) {
            b->mono += due;
            b->wall += (int64_t)due;
            continue;
        }
        r = retain_step(&b->retain, b->wall, b->mono);
        CHECK(r >= 0);
        if (r > 0)
            box_keeper(b);
    }
}

/* ---- asking ---- */

int64_t box_count(struct box *b, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t n;

    CHECK_EQ(sql_prepare(b->ix->db, &st, sql), 0);
    CHECK_EQ(sql_row(st), 1);
    n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

int64_t rows_of(struct box *b, const char *table, const char *key, uint64_t from, uint64_t to)
{
    char sql[200];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE %s BETWEEN %llu AND %llu", table, key,
             (unsigned long long)from, (unsigned long long)to);
    return box_count(b, sql);
}

int64_t all_rows(struct box *b, uint64_t id)
{
    uint64_t first = delivery_num(id, 0), last = delivery_num(id, DELIVERY_ORDINAL_MAX);
    static const char *const of_events[] = { "abouts", "waits" };
    static const char *const of_deliveries[] = { "deliveries", "bodies", "attempts", "moves" };
    int64_t n = rows_of(b, "events", "id", id, id);

    for (size_t i = 0; i < 2; i++)
        n += rows_of(b, of_events[i], "event", id, id);
    for (size_t i = 0; i < 4; i++)
        n += rows_of(b, of_deliveries[i], "num", first, last);
    return n;
}

int ask_event(struct box *b, uint64_t id)
{
    arena_finish(&b->q.arena);
    b->q = (struct query){ .type = QUERY_EVENT, .id = id };
    index_answer(b->ix, &b->q);
    return b->q.status;
}

bool has_link(struct box *b, const char *id)
{
    char sql[100];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM links WHERE id = '%s'", id);
    return box_count(b, sql) == 1;
}

void check_counts(struct box *b)
{
    CHECK_EQ(box_count(b,
                       "SELECT count(*) FROM (SELECT endpoint, route, state, n FROM counts"
                       " WHERE n <> 0 EXCEPT SELECT endpoint, route, state, count(*)"
                       " FROM deliveries GROUP BY 1, 2, 3)"),
             0);
    CHECK_EQ(box_count(b, "SELECT coalesce(sum(n), 0) FROM counts"),
             box_count(b, "SELECT count(*) FROM deliveries"));
    CHECK_EQ(b->ix->now.events, box_count(b, "SELECT count(*) FROM events WHERE origin <> 3"));
    CHECK_EQ(b->ix->now.same_id, box_count(b, "SELECT count(*) FROM events WHERE origin = 3"));
    CHECK_EQ(b->ix->now.same_event, box_count(b,
                                              "SELECT count(*) FROM events WHERE origin <> 3"
                                              " AND duplicate_of <> 0"));
}

void box_kill(struct box *b)
{
    int64_t wall = b->wall;

    b->ix->failed = true; /* no checkpoint at its end */
    box_close(b);
    b->mono = 5; /* another boot */
    b->wall = wall;
    box_open(b);
    stamp(b);
}
