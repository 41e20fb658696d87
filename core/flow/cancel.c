/*
 * cancel.c - what may be at a member that is out is taken back there, before another member gets
 * it: a confirmed cancel is the proof that the interlock asks for.
 *
 * That it is being taken back is durable before the first cancel leaves: from then on nothing but a
 * cancel is asked, since an order that is found may be one that was just cancelled. A cancel that
 * nobody answered is asked again; it does no harm twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/confirm.h"
#include "flow/failover.h"
#include "flow/group.h"
#include "flow/settle.h"

#define CANCEL_ENDS ",\"cancel\":true}"

const struct conf_target *cancel_of(const struct delivery *d)
{
    const struct conf_group *g = d->target ? d->target->group : NULL;

    for (size_t i = 0; g && g->cancels && i < g->n_members; i++)
        if (g->members[i].endpoint == d->lane->conf)
            return &g->cancels[i];
    return NULL;
}

bool cancel_is_on(sl_str detail)
{
    sl_str end = STR(CANCEL_ENDS);

    return detail.len > end.len && !memcmp(detail.ptr + detail.len - end.len, end.ptr, end.len);
}

void cancel_detail(struct buf *b, const struct conf_target *t, sl_str why)
{
    buf_printf(b, "{\"group\":\"%s\",\"chosen\":\"%s\",\"because\":", t->group->name,
               t->endpoint->name);
    buf_json_str(b, why);
    buf_cstr(b, CANCEL_ENDS);
}

static sl_str text_of(struct buf *b)
{
    sl_str s;

    s.ptr = buf_steal(b, &s.len);
    return s;
}

void cancel_begin(const struct delivery *d, sl_str why, struct rec_move *m)
{
    struct buf reason = { 0 }, detail = { 0 };

    buf_printf(&reason, STR_FMT "; %s is asked to cancel it", STR_ARG(why), d->lane->name);
    cancel_detail(&detail, d->target, buf_view(&reason));
    m->state = DS_UNKNOWN;
    m->next_ms = clock_wall_ms();
    m->reason = text_of(&reason);
    m->detail = text_of(&detail);
}

#define NOTED ",\"cancel_asked\":true}"

void cancel_note(struct buf *detail)
{
    if (detail->len)
        detail->len--; /* its bracket */
    buf_cstr(detail, NOTED);
}

bool cancel_noted(sl_str detail)
{
    return detail.len > strlen(NOTED) &&
           !memcmp(detail.ptr + detail.len - strlen(NOTED), NOTED, strlen(NOTED));
}

/* ---- what came of it ---- */

/** The member that gets it now; NULL: none is well, so it stays until one is. */
static struct member *next_member(const struct confirm *c, struct group *g)
{
    struct member *from = NULL;
    size_t to;

    for (size_t i = 0; g && i < g->n; i++)
        if (g->members[i].lane == c->lane)
            from = &g->members[i];
    if (!from)
        return NULL;
    to = group_next(g, from, str_of(c->d->subject), str_of(c->d->piece), c->d->id);
    return to < g->n ? &g->members[to] : NULL;
}

/** No other member is well: there again, unless it was enough there already. */
static void stay(const struct confirm *c, sl_str why, struct rec_move *m)
{
    const struct delivery *d = c->d;
    struct rec_move next = *m;

    settle_retry(d, d->attempts, 0, why, &next);
    if (next.state ==
        DS_WAITING) { /* at once: what was tried last is the cancel, and it was done */
        move_free(&next);
        m->reason = (sl_str){ mem_dup(why), why.len };
    } else {
        *m = next;
        m->generation = d->generation + 1;
    }
    if (!m->detail.len) {
        struct buf detail = { 0 };
        cancel_detail(&detail, d->target, why);
        detail.len -= strlen(CANCEL_ENDS); /* it is over */
        buf_char(&detail, '}');
        m->detail = text_of(&detail);
    }
}

/** Nothing of it is there: it goes out anew, under a new key - the old one stands for what was
 *  cancelled. */
static void gone(struct confirm *c)
{
    struct delivery *d = c->d;
    struct rec_move m = {
        .num = d->num, .state = DS_READY, .generation = d->generation + 1, .arrival = ARRIVAL_NO
    };
    struct buf reason = { 0 }, detail = { 0 };
    struct group *g = d->target->group ? group_find(c->lane->flow, d->target->group->name) : NULL;
    struct member *to = next_member(c, g);

    confirm_answered(c);
    if (confirm_restored(c, STR("it was cancelled; held, since the store was restored")))
        return;
    buf_printf(&reason, "%s has nothing of it: %s", c->lane->name, c->why);
    if (to) {
        m.endpoint = (sl_str){ mem_str(to->lane->name), strlen(to->lane->name) };
        m.burnt = BURNT_ANEW;
        group_moved(&detail, g, to->lane->name, str_of(c->lane->name), buf_view(&reason));
        c->lane->moved_away++;
        to->lane->moved_here++;
        m.detail = text_of(&detail);
        m.reason = text_of(&reason);
    } else {
        stay(c, buf_view(&reason), &m);
    }
    buf_finish(&reason);
    confirm_write(c, &m, &c->extras);
}

static void on_finish(void *ctx)
{
    struct confirm *c = ctx;
    struct buf why = { 0 };

    if (c->finished)
        return;
    c->finished = true;
    switch (c->kind) {
    case SL_DELIVERED:
        gone(c);
        return;
    case SL_REJECTED:
        confirm_answered(c);
        buf_printf(&why, "%s has it and does not take it back: %s", c->lane->name, c->why);
        break;
    case SL_REVIEW:
        buf_printf(&why, "%s was asked to cancel it: %s", c->lane->name, c->why);
        break;
    default:
        if (!confirm_too_long(c)) {
            confirm_later(c, c->after_ms);
            return;
        }
        buf_printf(&why, "nobody could say in time whether it was cancelled: %s", c->why);
        break;
    }
    confirm_hold(c, buf_view(&why));
    buf_finish(&why);
}

static void on_outcome(void *ctx, size_t index, const sl_outcome *o)
{
    struct confirm *c = ctx;

    if (index || c->kind || c->finished)
        return; /* a plugin's mistake: the first word counts */
    c->kind = o->kind;
    c->after_ms = o->after_ms;
    snprintf(c->why, sizeof(c->why), STR_FMT, STR_ARG(o->why));
    extras_link(&c->extras, c->d, o->links, o->n_links);
    extras_emit(&c->extras, c->d, o->emits, o->n_emits,
                SL_HAS(sl_outcome, o, found) && o->found == SL_FOUND_BY_RECONCILIATION);
}

static void on_park(void *ctx, sl_str why, int64_t after_ms)
{
    struct confirm *c = ctx;

    lane_park(c->lane, why, after_ms);
}

/** Nothing of it is worth one: it is asked again from its beginning. */
static void on_checkpoint(void *ctx, sl_str token, uint32_t done, sl_durable_cb cb, void *cb_ctx)
{
    (void)ctx;
    (void)token;
    (void)done;
    cb(cb_ctx, SL_E_UNSUPPORTED);
}

void cancel_ask(struct confirm *c, const sl_record *r)
{
    c->record = *r;
    c->record.request = STR("");
    c->batch = (sl_batch){ .size = sizeof(c->batch), .records = &c->record, .n_records = 1 };
    c->done = (sl_done){ .size = sizeof(c->done),
                         .ctx = c,
                         .outcome = on_outcome,
                         .checkpoint = on_checkpoint,
                         .park = on_park,
                         .finish = on_finish };
    c->adapter->plugin->deliver(c->adapter->self, c->target->handle, &c->batch, &c->done);
}
