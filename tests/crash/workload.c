/*
 * workload.c - what a gateway does to its store, by seed.
 */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/crc.h"
#include "base/digest.h"
#include "journal_int.h"
#include "store/store_int.h"
#include "torture.h"

#define MEMBERS_MOST 4
#define AT_MS        1700000000000

enum step_kind { RECEIVE, ROUTE, SEND, CHECKPOINT, SETTLE, DECIDE };

/* One append, made when its turn comes and followed up when it is durable. */
struct step {
    struct list node;
    struct store_append a;
    struct store_record records[4];
    struct workload *w;
    enum step_kind kind;
    uint32_t token; /* of its first record */
    uint64_t event; /* ROUTE */
    bool emitted;
    uint64_t nums[MEMBERS_MOST];
    uint8_t states[MEMBERS_MOST];
    size_t n;
    uint64_t batch;
    uint32_t attempt;
};

/* ---- records ---- */

void make_key(struct store_record *rec, const char *name, bool refuse, uint64_t value)
{
    uint8_t hash[DIGEST_SHA256];
    struct store_key *k;

    rec->keys = need(realloc(rec->keys, (rec->n_keys + 1) * sizeof(*rec->keys)));
    k = &rec->keys[rec->n_keys++];
    *k = (struct store_key){ .refuse = refuse, .value = value };
    digest_sha256(name, strlen(name), hash);
    memcpy(k->hash, hash, sizeof(k->hash));
}

static void body_of(struct buf *b, uint32_t token, unsigned id, size_t n)
{
    char text[TOKEN_BYTES + 1];

    token_write(token, text);
    buf_printf(b, "{\"t\":\"%s\",\"id\":%u,\"pad\":\"", text, id);
    while (b->len < n)
        buf_printf(b, "%08x", (unsigned)(b->len * 2654435761u) ^ token);
    buf_cstr(b, "\"}");
}

struct store_record make_receipt(const char *sender, unsigned id, uint32_t token, unsigned big)
{
    struct store_record rec = { .type = REC_RECEIPT };
    struct buf body = { 0 };
    char name[64], key[96];

    snprintf(name, sizeof(name), "%s-%u", sender, id);
    snprintf(key, sizeof(key), "key of %s", name);
    body_of(&body, token, id, big);
    rec_receipt_encode(&rec.payload, &(struct rec_receipt){ .origin = EO_WEBHOOK,
                                                            .received_ms = AT_MS + id,
                                                            .endpoint = str_of(sender),
                                                            .topic = STR("orders/paid"),
                                                            .sender_id = str_of(name),
                                                            .body = buf_view(&body) });
    make_key(&rec, key, true, crc64(0, body.data, body.len));
    buf_finish(&body);
    return rec;
}

static void add_duplicate(struct store_record *rec, const char *sender, uint32_t token)
{
    char text[TOKEN_BYTES + 1];

    token_write(token, text);
    rec_duplicate_encode(&rec->duplicate, &(struct rec_duplicate){ .received_ms = AT_MS,
                                                                   .body_bytes = rec->payload.len,
                                                                   .endpoint = str_of(sender),
                                                                   .topic = str_of(text),
                                                                   .sender_id = STR("again") });
}

static unsigned draw(struct workload *w, unsigned below)
{
    return (unsigned)rng_below(&w->rng, below);
}

static unsigned draw_size(struct workload *w)
{
    unsigned style = draw(w, 40);

    return style == 0 ? 4000 + draw(w, 12000) : style < 10 ? 0 : 100 + draw(w, 1200);
}

/* One to three receipts, one in eight of a known id. */
static void make_receive(struct step *s)
{
    struct workload *w = s->w;
    size_t n = draw(w, 3) ? 1 : 2 + draw(w, 2);

    for (size_t i = 0; i < n; i++) {
        unsigned sender = draw(w, SENDERS), id = w->next_id[sender];
        char name[32];

        if (draw(w, 8) == 0)
            id = draw(w, id + 1);
        else
            w->next_id[sender]++;
        snprintf(name, sizeof(name), "shop-%u", sender);
        s->records[i] = make_receipt(name, id, s->token + (uint32_t)i, draw_size(w));
        if (draw(w, 2))
            add_duplicate(&s->records[i], name, s->token + (uint32_t)i);
    }
    s->a.n = n;
}

