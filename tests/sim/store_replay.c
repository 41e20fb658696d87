/*
 * store_replay.c - what the tables answer of dead letters, of replays and of events that a route
 * was not given.
 */
#include <stdlib.h>
#include <string.h>
#include "store/fingerprint.h"
#include "store_query.h"

#define PART_IDS 16 /* events that one question looks through */

static bool fits(const char *wanted, sl_str is)
{
    return !wanted || str_eq(is, str_of(wanted));
}

static bool matches(const struct store_filter *f, const struct row *r)
{
    return (!f->state || !strcmp(f->state, delivery_state_names[r->state])) &&
           (!f->live || !delivery_state_final(r->state)) && fits(f->route, r->route) &&
           fits(f->endpoint, r->endpoint) && fits(f->subject, r->subject) &&
           fits(f->piece, r->piece) && fits(f->topic, r->topic) &&
           (!f->issue || r->issue == f->issue) && r->num > f->after &&
           (!f->before || r->num < f->before) && (!f->since_ms || r->updated_ms >= f->since_ms) &&
           (!f->until_ms || r->updated_ms < f->until_ms);
}

static int by_num(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

void answer_select(struct store *s, struct query *q)
{
    q->nums = room(s, (s->t.n_rows + 1) * sizeof(*q->nums));
    for (size_t i = 0; i < s->t.n_rows; i++)
        if (matches(&q->filter, s->t.rows[i]))
            q->nums[q->n++] = s->t.rows[i]->num;
    if (q->n)
        qsort(q->nums, q->n, sizeof(*q->nums), by_num);
    if (q->n > q->filter.limit)
        q->n = q->filter.limit;
}

/* ---- reports ---- */

static void put_name(struct buf *b, const char *name, uint64_t issue)
{
    char hex[FINGERPRINT_HEX];

    fingerprint_name(issue, hex);
    buf_printf(b, "{\"%s\":\"%s\"", name, hex);
}

static void keep(struct store *s, struct query *q, struct buf *b)
{
    q->json = arena_str(&s->t.arena, buf_view(b));
    buf_finish(b);
}

/** What a filter matches, by issue. */
void answer_replayable(struct store *s, struct query *q)
{
    struct buf b = { 0 };

    buf_char(&b, '[');
    for (const struct issue_row *i = s->t.issues; i; i = i->next) {
        size_t n = 0;
        for (size_t k = 0; k < s->t.n_rows; k++)
            n += s->t.rows[k]->issue == i->id && matches(&q->filter, s->t.rows[k]);
        if (!n)
            continue;
        buf_cstr(&b, b.len > 1 ? "," : "");
        put_name(&b, "issue", i->id);
        buf_printf(&b, ",\"count\":%zu}", n);
    }
    buf_char(&b, ']');
    keep(s, q, &b);
}

void answer_issues(struct store *s, struct query *q)
{
    struct buf b = { 0 };

    buf_char(&b, '[');
    for (const struct issue_row *i = s->t.issues; i; i = i->next) {
        if (!fits(q->filter.route, i->route))
            continue;
        buf_cstr(&b, b.len > 1 ? "," : "");
        put_name(&b, "id", i->id);
        buf_char(&b, '}');
    }
    buf_char(&b, ']');
    keep(s, q, &b);
}

/** The books of one job. */
void answer_replay(struct store *s, struct query *q)
{
    const struct replay_row *p = tables_replay(&s->t, q->filter.id);
    struct buf b = { 0 };

    buf_printf(&b, "{\"replayed\":%u,\"delivered\":%u,\"dead_again\":[", p ? p->replayed : 0,
               p ? p->delivered : 0);
    for (const struct again_row *a = p ? p->again : NULL; a; a = a->next) {
        const struct issue_row *i = tables_issue(&s->t, a->issue);
        put_name(&b, "issue", a->issue);
        buf_printf(&b, ",\"count\":%u,\"class\":\"%s\",\"reason\":", a->n, i ? i->kind : "");
        buf_json_str(&b, i ? i->reason : STR(""));
        buf_cstr(&b, a->next ? "}," : "}");
    }
    buf_cstr(&b, "]}");
    keep(s, q, &b);
}

/* ---- events for a route ---- */

static bool is_topic(const struct store_backfill *f, const struct rec_receipt *r)
{
    for (size_t i = 0; i < f->n_topics; i++)
        if (str_eq(r->topic, str_of(f->topics[i])) &&
            (!f->endpoints || str_eq(r->endpoint, str_of(f->endpoints[i]))))
            return true;
    return !f->n_topics;
}

static bool lacks(const struct store_backfill *f, const struct event_row *e)
{
    if (e->routed != 1 || e->duplicate_of || !fits(f->endpoint, e->receipt.endpoint) ||
        !is_topic(f, &e->receipt) || e->receipt.received_ms < f->since_ms ||
        (f->until_ms && e->receipt.received_ms >= f->until_ms))
        return false;
    for (uint32_t i = 0; i < e->n_rows; i++)
        if (e->rows[i] && fits(f->route, e->rows[i]->route))
            return false;
    return true;
}

void answer_backfill(struct store *s, struct query *q)
{
    const struct store_backfill *f = &q->backfill;
    uint64_t last = f->after + PART_IDS;

    q->nums = room(s, (PART_IDS + 1) * sizeof(*q->nums));
    for (uint64_t id = f->after + 1; id <= last && q->n < f->limit; id++) {
        const struct event_row *e = tables_event(&s->t, id);
        if (e && lacks(f, e))
            q->nums[q->n++] = id;
    }
    q->next = q->n == f->limit ? q->nums[q->n - 1] : last < s->t.last ? last : 0;
}
