/*
 * failover.c - the walk through what waits for a member that is out.
 *
 *   PAGE (of the index) -> CHOOSE (who gets what of it) -> DECIDE (a decision for each of them)
 *        -> the next page; at the end a rest, while the member is out and something is left
 */
#include "flow/failover.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/confirm.h"

#define PAGE         100
#define REST_MS      250   /* something waits for room */
#define REST_IDLE_MS 1000  /* nothing could move; doubled ... */
#define REST_MOST_MS 30000 /* ... up to this */

struct walk {
    struct lane *lane;
    uint8_t priority;
    uint64_t after; /* num: up to here it has been */
    uint64_t rest_ms;
    size_t deciding;                     /* decisions under way, and one for handing them out */
    bool last;                           /* the page was the priority's last */
    bool moved, left;                    /* in this walk: some moved; some would, had they room */
    bool again;                          /* something changed meanwhile */
    uint64_t planned[GROUP_MEMBERS_MAX]; /* of this page, for each member of the group at hand */
};

/** Deliveries of a page that go the same way. */
struct bundle {
    struct walk *walk;
    struct list node;
    enum decision what;
    const char *to; /* "" for those that stay and are held */
    char why[200];
    uint64_t nums[PAGE];
    size_t n;
};

static void page(struct walk *w);

/* ---- one delivery of a page ---- */

/** The member that it is with, if its group is in force; NULL: it is of none. */
static struct member *member_of(struct flow *f, const struct store_delivery *row, struct lane *l,
                                struct group **ret)
{
    const struct conf_route *r = config_route(f->config, row->route);
    const struct conf_target *t = find_group_target(r, l, row->action,
                                                    group_of_detail(row->detail));
    struct group *g = t && t->group ? group_find(f, t->group->name) : NULL;

    for (size_t i = 0; g && i < g->n; i++)
        if (g->members[i].lane == l) {
            *ret = g;
            return &g->members[i];
        }
    return NULL;
}

static bool busy(struct flow *f, const struct store_delivery *row)
{
    const struct delivery *d = flow_delivery(f, row->num);

    return decide_under_way(f, row->num) ||
           (d && (d->settling || d->deciding || d->batch || d->state == DS_INFLIGHT ||
                  (d->trial && d->state == DS_READY)));
}

static int64_t ask_after(const struct group *g, const struct lane *l)
{
    return g->conf->ask_after_ms ? g->conf->ask_after_ms : l->conf->confirm_for_ms;
}

static struct bundle *bundle_for(struct list *bundles, struct walk *w, enum decision what,
                                 const char *to)
{
    list_each (i, bundles) {
        struct bundle *b = list_entry(i, struct bundle, node);
        if (b->what == what && !strcmp(b->to, to))
            return b;
    }
    struct bundle *b = mem_zero(sizeof(*b));
    b->walk = w;
    b->what = what;
    b->to = to;
    list_append(bundles, &b->node);
    return b;
}

/** Room in its window, less what this page brings it. One always fits where there is nothing. */
static bool has_room(const struct walk *w, const struct group *g, size_t i, uint8_t priority)
{
    uint64_t there = g->members[i].lane->windows[priority].n + w->planned[i];

    return there == 0 || there < g->flow->config->window;
}

static void consider(struct walk *w, const struct store_delivery *row, struct list *bundles)
{
    struct flow *f = w->lane->flow;
    bool waits = row->state == DS_READY || row->state == DS_WAITING;
    struct group *g = NULL;
    struct member *m = member_of(f, row, w->lane, &g);
    struct bundle *b;
    size_t to;

    if (!m || !m->out || !(waits || row->state == DS_UNKNOWN) || busy(f, row))
        return;
    if (store_in_doubt(row)) {
        if (g->conf->cancels && !cancel_is_on(row->detail)) {
            b = bundle_for(bundles, w, DECISION_CANCEL, "");
            snprintf(b->why, sizeof(b->why),
                     "it may be at %s, which is out: it is taken back there", w->lane->name);
            b->nums[b->n++] = row->num;
            return;
        }
        if ((int64_t)(uv_now(f->loop) - m->since_ms) < ask_after(g, w->lane))
            return;
        b = bundle_for(bundles, w, DECISION_INTERLOCK, "");
        snprintf(b->why, sizeof(b->why), "it may be at %s, which is out: %.150s", w->lane->name,
                 m->why);
        b->nums[b->n++] = row->num;
        return;
    }
    if (!waits)
        return;
    to = group_next(g, m, row->subject, row->piece, row->id);
    if (to == g->n)
        return; /* nobody is well enough */
    if (!has_room(w, g, to, row->priority)) {
        w->left = true;
        return;
    }
    w->planned[to]++;
    b = bundle_for(bundles, w, DECISION_MOVE, g->members[to].lane->name);
    snprintf(b->why, sizeof(b->why), "%s is out: %.150s", w->lane->name, m->why);
    b->nums[b->n++] = row->num;
}