static void make_route(struct step *s)
{
    struct workload *w = s->w;
    struct rec_about about = { .subject = STR("order:1"), .version = STR("v1") };
    struct rec_delivery d[MEMBERS_MOST];
    struct buf body = { 0 };
    char text[TOKEN_BYTES + 1];
    struct rec_routed rec = { .event = s->event, .at_ms = AT_MS, .abouts = &about, .n_abouts = 1 };

    token_write(s->token, text);
    body_of(&body, s->token, 0, 200 + draw(w, 400));
    s->n = draw(w, 10) ? 1 + draw(w, 3) : 0;
    for (size_t i = 0; i < s->n; i++)
        d[i] = (struct rec_delivery){
            .num = delivery_num(s->event, (unsigned)i),
            .id = { (uint8_t)s->event, (uint8_t)(s->event >> 8), (uint8_t)i },
            .state = draw(w, 8) ? DS_READY : DS_HELD,
            .priority = (uint8_t)draw(w, 4),
            .route = STR("order-to-supplier"),
            .piece = STR("gears"),
            .endpoint = i ? STR("byron") : STR("acme"),
            .action = STR("order.submit"),
            .subject = STR("order:1"),
            .body = buf_view(&body),
        };
    rec.note = str_of(text);
    rec.deliveries = d;
    rec.n_deliveries = s->n;
    s->records[0].type = REC_ROUTED;
    rec_routed_encode(&s->records[0].payload, &rec);
    for (size_t i = 0; i < s->n; i++) {
        s->nums[i] = d[i].num;
        s->states[i] = d[i].state;
    }
    if (s->n && draw(w, 4) == 0) { /* once for each of a few subjects */
        char key[32];

        snprintf(key, sizeof(key), "subject %u", draw(w, 200));
        make_key(&s->records[0], key, false, s->event);
        s->records[0].keys[0].mark_at = d[0].state_at;
        s->records[0].keys[0].mark_value = DS_SUPERSEDED;
    }
    buf_finish(&body);
    s->a.n = 1;
}

static void make_send(struct step *s)
{
    struct rec_sent_item items[MEMBERS_MOST] = { 0 };
    char text[TOKEN_BYTES + 1];

    token_write(s->token, text);
    for (size_t i = 0; i < s->n; i++)
        items[i] = (struct rec_sent_item){
            .num = s->nums[i], .attempt = s->attempt, .key = str_of(text), .request = STR("frozen")
        };
    s->records[0].type = REC_SENT;
    rec_sent_encode(&s->records[0].payload, &(struct rec_sent){ .at_ms = AT_MS,
                                                                .endpoint = STR("acme"),
                                                                .route = STR("order-to-supplier"),
                                                                .items = items,
                                                                .n_items = s->n });
    s->a.n = 1;
}

static void make_checkpoint(struct step *s)
{
    char text[TOKEN_BYTES + 1];

    token_write(s->token, text);
    s->records[0].type = REC_CHECKPOINT;
    rec_checkpoint_encode(
        &s->records[0].payload,
        &(struct rec_checkpoint){
            .batch = s->batch, .at_ms = AT_MS, .done = 1, .token = str_of(text) });
    s->a.n = 1;
}

