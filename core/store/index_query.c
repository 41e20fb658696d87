/*
 * index_query.c - questions of the flow, answered from the tables and, for bodies, from the log.
 */
#include "store/index_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/clock.h"
#include "store/reason.h"

void query_destroy(struct query *q)
{
    if (!q)
        return;
    free(q->deliveries);
    free(q->nums);
    free(q->states);
    free(q->dues);
    free(q->deadlines);
    free(q->came);
    free(q->privacies);
    free(q->found);
    free(q->json);
    arena_finish(&q->arena);
    free(q);
}

uint32_t index_limit(uint32_t limit)
{
    return limit < 1 ? 1 : limit > 1000 ? 1000 : limit;
}

/* ---- growing answers ---- */

int index_grow(void **array, size_t n, size_t size)
{
    void *p;

    if (n & (n - 1)) /* room is left up to the next power */
        return 0;
    p = realloc(*array, (n ? 2 * n : 1) * size);
    if (!p)
        return UV_ENOMEM;
    *array = p;
    return 0;
}

static int push_num(struct query *q, uint64_t num)
{
    int r = index_grow((void **)&q->nums, q->n, sizeof(*q->nums));

    if (r == 0)
        q->nums[q->n++] = num;
    return r;
}

int index_collect_nums(struct query *q, sqlite3_stmt *st)
{
    int r;

    while ((r = sql_row(st)) > 0)
        if ((r = push_num(q, sql_u64(st, 0))) < 0)
            break;
    sqlite3_reset(st);
    return r;
}

/* ---- deliveries ---- */

void index_row_delivery(sqlite3_stmt *st, struct arena *arena, struct store_delivery *d)
{
    sl_str id = sql_view(st, 1);

    *d = (struct store_delivery){
        .num = sql_u64(st, 0),
        .state = (enum delivery_state)sqlite3_column_int(st, 2),
        .priority = (uint8_t)sqlite3_column_int(st, 3),
        .attempts = (uint32_t)sqlite3_column_int64(st, 4),
        .generation = (uint32_t)sqlite3_column_int64(st, 5),
        .next_ms = sqlite3_column_int64(st, 6),
        .received_ms = sqlite3_column_int64(st, 7),
        .first_sent_ms = sqlite3_column_int64(st, 8),
        .body_bytes = (uint32_t)sqlite3_column_int64(st, 10),
        .route = arena_str(arena, sql_view(st, 11)),
        .piece = arena_str(arena, sql_view(st, 12)),
        .endpoint = arena_str(arena, sql_view(st, 13)),
        .action = arena_str(arena, sql_view(st, 14)),
        .subject = arena_str(arena, sql_view(st, 15)),
        .topic = arena_str(arena, sql_view(st, 16)),
        .hold_type = arena_str(arena, sql_view(st, 17)),
        .reason = arena_str(arena, sql_view(st, 18)),
        .version = arena_str(arena, sql_view(st, 19)),
        .detail = arena_str(arena, sql_view(st, 20)),
        .arrival = (uint8_t)sqlite3_column_int(st, 21),
        .since_ms = sqlite3_column_int64(st, 22),
    };
    if (d->state == DS_INFLIGHT)
        d->batch = sql_u64(st, 9);
    if (id.len == sizeof(d->id))
        memcpy(d->id, id.ptr, id.len);
}

int index_push_delivery(struct query *q, sqlite3_stmt *st)
{
    int r = index_grow((void **)&q->deliveries, q->n, sizeof(*q->deliveries));

    if (r == 0)
        index_row_delivery(st, &q->arena, &q->deliveries[q->n++]);
    return r;
}

int index_collect(struct query *q, sqlite3_stmt *st)
{
    int r;

    while ((r = sql_row(st)) > 0)
        if ((r = index_push_delivery(q, st)) < 0)
            break;
    sqlite3_reset(st);
    return r;
}

static int answer_claim(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_CLAIM];

    sql_bind_text(st, 1, q->endpoint);
    sqlite3_bind_int(st, 2, q->priority);
    sql_bind_u64(st, 3, q->after);
    sql_bind_u64(st, 4, q->limit);
    return index_collect(q, st);
}

