/*
 * contacts_world.h - a made-up CRM with known truth: companies, people, what the CRM has of them,
 * and records of a shop about the same people, spelt as people spell.
 *
 * It knows nothing of the matching: it writes names and numbers as they are found in the wild, and
 * remembers who was meant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WORLD_COMPANIES 6000
#define WORLD_CONTACTS  14000

struct world_company {
    char name[80], domain[64], tax_id[20], phone[24];
    char id[20];
};

struct world_person {
    char first[32], last[40], email[96], phone[24];
    int company; /* -1: a private person */
    int twin;    /* somebody easily taken for this one; -1: nobody */
    int contacts[2];
    int n_contacts; /* in the CRM: 0 to 2 */
};

/** A contact of the CRM, or a record of the shop. Empty: not known. */
struct world_card {
    char id[20], external_id[24], first[32], last[48], email[128], phone[32];
    char company[96], tax_id[24], domain[80];
    int person, account; /* the truth; index of its company, -1: none */
    bool ambiguous;      /* a record: what it says fits several contacts of the CRM alike */
};

struct world {
    struct world_company companies[WORLD_COMPANIES];
    struct world_person *people;
    struct world_card *contacts, *records;
    int n_people, n_contacts, n_records;
    uint64_t state; /* of the random numbers */
};

/** Own. */
struct world *world_create(uint64_t seed);
void world_destroy(struct world *w);
