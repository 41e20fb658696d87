/*
 * sets.c - from an index to sets, in turns.
 */
#include "sets.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "score.h"

#define TURN_BUCKETS 4096 /* walked in a turn */
#define TURN_PEOPLE  100  /* matched in a turn, some 10 us each */
#define TURN_SETS    20   /* written in a turn */
#define MOST_SETS    1000 /* in a report */
#define MOST_MEMBERS 20   /* of a set that are named */
#define BUCKETS      65536

enum step { STEP_COLLECT, STEP_MATCH, STEP_GATHER, STEP_SORT, STEP_WRITE, STEP_DONE };

struct pair {
    uint32_t a, b;
};

struct sets {
    struct match_index *ix;
    char *base; /* of links to records; NULL: none */
    enum step step;
    size_t at;
    struct person **people;
    uint32_t *parent; /* union-find over `people`, by what is certain */
    size_t n, cap;
    struct pair *maybe; /* what is only possible: sets of two */
    size_t n_maybe, maybe_found;
    struct pair *members; /* {set, person}, certain ones, sorted by set */
    size_t n_members;
    size_t found, certain;
    size_t written;
    struct text json;
};

void sets_destroy(struct sets *s)
{
    if (!s)
        return;
    free(s->base);
    free(s->people);
    free(s->parent);
    free(s->maybe);
    free(s->members);
    text_finish(&s->json);
    free(s);
}

struct sets *sets_create(struct match_index *ix, const char *base)
{
    struct sets *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->ix = ix;
    s->base = base ? strdup(base) : NULL; /* without memory: no links */
    s->cap = ix->by_id.n + 1;
    s->people = malloc(s->cap * sizeof(struct person *));
    s->parent = malloc(s->cap * sizeof(*s->parent));
    s->maybe = malloc(MOST_SETS * sizeof(*s->maybe));
    s->members = malloc(s->cap * sizeof(*s->members));
    if (!s->people || !s->parent || !s->maybe || !s->members) {
        sets_destroy(s);
        return NULL;
    }
    return s;
}

/* ---- pairs --------------------------------------------------------------------------------- */

static void enter(struct sets *s, enum step next)
{
    s->step = next;
    s->at = 0;
}

static void collect(struct sets *s)
{
    size_t to = s->at + TURN_BUCKETS;

    for (; s->at < BUCKETS && s->at < to && s->ix->by_id.buckets; s->at++)
        for (struct node *n = s->ix->by_id.buckets[s->at]; n && s->n < s->cap; n = n->next) {
            struct person *p = n->owner;

            p->number = (uint32_t)s->n;
            s->parent[s->n] = (uint32_t)s->n;
            s->people[s->n++] = p;
        }
    if (s->at >= BUCKETS || !s->ix->by_id.buckets)
        enter(s, STEP_MATCH);
}

static uint32_t root_of(struct sets *s, uint32_t i)
{
    while (s->parent[i] != i) {
        s->parent[i] = s->parent[s->parent[i]];
        i = s->parent[i];
    }
    return i;
}

/* Somebody has made two contacts of them: one name and one telephone are father and son often
 * enough, so that only an address makes them one. */
static bool is_certain(const struct match *m)
{
    return m->certain && (m->why & (WHY_EMAIL | WHY_ROLE_EMAIL | WHY_EXTERNAL_ID));
}

static void match_one(struct sets *s, uint32_t i)
{
    struct matches m;

    match_find(s->ix, s->people[i], &m);
    for (size_t k = 0; k < m.n; k++) {
        uint32_t other = m.items[k].person->number;

        if (is_certain(&m.items[k])) {
            s->parent[root_of(s, i)] = root_of(s, other);
        } else if (i < other) { /* each pair once: it is as possible from the other side */
            s->maybe_found++;
            if (s->n_maybe < MOST_SETS)
                s->maybe[s->n_maybe++] = (struct pair){ i, other };
        }
    }
}

static void match_some(struct sets *s)
{
    for (unsigned n = 0; n < TURN_PEOPLE && s->at < s->n; n++, s->at++)
        match_one(s, (uint32_t)s->at);
    if (s->at == s->n)
        enter(s, STEP_GATHER);
}

/* ---- sets ---------------------------------------------------------------------------------- */

/* Who is in a set with another. */
static void gather(struct sets *s)
{
    size_t to = s->at + TURN_BUCKETS;

    for (; s->at < s->n && s->at < to; s->at++) {
        uint32_t root = root_of(s, (uint32_t)s->at);

        if (root != s->at)
            s->members[s->n_members++] = (struct pair){ root, (uint32_t)s->at };
    }
    if (s->at == s->n)
        enter(s, STEP_SORT);
}