static void encode_moves(struct step *s, enum record_type type, const uint8_t *choice, unsigned n)
{
    struct rec_move moves[MEMBERS_MOST] = { 0 };
    struct rec_link link = { STR("acme"), STR("order"), STR("1"), STR("order:1"), s->nums[0] };
    char text[TOKEN_BYTES + 1];

    token_write(s->token, text);
    for (size_t i = 0; i < s->n; i++) {
        s->states[i] = choice[draw(s->w, n)];
        moves[i] = (struct rec_move){ .num = s->nums[i],
                                      .state = s->states[i],
                                      .burnt = type == REC_OUTCOME,
                                      .attempt = s->attempt,
                                      .next_ms = s->states[i] == DS_WAITING ? AT_MS : 0,
                                      .reason = str_of(text) };
    }
    s->records[0].type = type;
    rec_moves_encode(&s->records[0].payload,
                     &(struct rec_moves){ .at_ms = AT_MS,
                                          .batch = type == REC_OUTCOME ? s->batch : 0,
                                          .who = STR("adapter"),
                                          .moves = moves,
                                          .n_moves = s->n,
                                          .links = &link,
                                          .n_links = type == REC_OUTCOME });
    s->a.n = 1;
}

/* An outcome, and at times what it emits, in one append. */
static void make_settle(struct step *s)
{
    static const uint8_t choice[] = { DS_DELIVERED, DS_DELIVERED, DS_DELIVERED,
                                      DS_DEAD,      DS_UNKNOWN,   DS_WAITING };

    encode_moves(s, REC_OUTCOME, choice, sizeof(choice));
    if (s->emitted || draw(s->w, 4))
        return;
    for (unsigned i = 1; i < 2 + draw(s->w, 2); i++) {
        unsigned id = (unsigned)(s->batch * 8 + i);

        s->records[i] = make_receipt("acme", id, s->token + i, 200);
        s->a.n++;
    }
}

static void make_decide(struct step *s)
{
    static const uint8_t choice[] = { DS_READY, DS_DISCARDED, DS_HELD };

    encode_moves(s, REC_DECISION, choice, sizeof(choice));
}

/* ---- what follows ---- */

static struct step *add_step(struct workload *w, enum step_kind kind)
{
    struct step *s;

    torture_pause();
    s = need(calloc(1, sizeof(*s)));
    torture_resume();
    s->w = w;
    s->kind = kind;
    list_append(&w->todo, &s->node);
    return s;
}

static void add_route(struct workload *w, uint64_t event, bool emitted)
{
    struct step *s = add_step(w, ROUTE);

    s->event = event;
    s->emitted = emitted;
}

static void add_members(struct step *from, enum step_kind kind, uint8_t state)
{
    struct step *s = NULL;

    for (size_t i = 0; i < from->n; i++) {
        if (from->states[i] != state)
            continue;
        if (!s)
            s = add_step(from->w, kind);
        s->nums[s->n] = from->nums[i];
        s->states[s->n++] = state;
        s->attempt = kind == SEND ? from->attempt + 1 : 0;
        s->emitted = from->emitted;
    }
}

static struct step *go_on(const struct step *from, enum step_kind kind)
{
    struct step *s = add_step(from->w, kind);

    memcpy(s->nums, from->nums, sizeof(s->nums));
    memcpy(s->states, from->states, sizeof(s->states));
    s->n = from->n;
    s->batch = from->kind == SEND ? from->records[0].seq : from->batch;
    s->attempt = from->attempt;
    s->emitted = from->emitted;
    return s;
}

static void follow(struct step *s)
{
    struct workload *w = s->w;
    unsigned luck = draw(w, 10);

    switch (s->kind) {
    case RECEIVE:
        for (size_t i = 0; i < s->a.n; i++)
            if (!s->records[i].refused)
                add_route(w, s->records[i].seq, false);
        break;
    case ROUTE:
        if (s->records[0].n_keys && s->records[0].keys[0].known)
            s->states[0] = DS_SUPERSEDED;
        add_members(s, SEND, DS_READY);
        add_members(s, DECIDE, DS_HELD);
        break;
    case SEND:
        if (luck) /* else it stays in flight */
            go_on(s, luck < 3 ? CHECKPOINT : SETTLE);
        break;
    case CHECKPOINT:
        go_on(s, luck < 2 ? CHECKPOINT : SETTLE);
        break;
    case SETTLE:
        for (size_t i = 1; i < s->a.n; i++)
            if (!s->records[i].refused)
                add_route(w, s->records[i].seq, true);
        add_members(s, SEND, DS_WAITING);
        break;
    case DECIDE:
        if (luck < 5)
            add_members(s, SEND, DS_READY);
        break;
    }
}

