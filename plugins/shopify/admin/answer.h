/*
 * answer.h - what an answer of the Admin API says: done, not done, perhaps done, and what somebody
 * has to do about it. A 200 may be a refusal for pace, or of the whole document. Pure; trusts no
 * byte of what it reads.
 */
#pragma once

#include "admin/admin.h"

#define PARK_SLOWLY_MS                                                                             \
    900000                      /* a shop that is frozen or locked: somebody has to pay, or to ask \
                                 */
#define PARK_BLOCKED_MS 1800000 /* requests that look suspicious: the fewer the better */
#define THROTTLED_MS    1000    /* Shopify's own rule: at least a second */
#define THROTTLED_MOST  60000   /* no figure is believed beyond this */

/** extensions.cost; -1: not said, or no sane figure. */
struct admin_cost {
    int64_t requested, actual, most, left, restore_milli;
};

/** Read an answer. `writes`: a mutation was asked, so that what is not understood may be done.
 *  Returns the body parsed, of which ret->data and ->errors are parts: own, NULL: none. `ret` and
 *  `cost` are filled in any case. */
json_t *answer_read(const sl_http_answer *a, int writes, struct admin_answer *ret,
                    struct admin_cost *cost);

/** The same of the token endpoint: OK when there is a body to look into, else why not, and what to
 *  do about it. Says nothing of what is in the answer: it may hold tokens. */
json_t *answer_read_oauth(const sl_http_answer *a, struct admin_answer *ret);

/** The first value of a header; empty: it is not there. */
sl_str answer_header(const sl_http_answer *a, const char *name);