static int by_set(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static void sort(struct sets *s)
{
    size_t kept = 0;

    qsort(s->members, s->n_members, sizeof(*s->members), by_set);
    for (size_t i = 0; i < s->n_members; i++)
        s->certain += i == 0 || s->members[i].a != s->members[i - 1].a;
    for (size_t i = 0; i < s->n_maybe; i++) /* those that a third has joined are in a set */
        if (root_of(s, s->maybe[i].a) != root_of(s, s->maybe[i].b))
            s->maybe[kept++] = s->maybe[i];
    s->maybe_found -= s->n_maybe - kept;
    s->n_maybe = kept;
    s->found = s->certain + s->maybe_found;
    text_str(&s->json, "{\"sets\":[");
    enter(s, STEP_WRITE);
}

/* Who stays: who has an id of the shop, is the most complete, the oldest. */
static bool stays_before(const struct person *a, const struct person *b)
{
    bool ea = a->external_id.len > 0, eb = b->external_id.len > 0;
    sl_str ca = a->created, cb = b->created;
    int order = ca.len > 0 && ca.len == cb.len ? memcmp(ca.ptr, cb.ptr, ca.len) : 0;

    if (ea != eb)
        return ea;
    return a->filled != b->filled ? a->filled > b->filled : order < 0;
}

static void set(json_t *to, const char *name, sl_str value)
{
    if (value.len > 0)
        json_object_set_new(to, name, json_stringn(value.ptr, value.len));
}

static json_t *member_json(const struct sets *s, struct person *p, struct person *master)
{
    json_t *one = json_object();
    struct text reasons = { 0 };
    struct match m;

    set(one, "id", p->id);
    if (s->base)
        json_object_set_new(one, "url",
                            json_sprintf("%s/%.*s", s->base, (int)p->id.len, p->id.ptr));
    set(one, "name", p->shown);
    set(one, "email", p->email);
    set(one, "phone", p->phone[0].len > 0 ? p->phone[0] : p->phone[1]);
    if (p->account)
        set(one, "company", p->account->name);
    set(one, "external_id", p->external_id);
    set(one, "created", p->created);
    json_object_set_new(one, "filled", json_integer(p->filled));
    if (p != master) {
        match_score(s->ix, master, p, &m);
        match_reasons(&m, &reasons);
        json_object_set_new(one, "score", json_integer(m.score));
        set(one, "reasons", text_view(&reasons));
        text_finish(&reasons);
    }
    return one;
}

static void write_set(struct sets *s, struct person **who, size_t n, bool certain, size_t number)
{
    struct person *master = who[0];
    json_t *members = json_array(), *root;
    size_t ids = 0;
    char *text;

    for (size_t i = 0; i < n; i++) {
        if (stays_before(who[i], master))
            master = who[i];
        ids += who[i]->external_id.len > 0;
    }
    for (size_t i = 0; i < n; i++)
        json_array_append_new(members, member_json(s, who[i], master));
    root = json_pack("{s:i, s:b, s:s%, s:b, s:o}", "set", (int)number, "certain", certain, "master",
                     master->id.ptr, master->id.len, "several_external_ids", ids > 1, "members",
                     members);
    text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    if (number > 1)
        text_char(&s->json, ',');
    if (text)
        text_str(&s->json, text);
    s->json.failed |= !text;
    free(text);
    json_decref(root);
}

/* The certain ones first: s->at goes over members, then over pairs. */
static bool write_one(struct sets *s, size_t number)
{
    struct person *who[MOST_MEMBERS];
    size_t n = 0, pair;
    uint32_t root;

    if (s->at < s->n_members) {
        root = s->members[s->at].a;
        who[n++] = s->people[root];
        for (; s->at < s->n_members && s->members[s->at].a == root; s->at++)
            if (n < MOST_MEMBERS)
                who[n++] = s->people[s->members[s->at].b];
        write_set(s, who, n, true, number);
        return true;
    }
    pair = s->at - s->n_members;
    if (pair >= s->n_maybe)
        return false;
    who[0] = s->people[s->maybe[pair].a];
    who[1] = s->people[s->maybe[pair].b];
    s->at++;
    write_set(s, who, 2, false, number);
    return true;
}

static void write_some(struct sets *s)
{
    char end[200];
    bool more = true;

    for (unsigned n = 0; n < TURN_SETS && more; n++) {
        more = s->written < MOST_SETS && write_one(s, s->written + 1);
        s->written += more;
    }
    if (more)
        return;
    say(end, sizeof(end), "],\"contacts\":%zu,\"found\":%zu,\"certain\":%zu}", s->n, s->found,
        s->certain);
    text_str(&s->json, end);
    enter(s, STEP_DONE);
}

bool sets_turn(struct sets *s)
{
    switch (s->step) {
    case STEP_COLLECT:
        collect(s);
        break;
    case STEP_MATCH:
        match_some(s);
        break;
    case STEP_GATHER:
        gather(s);
        break;
    case STEP_SORT:
        sort(s);
        break;
    case STEP_WRITE:
        write_some(s);
        break;
    case STEP_DONE:
        break;
    }
    return s->step == STEP_DONE;
}

const char *sets_json(const struct sets *s, size_t *ret_len)
{
    *ret_len = s->json.len;
    return s->json.failed ? NULL : s->json.ptr;
}
