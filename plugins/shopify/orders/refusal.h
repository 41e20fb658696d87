/*
 * refusal.h - what a mutation's userErrors say: the field's name for an operator, and whether the
 * thing is done already, refused for good, for later, or for a person.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

enum refusal {
    REFUSAL_NONE,    /* there are no errors */
    REFUSAL_GOOD,    /* refused for good */
    REFUSAL_DONE,    /* it is done already */
    REFUSAL_STATE,   /* the state says whether it is done, or cannot be */
    REFUSAL_DOUBT,   /* likewise; and if it is not done, the same may succeed later */
    REFUSAL_LATER,   /* nothing was done, and the same may succeed later */
    REFUSAL_HUMAN,   /* a person must choose */
    REFUSAL_NEW_KEY, /* the idempotency key is spent */
};

/** One message. The array ends with both texts NULL. */
struct refusal_rule {
    const char *code; /* NULL: any */
    const char *text; /* part of the message, compared without case; NULL: any */
    enum refusal meaning;
    const char *advice; /* what would be right; NULL: the message says it */
};

/** `errors`: [{code?, field, message}]. The gravest of them counts: what is refused for good before
 *  what a person must choose before what is to come. `ret_why`: "lines.0.quantity: ... (CODE);
 *  ...", at most three of them, and the advice. */
enum refusal refusal_of(const json_t *errors, const struct refusal_rule *rules, char *ret_why,
                        size_t size);