static int answer_delivery(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_DELIVERY_GET];
    int r;

    sql_bind_u64(st, 1, q->id);
    r = sql_row(st);
    if (r <= 0)
        return r < 0 ? r : UV_ENOENT;
    r = index_push_delivery(q, st);
    sqlite3_reset(st);
    if (r < 0)
        return r;
    st = ix->st[IX_BODY_GET];
    sql_bind_u64(st, 1, q->id);
    r = sql_row(st);
    if (r > 0) {
        q->body = arena_str(&q->arena, sql_view(st, 0));
        q->request = arena_str(&q->arena, sql_view(st, 1));
        q->deliveries[q->n - 1].edited = sqlite3_column_int(st, 2);
        sqlite3_reset(st);
    }
    return r < 0 ? r : 0;
}

static int read_bodies(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_BODY_GET];
    size_t n = 0;

    for (size_t i = 0; i < q->n_bodies; i++) {
        struct store_body *b = &q->bodies[n];
        int r;

        b->num = q->bodies[i].num;
        sql_bind_u64(st, 1, b->num);
        r = sql_row(st);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        b->body = arena_str(&q->arena, sql_view(st, 0));
        b->request = arena_str(&q->arena, sql_view(st, 1));
        sqlite3_reset(st);
        n++;
    }
    q->n_bodies = n;
    return 0;
}

/* In one transaction: else SQLite locks and unlocks its files for each. */
static int answer_bodies(struct index *ix, struct query *q)
{
    int r = sql_run(ix->st[IX_READ]), end;

    if (r < 0)
        return r;
    r = read_bodies(ix, q);
    end = sql_run(ix->st[IX_COMMIT]);
    if (end < 0)
        sql_rollback(ix->db);
    return r < 0 ? r : end;
}

/* ---- events ---- */

struct receipt_read {
    struct arena *arena;
    struct rec_receipt *ret;
};

static int on_receipt(void *ctx, const struct reclog_record *rec)
{
    struct receipt_read *read = ctx;
    sl_str copy;

    if (rec->type != REC_RECEIPT)
        return UV_ENOENT;
    copy = arena_str(read->arena, rec->payload);
    return read->arena->failed ? UV_ENOMEM : rec_receipt_decode(copy, read->ret);
}

/* What retention has copied. */
static int copied_receipt(struct index *ix, uint64_t id, struct receipt_read *read)
{
    sqlite3_stmt *st = ix->st[IX_RECEIPT_GET];
    struct reclog_record rec = { .seq = id, .type = REC_RECEIPT };
    int r;

    sql_bind_u64(st, 1, id);
    r = sql_row(st);
    if (r <= 0)
        return r < 0 ? r : UV_ENOENT;
    rec.payload = sql_view(st, 0);
    r = on_receipt(read, &rec);
    sqlite3_reset(st);
    return r == UV_EINVAL ? UV_EILSEQ : r;
}

int index_receipt(struct index *ix, uint64_t id, struct arena *arena, struct rec_receipt *ret)
{
    struct receipt_read read = { .arena = arena, .ret = ret };
    sqlite3_stmt *st = ix->st[IX_EVENT_POS];
    uint64_t pos = 0;
    int r;

    if (id < ix->now.kept_from && (r = copied_receipt(ix, id, &read)) != UV_ENOENT)
        return r;
    sql_bind_u64(st, 1, id);
    r = sql_row(st);
    if (r <= 0)
        return r < 0 ? r : UV_ENOENT;
    pos = sql_u64(st, 0);
    sqlite3_reset(st);
    r = reclog_read_at(ix->log, pos, id, on_receipt, &read);
    /* One record cannot be read: no reason to take the index for lost. */
    return r == UV_EIO || r == UV_EINVAL ? UV_EILSEQ : r;
}

static int answer_event(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_EVENT_DELIVERIES];
    int r;

    sql_bind_u64(st, 1, q->id);
    r = sql_row(st);
    if (r <= 0)
        return r < 0 ? r : UV_ENOENT;
    q->event.id = q->id;
    q->event.n_deliveries = (uint32_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return index_receipt(ix, q->id, &q->arena, &q->event.receipt);
}

static int answer_unrouted(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[q->waiting ? IX_WAITING : IX_UNROUTED];

    sql_bind_u64(st, 1, q->after);
    sql_bind_u64(st, 2, q->limit);
    return index_collect_nums(q, st);
}

/* ---- links, batches ---- */

