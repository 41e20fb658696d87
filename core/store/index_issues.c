/*
 * index_issues.c - dead letters with the same fingerprint are one issue; and what became of what a
 * replay sent again. Both follow from the moves of deliveries, in the same transaction.
 *
 * A delivery keeps the issue that it died of last. While it is dead it counts in the issue's
 * `dead`, while it is live again in its `live`; an issue of which nothing is left of either has
 * resolved itself, and one that comes again is open again. A delivery that a replay sent again
 * carries the replay's number until somebody else decides about it.
 */
#include "store/index_int.h"

#include <jansson.h>
#include <string.h>
#include <uv.h>
#include "store/fingerprint.h"
#include "store/reply.h"

#define REASON_SHOWN 500 /* bytes of an example's reason */

/* In the column `issue` of table `replays`, beside the issues of what died again. */
#define REPLAYED  (-1)
#define DELIVERED 0

/* ---- the class ---- */

static void class_of(const struct index_death *d, struct buf *out)
{
    static const struct {
        sl_str prefix;
        const char *name;
    } kinds[] = { { STR("map: "), "mapping" },
                  { STR("the event is not understood"), "event" },
                  { STR("request: "), "request" },
                  { STR("given up after"), "given up" } };
    const char *name = !d->moved ? "route" : d->by_hand ? "rejected" : "refused";

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!d->by_hand && str_starts(d->reason, kinds[i].prefix))
            name = kinds[i].name;
    buf_cstr(out, name);
    if (d->status)
        buf_printf(out, ", status %u", d->status);
}

/* ---- counting ---- */

int index_issues_count(struct index *ix)
{
    sqlite3_stmt *st = ix->st[IX_ISSUE_STANDING];
    int r = sql_row(st);

    if (r > 0)
        ix->issues = (struct index_issues){ .open = sql_u64(st, 0),
                                            .acknowledged = sql_u64(st, 1),
                                            .dead = sql_u64(st, 2) };
    sqlite3_reset(st);
    ix->issues_changed = false;
    return r < 0 ? r : 0;
}

static int change(struct index *ix, uint64_t issue, int dead, int live, int64_t at_ms)
{
    sqlite3_stmt *st = ix->st[IX_ISSUE_CHANGE];

    if (!issue || (!dead && !live))
        return 0;
    sql_bind_u64(st, 1, issue);
    sqlite3_bind_int(st, 2, dead);
    sqlite3_bind_int(st, 3, live);
    sqlite3_bind_int64(st, 4, at_ms);
    ix->issues_changed = true;
    return sql_run(st);
}

static int is_dead(int state)
{
    return state == DS_DEAD;
}

static int is_live(int state)
{
    return state < DS_DELIVERED;
}

static int set_issue(struct index *ix, uint64_t num, uint64_t issue)
{
    sqlite3_stmt *st = ix->st[IX_DELIVERY_ISSUE];

    sql_bind_u64(st, 1, num);
    sql_bind_u64(st, 2, issue);
    return sql_run(st);
}

/* One more of its issue, which is made if it is the first. */
static int one_more(struct index *ix, const struct index_death *d, uint64_t *ret_issue)
{
    sqlite3_stmt *st = ix->st[IX_ISSUE_ADD];
    struct buf class_ = { 0 }, reason = { 0 };
    sl_str shown = d->reason;
    int r = UV_ENOMEM;

    class_of(d, &class_);
    fingerprint_reason(&reason, d->reason);
    if (class_.failed || reason.failed)
        goto out;
    if (shown.len > REASON_SHOWN)
        shown.len = REASON_SHOWN;
    *ret_issue = fingerprint_of(d->route, d->endpoint, buf_view(&class_), buf_view(&reason));
    sql_bind_u64(st, 1, *ret_issue);
    sql_bind_text(st, 2, d->route);
    sql_bind_text(st, 3, d->endpoint);
    sql_bind_text(st, 4, buf_view(&class_));
    sql_bind_text(st, 5, buf_view(&reason));
    sql_bind_text(st, 6, shown);
    sql_bind_u64(st, 7, d->num);
    sqlite3_bind_int64(st, 8, d->at_ms);
    ix->issues_changed = true;
    r = sql_run(st);
out:
    buf_finish(&class_);
    buf_finish(&reason);
    return r;
}

