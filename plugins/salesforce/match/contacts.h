/*
 * contacts.h - the action contact.upsert: a record is matched against the org's contacts. Certain:
 * it updates that one; none: it is created; between the two a person is asked, once.
 */
#pragma once

#include "rows/operation.h"
#include "salesforce.h"

enum guests { GUESTS_MATCH, GUESTS_CREATE, GUESTS_SKIP };

struct contact_action {
    struct action base; /* op is OP_CONTACT: this is the larger struct */
    enum guests guests;
};

#define OP_CONTACT ((enum operation)OP__COUNT) /* behind those of operation.h */

extern const sl_option contact_params[];

sl_status contacts_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
static inline bool contacts_is(const void *handle)
{
    return handle && ((const struct action *)handle)->op == OP_CONTACT;
}
/** May an endpoint of these settings have the action? */
sl_status contacts_check(const sl_values *settings, const sl_values_api *api, sl_fail *fail);

sl_status contacts_open(struct salesforce *sf, sl_fail *fail);
void contacts_close(struct salesforce *sf);
void contacts_forget(void *self, const sl_ask *what); /* as sl_plugin.forget */
void contacts_deliver(struct salesforce *sf, const struct contact_action *action,
                      const sl_batch *batch, const sl_done *done);
/** The normalised e-mail, else the external id; appends nothing when there is neither. */
void contacts_row_key(const struct salesforce *sf, sl_str body, struct text *to);
