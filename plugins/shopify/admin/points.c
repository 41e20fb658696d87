/*
 * points.c - see points.h. The model: a scalar is free, an object 1; a connection of n nodes
 * 2 + m * (1 + one node), m = max(1, floor(2 ln n)); a union as dear as its dearest member; a
 * mutation 10, and what stands directly on its payload is free.
 */
#include "admin/points.h"

#include <math.h>
#include <string.h>

#define MAX_DEPTH   32
#define MAX_FIELDS  5000 /* of one document, fragments as often as they are used */
#define MAX_SPREADS 100  /* named ones: each is looked for from the beginning */
#define NAME_SIZE   64

struct reader {
    const char *document, *at;
    const json_t *variables;
    unsigned fields, depth, spreads;
};

/** Of a selection set. */
struct cost {
    uint64_t own;     /* of its fields */
    uint64_t dearest; /* of its inline fragments: a union has one of its members */
    uint64_t node;    /* of `nodes`, or of `node` in `edges` */
    int is_connection, is_money;
};

/* ---- words --------------------------------------------------------------------------------- */

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A string, with its quotes; the reader stands at the first. */
static void skip_string(struct reader *r)
{
    if (strncmp(r->at, "\"\"\"", 3) == 0) {
        const char *end = strstr(r->at + 3, "\"\"\"");

        r->at = end ? end + 3 : r->at + strlen(r->at);
        return;
    }
    for (r->at++; *r->at && *r->at != '"'; r->at++)
        if (*r->at == '\\' && r->at[1])
            r->at++;
    r->at += *r->at == '"';
}

static void skip_blank(struct reader *r)
{
    for (;; r->at++) {
        if (*r->at == '#')
            r->at += strcspn(r->at, "\n");
        if (!*r->at || !strchr(" \t\r\n,", *r->at))
            return;
    }
}

/* The next word: a name, or a single character that is none. 0: the end. */
static char next(struct reader *r, char name[NAME_SIZE])
{
    size_t n = 0;

    skip_blank(r);
    name[0] = '\0';
    if (!*r->at)
        return 0;
    if (*r->at == '"') {
        skip_string(r);
        return '"';
    }
    if (strncmp(r->at, "...", 3) == 0) {
        r->at += 3;
        return '.';
    }
    if (!is_name(*r->at))
        return *r->at++;
    for (; is_name(*r->at); r->at++)
        if (n < NAME_SIZE - 1)
            name[n++] = *r->at;
    name[n] = '\0';
    return 'a';
}

static char peek(struct reader *r)
{
    skip_blank(r);
    return *r->at;
}

/* "(...)" or "{...}", the first of which stands next. */
static void skip_group(struct reader *r)
{
    char name[NAME_SIZE], c;
    unsigned open = 0;

    while ((c = next(r, name))) {
        open += c == '(' || c == '{' || c == '[';
        if ((c == ')' || c == '}' || c == ']') && --open == 0)
            return;
    }
}

/* ---- arguments ----------------------------------------------------------------------------- */

/* What stands after "first:". */
static uint64_t page_of(struct reader *r)
{
    char name[NAME_SIZE], c = next(r, name);
    json_int_t n = 0;

    if (c == '$' && next(r, name) == 'a')
        n = json_integer_value(json_object_get(r->variables, name));
    else if (c == 'a')
        for (const char *p = name; *p >= '0' && *p <= '9' && n < 100000; p++)
            n = n * 10 + (*p - '0');
    return n > 0 ? (uint64_t)n : 0;
}

/* Arguments of a field, if there are any; how long a page of it is. */
static uint64_t read_arguments(struct reader *r)
{
    char name[NAME_SIZE], c;
    uint64_t page = 0;
    unsigned open = 0;

    if (peek(r) != '(')
        return 0;
    while ((c = next(r, name))) {
        open += c == '(' || c == '{' || c == '[';
        if ((c == ')' || c == '}' || c == ']') && --open == 0)
            break;
        if (c == 'a' && open == 1 && (strcmp(name, "first") == 0 || strcmp(name, "last") == 0) &&
            peek(r) == ':') {
            next(r, name);
            page = page_of(r);
        }
    }
    return page;
}

