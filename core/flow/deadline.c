#include "flow/deadline.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "flow/due.h"
#include "flow/hold.h"

#define BUSY_MS  50
#define AGAIN_MS 1000

/* ---- taken: by who is about to end it ---- */

struct taken_deadline {
    UT_hash_handle hh; /* flow.deadlines, by num */
    uint64_t num;
};

bool deadline_take(struct flow *f, uint64_t num)
{
    struct taken_deadline *t;

    HASH_FIND(hh, f->deadlines, &num, sizeof(num), t);
    if (t)
        return false;
    t = mem_zero(sizeof(*t));
    t->num = num;
    HASH_ADD(hh, f->deadlines, num, sizeof(t->num), t);
    return true;
}

void deadline_free(struct flow *f, uint64_t num)
{
    struct taken_deadline *t;

    HASH_FIND(hh, f->deadlines, &num, sizeof(num), t);
    if (!t)
        return;
    HASH_DEL(f->deadlines, t);
    free(t);
}

/* ---- it begins ---- */

static sl_str lines(char *const *topics, size_t n)
{
    struct buf b = { 0 };
    sl_str s;

    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%s", i ? "\n" : "", topics[i]);
    s.ptr = buf_steal(&b, &s.len);
    return s;
}

void deadline_record(struct commit *c, const struct deadline_begin *begins, size_t n)
{
    struct rec_deadlines rec = { .at_ms = clock_wall_ms() };

    for (size_t i = 0; i < n; i++) {
        const struct deadline_begin *b = &begins[i];
        const struct conf_deadline *conf = b->route ? b->route->deadline : NULL;
        if (!conf)
            continue;
        int64_t due = rec.at_ms + conf->within_ms;
        int64_t warn = conf->warn_percent ? rec.at_ms + conf->within_ms / 100 * conf->warn_percent +
                                                conf->within_ms % 100 * conf->warn_percent / 100
                                          : due;
        rec.items = mem_grow(rec.items, (rec.n_items + 1) * sizeof(*rec.items));
        rec.items[rec.n_items++] = (struct rec_deadline){
            .num = b->num,
            .what = DEADLINE_BEGINS,
            .next_ms = warn,
            .due_ms = due,
            .expect = lines(conf->expect, conf->n_expect),
            .topic = str_of(conf->topic),
            .owner = str_of(b->route->owner),
            .route = str_of(b->route->name),
            .subject = b->subject,
            .endpoint = b->endpoint,
        };
    }
    if (rec.n_items)
        rec_deadlines_encode(&commit_record(c, REC_DEADLINE)->payload, &rec);
    for (size_t i = 0; i < rec.n_items; i++)
        free((char *)rec.items[i].expect.ptr);
    free(rec.items);
}

void deadline_recorded(struct flow *f, const struct commit *c)
{
    struct rec_deadlines rec;

    for (size_t k = 0; k < c->append.n; k++) {
        if (c->records[k].type != REC_DEADLINE ||
            rec_deadlines_decode(buf_view(&c->records[k].payload), &rec) < 0)
            continue;
        for (size_t i = 0; i < rec.n_items; i++)
            if (rec.items[i].what == DEADLINE_BEGINS)
                due_add(f, true, rec.items[i].num, rec.items[i].next_ms);
        f->stats.deadlines += rec.n_items;
        rec_deadlines_finish(&rec);
    }
}

/* ---- its clock runs out ---- */

/** Those that are due together; texts owned. */
struct firing {
    struct flow *flow;
    size_t n;
    uint64_t *nums; /* all that are taken */
    struct rec_deadline *items;
    struct rec_receipt *receipts; /* of those missed, in order */
    size_t n_items, n_receipts;
};

static sl_str own(sl_str s)
{
    return (sl_str){ mem_dup(s), s.len };
}

static void firing_free(struct firing *g)
{
    for (size_t i = 0; i < g->n; i++)
        deadline_free(g->flow, g->nums[i]);
    for (size_t i = 0; i < g->n_items; i++) {
        sl_str *texts[] = { &g->items[i].expect, &g->items[i].topic,   &g->items[i].owner,
                            &g->items[i].route,  &g->items[i].subject, &g->items[i].endpoint };
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
            free((char *)texts[k]->ptr);
    }
    for (size_t i = 0; i < g->n_receipts; i++)
        free((char *)g->receipts[i].body.ptr);
    free(g->items);
    free(g->receipts);
    free(g->nums);
    free(g);
}

static void firing_end(struct firing *g, int64_t again_ms)
{
    struct flow *f = g->flow;

    for (size_t i = 0; again_ms && i < g->n; i++)
        due_again(f, true, g->nums[i], 0, again_ms);
    firing_free(g);
    due_fired(f);
}

static void put_json(struct buf *b, const char *name, sl_str value)
{
    buf_printf(b, "%s\"%s\":", b->len > 1 ? "," : "", name);
    buf_json_str(b, value);
}

