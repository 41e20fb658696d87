#include "store_sim.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

struct known { /* a key */
    UT_hash_handle hh;
    uint8_t hash[16];
    uint64_t first, value;
};

struct job { /* an append or a question, of the tables' memory */
    struct list node;
    struct store *store;
    struct store_append *append; /* NULL: a question */
    bool over;
    int status;
    struct query *query;
};

enum asked {
    ASK_CLAIM,
    ASK_SIBLINGS,
    ASK_DEAD,
    ASK_ABOUT,
    ASK_DELIVERY,
    ASK_BODIES,
    ASK_EVENT,
    ASK_NUMS,
    ASK_LINKS,
    ASK_BATCH,
    ASK_STATE,
    ASK_DUE,
    ASK_DEADLINES,
    ASK_ENDS,
    ASK_CAME,
    ASK_SELECT,
    ASK_SUMMARY
};

struct query {
    enum asked what;
    sl_str endpoint;
    struct store_about made;
    uint64_t id, after;
    uint32_t limit;
    uint8_t priority;
    bool waiting;
    struct store_filter filter;
    struct rec_ref *refs;
    size_t n;
    struct store_delivery *rows;
    struct store_body *bodies;
    sl_str body, request, token, *subjects;
    uint64_t *nums;
    struct store_state *states;
    struct store_due *dues;
    struct store_deadline *deadlines;
    size_t n_deadlines;
    struct store_came *came;
    int64_t horizon_ms;
    sl_str *about;
    size_t n_about;
    struct store_event event;
    void *ctx;
    union {
        void (*claim)(void *ctx, int status, const struct store_delivery *d, size_t n);
        void (*delivery)(void *ctx, int status, const struct store_delivery *d, sl_str body,
                         sl_str request);
        void (*bodies)(void *ctx, int status, const struct store_body *b, size_t n);
        void (*event)(void *ctx, int status, const struct store_event *e);
        void (*nums)(void *ctx, int status, const uint64_t *nums, size_t n);
        void (*links)(void *ctx, int status, const sl_str *subjects, size_t n);
        void (*batch)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n);
        void (*report)(void *ctx, int status, sl_str json);
        void (*due)(void *ctx, int status, const struct store_due *d, size_t n, int64_t horizon_ms);
        void (*deadlines)(void *ctx, int status, const struct store_deadline *d, size_t n);
        void (*ends)(void *ctx, int status, const struct store_ends *e);
        void (*came)(void *ctx, int status, const struct store_came *c, size_t n);
        void (*states)(void *ctx, int status, const struct store_state *states, size_t n);
    } cb;
};

struct store {
    struct world *w;
    struct store_plan plan;
    store_seen *seen;
    void *seen_ctx;
    struct rng rng;
    struct tables t;
    struct known *keys;
    struct list appends, queries;                 /* struct job, under way */
    int64_t commit_at, cb_at, answer_at, told_at; /* of the newest of each: they keep their order */
    uint64_t commits, crash_at;
    bool stopped, closing, faults;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* ---- life ---- */

struct store *store_sim_create(struct world *w, const struct store_plan *plan, store_seen *seen,
                               void *ctx)
{
    struct store *s = mem_zero(sizeof(*s));

    s->w = w;
    s->plan = *plan;
    s->seen = seen;
    s->seen_ctx = ctx;
    s->faults = true;
    world_rng(w, 1, &s->rng);
    list_init(&s->appends);
    list_init(&s->queries);
    return s;
}

void store_sim_destroy(struct store *s)
{
    struct known *k, *tmp;

    HASH_ITER (hh, s->keys, k, tmp) {
        HASH_DEL(s->keys, k);
        free(k);
    }
    tables_finish(&s->t);
    free(s);
}

const struct tables *store_sim_tables(const struct store *s)
{
    return &s->t;
}

void store_sim_faults(struct store *s, bool on)
{
    s->faults = on;
}

uint64_t store_sim_commits(const struct store *s)
{
    return s->commits;
}

void store_sim_crash_after(struct store *s, uint64_t commits)
{
    s->crash_at = commits ? s->commits + commits : 0;
}

bool store_sim_stopped(const struct store *s)
{
    return s->stopped;
}

void store_sim_start(struct store *s)
{
    s->stopped = s->closing = false;
    s->crash_at = 0;
    s->closed = NULL;
}

static int64_t a_while(struct store *s)
{
    return s->plan.slow_ms && !one_in(&s->rng, 3) ? between(&s->rng, 0, s->plan.slow_ms) : 0;
}

/** When the next one comes, not before the one before it. */
static int64_t next_at(struct store *s, int64_t *last, int64_t from)
{
    int64_t at = from + a_while(s);

    if (at < *last)
        at = *last;
    *last = at;
    return at;
}

static struct job *job_new(struct store *s, struct list *queue)
{
    struct job *j = arena_alloc(&s->t.arena, sizeof(*j));

