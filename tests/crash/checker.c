/*
 * checker.c - what must hold after a power cut.
 *
 * The log must be the beginning of the finished run's: its records in their order, whole appends,
 * as far as acknowledged at least. All else follows from that prefix: keys, deliveries, the index.
 */
#include "checker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "box.h"
#include "dump.h"
#include "journal_int.h"
#include "layer.h"
#include "workload.h"

#define RESEND_MOST 256
#define MORE_EVENTS 12

struct look {
    const struct check *c;
    struct finding *finding;
    struct box box;
    struct history h; /* what the image held, and what was added to it since */
    uint64_t extra;   /* records of an append that failed; see check.loose */
    size_t began;     /* operations before */
    uint64_t first;   /* oldest record still kept */
};

static bool wrong(struct look *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct look *k, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(k->finding->text, sizeof(k->finding->text), fmt, ap);
    va_end(ap);
    return false;
}

/* ---- opening ---- */

static bool check_opening(struct look *k)
{
    const struct history *h = k->c->history;
    struct store_stats st;
    int r;

    said_clear();
    r = box_open(&k->box);
    if (r < 0)
        return wrong(k, "does not open: %s", k->box.fail.text);
    st = box_stats(&k->box);
    if (said_lines())
        return wrong(k, "opens with a complaint: %s", said_last());
    if (st.log_seq < k->c->acked)
        return wrong(k, "lost: %" PRIu64 " records are there, %" PRIu64 " were acknowledged",
                     st.log_seq, k->c->acked);
    if (st.log_seq > h->n && k->c->loose)
        k->extra = st.log_seq - h->n;
    else if (st.log_seq > h->n)
        return wrong(k, "%" PRIu64 " records, only %zu were ever appended", st.log_seq, h->n);
    if (st.log_seq && !k->extra && !h->at[st.log_seq - 1].last)
        return wrong(k, "record %" PRIu64 " is the last, in the middle of its append", st.log_seq);
    if (st.index_seq != st.log_seq || st.failed)
        return wrong(k, "log %" PRIu64 ", index %" PRIu64 ", failed %d", st.log_seq, st.index_seq,
                     st.failed);
    k->first = st.first_seq;
    if (k->first > (k->c->kept ? k->c->kept : 1))
        return wrong(k, "the log begins at record %" PRIu64 ", %" PRIu64 " had to be kept",
                     k->first, k->c->kept);
    history_copy(&k->h, h, st.log_seq - k->extra, k->c->acked, journal_at());
    return true;
}

/* ---- going on ---- */

static int append(struct look *k, struct store_append *a, uint32_t token)
{
    int r = box_append(&k->box, a, true);

    if (r == 0)
        history_add(&k->h, a, token, journal_at());
    return r;
}

static uint32_t next_token(const struct look *k)
{
    return k->h.n ? k->h.at[k->h.n - 1].token + 1 : 0;
}

/* Did record `seq` bring the key? */
static const struct store_key *brought(const struct history *h, uint64_t seq, const uint8_t *hash)
{
    const struct note *note = seq && seq <= h->n ? &h->at[seq - 1] : NULL;

    for (size_t i = 0; note && i < note->n_keys; i++)
        if (memcmp(note->keys[i].hash, hash, 16) == 0)
            return &note->keys[i];
    return NULL;
}

/* A key of a record that has gone is a new one to the log, if it comes again: two records have
 * brought it then. */
static bool brought_before(const struct history *h, size_t n, const uint8_t *hash)
{
    for (size_t i = 0; i < n; i++)
        if (brought(h, i + 1, hash))
            return true;
    return false;
}

static bool known_rightly(struct look *k, const struct store_key *key)
{
    const struct store_key *was = brought(&k->h, key->first, key->hash);

    return was && was->value == key->value;
}

/* The keys of records n..: those kept must be refused, with who brought them; those lost must be
 * as if they had never been. */