/* ---- DECIDE ---- */

static void page_done(struct walk *w)
{
    if (--w->deciding)
        return;
    if (w->last) {
        w->priority++;
        w->after = 0;
    }
    page(w);
}

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct bundle *b = ctx;
    struct walk *w = b->walk;

    for (size_t i = 0; i < n; i++)
        w->moved |= results[i].status == 0;
    free(b);
    page_done(w);
}

static void hand_out(struct walk *w, struct list *bundles)
{
    w->deciding = 1;
    while (!list_empty(bundles)) {
        struct bundle *b = list_entry(bundles->next, struct bundle, node);
        struct decide what = { .what = b->what,
                               .who = STR("group"),
                               .why = str_of(b->why),
                               .endpoint = str_of(b->to),
                               .nums = b->nums,
                               .n = b->n };
        list_remove(&b->node);
        w->deciding++;
        if (flow_decide(w->lane->flow, &what, on_decided, b) < 0) {
            free(b);
            w->deciding--;
        }
    }
    page_done(w);
}

/* ---- PAGE ---- */

static void walk_end(struct walk *w)
{
    w->lane->walk = NULL;
    free(w);
}

static void on_rested(void *ctx, bool closing)
{
    struct walk *w = ctx;
    struct flow *f = w->lane->flow;

    if (closing || f->draining || !w->lane->outs) {
        walk_end(w);
        return;
    }
    w->priority = 0;
    w->after = 0;
    w->moved = w->left = w->again = false;
    page(w);
}

/** What could not move is looked at again: soon when it waits for room, else later and later. */
static void rest(struct walk *w)
{
    if (w->left || w->again)
        w->rest_ms = REST_MS;
    else if (w->moved || w->rest_ms < REST_IDLE_MS)
        w->rest_ms = REST_IDLE_MS;
    else
        w->rest_ms = w->rest_ms * 2 < REST_MOST_MS ? w->rest_ms * 2 : REST_MOST_MS;
    flow_later(w->lane->flow, w->rest_ms, on_rested, w);
}

static void on_page(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct walk *w = ctx;
    struct list bundles;

    if (status == UV_ECANCELED || w->lane->flow->draining) {
        walk_end(w);
        return;
    }
    list_init(&bundles);
    memset(w->planned, 0, sizeof(w->planned));
    for (size_t i = 0; status == 0 && i < n; i++) {
        w->after = rows[i].num;
        consider(w, &rows[i], &bundles);
    }
    w->left |= status < 0;
    w->last = status < 0 || n < PAGE;
    hand_out(w, &bundles);
}

static void page(struct walk *w)
{
    struct flow *f = w->lane->flow;

    if (f->draining || !w->lane->outs) {
        walk_end(w);
        return;
    }
    if (w->priority == PRIORITY__COUNT) {
        rest(w);
        return;
    }
    int r = store_claim(f->store, str_of(w->lane->name), w->priority, w->after, PAGE, on_page, w);
    if (r == UV_ECANCELED) {
        walk_end(w);
    } else if (r < 0) {
        w->left = true;
        rest(w);
    }
}

void failover_begin(struct lane *l)
{
    if (l->walk || l->flow->draining || !l->flow->started)
        return;
    l->walk = mem_zero(sizeof(*l->walk));
    l->walk->lane = l;
    page(l->walk);
}

