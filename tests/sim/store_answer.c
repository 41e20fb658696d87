/*
 * store_answer.c - what the tables answer to the questions of store.h.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "store_query.h"

static struct store_delivery delivery_of(const struct row *r)
{
    struct store_delivery d = {
        .num = r->num,
        .state = r->state,
        .priority = r->priority,
        .attempts = r->attempts,
        .generation = r->generation,
        .next_ms = r->next_ms,
        .received_ms = r->received_ms,
        .first_sent_ms = r->first_sent_ms,
        .since_ms = r->since_ms,
        .batch = r->state == DS_INFLIGHT ? r->batch : 0,
        .body_bytes = (uint32_t)r->body.len,
        .route = r->route,
        .piece = r->piece,
        .endpoint = r->endpoint,
        .action = r->action,
        .subject = r->subject,
        .topic = r->topic,
        .hold_type = r->hold_type,
        .version = r->version,
        .detail = r->detail,
        .arrival = r->arrival,
        .reason = r->reason,
    };

    memcpy(d.id, r->id, sizeof(d.id));
    return d;
}

static void answer_claim(struct store *s, struct query *q)
{
    q->rows = room(s, s->t.n_rows * sizeof(*q->rows));
    for (uint64_t id = 1; id <= s->t.last; id++) {
        const struct event_row *e = s->t.events[id];
        for (uint32_t i = 0; e && i < e->n_rows; i++) {
            const struct row *r = e->rows[i];
            if (r && r->num > q->after && !delivery_state_final(r->state) && q->n < q->limit &&
                r->priority == q->priority && str_eq(r->endpoint, q->endpoint))
                q->rows[q->n++] = delivery_of(r);
        }
    }
}

static void answer_siblings(struct store *s, struct query *q)
{
    const struct event_row *e = tables_event(&s->t, q->id);

    q->rows = room(s, (e ? e->n_rows : 0) * sizeof(*q->rows));
    for (uint32_t i = 0; e && i < e->n_rows; i++)
        if (e->rows[i])
            q->rows[q->n++] = delivery_of(e->rows[i]);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = ((const struct store_delivery *)a)->num;
    uint64_t y = ((const struct store_delivery *)b)->num;

    return x < y ? 1 : x > y ? -1 : 0;
}

/** Also the dead ones of a route, by rising num. */
static void answer_about(struct store *s, struct query *q)
{
    bool dead = q->what == ASK_DEAD;

    q->rows = room(s, s->t.n_rows * sizeof(*q->rows));
    for (size_t i = 0; i < s->t.n_rows; i++) {
        const struct row *r = s->t.rows[i];
        if (!str_eq(r->route, q->made.route))
            continue;
        if (dead ? r->state == DS_DEAD && r->num > q->after
                 : str_eq(r->subject, q->made.subject) &&
                       (q->made.any_piece || str_eq(r->piece, q->made.piece)) &&
                       (!q->made.standing || r->state <= DS_DELIVERED))
            q->rows[q->n++] = delivery_of(r);
    }
    qsort(q->rows, q->n, sizeof(*q->rows), newest_first);
    for (size_t i = 0; dead && i < q->n / 2; i++) {
        struct store_delivery d = q->rows[i];
        q->rows[i] = q->rows[q->n - 1 - i];
        q->rows[q->n - 1 - i] = d;
    }
    if (q->n > q->limit)
        q->n = q->limit;
}

static void answer_chain(struct store *s, struct query *q)
{
    q->rows = room(s, q->limit * sizeof(*q->rows));
    for (uint64_t id = delivery_event(q->after); id <= s->t.last; id++) {
        const struct event_row *e = s->t.events[id];
        for (uint32_t i = 0; e && i < e->n_rows; i++) {
            const struct row *r = e->rows[i];
            if (r && r->num >= q->after && (!q->before || r->num < q->before) &&
                !delivery_state_final(r->state) && q->n < q->limit &&
                str_eq(r->route, q->made.route) && str_eq(r->subject, q->made.subject) &&
                str_eq(r->piece, q->made.piece))
                q->rows[q->n++] = delivery_of(r);
        }
    }
}

static int answer_delivery(struct store *s, struct query *q)
{
    const struct row *r = tables_row(&s->t, q->id);

    if (!r)
        return UV_ENOENT;
    q->rows = room(s, sizeof(*q->rows));
    *q->rows = delivery_of(r);
    q->rows->edited = r->edited;
    q->body = r->body;
    q->request = r->request_generation == r->generation ? r->request : STR("");
    return 0;
}

static void answer_bodies(struct store *s, struct query *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->n; i++) {
        const struct row *r = tables_row(&s->t, q->bodies[i].num);
        if (r)
            q->bodies[n++] = (struct store_body){
                .num = r->num,
                .body = r->body,
                .request = r->request_generation == r->generation ? r->request : STR(""),
            };
    }
    q->n = n;
}

static int answer_event(struct store *s, struct query *q)
{
    const struct event_row *e = tables_event(&s->t, q->id);

    if (!e)
        return UV_ENOENT;
    q->event = (struct store_event){ e->id, e->receipt, e->n_rows };
    return 0;
}