static bool resend(struct look *k, const struct note *const *notes, size_t n, bool kept)
{
    struct store_record *recs = need(calloc(n, sizeof(*recs)));
    struct store_append a = { .records = recs, .n = n };
    uint32_t token = next_token(k);
    bool ok = true;
    int r;

    for (size_t i = 0; i < n; i++) {
        char sender[32], text[TOKEN_BYTES + 1];

        snprintf(sender, sizeof(sender), "again-%u", (unsigned)k->c->seed & 0xff);
        token_write(token + (uint32_t)i, text);
        recs[i] = make_receipt(sender, (unsigned)notes[i]->seq, token + (uint32_t)i, 0);
        recs[i].keys[0] = notes[i]->keys[0];
        recs[i].keys[0].refuse = true;
        recs[i].keys[0].value = 77;
        recs[i].keys[0].known = !kept;
    }
    r = append(k, &a, token);
    for (size_t i = 0; i < n && ok && r == 0; i++) {
        const struct store_key *key = &recs[i].keys[0];

        if (recs[i].refused != kept)
            ok = wrong(k, "key of record %" PRIu64 " is %s", notes[i]->seq,
                       kept ? "not known" : "known, without the record");
        else if (kept && !known_rightly(k, key))
            ok = wrong(k, "key of record %" PRIu64 " is known as of %" PRIu64 ", value %" PRIu64,
                       notes[i]->seq, key->first, key->value);
    }
    if (r < 0)
        ok = wrong(k, "appending fails: %s", uv_strerror(r));
    store_append_finish(&a);
    free(recs);
    return ok;
}

/* Records from..to that brought a key. */
static bool resend_all(struct look *k, size_t from, size_t to, bool kept)
{
    const struct note *notes[RESEND_MOST];
    size_t n = 0;
    bool ok = true;

    for (size_t i = from; i < to && ok; i++) {
        const struct note *note = &k->c->history->at[i];

        if (note->n_keys && (kept || !brought_before(&k->h, from, note->keys[0].hash)))
            notes[n++] = note;
        if (n == RESEND_MOST) {
            ok = resend(k, notes, n, kept);
            n = 0;
        }
    }
    return ok && (n == 0 || resend(k, notes, n, kept));
}

/* Append the first records that were lost once more, as they were: they take the places where the
 * torn rest of the lost ones stands, and what follows there must not be taken for newer. */
static bool replay(struct look *k, size_t n)
{
    size_t held = k->h.n;

    for (size_t i = held; i < held + n && i < k->c->history->n; i++) {
        const struct note *note = &k->c->history->at[i];
        struct store_record rec = { .type = note->type };
        struct store_append a = { .records = &rec, .n = 1 };
        int r;

        buf_append(&rec.payload, note->payload, note->len);
        rec.n_keys = note->n_keys;
        rec.keys = need(calloc(note->n_keys + 1, sizeof(*rec.keys)));
        if (note->n_keys)
            memcpy(rec.keys, note->keys, note->n_keys * sizeof(*rec.keys));
        r = append(k, &a, note->token);
        store_append_finish(&a);
        if (r < 0)
            return wrong(k, "appending again fails: %s", uv_strerror(r));
    }
    return true;
}

static bool go_on(struct look *k)
{
    size_t held = k->h.n, lost = k->c->history->n - held;
    struct workload w;
    int r;

    if (k->c->seed % 3 == 0)
        return replay(k, 1 + k->c->seed % 4);
    if (!resend_all(k, k->first ? k->first - 1 : 0, held, true) ||
        !resend_all(k, held, held + (lost < 64 ? lost : 64), false))
        return false;
    workload_start(&w, &k->h, k->c->seed, 1000000 + (unsigned)k->h.n * 64);
    r = workload_run(&w, &k->box, MORE_EVENTS);
    return r == 0 || wrong(k, "appending more fails: %s", uv_strerror(r));
}

/* ---- all of the log ---- */

struct reading {
    struct look *k;
    struct index_builder *builder;
    uint64_t seq;
};

static int on_record(void *ctx, const struct reclog_record *rec)
{
    struct reading *r = ctx;
    const struct note *note;

    r->seq = rec->seq;
    if (rec->seq > r->k->h.n)
        return builder_apply(r->builder, rec); /* extra */
    note = &r->k->h.at[rec->seq - 1];
    if (rec->type != note->type || rec->payload.len != note->len ||
        memcmp(rec->payload.ptr, note->payload, note->len) != 0)
        return UV_EILSEQ;
    return builder_apply(r->builder, rec);
}

/* What the log need not keep any more is in the index all the same. */
static int apply_gone(struct look *k, uint64_t first, struct index_builder *b)
{
    int r = 0;

    for (size_t i = 0; i + 1 < first && r == 0; i++) {
        const struct note *note = &k->h.at[i];

        r = builder_apply(
            b, &(struct reclog_record){ .seq = note->seq,
                                        .type = note->type,
                                        .payload = { (const char *)note->payload, note->len } });
    }
    return r;
}

