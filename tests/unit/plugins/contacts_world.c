/*
 * contacts_world.c - people and their spellings.
 */
#include "contacts_world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- chance -------------------------------------------------------------------------------- */

static uint64_t next(struct world *w) /* splitmix64 */
{
    uint64_t z = (w->state += 0x9e3779b97f4a7c15u);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int below(struct world *w, int n)
{
    return (int)(next(w) % (uint64_t)n);
}

static bool often(struct world *w, int percent)
{
    return below(w, 100) < percent;
}

/* The first of a list are met more often, as names are. */
static int common(struct world *w, int n)
{
    int a = below(w, n), b = below(w, n);

    return a < b ? a : b;
}

#define COUNT(a)   ((int)(sizeof(a) / sizeof((a)[0])))
#define PICK(w, a) ((a)[below((w), COUNT(a))])

/* ---- names --------------------------------------------------------------------------------- */

static const char *const firsts[] = {
    "Thomas",    "Anna",     "Michael",   "Maria",     "Andreas",   "Julia",     "Peter",
    "Sabine",    "Robert",   "William",   "Katharina", "Christian", "Christina", "Jürgen",
    "Jörg",      "Stefan",   "Stephanie", "Daniel",    "Daniela",   "Mario",     "Markus",
    "Elizabeth", "James",    "John",      "Jane",      "Giuseppe",  "Francisco", "José",
    "Sören",     "Łukasz",   "Zoë",       "Chloé",     "François",  "Benoît",    "Ingrid",
    "Ulrich",    "Ulrike",   "Günther",   "Hans",      "Heinz",     "Klaus",     "Karin",
    "Monika",    "Gabriele", "Susanne",   "Petra",     "Alexander", "Alexandra", "Sebastian",
    "Florian",   "Tobias",   "Matthew",   "Joseph",    "Anthony",   "Richard",   "Edward",
    "Margaret",  "Jennifer", "Rebecca",   "Victoria",  "David",     "Laura",     "Lukas",
    "Lena",      "Felix",    "Emma",      "Oliver",    "Sophie",    "Paul",      "Pauline",
};
static const char *const last_front[] = {
    "Müll",  "Schmid", "Schneid", "Fisch", "Web",    "Mey",    "Wagn",   "Beck",    "Schäf",
    "Koch",  "Hoffm",  "Richt",   "Kle",   "Wolf",   "Schröd", "Neum",   "Schwarz", "Zimmerm",
    "Brau",  "Krüg",   "Hartm",   "Lang",  "Wern",   "Krau",   "Lehm",   "Köhl",    "Herrm",
    "Wal",   "Kön",    "Hub",     "Kais",  "Fuch",   "Pet",    "Scholz", "Möll",    "Weiß",
    "Jung",  "Hah",    "Schub",   "Vog",   "Fried",  "Kell",   "Günth",  "Fran",    "Berg",
    "Winkl", "Roth",   "Lor",     "Baum",  "Schust", "Böhm",   "Krämer", "Smith",   "John",
    "Brown", "Tayl",   "Wils",    "Evan",  "Thom",   "Rober",  "Dub",    "Moreau",  "Lefèv",
    "Garci", "Ross",   "Ferrar",  "Nowak", "Kowal",  "Svens",  "Niels",  "O'Har",   "Mac",
    "Bern",  "Stein",
};
static const char *const last_end[] = {
    "er",   "t",   "",  "mann", "el", "ke",   "bach",  "sen", "berg",
    "hoff", "ing", "a", "son",  "i",  "feld", "meier", "ner", "ling",
};
static const char *const trades[] = {
    "Maschinenbau", "Elektrotechnik", "Logistik", "Bau",    "Consulting", "Software",
    "Druck",        "Textil",         "Metall",   "Möbel",  "Handel",     "Optik",
    "Pharma",       "Medizintechnik", "Solar",    "Foods",  "Tools",      "Systems",
    "Partner",      "Verlag",         "Werbung",  "Küchen", "Reisen",     "Design",
};
static const char *const forms[] = {
    " GmbH", " AG",     " GmbH & Co. KG", " Ltd", " Ltd.", " Inc.",
    " S.A.", " S.r.l.", " B.V.",          " KG",  " e.K.", " SAS"
};
static const char *const sisters[] = { " Holding", " Services",      " Deutschland",
                                       " Austria", " International", " Vertrieb" };
static const char *const freemail[] = { "gmail.com",   "gmx.de",      "web.de",     "yahoo.com",
                                        "hotmail.com", "t-online.de", "icloud.com", "gmail.com" };

static const struct {
    const char *full, *shorter;
} nicknames[] = {
    { "Robert", "Bob" },      { "William", "Bill" },   { "Thomas", "Tom" },
    { "Michael", "Mike" },    { "Elizabeth", "Liz" },  { "James", "Jim" },
    { "Katharina", "Kathi" }, { "Francisco", "Paco" }, { "Alexander", "Alex" },
    { "Sebastian", "Basti" }, { "Jennifer", "Jenny" }, { "Richard", "Dick" },
    { "Joseph", "Joe" },      { "Daniel", "Dan" },     { "Ulrich", "Uli" },
};

static void copy(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);

    if (n > size - 1)
        n = size - 1;
    memmove(to, from, n);
    to[n] = '\0';
}

