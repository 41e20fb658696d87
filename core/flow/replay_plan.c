/*
 * replay_plan.c - a dry run of a replay: what would go out where, under which key, and what would
 * not, since it is done already. One delivery or event after the other; nothing is written or sent,
 * and the mapping runs as it would.
 *
 *   {"total":20,"more":false,"would":18,"skipped":1,"refused":1,"groups":[{"issue","route",...}],
 *    "items":[{"id":"12.0"|null,"event":12,"route","piece","endpoint","action","subject","state",
 *              "remap":false,"would":"send"|"skip"|"refuse","why","generation","key",
 *              "body_sha256","request_sha256"|null},
 *             {..."edit_lost":true (only if it was
 * edited),"remap":true,"pieces":[{"route","piece","would":"send"|"hold"|"dead"|"drop"|
 *              "skip","to","action","key","generation","body","body_sha256","changes":[...]}]}]}
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/replay.h"
#include "flow/replay_diff.h"
#include "flow/routing.h"
#include "flow/row.h"

#define PAGE 1000

struct plan {
    struct flow *flow;
    struct replay *ask; /* own; its filter and what it does */
    uint32_t limit;
    uint64_t *nums; /* own; deliveries, or events */
    size_t n, at;
    uint64_t total, would, skipped, refused;
    bool more;
    struct buf groups, items;
    void (*cb)(void *ctx, int status, sl_str json);
    void *ctx;

    /* ---- the one that is looked at ---- */
    struct store_delivery row; /* own texts; of an event: `num` alone */
    char *body;                /* own; as it is now */
    size_t body_len;
    struct routing *rt; /* own; it is mapped again */
    size_t piece;       /* of those, the next */
    bool any;           /* one of its pieces would go out */
};

static void look(struct plan *p);
static void next_piece(struct plan *p);

static void forget_row(struct plan *p)
{
    row_free(&p->row);
    p->row = (struct store_delivery){ 0 };
    free(p->body);
    p->body = NULL;
    p->body_len = 0;
    if (p->rt)
        routing_free(p->rt);
    p->rt = NULL;
}

static void finish(struct plan *p, int status)
{
    struct buf b = { 0 };

    if (status == 0) {
        buf_printf(&b,
                   "{\"total\":%" PRIu64 ",\"more\":%s,\"would\":%" PRIu64 ",\"skipped\":%" PRIu64
                   ",\"refused\":%" PRIu64 ",\"groups\":",
                   p->total, p->more ? "true" : "false", p->would, p->skipped, p->refused);
        buf_str(&b, p->groups.len ? buf_view(&p->groups) : STR("[]"));
        buf_cstr(&b, ",\"items\":[");
        buf_str(&b, buf_view(&p->items));
        buf_cstr(&b, "]}");
        if (b.failed || p->items.failed || p->groups.failed)
            status = UV_ENOMEM;
    }
    p->cb(p->ctx, status, status < 0 ? STR("") : buf_view(&b));
    buf_finish(&b);
    buf_finish(&p->groups);
    buf_finish(&p->items);
    forget_row(p);
    replay_free(p->ask);
    free(p->nums);
    free(p);
}

/* ---- writing ---- */

static void put_text(struct buf *b, const char *name, sl_str value)
{
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, value);
}

static void put_sha(struct buf *b, const char *name, sl_str s)
{
    uint8_t digest[DIGEST_SHA256];
    char hex[2 * DIGEST_SHA256 + 1];

    digest_sha256(s.ptr, s.len, digest);
    hex_encode(digest, sizeof(digest), hex);
    put_text(b, name, str_of(hex));
}

static void put_key(struct buf *b, const uint8_t id[16], uint32_t generation)
{
    struct delivery d = { .generation = generation };
    char key[40];

    memcpy(d.id, id, sizeof(d.id));
    delivery_key(&d, key);
    buf_printf(b, ",\"generation\":%u", generation);
    put_text(b, "key", str_of(key));
}

static void begin_item(struct plan *p)
{
    struct buf *b = &p->items;
    char name[32];

    buf_cstr(b, b->len ? ",{\"id\":" : "{\"id\":");
    delivery_name(p->row.num, name);
    if (p->ask->route)
        buf_cstr(b, "null");
    else
        buf_json_str(b, str_of(name));
    buf_printf(b, ",\"event\":%" PRIu64, delivery_event(p->row.num));
    put_text(b, "route", p->ask->route ? str_of(p->ask->route) : p->row.route);
    put_text(b, "piece", p->row.piece);
    put_text(b, "endpoint", p->row.endpoint);
    put_text(b, "action", p->row.action);
    put_text(b, "subject", p->row.subject);
    if (!p->ask->route)
        put_text(b, "state", str_of(delivery_state_names[p->row.state]));
}