static int answer_links(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_LINK_GET];

    q->subjects = arena_alloc(&q->arena, q->n_refs * sizeof(*q->subjects));
    if (!q->subjects)
        return UV_ENOMEM;
    for (size_t i = 0; i < q->n_refs; i++) {
        uint8_t hash[16];
        int r;

        index_link_hash(q->refs[i].endpoint, q->refs[i].kind, q->refs[i].id, hash);
        sql_bind_bytes(st, 1, (sl_str){ (const char *)hash, sizeof(hash) });
        r = sql_row(st);
        if (r < 0)
            return r;
        q->subjects[i] = r ? arena_str(&q->arena, sql_view(st, 0)) : STR("");
        sqlite3_reset(st);
    }
    return 0;
}

/* Those of the batch's members that are still in flight with it. */
static int open_members(struct index *ix, struct query *q, sl_str members)
{
    sqlite3_stmt *st = ix->st[IX_BATCH_OPEN];
    struct unpack u = unpack_of(members);

    while (u.p < u.end && !u.bad) {
        uint64_t num = unpack_u64(&u);
        int r;

        sql_bind_u64(st, 1, num);
        sql_bind_u64(st, 2, q->id);
        r = sql_row(st);
        sqlite3_reset(st);
        if (r > 0)
            r = push_num(q, num);
        if (r < 0)
            return r;
    }
    return u.bad ? UV_EIO : 0;
}

static int answer_batch(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_BATCH_GET];
    int r;

    sql_bind_u64(st, 1, q->id);
    r = sql_row(st);
    if (r <= 0)
        return r < 0 ? r : UV_ENOENT;
    q->token = arena_str(&q->arena, sql_view(st, 0));
    r = open_members(ix, q, sql_view(st, 1));
    sqlite3_reset(st);
    return r;
}

/* ---- state ---- */

/* No UTF-8 text that begins with the prefix stands behind it and a byte of 255. */
static void bind_page(struct query *q, sqlite3_stmt *st)
{
    struct buf end = { 0 };

    buf_str(&end, q->prefix);
    buf_char(&end, '\xff');
    sql_bind_text(st, 2, q->from);
    sql_bind_text(st, 3, q->prefix);
    sql_bind_text(st, 4, arena_str(&q->arena, buf_view(&end)));
    sql_bind_u64(st, 5, q->limit);
    q->arena.failed |= end.failed;
    buf_finish(&end);
}

static int answer_state(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[q->limit ? IX_STATE_PAGE : IX_STATE_LIST];
    int r;

    sql_bind_text(st, 1, q->space);
    if (q->limit)
        bind_page(q, st);
    while ((r = sql_row(st)) > 0) {
        if ((r = index_grow((void **)&q->states, q->n, sizeof(*q->states))) < 0)
            break;
        q->states[q->n++] = (struct store_state){
            .key = arena_str(&q->arena, sql_view(st, 0)),
            .value = arena_str(&q->arena, sql_view(st, 1)),
            .at_ms = sqlite3_column_int64(st, 2),
            .who = arena_str(&q->arena, sql_view(st, 3)),
            .why = arena_str(&q->arena, sql_view(st, 4)),
        };
    }
    sqlite3_reset(st);
    return r;
}

/* ---- filters ---- */

static int state_of(const char *name)
{
    for (int i = 0; i < DS__COUNT; i++)
        if (strcmp(name, delivery_state_names[i]) == 0)
            return i;
    return UV_EINVAL;
}

/* Span by span, as the index is cut. */
#define SUBJECT_CONDITION \
    "num IN (" INDEX_SPANS("deliveries", "num", "28") "SELECT d.num FROM s CROSS JOIN"       \
    " deliveries d WHERE d.num >> 28 = s.p AND d.subject = ?)"

/* Of those that are live or dead there are few: better all of them than all that ever were. */
static const char *index_for(int state, const struct store_filter *f)
{
    if (state == DS_READY || state == DS_INFLIGHT)
        return " INDEXED BY deliveries_live";
    if (state == DS_DEAD && (f->issue || (f->error && !f->subject)))
        return " INDEXED BY deliveries_issue";
    return state == DS_DEAD && !f->subject ? " INDEXED BY deliveries_dead" : "";
}

/* More than that would take long to be sorted: they are met one after another, from the first that
 * is live on. */
#define LIVE_FEW 10000
#define FROM_FIRST_LIVE                                                                           \
    "max(?, (SELECT coalesce(min(f), 1) - 1 FROM (SELECT (SELECT d.num FROM deliveries d"         \
    " INDEXED BY deliveries_live WHERE d.endpoint = c.endpoint AND d.priority = p.column1"        \
    " AND d.state < 6 ORDER BY d.num LIMIT 1) AS f FROM (SELECT DISTINCT endpoint FROM counts) c" \
    " CROSS JOIN (VALUES(0), (1), (2), (3)) p)))"