/* Umlauts as people write them without: Müller as mueller (`e`) or muller. Others lose marks. */
static void plain(const char *in, char *to, size_t size, bool e)
{
    static const struct {
        const char *mark, *with_e, *without;
    } table[] = {
        { "ä", "ae", "a" }, { "ö", "oe", "o" }, { "ü", "ue", "u" },  { "Ä", "Ae", "A" },
        { "Ö", "Oe", "O" }, { "Ü", "Ue", "U" }, { "ß", "ss", "ss" }, { "é", "e", "e" },
        { "è", "e", "e" },  { "ë", "e", "e" },  { "ç", "c", "c" },   { "î", "i", "i" },
        { "Ł", "L", "L" },
    };
    size_t n = 0;

    while (*in && n + 3 < size) {
        const char *as = NULL;

        for (int i = 0; i < COUNT(table); i++)
            if (strncmp(in, table[i].mark, 2) == 0)
                as = e ? table[i].with_e : table[i].without;
        if (as) {
            n += (size_t)snprintf(to + n, size - n, "%s", as);
            in += 2;
        } else {
            to[n++] = *in++;
        }
    }
    to[n] = '\0';
}

static void slug(const char *in, char *to, size_t size)
{
    char flat[128];
    size_t n = 0;

    plain(in, flat, sizeof(flat), true);
    for (const char *p = flat; *p && n + 1 < size; p++)
        if (isalnum((unsigned char)*p))
            to[n++] = (char)tolower((unsigned char)*p);
    to[n] = '\0';
}

#define IDN       "@müller-bau" /* a label of IDN, and what it is in punycode */
#define IDN_ASCII "@xn--mller-bau-q9a"

/* ---- the world ----------------------------------------------------------------------------- */

static void make_last(struct world *w, char *to, size_t size)
{
    snprintf(to, size, "%s%s", last_front[common(w, COUNT(last_front))],
             last_end[common(w, COUNT(last_end))]);
}

static void make_phone(struct world *w, char *to, size_t size)
{
    snprintf(to, size, "+49%d%07d", 30 + below(w, 700), below(w, 10000000));
}

