/*
 * index_privacy.c - what is asked about persons: the requests, what is erased, what is found of
 * somebody, and free pages written over.
 *
 * An erased event keeps its row, and its deliveries keep theirs, without a word of what they said:
 * what is counted adds up. The log says which events were erased, so that an index that is made
 * anew of it erases them again, and none of them is read from it any more.
 */
#include "store/index_int.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/clock.h"

#define FIND_US     5000  /* what one part takes, about */
#define FIND_EVENTS 200u  /* at most, found */
#define FIND_IDS    20000 /* at most, looked through */
#define WIPE_PAGES  256
#define ANEW_PAGES  262144 /* a file of up to 1 GiB is written anew: some seconds */
#define PAGE_BYTES  4092   /* of a page of a large value */

/* ---- applying ---- */

static int ask(struct index *ix, uint64_t seq, const struct rec_privacy *rec)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_ASK];

    sql_bind_u64(st, 1, rec->event);
    sqlite3_bind_int(st, 2, rec->kind);
    sql_bind_text(st, 3, rec->endpoint);
    sql_bind_text(st, 4, rec->topic);
    sql_bind_text(st, 5, rec->asked);
    sqlite3_bind_int64(st, 6, rec->at_ms);
    sqlite3_bind_int64(st, 7, rec->due_ms);
    sql_bind_u64(st, 8, seq);
    ix->erases |= rec->kind == PRIVACY_ERASE;
    return sql_run(st);
}

static int run_range(struct index *ix, enum index_stmt which, uint64_t event)
{
    sqlite3_stmt *st = ix->st[which];

    sql_bind_u64(st, 1, delivery_num(event, 0));
    sql_bind_u64(st, 2, delivery_num(event, DELIVERY_ORDINAL_MAX));
    return sql_run(st);
}

static int run_event(struct index *ix, enum index_stmt which, uint64_t event)
{
    sql_bind_u64(ix->st[which], 1, event);
    return sql_run(ix->st[which]);
}

static int erase_deliveries(struct index *ix, uint64_t event, uint64_t *deliveries)
{
    static const enum index_stmt all[] = { IX_ERASE_BODIES,   IX_ERASE_EDITS,    IX_ERASE_LINKS,
                                           IX_ERASE_MOVES,    IX_ERASE_ATTEMPTS, IX_ERASE_DEADLINES,
                                           IX_ERASE_EXAMPLES, IX_ERASE_ISSUES };
    int r = run_range(ix, IX_ERASE_DELIVERIES, event);

    *deliveries += r == 0 ? (uint64_t)sqlite3_changes(ix->db) : 0;
    for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        r = run_range(ix, all[i], event);
    return r;
}

static int erase_event(struct index *ix, uint64_t event, uint64_t *events, uint64_t *deliveries)
{
    static const enum index_stmt all[] = { IX_ABOUT_FORGET, IX_WAIT_CLEAR, IX_ERASE_RECEIPT };
    int r = run_event(ix, IX_ERASE_EVENT, event);

    if (r < 0 || sqlite3_changes(ix->db) == 0)
        return r;
    ++*events;
    for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        r = run_event(ix, all[i], event);
    return r < 0 ? r : erase_deliveries(ix, event, deliveries);
}

static int erase_all(struct index *ix, uint64_t seq, const struct rec_privacy *rec)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_ERASED];
    uint64_t events = 0, deliveries = 0;
    int r = index_fresh_write(ix); /* rows that are still gathered */

    if (r == 0)
        r = sql_exec(ix->db, "PRAGMA secure_delete=ON"); /* in pages that become free, too */
    for (size_t i = 0; r == 0 && i < rec->n_events; i++)
        r = erase_event(ix, rec->events[i], &events, &deliveries);
    sql_exec(ix->db, "PRAGMA secure_delete=FAST");
    if (r < 0)
        return r;
    sql_bind_u64(st, 1, rec->event);
    sql_bind_u64(st, 2, events);
    sql_bind_u64(st, 3, deliveries);
    sql_bind_u64(st, 4, seq);
    return sql_run(st);
}