/** The item's end; the next one follows, at the loop's next turn. */
static void on_next(void *ctx, bool closing)
{
    struct plan *p = ctx;

    forget_row(p);
    p->at++;
    if (closing)
        finish(p, UV_ECANCELED);
    else
        look(p);
}

static void end_item(struct plan *p, const char *would, const char *why)
{
    put_text(&p->items, "would", str_of(would));
    put_text(&p->items, "why", str_of(why));
    buf_char(&p->items, '}');
    if (strcmp(would, "refuse") == 0)
        p->refused++;
    else if (strcmp(would, "skip") == 0)
        p->skipped++;
    else
        p->would++;
    flow_later(p->flow, 0, on_next, p);
}

/* ---- mapped again: piece by piece ---- */

/** Which delivery is it already, if any? *ret_why: for people. */
static bool is_done(const struct plan *p, json_t *rows, bool same_event, char why[160])
{
    json_t *o;
    size_t i;

    json_array_foreach(rows, i, o)
    {
        const char *id = json_string_value(json_object_get(o, "id"));
        const char *state = json_string_value(json_object_get(o, "state"));
        const char *endpoint = json_string_value(json_object_get(o, "endpoint"));
        uint64_t num = 0;
        if (!id || !state || delivery_parse(str_of(id), &num) < 0 || num == p->row.num)
            continue;
        if (!strcmp(state, "superseded") || (!same_event && !strcmp(state, "discarded")))
            continue;
        if (same_event && strcmp(state, "held") && (!endpoint || !*endpoint))
            continue; /* it never was more than an error */
        snprintf(why, 160, "%s: %s is %s",
                 same_event ? "the event has it already" : "once for each subject", id, state);
        return true;
    }
    return false;
}

static void put_target(struct plan *p, const struct piece *one, const char **would)
{
    const struct conf_target *t = one->target;
    struct buf *b = &p->items;

    *would = one->route->hold ? "hold" : "send";
    if (one->error || !t) {
        *would = one->paused ? "hold" : "dead";
        put_text(b, "why", str_of(one->error));
    } else if (t->kind == TARGET_SEND || t->kind == TARGET_GROUP) {
        const struct conf_target *m = t->kind == TARGET_GROUP ? &t->members[0] : t;
        put_text(b, t->kind == TARGET_GROUP ? "group" : "endpoint",
                 str_of(t->kind == TARGET_GROUP ? t->group->name : t->endpoint->name));
        put_text(b, "action", str_of(m->endpoint->plugin->actions[m->action].name));
    } else {
        *would = t->kind == TARGET_HOLD ? "hold" : t->kind == TARGET_DEAD ? "dead" : "drop";
        put_text(b, "why", str_of(t->text));
    }
}

static void put_piece(struct plan *p, const char *done)
{
    const struct piece *one = &p->rt->pieces[p->piece];
    bool same = !p->ask->route && str_eq(p->row.piece, str_of(one->key));
    sl_str body = { one->body ? one->body : "", one->body_len };
    struct buf *b = &p->items;
    const char *would;
    uint8_t id[16];

    buf_cstr(b, p->piece ? ",{\"route\":" : "{\"route\":");
    buf_json_str(b, str_of(one->route->name));
    put_text(b, "piece", str_of(one->key));
    put_target(p, one, &would);
    delivery_hash(p->rt->event, str_of(one->route->name), str_of(one->key), id);
    put_key(b, id, same ? p->row.generation : 0);
    if (one->body) {
        put_text(b, "body", body);
        put_sha(b, "body_sha256", body);
    }
    if (one->body && !p->ask->route) {
        buf_cstr(b, ",\"changes\":");
        replay_diff(b, (sl_str){ p->body, p->body_len }, body);
    }
    if (done)
        put_text(b, "why", str_of(done));
    put_text(b, "would", str_of(done ? "skip" : would));
    buf_char(b, '}');
    p->any |= !done && (!strcmp(would, "send") || !strcmp(would, "hold"));
    p->piece++;
    next_piece(p);
}

static void on_once(void *ctx, int status, sl_str json)
{
    struct plan *p = ctx;
    json_t *rows = status == 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;
    char why[160];
    bool done = is_done(p, rows, false, why);

    json_decref(rows);
    if (status < 0)
        finish(p, status);
    else
        put_piece(p, done ? why : NULL);
}

