/*
 * fuzz_salesforce_outbound.c - an Outbound Message: what is taken holds notifications whose events
 * are JSON with their ids in them, and has no DOCTYPE; what is refused says why.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>
#include "receive/outbound.h"
#include "rows/record_id.h"

#define ORGANIZATION "00D5g00000Org01EAB"

static sl_status on_notification(void *ctx, const struct notification *n)
{
    json_t *root = json_loadb(n->json.ptr, n->json.len, JSON_REJECT_DUPLICATES, NULL);
    const char *id = json_string_value(json_object_get(root, "notification_id"));
    json_t *record = json_object_get(root, "record");
    char whole[RECORD_ID_SIZE];

    ++*(size_t *)ctx;
    PROMISE(root, "an event is no JSON");
    PROMISE(id && n->id.len == 18 && memcmp(id, n->id.ptr, 18) == 0, "its id");
    PROMISE(n->object.len > 0 && n->object.len <= 80, "its object");
    PROMISE(!strcmp(json_string_value(json_object_get(root, "organization_id")), ORGANIZATION),
            "whose it is");
    id = json_string_value(json_object_get(record, "Id"));
    PROMISE(id && record_id((sl_str){ id, strlen(id) }, whole) && !strcmp(id, whole), "the record");
    PROMISE(!json_object_get(root, "SessionId"), "a credential");
    json_decref(root);
    return SL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_fail fail = { .size = sizeof(fail) };
    sl_str organization = { ORGANIZATION, strlen(ORGANIZATION) };
    size_t n = 0;
    sl_status r = outbound_read(whole(data, size), organization, on_notification, &n, &fail);

    PROMISE(r == SL_OK || r == SL_E_INVALID || r == SL_E_NO_MEMORY, "%d", (int)r);
    PROMISE(r != SL_OK || n > 0, "an empty message was taken");
    PROMISE(r != SL_E_INVALID || size == 0 || fail.text[0], "no reason");
    return 0;
}
