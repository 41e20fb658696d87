/*
 * check_replay.c - the properties of replays: a job takes what was dead before it began, each once,
 * at its pace and with its priority; it stops where it must, and a job that is done has left
 * nothing out. All by what is durable of it.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "sim.h"
#include "store/fingerprint.h"

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

#define KNOWN_MOST 256

/** As the newest fact of it says. */
struct job {
    struct job *next; /* sim.jobs */
    uint64_t id;
    char state[12], end[300];
    char route[12];                         /* old events for this one; empty: dead letters */
    char from_route[12], from_endpoint[12]; /* ... of these alone */
    int64_t started_ms;                     /* wall clock */
    int64_t begun_ms, moved_ms;             /* durable since; its newest state since */
    uint32_t rate;
    uint64_t max_failures, done, refused;
    uint8_t priority;
    bool remap;
    uint64_t known[KNOWN_MOST];
    size_t n_known;
    uint64_t life; /* of the process that these were counted in */
    uint64_t released;
    unsigned epoch; /* as it began */
};

static struct job *job_of(const struct sim *s, uint64_t id)
{
    struct job *j = s->jobs;

    while (j && j->id != id)
        j = j->next;
    return j;
}

/* ---- what is durable of it ---- */

static void text_of(const json_t *o, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(o, name));

    snprintf(out, size, "%s", text ? text : "");
}

static uint64_t number_of(const json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

static void read_known(struct job *j, const json_t *list)
{
    j->n_known = 0;
    for (size_t i = 0; i < json_array_size(list) && i < KNOWN_MOST; i++)
        if (fingerprint_parse(str_of(json_string_value(json_array_get(list, i))),
                              &j->known[j->n_known]) == 0)
            j->n_known++;
}

static void read_job(struct job *j, const json_t *o)
{
    const json_t *filter = json_object_get(o, "filter");
    char priority[12];

    text_of(o, "state", j->state, sizeof(j->state));
    text_of(o, "end", j->end, sizeof(j->end));
    text_of(o, "route", j->route, sizeof(j->route));
    text_of(filter, "route", j->from_route, sizeof(j->from_route));
    text_of(filter, "endpoint", j->from_endpoint, sizeof(j->from_endpoint));
    text_of(o, "priority", priority, sizeof(priority));
    for (uint8_t p = 0; p < PRIORITY__COUNT; p++)
        if (!strcmp(priority, priority_names[p]))
            j->priority = p;
    j->started_ms = (int64_t)number_of(o, "started_ms");
    j->remap = json_is_true(json_object_get(o, "remap"));
    j->rate = (uint32_t)number_of(o, "rate");
    j->max_failures = number_of(o, "max_failures");
    j->done = number_of(o, "done");
    j->refused = number_of(o, "refused");
    read_known(j, json_object_get(o, "known"));
}

/* ---- how it ends ---- */

static bool is_known(const struct job *j, uint64_t issue)
{
    for (size_t i = 0; i < j->n_known; i++)
        if (j->known[i] == issue)
            return true;
    return false;
}

/** When something new failed first; INT64_MAX: nothing did. *ret_failures: of all that it sent. */
static int64_t new_failure(const struct sim *s, const struct job *j, uint64_t *ret_failures)
{
    const struct replay_row *p = s->t->replays;
    int64_t first = INT64_MAX;

    *ret_failures = 0;
    while (p && p->job != j->id)
        p = p->next;
    for (const struct again_row *a = p ? p->again : NULL; a; a = a->next) {
        *ret_failures += a->n;
        if (!is_known(j, a->issue) && a->first_ms < first)
            first = a->first_ms;
    }
    return first;
}

/** In each configuration since the job began? */
static bool was_there(const struct sim *s, const struct job *j, sl_str route, sl_str endpoint)
{
    const struct conf_route *r = config_route(&s->config, route);
    const struct conf_endpoint *e = config_endpoint(&s->config, endpoint);
    bool was = r && e;

    for (unsigned i = j->epoch; was && i <= s->epoch; i++)
        was = (s->with_routes[i] >> r->index & 1) && (s->with_endpoints[i] >> e->index & 1);
    return was;
}

static bool is_for(const char *wanted, sl_str is)
{
    return !wanted[0] || str_eq(is, str_of(wanted));
}

/** It was routed without what it refers to, for nobody who wanted that was there; it does not wait
 *  for it once more. */
static bool lacks_link(const struct event_row *e)
{
    return !e->n_abouts && str_starts(e->receipt.body, STR("ref "));
}

/** It was dead before the job began, and is so still. */
static void check_left_dead(struct sim *s, const struct job *j)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[i];
        if (j->remap && lacks_link(tables_event(s->t, delivery_event(r->num))))
            continue;
        if (r->state == DS_DEAD && r->updated_ms < j->started_ms &&
            is_for(j->from_route, r->route) && is_for(j->from_endpoint, r->endpoint) &&
            was_there(s, j, r->route, r->endpoint))
            world_fail(&s->w, "replay: %" PRIu64 " is done and has left out " NAME_FMT, j->id,
                       NAME(r->num));
    }
}

