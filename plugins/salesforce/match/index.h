/*
 * index.h - the contacts and accounts of an org, held in memory and found by what identifies them.
 *
 * Owned by one endpoint, used on the loop. About half a kilobyte for each contact. Nothing in it
 * takes longer the more there is, but the chains of its 65,536 buckets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sluice/sluice.h>

#include "normalise.h"

#define MATCH_PHONES 2

/** What is known of somebody, as it stands in the CRM or in a record. Views; empty: not known. */
struct raw_person {
    sl_str id, external_id, first, last, email, phone[MATCH_PHONES], account, country;
    sl_str company, tax_id, domain; /* of a record; an indexed contact has its account's */
    sl_str created;                 /* ISO, so that the text's order is the time's */
    sl_str shown;                   /* the whole name for people; empty: first and last */
    int suffix;                     /* unless the name says it */
    unsigned filled;                /* fields that have a value: how complete it is */
};

struct node {
    struct node *next;
    void *owner;
    uint32_t hash;
};

/** Somebody, normalised. Owns its texts. */
struct person {
    sl_str shown; /* the name for people, as it is written */
    sl_str id, external_id, email, phone[MATCH_PHONES], created;
    size_t domain; /* where it begins in `email` */
    bool role, freemail;
    struct name name;
    sl_str name_key;                        /* last and first name */
    struct account *account;                /* NULL: none, or not known */
    sl_str company, tax_id, company_domain; /* of a record */
    unsigned filled;
    uint32_t number;  /* in a report that goes over all */
    uint32_t serial;  /* of the last search that looked at it */
    bool provisional; /* is being created: it has no id yet */
    struct node by_id, by_external_id, by_email, by_phone[MATCH_PHONES], by_name, by_account;
};

struct account {
    sl_str id, name, company, tax_id, domain; /* name as it stands, the others normalised */
    struct node by_id, by_company, by_tax_id, by_domain;
    struct node *people; /* by_account of each */
    size_t n_people;
};

/** A contact that was merged into another: who was meant by it is meant by that one. */
struct merged {
    sl_str id, external_id, master;
    struct node by_id, by_external_id;
};

struct map {
    struct node **buckets; /* NULL until the first is added */
    size_t n;
};

/** All zero is valid and empty. */
struct match_index {
    struct map by_id, by_external_id, by_email, by_phone, by_name;
    struct map accounts, by_company, by_tax_id, by_domain;
    struct map merged, merged_external; /* struct merged, by id and by external id */
    const char *const *freemail;        /* more domains; ends with NULL; borrowed; NULL: none */
    const char *country;                /* of phone numbers that do not say it; NULL: not known */
    uint32_t serial;
};

void index_finish(struct match_index *ix);

/** Normalise. Own; free with person_free(). NULL: no memory. */
struct person *person_make(const struct match_index *ix, const struct raw_person *raw);
void person_free(struct person *p);

/** A contact is new, or has changed. SL_E_NO_MEMORY: it stands as it stood before. */
sl_status index_put(struct match_index *ix, const struct raw_person *raw);
/** Take a made person in; owned by the index from then on. */
sl_status index_take(struct match_index *ix, struct person *p);
/** A contact is gone; one that is not there is fine. */
void index_remove(struct match_index *ix, sl_str id);
/** Take out a person that index_take() took in: the caller's again; or free it as well. */
void index_release(struct match_index *ix, struct person *p);
void index_drop(struct match_index *ix, struct person *p);
/** A contact is gone, merged into `master`: its external id means that one from now on. */
sl_status index_merge(struct match_index *ix, sl_str id, sl_str external_id, sl_str master);
sl_status index_put_account(struct match_index *ix, sl_str id, sl_str name, sl_str tax_id,
                            sl_str website);
void index_remove_account(struct match_index *ix, sl_str id);

struct person *index_find(const struct match_index *ix, sl_str id);
/** Who has the external id; or, when nobody has, into whom the one who had it was merged. */
struct person *index_find_external(const struct match_index *ix, sl_str external_id);
struct account *index_find_account(const struct match_index *ix, sl_str id);

/** Walk what a key leads to: begin with NULL, NULL is the end. The hash is of the key; an owner may
 *  have another key of the same hash. */
struct node *map_next(const struct map *m, uint32_t hash, const struct node *after);
uint32_t map_hash(sl_str key);
