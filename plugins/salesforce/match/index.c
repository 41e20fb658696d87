/*
 * index.c - people and accounts in hash chains that never grow in one go.
 */
#include "index.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS     65536
#define MOST_MERGES 16 /* of one contact, one after the other, that are followed */

/* ---- maps ---------------------------------------------------------------------------------- */

/* FNV-1a */
uint32_t map_hash(sl_str key)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (uint8_t)key.ptr[i]) * 16777619u;
    return h ^ h >> 15;
}

static sl_status map_ready(struct map *m)
{
    if (!m->buckets)
        m->buckets = calloc(BUCKETS, sizeof(struct node *));
    return m->buckets ? SL_OK : SL_E_NO_MEMORY;
}

/* An empty key is not kept. */
static void map_add(struct map *m, struct node *node, sl_str key, void *owner)
{
    struct node **bucket;

    if (key.len == 0)
        return;
    node->owner = owner;
    node->hash = map_hash(key);
    bucket = &m->buckets[node->hash % BUCKETS];
    node->next = *bucket;
    *bucket = node;
    m->n++;
}

static void map_drop(struct map *m, struct node *node)
{
    struct node **at;

    if (!node->owner)
        return;
    for (at = &m->buckets[node->hash % BUCKETS]; *at && *at != node; at = &(*at)->next)
        ;
    if (*at) {
        *at = node->next;
        m->n--;
    }
    node->owner = NULL;
}

struct node *map_next(const struct map *m, uint32_t hash, const struct node *after)
{
    struct node *n = after ? after->next : m->buckets ? m->buckets[hash % BUCKETS] : NULL;

    while (n && n->hash != hash)
        n = n->next;
    return n;
}

static void map_finish(struct map *m)
{
    free(m->buckets);
    *m = (struct map){ 0 };
}