int index_issue_died(struct index *ix, const struct index_death *d, uint64_t *ret_issue)
{
    int r = one_more(ix, d, ret_issue);

    if (r == 0 && *ret_issue != d->was)
        r = set_issue(ix, d->num, *ret_issue);
    if (r == 0) /* after the new one has counted, so that the same one never stands at nothing */
        r = change(ix, d->was, -is_dead(d->from), -is_live(d->from), d->at_ms);
    return r;
}

int index_issue_left(struct index *ix, uint64_t issue, int from, int to, int64_t at_ms)
{
    return change(ix, issue, is_dead(to) - is_dead(from), is_live(to) - is_live(from), at_ms);
}

/* ---- what a replay sent again ---- */

#define WHO_REPLAY "replay:"

uint64_t index_replay_of(sl_str who)
{
    uint64_t job = 0;

    if (!str_starts(who, STR(WHO_REPLAY)))
        return 0;
    for (size_t i = sizeof(WHO_REPLAY) - 1; i < who.len && who.ptr[i] >= '0' && who.ptr[i] <= '9';
         i++)
        job = job * 10 + (uint64_t)(who.ptr[i] - '0');
    return job & INT64_MAX;
}

static int count(struct index *ix, uint64_t job, int64_t what)
{
    sqlite3_stmt *st = ix->st[IX_REPLAY_COUNT];

    sql_bind_u64(st, 1, job);
    sqlite3_bind_int64(st, 2, what);
    return sql_run(st);
}

static int set_job(struct index *ix, uint64_t num, uint64_t job)
{
    sqlite3_stmt *st = ix->st[IX_DELIVERY_JOB];

    sql_bind_u64(st, 1, num);
    sql_bind_u64(st, 2, job);
    return sql_run(st);
}

/* What was made in place of one that was mapped again, by the record before: the old one's issue
 * and replay are its own. */