    *j = (struct job){ .store = s };
    list_append(queue, &j->node);
    return j;
}

static void check_closed(struct store *s)
{
    if (!s->closing || !s->closed || !list_empty(&s->appends) || !list_empty(&s->queries))
        return;
    void (*cb)(void *) = s->closed;
    s->closed = NULL;
    cb(s->closed_ctx);
}

static void on_close(void *ctx)
{
    check_closed(ctx);
}

void store_close(struct store *s, void (*cb)(void *ctx), void *ctx)
{
    s->closing = true;
    s->closed = cb;
    s->closed_ctx = ctx;
    world_in(s->w, 0, on_close, s);
}

/* ---- appending ---- */

static struct known *find_key(struct store *s, const struct store_key *k)
{
    struct known *known;

    HASH_FIND(hh, s->keys, k->hash, sizeof(k->hash), known);
    return known;
}

static void take_key(struct store *s, const struct store_key *k, uint64_t seq)
{
    struct known *known = mem_zero(sizeof(*known));

    memcpy(known->hash, k->hash, sizeof(known->hash));
    known->first = seq;
    known->value = k->value;
    HASH_ADD(hh, s->keys, hash, sizeof(known->hash), known);
}

/** What the log decides by a record's keys. */
static void decide_keys(struct store *s, struct store_record *rec)
{
    for (int refuse = 1; refuse >= 0; refuse--) {
        for (size_t i = 0; i < rec->n_keys && !rec->refused; i++) {
            struct store_key *k = &rec->keys[i];
            struct known *known = k->refuse == refuse ? find_key(s, k) : NULL;
            if (!known)
                continue;
            k->known = true;
            k->first = known->first;
            k->value = known->value;
            if (refuse)
                rec->refused = true;
            else
                rec->payload.data[k->mark_at] = (char)k->mark_value;
        }
    }
}

static void put_original(struct buf *duplicate, uint64_t original)
{
    for (int i = 0; i < 8; i++)
        duplicate->data[REC_DUPLICATE_ORIGINAL_AT + i] = (char)(original >> 8 * i);
}

static void write_record(struct store *s, struct store_record *rec, bool after_refused)
{
    enum record_type type = rec->type;
    sl_str bytes;

    if (rec->follows && after_refused)
        rec->refused = true;
    else
        decide_keys(s, rec);
    if (rec->refused && !rec->duplicate.len)
        return;
    if (rec->refused) {
        put_original(&rec->duplicate, rec->keys[0].first);
        type = REC_DUPLICATE;
    }
    bytes = buf_view(rec->refused ? &rec->duplicate : &rec->payload);
    if (!tables_apply(&s->t, (uint8_t)type, bytes, world_now()))
        world_fail(s->w, "record %llu is none", (unsigned long long)s->t.last);
    rec->seq = s->t.last;
    for (size_t i = 0; i < rec->n_keys && !rec->refused; i++)
        if (!rec->keys[i].known && !find_key(s, &rec->keys[i]))
            take_key(s, &rec->keys[i], rec->seq);
    s->seen(s->seen_ctx, rec->seq, type, bytes);
}

static void on_commit(void *ctx)
{
    struct job *j = ctx;
    struct store *s = j->store;

    if (j->over || s->stopped)
        return;
    if (s->faults && per_mille(&s->rng, s->plan.full_per_mille)) {
        j->status = UV_ENOSPC;
        return;
    }
    for (size_t i = 0; i < j->append->n; i++)
        write_record(s, &j->append->records[i], i > 0 && j->append->records[i - 1].refused);
    s->commits++;
    s->stopped = s->crash_at && s->commits >= s->crash_at;
}

static void append_over(struct job *j, int status)
{
    j->over = true;
    list_remove(&j->node);
    j->append->cb(j->append, status);
}

static void on_appended(void *ctx)
{
    struct job *j = ctx;

    if (j->over || j->store->stopped)
        return;
    append_over(j, j->status);
    check_closed(j->store);
}

int store_append(struct store *s, struct store_append *a, bool internal)
{
    struct job *j;
    int64_t at;

    (void)internal;
    if (s->closing || s->stopped)
        return UV_ECANCELED;
    j = job_new(s, &s->appends);
    j->append = a;
    at = next_at(s, &s->commit_at, world_now());
    world_in(s->w, at - world_now(), on_commit, j);
    at = next_at(s, &s->cb_at, at);
    world_in(s->w, at - world_now(), on_appended, j);
    return 0;
}

void store_append_finish(struct store_append *a)
{
    for (size_t i = 0; i < a->n; i++) {
        buf_finish(&a->records[i].payload);
        buf_finish(&a->records[i].duplicate);
        free(a->records[i].keys);
        a->records[i].keys = NULL;
    }
}

/* ---- answering ---- */

static void *room(struct store *s, size_t n)
{
    return arena_alloc(&s->t.arena, n);
}

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

static int answer_delivery(struct store *s, struct query *q)
{
    const struct row *r = tables_row(&s->t, q->id);

    if (!r)
        return UV_ENOENT;
    q->rows = room(s, sizeof(*q->rows));
    *q->rows = delivery_of(r);
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
                q->came[q->n++] = (struct store_came){ id, e->receipt.topic };
                break;
            }
    }
}

