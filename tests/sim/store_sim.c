#include "store_sim.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store_query.h"

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
            else if (!k->only_entered)
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
        if (!rec->keys[i].known && !rec->keys[i].only_asked && !find_key(s, &rec->keys[i]))
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

/* ---- questions: when they are answered, and when that is told ---- */

static void on_answer(void *ctx)
{
    struct job *j = ctx;
    struct store *s = j->store;

    if (j->over || s->stopped)
        return;
    if (s->faults && per_mille(&s->rng, s->plan.deaf_per_mille))
        j->status = UV_ENOSPC;
    else
        j->status = query_answer(s, j->query);
}

static void query_over(struct job *j, int status)
{
    j->over = true;
    list_remove(&j->node);
    query_tell(j->query, status);
}

static void on_told(void *ctx)
{
    struct job *j = ctx;

    if (j->over || j->store->stopped)
        return;
    query_over(j, j->status);
    check_closed(j->store);
}

struct query *query_new(struct store *s, enum asked what, void *ctx)
{
    struct job *j;
    int64_t at;

    if (s->closing || s->stopped)
        return NULL;
    j = job_new(s, &s->queries);
    j->query = arena_alloc(&s->t.arena, sizeof(*j->query));
    *j->query = (struct query){ .what = what, .ctx = ctx };
    at = next_at(s, &s->answer_at, world_now());
    world_in(s->w, at - world_now(), on_answer, j);
    at = next_at(s, &s->told_at, at);
    world_in(s->w, at - world_now(), on_told, j);
    return j->query;
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