/* ---- running ---- */

static void pump(struct workload *w);

static void step_free(struct step *s)
{
    store_append_finish(&s->a);
    free(s);
}

/* As the index does when a segment is old enough. */
static void retire_some(struct workload *w)
{
    uint64_t first = 1 + rng_below(&w->rng, w->retire);

    if (w->history->n_retired == RETIRED_MOST)
        return;
    history_retire(w->history, first);
    reclog_retire(w->box->s->log, first);
    store_keeper_wake(w->box->s);
}

static void on_step(struct store_append *a, int status)
{
    struct step *s = container_of(a, struct step, a);
    struct workload *w = s->w;

    torture_pause();
    w->under_way--;
    if (status < 0) {
        w->failed++;
        w->last_error = status;
    } else {
        history_add(w->history, a, s->token, journal_at());
        for (size_t i = 0; i < a->n; i++)
            w->refused += a->records[i].refused;
        follow(s);
        if (w->retire && draw(w, 40) == 0)
            retire_some(w);
    }
    step_free(s);
    torture_resume();
    pump(w);
}

static int submit(struct step *s)
{
    static void (*const make[])(struct step * s) = {
        [RECEIVE] = make_receive,       [ROUTE] = make_route,   [SEND] = make_send,
        [CHECKPOINT] = make_checkpoint, [SETTLE] = make_settle, [DECIDE] = make_decide,
    };
    struct workload *w = s->w;
    int r;

    torture_pause(); /* what is made here is the test's */
    s->token = w->next_token;
    s->a = (struct store_append){ .records = s->records, .cb = on_step };
    make[s->kind](s);
    w->next_token += (uint32_t)s->a.n;
    torture_resume();
    r = store_append(w->box->s, &s->a, s->kind != RECEIVE);
    if (r < 0) {
        w->failed++;
        w->last_error = r;
        step_free(s);
        return r;
    }
    w->under_way++;
    return 0;
}

/* Fill up to a target that changes each time it is reached. What is to follow and what comes from
 * outside take turns. */
static void pump(struct workload *w)
{
    while (w->under_way < w->target && !w->last_error) {
        struct step *s;

        if (!list_empty(&w->todo) && (w->events == 0 || draw(w, 4))) {
            s = list_entry(w->todo.next, struct step, node);
        } else if (w->events > 0) {
            w->events--;
            s = add_step(w, RECEIVE);
        } else {
            break;
        }
        list_remove(&s->node);
        if (submit(s) < 0)
            break;
    }
    if (w->under_way == w->target || w->under_way == 0)
        w->target = 1 + draw(w, w->most);
    if (w->under_way == 0 && (w->last_error || (list_empty(&w->todo) && w->events == 0)))
        w->box->done = true;
}

void workload_start(struct workload *w, struct history *h, uint64_t seed, unsigned first_id)
{
    *w = (struct workload){ .history = h, .most = 48, .target = 8 };
    rng_seed(&w->rng, seed);
    list_init(&w->todo);
    for (unsigned i = 0; i < SENDERS; i++)
        w->next_id[i] = first_id;
    if (h->n)
        w->next_token = h->at[h->n - 1].token + 1;
}

int workload_run(struct workload *w, struct box *box, unsigned events)
{
    w->box = box;
    w->events = events;
    w->last_error = 0;
    box->done = false;
    pump(w);
    box_wait(box);
    while (!list_empty(&w->todo)) { /* after an error */
        struct step *s = list_entry(w->todo.next, struct step, node);

        list_remove(&s->node);
        step_free(s);
    }
    return w->last_error;
}