static void make_company(struct world *w, int i)
{
    struct world_company *c = &w->companies[i];
    char last[40], base[40];

    snprintf(c->id, sizeof(c->id), "0015g00000%05dAAA", i);
    snprintf(c->tax_id, sizeof(c->tax_id), "DE%09d", 100000000 + i * 13 + below(w, 13));
    make_phone(w, c->phone, sizeof(c->phone));
    if (i > 100 && often(w, 8)) { /* a sister of another, often under its domain */
        const struct world_company *other = &w->companies[below(w, i)];
        char root[60], *form;

        copy(root, sizeof(root), other->name);
        form = strrchr(root, ' ');
        if (form)
            *form = '\0';
        snprintf(c->name, sizeof(c->name), "%.50s%s%s", root, PICK(w, sisters), PICK(w, forms));
        if (often(w, 60)) {
            copy(c->domain, sizeof(c->domain), other->domain);
            return;
        }
    } else {
        make_last(w, last, sizeof(last));
        snprintf(c->name, sizeof(c->name), "%s %s%s", last, PICK(w, trades), PICK(w, forms));
    }
    slug(c->name, base, sizeof(base));
    snprintf(c->domain, sizeof(c->domain), "%.24s%d.example", base, i);
    if (often(w, 3))
        snprintf(c->domain, sizeof(c->domain), "%s.w%d.example", IDN + 1, i);
}

static void make_email(struct world *w, struct world_person *p, int serial)
{
    char first[40], last[40];
    const char *domain = p->company >= 0 ? w->companies[p->company].domain : NULL;

    slug(p->first, first, sizeof(first));
    slug(p->last, last, sizeof(last));
    if (domain && often(w, 8))
        snprintf(p->email, sizeof(p->email), "%s@%s", often(w, 70) ? "info" : "office", domain);
    else if (domain && often(w, 88))
        snprintf(p->email, sizeof(p->email), "%.12s%s%.14s@%.60s", often(w, 70) ? first : "x",
                 often(w, 80) ? "." : "", last, domain);
    else if (often(w, 94))
        snprintf(p->email, sizeof(p->email), "%s.%s%d@%s", first, last, serial, PICK(w, freemail));
}

static void make_person(struct world *w, int i)
{
    struct world_person *p = &w->people[i];

    p->twin = -1;
    p->company = often(w, 70) ? below(w, WORLD_COMPANIES) : -1;
    copy(p->first, sizeof(p->first), firsts[common(w, COUNT(firsts))]);
    make_last(w, p->last, sizeof(p->last));
    make_email(w, p, i);
    if (p->company >= 0 && often(w, 40))
        copy(p->phone, sizeof(p->phone), w->companies[p->company].phone);
    else if (often(w, 80))
        make_phone(w, p->phone, sizeof(p->phone));
}

/* Couples with one mailbox, father and son with one name and one telephone, namesakes at work. */
static void make_twin(struct world *w, int i)
{
    struct world_person *p = &w->people[i], *of = &w->people[i - 1];
    int kind = below(w, 3);

    make_person(w, i);
    p->twin = i - 1;
    of->twin = i;
    p->company = kind == 2 ? of->company : -1;
    copy(p->last, sizeof(p->last), of->last);
    if (kind == 0) {
        copy(p->email, sizeof(p->email), of->email);
        copy(p->phone, sizeof(p->phone), of->phone);
        return;
    }
    copy(p->first, sizeof(p->first), of->first);
    if (kind == 1)
        copy(p->phone, sizeof(p->phone), of->phone);
    if (kind == 2 && p->company >= 0)
        snprintf(p->email, sizeof(p->email), "%.20s.%.20s%d@%s", "second", "namesake", i,
                 w->companies[p->company].domain);
    else
        snprintf(p->email, sizeof(p->email), "other%d@gmx.de", i);
}

/* ---- spellings ----------------------------------------------------------------------------- */

static void mistype(struct world *w, char *s)
{
    size_t n = strlen(s), at = n > 2 ? 1 + (size_t)below(w, (int)n - 1) : 0;

    if (at == 0 || (s[at] & 0x80) || (s[at - 1] & 0x80))
        return;
    if (often(w, 50) && at + 1 < n && !(s[at + 1] & 0x80)) {
        char c = s[at];

        s[at] = s[at + 1];
        s[at + 1] = c;
    } else {
        memmove(s + at, s + at + 1, n - at);
    }
}