static int done(struct index *ix, uint64_t seq, const struct rec_privacy *rec)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_DONE];

    sql_bind_u64(st, 1, rec->event);
    sqlite3_bind_int64(st, 2, rec->due_ms);
    sqlite3_bind_int64(st, 3, rec->at_ms);
    sql_bind_text(st, 4, rec->who);
    sql_bind_text(st, 5, rec->why);
    sql_bind_u64(st, 6, seq);
    return sql_run(st);
}

static int ended(struct index *ix, const struct rec_privacy *rec)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_ENDED];

    sql_bind_u64(st, 1, rec->event);
    sqlite3_bind_int64(st, 2, rec->at_ms);
    return sql_run(st);
}

int index_apply_privacy(struct index *ix, uint64_t seq, sl_str payload)
{
    struct rec_privacy rec;
    int r = rec_privacy_decode(payload, &rec);

    if (r < 0)
        return r;
    ix->erasures++;
    switch ((enum privacy_what)rec.what) {
    case PRIVACY_ASKED:
        r = ask(ix, seq, &rec);
        break;
    case PRIVACY_ERASED:
        r = erase_all(ix, seq, &rec);
        break;
    case PRIVACY_DONE:
        r = done(ix, seq, &rec);
        break;
    case PRIVACY_ENDED:
        r = ended(ix, &rec);
        break;
    case PRIVACY_TURN:
    case PRIVACY__COUNT:
        break;
    }
    rec_privacy_finish(&rec);
    return r;
}

int index_erased_upto(struct index *ix, int64_t wall_ms, uint64_t *ret_last, int64_t *ret_next_ms)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_LOG];
    int r;

    sqlite3_bind_int64(st, 1, wall_ms);
    r = sql_row(st);
    if (r <= 0)
        return r;
    *ret_last = sql_u64(st, 0);
    *ret_next_ms = sqlite3_column_int64(st, 1);
    sqlite3_reset(st);
    return 0;
}

static int number_of(struct index *ix, const char *sql, int64_t *ret)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, sql);

    if (r == 0)
        r = sql_row(st);
    if (r > 0)
        *ret = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

bool index_erases(const struct index *ix)
{
    return ix->erases;
}

uint64_t index_erasures(const struct index *ix)
{
    return ix->erasures;
}

int index_privacy_open(struct index *ix)
{
    int64_t n = 0;
    int r = number_of(ix, "SELECT count(*) FROM privacy WHERE kind = 1", &n);

    ix->erases = n > 0;
    return r;
}

/* ---- the requests ---- */

int index_privacy_list(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_LIST];
    struct arena *a = &q->arena;
    int r;

    sql_bind_u64(st, 1, q->after);
    sqlite3_bind_int(st, 2, q->waiting);
    sql_bind_u64(st, 3, index_limit(q->limit));
    while ((r = sql_row(st)) > 0) {
        if ((r = index_grow((void **)&q->privacies, q->n, sizeof(*q->privacies))) < 0)
            break;
        q->privacies[q->n++] = (struct store_privacy){
            .event = sql_u64(st, 0),
            .kind = (uint8_t)sqlite3_column_int(st, 1),
            .state = (uint8_t)sqlite3_column_int(st, 2),
            .endpoint = arena_str(a, sql_view(st, 3)),
            .topic = arena_str(a, sql_view(st, 4)),
            .asked = arena_str(a, sql_view(st, 5)),
            .asked_ms = sqlite3_column_int64(st, 6),
            .due_ms = sqlite3_column_int64(st, 7),
            .events = sql_u64(st, 8),
            .deliveries = sql_u64(st, 9),
            .last = sql_u64(st, 10),
            .log_due_ms = sqlite3_column_int64(st, 11),
            .done_ms = sqlite3_column_int64(st, 12),
            .ended_ms = sqlite3_column_int64(st, 13),
            .who = arena_str(a, sql_view(st, 14)),
            .why = arena_str(a, sql_view(st, 15)),
        };
    }
    sqlite3_reset(st);
    return r;
}

