/*
 * outbound.h - an Outbound Message: SOAP with up to a hundred notifications of one object.
 */
#pragma once

#include <sluice/sluice.h>

/** One notification; views valid for the call. */
struct notification {
    sl_str id;     /* its own, 18 characters */
    sl_str object; /* API name */
    sl_str json;   /* {"organization_id", "action_id", "notification_id", "object", "record"} */
};

/** Another status than SL_OK ends the reading, which returns it. */
typedef sl_status (*notification_cb)(void *ctx, const struct notification *n);

/**
 * Read a message as it came. Entities of its own and a DOCTYPE are refused; what is a credential
 * in it (SessionId) is stepped over and never copied.
 * @param organization  of 18 characters: the only one whose messages are taken
 * @param each          for each notification as it is read: before the end was seen
 * @return SL_OK: at least one; SL_E_INVALID with `fail`, SL_E_NO_MEMORY, or what `each` returned
 */
sl_status outbound_read(sl_str body, sl_str organization, notification_cb each, void *ctx,
                        sl_fail *fail);

/** The one answer that Salesforce takes for a yes. */
extern const sl_ack outbound_ack;
