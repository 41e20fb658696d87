/*
 * find.h - rows by their keys, for routes' `with`: SOQL with a list of them.
 *
 *   NEXT (as many keys as a URI holds) -> ASKING (/query) -> PAGES (nextRecordsUrl) -> NEXT ...
 * told
 *
 * A row is the record as Salesforce wrote it, number for number, without `attributes`; it has Id
 * and the key's field besides what was asked for. Text is compared without case, as Salesforce
 * does. Two records of one key are an error that names them, unless a list is wanted (`many`).
 */
#pragma once

#include <sluice/sluice.h>

struct salesforce;

extern const sl_find salesforce_find;
void find_close(struct salesforce *sf); /* nothing is told any more */