static void answer_nums(struct store *s, struct query *q)
{
    q->nums = room(s, (s->t.last + 1) * sizeof(*q->nums));
    for (uint64_t id = q->after + 1; id <= s->t.last && q->n < q->limit; id++)
        if (s->t.events[id] && s->t.events[id]->routed == (q->waiting ? 2 : 0))
            q->nums[q->n++] = id;
}

static int answer_batch(struct store *s, struct query *q)
{
    const struct batch_row *b = tables_batch(&s->t, q->id);

    if (!b)
        return UV_ENOENT;
    q->token = b->token;
    q->nums = room(s, b->n * sizeof(*q->nums));
    for (size_t i = 0; i < b->n; i++) {
        const struct row *r = tables_row(&s->t, b->nums[i]);
        if (r && r->state == DS_INFLIGHT && r->batch == q->id)
            q->nums[q->n++] = r->num;
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct store_state *x = a, *y = b;
    size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int r = memcmp(x->key.ptr, y->key.ptr, n);

    return r ? r : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static void answer_state(struct store *s, struct query *q)
{
    size_t n = 0;

    for (const struct state_row *r = s->t.states; r; r = r->next)
        n += r->value.len && str_eq(r->space, q->endpoint);
    q->states = room(s, n * sizeof(*q->states));
    for (const struct state_row *r = s->t.states; r; r = r->next)
        if (r->value.len && str_eq(r->space, q->endpoint))
            q->states[q->n++] = (struct store_state){
                .key = r->key, .value = r->value, .at_ms = r->at_ms, .who = r->who, .why = r->why
            };
    if (n)
        qsort(q->states, n, sizeof(*q->states), by_key);
}

/* ---- what waits ---- */

static int by_time(const void *a, const void *b)
{
    const struct store_due *x = a, *y = b;

    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->num < y->num ? -1 : x->num > y->num;
}

/** The first of one kind; what is beyond a full page is not known. */
static void due_page(struct query *q, struct store_due *all, size_t n)
{
    if (n)
        qsort(all, n, sizeof(*all), by_time);
    for (size_t i = 0; i < n && i < q->limit; i++)
        q->dues[q->n++] = all[i];
    if (n >= q->limit && all[q->limit - 1].at_ms < q->horizon_ms)
        q->horizon_ms = all[q->limit - 1].at_ms;
}

static void answer_due(struct store *s, struct query *q)
{
    struct store_due *all = room(s, (s->t.n_rows + 1) * sizeof(*all));
    size_t n = 0;

    q->dues = room(s, (2 * q->limit + 1) * sizeof(*q->dues));
    q->horizon_ms = INT64_MAX;
    for (size_t i = 0; i < s->t.n_rows; i++)
        if (s->t.rows[i]->state == DS_HELD && s->t.rows[i]->next_ms)
            all[n++] = (struct store_due){ s->t.rows[i]->next_ms, s->t.rows[i]->num, false };
    due_page(q, all, n);
    n = 0;
    for (struct deadline_row *d = s->t.deadlines; d; d = d->hh.next)
        if (d->open)
            all[n++] = (struct store_due){ d->next_ms, d->num, true };
    due_page(q, all, n);
}

static void put_deadline(struct query *q, const struct deadline_row *d, bool linked)
{
    for (size_t i = 0; i < q->n_deadlines; i++)
        if (q->deadlines[i].num == d->num)
            return;
    q->deadlines[q->n_deadlines++] = (struct store_deadline){ .num = d->num,
                                                              .open = d->open,
                                                              .linked = linked,
                                                              .next_ms = d->next_ms,
                                                              .due_ms = d->due_ms,
                                                              .expect = d->expect,
                                                              .topic = d->topic,
                                                              .owner = d->owner,
                                                              .route = d->route,
                                                              .subject = d->subject,
                                                              .endpoint = d->endpoint,
                                                              .piece = STR("") };
}

static void answer_deadlines(struct store *s, struct query *q)
{
    q->deadlines = room(s, (q->n + 1) * sizeof(*q->deadlines));
    for (size_t i = 0; i < q->n; i++)
        if (tables_deadline(&s->t, q->nums[i]))
            put_deadline(q, tables_deadline(&s->t, q->nums[i]), true);
}

static bool is_about(const struct query *q, sl_str subject)
{
    for (size_t i = 0; i < q->n_about; i++)
        if (str_eq(q->about[i], subject))
            return true;
    return false;
}

static bool end_links(struct store *s, struct query *q, size_t n_refs)
{
    bool linked = false;

    for (size_t i = 0; i < n_refs; i++) {
        uint64_t num = tables_link_num(&s->t, &q->refs[i]);
        struct deadline_row *d = tables_deadline(&s->t, num);
        linked |= num != 0;
        if (d && d->open)
            put_deadline(q, d, true);
    }
    return linked;
}

static void end_causes(struct store *s, struct query *q)
{
    uint64_t num = q->id;

    for (int i = 0; num && i < 16; i++) {
        struct deadline_row *d = tables_deadline(&s->t, num);
        const struct event_row *e = tables_event(&s->t, delivery_event(num));
        if (d && d->open)
            put_deadline(q, d, true);
        num = e ? e->receipt.cause : 0;
    }
}

static void answer_ends(struct store *s, struct query *q)
{
    size_t n_refs = q->n, first;

    q->n = 0;
    q->rows = room(s, (s->t.n_rows + 1) * sizeof(*q->rows));
    q->deadlines = room(s, (HASH_COUNT(s->t.deadlines) + 1) * sizeof(*q->deadlines));
    for (size_t i = 0; i < s->t.n_rows; i++)
        if (s->t.rows[i]->state == DS_HELD && is_about(q, s->t.rows[i]->subject))
            q->rows[q->n++] = delivery_of(s->t.rows[i]);
    end_causes(s, q);
    if (end_links(s, q, n_refs))
        return;
    first = q->n_deadlines;
    for (struct deadline_row *d = s->t.deadlines; d; d = d->hh.next)
        if (d->open && is_about(q, d->subject))
            put_deadline(q, d, false);
    for (size_t i = first + 1; i < q->n_deadlines; i++) /* few: by due_ms */
        for (size_t k = i; k > first && q->deadlines[k].due_ms < q->deadlines[k - 1].due_ms; k--) {
            struct store_deadline swap = q->deadlines[k];
            q->deadlines[k] = q->deadlines[k - 1];
            q->deadlines[k - 1] = swap;
        }
}

static void answer_came(struct store *s, struct query *q)
{
    q->came = room(s, (q->limit + 1) * sizeof(*q->came));
    for (uint64_t id = s->t.last; id > 0 && q->n < q->limit; id--) {
        const struct event_row *e = s->t.events[id];
        if (!e || e->routed != 1 || e->duplicate_of)
            continue;
        for (size_t i = 0; i < e->n_abouts; i++)
            if (str_eq(e->abouts[i], q->endpoint)) {
                q->came[q->n++] = (struct store_came){ .id = id,
                                                       .topic = e->receipt.topic,
                                                       .origin = e->receipt.origin,
                                                       .endpoint = e->receipt.endpoint };
                break;
            }
    }
}

/** {"deliveries":{"<endpoint>":{"<state>":N}}} */
static void answer_summary(struct store *s, struct query *q)
{
    json_t *root = json_object(), *all = json_object();
    char *text;

    json_object_set_new(root, "deliveries", all);
    for (size_t i = 0; i < s->t.n_rows; i++) {
        const struct row *r = s->t.rows[i];
        const char *endpoint = arena_str(&s->t.arena, r->endpoint).ptr;
        json_t *states = json_object_get(all, endpoint);
        if (!states) {
            states = json_object();
            json_object_set_new(all, endpoint, states);
        }
        json_object_set_new(states, delivery_state_names[r->state],
                            json_integer(1 + json_integer_value(json_object_get(
                                                 states, delivery_state_names[r->state]))));
    }
    text = json_dumps(root, JSON_COMPACT);
    q->json = arena_str(&s->t.arena, str_of(text));
    free(text);
    json_decref(root);
}

int query_answer(struct store *s, struct query *q)
{
    switch (q->what) {
    case ASK_CLAIM:
        answer_claim(s, q);
        return 0;
    case ASK_SIBLINGS:
        answer_siblings(s, q);
        return 0;
    case ASK_DEAD:
    case ASK_ABOUT:
        answer_about(s, q);
        return 0;
    case ASK_CHAIN:
        answer_chain(s, q);
        return 0;
    case ASK_DELIVERY:
        return answer_delivery(s, q);
    case ASK_BODIES:
        answer_bodies(s, q);
        return 0;
    case ASK_EVENT:
        return answer_event(s, q);
    case ASK_NUMS:
        answer_nums(s, q);
        return 0;
    case ASK_BATCH:
        return answer_batch(s, q);
    case ASK_STATE:
        answer_state(s, q);
        return 0;
    case ASK_DUE:
        answer_due(s, q);
        return 0;
    case ASK_DEADLINES:
        answer_deadlines(s, q);
        return 0;
    case ASK_ENDS:
        answer_ends(s, q);
        return 0;
    case ASK_CAME:
        answer_came(s, q);
        return 0;
    case ASK_SELECT:
        answer_select(s, q);
        return 0;
    case ASK_BACKFILL:
        answer_backfill(s, q);
        return 0;
    case ASK_PRIVACY:
        return 0;
    case ASK_SUMMARY:
        answer_summary(s, q);
        return 0;
    case ASK_REPLAYABLE:
        answer_replayable(s, q);
        return 0;
    case ASK_ISSUES:
        answer_issues(s, q);
        return 0;
    case ASK_REPLAY:
        answer_replay(s, q);
        return 0;
    case ASK_LINKS:
        q->subjects = room(s, q->n * sizeof(*q->subjects));
        for (size_t i = 0; i < q->n; i++)
            q->subjects[i] = tables_link(&s->t, &q->refs[i]);
        return 0;
    default:
        return 0;
    }
}
