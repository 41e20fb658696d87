/*
 * parents.h - what Salesforce locks beside the record itself: its parent. Two transactions that
 * write children of one account side by side fail each other with UNABLE_TO_LOCK_ROW.
 */
#pragma once

#include "operation.h"
#include "row.h"
#include "text.h"

/**
 * Append the key of the parent that writing this record locks, in lower case:
 * "account.erp_no__c=a-1". That of a record without a parent is its own, and so that of its
 * children: the account's as well as its contacts'. Nothing is appended where there is none to be
 * named, or the route says `parent: none`.
 */
void parent_key_of(const struct action *a, const struct row *row, struct text *to);

/** Is that a relationship column's name, or "none"? "Account", "AccountId", "Account.ERP_No__c",
 *  "Site__c", "Site__r.Code__c" */
bool is_parent_column(sl_str name);
