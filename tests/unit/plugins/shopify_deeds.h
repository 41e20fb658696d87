/*
 * shopify_deeds.h - one action of the shopify adapter against a fake host that plays the Admin API:
 * each expected question has a part of its document and of its variables, and an answer.
 */
#pragma once

#include "fake_host.h"

#define DEED_KEY   "k3y-_A"
#define DEED_TOKEN "X-Shopify-Access-Token: shpat_secret"
#define DEED_URL   "https://acme.myshopify.com/admin/api/2026-10/graphql.json"

#define DATA(data)                                                            \
    "{\"data\":{" data                                                        \
    "},\"extensions\":{\"cost\":{\"requestedQueryCost\":10,"                  \
    "\"actualQueryCost\":10,\"throttleStatus\":{\"maximumAvailable\":2000.0," \
    "\"currentlyAvailable\":1990,\"restoreRate\":100.0}}}}"
#define THROTTLED                                                                        \
    "{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":\"THROTTLED\"}}]," \
    "\"extensions\":{\"cost\":{\"requestedQueryCost\":100,\"throttleStatus\":{"          \
    "\"maximumAvailable\":2000,\"currentlyAvailable\":0,\"restoreRate\":50}}}}"

struct deed_rig {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self, *handle;
    sl_values *params;
    sl_record record;
    sl_batch batch;
    struct fake_done done;
    struct fake_confirmed confirmed;
    int64_t first_ms;  /* of the next record; 0: its first attempt */
    uint32_t priority; /* of the batch */
    sl_str choice;     /* that a person took of it; empty: none */
};

int deeds_setup(void **state);
int deeds_teardown(void **state);

/** The action by its name, with a route's parameters. */
void deed_take_action(struct deed_rig *x, const char *action, const struct fake_setting *params);
/** The next answer of the shop, HTTP 200. */
void deed_expect(struct deed_rig *x, const char *answer);
/** No whole answer to the next question, which had left. */
void deed_expect_torn(struct deed_rig *x);
/** Deliver one record, to its end. With prepare(), if that makes another request of it; its
 *  refusal is told as SL_REJECTED. */
const struct fake_outcome *deed_run(struct deed_rig *x, const char *body);
/** Go on from a token. */
const struct fake_outcome *deed_go_on(struct deed_rig *x, const char *body, const char *token);
/** confirm(), first sent so many ms ago. */
const struct fake_confirmed *deed_asked(struct deed_rig *x, const char *body, int64_t ago_ms);
/** The last question's variables as text; valid until the next call. */
const char *deed_variables(struct deed_rig *x);