static void spell_name(struct world *w, const struct world_person *p, struct world_card *c)
{
    char flat[48];

    copy(c->first, sizeof(c->first), p->first);
    copy(c->last, sizeof(c->last), p->last);
    for (int i = 0; i < COUNT(nicknames); i++)
        if (strcmp(p->first, nicknames[i].full) == 0 && often(w, 15))
            copy(c->first, sizeof(c->first), nicknames[i].shorter);
    if (often(w, 40)) {
        bool e = often(w, 60);

        plain(c->first, flat, sizeof(flat), e);
        copy(c->first, sizeof(c->first), flat);
        plain(c->last, flat, sizeof(flat), e);
        copy(c->last, sizeof(c->last), flat);
    }
    if (often(w, 2))
        mistype(w, c->first);
    if (often(w, 3))
        mistype(w, c->last);
    if (often(w, 3) && !(c->first[0] & 0x80))
        c->first[1] = '.', c->first[2] = '\0';
    if (often(w, 10))
        for (char *s = c->last; *s; s++)
            *s = (char)toupper((unsigned char)*s);
    if (often(w, 1))
        make_last(w, c->last, sizeof(c->last)); /* married */
    if (often(w, 2))
        c->first[0] = '\0';
}

static void spell_email(struct world *w, const struct world_person *p, struct world_card *c)
{
    const char *at = strchr(p->email, '@');
    int n = at ? (int)(at - p->email) : 0;

    if (!at)
        return;
    if (strcmp(at, "@gmail.com") == 0 && often(w, 30))
        snprintf(c->email, sizeof(c->email), "%.1s.%.*s+shop%s", p->email, n - 1, p->email + 1,
                 often(w, 50) ? at : "@googlemail.com");
    else if (strncmp(at, IDN, strlen(IDN)) == 0 && often(w, 50)) /* the same in ASCII */
        snprintf(c->email, sizeof(c->email), "%.*s" IDN_ASCII "%s", n, p->email, at + strlen(IDN));
    else
        copy(c->email, sizeof(c->email), p->email);
    if (often(w, 15))
        for (char *s = c->email; *s; s++)
            *s = (char)toupper((unsigned char)*s);
    if (often(w, 4)) {
        memmove(c->email + 1, c->email, sizeof(c->email) - 1);
        c->email[0] = ' ';
        c->email[sizeof(c->email) - 1] = '\0';
    }
}

static void spell_phone(struct world *w, const char *phone, struct world_card *c)
{
    if (!phone[0])
        return;
    switch (below(w, 4)) {
    case 0:
        copy(c->phone, sizeof(c->phone), phone);
        break;
    case 1:
        snprintf(c->phone, sizeof(c->phone), "0%.2s / %s", phone + 3, phone + 5);
        break;
    case 2:
        snprintf(c->phone, sizeof(c->phone), "0049 %.3s %s", phone + 3, phone + 6);
        break;
    default:
        snprintf(c->phone, sizeof(c->phone), "+49 (0) %.2s-%s", phone + 3, phone + 5);
    }
}

static void spell_company(struct world *w, int company, struct world_card *c)
{
    const struct world_company *of;
    char flat[96], *form;

    c->account = company;
    if (company < 0)
        return;
    of = &w->companies[company];
    copy(c->company, sizeof(c->company), of->name);
    if (often(w, 30)) {
        plain(of->name, flat, sizeof(flat), often(w, 60));
        copy(c->company, sizeof(c->company), flat);
    }
    form = strstr(c->company, " GmbH");
    if (form && often(w, 30))
        *form = '\0';
    if (often(w, 50))
        snprintf(c->tax_id, sizeof(c->tax_id), "%.2s %.3s %s", of->tax_id, of->tax_id + 2,
                 of->tax_id + 5);
    if (often(w, 20))
        copy(c->domain, sizeof(c->domain), of->domain);
}

/* ---- the CRM and the shop ------------------------------------------------------------------ */

static struct world_card *add_contact(struct world *w, int person)
{
    struct world_person *p = &w->people[person];
    struct world_card *c = &w->contacts[w->n_contacts];