static bool read_log(struct look *k, struct opened_log *log, struct index_builder *b)
{
    struct reading reading = { .k = k, .builder = b };
    uint64_t next = log->first;
    int r = apply_gone(k, log->first, b);

    if (r < 0)
        return wrong(k, "no index of what has gone: %s", uv_strerror(r));
    if (log->last != k->h.n + k->extra)
        return wrong(k, "closed at record %zu, opened again at %" PRIu64, k->h.n, log->last);
    while (next <= log->last) {
        r = reclog_read(log->reader, next, 256, on_record, &reading);
        if (r <= 0)
            return wrong(k, "record %" PRIu64 ": %s", reading.seq + (r != UV_EILSEQ),
                         r == UV_EILSEQ ? "not as it was appended"
                         : r            ? uv_strerror(r)
                                        : "missing");
        next += (uint64_t)r;
    }
    return true;
}

static bool check_deliveries(struct look *k)
{
    size_t n;
    struct standing *want = history_deliveries(&k->h, k->h.n, &n);
    bool ok = dump_deliveries_match(k->c->dir, want, n, k->finding->text, sizeof(k->finding->text));

    free(want);
    return ok;
}

/* The index as it is against one built from the log alone. */
static bool check_contents(struct look *k)
{
    struct opened_log log;
    struct index_builder b;
    bool ok;

    if (!log_open_alone(&log, k->c->dir, &k->box.fail))
        return wrong(k, "does not open again: %s", k->box.fail.text);
    if (!builder_start(&b, &log, &k->box.fail)) {
        log_close_alone(&log);
        return wrong(k, "no new index: %s", k->box.fail.text);
    }
    ok = read_log(k, &log, &b);
    builder_end(&b);
    log_close_alone(&log);
    ok = ok &&
         dump_same(k->c->dir, b.dir, log.first == 1, k->finding->text, sizeof(k->finding->text));
    builder_remove(&b);
    return ok && (k->extra || check_deliveries(k));
}

/* ---- the whole ---- */

static bool use_and_check(struct look *k)
{
    bool ok = check_opening(k) && (!k->c->more || go_on(k));

    if (k->box.s) {
        said_clear();
        box_close(&k->box);
        if (ok && said_lines())
            ok = wrong(k, "closes with a complaint: %s", said_last());
    }
    return ok;
}

size_t draw_cut(const struct journal *j, size_t from, struct rng *rng)
{
    size_t n = journal_length(j), cut = from + rng_below(rng, n - from + 1);
    unsigned style = (unsigned)rng_below(rng, 4);

    for (; style > 0 && cut < n; cut++) {
        const struct op *op = journal_op(j, cut);
        const char *name = journal_file_name(j, op->file);

        if (style == 1 && strcmp(name, "sluice.db-wal") != 0)
            break;
        if (style > 1 && op->type == OP_WRITE && op->n > 32 && layer_where(name) == IN_LOG)
            return cut + 1;
    }
    return cut;
}

/* The power goes again while the image was in use, opening included. */
static bool cut_again(struct look *k, const struct journal *j)
{
    char dir[200];
    struct rng rng;
    struct check c;
    size_t cut;
    bool ok;

    rng_seed(&rng, k->c->seed ^ 0x2c);
    cut = draw_cut(j, k->began, &rng);
    snprintf(dir, sizeof(dir), "%s-again", k->c->dir);
    journal_image(j, cut, k->c->seed + 1, dir);
    c = (struct check){ .dir = dir,
                        .history = &k->h,
                        .kept = history_kept(&k->h, cut),
                        .acked = history_acked(&k->h, cut),
                        .seed = k->c->seed + 1,
                        .more = true };
    ok = check_image(&c, k->finding);
    if (ok)
        scratch_remove(dir);
    else if (!k->c->quiet)
        journal_print(j, cut, 30);
    return ok;
}

bool check_image(const struct check *c, struct finding *ret)
{
    struct look k = { .c = c, .finding = ret };
    struct journal *j = c->journal ? c->journal : c->again ? journal_begin(c->dir) : NULL;
    bool ok;

    ret->text[0] = '\0';
    k.began = journal_at();
    box_start(&k.box, c->dir);
    ok = use_and_check(&k);
    if (!box_finish(&k.box) && ok)
        ok = wrong(&k, "the loop does not close");
    if (j)
        journal_end(j);
    ok = ok && check_contents(&k);
    if (ok && j)
        ok = cut_again(&k, j);
    if (!c->journal)
        journal_destroy(j);
    history_finish(&k.h);
    return ok;
}