/** Has another event of the subject been sent so? Of the route that sends once. */
static void ask_once(struct plan *p)
{
    const struct piece *one = &p->rt->pieces[p->piece];
    const char *subject = routing_subject(p->rt);
    struct store_filter f = {
        .route = one->route->name, .subject = subject, .piece = one->key, .limit = 100
    };
    bool has_key = !p->ask->route && p->row.endpoint.len && str_eq(p->row.piece, str_of(one->key));
    int r = 0;

    if (!one->route->once || !subject[0] || one->error || has_key)
        put_piece(p, NULL);
    else if ((r = store_report(p->flow->store, REPORT_DELIVERIES, &f, on_once, p)) < 0)
        finish(p, r);
}

static void on_same_event(void *ctx, int status, sl_str json)
{
    struct plan *p = ctx;
    json_t *rows = status == 0 ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;
    char why[160];
    bool done = is_done(p, rows, true, why);

    json_decref(rows);
    if (status < 0)
        finish(p, status);
    else if (done)
        put_piece(p, why);
    else
        ask_once(p);
}

static void next_piece(struct plan *p)
{
    const struct piece *one = &p->rt->pieces[p->piece];
    struct store_filter f = { .event = p->rt->event->id, .limit = 100 };
    int r;

    if (p->piece == p->rt->n_pieces) {
        buf_char(&p->items, ']');
        end_item(p, p->any ? "send" : "skip",
                 p->rt->n_pieces == 0 ? "the route makes nothing of it now" : "");
        return;
    }
    f.route = one->route->name;
    f.piece = one->key;
    r = store_report(p->flow->store, REPORT_DELIVERIES, &f, on_same_event, p);
    if (r < 0)
        finish(p, r);
}

static void on_mapped(struct routing *rt)
{
    struct plan *p = rt->ctx;

    if (rt->cancelled || rt->no_memory) {
        finish(p, rt->cancelled ? UV_ECANCELED : UV_ENOMEM);
        return;
    }
    buf_cstr(&p->items, ",\"remap\":true,\"pieces\":[");
    p->piece = 0;
    p->any = false;
    next_piece(p);
}

static void on_event(void *ctx, int status, const struct store_event *se)
{
    struct plan *p = ctx;
    const char *route = p->ask->route ? p->ask->route : p->row.route.ptr;
    struct event *e = status == 0 ? event_from_receipt(se->id, &se->receipt) : NULL;

    if (status == UV_ENOENT || status == UV_EILSEQ) {
        end_item(p, "refuse", "its event is no longer there");
        return;
    }
    if (!e) {
        finish(p, status < 0 ? status : UV_ENOMEM);
        return;
    }
    e->only = mem_str(route);
    p->rt = routing_new(p->flow, e);
    p->rt->ctx = p;
    p->rt->done = on_mapped;
    p->rt->undescribed = routing_describe(p->rt) < 0;
    if (!p->rt->n_abouts && p->row.subject.len)
        routing_about(p->rt, p->row.subject); /* as a link said then */
    routing_map(p->rt);
}

static void map_again(struct plan *p)
{
    sl_str route = p->ask->route ? str_of(p->ask->route) : p->row.route;
    int r;

    if (!config_route(p->flow->config, route)) {
        end_item(p, "refuse", "its route is no longer in the configuration");
        return;
    }
    r = store_event_get(p->flow->store, delivery_event(p->row.num), on_event, p);
    if (r < 0)
        finish(p, r);
}

/* ---- as it is ---- */

static void as_it_is(struct plan *p, sl_str body, sl_str request)
{
    const struct conf_route *route = config_route(p->flow->config, p->row.route);
    struct lane *l = flow_lane(p->flow, p->row.endpoint);
    struct buf *b = &p->items;

    buf_cstr(b, ",\"remap\":false");
    put_key(b, p->row.id, p->row.generation);
    put_sha(b, "body_sha256", body);
    if (request.len)
        put_sha(b, "request_sha256", request);
    else
        buf_cstr(b, ",\"request_sha256\":null");
    if (!route)
        end_item(p, "refuse", "its route is no longer in the configuration");
    else if (!l || !find_target(route, l, p->row.action))
        end_item(p, "refuse", "its route does not send to its endpoint any more");
    else
        end_item(p, "send", "");
}

