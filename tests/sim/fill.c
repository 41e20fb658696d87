/*
 * fill.c - holds whose choice lets a person fill in what the payload lacks; clerks who do so, well
 * or badly; and what must hold then: a mistake is refused, what was filled in is in the payload and
 * nothing else has changed, it goes out under a new key, and never as something that may have
 * arrived. From sources of their own, so that what else a seed brings stays as it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "sim.h"

#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])

#define NAME(num) (num) >> DELIVERY_ORDINAL_BITS, (unsigned)((num)&DELIVERY_ORDINAL_MAX)
#define NAME_FMT  "%" PRIu64 ".%u"

#define CLERK "a clerk"

static struct conf_field fields[] = {
    { .name = "zip", .path = "/zip", .label = "postcode", .pattern = "[0-9]+" },
    { .name = "floor", .path = "/floor", .as = FIELD_NUMBER, .optional = true },
};

static struct conf_choice choices[] = {
    { .name = "mend", .release = true, .fields = fields, .n_fields = 2 },
    { .name = "refuse" },
};

void fill_plan(struct sim *s)
{
    struct rng own, *g = &own;

    world_rng(&s->w, 55, g);
    for (size_t i = 0; i < s->config.n_routes; i++) {
        struct conf_route *r = &s->routes[i];
        if (!r->hold || !one_in(g, 2))
            continue;
        s->filled[i] = *r->hold;
        s->filled[i].choices = choices;
        s->filled[i].n_choices = 2;
        r->hold = &s->filled[i];
        s->fills = (unsigned)PICK(g, 5, 20);
        world_say(&s->w, "route %s lets a clerk fill in what it holds", r->name);
    }
    s->json = s->fills > 0;
    world_rng(&s->w, 56, &s->filling);
}

/* ---- clerks ---- */

struct asked {
    struct sim *sim;
    bool good;
    uint64_t num;
};

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct asked *a = ctx;

    if (n == 1 && results[0].status == 0 && !a->good)
        world_fail(&a->sim->w, "fill: " NAME_FMT " was filled in wrongly, and that was taken",
                   NAME(a->num));
}

static const struct row *find_held(const struct sim *s, size_t from)
{
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[(from + i) % s->t->n_rows];
        if (r->state == DS_HELD && r->detail.len && strstr(r->detail.ptr, "\"set\":["))
            return r;
    }
    return NULL;
}

/** Each value is used once, so that what is found in a payload tells who put it there. */
static void say_set(struct sim *s, struct asked *a, char set[80])
{
    static const char *const bad[] = { "{}", "{\"zip\":\"12a\"}",
                                       "{\"zip\":\"1\",\"street\":\"x\"}",
                                       "{\"zip\":\"1\",\"floor\":\"high\"}", "{\"zip\":7}" };
    struct rng *g = &s->filling;
    unsigned value = (unsigned)(10000 + s->filled_in);

    a->good = !one_in(g, 3);
    if (!a->good) {
        snprintf(set, 80, "%s", bad[rng_below(g, sizeof(bad) / sizeof(bad[0]))]);
        return;
    }
    s->filled_in++;
    if (one_in(g, 2))
        snprintf(set, 80, "{\"zip\":\"%u\",\"floor\":\"3\"}", value);
    else
        snprintf(set, 80, "{\"zip\":\"%u\"}", value);
}

static void on_clerk(void *ctx)
{
    struct sim *s = ctx;
    struct rng *g = &s->filling;
    const struct row *r;
    char set[80];

    s->fills--;
    if (!s->flow || s->flow->draining || !s->t->n_rows ||
        !(r = find_held(s, rng_below(g, s->t->n_rows))))
        return;
    struct asked *a = memset(arena_alloc(&s->arena, sizeof(*a)), 0, sizeof(*a));
    a->sim = s;
    a->num = r->num;
    say_set(s, a, set);
    struct decide d = { .what = DECISION_RELEASE,
                        .who = STR(CLERK),
                        .choice = STR("mend"),
                        .set = str_of(set),
                        .nums = &a->num,
                        .n = 1 };
    world_say(&s->w, "a clerk fills in " NAME_FMT ": %s", NAME(r->num), set);
    flow_decide(s->flow, &d, on_decided, a);
}

void fill_begin(struct sim *s)
{
    for (unsigned i = 0; i < s->fills; i++)
        world_in(&s->w, between(&s->filling, 0, s->span_ms + AFTER_MS), on_clerk, s);
}

bool fill_decided(sl_str who)
{
    return str_eq(who, STR(CLERK));
}

/* ---- what must hold ---- */

/** The payload is what it was, and behind it what was filled in. */
static bool is_filled(sl_str before, sl_str after)
{
    const char *zip = before.len > 2 ? ",\"zip\":\"1" : "\"zip\":\"1";
    size_t n = before.len ? before.len - 1 : 0; /* without its bracket */

    return before.len >= 2 && after.len > before.len && !memcmp(before.ptr, after.ptr, n) &&
           after.len - n > strlen(zip) && !memcmp(after.ptr + n, zip, strlen(zip)) &&
           after.ptr[after.len - 1] == '}';
}

static bool is_filled_again(sl_str before, sl_str after)
{
    const char *at = strstr(before.ptr, "\"zip\":");
    size_t n = at ? (size_t)(at - before.ptr) : before.len;

    return at && after.len > n && !memcmp(before.ptr, after.ptr, n) &&
           strstr(after.ptr, "\"zip\":\"1");
}

void check_filled(struct sim *s, sl_str who, const struct rec_move *m)
{
    const struct row *r = tables_row(s->t, m->num);
    struct book *k = book_of(s, m->num);

    if (m->body.len)
        k->filled = fill_decided(who);
    if (!r || !fill_decided(who) || !m->body.len)
        return;
    if (!is_filled(r->body_before, r->body) && !is_filled_again(r->body_before, r->body))
        world_fail(&s->w, "fill: the payload of " NAME_FMT " was " STR_FMT " and is " STR_FMT,
                   NAME(m->num), STR_ARG(r->body_before), STR_ARG(r->body));
    if (r->generation != r->generation_before + 1)
        world_fail(&s->w, "fill: " NAME_FMT " goes under its old key", NAME(m->num));
    if (!k->human && k->applied_at)
        world_fail(&s->w, "fill: " NAME_FMT " has another payload, and arrived with the old one",
                   NAME(m->num));
    k->key_may_change = true;
}
