/*
 * tables_replay.c - issues and replays, as the durable records say: by what
 * core/store/index_issues.c does with them.
 */
#include <string.h>
#include "store/fingerprint.h"
#include "tables.h"

static void *make(struct tables *t, size_t n)
{
    return memset(arena_alloc(&t->arena, n), 0, n);
}

uint64_t tables_replay_of(sl_str who)
{
    uint64_t job = 0;

    if (!str_starts(who, STR("replay:")))
        return 0;
    for (size_t i = strlen("replay:"); i < who.len && who.ptr[i] >= '0' && who.ptr[i] <= '9'; i++)
        job = job * 10 + (uint64_t)(who.ptr[i] - '0');
    return job;
}

struct issue_row *tables_issue(const struct tables *t, uint64_t id)
{
    struct issue_row *i = t->issues;

    while (i && i->id != id)
        i = i->next;
    return i;
}

static const char *class_of(sl_str reason, bool moved, bool by_hand)
{
    if (by_hand)
        return "rejected";
    if (str_starts(reason, STR("given up after")))
        return "given up";
    if (str_starts(reason, STR("request: ")))
        return "request";
    return moved ? "refused" : "route";
}

void tables_died(struct tables *t, struct row *r, bool moved, bool by_hand)
{
    const char *kind = class_of(r->reason, moved, by_hand);
    struct buf reason = { 0 };
    struct issue_row *i;

    fingerprint_reason(&reason, r->reason);
    r->issue = fingerprint_of(r->route, r->endpoint, str_of(kind), buf_view(&reason));
    buf_finish(&reason);
    if (tables_issue(t, r->issue))
        return;
    i = make(t, sizeof(*i));
    *i = (struct issue_row){ .next = t->issues,
                             .id = r->issue,
                             .kind = kind,
                             .route = r->route,
                             .endpoint = r->endpoint,
                             .reason = r->reason };
    t->issues = i;
}

struct replay_row *tables_replay(struct tables *t, uint64_t job)
{
    struct replay_row *p = t->replays;

    while (p && p->job != job)
        p = p->next;
    if (!p && job) {
        p = make(t, sizeof(*p));
        p->job = job;
        p->next = t->replays;
        t->replays = p;
    }
    return p;
}

/** It died again. */
static void count(struct tables *t, uint64_t job, const struct row *r, int64_t now_ms)
{
    struct replay_row *p = tables_replay(t, job);
    struct again_row *a = p->again;

    while (a && a->issue != r->issue)
        a = a->next;
    if (!a) {
        a = make(t, sizeof(*a));
        *a = (struct again_row){ .next = p->again, .issue = r->issue, .first_ms = now_ms };
        p->again = a;
    }
    a->n++;
}

bool tables_remapped(const struct row *r)
{
    return r->state == DS_DISCARDED && str_eq(r->hold_type, STR("remapped"));
}

/** What was made in its place is that replay's, and counts in its issue. */
static void hand_over(struct tables *t, struct row *r, uint64_t by, int64_t now_ms)
{
    struct event_row *e = tables_event(t, delivery_event(r->num));

    for (uint32_t i = 0; i < e->n_rows; i++) {
        struct row *fresh = e->rows[i];
        if (!fresh || fresh->made != t->last - 1 || fresh->instead)
            continue;
        fresh->instead = r;
        fresh->job = by ? by : fresh->job;
        if (!fresh->issue && !delivery_state_final(fresh->state))
            fresh->issue = r->issue;
        if (by && fresh->state == DS_DEAD)
            count(t, by, fresh, now_ms);
    }
}

void tables_replayed(struct tables *t, struct row *r, sl_str who, uint8_t from, int64_t now_ms)
{
    uint64_t by = tables_replay_of(who);

    if (tables_remapped(r))
        hand_over(t, r, by, now_ms);
    if (by && by != r->job) {
        r->job = by;
        tables_replay(t, by)->replayed++;
        if (from == DS_DEAD && r->state == DS_DEAD)
            count(t, by, r, now_ms);
        return;
    }
    if (!r->job || by)
        return;
    if (r->state == DS_DELIVERED && from != DS_DELIVERED)
        tables_replay(t, r->job)->delivered++;
    else if (r->state == DS_DEAD && from != DS_DEAD)
        count(t, r->job, r, now_ms);
    else if (!delivery_state_final(r->state) && delivery_state_final(from))
        r->job = 0; /* somebody else sends it again */
}