/* @idempotent(key: $key) @include(if: $x) */
static void skip_directives(struct reader *r)
{
    char name[NAME_SIZE];

    while (peek(r) == '@') {
        next(r, name);
        next(r, name);
        if (peek(r) == '(')
            skip_group(r);
    }
}

/* ---- selections ---------------------------------------------------------------------------- */

static struct cost read_selection(struct reader *r);

static uint64_t sum(const struct cost *c)
{
    return c->own + c->dearest;
}

/* 2 + m * (1 + a node) */
static uint64_t connection(uint64_t page, uint64_t node)
{
    uint64_t times = page > 1 ? (uint64_t)floor(2 * log((double)page)) : 1;

    return page ? 2 + (times ? times : 1) * (1 + node) : 2;
}

static int is_free(const char *name)
{
    static const char *const names[] = {
        "pageInfo",    "shopMoney", "presentmentMoney",      "weight",
        "measurement", "seo",       "emailMarketingConsent", "smsMarketingConsent"
    };
    size_t len = strlen(name);

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return len >= 6 && (strcmp(name + len - 6, "Errors") == 0);
}

/* The set of a fragment of this name, from anywhere in the document. */
static struct cost read_fragment(struct reader *r, const char *wanted)
{
    struct reader there;
    char name[NAME_SIZE], c;
    struct cost none = { 0 }, found;

    if (++r->spreads > MAX_SPREADS)
        return none;
    there = *r;
    there.at = r->document;
    while ((c = next(&there, name))) {
        if (c == '{' || c == '(') {
            there.at--;
            skip_group(&there);
        }
        if (c != 'a' || strcmp(name, "fragment") != 0 || next(&there, name) != 'a' ||
            strcmp(name, wanted) != 0)
            continue;
        there.at += strcspn(there.at, "{");
        found = read_selection(&there);
        r->fields = there.fields;
        r->spreads = there.spreads;
        return found;
    }
    return none;
}

/* After "...": a spread, or an inline fragment. */
static void read_spread(struct reader *r, struct cost *to)
{
    char name[NAME_SIZE];
    struct cost part;
    int is_named = 0;

    if (peek(r) != '{' && peek(r) != '@') {
        next(r, name);
        is_named = strcmp(name, "on") != 0;
        if (!is_named)
            next(r, name);
    }
    skip_directives(r);
    if (is_named)
        part = read_fragment(r, name);
    else if (peek(r) == '{')
        part = read_selection(r);
    else
        return;
    to->is_connection |= part.is_connection;
    to->is_money |= part.is_money;
    if (part.node > to->node)
        to->node = part.node;
    if (sum(&part) > to->dearest)
        to->dearest = sum(&part);
}

/* One field, its name read. */
static void read_field(struct reader *r, char name[NAME_SIZE], struct cost *to)
{
    struct cost inner;
    uint64_t page;

    if (peek(r) == ':') { /* that was an alias */
        next(r, name);
        next(r, name);
    }
    page = read_arguments(r);
    skip_directives(r);
    if (strcmp(name, "shopMoney") == 0 || strcmp(name, "presentmentMoney") == 0)
        to->is_money = 1;
    if (peek(r) != '{')
        return;
    inner = read_selection(r);
    if (r->depth > 1 && (strcmp(name, "nodes") == 0 || strcmp(name, "edges") == 0)) {
        to->is_connection = 1;
        to->node = name[0] == 'e' ? inner.node : sum(&inner);
    } else if (!is_free(name) && !inner.is_money) {
        if (strcmp(name, "node") == 0) /* of edges, or an object of this name */
            to->node = sum(&inner);
        to->own += inner.is_connection ? connection(page, inner.node) : 1 + sum(&inner);
    }
}