static int hand_over(struct index *ix, const struct index_move *m)
{
    sqlite3_stmt *st = ix->st[IX_REMAPPED];
    uint64_t num, issue;
    int r, state;

    sql_bind_u64(st, 1, m->num);
    sql_bind_u64(st, 2, delivery_num(delivery_event(m->num), DELIVERY_ORDINAL_MAX));
    sql_bind_u64(st, 3, m->seq - 1);
    while ((r = sql_row(st)) > 0) {
        num = sql_u64(st, 0);
        state = sqlite3_column_int(st, 1);
        issue = sql_u64(st, 2);
        if (!issue && m->issue && is_live(state)) {
            if ((r = set_issue(ix, num, m->issue)) < 0 ||
                (r = change(ix, m->issue, 0, 1, m->at_ms)) < 0)
                break;
        }
        if (m->by_job && ((r = set_job(ix, num, m->by_job)) < 0 ||
                          (is_dead(state) && (r = count(ix, m->by_job, (int64_t)issue)) < 0)))
            break;
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

int index_replay_moved(struct index *ix, const struct index_move *m)
{
    int r = 0;

    if (m->remapped)
        r = hand_over(ix, m);
    if (r == 0 && m->by_job && m->by_job != m->job) {
        if ((r = set_job(ix, m->num, m->by_job)) < 0 || (r = count(ix, m->by_job, REPLAYED)) < 0)
            return r;
        return is_dead(m->from) && is_dead(m->to) ? count(ix, m->by_job, (int64_t)m->issue) : 0;
    }
    if (r < 0 || !m->job || m->by_job)
        return r;
    if (m->to == DS_DELIVERED && m->from != DS_DELIVERED)
        return count(ix, m->job, DELIVERED);
    if (m->to == DS_DEAD && m->from != DS_DEAD)
        return count(ix, m->job, (int64_t)m->issue);
    if (is_live(m->to) && !is_live(m->from)) /* somebody else sends it again */
        return set_job(ix, m->num, 0);
    return 0;
}

/* ---- what people say of an issue, and replays that are forgotten ---- */

static int acknowledge(struct index *ix, const struct rec_state *rec, uint64_t issue, sl_str value)
{
    json_t *j = json_loadb(value.ptr, value.len, 0, NULL);
    const char *state = json_string_value(json_object_get(j, "state"));
    enum index_stmt which = IX__COUNT;

    if (state && strcmp(state, "acknowledged") == 0)
        which = IX_ISSUE_ACK;
    else if (state && strcmp(state, "resolved") == 0)
        which = IX_ISSUE_RESOLVE;
    else if (state && strcmp(state, "open") == 0)
        which = IX_ISSUE_REOPEN;
    json_decref(j);
    if (which == IX__COUNT)
        return 0;
    sql_bind_u64(ix->st[which], 1, issue);
    sqlite3_bind_int64(ix->st[which], 2, rec->at_ms);
    sql_bind_text(ix->st[which], 3, rec->who);
    sql_bind_text(ix->st[which], 4, rec->why);
    ix->issues_changed = true;
    return sql_run(ix->st[which]);
}

int index_issue_state(struct index *ix, const struct rec_state *rec,
                      const struct rec_state_item *it)
{
    uint64_t id = 0;

    if (str_eq(it->space, STR("issue")) && fingerprint_parse(it->key, &id) == 0)
        return acknowledge(ix, rec, id, it->value);
    if (!str_eq(it->space, STR("replay")) || it->value.len)
        return 0;
    for (size_t i = 0; i < it->key.len && it->key.ptr[i] >= '0' && it->key.ptr[i] <= '9'; i++)
        id = id * 10 + (uint64_t)(it->key.ptr[i] - '0');
    sql_bind_u64(ix->st[IX_REPLAY_FORGET], 1, id & INT64_MAX);
    return sql_run(ix->st[IX_REPLAY_FORGET]);
}

/* ---- reports ---- */

#define ISSUE_COLUMNS                                                                         \
    "id, route, endpoint, class, reason, example, example_num, first_ms, last_ms, opened_ms," \
    " n, dead, live, reopened, resolved_ms, resolved_who, resolved_why, ack_ms, ack_who, ack_why"

static const char *state_name(sqlite3_stmt *st)
{
    return sqlite3_column_int64(st, 14)   ? "resolved"
           : sqlite3_column_int64(st, 17) ? "acknowledged"
                                          : "open";
}

static void set_who(json_t *o, const char *name, sqlite3_stmt *st, int column)
{
    json_t *w;

    if (!sqlite3_column_int64(st, column)) {
        reply_put(o, name, json_null());
        return;
    }
    w = json_object();
    reply_set_time(w, "at", sqlite3_column_int64(st, column));
    reply_set_column(w, "who", st, column + 1);
    reply_set_column(w, "why", st, column + 2);
    reply_put(o, name, w);
}

void reply_set_issue(json_t *o, const char *name, uint64_t issue)
{
    char hex[FINGERPRINT_HEX];

    fingerprint_name(issue, hex);
    reply_put(o, name, issue ? json_string(hex) : json_null());
}

static json_t *issue_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object(), *example = json_object();

    (void)ix;
    reply_set_issue(o, "id", sql_u64(st, 0));
    reply_set_text(o, "state", str_of(state_name(st)));
    reply_set_column(o, "route", st, 1);
    reply_set_column(o, "endpoint", st, 2);
    reply_set_column(o, "class", st, 3);
    reply_set_column(o, "reason", st, 4);
    reply_set_num(example, "delivery", sql_u64(st, 6));
    reply_set_column(example, "reason", st, 5);
    reply_put(o, "example", example);
    reply_set_time(o, "first_at", sqlite3_column_int64(st, 7));
    reply_set_time(o, "last_at", sqlite3_column_int64(st, 8));
    reply_set_time(o, "opened_at", sqlite3_column_int64(st, 9));
    reply_set_int(o, "count", sqlite3_column_int64(st, 10));
    reply_set_int(o, "dead", sqlite3_column_int64(st, 11));
    reply_set_int(o, "replaying", sqlite3_column_int64(st, 12));
    reply_set_int(o, "reopened", sqlite3_column_int64(st, 13));
    set_who(o, "resolved", st, 14);
    set_who(o, "acknowledged", st, 17);
    return o;
}

static const char *state_condition(const char *state)
{
    static const char *const of[][2] = { { "open", " AND resolved_ms = 0 AND ack_ms = 0" },
                                         { "acknowledged", " AND resolved_ms = 0 AND ack_ms <> 0" },
                                         { "resolved", " AND resolved_ms <> 0" } };

    for (size_t i = 0; state && i < 3; i++)
        if (strcmp(of[i][0], state) == 0)
            return of[i][1];
    return "";
}

int report_issues(struct index *ix, struct query *q)
{
    const struct store_filter *f = &q->filter;
    sqlite3_stmt *st = NULL;
    struct buf sql = { 0 };
    int r;

    buf_cstr(&sql, "SELECT " ISSUE_COLUMNS " FROM issues WHERE 1");
    buf_cstr(&sql, state_condition(f->state));
    if (f->route)
        buf_cstr(&sql, " AND route = ?1");
    if (f->endpoint)
        buf_cstr(&sql, " AND endpoint = ?2");
    if (f->id)
        buf_cstr(&sql, " AND id = ?4");
    buf_cstr(&sql, " ORDER BY last_ms DESC, id LIMIT ?3");
    r = sql.failed ? UV_ENOMEM : sql_prepare(ix->db, &st, sql.data);
    buf_finish(&sql);
    if (r == 0) {
        sql_bind_text(st, 1, str_of(f->route ? f->route : ""));
        sql_bind_text(st, 2, str_of(f->endpoint ? f->endpoint : ""));
        sql_bind_u64(st, 3, index_limit(f->limit));
        sql_bind_u64(st, 4, f->id);
    }
    return reply_list(ix, q, st, r, issue_row);
}

static json_t *dead_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_num(o, "id", sql_u64(st, 0));
    reply_set_column(o, "subject", st, 1);
    reply_set_column(o, "reason", st, 2);
    reply_set_time(o, "updated_at", sqlite3_column_int64(st, 3));
    return o;
}

