/*
 * history.c - what a log should hold.
 */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "journal_int.h"
#include "layer.h"

/* ---- notes ---- */

static struct note *add(struct history *h)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->at = need(realloc(h->at, h->cap * sizeof(*h->at)));
    }
    h->at[h->n] = (struct note){ .seq = h->n + 1 };
    return &h->at[h->n++];
}

static void *copy(const void *p, size_t n)
{
    void *to = need(malloc(n ? n : 1));

    if (n)
        memcpy(to, p, n);
    return to;
}

static void note_keys(struct note *note, const struct store_record *rec)
{
    note->keys = need(calloc(rec->n_keys + 1, sizeof(*note->keys)));
    for (size_t i = 0; i < rec->n_keys; i++)
        if (!rec->keys[i].known)
            note->keys[note->n_keys++] = rec->keys[i];
}

void history_add(struct history *h, const struct store_append *a, uint32_t token, size_t acked)
{
    struct note *note = NULL;

    for (size_t i = 0; i < a->n; i++) {
        const struct store_record *rec = &a->records[i];
        const struct buf *b = rec->refused ? &rec->duplicate : &rec->payload;

        if (rec->seq == 0)
            continue;
        if (rec->seq != h->n + 1)
            die("a record's number is not the next one", "");
        note = add(h);
        note->type = rec->refused ? REC_DUPLICATE : rec->type;
        note->payload = copy(b->data, b->len);
        note->len = b->len;
        note->acked = acked;
        note->token = token + (uint32_t)i;
        if (!rec->refused)
            note_keys(note, rec);
    }
    if (note)
        note->last = true;
}

void history_copy(struct history *to, const struct history *from, size_t n, size_t durable,
                  size_t acked)
{
    *to = (struct history){ 0 };
    for (size_t i = 0; i < n; i++) {
        const struct note *was = &from->at[i];
        struct note *note = add(to);

        *note = *was;
        note->payload = copy(was->payload, was->len);
        note->keys = copy(was->keys, was->n_keys * sizeof(*was->keys));
        note->acked = i < durable ? 0 : acked;
    }
    history_retire(to, history_kept(from, SIZE_MAX));
    to->retired[0].moment = 0;
}

void history_retire(struct history *h, uint64_t first)
{
    if (h->n_retired == RETIRED_MOST)
        die("more retirements than expected", "");
    h->retired[h->n_retired].moment = journal_at();
    h->retired[h->n_retired++].first = first;
}

uint64_t history_kept(const struct history *h, size_t moment)
{
    uint64_t first = 1;

    for (size_t i = 0; i < h->n_retired; i++)
        if (h->retired[i].moment <= moment && h->retired[i].first > first)
            first = h->retired[i].first;
    return first;
}

void history_finish(struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free(h->at[i].payload);
        free(h->at[i].keys);
    }
    free(h->at);
    *h = (struct history){ 0 };
}

uint64_t history_acked(const struct history *h, size_t moment)
{
    size_t n = h->n;

    while (n > 0 && h->at[n - 1].acked > moment)
        n--;
    return n;
}

/* ---- was it synced first? ---- */

void token_write(uint32_t token, char out[TOKEN_BYTES + 1])
{
    snprintf(out, TOKEN_BYTES + 1, "tok-%08x;", token);
}

/* Where a token was first written into the log, and when that was durable, name and all. */
struct place {
    size_t written, durable; /* operations; 0: never (the first is no write) */
    int file;
};

static void find_tokens(const struct op *op, size_t i, struct place *places, uint32_t n)
{
    const uint8_t *p = op->data, *end = op->data + op->n;

    while ((p = memmem(p, (size_t)(end - p), "tok-", 4)) && end - p >= TOKEN_BYTES) {
        char hex[9] = "";
        unsigned long token;

        memcpy(hex, p + 4, 8);
        token = strtoul(hex, NULL, 16);
        if (token < n && !places[token].written)
            places[token] = (struct place){ .written = i, .file = op->file };
        p += 4;
    }
}

/* When the name that a file bore at a moment was durable; `none`: not until the end. */
static size_t name_durable(const struct journal *j, int file, size_t moment, size_t none)
{
    size_t named = SIZE_MAX;

    for (size_t i = 0; i < moment; i++) {
        enum op_type type = journal_op(j, i)->type;

        if ((type == OP_CREATE || type == OP_RENAME) && journal_op(j, i)->file == file)
            named = i;
    }
    if (named == SIZE_MAX)
        return 0; /* from before */
    for (size_t i = named; i < journal_length(j); i++)
        if (journal_op(j, i)->type == OP_SYNC_DIR && journal_op(j, i)->covers > named)
            return i;
    return none;
}

