/*
 * group.c - how the members of a group are, and which of them gets a delivery.
 *
 * All choices are a matter of arithmetic: the same members, the same health and the same order of
 * events give the same choices. The weighted round is the smooth one: over as many choices as the
 * weights' sum each member has exactly its weight of turns.
 */
#include "flow/group.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/failover.h"
#include "flow/pause.h"

/* ---- how a lane is ---- */

bool lane_usable(const struct lane *l, char why[200])
{
    char unused[200];

    why = why ? why : unused;
    if (l->pause)
        snprintf(why, 200, "it is %s by %.60s%s%.100s", l->pause->drain ? "drained" : "paused",
                 l->pause->who, l->pause->why[0] ? ": " : "", l->pause->why);
    else if (l->parked)
        snprintf(why, 200, "it is parked: %.180s", l->park_why);
    else if (l->breaker.by_hand)
        snprintf(why, 200, "its breaker was opened by hand by %s", l->trip_who);
    else if (l->breaker.state == BREAKER_OPEN)
        snprintf(why, 200, "its breaker is open");
    else if (l->breaker.state == BREAKER_HALF_OPEN)
        snprintf(why, 200, "its breaker is half open");
    else
        return true;
    return false;
}

uint64_t lane_backlog(const struct lane *l)
{
    return l->counts[DS_READY] + l->counts[DS_INFLIGHT] + l->counts[DS_WAITING] +
           l->counts[DS_UNKNOWN] + l->outside;
}

static bool spilled(const struct lane *l)
{
    bool any = false;

    for (int p = 0; p < PRIORITY__COUNT; p++)
        any |= l->windows[p].spilled || l->windows[p].out_from;
    return any;
}

/* ---- how a member is ---- */

static void set_out(struct member *m, bool out)
{
    m->lane->outs += out && !m->out;
    m->lane->outs -= !out && m->out;
    m->out = out;
}

/** The breaker of an action that the group is for, which is not closed; NULL: all are. */
static const struct breaker *open_action(const struct member *m)
{
    const struct lane *l = m->lane;

    for (unsigned i = 0; l->actions && l->conf && l->conf->breaker.per_action && i < 64; i++)
        if (m->actions >> i & 1 && l->actions[i].state != BREAKER_CLOSED)
            return &l->actions[i];
    return NULL;
}

static bool member_usable(struct member *m)
{
    const struct breaker *b;

    if (!lane_usable(m->lane, m->why))
        return false;
    if (!(b = open_action(m)))
        return true;
    snprintf(m->why, sizeof(m->why), "its breaker of %.60s is %s",
             m->lane->conf->plugin->actions[b - m->lane->actions].name,
             b->state == BREAKER_OPEN ? "open" : "half open");
    return false;
}

static void look_at(const struct group *g, struct member *m, uint64_t now)
{
    bool usable = member_usable(m);

    if (usable != m->usable) {
        m->was_bad = true;
        m->usable = usable;
        m->since_ms = now;
    }
    if (usable) {
        if (now - m->since_ms >= (uint64_t)g->conf->back_after_ms)
            m->was_bad = false;
        set_out(m, false);
        m->why[0] = '\0';
        if (m->was_bad)
            snprintf(m->why, sizeof(m->why), "it is well again, but not for long enough yet");
    } else {
        set_out(m, m->out || m->lane->parked ||
                       now - m->since_ms >= (uint64_t)g->conf->failover_after_ms);
    }
}

/** One delivery may be sent to find out whether it is well again: there is nothing else at it that
 *  would. A person's pause is no reason to try. */
static bool may_be_tried(const struct member *m, uint64_t now)
{
    const struct lane *l = m->lane;
    const struct breaker *b = open_action(m);

    if (l->pause || lane_backlog(l) || spilled(l) || l->under_way || l->breaker.by_hand)
        return false;
    if (l->parked)
        return now >= l->parked_until;
    b = b ? b : &l->breaker;
    return b->state == BREAKER_HALF_OPEN || (b->state == BREAKER_OPEN && now >= b->open_until);
}