void failover_again(struct lane *l)
{
    if (!l->walk) /* is out, and nothing was left when it was last looked at */
        groups_wake(l->flow);
    else
        l->walk->again = true;
}

/* ---- the interlock ---- */

void failover_choices(struct buf *b, const struct conf_target *t, sl_str owner, sl_str why)
{
    const char *first = t->endpoint->name;

    buf_printf(b, "{\"group\":\"%s\",\"chosen\":\"%s\",\"because\":", t->group->name, first);
    buf_json_str(b, why);
    if (owner.len) {
        buf_cstr(b, ",\"owner\":");
        buf_json_str(b, owner);
    }
    buf_printf(b,
               ",\"choices\":[{\"name\":\"arrived\",\"text\":\"%s has it: it counts as "
               "delivered\"},"
               "{\"name\":\"release\",\"text\":\"%s has nothing: send to %s\"}",
               first, first, first);
    for (size_t i = 0; i < t->group->n_members; i++) {
        const char *other = t->group->members[i].endpoint->name;
        if (strcmp(other, first) != 0)
            buf_printf(b, ",{\"name\":\"release --to %s\",\"text\":\"%s has nothing: send to %s\"}",
                       other, first, other);
    }
    buf_cstr(b, "]}");
}

static int refuse(char text[160], int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char text[160], int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, 160, fmt, ap);
    va_end(ap);
    return code;
}

/** The target at `to` of the same group as the one that the delivery is with. */
static const struct conf_target *other_member(struct flow *f, const struct store_delivery *row,
                                              struct lane *to, const struct conf_target **ret_from)
{
    const struct conf_route *r = config_route(f->config, row->route);
    struct lane *from = flow_lane(f, row->endpoint);
    const struct conf_target *a, *b;

    a = from ? find_group_target(r, from, row->action, group_of_detail(row->detail)) : NULL;
    b = a && a->group ? find_group_target(r, to, row->action, str_of(a->group->name)) : NULL;
    *ret_from = a;
    return b && b->group == a->group ? b : NULL;
}

/** Waiting ones go at once; held ones stay held, but for the hold that this decides. */
static void state_after(const struct store_delivery *row, struct rec_move *m)
{
    bool decided = str_eq(row->hold_type, STR(HOLD_INTERLOCK)) ||
                   str_eq(row->hold_type, STR("unknown-outcome"));

    m->state = DS_READY;
    if (row->state != DS_HELD || decided)
        return;
    m->state = DS_HELD;
    m->hold_type = row->hold_type;
    m->next_ms = row->next_ms;
}

int failover_check(struct flow *f, const struct store_delivery *row, sl_str to, bool nothing_there,
                   struct rec_move *m, struct buf *detail, char text[160])
{
    const struct conf_target *from, *t;
    struct lane *l = flow_lane(f, to);

    if (!to.len)
        return refuse(text, UV_EINVAL, "say where to with --to ENDPOINT");
    if (!l)
        return refuse(text, UV_EINVAL, "there is no endpoint \"" STR_FMT "\"", STR_ARG(to));
    if (str_eq(to, row->endpoint))
        return refuse(text, UV_EINVAL, "it is with " STR_FMT " already", STR_ARG(to));
    t = other_member(f, row, l, &from);
    if (!t)
        return refuse(text, UV_EINVAL, "no group of its route has both " STR_FMT " and " STR_FMT,
                      STR_ARG(row->endpoint), STR_ARG(to));
    if (row->state != DS_READY && row->state != DS_WAITING && row->state != DS_HELD &&
        row->state != DS_UNKNOWN)
        return refuse(text, UV_EINVAL, "it is %s; only what waits or is held can move",
                      delivery_state_names[row->state]);
    if (!nothing_there && (store_in_doubt(row) || row->state == DS_UNKNOWN))
        return refuse(text, UV_EINVAL,
                      STR_FMT
                      " may have it: it moves when that says no, or with --not-arrived if "
                      "you know that it has nothing",
                      STR_ARG(row->endpoint));
    m->endpoint = str_of(t->endpoint->name);
    state_after(row, m);
    group_moved(detail, group_find(f, t->group->name), t->endpoint->name, row->endpoint, m->reason);
    return 0;
}
