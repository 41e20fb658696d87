/*
 * programs.c - what is known of jq programs: which compile, and what is wrong with the others.
 */
#include "cli/programs.h"
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/mapper.h"
#include "flow/program.h"

#define KEPT                                                                             \
    1000 /* good ones, though the configuration has them no more: it may be changed back \
          */

enum verdict { UNKNOWN, GOOD, BAD };

struct known {
    UT_hash_handle hh;
    uint8_t digest[DIGEST_SHA256];
    enum verdict verdict;
    char *text; /* own; while it is UNKNOWN */
    struct fail fail;
    bool met; /* by the load at hand */
};

struct programs {
    struct known *all;
};

struct programs *programs_create(void)
{
    return mem_zero(sizeof(struct programs));
}

static void drop(struct programs *p, struct known *k)
{
    HASH_DEL(p->all, k);
    free(k->text);
    free(k);
}

void programs_destroy(struct programs *p)
{
    struct known *k, *tmp;

    if (!p)
        return;
    HASH_ITER (hh, p->all, k, tmp)
        drop(p, k);
    free(p);
}

static struct known *find(struct programs *p, sl_str text)
{
    uint8_t digest[DIGEST_SHA256];
    struct known *k;

    digest_sha256(text.ptr, text.len, digest);
    HASH_FIND(hh, p->all, digest, sizeof(digest), k);
    if (k)
        return k;
    k = mem_zero(sizeof(*k));
    memcpy(k->digest, digest, sizeof(digest));
    HASH_ADD(hh, p->all, digest, sizeof(k->digest), k);
    return k;
}

void programs_good(struct programs *p, sl_str text)
{
    find(p, text)->verdict = GOOD;
}

void programs_begin(struct programs *p)
{
    struct known *k, *tmp;

    HASH_ITER (hh, p->all, k, tmp)
        k->met = false;
}

int programs_ask(struct programs *p, sl_str text, struct fail *fail)
{
    struct known *k = find(p, text);

    k->met = true;
    if (k->verdict == UNKNOWN && !k->text)
        k->text = mem_dup(text);
    if (k->verdict != BAD)
        return 0;
    *fail = k->fail;
    return fail->code ? fail->code : MAP_E_PROGRAM;
}

bool programs_unknown(const struct programs *p)
{
    for (const struct known *k = p->all; k; k = k->hh.next)
        if (k->met && k->verdict == UNKNOWN)
            return true;
    return false;
}

bool programs_bad(const struct programs *p)
{
    for (const struct known *k = p->all; k; k = k->hh.next)
        if (k->met && k->verdict == BAD)
            return true;
    return false;
}

static void compile(struct map_checker *c, struct known *k)
{
    int r = map_checker_compile(c, str_of(k->text), program_vars, &k->fail);

    k->verdict = r < 0 ? BAD : GOOD;
    if (r < 0 && !k->fail.code)
        k->fail.code = r;
    free(k->text);
    k->text = NULL;
}

void programs_compile(struct programs *p)
{
    struct map_checker *checker = NULL;
    struct fail fail = { 0 };
    int r = map_checker_open(&checker, NULL, &fail);

    for (struct known *k = p->all; k; k = k->hh.next) {
        if (k->verdict != UNKNOWN || !k->text)
            continue;
        if (r == 0) {
            compile(checker, k);
            continue;
        }
        k->verdict = BAD; /* until the next time: programs_forget() */
        k->fail = fail;
    }
    map_checker_close(checker);
}

void programs_forget(struct programs *p)
{
    struct known *k, *tmp;

    HASH_ITER (hh, p->all, k, tmp)
        if (k->verdict != GOOD || (!k->met && HASH_COUNT(p->all) > KEPT))
            drop(p, k);
}
