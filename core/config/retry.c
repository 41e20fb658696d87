/*
 * retry.c - the retry policy: a preset by its name, single values over it; the route's over the
 * endpoint's over the default.
 */
#include "config/load.h"

#define SEC             INT64_C(1000)
#define MIN             (60 * SEC)
#define HOUR            (60 * MIN)
#define CRITICAL_AGE_MS (72 * HOUR)

/* In the order of the option's choices. */
static const struct conf_retry presets[] = {
    { .first_ms = 200, .cap_ms = 5 * SEC, .max_age_ms = MIN },                 /* interactive */
    { .first_ms = 500, .cap_ms = 30 * SEC, .max_age_ms = 15 * MIN },           /* inventory */
    { .first_ms = 10 * SEC, .cap_ms = 30 * MIN, .max_age_ms = 7 * 24 * HOUR }, /* bulk */
    { .first_ms = SEC, .cap_ms = 5 * MIN, .max_age_ms = 24 * HOUR },           /* standard */
};
#define STANDARD 3

static bool given(const sl_values *v, const char *name, int64_t *ret)
{
    const struct value *value = values_get(v, name);

    if (value->from != VALUE_GIVEN)
        return false;
    *ret = value->num;
    return true;
}

/** The policy over what stands below it. Its parts that were given, as bits. */
static unsigned overlay(const sl_values *v, struct conf_retry *r)
{
    int64_t preset = STANDARD, attempts;
    unsigned own = 0;

    if (given(v, "retry.preset", &preset)) {
        *r = presets[preset];
        own |= RETRY_GIVEN | (preset == STANDARD ? 0 : RETRY_AGE_GIVEN);
    }
    own |= given(v, "retry.first", &r->first_ms) ? RETRY_GIVEN : 0;
    own |= given(v, "retry.cap", &r->cap_ms) ? RETRY_GIVEN : 0;
    own |= given(v, "retry.max_age", &r->max_age_ms) ? RETRY_GIVEN | RETRY_AGE_GIVEN : 0;
    if (given(v, "retry.max_attempts", &attempts)) {
        r->max_attempts = (uint32_t)attempts;
        own |= RETRY_GIVEN;
    }
    return own;
}

static void check(struct load *l, const struct conf_retry *r, const sl_values *v)
{
    const struct value *first = values_get(v, "retry.first"), *cap = values_get(v, "retry.cap");
    const struct value *wrong = first->from == VALUE_GIVEN ? first : cap;

    if (r->first_ms > r->cap_ms && wrong->from == VALUE_GIVEN)
        report_at(&l->rd.report, wrong->line, wrong->column,
                  "\"retry.first\" is longer than \"retry.cap\"");
}

void load_endpoint_retry(struct load *l, struct conf_endpoint *e, const sl_values *v)
{
    e->retry = presets[STANDARD];
    l->retry_given[e->index] = overlay(v, &e->retry);
    e->has_retry = l->retry_given[e->index] != 0;
    check(l, &e->retry, v);
}

/** An age that nobody gave is longer for what is critical. */
static struct conf_retry for_endpoint(const struct load *l, const struct conf_route *r,
                                      const struct conf_endpoint *e)
{
    struct conf_retry base = e ? e->retry : presets[STANDARD];

    if (r->priority == PRIORITY_CRITICAL && !(e && l->retry_given[e->index] & RETRY_AGE_GIVEN))
        base.max_age_ms = CRITICAL_AGE_MS;
    return base;
}

void load_target_retry(struct load *l, const struct conf_route *r, struct conf_target *t,
                       const sl_values *v)
{
    t->retry = for_endpoint(l, r, t->endpoint);
    int64_t age = t->retry.max_age_ms;
    unsigned own = overlay(v, &t->retry);

    if (r->priority == PRIORITY_CRITICAL && own && !(own & RETRY_AGE_GIVEN))
        t->retry.max_age_ms = age; /* standard by its name is the default still */
    t->has_retry = true;
}

void load_route_retry(struct load *l, struct conf_route *r, const sl_values *v)
{
    struct conf_target *t;

    r->retry = for_endpoint(l, r, NULL);
    r->has_retry = overlay(v, &r->retry) != 0;
    for (size_t i = 0; (t = (struct conf_target *)conf_route_send(r, i)); i++) {
        if (!t->endpoint)
            continue; /* a mistake was reported */
        load_target_retry(l, r, t, v);
        if (i == 0) {
            r->retry = t->retry;
            check(l, &r->retry, v);
        }
    }
}
