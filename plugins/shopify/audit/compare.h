/*
 * compare.h - what a shop has, beside what is declared. Pure.
 */
#pragma once

#include "audit/wanted.h"

/** Of one declared topic. */
struct audit_topic {
    enum { AUDIT_RIGHT, AUDIT_MISSING, AUDIT_ALTERED } state;
    char id[80];    /* of the subscription that is ours; "": there is none */
    char what[240]; /* ALTERED: what is other; MISSING: where another one goes, or "" */
    unsigned more;  /* others of the topic that lead to our address as well */
};

/** `listed`: the shop's subscriptions, an array of GraphQL's objects; what is none is passed over.
 *  `known`: {topic: id} of an audit before, or NULL: one that now leads elsewhere is still ours.
 *  ret: w->n of them. */
void audit_compare(const struct wanted *w, const char *url, const json_t *listed,
                   const json_t *known, struct audit_topic *ret);

/** Names of the topics that lead to our address and that nobody declared: an array of texts; own.
 *  NULL: no memory. */
json_t *audit_left_over(const struct wanted *w, const char *url, const json_t *listed);

/** Is this subscription as it is declared? Else 0, and what is other. */
int audit_is_right(const struct wanted_topic *t, const char *url, const json_t *subscription,
                   char *what, size_t size);
