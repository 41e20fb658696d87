/*
 * contacts_measure.c - a made-up world matched, and each verdict compared with the truth.
 */
#include "contacts_measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "match/score.h"

const uint64_t contacts_seeds[CONTACTS_SEEDS] = { 1, 20261122, 77, 4242, 9001 };

double share(int part, int of)
{
    return of > 0 ? (double)part / of : 1;
}

static struct raw_person raw_of_card(const struct world *w, const struct world_card *c,
                                     bool contact)
{
    return (struct raw_person){
        .id = str_of(c->id),
        .external_id = str_of(c->external_id),
        .first = str_of(c->first),
        .last = str_of(c->last),
        .email = str_of(c->email),
        .phone = { str_of(c->phone) },
        .account = contact && c->account >= 0 ? str_of(w->companies[c->account].id) : (sl_str){ 0 },
        .company = str_of(c->company),
        .tax_id = str_of(c->tax_id),
        .domain = str_of(c->domain),
    };
}

void contacts_load(struct match_index *ix, const struct world *w)
{
    ix->country = "DE";
    for (int i = 0; i < WORLD_COMPANIES; i++) {
        const struct world_company *c = &w->companies[i];

        if (index_put_account(ix, str_of(c->id), str_of(c->name),
                              i % 10 < 6 ? str_of(c->tax_id) : (sl_str){ 0 },
                              i % 10 < 7 ? str_of(c->domain) : (sl_str){ 0 }) < 0)
            abort();
    }
    for (int i = 0; i < w->n_contacts; i++) {
        struct raw_person raw = raw_of_card(w, &w->contacts[i], true);

        if (index_put(ix, &raw) < 0)
            abort();
    }
}

static int person_of(const struct world *w, const struct person *p)
{
    return w->contacts[atoi(p->id.ptr + 9)].person;
}

static void judge(const struct world *w, const struct world_card *r, const struct matches *m,
                  struct contacts_measure *sum)
{
    bool known = w->people[r->person].n_contacts > 0, right = false;

    sum->known += known;
    sum->ambiguous += r->ambiguous;
    if (m->verdict == MATCH_CERTAIN) {
        right = person_of(w, m->items[0].person) == r->person;
        sum->automatic++;
        sum->right += right;
        sum->ambiguous_automatic += r->ambiguous;
    } else if (m->verdict == MATCH_AMBIGUOUS) {
        sum->asked++;
        for (size_t i = 0; i < m->n && !right; i++)
            right = person_of(w, m->items[i].person) == r->person;
        sum->asked_right += right;
    } else {
        sum->created++;
        sum->doubled += known;
    }
    sum->found += known && right;
}

struct contacts_measure contacts_measure(uint64_t seed)
{
    struct world *w = world_create(seed);
    struct match_index *ix = calloc(1, sizeof(*ix));
    struct contacts_measure sum = { 0 };
    struct timespec a, b;

    contacts_load(ix, w);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < w->n_records; i++) {
        struct raw_person raw = raw_of_card(w, &w->records[i], false);
        struct person *p = person_make(ix, &raw);
        struct matches m;

        match_find(ix, p, &m);
        judge(w, &w->records[i], &m, &sum);
        person_free(p);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    sum.us = ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) /
             w->n_records;
    index_finish(ix);
    free(ix);
    world_destroy(w);
    return sum;
}