/* ---- is it one of them? ---- */

int index_text_order(sl_str a, sl_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n ? memcmp(a.ptr, b.ptr, n) : 0;

    return r ? r : a.len < b.len ? -1 : a.len > b.len;
}

static int by_text(const void *a, const void *b)
{
    return index_text_order(*(const sl_str *)a, *(const sl_str *)b);
}

static bool is_subject(const struct query *q, sl_str subject)
{
    const struct store_private *p = &q->private;

    if (!subject.len)
        return false;
    if (p->n_subjects && bsearch(&subject, p->subjects, p->n_subjects, sizeof(subject), by_text))
        return true;
    for (size_t i = 0; i < q->n_refs; i++)
        if (str_eq(q->subjects[i], subject))
            return true;
    return false;
}

static bool is_listed(const sl_str *list, size_t n, sl_str s)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], s))
            return true;
    return false;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static bool alnum(char c)
{
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || (c & 0x80);
}

/* May a word begin at `at`? Not within an address; behind an escape of JSON it may. */
static bool begins(sl_str text, size_t at)
{
    char c = at ? text.ptr[at - 1] : ' ';

    if (at > 1 && text.ptr[at - 2] == '\\' && strchr("nrtbf", c) && c)
        return true;
    return !alnum(c) && !(c && strchr("._%+-", c));
}

static bool ends(sl_str text, size_t at)
{
    char c = at < text.len ? text.ptr[at] : ' ';

    if ((c == '.' || c == '-') && at + 1 < text.len)
        return !alnum(text.ptr[at + 1]);
    return !alnum(c) && c != '_';
}

static bool stands_at(sl_str text, size_t at, sl_str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (lower(text.ptr[at + i]) != lower(word.ptr[i]))
            return false;
    return begins(text, at) && ends(text, at + word.len);
}

bool index_has_word(sl_str text, sl_str word)
{
    for (size_t at = 0; word.len && at + word.len <= text.len; at++)
        if (lower(text.ptr[at]) == lower(word.ptr[0]) && stands_at(text, at, word))
            return true;
    return false;
}

static bool has_value(const struct query *q, sl_str text)
{
    for (size_t i = 0; i < q->private.n_values; i++)
        if (index_has_word(text, q->private.values[i]))
            return true;
    return false;
}

/* An event that is looked at. */
struct looked {
    uint64_t id, cause;
    sl_str endpoint, subject;
    uint8_t origin, routed;
};

static int about_says(struct index *ix, const struct query *q, const struct looked *e)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_ABOUTS];
    int r, found = is_subject(q, e->subject);

    sql_bind_u64(st, 1, e->id);
    while (!found && (r = sql_row(st)) != 0) {
        if (r < 0)
            return r;
        found = is_subject(q, sql_view(st, 0));
    }
    sqlite3_reset(st);
    return found;
}

/* Did it come after the event that asks? */
static bool is_later(const struct query *q, uint64_t event)
{
    return q->private.asks && event > q->private.asks;
}

static int cause_says(struct index *ix, const struct query *q, const struct looked *e)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_CAUSE];
    uint64_t cause = delivery_event(e->cause);
    int r, found;

    if (!cause)
        return 0;
    for (size_t i = q->n_found; i-- > 0;)
        if (q->found[i].event == cause)
            return 1;
    sql_bind_u64(st, 1, cause);
    r = sql_row(st);
    if (r <= 0)
        return r;
    found = sqlite3_column_int(st, 0) ||
            (q->private.all && !is_later(q, cause) && str_eq(sql_view(st, 1), q->private.endpoint));
    sqlite3_reset(st);
    return found;
}