static sl_str body_of(const struct rec_deadline *d)
{
    struct buf b = { 0 };
    char name[32], when[32];
    sl_str s;

    delivery_name(d->num, name);
    clock_format(d->due_ms, when);
    buf_char(&b, '{');
    put_json(&b, "delivery", str_of(name));
    put_json(&b, "route", d->route);
    put_json(&b, "subject", d->subject);
    put_json(&b, "expect", d->expect);
    put_json(&b, "due_at", str_of(when));
    put_json(&b, "owner", d->owner);
    buf_char(&b, '}');
    s.ptr = buf_steal(&b, &s.len);
    return s;
}

static void tell(struct flow *f, const struct rec_deadline *d)
{
    struct delivery named = { .num = d->num, .subject = (char *)d->subject.ptr };
    struct buf text = { 0 };
    char name[32], when[32];

    delivery_name(d->num, name);
    clock_format(d->due_ms, when);
    for (size_t i = 0; i < d->expect.len; i++)
        buf_char(&text, d->expect.ptr[i] == '\n' ? ' ' : d->expect.ptr[i]);
    if (d->what == DEADLINE_MISSED)
        buf_printf(&text, " has not come of delivery %s; it was due at %s", name, when);
    else
        buf_printf(&text, " has not come of delivery %s yet; it is due at %s", name, when);
    flow_notice_to(f, NOTICE_DEADLINE, flow_lane(f, d->endpoint), &named,
                   config_route(f->config, d->route), d->owner, buf_view(&text));
    buf_finish(&text);
}

static void on_fired(struct flow *f, struct commit *c, int status)
{
    struct firing *g = c->ctx;
    size_t at = 1; /* of the receipts' records */

    if (status < 0) {
        firing_end(g, AGAIN_MS);
        return;
    }
    for (size_t i = 0; i < g->n_items; i++) {
        const struct rec_deadline *d = &g->items[i];
        tell(f, d);
        if (d->what == DEADLINE_WARNED) {
            due_add(f, true, d->num, d->next_ms);
            continue;
        }
        f->stats.deadlines_missed++;
        f->stats.emitted++;
        router_submit(&f->router, event_from_receipt(c->records[at].seq, &g->receipts[at - 1]));
        at++;
    }
    firing_end(g, 0);
}

static void fire(struct firing *g)
{
    struct commit *c = commit_new(g->flow, on_fired, g);
    struct rec_deadlines rec = { .at_ms = clock_wall_ms(),
                                 .items = g->items,
                                 .n_items = g->n_items };

    rec_deadlines_encode(&commit_record(c, REC_DEADLINE)->payload, &rec);
    for (size_t i = 0; i < g->n_receipts; i++)
        rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &g->receipts[i]);
    commit_go(c);
}

/** Is it really due, and for what? */
static void add_one(struct firing *g, const struct store_deadline *d, int64_t now)
{
    struct rec_deadline *it = &g->items[g->n_items];

    if (!d->open)
        return;
    if (d->next_ms > now) { /* it began anew */
        due_add(g->flow, true, d->num, d->next_ms);
        return;
    }
    *it = (struct rec_deadline){
        .num = d->num,
        .what = d->due_ms <= now ? DEADLINE_MISSED : DEADLINE_WARNED,
        .next_ms = d->due_ms,
        .due_ms = d->due_ms,
        .expect = own(d->expect),
        .topic = own(d->topic),
        .owner = own(d->owner),
        .route = own(d->route),
        .subject = own(d->subject),
        .endpoint = own(d->endpoint),
    };
    g->n_items++;
    if (it->what == DEADLINE_MISSED)
        g->receipts[g->n_receipts++] = (struct rec_receipt){ .origin = EO_EMITTED,
                                                             .received_ms = now,
                                                             .cause = d->num,
                                                             .endpoint = it->endpoint,
                                                             .topic = it->topic,
                                                             .subject = it->subject,
                                                             .body = body_of(it) };
}

static void on_deadlines(void *ctx, int status, const struct store_deadline *d, size_t n)
{
    struct firing *g = ctx;
    int64_t now = clock_wall_ms();

    if (status < 0) {
        firing_end(g, AGAIN_MS);
        return;
    }
    g->items = mem_array(n ? n : 1, sizeof(*g->items));
    g->receipts = mem_array(n ? n : 1, sizeof(*g->receipts));
    for (size_t i = 0; i < n; i++)
        add_one(g, &d[i], now);
    if (g->n_items)
        fire(g);
    else
        firing_end(g, 0);
}

static void on_nothing(void *ctx, bool closing)
{
    firing_end(ctx, closing ? 0 : AGAIN_MS);
}

void deadline_fire(struct flow *f, const uint64_t *nums, size_t n)
{
    struct firing *g = mem_zero(sizeof(*g));
    int r;

    g->flow = f;
    g->nums = mem_array(n, sizeof(*g->nums));
    for (size_t i = 0; i < n; i++) {
        if (deadline_take(f, nums[i]))
            g->nums[g->n++] = nums[i];
        else
            due_again(f, true, nums[i], 0, BUSY_MS);
    }
    r = g->n ? store_deadlines(f->store, g->nums, g->n, on_deadlines, g) : 0;
    if (!g->n)
        firing_end(g, 0);
    else if (r < 0)
        flow_later(f, 0, on_nothing, g);
}