static struct cost read_selection(struct reader *r)
{
    struct cost all = { 0 };
    char name[NAME_SIZE], c;

    if (peek(r) != '{')
        return all;
    if (++r->depth > MAX_DEPTH) {
        skip_group(r);
        r->depth--;
        return all;
    }
    next(r, name);
    while ((c = next(r, name)) && c != '}') {
        if (++r->fields > MAX_FIELDS) {
            r->at += strlen(r->at);
            break;
        }
        if (c == '.')
            read_spread(r, &all);
        else if (c == 'a')
            read_field(r, name, &all);
    }
    r->depth--;
    return all;
}

/* ---- the document -------------------------------------------------------------------------- */

/* The payload of a mutation: what stands directly on it is free, what is below that counts. */
static uint64_t read_payload(struct reader *r)
{
    char name[NAME_SIZE], c;
    uint64_t all = 0;

    next(r, name);
    while ((c = next(r, name)) && c != '}') {
        struct cost field = { 0 };

        if (++r->fields > MAX_FIELDS)
            break;
        if (c != 'a')
            continue;
        read_field(r, name, &field);
        all += field.own ? field.own - 1 : 0;
    }
    return all;
}

static uint64_t read_mutations(struct reader *r)
{
    char name[NAME_SIZE], c;
    uint64_t all = 0;

    next(r, name);
    while ((c = next(r, name)) && c != '}') {
        if (c != 'a')
            continue;
        if (peek(r) == ':') {
            next(r, name);
            next(r, name);
        }
        all += strcmp(name, "refundCreate") == 0 || strcmp(name, "orderCapture") == 0
                   ? 2 * POINTS_MUTATES
                   : POINTS_MUTATES;
        read_arguments(r);
        skip_directives(r);
        if (peek(r) == '{')
            all += read_payload(r);
    }
    return all;
}

uint32_t points_of(const char *document, const json_t *variables)
{
    struct reader r = { .document = document, .at = document, .variables = variables };
    char name[NAME_SIZE], c;
    uint64_t all = 0;
    int writes = 0;

    while ((c = next(&r, name))) {
        struct cost cost = { 0 };

        if (c == 'a' && strcmp(name, "fragment") == 0) {
            r.at += strcspn(r.at, "{");
            if (*r.at)
                skip_group(&r);
        } else if (c == 'a') {
            writes |= strcmp(name, "mutation") == 0;
        } else if (c == '(') {
            r.at--;
            skip_group(&r);
        } else if (c == '{') {
            r.at--;
            if (writes)
                all += read_mutations(&r);
            else
                cost = read_selection(&r);
            all += sum(&cost);
            break; /* one operation a document */
        }
    }
    return all > UINT32_MAX / 2 ? UINT32_MAX / 2 : all ? (uint32_t)all : 1;
}

/* ---- what was learnt ----------------------------------------------------------------------- */

static uint64_t hash_of(const char *document)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (const unsigned char *p = (const unsigned char *)document; *p; p++)
        h = (h ^ *p) * UINT64_C(1099511628211);
    return h ? h : 1;
}

struct points_guess points_predict(const struct points *p, const char *document,
                                   const json_t *variables)
{
    struct points_guess g = { hash_of(document), points_of(document, variables), 1 };
    int64_t all = g.model;

    if (p->known[g.document % POINTS_KNOWN].document == g.document)
        all += p->known[g.document % POINTS_KNOWN].beyond;
    if (all > 1)
        g.cost = all > POINTS_MOST ? POINTS_MOST : (uint32_t)all;
    return g;
}

void points_learn(struct points *p, const struct points_guess *guess, int64_t requested)
{
    if (requested < 0 || requested > POINTS_MOST)
        return;
    p->known[guess->document % POINTS_KNOWN].document = guess->document;
    p->known[guess->document % POINTS_KNOWN].beyond = (int32_t)(requested - (int64_t)guess->model);
}
