/*
 * sobject.h - records as sObject Collections take and give them: JSON, one element for each.
 */
#pragma once

#include "operation.h"
#include "org/description.h"
#include "row.h"
#include "text.h"

/**
 * Append a record: {"attributes":{"type":"Contact"},"LastName":"x","Account":{"Ext__c":"A"}}.
 * Numbers and booleans leave as they came in, and as texts where the field is one, in which
 * Salesforce takes nothing else; null and the empty text clear a field, as in a bulk job; line
 * breaks become LF, likewise. What the record does not have keeps its value.
 * @param d        what is known of the object; NULL: nothing
 * @param scratch  for decoding
 */
void sobject_write(struct text *to, const struct action *a, const struct description *d,
                   const struct row *row, struct text *scratch);
/** Does the row name one parent by two keys, or have a field of a parent's name? JSON cannot say
 *  that. @param why  filled if so */
bool sobject_is_twofold(const struct row *row, char *why, size_t why_size);

/** The elements of a JSON array, found without reading them: they are parsed one by one, in turns
 *  of the loop. Views into the array. */
struct elements {
    const char *p, *end;
};

/** @return how many there are; -1: it is no array, or torn. A wrong element is found when it is
 *  parsed. */
long elements_open(struct elements *e, sl_str array);
/** In order; false: there is none left. */
bool elements_next(struct elements *e, sl_str *ret);