/* 1: there are many in this state, which is a live one; 0: not; or a code. */
static int many_live(struct index *ix, int state)
{
    sqlite3_stmt *st = NULL;
    int r;

    if (state != DS_READY && state != DS_INFLIGHT)
        return 0;
    if ((r = sql_prepare(ix->db, &st, "SELECT total(n) > ? FROM counts WHERE state = ?")) < 0)
        return r;
    sqlite3_bind_int(st, 1, LIVE_FEW);
    sqlite3_bind_int(st, 2, state);
    r = sql_row(st);
    if (r > 0)
        r = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return r;
}

/* Of dead letters the issues say most; what has none, or one that does not know, is asked. */
#define ERROR_OF_DEAD                                                                            \
    " AND issue IN (SELECT id FROM issues WHERE reason_fits(reason, :error) UNION ALL SELECT 0)" \
    " AND (issue IN (SELECT id FROM issues WHERE reason_fits(reason, :error) = 2)"               \
    " OR reason_has(reason, :error))"

static int bind_error(sqlite3_stmt *st, int at, const char *error)
{
    struct buf text = { 0 };
    int r;

    reason_text(&text, str_of(error));
    r = text.failed ? UV_ENOMEM : 0;
    if (r == 0 && sqlite3_bind_text(st, at, text.data ? text.data : "", (int)text.len,
                                    SQLITE_TRANSIENT) == SQLITE_NOMEM)
        r = UV_ENOMEM;
    buf_finish(&text);
    return r;
}

/** What a filter wants to be equal to a text, or compared with a number; the value of each that is
 *  given is bound in this order. */