static bool same(sl_str a, sl_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ---- one person ---------------------------------------------------------------------------- */

/* Ids come with 15 or 18 characters; the first 15 tell them apart. */
static sl_str id_key(sl_str id)
{
    return (sl_str){ id.ptr, id.len > 15 ? 15 : id.len };
}

/* What was appended to `t` since `at`; its place may still move. */
struct piece {
    size_t at, len;
};

static struct piece since(const struct text *t, size_t at)
{
    return (struct piece){ at, t->len - at };
}

static sl_str view(const char *base, struct piece p)
{
    return (sl_str){ base + p.at, p.len };
}

static struct piece keep(struct text *t, sl_str s)
{
    size_t at = t->len;

    if (s.len > 0)
        text_add(t, s.ptr, s.len);
    return since(t, at);
}

enum {
    P_ID,
    P_EXTERNAL,
    P_EMAIL,
    P_PHONE,
    P_PHONE2,
    P_FIRST,
    P_LAST,
    P_KEY,
    P_COMPANY,
    P_TAX,
    P_DOMAIN,
    P_CREATED,
    P_SHOWN,
    P_COUNT
};

static void normalise_contact(const struct match_index *ix, const struct raw_person *raw,
                              struct text *t, struct piece p[P_COUNT])
{
    sl_str country = raw->country.len > 0 ? raw->country : str_of(ix->country);
    size_t at;

    for (int i = 0; i < MATCH_PHONES; i++) {
        at = t->len;
        phone_normalise(raw->phone[i], country, t);
        p[P_PHONE + i] = since(t, at);
    }
    if (p[P_PHONE].len == p[P_PHONE2].len && p[P_PHONE].len > 0 &&
        memcmp(t->ptr + p[P_PHONE].at, t->ptr + p[P_PHONE2].at, p[P_PHONE].len) == 0)
        p[P_PHONE2].len = 0;
    at = t->len;
    company_normalise(raw->company, t);
    p[P_COMPANY] = since(t, at);
    at = t->len;
    tax_id_normalise(raw->tax_id, t);
    p[P_TAX] = since(t, at);
    at = t->len;
    domain_normalise(raw->domain, t);
    p[P_DOMAIN] = since(t, at);
}

static void normalise_name(const struct raw_person *raw, struct text *t, struct piece p[P_COUNT],
                           int *suffix)
{
    size_t at = t->len;

    name_normalise(raw->last, t, suffix);
    p[P_LAST] = since(t, at);
    text_char(t, '|');
    at = t->len;
    name_normalise(raw->first, t, suffix);
    p[P_FIRST] = since(t, at);
    p[P_KEY] = p[P_LAST].len > 0 && p[P_FIRST].len > 0 ? since(t, p[P_LAST].at)
                                                       : (struct piece){ at, 0 };
}

/* All texts in one piece, the struct before them. */
static struct person *build(const struct text *t, const struct piece p[P_COUNT])
{
    struct person *person = calloc(1, sizeof(*person) + t->len + 1);
    char *base;

    if (!person)
        return NULL;
    base = (char *)(person + 1);
    memcpy(base, t->ptr, t->len);
    person->id = view(base, p[P_ID]);
    person->external_id = view(base, p[P_EXTERNAL]);
    person->email = view(base, p[P_EMAIL]);
    for (int i = 0; i < MATCH_PHONES; i++)
        person->phone[i] = view(base, p[P_PHONE + i]);
    person->name.first = view(base, p[P_FIRST]);
    person->name.last = view(base, p[P_LAST]);
    person->name_key = view(base, p[P_KEY]);
    person->company = view(base, p[P_COMPANY]);
    person->tax_id = view(base, p[P_TAX]);
    person->company_domain = view(base, p[P_DOMAIN]);
    person->created = view(base, p[P_CREATED]);
    person->shown = view(base, p[P_SHOWN]);
    return person;
}

struct person *person_make(const struct match_index *ix, const struct raw_person *raw)
{
    struct text t = { 0 };
    struct piece p[P_COUNT] = { 0 };
    struct person *person = NULL;
    struct email email = { .len = 0 };
    int suffix = raw->suffix;

    text_char(&t, ' '); /* there is a text, then */
    p[P_ID] = keep(&t, raw->id);
    p[P_EXTERNAL] = keep(&t, raw->external_id);
    p[P_CREATED] = keep(&t, raw->created);
    p[P_SHOWN] = keep(&t, raw->shown.len > 0 ? raw->shown : raw->first);
    if (raw->shown.len == 0 && raw->last.len > 0) {
        if (raw->first.len > 0)
            text_char(&t, ' ');
        text_add(&t, raw->last.ptr, raw->last.len);
        p[P_SHOWN] = since(&t, p[P_SHOWN].at);
    }
    if (raw->email.len > 0 && email_normalise(raw->email, &email) == SL_OK)
        p[P_EMAIL] = keep(&t, (sl_str){ email.text, email.len });
    normalise_contact(ix, raw, &t, p);
    normalise_name(raw, &t, p, &suffix);
    if (!t.failed)
        person = build(&t, p);
    text_finish(&t);
    if (!person)
        return NULL;
    person->name.suffix = suffix;
    person->filled = raw->filled;
    if (person->email.len > 0) {
        person->domain = email.domain;
        person->role = email.role;
        person->freemail = is_freemail(
            (sl_str){ person->email.ptr + email.domain, email.len - email.domain }, ix->freemail);
    }
    if (is_freemail(person->company_domain, ix->freemail))
        person->company_domain.len = 0;
    person->account = raw->account.len > 0 ? index_find_account(ix, raw->account) : NULL;
    return person;
}

void person_free(struct person *p)
{
    free(p);
}

/* ---- people -------------------------------------------------------------------------------- */

struct person *index_find(const struct match_index *ix, sl_str id)
{
    uint32_t hash = map_hash(id_key(id));

    for (struct node *n = NULL; (n = map_next(&ix->by_id, hash, n));)
        if (same(id_key(((struct person *)n->owner)->id), id_key(id)))
            return n->owner;
    return NULL;
}

static sl_str external_key(sl_str external_id, char *to, size_t size)
{
    sl_str key = { to, external_id.len < size ? external_id.len : size };

    for (size_t i = 0; i < key.len; i++)
        to[i] = ascii_lower(external_id.ptr[i]);
    return key;
}

static struct merged *find_merged(const struct match_index *ix, sl_str id)
{
    uint32_t hash = map_hash(id_key(id));

    for (struct node *n = NULL; (n = map_next(&ix->merged, hash, n));)
        if (same(id_key(((struct merged *)n->owner)->id), id_key(id)))
            return n->owner;
    return NULL;
}

/* Who stayed may have been merged away later. */
static struct person *master_of(const struct match_index *ix, const struct merged *m)
{
    struct person *p = NULL;

    for (unsigned step = 0; m && !p && step < MOST_MERGES; step++) {
        p = index_find(ix, m->master);
        m = find_merged(ix, m->master);
    }
    return p;
}

struct person *index_find_external(const struct match_index *ix, sl_str external_id)
{
    char folded[256];
    sl_str key = external_key(external_id, folded, sizeof(folded));
    uint32_t hash = map_hash(key);
    struct person *p = NULL;

    for (struct node *n = NULL; key.len > 0 && (n = map_next(&ix->by_external_id, hash, n));)
        if (str_same_nocase(((struct person *)n->owner)->external_id, external_id))
            return n->owner;
    for (struct node *n = NULL; !p && key.len > 0 && (n = map_next(&ix->merged_external, hash, n));)
        if (str_same_nocase(((struct merged *)n->owner)->external_id, external_id))
            p = master_of(ix, n->owner);
    return p;
}

static void join_account(struct person *p)
{
    struct account *a = p->account;

    if (!a)
        return;
    p->by_account.owner = p;
    p->by_account.next = a->people;
    a->people = &p->by_account;
    a->n_people++;
}

static void leave_account(struct person *p)
{
    struct account *a = p->account;
    struct node **at;

    if (!a || !p->by_account.owner)
        return;
    for (at = &a->people; *at && *at != &p->by_account; at = &(*at)->next)
        ;
    if (*at) {
        *at = (*at)->next;
        a->n_people--;
    }
    p->by_account.owner = NULL;
    p->account = NULL;
}

sl_status index_take(struct match_index *ix, struct person *p)
{
    struct map *maps[] = { &ix->by_id, &ix->by_external_id, &ix->by_email, &ix->by_phone,
                           &ix->by_name };
    char folded[256];

    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        if (map_ready(maps[i]) < 0)
            return SL_E_NO_MEMORY;
    map_add(&ix->by_id, &p->by_id, id_key(p->id), p);
    map_add(&ix->by_external_id, &p->by_external_id,
            external_key(p->external_id, folded, sizeof(folded)), p);
    map_add(&ix->by_email, &p->by_email, p->email, p);
    for (int i = 0; i < MATCH_PHONES; i++)
        map_add(&ix->by_phone, &p->by_phone[i], p->phone[i], p);
    map_add(&ix->by_name, &p->by_name, p->name_key, p);
    join_account(p);
    return SL_OK;
}

void index_release(struct match_index *ix, struct person *p)
{
    map_drop(&ix->by_id, &p->by_id);
    map_drop(&ix->by_external_id, &p->by_external_id);
    map_drop(&ix->by_email, &p->by_email);
    for (int i = 0; i < MATCH_PHONES; i++)
        map_drop(&ix->by_phone, &p->by_phone[i]);
    map_drop(&ix->by_name, &p->by_name);
    leave_account(p);
}

void index_drop(struct match_index *ix, struct person *p)
{
    index_release(ix, p);
    person_free(p);
}

sl_status index_put(struct match_index *ix, const struct raw_person *raw)
{
    struct person *p = person_make(ix, raw), *old;
    sl_status r;

    if (!p)
        return SL_E_NO_MEMORY;
    old = index_find(ix, raw->id);
    r = index_take(ix, p);
    if (r < 0)
        person_free(p);
    else if (old)
        index_drop(ix, old);
    return r;
}

void index_remove(struct match_index *ix, sl_str id)
{
    struct person *p = index_find(ix, id);

    if (p)
        index_drop(ix, p);
}

/* ---- who was merged away -------------------------------------------------------------------- */

static void drop_merged(struct match_index *ix, struct merged *m)
{
    map_drop(&ix->merged, &m->by_id);
    map_drop(&ix->merged_external, &m->by_external_id);
    free(m);
}

/* The three texts stand behind it. */
static struct merged *make_merged(sl_str id, sl_str external_id, sl_str master)
{
    struct merged *m = malloc(sizeof(*m) + id.len + external_id.len + master.len);
    char *at = m ? (char *)(m + 1) : NULL;
    const sl_str from[] = { id, external_id, master };
    sl_str *to[] = { &m->id, &m->external_id, &m->master };

    if (!m)
        return NULL;
    *m = (struct merged){ 0 };
    for (size_t i = 0; i < 3; i++) {
        if (from[i].len > 0)
            memcpy(at, from[i].ptr, from[i].len);
        *to[i] = (sl_str){ at, from[i].len };
        at += from[i].len;
    }
    return m;
}

sl_status index_merge(struct match_index *ix, sl_str id, sl_str external_id, sl_str master)
{
    struct merged *old = find_merged(ix, id), *m;
    char folded[256];

    index_remove(ix, id);
    if (map_ready(&ix->merged) < 0 || map_ready(&ix->merged_external) < 0 ||
        !(m = make_merged(id, external_id, master)))
        return SL_E_NO_MEMORY;
    if (old)
        drop_merged(ix, old);
    map_add(&ix->merged, &m->by_id, id_key(m->id), m);
    map_add(&ix->merged_external, &m->by_external_id,
            external_key(m->external_id, folded, sizeof(folded)), m);
    return SL_OK;
}

/* ---- accounts ------------------------------------------------------------------------------ */

struct account *index_find_account(const struct match_index *ix, sl_str id)
{
    uint32_t hash = map_hash(id_key(id));

    for (struct node *n = NULL; (n = map_next(&ix->accounts, hash, n));)
        if (same(id_key(((struct account *)n->owner)->id), id_key(id)))
            return n->owner;
    return NULL;
}

static struct account *make_account(const struct match_index *ix, sl_str id, sl_str name,
                                    sl_str tax_id, sl_str website)
{
    struct text t = { 0 };
    struct piece p[5];
    struct account *a = NULL;
    size_t at;

    text_char(&t, ' ');
    p[0] = keep(&t, id);
    p[1] = keep(&t, name);
    at = t.len;
    company_normalise(name, &t);
    p[2] = since(&t, at);
    at = t.len;
    tax_id_normalise(tax_id, &t);
    p[3] = since(&t, at);
    at = t.len;
    domain_normalise(website, &t);
    p[4] = since(&t, at);
    if (!t.failed)
        a = calloc(1, sizeof(*a) + t.len);
    if (a) {
        char *base = (char *)(a + 1);

        memcpy(base, t.ptr, t.len);
        a->id = view(base, p[0]);
        a->name = view(base, p[1]);
        a->company = view(base, p[2]);
        a->tax_id = view(base, p[3]);
        a->domain = view(base, p[4]);
        if (is_freemail(a->domain, ix->freemail))
            a->domain.len = 0;
    }
    text_finish(&t);
    return a;
}

static void drop_account(struct match_index *ix, struct account *a, struct account *heir)
{
    map_drop(&ix->accounts, &a->by_id);
    map_drop(&ix->by_company, &a->by_company);
    map_drop(&ix->by_tax_id, &a->by_tax_id);
    map_drop(&ix->by_domain, &a->by_domain);
    for (struct node *n = a->people, *next; n; n = next) {
        struct person *p = n->owner;

        next = n->next;
        p->by_account.owner = NULL;
        p->account = heir;
        join_account(p);
    }
    free(a);
}

sl_status index_put_account(struct match_index *ix, sl_str id, sl_str name, sl_str tax_id,
                            sl_str website)
{
    struct account *a = make_account(ix, id, name, tax_id, website), *old;

    if (!a || map_ready(&ix->accounts) < 0 || map_ready(&ix->by_company) < 0 ||
        map_ready(&ix->by_tax_id) < 0 || map_ready(&ix->by_domain) < 0) {
        free(a);
        return SL_E_NO_MEMORY;
    }
    old = index_find_account(ix, id);
    map_add(&ix->accounts, &a->by_id, id_key(a->id), a);
    map_add(&ix->by_company, &a->by_company, a->company, a);
    map_add(&ix->by_tax_id, &a->by_tax_id, a->tax_id, a);
    map_add(&ix->by_domain, &a->by_domain, a->domain, a);
    if (old)
        drop_account(ix, old, a);
    return SL_OK;
}

void index_remove_account(struct match_index *ix, sl_str id)
{
    struct account *a = index_find_account(ix, id);

    if (a)
        drop_account(ix, a, NULL);
}

/* ---- the end ------------------------------------------------------------------------------- */

void index_finish(struct match_index *ix)
{
    for (size_t i = 0; ix->by_name.buckets && i < BUCKETS; i++) {
        struct map *all[] = { &ix->by_id, &ix->by_name, &ix->by_email, &ix->by_phone,
                              &ix->by_external_id };

        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
            while (all[k]->buckets[i])
                index_drop(ix, all[k]->buckets[i]->owner);
    }
    for (size_t i = 0; ix->merged.buckets && i < BUCKETS; i++)
        while (ix->merged.buckets[i])
            drop_merged(ix, ix->merged.buckets[i]->owner);
    for (size_t i = 0; ix->accounts.buckets && i < BUCKETS; i++)
        while (ix->accounts.buckets[i])
            drop_account(ix, ix->accounts.buckets[i]->owner, NULL);
    map_finish(&ix->by_id);
    map_finish(&ix->by_external_id);
    map_finish(&ix->by_email);
    map_finish(&ix->by_phone);
    map_finish(&ix->by_name);
    map_finish(&ix->merged);
    map_finish(&ix->merged_external);
    map_finish(&ix->accounts);
    map_finish(&ix->by_company);
    map_finish(&ix->by_tax_id);
    map_finish(&ix->by_domain);
}