    snprintf(c->id, sizeof(c->id), "0035g00000%05dAAA", w->n_contacts);
    c->person = person;
    c->account = p->company;
    copy(c->first, sizeof(c->first), p->first);
    copy(c->last, sizeof(c->last), p->last);
    if (often(w, 92))
        copy(c->email, sizeof(c->email), p->email);
    if (often(w, 75))
        spell_phone(w, p->phone, c);
    if (often(w, 20))
        snprintf(c->external_id, sizeof(c->external_id), "shop-%d", person);
    p->contacts[p->n_contacts++] = w->n_contacts++;
    return c;
}

/* Does the record fit two contacts alike, as far as anybody can see? */
static bool fits_two(const struct world *w, const struct world_card *r)
{
    const struct world_person *p = &w->people[r->person];
    const struct world_person *twin = p->twin >= 0 ? &w->people[p->twin] : NULL;

    for (int i = 0; i < p->n_contacts; i++) /* the shop's id says it */
        if (w->contacts[p->contacts[i]].external_id[0] && r->external_id[0])
            return false;
    if (p->n_contacts == 2) { /* twice in the CRM, and the address is of both */
        const char *email = w->contacts[p->contacts[0]].email;

        return r->email[0] && email[0] && strcmp(email, w->contacts[p->contacts[1]].email) == 0;
    }
    if (!twin || twin->n_contacts == 0 || p->n_contacts == 0)
        return false;
    /* a couple's mailbox, of both in the CRM too, and no first name */
    if (strcmp(p->email, twin->email) == 0 && strcmp(p->first, twin->first) != 0)
        return !r->first[0] && w->contacts[p->contacts[0]].email[0] &&
               w->contacts[twin->contacts[0]].email[0];
    /* one name, no address, and neither a number nor a company that tells them apart */
    return strcmp(p->first, twin->first) == 0 && !r->email[0] &&
           (!r->phone[0] || strcmp(p->phone, twin->phone) == 0) &&
           (!r->company[0] || p->company == twin->company);
}

static void add_record(struct world *w, int person)
{
    const struct world_person *p = &w->people[person];
    struct world_card *r = &w->records[w->n_records++];
    int company = p->company;

    r->person = person;
    if (often(w, 90))
        snprintf(r->external_id, sizeof(r->external_id), "shop-%d", person);
    else
        snprintf(r->external_id, sizeof(r->external_id), "guest-%d", person);
    spell_name(w, p, r);
    if (often(w, 96))
        spell_email(w, p, r);
    if (often(w, 60))
        spell_phone(w, p->phone, r);
    if (company >= 0 && often(w, 3)) { /* works elsewhere now */
        company = below(w, WORLD_COMPANIES);
        snprintf(r->email, sizeof(r->email), "p%d@%s", person, w->companies[company].domain);
    }
    if (often(w, 60))
        spell_company(w, company, r);
    r->ambiguous = fits_two(w, r);
}

struct world *world_create(uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    int people = WORLD_CONTACTS * 115 / 100;

    w->state = seed;
    w->people = calloc((size_t)people, sizeof(*w->people));
    w->contacts = calloc(WORLD_CONTACTS + 2, sizeof(*w->contacts));
    w->records = calloc((size_t)people, sizeof(*w->records));
    for (int i = 0; i < WORLD_COMPANIES; i++)
        make_company(w, i);
    for (int i = 0; i < people; i++)
        if (i > 0 && w->people[i - 1].twin < 0 && below(w, 1000) < 12)
            make_twin(w, i);
        else
            make_person(w, i);
    for (int i = 0; i < people && w->n_contacts < WORLD_CONTACTS; i++) {
        if (often(w, 12))
            continue; /* the shop knows them, the CRM does not */
        add_contact(w, i);
        if (often(w, 2) && w->n_contacts < WORLD_CONTACTS)
            add_contact(w, i);
    }
    w->n_people = people;
    for (int i = 0; i < people; i++)
        add_record(w, i);
    return w;
}

void world_destroy(struct world *w)
{
    if (!w)
        return;
    free(w->people);
    free(w->contacts);
    free(w->records);
    free(w);
}