static void check_left_events(struct sim *s, const struct job *j)
{
    const struct conf_route *route = config_route(&s->config, str_of(j->route));
    bool has;

    for (uint64_t id = 1; id <= s->t->last; id++) {
        const struct event_row *e = tables_event(s->t, id);
        if (!e || e->routed != 1 || e->duplicate_of || e->routed_ms >= j->begun_ms ||
            lacks_link(e) || e->receipt.received_ms >= j->started_ms ||
            !conf_route_matches(route, e->receipt.endpoint, e->receipt.topic) ||
            !was_there(s, j, str_of(j->route), str_of(route->from_endpoint)))
            continue;
        has = false;
        for (uint32_t i = 0; i < e->n_rows; i++)
            has |= e->rows[i] && is_for(j->route, e->rows[i]->route);
        if (!has)
            world_fail(&s->w,
                       "replay: %" PRIu64 " is done, and route %s has not got event %" PRIu64,
                       j->id, j->route, id);
    }
}

static void check_ended(struct sim *s, const struct job *j)
{
    uint64_t failures;
    int64_t first = new_failure(s, j, &failures);

    if (!strcmp(j->state, "done") && first != INT64_MAX && first + s->late_ms < world_now())
        world_fail(&s->w, "replay: %" PRIu64 " is done, and something new had failed", j->id);
    if (!strcmp(j->state, "done") && j->route[0])
        check_left_events(s, j);
    else if (!strcmp(j->state, "done"))
        check_left_dead(s, j);
    if (!strcmp(j->state, "stopped") && first == INT64_MAX &&
        !(j->max_failures && failures > j->max_failures) &&
        !strstr(j->end, "no longer in the configuration"))
        world_fail(&s->w, "replay: %" PRIu64 " stops, and nothing new has failed: %s", j->id,
                   j->end);
}

static void check_fact(struct sim *s, const struct rec_state_item *it)
{
    json_t *o = json_loadb(it->value.ptr, it->value.len, 0, NULL);
    uint64_t id = number_of(o, "id");
    struct job *j = job_of(s, id), before;

    if (!id) {
        json_decref(o);
        return;
    }
    if (!j) {
        j = memset(arena_alloc(&s->arena, sizeof(*j)), 0, sizeof(*j));
        j->id = id;
        j->next = s->jobs;
        j->begun_ms = world_now();
        j->epoch = s->epoch;
        s->jobs = j;
    }
    before = *j;
    read_job(j, o);
    json_decref(o);
    if (before.state[0] && before.started_ms != j->started_ms)
        world_fail(&s->w, "replay: two have the number %" PRIu64, id);
    if (before.state[0] && strcmp(before.state, "running") != 0 &&
        strcmp(before.state, j->state) != 0)
        world_fail(&s->w, "replay: %" PRIu64 " was %s and is %s", id, before.state, j->state);
    if (!strcmp(before.state, j->state))
        return;
    j->moved_ms = world_now();
    world_say(&s->w, "replay %" PRIu64 " is %s: %s", id, j->state, j->end);
    check_ended(s, j);
}

/* ---- what it sends again ---- */

static void check_pace(struct sim *s, struct job *j)
{
    int64_t since = j->begun_ms > s->life_ms ? j->begun_ms : s->life_ms;

    if (j->life != s->deaths) /* two may begin at the same moment */
        j->released = 0;
    j->life = s->deaths;
    j->released++;
    if (j->rate && j->released > 1 + (uint64_t)(world_now() - since) * j->rate / 1000)
        world_fail(&s->w,
                   "replay: %" PRIu64 " released %" PRIu64 " in %" PRId64 " ms at %u a second",
                   j->id, j->released, world_now() - since, j->rate);
}

/** May it send anything now? */
static void check_runs(struct sim *s, const struct job *j, uint64_t num)
{
    uint64_t failures;
    int64_t first = new_failure(s, j, &failures);
    bool cancelled = !strcmp(j->state, "cancelled");

    if (strcmp(j->state, "running") != 0 &&
        !(cancelled && world_now() < j->moved_ms + s->late_ms + SLACK_MS))
        world_fail(&s->w, "replay: %" PRIu64 " is %s and sends " NAME_FMT " again", j->id, j->state,
                   NAME(num));
    /* A step of old events takes as long as they take. */
    if (!j->route[0] && first != INT64_MAX && first + s->late_ms + SLACK_MS < world_now())
        world_fail(&s->w, "replay: %" PRIu64 " sends " NAME_FMT " again, and something new failed",
                   j->id, NAME(num));
}