/** What the flow asks for: live ones of a chain. */
static void answer_select(struct store *s, struct query *q)
{
    const struct store_filter *f = &q->filter;

    q->nums = room(s, (s->t.n_rows + 1) * sizeof(*q->nums));
    for (size_t i = 0; i < s->t.n_rows && q->n < f->limit; i++) {
        const struct row *r = s->t.rows[i];
        if (!delivery_state_final(r->state) && r->num < f->before &&
            str_eq(r->route, str_of(f->route)) && str_eq(r->subject, str_of(f->subject)) &&
            str_eq(r->piece, str_of(f->piece)))
            q->nums[q->n++] = r->num;
    }
}

static int answer(struct store *s, struct query *q)
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
    case ASK_LINKS:
        q->subjects = room(s, q->n * sizeof(*q->subjects));
        for (size_t i = 0; i < q->n; i++)
            q->subjects[i] = tables_link(&s->t, &q->refs[i]);
        return 0;
    default:
        return 0;
    }
}

static void tell(struct query *q, int status)
{
    size_t n = status < 0 ? 0 : q->n;

    switch (q->what) {
    case ASK_CLAIM:
    case ASK_SIBLINGS:
    case ASK_DEAD:
    case ASK_ABOUT:
        q->cb.claim(q->ctx, status, q->rows, n);
        break;
    case ASK_DELIVERY:
        q->cb.delivery(q->ctx, status, status < 0 ? NULL : q->rows, q->body, q->request);
        break;
    case ASK_BODIES:
        q->cb.bodies(q->ctx, status, q->bodies, n);
        break;
    case ASK_EVENT:
        q->cb.event(q->ctx, status, status < 0 ? NULL : &q->event);
        break;
    case ASK_NUMS:
    case ASK_SELECT:
        q->cb.nums(q->ctx, status, q->nums, n);
        break;
    case ASK_LINKS:
        q->cb.links(q->ctx, status, q->subjects, n);
        break;
    case ASK_BATCH:
        q->cb.batch(q->ctx, status, q->token, q->nums, n);
        break;
    case ASK_DUE:
        q->cb.due(q->ctx, status, q->dues, n, q->horizon_ms);
        break;
    case ASK_DEADLINES:
        q->cb.deadlines(q->ctx, status, q->deadlines, status < 0 ? 0 : q->n_deadlines);
        break;
    case ASK_ENDS:
        q->cb.ends(q->ctx, status,
                   status < 0 ? NULL
                              : &(struct store_ends){ q->rows, n, q->deadlines, q->n_deadlines });
        break;
    case ASK_CAME:
        q->cb.came(q->ctx, status, q->came, n);
        break;
    case ASK_STATE:
        q->cb.states(q->ctx, status, q->states, n);
        break;
    case ASK_SUMMARY:
        q->cb.report(q->ctx, status, STR("{\"deliveries\":{}}"));
        break;
    }
}

static void on_answer(void *ctx)
{
    struct job *j = ctx;
    struct store *s = j->store;

    if (j->over || s->stopped)
        return;
    if (s->faults && per_mille(&s->rng, s->plan.deaf_per_mille))
        j->status = UV_ENOSPC;
    else
        j->status = answer(s, j->query);
}

static void query_over(struct job *j, int status)
{
    j->over = true;
    list_remove(&j->node);
    tell(j->query, status);
}

static void on_told(void *ctx)
{
    struct job *j = ctx;

    if (j->over || j->store->stopped)
        return;
    query_over(j, j->status);
    check_closed(j->store);
}

/** NULL: refused. */
static struct query *query_new(struct store *s, enum asked what, void *ctx)
{
    struct job *j;
    int64_t at;