static void on_row(void *ctx, int status, const struct store_delivery *row, sl_str body,
                   sl_str request)
{
    struct plan *p = ctx;

    if (status < 0 && status != UV_ENOENT) {
        finish(p, status);
        return;
    }
    p->row.num = p->nums[p->at];
    if (status == 0) {
        row_keep(&p->row, row);
        p->body = mem_dup(body);
        p->body_len = body.len;
    }
    begin_item(p);
    if (status == UV_ENOENT)
        end_item(p, "refuse", "there is no such delivery");
    else if (str_eq(p->row.hold_type, STR(REMAPPED)))
        end_item(p, "skip", "it was mapped again: another delivery has its key");
    else if (p->row.state == DS_DELIVERED || p->row.state == DS_SUPERSEDED)
        end_item(p, "skip", "it is done already");
    else if (p->row.state != DS_DEAD && p->row.state != DS_DISCARDED)
        end_item(p, "refuse", "only dead or discarded ones can be replayed");
    else if (p->ask->remap || !p->row.endpoint.len) {
        buf_cstr(&p->items, p->row.edited ? ",\"edit_lost\":true" : "");
        map_again(p);
    } else
        as_it_is(p, body, request);
}

/* ---- one after the other ---- */

static void look(struct plan *p)
{
    int r;

    if (p->at == p->n) {
        finish(p, 0);
        return;
    }
    if (p->ask->route) {
        p->row.num = delivery_num(p->nums[p->at], DELIVERY_ORDINAL_MAX);
        begin_item(p);
        map_again(p);
        return;
    }
    r = store_delivery_get(p->flow->store, p->nums[p->at], on_row, p);
    if (r < 0)
        finish(p, r);
}

/* ---- which ---- */

static void take(struct plan *p, const uint64_t *nums, size_t n)
{
    for (size_t i = 0; i < n; i++, p->total++)
        if (p->n < p->limit)
            p->nums[p->n++] = nums[i];
    p->more = p->total > p->n;
}

static void ask_events(struct plan *p);

static void on_events(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next)
{
    struct plan *p = ctx;

    if (status < 0) {
        finish(p, status);
        return;
    }
    take(p, ids, n);
    p->ask->filter.after = next;
    if (next)
        ask_events(p);
    else
        look(p);
}

static void ask_events(struct plan *p)
{
    int r = replay_ask_events(p->ask, PAGE, on_events, p);

    if (r < 0)
        finish(p, r);
}

static void on_nums(void *ctx, int status, const uint64_t *nums, size_t n)
{
    struct plan *p = ctx;
    uint64_t total = p->total;

    if (status < 0) {
        finish(p, status);
        return;
    }
    p->total = 0;
    take(p, nums, n);
    p->total = total;
    p->more = p->total > p->n;
    look(p);
}

static void on_groups(void *ctx, int status, sl_str json)
{
    struct plan *p = ctx;
    json_t *list, *o;
    size_t i;
    int r;

    if (status < 0) {
        finish(p, status);
        return;
    }
    buf_str(&p->groups, json);
    list = json_loadb(json.ptr, json.len, 0, NULL);
    json_array_foreach(list, i, o)
        p->total += (uint64_t)json_integer_value(json_object_get(o, "count"));
    json_decref(list);
    p->ask->filter.limit = p->limit;
    r = store_select(p->flow->store, &p->ask->filter, on_nums, p);
    if (r < 0)
        finish(p, r);
}

static void on_ids(void *ctx, bool closing)
{
    if (closing)
        finish(ctx, UV_ECANCELED);
    else
        look(ctx);
}

int flow_replay_plan(struct flow *f, const struct replay_ask *ask, const uint64_t *nums,
                     size_t n_nums, uint32_t limit, void (*cb)(void *ctx, int status, sl_str json),
                     void *ctx)
{
    struct plan *p;
    int r = 0;

    if (f->draining)
        return UV_ECANCELED;
    if (ask->route && !config_route(f->config, str_of(ask->route)))
        return UV_ENOENT;
    p = mem_zero(sizeof(*p));
    *p = (struct plan){
        .flow = f,
        .ask = replay_new(f, ask),
        .limit = limit < PAGE ? limit : PAGE,
        .nums = mem_array(PAGE, sizeof(*p->nums)),
        .cb = cb,
        .ctx = ctx,
    };
    if (n_nums) {
        take(p, nums, n_nums);
        flow_later(f, 0, on_ids, p);
        return 0;
    }
    if (ask->route)
        r = replay_ask_events(p->ask, PAGE, on_events, p);
    else
        r = store_report(f->store, REPORT_REPLAYABLE, &p->ask->filter, on_groups, p);
    if (r < 0) {
        replay_free(p->ask);
        free(p->nums);
        free(p);
    }
    return r;
}