static int rows_say(struct index *ix, const struct query *q, uint64_t event, enum index_stmt which)
{
    sqlite3_stmt *st = ix->st[which];
    int r = 0, found = 0;

    sql_bind_u64(st, 1, delivery_num(event, 0));
    sql_bind_u64(st, 2, delivery_num(event, DELIVERY_ORDINAL_MAX));
    while (!found && (r = sql_row(st)) > 0)
        for (int i = 0; !found && i < sqlite3_column_count(st); i++)
            found = has_value(q, sql_view(st, i));
    sqlite3_reset(st);
    return r < 0 ? r : found;
}

/* What was received, what was made of it and what was answered. */
static int words_say(struct index *ix, const struct query *q, const struct looked *e)
{
    const struct store_private *p = &q->private;
    struct rec_receipt receipt;
    struct arena arena = { 0 };
    int r;

    if (!p->n_values || is_listed(p->apart, p->n_apart, e->endpoint))
        return 0;
    r = e->origin == EO_DUPLICATE ? UV_ENOENT : index_receipt(ix, e->id, &arena, &receipt);
    if (r == 0)
        r = has_value(q, receipt.body) || has_value(q, receipt.headers);
    arena_finish(&arena);
    if (r == UV_ENOENT || r == UV_EILSEQ) /* it is damaged, or has gone: nobody reads it */
        r = 0;
    if (r == 0)
        r = rows_say(ix, q, e->id, IX_PRIVACY_BODIES);
    return r ? r : rows_say(ix, q, e->id, IX_PRIVACY_EDITS);
}

/* Of what came after the request, only what is about the orders it names, or what is caused by what
 * is erased: the rest is new. */
static int is_one(struct index *ix, const struct query *q, const struct looked *e)
{
    int r;

    if (e->id == q->private.asks)
        return 0;
    if (q->private.all && !is_later(q, e->id) && str_eq(e->endpoint, q->private.endpoint))
        return 1;
    if ((r = about_says(ix, q, e)) || (r = cause_says(ix, q, e)))
        return r;
    return is_later(q, e->id) ? 0 : words_say(ix, q, e);
}

/* ---- finding ---- */

static int push_found(struct index *ix, struct query *q, const struct looked *e)
{
    sqlite3_stmt *st = ix->st[IX_SIBLINGS];
    struct store_found *found;
    int r = index_grow((void **)&q->found, q->n_found, sizeof(*q->found));

    if (r < 0)
        return r;
    found = &q->found[q->n_found++];
    *found = (struct store_found){ .event = e->id, .under_way = e->routed == 0 };
    sql_bind_u64(st, 1, delivery_num(e->id, 0));
    sql_bind_u64(st, 2, delivery_num(e->id, DELIVERY_ORDINAL_MAX));
    while ((r = sql_row(st)) > 0) {
        int state = sqlite3_column_int(st, 2);

        if (state == DS_HELD || state == DS_DEAD) {
            if ((r = index_grow((void **)&q->nums, q->n, sizeof(*q->nums))) < 0)
                break;
            q->nums[q->n++] = sql_u64(st, 0);
        } else if (state < DS_DELIVERED) {
            found->under_way = true;
        }
    }
    sqlite3_reset(st);
    return r;
}

static int resolve_refs(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_LINK_GET];

    q->subjects = arena_alloc(&q->arena, (q->n_refs ? q->n_refs : 1) * sizeof(*q->subjects));
    for (size_t i = 0; q->subjects && i < q->n_refs; i++) {
        uint8_t hash[16];
        int r;

        index_link_hash(q->refs[i].endpoint, q->refs[i].kind, q->refs[i].id, hash);
        sql_bind_bytes(st, 1, (sl_str){ (const char *)hash, sizeof(hash) });
        if ((r = sql_row(st)) < 0)
            return r;
        q->subjects[i] = r ? arena_str(&q->arena, sql_view(st, 0)) : STR("");
        sqlite3_reset(st);
    }
    return q->subjects ? 0 : UV_ENOMEM;
}

