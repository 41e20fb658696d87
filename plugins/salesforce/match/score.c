/*
 * score.c - points, rules and candidates.
 */
#include "score.h"

#include <string.h>

#define CERTAIN   80  /* points from which nobody is asked */
#define POSSIBLE  45  /* points from which somebody is */
#define MARGIN    15  /* the second best must be so far behind */
#define MOST_LOOK 400 /* people looked at for one record */
#define DIRECT    2   /* people up to which a number is theirs and not a switchboard's */

static bool same(sl_str a, sl_str b)
{
    return a.len > 0 && a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static sl_str domain_of(const struct person *p)
{
    return (sl_str){ p->email.ptr + p->domain, p->email.len - p->domain };
}

/* The domain of somebody's company: freemail is nobody's. */
static sl_str company_domain(const struct person *p)
{
    if (p->email.len > 0 && !p->freemail)
        return domain_of(p);
    return p->account && p->account->domain.len > 0 ? p->account->domain : p->company_domain;
}

static sl_str company_of(const struct person *p)
{
    return p->company.len > 0 || !p->account ? p->company : p->account->company;
}

static sl_str tax_id_of(const struct person *p)
{
    return p->tax_id.len > 0 || !p->account ? p->tax_id : p->account->tax_id;
}

/* ---- evidence ------------------------------------------------------------------------------ */

static uint32_t compare_email(const struct person *a, const struct person *b)
{
    if (a->email.len == 0 || b->email.len == 0)
        return 0;
    if (same(a->email, b->email))
        return a->role ? WHY_ROLE_EMAIL : WHY_EMAIL;
    if (a->role || b->role)
        return 0;
    return same(domain_of(a), domain_of(b)) && !a->freemail ? WHY_OTHER_EMAIL | WHY_OTHER_AT_SAME
                                                            : WHY_OTHER_EMAIL;
}

/* How many people have this number? */
static bool is_shared(const struct match_index *ix, sl_str phone)
{
    uint32_t hash = map_hash(phone);
    size_t n = 0;

    for (struct node *at = NULL; n <= DIRECT && (at = map_next(&ix->by_phone, hash, at));) {
        struct person *p = at->owner;

        for (int i = 0; i < MATCH_PHONES; i++)
            n += same(p->phone[i], phone);
    }
    return n > DIRECT;
}

static uint32_t compare_phone(const struct match_index *ix, const struct person *a,
                              const struct person *b)
{
    bool shared = false, both = false;

    for (int i = 0; i < MATCH_PHONES; i++)
        for (int k = 0; k < MATCH_PHONES; k++) {
            both |= a->phone[i].len > 0 && b->phone[k].len > 0;
            if (!same(a->phone[i], b->phone[k]))
                continue;
            if (!is_shared(ix, a->phone[i]))
                return WHY_PHONE;
            shared = true;
        }
    return shared ? WHY_SHARED_PHONE : both ? WHY_OTHER_PHONE : 0;
}

static uint32_t compare_company(const struct person *a, const struct person *b)
{
    sl_str ca = company_of(a), cb = company_of(b), ta = tax_id_of(a), tb = tax_id_of(b);
    uint32_t why = 0;

    if (same(ta, tb))
        why |= WHY_TAX_ID;
    else if (ta.len > 0 && tb.len > 0)
        why |= WHY_OTHER_TAX_ID;
    if (same(ca, cb))
        why |= WHY_COMPANY;
    else if (ca.len >= 8 && cb.len >= 8 && text_distance(ca, cb, 1) <= 1)
        why |= WHY_COMPANY_TYPO;
    if (same(company_domain(a), company_domain(b)))
        why |= WHY_DOMAIN;
    return why;
}

/* ---- points -------------------------------------------------------------------------------- */

static bool company_is_strong(uint32_t why)
{
    return !(why & WHY_OTHER_TAX_ID) &&
           ((why & WHY_TAX_ID) || ((why & WHY_COMPANY) && (why & WHY_DOMAIN)));
}

static int company_points(uint32_t why)
{
    if (why & WHY_OTHER_TAX_ID)
        return 5;
    if (company_is_strong(why))
        return 45;
    if (why & (WHY_COMPANY | WHY_DOMAIN))
        return 20;
    return why & WHY_COMPANY_TYPO ? 10 : 0;
}

static int name_points(enum name_relation name, bool personal)
{
    static const int points[] = {
        [NAME_CONFLICT] = -18, [NAME_FIRST_CONFLICT] = -12, [NAME_LAST_CONFLICT] = -8,
        [NAME_MISSING] = 0,    [NAME_LAST_ONLY] = 12,       [NAME_INITIAL] = 22,
        [NAME_TYPO] = 20,      [NAME_VARIANT] = 28,         [NAME_EXACT] = 35,
    };

    /* a personal address with nothing against it is enough; a last name makes it better */
    return personal && (name == NAME_MISSING || name == NAME_LAST_ONLY) ? 22 : points[name];
}

static int all_points(uint32_t why, enum name_relation name)
{
    int points = name_points(name, why & WHY_EMAIL);

    points += why & WHY_EMAIL ? 60 : why & WHY_ROLE_EMAIL ? 25 : 0;
    points += why & WHY_PHONE ? 45 : why & WHY_SHARED_PHONE ? 15 : 0;
    points += why & WHY_OTHER_AT_SAME ? -25 : why & WHY_OTHER_EMAIL ? -10 : 0;
    return points + company_points(why);
}

/* What no points make certain. */
static bool is_capped(uint32_t why, enum name_relation name)
{
    if (why & WHY_EMAIL)
        return name <= NAME_LAST_CONFLICT;
    if (name != NAME_EXACT && name != NAME_VARIANT)
        return true; /* Maria and Mario share a desk, and J. may be Jane or John */
    return why & WHY_OTHER_AT_SAME;
}

void match_score(const struct match_index *ix, const struct person *a, struct person *b,
                 struct match *ret)
{
    enum name_relation name = name_compare(&a->name, &b->name);
    uint32_t why = compare_email(a, b) | compare_phone(ix, a, b) | compare_company(a, b);

    if (a->external_id.len > 0 && str_same_nocase(a->external_id, b->external_id))
        why |= WHY_EXTERNAL_ID;
    else if (ix->merged_external.n > 0 && index_find_external(ix, a->external_id) == b)
        why |= WHY_EXTERNAL_ID | WHY_MERGED;
    *ret = (struct match){ .person = b, .why = why, .name = name };
    if (why & WHY_EXTERNAL_ID) {
        ret->score = 200;
        ret->certain = true;
        return;
    }
    /* two people, whatever desk and number they share */
    if (!(why & WHY_EMAIL) && (name == NAME_CONFLICT || name == NAME_FIRST_CONFLICT))
        return;
    if (!(why & (WHY_EMAIL | WHY_PHONE)) && name == NAME_LAST_CONFLICT)
        return;
    ret->score = all_points(why, name);
    if (ret->score > 150)
        ret->score = 150;
    ret->certain = ret->score >= CERTAIN && !is_capped(why, name);
}

/* ---- candidates ---------------------------------------------------------------------------- */

struct search {
    struct match_index *ix;
    const struct person *record;
    struct matches *found;
    size_t looked;
    size_t namesakes; /* of the same name, and nothing that tells them from the record */
};

/* Of equals the older contact stands in front. */
static bool is_better(const struct match *a, const struct match *b)
{
    sl_str ca = a->person->created, cb = b->person->created;
    int order = ca.len > 0 && ca.len == cb.len ? memcmp(ca.ptr, cb.ptr, ca.len) : 0;

    if (a->score != b->score)
        return a->score > b->score;
    if (order == 0 && a->person->id.len == b->person->id.len && a->person->id.len > 0)
        order = memcmp(a->person->id.ptr, b->person->id.ptr, a->person->id.len);
    return order < 0;
}

static void keep(struct matches *all, const struct match *m)
{
    size_t at = all->n < MATCH_MOST ? all->n++ : MATCH_MOST;

    for (; at > 0 && is_better(m, &all->items[at - 1]); at--)
        if (at < MATCH_MOST)
            all->items[at] = all->items[at - 1];
    if (at < MATCH_MOST)
        all->items[at] = *m;
}

static void look_at(struct search *s, struct person *p)
{
    struct match m;

    if (p == s->record || p->serial == s->ix->serial || s->looked >= MOST_LOOK)
        return;
    p->serial = s->ix->serial;
    s->looked++;
    match_score(s->ix, s->record, p, &m);
    if (m.score >= POSSIBLE)
        keep(s->found, &m);
    else if (m.name == NAME_EXACT && !(m.why & (WHY_OTHER_EMAIL | WHY_OTHER_PHONE)))
        s->namesakes++;
}

static void look_in(struct search *s, const struct map *map, sl_str key)
{
    uint32_t hash = map_hash(key);

    for (struct node *n = NULL; key.len > 0 && (n = map_next(map, hash, n));)
        look_at(s, n->owner);
}

/* The people of an account; in a large one those of the name are found by their name. */
static void look_in_account(struct search *s, const struct account *a)
{
    for (struct node *n = a ? a->people : NULL; n && s->looked < MOST_LOOK; n = n->next)
        look_at(s, n->owner);
}

static void look_in_accounts(struct search *s, const struct map *map, sl_str key)
{
    uint32_t hash = map_hash(key);

    for (struct node *n = NULL; key.len > 0 && (n = map_next(map, hash, n));)
        look_in_account(s, n->owner);
}

/* ---- the company --------------------------------------------------------------------------- */

/* The only account of a key; NULL: none, or several. */
static struct account *only(const struct map *map, sl_str key, size_t field, sl_str domain)
{
    struct account *found = NULL;
    uint32_t hash = map_hash(key);

    for (struct node *n = NULL; key.len > 0 && (n = map_next(map, hash, n));) {
        struct account *a = n->owner;

        if (!same(*(const sl_str *)((const char *)a + field), key) ||
            (domain.len > 0 && !same(a->domain, domain)))
            continue;
        if (found)
            return NULL;
        found = a;
    }
    return found;
}

struct account *match_account(const struct match_index *ix, const struct person *r)
{
    sl_str domain = r->email.len > 0 && !r->freemail ? domain_of(r) : r->company_domain;
    struct account *a = only(&ix->by_tax_id, r->tax_id, offsetof(struct account, tax_id),
                             (sl_str){ 0 });

    if (!a && domain.len > 0)
        a = only(&ix->by_company, r->company, offsetof(struct account, company), domain);
    if (!a)
        a = only(&ix->by_company, r->company, offsetof(struct account, company), (sl_str){ 0 });
    if (!a && r->company.len == 0)
        a = only(&ix->by_domain, domain, offsetof(struct account, domain), (sl_str){ 0 });
    if (a && r->tax_id.len > 0 && a->tax_id.len > 0 && !same(r->tax_id, a->tax_id))
        return NULL; /* a sister company */
    return a;
}

/* ---- the verdict --------------------------------------------------------------------------- */

/* Is the second one in the first one's way? */
static bool rivals(const struct match *best, const struct match *other)
{
    /* two that are certain, or of one name and address, are one person twice: which one to keep
     * somebody says */
    return other->certain || other->score > best->score - MARGIN ||
           ((other->why & (WHY_EMAIL | WHY_ROLE_EMAIL)) && other->name >= NAME_VARIANT);
}

static enum verdict_of_match verdict_of(const struct matches *all, size_t namesakes)
{
    const struct match *best = &all->items[0];
    bool by_address;

    if (all->n == 0)
        return MATCH_NONE;
    by_address = best->why & (WHY_EMAIL | WHY_ROLE_EMAIL);
    if (best->why & WHY_EXTERNAL_ID)
        return all->n > 1 && (all->items[1].why & WHY_EXTERNAL_ID) ? MATCH_AMBIGUOUS
                                                                   : MATCH_CERTAIN;
    if (!best->certain)
        return MATCH_AMBIGUOUS;
    for (size_t i = 1; i < all->n; i++)
        if (rivals(best, &all->items[i]))
            return MATCH_AMBIGUOUS;
    return by_address || namesakes == 0 ? MATCH_CERTAIN : MATCH_AMBIGUOUS;
}

void match_find(struct match_index *ix, const struct person *record, struct matches *ret)
{
    struct search s = { .ix = ix, .record = record, .found = ret };
    struct person *known = index_find_external(ix, record->external_id);
    sl_str domain = company_domain(record);

    *ret = (struct matches){ 0 };
    ix->serial++;
    if (known)
        look_at(&s, known);
    look_in(&s, &ix->by_email, record->email);
    look_in(&s, &ix->by_name, record->name_key);
    for (int i = 0; i < MATCH_PHONES; i++)
        look_in(&s, &ix->by_phone, record->phone[i]);
    look_in_accounts(&s, &ix->by_tax_id, record->tax_id);
    look_in_accounts(&s, &ix->by_company, record->company);
    look_in_accounts(&s, &ix->by_domain, domain);
    ret->account = match_account(ix, record);
    ret->verdict = verdict_of(ret, s.namesakes);
}

/* ---- reasons ------------------------------------------------------------------------------- */

static void add_reason(struct text *to, const char *reason)
{
    if (to->len > 0)
        text_str(to, ", ");
    text_str(to, reason);
}

void match_reasons(const struct match *m, struct text *to)
{
    static const struct {
        uint32_t why;
        const char *text;
    } texts[] = {
        { WHY_EXTERNAL_ID, "same external id" },
        { WHY_MERGED, "of a contact that was merged into it" },
        { WHY_EMAIL, "same e-mail" },
        { WHY_ROLE_EMAIL, "same shared mailbox" },
        { WHY_PHONE, "same phone" },
        { WHY_SHARED_PHONE, "same phone, which several have" },
        { WHY_TAX_ID, "same tax id" },
        { WHY_COMPANY, "same company name" },
        { WHY_COMPANY_TYPO, "almost the same company name" },
        { WHY_DOMAIN, "same e-mail domain" },
        { WHY_OTHER_AT_SAME, "another personal e-mail at that domain" },
        { WHY_OTHER_TAX_ID, "another tax id" },
        { WHY_OTHER_PHONE, "another phone" },
    };
    static const char *const names[] = {
        [NAME_CONFLICT] = "another name",
        [NAME_FIRST_CONFLICT] = "another first name",
        [NAME_LAST_CONFLICT] = "another last name",
        [NAME_MISSING] = "no name to compare",
        [NAME_LAST_ONLY] = "same last name, no first name",
        [NAME_INITIAL] = "same last name and initial",
        [NAME_TYPO] = "almost the same name",
        [NAME_VARIANT] = "same name in another form",
        [NAME_EXACT] = "same name",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (m->why & texts[i].why)
            add_reason(to, texts[i].text);
    if ((m->why & WHY_OTHER_EMAIL) && !(m->why & WHY_OTHER_AT_SAME))
        add_reason(to, "another e-mail");
    add_reason(to, names[m->name]);
}