void group_look(struct group *g)
{
    uint64_t now = uv_now(g->flow->loop);

    for (size_t i = 0; i < g->n; i++)
        look_at(g, &g->members[i], now);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/** Milliseconds until time alone changes how a member is; UINT64_MAX: it does not. */
static uint64_t changes_in(const struct group *g, const struct member *m, uint64_t now)
{
    uint64_t wait = (uint64_t)(m->usable ? g->conf->back_after_ms : g->conf->failover_after_ms);

    if (m->usable ? !m->was_bad : m->out)
        return UINT64_MAX;
    return now - m->since_ms >= wait ? 1 : wait - (now - m->since_ms);
}

static void on_timer(uv_timer_t *t)
{
    struct flow *f = container_of(t, struct flow, group_timer);
    uint64_t now = uv_now(f->loop), next = UINT64_MAX;

    if (f->draining)
        return;
    for (size_t i = 0; i < f->n_groups; i++) {
        struct group *g = f->groups[i];

        group_look(g);
        for (size_t k = 0; k < g->n; k++) {
            next = least(next, changes_in(g, &g->members[k], now));
            if (g->members[k].out &&
                (lane_backlog(g->members[k].lane) || spilled(g->members[k].lane)))
                failover_begin(g->members[k].lane);
        }
    }
    if (next != UINT64_MAX)
        uv_timer_start(t, on_timer, next, 0);
}

void groups_wake(struct flow *f)
{
    if (f->n_groups && !f->draining)
        uv_timer_start(&f->group_timer, on_timer, 0, 0);
}

/* ---- life ---- */

void groups_actions(struct flow *f)
{
    for (size_t i = 0; i < f->n_groups; i++)
        for (size_t k = 0; k < f->groups[i]->n; k++)
            f->groups[i]->members[k].actions = 0;
    for (size_t i = 0; i < f->config->n_routes; i++) {
        const struct conf_target *t;
        for (size_t k = 0; (t = conf_route_send(&f->config->routes[i], k)); k++) {
            struct group *g = t->group ? group_find(f, t->group->name) : NULL;
            for (size_t j = 0; g && j < g->n; j++)
                if (g->members[j].lane->conf == t->endpoint && t->action < 64)
                    g->members[j].actions |= UINT64_C(1) << t->action;
        }
    }
}

struct group *group_new(struct flow *f, const struct conf_group *conf)
{
    struct group *g = mem_zero(sizeof(*g));

    g->flow = f;
    g->conf = conf;
    g->name = mem_str(conf->name);
    g->n = conf->n_members;
    g->members = mem_array(g->n, sizeof(*g->members));
    for (size_t i = 0; i < g->n; i++) {
        g->members[i].lane = flow_lane(f, str_of(conf->members[i].endpoint->name));
        g->members[i].usable = true;
    }
    return g;
}

void groups_open(struct flow *f)
{
    f->n_groups = f->n_all_groups = f->config->n_groups;
    f->groups = mem_array(f->n_groups ? f->n_groups : 1, sizeof(struct group *));
    for (size_t i = 0; i < f->n_groups; i++)
        f->groups[i] = group_new(f, &f->config->groups[i]);
    groups_actions(f);
    uv_timer_init(f->loop, &f->group_timer);
    uv_handle_set_data((uv_handle_t *)&f->group_timer, f);
    f->handles++;
}

void groups_close(struct flow *f)
{
    for (size_t i = 0; i < f->n_all_groups; i++) {
        free(f->groups[i]->members);
        free(f->groups[i]->name);
        free(f->groups[i]);
    }
    free(f->groups);
    f->groups = NULL;
    f->n_groups = f->n_all_groups = 0;
    uv_close((uv_handle_t *)&f->group_timer, flow_on_closed);
}

struct group *group_find(const struct flow *f, const char *name)
{
    for (size_t i = 0; i < f->n_groups; i++)
        if (!strcmp(f->groups[i]->name, name))
            return f->groups[i];
    return NULL;
}

/* ---- the choice ---- */

static const char *name_of(const struct group *g, size_t i)
{
    return g->conf->members[i].endpoint->name;
}

static int64_t weight_of(const struct group *g, size_t i)
{
    return g->conf->policy == GROUP_WEIGHTED ? (int64_t)g->conf->members[i].weight : 1;
}

static uint32_t all_of(const struct group *g)
{
    return g->n >= 32 ? UINT32_MAX : (1u << g->n) - 1;
}

/** Those that may be chosen, by bit; *ret_trial those of them that are only tried out. */
static uint32_t who_may(struct group *g, uint32_t *ret_trial)
{
    uint64_t now = uv_now(g->flow->loop);
    uint32_t well = 0, back = 0, trial = 0;

    group_look(g);
    for (size_t i = 0; i < g->n; i++) {
        const struct member *m = &g->members[i];

        if (m->usable && !m->was_bad)
            well |= 1u << i;
        else if (m->usable)
            back |= 1u << i;
        else if (!m->coming && may_be_tried(m, now))
            trial |= 1u << i;
    }
    *ret_trial = trial;
    if (well | trial)
        return well | trial;
    return back ? back : all_of(g);
}

/** The weighted round's next; its turn is taken. */
static size_t by_turn(struct group *g, uint32_t who)
{
    int64_t sum = 0;
    size_t best = g->n;

    for (size_t i = 0; i < g->n; i++) {
        if (!(who & 1u << i))
            continue;
        g->members[i].turn += weight_of(g, i);
        sum += weight_of(g, i);
        if (best == g->n || g->members[i].turn > g->members[best].turn)
            best = i;
    }
    g->members[best].turn -= sum;
    return best;
}

static void take_turn_back(struct group *g, size_t chosen, uint32_t who)
{
    for (size_t i = 0; i < g->n; i++)
        if (who & 1u << i) {
            g->members[i].turn -= weight_of(g, i);
            g->members[chosen].turn += weight_of(g, i);
        }
}

static uint64_t backlog_of(const struct group *g, size_t i)
{
    return lane_backlog(g->members[i].lane) + g->members[i].coming;
}

/** The shortest backlog; of equal ones who was chosen least. */
static size_t by_backlog(const struct group *g, uint32_t who)
{
    size_t best = g->n;

    for (size_t i = 0; i < g->n; i++) {
        if (!(who & 1u << i))
            continue;
        if (best == g->n || backlog_of(g, i) < backlog_of(g, best) ||
            (backlog_of(g, i) == backlog_of(g, best) &&
             g->members[i].chosen < g->members[best].chosen))
            best = i;
    }
    return best;
}

static uint64_t score(const struct group *g, size_t i, sl_str key)
{
    sl_str parts[] = { STR("group"), str_of(name_of(g, i)), key };
    uint8_t full[DIGEST_SHA256];
    uint64_t n = 0;

    digest_parts(parts, 3, full);
    for (int k = 0; k < 8; k++)
        n = n << 8 | full[k];
    return n;
}

/** The highest score: when one goes, only what it had is shared out among the others. */
static size_t by_hash(const struct group *g, uint32_t who, sl_str key)
{
    size_t best = g->n;

    for (size_t i = 0; i < g->n; i++)
        if ((who & 1u << i) && (best == g->n || score(g, i, key) > score(g, best, key)))
            best = i;
    return best;
}

static sl_str key_of(const struct group *g, const struct group_ask *ask)
{
    sl_str key = g->conf->key == GROUP_KEY_PIECE ? ask->piece : ask->subject;

    return key.len ? key : (sl_str){ (const char *)ask->id, 16 };
}

static size_t by_policy(struct group *g, uint32_t who, const struct group_ask *ask)
{
    switch (g->conf->policy) {
    case GROUP_WEIGHTED:
    case GROUP_ROUND_ROBIN:
        return by_turn(g, who);
    case GROUP_LEAST:
        return by_backlog(g, who);
    case GROUP_HASH:
        return by_hash(g, who, key_of(g, ask));
    default:
        for (size_t i = 0; i < g->n; i++)
            if (who & 1u << i)
                return i;
        return 0;
    }
}

static size_t index_of(const struct group *g, const char *endpoint)
{
    for (size_t i = 0; i < g->n; i++)
        if (!strcmp(name_of(g, i), endpoint))
            return i;
    return g->n;
}

/** Where the one before it of its subject waits: two of one subject need not wait for each other
 *  over two remotes. */
static size_t by_subject(const struct group *g, const struct group_ask *ask,
                         const struct delivery **ret_before)
{
    const struct delivery *d = chain_last(g->flow, ask->route, ask->subject, ask->piece);

    if (!d || !d->lane->conf)
        return g->n;
    *ret_before = d;
    return index_of(g, d->lane->conf->name);
}

/* ---- what is said of it ---- */

#define DETAIL_BEGINS "{\"group\":\""

sl_str group_of_detail(sl_str detail)
{
    const char *end;

    if (!str_starts(detail, STR(DETAIL_BEGINS)))
        return STR("");
    detail.ptr += strlen(DETAIL_BEGINS);
    detail.len -= strlen(DETAIL_BEGINS);
    end = memchr(detail.ptr, '"', detail.len); /* a name has nothing that is escaped */
    detail.len = end ? (size_t)(end - detail.ptr) : 0;
    return detail;
}

static void say_because(struct buf *b, const struct group *g, size_t i, uint32_t trial)
{
    if (trial & 1u << i) {
        buf_cstr(b, "its turn, and to see whether it is well again");
        return;
    }
    switch (g->conf->policy) {
    case GROUP_WEIGHTED:
        buf_printf(b, "its turn, with weight %u", g->conf->members[i].weight);
        break;
    case GROUP_ROUND_ROBIN:
        buf_cstr(b, "its turn");
        break;
    case GROUP_LEAST:
        buf_printf(b, "the shortest backlog: %" PRIu64, backlog_of(g, i));
        break;
    case GROUP_HASH:
        buf_printf(b, "the %s leads to it", g->conf->key == GROUP_KEY_PIECE ? "piece" : "subject");
        break;
    default:
        buf_cstr(b, "the first that is healthy");
        break;
    }
}

static void say_other(struct buf *b, const struct group *g, size_t i, uint32_t who)
{
    const struct member *m = &g->members[i];

    if (m->why[0]) {
        buf_json_str(b, str_of(m->why));
        return;
    }
    if (g->conf->policy == GROUP_LEAST)
        buf_printf(b, "\"its backlog: %" PRIu64 "\"", backlog_of(g, i));
    else
        buf_cstr(b, !(who & 1u << i)                    ? "\"not asked\""
                    : g->conf->policy == GROUP_FAILOVER ? "\"it comes later\""
                                                        : "\"not its turn\"");
}

static void group_say(struct buf *b, const struct group *g, size_t chosen, sl_str because,
                      uint32_t who)
{
    bool first = true;

    buf_cstr(b, "{\"group\":");
    buf_json_str(b, str_of(g->name));
    buf_cstr(b, ",\"chosen\":");
    buf_json_str(b, str_of(name_of(g, chosen)));
    buf_cstr(b, ",\"because\":");
    buf_json_str(b, because);
    buf_cstr(b, ",\"others\":[");
    for (size_t i = 0; i < g->n; i++) {
        if (i == chosen)
            continue;
        buf_cstr(b, first ? "{\"endpoint\":" : ",{\"endpoint\":");
        first = false;
        buf_json_str(b, str_of(name_of(g, i)));
        buf_cstr(b, ",\"why\":");
        say_other(b, g, i, who);
        buf_char(b, '}');
    }
    buf_cstr(b, "]}");
}

/* ---- put together ---- */

/** Fills `why`, and of *ret who took part in a turn and whether it is a trial. */
static size_t choose(struct group *g, const struct group_ask *ask, struct buf *why,
                     struct group_turn *ret)
{
    const struct delivery *before = NULL;
    uint32_t trial, who = who_may(g, &trial);
    size_t i = ask->sticky ? index_of(g, ask->sticky) : g->n;
    char name[32];

    if (i < g->n) {
        buf_cstr(why, "it was sent there before, and may have arrived");
        return i;
    }
    i = by_subject(g, ask, &before);
    if (i < g->n && g->members[i].usable) {
        delivery_name(before->num, name);
        buf_printf(why, "%s of the same subject waits there", name);
        return i;
    }
    i = by_policy(g, who, ask);
    ret->took_part = who;
    ret->trial = trial & 1u << i;
    if (!g->members[i].usable && !(trial & 1u << i))
        buf_cstr(why, "no member is healthy: ");
    say_because(why, g, i, trial);
    return i;
}

/** `t` may be of a configuration before this one, with other members. */
static const struct conf_target *member_named(const struct conf_target *t, const char *endpoint)
{
    for (size_t i = 0; i < t->n_members; i++)
        if (!strcmp(t->members[i].endpoint->name, endpoint))
            return &t->members[i];
    return &t->members[0];
}

const struct conf_target *group_choose(struct flow *f, const struct conf_target *t,
                                       const struct group_ask *ask, struct buf *detail,
                                       struct group_turn *ret)
{
    struct group *g = group_find(f, t->group->name);
    struct buf because = { 0 };

    *ret = (struct group_turn){ 0 };
    if (!g) /* a reload removed it meanwhile */
        return &t->members[0];
    *ret = (struct group_turn){ .group = g, .epoch = g->epoch };
    ret->chosen = choose(g, ask, &because, ret);
    group_say(detail, g, ret->chosen, buf_view(&because), ret->took_part);
    g->members[ret->chosen].chosen++;
    g->members[ret->chosen].coming++;
    buf_finish(&because);
    return member_named(t, name_of(g, ret->chosen));
}

/* ---- moving on ---- */

size_t group_next(struct group *g, const struct member *from, sl_str subject, sl_str piece,
                  const uint8_t id[16])
{
    struct group_ask ask = { .subject = subject, .piece = piece, .id = id };
    uint32_t well = 0;

    group_look(g);
    for (size_t i = 0; i < g->n; i++)
        if (g->members[i].usable && !g->members[i].was_bad && &g->members[i] != from)
            well |= 1u << i;
    return well ? by_policy(g, well, &ask) : g->n;
}

void group_moved(struct buf *b, const struct group *g, const char *to, sl_str from, sl_str why)
{
    struct buf because = { 0 };

    buf_printf(&because, "moved from " STR_FMT ": " STR_FMT, STR_ARG(from),
               STR_ARG(why.len ? why : STR("by hand")));
    if (g)
        group_say(b, g, index_of(g, to), buf_view(&because), 0);
    buf_finish(&because);
}

void group_chosen(struct group_turn *t, bool counts)
{
    struct member *m;

    if (!t->group || t->epoch != t->group->epoch)
        return;
    m = &t->group->members[t->chosen];
    m->coming -= m->coming > 0;
    if (!counts) {
        m->chosen -= m->chosen > 0;
        if (t->took_part && t->group->conf->policy != GROUP_LEAST)
            take_turn_back(t->group, t->chosen, t->took_part);
    }
    t->group = NULL;
}
