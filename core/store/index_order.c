/*
 * index_order.c - questions about order: what else was made of an event, of a subject, and which
 * dead letters a route has.
 */
#include "store/index_int.h"

int index_siblings(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_SIBLINGS];

    sql_bind_u64(st, 1, delivery_num(q->id, 0));
    sql_bind_u64(st, 2, delivery_num(q->id, DELIVERY_ORDINAL_MAX));
    return index_collect(q, st);
}

int index_dead(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_DEAD];

    sql_bind_text(st, 1, q->made.route);
    sql_bind_u64(st, 2, q->after);
    sql_bind_u64(st, 3, q->limit);
    return index_collect(q, st);
}

/** Those of one span of events: as the subjects' index is cut. */
static int about_span(struct index *ix, struct query *q, uint64_t span)
{
    sqlite3_stmt *st = ix->st[IX_ABOUT_ROUTE];

    sql_bind_u64(st, 1, span);
    sql_bind_text(st, 2, q->made.subject);
    sql_bind_text(st, 3, q->made.route);
    sqlite3_bind_int(st, 4, q->made.any_piece);
    sql_bind_text(st, 5, q->made.piece);
    sqlite3_bind_int(st, 6, q->made.standing);
    sql_bind_u64(st, 7, q->limit - q->n);
    return index_collect(q, st);
}

/** The spans that there are. 1; 0: none; or a code. */
static int spans(struct index *ix, uint64_t *ret_first, uint64_t *ret_last)
{
    sqlite3_stmt *st = ix->st[IX_SPANS];
    int r = sql_row(st);

    if (r <= 0)
        return r;
    *ret_first = sql_u64(st, 0);
    *ret_last = sql_u64(st, 1);
    sqlite3_reset(st);
    return 1;
}

int index_about(struct index *ix, struct query *q)
{
    uint64_t first, span;
    int r = spans(ix, &first, &span);

    if (r <= 0)
        return r;
    for (r = 0; r == 0 && q->n < q->limit; span--) {
        r = about_span(ix, q, span);
        if (span <= first)
            break;
    }
    return r;
}

static int chain_span(struct index *ix, struct query *q, uint64_t span)
{
    sqlite3_stmt *st = ix->st[IX_CHAIN];

    sql_bind_u64(st, 1, span);
    sql_bind_text(st, 2, q->made.subject);
    sql_bind_u64(st, 3, q->after);
    sql_bind_u64(st, 4, q->before);
    sql_bind_text(st, 5, q->made.route);
    sql_bind_text(st, 6, q->made.piece);
    sql_bind_u64(st, 7, q->limit - q->n);
    return index_collect(q, st);
}

int index_chain(struct index *ix, struct query *q)
{
    uint64_t span, last;
    int r = spans(ix, &span, &last);

    if (r <= 0)
        return r;
    if (span < q->after >> 28)
        span = q->after >> 28;
    if (q->before && last > q->before >> 28)
        last = q->before >> 28;
    for (r = 0; r == 0 && q->n < q->limit && span <= last; span++)
        r = chain_span(ix, q, span);
    return r;
}
