/*
 * description.h - what an object is like in the org: its fields, how long they are, who may write
 * them. Read from the answer of /sobjects/{Object}/describe, in turns: that of a grown object has
 * megabytes.
 */
#pragma once

#include "rows/operation.h"
#include "rows/row.h"
#include "text.h"

#define FIELD_CREATEABLE  0x1u
#define FIELD_UPDATEABLE  0x2u
#define FIELD_EXTERNAL_ID 0x4u
#define FIELD_ID_LOOKUP   0x8u
#define FIELD_UNIQUE      0x10u
#define FIELD_REQUIRED    0x20u /* on create: not nillable, no default, createable */

struct field_info {
    char *name;
    char *relationship; /* of a lookup: "Account", "Foo__r"; NULL: none */
    uint32_t length;    /* UTF-16 units that it takes; 0: not bounded by that */
    uint32_t flags;
    bool polymorphic;
};

/** Sorted by name, without case. */
struct description {
    struct field_info *fields;
    size_t n, cap;
    bool createable, updateable, deletable;
};

void description_finish(struct description *d);

/** All zero is not valid: reading_open(). */
struct reading {
    char *text; /* own */
    size_t len, at;
    int step;
    size_t begins; /* of the value under way */
    unsigned depth;
    bool in_string, escaped;
    char key[32];
    bool saw_fields;
    struct description out;
};

/** `body` is copied. SL_OK or SL_E_NO_MEMORY. */
sl_status reading_open(struct reading *r, sl_str body);
void reading_finish(struct reading *r);
/** A bounded piece. 1: there is more to do; SL_OK: all is read, the description is `ret`'s;
 *  SL_E_INVALID: that is no description; SL_E_NO_MEMORY */
int reading_turn(struct reading *r, struct description *ret);

/** NULL: there is none. Name without case. */
const struct field_info *description_field(const struct description *d, sl_str name);
/** The lookup whose relationship has this name ("Account", "Lead:Who"). NULL: none. */
const struct field_info *description_parent(const struct description *d, sl_str relationship);

/**
 * Can these cells be written with this action? Looks at what would fail for certain: unknown
 * fields, which fail the whole job; fields that are not the integration user's to write; texts that
 * are too long.
 * @param why  on SL_E_INVALID: names field, length and maximum, and what to do
 */
sl_status description_check(const struct description *d, const struct action *a,
                            const struct row *row, char *why, size_t why_size);

/** Characters of a cell's text as Salesforce counts them: UTF-16 units. */
size_t cell_units(const struct cell *c);