static void find_durable(const struct journal *j, struct place *place)
{
    size_t end = journal_length(j), named = name_durable(j, place->file, place->written, end);

    place->durable = end;
    for (size_t i = place->written; i < end; i++) {
        const struct op *op = journal_op(j, i);

        if (op->type == OP_SYNC && op->file == place->file && op->covers > place->written) {
            place->durable = i > named ? i : named;
            break;
        }
    }
}

bool history_was_synced(const struct history *h, const struct journal *j, char why[256])
{
    uint32_t n = h->n ? h->at[h->n - 1].token + 1 : 0;
    struct place *places = need(calloc(n + 1, sizeof(*places)));
    bool ok = true;

    for (size_t i = 0; i < journal_length(j); i++) {
        const struct op *op = journal_op(j, i);

        if (op->type == OP_WRITE && layer_where(journal_file_name(j, op->file)) == IN_LOG)
            find_tokens(op, i, places, n);
    }
    for (size_t i = 0; i < h->n && ok; i++) {
        const struct note *note = &h->at[i];
        struct place *place = &places[note->token];

        if (note->acked == 0)
            continue;
        if (place->written)
            find_durable(j, place);
        ok = place->written && place->durable < note->acked;
        if (!ok)
            snprintf(why, 256,
                     "record %llu: written by %zu, durable at %zu, but called back at %zu",
                     (unsigned long long)note->seq, place->written, place->durable, note->acked);
    }
    free(places);
    return ok;
}

/* ---- deliveries ---- */

struct table {
    struct standing *at;
    size_t n, cap;
};

/* They are routed in any order, but mostly rising: look from the end. */
static struct standing *find(struct table *t, uint64_t num)
{
    for (size_t i = t->n; i > 0; i--)
        if (t->at[i - 1].num == num)
            return &t->at[i - 1];
    return NULL;
}

static void play_routed(struct table *t, sl_str payload)
{
    struct rec_routed rec;

    if (rec_routed_decode(payload, &rec) < 0)
        die("a record of the test's own", "");
    for (size_t i = 0; i < rec.n_deliveries; i++) {
        if (t->n == t->cap) {
            t->cap = t->cap ? 2 * t->cap : 64;
            t->at = need(realloc(t->at, t->cap * sizeof(*t->at)));
        }
        t->at[t->n++] = (struct standing){ .num = rec.deliveries[i].num,
                                           .state = rec.deliveries[i].state };
    }
    rec_routed_finish(&rec);
}

static void play_sent(struct table *t, uint64_t seq, sl_str payload)
{
    struct rec_sent rec;

    if (rec_sent_decode(payload, &rec) < 0)
        die("a record of the test's own", "");
    for (size_t i = 0; i < rec.n_items; i++) {
        struct standing *s = find(t, rec.items[i].num);

        s->state = DS_INFLIGHT;
        s->batch = seq;
    }
    rec_sent_finish(&rec);
}

static void play_moves(struct table *t, sl_str payload)
{
    struct rec_moves rec;

    if (rec_moves_decode(payload, &rec) < 0)
        die("a record of the test's own", "");
    for (size_t i = 0; i < rec.n_moves; i++)
        find(t, rec.moves[i].num)->state = rec.moves[i].state;
    rec_moves_finish(&rec);
}

static int by_num(const void *a, const void *b)
{
    uint64_t x = ((const struct standing *)a)->num, y = ((const struct standing *)b)->num;

    return x < y ? -1 : x > y;
}

struct standing *history_deliveries(const struct history *h, size_t n, size_t *ret_n)
{
    struct table t = { 0 };

    for (size_t i = 0; i < n; i++) {
        sl_str payload = { (const char *)h->at[i].payload, h->at[i].len };

        if (h->at[i].type == REC_ROUTED)
            play_routed(&t, payload);
        else if (h->at[i].type == REC_SENT)
            play_sent(&t, h->at[i].seq, payload);
        else if (h->at[i].type == REC_OUTCOME || h->at[i].type == REC_DECISION)
            play_moves(&t, payload);
    }
    if (t.n)
        qsort(t.at, t.n, sizeof(*t.at), by_num);
    *ret_n = t.n;
    return t.at;
}
