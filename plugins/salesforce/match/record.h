/*
 * record.h - the body of a contact.upsert: the fields of a Contact, and what is said of its company
 * and of how it came, which is not sent.
 *
 *   {"Shopify_Customer_Id__c": "7", "LastName": "Schmidt", "Email": "anna@acme.example",
 *    "company": {"name": "Acme GmbH", "tax_id": "DE123456789", "domain": "acme.example"},
 *    "guest": true}
 */
#pragma once

#include "index.h"
#include "rows/row.h"

struct contact_record {
    struct text fields; /* the body without `company` and `guest` */
    struct row row;     /* its cells: views into `fields` */
    struct text values; /* what `raw` points into */
    struct raw_person raw;
    bool guest;
    bool has_account; /* the record names its account itself */
};

void record_finish(struct contact_record *r); /* all zero is fine */

/**
 * Read a body. `r` may be used again.
 * @param external_id  API name of the field; a record without a value in it is refused
 * @return SL_OK; SL_E_INVALID: `why` says what is wrong; SL_E_NO_MEMORY
 */
sl_status record_read(struct contact_record *r, sl_str body, const char *external_id, char *why,
                      size_t why_size);