/* The row's texts are valid until its statement moves: nothing else uses it meanwhile. */
static struct looked as_looked(sqlite3_stmt *st)
{
    return (struct looked){ .id = sql_u64(st, 0),
                            .endpoint = sql_view(st, 1),
                            .subject = sql_view(st, 2),
                            .cause = sql_u64(st, 3),
                            .origin = (uint8_t)sqlite3_column_int(st, 4),
                            .routed = (uint8_t)sqlite3_column_int(st, 5) };
}

int index_privacy_find(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_PRIVACY_EVENTS];
    uint64_t until_us = clock_mono_us() + FIND_US, to = q->private.after + FIND_IDS;
    int r = resolve_refs(ix, q), one = 0;

    if (r < 0)
        return r;
    to = to < q->private.until ? to : q->private.until;
    q->next = to < q->private.until ? to : 0;
    sql_bind_u64(st, 1, q->private.after + 1);
    sql_bind_u64(st, 2, to);
    sql_bind_u64(st, 3, q->private.asks); /* other requests find their end themselves */
    while ((r = sql_row(st)) > 0) {
        struct looked e = as_looked(st);

        if ((one = is_one(ix, q, &e)) < 0 || (one && (one = push_found(ix, q, &e)) < 0))
            break;
        if (e.id < to && (q->n_found >= FIND_EVENTS || clock_mono_us() > until_us)) {
            q->next = e.id;
            break;
        }
    }
    sqlite3_reset(st);
    return one < 0 ? one : r < 0 ? r : 0;
}

/* ---- free pages ---- */

/* What was moved when a page was split still stands, in the page that it came from, where nothing
 * is now: neither secure_delete nor the wiping of free pages reaches that. A file that is written
 * anew has none of it. False: it could not be, for want of room or because it is too large. */
static bool write_anew(struct index *ix)
{
    int64_t pages = 0;

    return !ix->large && number_of(ix, "PRAGMA page_count", &pages) == 0 && pages <= ANEW_PAGES &&
           sqlite3_exec(ix->db, "VACUUM", NULL, NULL, NULL) == SQLITE_OK;
}

/* All free pages are taken by a table of zeros, some at a time; then it is emptied again. */
static int take_free(struct index *ix, int64_t pages)
{
    char sql[120];

    snprintf(sql, sizeof(sql), "INSERT INTO wipe(page) VALUES(zeroblob(%d))",
             (int)(pages < WIPE_PAGES ? pages : WIPE_PAGES) * PAGE_BYTES);
    return sql_exec(ix->db, sql);
}

/* What stood in pages is in the WAL as well: it is folded in, and cut. */
static int cut_wal(struct index *ix, bool *ret_all)
{
    int pages = 0, rc;

    rc = sqlite3_wal_checkpoint_v2(ix->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &pages, NULL);
    *ret_all = rc == SQLITE_OK && pages <= 0;
    if (rc == SQLITE_OK)
        ix->wal_pages = 0;
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return 0;
    ix->failed |= rc != SQLITE_OK && sql_code(ix->db, rc) == UV_EIO;
    return rc == SQLITE_OK ? 0 : sql_code(ix->db, rc);
}

int index_privacy_wipe(struct index *ix, struct query *q)
{
    int64_t pages = 0, taken = 0;
    bool all = true;
    int r = number_of(ix, "SELECT count(*) FROM wipe", &taken);

    if (r == 0 && !taken && !ix->wiped && write_anew(ix))
        ix->wiped = true;
    if (r == 0)
        r = number_of(ix, "PRAGMA freelist_count", &pages);
    if (r == 0 && pages && !ix->wiped) {
        q->next = 1;
        return take_free(ix, pages);
    }
    ix->wiped = true; /* what becomes free from now on is zeros */
    if (r == 0 && taken) {
        q->next = 1;
        return sql_exec(ix->db, "DELETE FROM wipe WHERE rowid IN (SELECT rowid FROM wipe LIMIT 1)");
    }
    if (r == 0)
        r = cut_wal(ix, &all);
    ix->wiped = !all;
    q->next = !all;
    return r;
}