static void check_sent_again(struct sim *s, const struct job *j, const struct row *r)
{
    struct book *k = book_of(s, r->num);
    bool anew = j->remap || !r->endpoint.len; /* it never was more than an error */

    if (r->before != DS_DEAD || !(anew ? tables_remapped(r) : r->state == DS_READY))
        world_fail(&s->w, "replay: " NAME_FMT " was %s and is %s", NAME(r->num),
                   delivery_state_names[r->before], delivery_state_names[r->state]);
    if (r->before_ms >= j->started_ms)
        world_fail(&s->w, "replay: " NAME_FMT " died after replay %" PRIu64 " began", NAME(r->num),
                   j->id);
    if (!is_for(j->from_route, r->route) || !is_for(j->from_endpoint, r->endpoint))
        world_fail(&s->w, "replay: " NAME_FMT " is none of those that were meant", NAME(r->num));
    if (!k->human && !k->idempotent && k->applied)
        world_fail(&s->w, "replay: " NAME_FMT " is done already", NAME(r->num));
    k->sent_again = true;
    if (anew)
        return;
    k->leave = true;
    k->granted = r->attempts + 1;
}

static void check_priority(struct sim *s, const struct job *j, const struct row *r)
{
    if (r->priority != j->priority)
        world_fail(&s->w, "replay: " NAME_FMT " has the priority %s, not %s", NAME(r->num),
                   priority_names[r->priority], priority_names[j->priority]);
}

/** What was made anew of it. */
static void check_made_anew(struct sim *s, const struct job *j, const struct row *r)
{
    const struct event_row *e = tables_event(s->t, delivery_event(r->num));

    for (uint32_t i = 0; i < e->n_rows; i++)
        if (e->rows[i] && e->rows[i]->instead == r)
            check_priority(s, j, e->rows[i]);
}

static void check_given(struct sim *s, const struct job *j, const struct row *r)
{
    const struct event_row *e = tables_event(s->t, delivery_event(r->num));

    if (!is_for(j->route, r->route) || !r->given)
        world_fail(&s->w, "replay: " NAME_FMT " is none of route %s", NAME(r->num), j->route);
    for (uint32_t i = 0; i < e->n_rows; i++)
        if (e->rows[i] && e->rows[i] != r && str_eq(e->rows[i]->route, r->route))
            world_fail(&s->w, "replay: " NAME_FMT " is made, and " NAME_FMT " was there",
                       NAME(r->num), NAME(e->rows[i]->num));
}

void check_replay_move(struct sim *s, uint64_t id, uint64_t num)
{
    const struct row *r = tables_row(s->t, num);
    struct job *j = job_of(s, id);
    struct book *k = book_of(s, num);

    if (!j || !r) {
        world_fail(&s->w, "replay: " NAME_FMT " is sent again by %" PRIu64 ", which nobody knows",
                   NAME(num), id);
        return;
    }
    if (r->instead && r->made + 1 == s->t->last)
        return; /* checked with the one that it replaces */
    if (k->job == id)
        world_fail(&s->w, "replay: " NAME_FMT " is sent again by %" PRIu64 " twice", NAME(num), id);
    k->job = id;
    check_runs(s, j, num);
    check_pace(s, j);
    if (!tables_remapped(r))
        check_priority(s, j, r);
    check_made_anew(s, j, r);
    if (j->route[0])
        check_given(s, j, r);
    else
        check_sent_again(s, j, r);
}

void check_replay(struct sim *s, enum record_type type, sl_str payload)
{
    struct rec_state rec;

    if (type != REC_STATE || rec_state_decode(payload, &rec) < 0)
        return;
    for (size_t i = 0; i < rec.n_items; i++)
        if (str_eq(rec.items[i].space, STR("replay")) && rec.items[i].value.len)
            check_fact(s, &rec.items[i]);
    rec_state_finish(&rec);
}

/** What was mapped again has its key: where it may have arrived, the other is known. */
static void check_remapped(struct sim *s, const struct row *r)
{
    const struct book *k = book_of(s, r->num), *before = book_of(s, r->instead->num);
    unsigned at = k->applied_at | before->applied_at;

    if (k->human || before->human || !k->applied || !before->applied)
        return;
    /* After a rejection it has another key, and its remote says that nothing of it is there. */
    if (!k->idempotent || (!r->instead->generation && (at & (at - 1))))
        world_fail(&s->w, "doubled: " NAME_FMT " took effect, and " NAME_FMT " before it",
                   NAME(r->num), NAME(r->instead->num));
}

void check_replays(struct sim *s)
{
    for (size_t i = 0; i < s->t->n_rows; i++)
        if (s->t->rows[i]->instead)
            check_remapped(s, s->t->rows[i]);
}

bool check_replays_quiet(const struct sim *s, char *why, size_t len)
{
    for (const struct job *j = s->jobs; j; j = j->next)
        if (!strcmp(j->state, "running")) {
            snprintf(why, len, "replay %" PRIu64 " is running", j->id);
            return false;
        }
    return true;
}