int report_issue(struct index *ix, struct query *q)
{
    uint64_t id = q->filter.id;
    json_t *o = NULL;
    int r = reply_one(ix, "SELECT " ISSUE_COLUMNS " FROM issues WHERE id = ?", q->filter.id,
                      issue_row, &o);

    if (r < 0)
        return r;
    r = reply_set_rows(ix, o, "deliveries",
                       "SELECT num, subject, reason, updated_ms FROM deliveries"
                       " WHERE issue = ? AND state = 7 AND issue <> 0 ORDER BY num DESC LIMIT 20",
                       id, 0, dead_row);
    return reply_finish(q, o, r);
}

/* ---- what became of a replay; what it is about ---- */

static json_t *again_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_issue(o, "issue", sql_u64(st, 0));
    reply_set_int(o, "count", sqlite3_column_int64(st, 1));
    reply_set_column(o, "route", st, 2);
    reply_set_column(o, "endpoint", st, 3);
    reply_set_column(o, "class", st, 4);
    reply_set_column(o, "reason", st, 5);
    return o;
}

static int replay_count(struct index *ix, json_t *o, const char *name, uint64_t job, int64_t what)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, "SELECT n FROM replays WHERE job = ? AND issue = ?");

    if (r == 0) {
        sql_bind_u64(st, 1, job);
        sqlite3_bind_int64(st, 2, what);
        r = sql_row(st);
        reply_set_int(o, name, r > 0 ? sqlite3_column_int64(st, 0) : 0);
    }
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

int report_replay(struct index *ix, struct query *q)
{
    json_t *o = json_object();
    uint64_t job = q->filter.id;
    int r = replay_count(ix, o, "replayed", job, REPLAYED);

    if (r == 0)
        r = replay_count(ix, o, "delivered", job, DELIVERED);
    if (r == 0)
        r = reply_set_rows(ix, o, "dead_again",
                           "SELECT r.issue, r.n, i.route, i.endpoint, i.class, i.reason"
                           " FROM replays r LEFT JOIN issues i ON i.id = r.issue"
                           " WHERE r.job = ? AND r.issue > 0 ORDER BY r.n DESC, r.issue LIMIT 1000",
                           job, 0, again_row);
    return reply_finish(q, o, r);
}

static json_t *plan_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_issue(o, "issue", sql_u64(st, 0));
    reply_set_column(o, "route", st, 1);
    reply_set_column(o, "endpoint", st, 2);
    reply_set_int(o, "count", sqlite3_column_int64(st, 3));
    return o;
}

int report_replayable(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = NULL;
    int r = index_filter_deliveries(ix, "issue, route, endpoint, count(*)", &q->filter, &st,
                                    " GROUP BY issue ORDER BY 4 DESC, 1");

    return reply_list(ix, q, st, r, plan_row);
}
