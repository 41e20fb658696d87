/*
 * index_twin.c - an event has one delivery for each route and piece, whatever the log says.
 *
 * A second one is refused and counted as damage: nothing writes it, and were it there it would be
 * sent under the first one's key. It has the first one's id, so it is looked for among the few
 * deliveries of its event, which stand together by their num; an index over all ids would cost
 * every delivery something, and only what an event is given later can have a twin at all.
 *
 * One thing looks the same and is right: a delivery that was mapped again has its successor in one
 * record, and is closed as "remapped" by the next, in the same append. So a twin is in doubt until
 * that record; the transaction does not end between the two.
 *
 * A dead letter without an endpoint is only a note that a piece could not be made: it is never sent
 * itself, so it is nobody's twin.
 */
#include "store/index_int.h"

#include <string.h>
#include <uv.h>

static bool is_note(const struct rec_delivery *d)
{
    return d->state == DS_DEAD && !d->endpoint.len;
}

static bool same_id(const struct rec_delivery *a, const struct rec_delivery *b)
{
    return memcmp(a->id, b->id, sizeof(a->id)) == 0;
}

void index_twin_refused(struct index *ix, uint64_t num)
{
    ix->now.doubled++;
    ix->now.doubled_num = num;
}

/* How many deliveries of the event have this id and were not mapped again since; one of them. */
static int count_stored(struct index *ix, const struct rec_delivery *d, unsigned *ret_n,
                        uint64_t *ret_first)
{
    sqlite3_stmt *st = ix->st[IX_TWINS];
    uint64_t event = delivery_event(d->num);
    int r;

    sql_bind_u64(st, 1, delivery_num(event, 0));
    sql_bind_u64(st, 2, delivery_num(event, DELIVERY_ORDINAL_MAX));
    sql_bind_bytes(st, 3, (sl_str){ (const char *)d->id, sizeof(d->id) });
    for (*ret_n = 0; (r = sql_row(st)) > 0; ++*ret_n)
        *ret_first = sql_u64(st, 0);
    sqlite3_reset(st);
    return r;
}

int index_twin_check(struct index *ix, uint64_t seq, const struct rec_routed *rec, size_t n,
                     bool routed_before)
{
    const struct rec_delivery *d = &rec->deliveries[n];
    uint64_t first = 0;
    unsigned stored = 0;
    int r = 0;

    if (is_note(d))
        return 0;
    for (size_t i = 0; i < n; i++)
        if (same_id(&rec->deliveries[i], d) && !is_note(&rec->deliveries[i]))
            return 1;
    if (routed_before)
        r = count_stored(ix, d, &stored, &first);
    if (r < 0 || stored == 0)
        return r;
    if (stored > 1 || ix->twin.num || first == d->num)
        return 1;
    ix->twin =
        (struct index_twin){ .seq = seq, .first = first, .num = d->num, .at_ms = rec->at_ms };
    return 0;
}

/* ---- the record after it ---- */

static int closes_first(const struct index *ix, sl_str payload, bool *ret)
{
    struct rec_moves rec;
    int r = rec_moves_decode(payload, &rec);

    if (r < 0)
        return r;
    *ret = false;
    for (size_t i = 0; i < rec.n_moves; i++)
        *ret |= rec.moves[i].num == ix->twin.first && rec.moves[i].state == DS_DISCARDED &&
                str_eq(rec.moves[i].hold_type, STR("remapped"));
    rec_moves_finish(&rec);
    return 0;
}

static int delete_from(struct index *ix, enum index_stmt which, uint64_t num)
{
    sql_bind_u64(ix->st[which], 1, num);
    return sql_run(ix->st[which]);
}

/* It is as if it had never been written. */
static int drop(struct index *ix)
{
    static const enum index_stmt tables[] = { IX_TWIN_GO, IX_TWIN_BODY_GO, IX_TWIN_MOVES_GO };
    const struct index_twin twin = ix->twin;
    sqlite3_stmt *st = ix->st[IX_DELIVERY_STAND];
    int state, r;

    ix->twin = (struct index_twin){ 0 };
    sql_bind_u64(st, 1, twin.num);
    r = sql_row(st);
    if (r > 0) {
        state = sqlite3_column_int(st, 0);
        r = index_count(ix, sql_view(st, 1), sql_view(st, 2), state, -1);
        if (r == 0 && sql_u64(st, 4))
            r = index_issue_left(ix, sql_u64(st, 4), state, DS_DISCARDED, twin.at_ms);
        sqlite3_reset(st);
    }
    for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
        r = delete_from(ix, tables[i], twin.num);
    if (r == 0)
        index_twin_refused(ix, twin.num);
    return r;
}

int index_twin_settle(struct index *ix, const struct reclog_record *next)
{
    bool closed = false;
    int r = 0;

    if (!ix->twin.num)
        return 0;
    if (next && next->seq == ix->twin.seq + 1 && next->type == REC_DECISION)
        r = closes_first(ix, next->payload, &closed);
    if (closed)
        ix->twin = (struct index_twin){ 0 };
    return r < 0 || closed ? r : drop(ix);
}

bool index_mid_append(const struct index *ix)
{
    return ix->twin.num != 0;
}

uint64_t index_doubled(const struct index *ix, uint64_t *ret_num)
{
    *ret_num = ix->committed.doubled_num;
    return ix->committed.doubled;
}