struct wanted {
    struct {
        const char *condition, *value; /* NULL: any */
    } texts[7];
    struct {
        const char *condition;
        int64_t n; /* 0: any */
    } numbers[4];
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct wanted wanted_by(const struct store_filter *f)
{
    return (struct wanted){
        .texts = { { "endpoint = ?", f->endpoint },
                   { "route = ?", f->route },
                   { SUBJECT_CONDITION, f->subject },
                   { "topic = ?", f->topic },
                   { "hold_type = ?", f->hold_type },
                   { "CASE WHEN json_valid(detail) THEN json_extract(detail, '$.owner') END = ?",
                     f->owner },
                   { "piece = ?", f->piece } },
        .numbers = { { "issue = ? AND issue <> 0", (int64_t)f->issue },
                     { "updated_ms >= ?", f->since_ms },
                     { "updated_ms < ?", f->until_ms },
                     { "num < ?", (int64_t)f->before } },
    };
}

/** Said twice where a partial index holds only some states: SQLite takes it if it sees so. */
static void put_state(struct buf *sql, const struct store_filter *f, int state)
{
    if (state >= 0)
        buf_printf(sql, " AND state = %d%s%s", state, state < DS_DELIVERED ? " AND state < 6" : "",
                   state > 1 && state != DS_DELIVERED ? " AND state > 1 AND state <> 6" : "");
    if (f->live)
        buf_cstr(sql, " AND state < 6");
}

static void put_wanted(struct buf *sql, const struct wanted *w)
{
    for (size_t i = 0; i < COUNT_OF(w->texts); i++)
        if (w->texts[i].value)
            buf_printf(sql, " AND %s", w->texts[i].condition);
    for (size_t i = 0; i < COUNT_OF(w->numbers); i++)
        if (w->numbers[i].n)
            buf_printf(sql, " AND %s", w->numbers[i].condition);
}

static void put_conditions(struct buf *sql, const struct store_filter *f, int state)
{
    if (f->error)
        buf_cstr(sql, state == DS_DEAD ? ERROR_OF_DEAD : " AND reason_has(reason, :error)");
    if (f->overdue) /* the clock of what was escalated goes on */
        buf_printf(sql,
                   " AND (next_ms BETWEEN 1 AND %" PRId64
                   " OR CASE WHEN json_valid(detail)"
                   " THEN json_extract(detail, '$.overdue') END)",
                   clock_wall_ms());
    if (f->for_people)
        buf_cstr(sql, " AND hold_type <> 'wait-for'");
    if (f->event)
        buf_printf(sql, " AND num BETWEEN %" PRIu64 " AND %" PRIu64, delivery_num(f->event, 0),
                   delivery_num(f->event, DELIVERY_ORDINAL_MAX));
}

static int bind_filter(sqlite3_stmt *st, const struct store_filter *f, const struct wanted *w)
{
    int at = 1, r;

    sql_bind_u64(st, at++, f->after);
    for (size_t i = 0; i < COUNT_OF(w->texts); i++)
        if (w->texts[i].value)
            sql_bind_text(st, at++, str_of(w->texts[i].value));
    for (size_t i = 0; i < COUNT_OF(w->numbers); i++)
        if (w->numbers[i].n)
            sqlite3_bind_int64(st, at++, w->numbers[i].n);
    if (f->error && (r = bind_error(st, at++, f->error)) < 0)
        return r;
    sql_bind_u64(st, at, index_limit(f->limit));
    return 0;
}

int index_filter_deliveries(struct index *ix, const char *columns, const struct store_filter *f,
                            sqlite3_stmt **ret, const char *order)
{
    int state = f->state ? state_of(f->state) : -1, r;
    struct wanted wanted = wanted_by(f);
    int many = many_live(ix, state);
    struct buf sql = { 0 };

    if (many < 0)
        return many;
    if (f->state && state < 0)
        return UV_EINVAL;
    buf_printf(&sql, "SELECT %s FROM deliveries%s WHERE num > %s", columns,
               many ? " NOT INDEXED" : index_for(state, f), many ? FROM_FIRST_LIVE : "?");
    put_state(&sql, f, state);
    put_wanted(&sql, &wanted);
    put_conditions(&sql, f, state);
    buf_printf(&sql, "%s LIMIT ?", order);
    r = sql.failed ? UV_ENOMEM : sql_prepare(ix->db, ret, sql.data);
    buf_finish(&sql);
    return r < 0 ? r : bind_filter(*ret, f, &wanted);
}

static int answer_select(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = NULL;
    int r = index_filter_deliveries(ix, "num", &q->filter, &st, " ORDER BY num");

    if (r == 0)
        r = index_collect_nums(q, st);
    sqlite3_finalize(st);
    return r;
}

/* ---- dispatch ---- */

#define ASKED_MS   2000  /* for people, who may ask for what no row is like: see index.h */
#define LOOK_STEPS 20000 /* of SQLite's, between two looks at the clock */

static int is_late(void *ctx)
{
    return clock_mono_ms() > *(const uint64_t *)ctx;
}

void index_answer(struct index *ix, struct query *q)
{
    uint64_t until_ms = clock_mono_ms() + ASKED_MS;
    static int (*const answer[])(struct index * ix, struct query * q) = {
        [QUERY_CLAIM] = answer_claim,
        [QUERY_DELIVERY] = answer_delivery,
        [QUERY_BODIES] = answer_bodies,
        [QUERY_EVENT] = answer_event,
        [QUERY_UNROUTED] = answer_unrouted,
        [QUERY_LINKS] = answer_links,
        [QUERY_BATCH] = answer_batch,
        [QUERY_REPORT] = index_report,
        [QUERY_SELECT] = answer_select,
        [QUERY_STATE] = answer_state,
        [QUERY_DUE] = index_due,
        [QUERY_DEADLINES] = index_deadlines,
        [QUERY_ENDS] = index_ends,
        [QUERY_CAME] = index_came,
        [QUERY_SIBLINGS] = index_siblings,
        [QUERY_DEAD] = index_dead,
        [QUERY_ABOUT] = index_about,
        [QUERY_CHAIN] = index_chain,
        [QUERY_BACKFILL] = index_backfill,
        [QUERY_PRIVACY] = index_privacy_list,
        [QUERY_PRIVATE] = index_privacy_find,
        [QUERY_WIPE] = index_privacy_wipe,
    };

    if (q->type == QUERY_BACKFILL || q->type == QUERY_REPORT || q->type == QUERY_SELECT)
        sqlite3_progress_handler(ix->db, LOOK_STEPS, is_late, &until_ms);
    q->status = answer[q->type](ix, q);
    sqlite3_progress_handler(ix->db, 0, NULL, NULL);
    if (q->status == 0 && q->arena.failed)
        q->status = UV_ENOMEM;
    if (q->status < 0)
        q->n = q->n_deadlines = q->n_found = 0;
}
