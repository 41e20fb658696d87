/*
 * receive.h - the org as a source: Outbound Messages at /in/{endpoint}/outbound/{secret}, callouts
 * of Flow and Apex at /in/{endpoint}/callout.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "rows/record_id.h"

struct salesforce;

/** Who may send; views into the settings. */
struct receive {
    char organization[RECORD_ID_SIZE];
    sl_str paths[SL_VERIFY_MAX_SECRETS], tokens[SL_VERIFY_MAX_SECRETS];
    sl_str keys[SL_VERIFY_MAX_SECRETS];
    size_t n_paths, n_tokens, n_keys; /* 0: none is taken */
    sl_str signature_header;
    json_t *follow; /* own: names of objects; NULL: none */
    bool warned;    /* that the endpoint has no `status` */
};

/** What the option table cannot say, secrets aside. */
sl_status receive_check(const sl_values *v, const sl_values_api *api, sl_fail *fail);
/** Read the settings; SL_E_INVALID with `fail`: one does not do. */
sl_status receive_open(struct salesforce *sf, sl_fail *fail);
void receive_close(struct salesforce *sf);

/* as sluice.h documents them */
sl_status receive_verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail);
sl_status receive_unpack(void *self, const sl_head *head, sl_str body, const sl_unpack_out *out,
                         sl_fail *fail);
sl_status receive_describe(void *self, const sl_event *event, const sl_describe_out *out,
                           sl_fail *fail);
