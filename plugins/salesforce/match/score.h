/*
 * score.h - is this the same person? Candidates of a record, each with its points and the reasons
 * for them, and what follows: certain, none, or a question for a person.
 *
 * The points are a ranking and a threshold; what may never be decided alone - two names that do not
 * fit, two personal addresses of one company - is a rule beside them (`capped`).
 */
#pragma once

#include "index.h"

/* What two have in common, and what speaks against it. */
#define WHY_EXTERNAL_ID   0x0001u
#define WHY_EMAIL         0x0002u /* the same personal address */
#define WHY_ROLE_EMAIL    0x0004u /* the same mailbox of many */
#define WHY_PHONE         0x0008u
#define WHY_SHARED_PHONE  0x0010u /* a number that several people have */
#define WHY_TAX_ID        0x0020u
#define WHY_COMPANY       0x0040u
#define WHY_COMPANY_TYPO  0x0080u
#define WHY_DOMAIN        0x0100u
#define WHY_OTHER_EMAIL   0x0200u /* both have a personal address, and they differ */
#define WHY_OTHER_AT_SAME 0x0400u /* and that at one company's domain */
#define WHY_OTHER_TAX_ID  0x0800u
#define WHY_OTHER_PHONE   0x1000u
#define WHY_MERGED        0x2000u /* the external id is of one that was merged into it */

struct match {
    struct person *person;
    int score;
    uint32_t why;
    enum name_relation name;
    bool certain; /* by itself: nothing speaks against it */
};

#define MATCH_MOST 8 /* candidates kept */

enum verdict_of_match { MATCH_NONE, MATCH_CERTAIN, MATCH_AMBIGUOUS };

struct matches {
    enum verdict_of_match verdict;
    struct match items[MATCH_MOST]; /* best first; CERTAIN: the first one is it */
    size_t n;
    struct account *account; /* the one company that the record can mean; NULL: none, or several */
};

/** Score two people. */
void match_score(const struct match_index *ix, const struct person *a, struct person *b,
                 struct match *ret);
/** All candidates of a record. Looks at no more than a few hundred people. */
void match_find(struct match_index *ix, const struct person *record, struct matches *ret);
/** The company of a record, by tax id, then name and domain, then either alone if it is unique. */
struct account *match_account(const struct match_index *ix, const struct person *record);

/** "same e-mail anna@acme.example, same name, other phone": for people. */
void match_reasons(const struct match *m, struct text *to);