    if (s->closing || s->stopped)
        return NULL;
    j = job_new(s, &s->queries);
    j->query = room(s, sizeof(*j->query));
    *j->query = (struct query){ .what = what, .ctx = ctx };
    at = next_at(s, &s->answer_at, world_now());
    world_in(s->w, at - world_now(), on_answer, j);
    at = next_at(s, &s->told_at, at);
    world_in(s->w, at - world_now(), on_told, j);
    return j->query;
}

int store_claim(struct store *s, sl_str endpoint, uint8_t priority, uint64_t after_num,
                uint32_t limit,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = query_new(s, ASK_CLAIM, ctx);

    if (!q)
        return UV_ECANCELED;
    q->endpoint = arena_str(&s->t.arena, endpoint);
    q->priority = priority;
    q->after = after_num;
    q->limit = limit;
    q->cb.claim = cb;
    return 0;
}

int store_delivery_get(struct store *s, uint64_t num,
                       void (*cb)(void *ctx, int status, const struct store_delivery *d,
                                  sl_str body, sl_str request),
                       void *ctx)
{
    struct query *q = query_new(s, ASK_DELIVERY, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = num;
    q->cb.delivery = cb;
    return 0;
}

int store_bodies(struct store *s, const uint64_t *nums, size_t n, bool newest,
                 void (*cb)(void *ctx, int status, const struct store_body *b, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_BODIES, ctx);

    (void)newest; /* there is no index behind */
    if (!q)
        return UV_ECANCELED;
    q->bodies = room(s, n * sizeof(*q->bodies));
    for (size_t i = 0; i < n; i++)
        q->bodies[i] = (struct store_body){ .num = nums[i] };
    q->n = n;
    q->cb.bodies = cb;
    return 0;
}

int store_siblings(struct store *s, uint64_t event,
                   void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                   void *ctx)
{
    struct query *q = query_new(s, ASK_SIBLINGS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = event;
    q->cb.claim = cb;
    return 0;
}

int store_dead(struct store *s, sl_str route, uint64_t after_num, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
               void *ctx)
{
    struct query *q = query_new(s, ASK_DEAD, ctx);

    if (!q)
        return UV_ECANCELED;
    q->made.route = arena_str(&s->t.arena, route);
    q->after = after_num;
    q->limit = limit;
    q->cb.claim = cb;
    return 0;
}

int store_about(struct store *s, const struct store_about *about,
                void (*cb)(void *ctx, int status, const struct store_delivery *d, size_t n),
                void *ctx)
{
    struct query *q = query_new(s, ASK_ABOUT, ctx);

    if (!q)
        return UV_ECANCELED;
    q->made = *about;
    q->made.route = arena_str(&s->t.arena, about->route);
    q->made.subject = arena_str(&s->t.arena, about->subject);
    q->made.piece = arena_str(&s->t.arena, about->piece);
    q->limit = about->limit;
    q->cb.claim = cb;
    return 0;
}

int store_event_get(struct store *s, uint64_t id,
                    void (*cb)(void *ctx, int status, const struct store_event *e), void *ctx)
{
    struct query *q = query_new(s, ASK_EVENT, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = id;
    q->cb.event = cb;
    return 0;
}

int store_unrouted(struct store *s, bool waiting, uint64_t after, uint32_t limit,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_NUMS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->waiting = waiting;
    q->after = after;
    q->limit = limit;
    q->cb.nums = cb;
    return 0;
}

int store_links(struct store *s, const struct rec_ref *refs, size_t n,
                void (*cb)(void *ctx, int status, const sl_str *subjects, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_LINKS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->refs = room(s, n * sizeof(*refs));
    q->n = n;
    for (size_t i = 0; i < n; i++)
        q->refs[i] = (struct rec_ref){ arena_str(&s->t.arena, refs[i].endpoint),
                                       arena_str(&s->t.arena, refs[i].kind),
                                       arena_str(&s->t.arena, refs[i].id) };
    q->cb.links = cb;
    return 0;
}

int store_batch_get(struct store *s, uint64_t batch,
                    void (*cb)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n),
                    void *ctx)
{
    struct query *q = query_new(s, ASK_BATCH, ctx);

    if (!q)
        return UV_ECANCELED;
    q->id = batch;
    q->cb.batch = cb;
    return 0;
}

int store_due(struct store *s, uint32_t limit,
              void (*cb)(void *ctx, int status, const struct store_due *d, size_t n,
                         int64_t horizon_ms),
              void *ctx)
{
    struct query *q = query_new(s, ASK_DUE, ctx);

    if (!q)
        return UV_ECANCELED;
    q->limit = limit;
    q->cb.due = cb;
    return 0;
}

int store_deadlines(struct store *s, const uint64_t *nums, size_t n,
                    void (*cb)(void *ctx, int status, const struct store_deadline *d, size_t n),
                    void *ctx)
{
    struct query *q = query_new(s, ASK_DEADLINES, ctx);

    if (!q)
        return UV_ECANCELED;
    q->nums = memcpy(room(s, n * sizeof(*nums)), nums, n * sizeof(*nums));
    q->n = n;
    q->cb.deadlines = cb;
    return 0;
}

int store_ends(struct store *s, const sl_str *subjects, size_t n, uint64_t cause,
               const struct rec_ref *refs, size_t n_refs,
               void (*cb)(void *ctx, int status, const struct store_ends *e), void *ctx)
{
    struct query *q = query_new(s, ASK_ENDS, ctx);

    if (!q)
        return UV_ECANCELED;
    q->about = room(s, (n + 1) * sizeof(*q->about));
    for (size_t i = 0; i < n; i++)
        q->about[i] = arena_str(&s->t.arena, subjects[i]);
    q->n_about = n;
    q->refs = room(s, (n_refs + 1) * sizeof(*refs));
    for (size_t i = 0; i < n_refs; i++)
        q->refs[i] = (struct rec_ref){ arena_str(&s->t.arena, refs[i].endpoint),
                                       arena_str(&s->t.arena, refs[i].kind),
                                       arena_str(&s->t.arena, refs[i].id) };
    q->n = n_refs;
    q->id = cause;
    q->cb.ends = cb;
    return 0;
}

int store_came(struct store *s, sl_str subject, uint32_t limit,
               void (*cb)(void *ctx, int status, const struct store_came *c, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_CAME, ctx);

    if (!q)
        return UV_ECANCELED;
    q->endpoint = arena_str(&s->t.arena, subject);
    q->limit = limit;
    q->cb.came = cb;
    return 0;
}

int store_state_list(struct store *s, sl_str space,
                     void (*cb)(void *ctx, int status, const struct store_state *states, size_t n),
                     void *ctx)
{
    struct query *q = query_new(s, ASK_STATE, ctx);

    if (!q)
        return UV_ECANCELED;
    q->endpoint = arena_str(&s->t.arena, space);
    q->cb.states = cb;
    return 0;
}

int store_select(struct store *s, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, const uint64_t *nums, size_t n), void *ctx)
{
    struct query *q = query_new(s, ASK_SELECT, ctx);

    if (!q)
        return UV_ECANCELED;
    q->filter = *filter;
    q->filter.route = arena_str(&s->t.arena, str_of(filter->route)).ptr;
    q->filter.subject = arena_str(&s->t.arena, str_of(filter->subject)).ptr;
    q->filter.piece = arena_str(&s->t.arena, str_of(filter->piece)).ptr;
    q->cb.nums = cb;
    return 0;
}

int store_report(struct store *s, enum store_report what, const struct store_filter *filter,
                 void (*cb)(void *ctx, int status, sl_str json), void *ctx)
{
    struct query *q = what == REPORT_SUMMARY ? query_new(s, ASK_SUMMARY, ctx) : NULL;

    (void)filter;
    if (!q)
        return UV_ECANCELED;
    q->cb.report = cb;
    return 0;
}

/* What only people ask for: nobody does here. */
int store_backfill(struct store *s, const struct store_backfill *what,
                   void (*cb)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next),
                   void *ctx)
{
    (void)s;
    (void)what;
    (void)cb;
    (void)ctx;
    return UV_ECANCELED;
}

/* ---- crash ---- */

void store_sim_crash(struct store *s)
{
    s->stopped = true;
    while (!list_empty(&s->appends))
        append_over(list_entry(s->appends.next, struct job, node), UV_ECANCELED);
    while (!list_empty(&s->queries))
        query_over(list_entry(s->queries.next, struct job, node), UV_ECANCELED);
}

/* ---- what the flow asks of the store itself ---- */

uint64_t store_restored_to(const struct store *s)
{
    (void)s;
    return 0;
}

int store_admits(const struct store *s, uint64_t bytes)
{
    (void)bytes;
    return s->closing || s->stopped ? UV_ECANCELED : 0;
}

uint64_t store_wait_ms(const struct store *s)
{
    return (uint64_t)s->plan.slow_ms;
}

void store_stats(const struct store *s, struct store_stats *ret)
{
    *ret = (struct store_stats){ .log_seq = s->t.last, .index_seq = s->t.last };
}
