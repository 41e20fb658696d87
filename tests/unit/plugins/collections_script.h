/*
 * collections_script.h - calls of sObject Collections and their answers, for the tests of them.
 */
#pragma once

#include "salesforce_fixture.h"

#include <stdio.h>
#include <string.h>

#define SOBJECTS SF_BASE "/services/data/v66.0/composite/sobjects"
#define UPSERT   SOBJECTS "/Contact/" SF_KEY
#define ID_A     "0035g00000Tst01AAB"
#define ID_B     "0035g00000Tst02AAB"
#define HEAD     "{\"allOrNone\":false,\"records\":["
#define TYPE     "{\"attributes\":{\"type\":\"Contact\"},"
#define ROW(key) TYPE "\"" SF_KEY "\":\"" key "\"}"
#define OK(id)   "{\"id\":\"" id "\",\"success\":true,\"errors\":[],\"created\":true}"
#define NO(code, message)                                                                \
    "{\"success\":false,\"errors\":[{\"statusCode\":\"" code "\",\"message\":\"" message \
    "\",\"fields\":[]}]}"
#define REST(code, message) "[{\"message\":\"" message "\",\"errorCode\":\"" code "\"}]"

/* ---- scripts ------------------------------------------------------------------------------- */

static inline void use(struct sf_fixture *x, const char *action, const char *transport)
{
    struct fake_setting values[5] = { { "object", "Contact" }, { "transport", transport } };
    size_t n = 2;

    if (strcmp(action, "upsert") == 0 || strcmp(action, "insert") == 0)
        values[n++] = (struct fake_setting){ "external_id", SF_KEY };
    if (strcmp(action, "insert") == 0)
        values[n++] = (struct fake_setting){ "unique", "true" };
    sf_use(x, action, values, NULL);
}

static size_t rooms_used;

static inline int setup(void **state)
{
    int r = sf_setup(state);

    rooms_used = 0;
    use(*state, "upsert", "collections");
    return r;
}

/* Again from the beginning, as after a restart. */
static inline void restart(struct sf_fixture *x)
{
    sf_reopen(x);
    use(x, "upsert", "collections");
    sf_expect_token(x);
}

static inline void expect_call(struct sf_fixture *x, const char *body, uint32_t status,
                               const char *answer)
{
    FAKE_EXPECT(x->host, .method = "PATCH", .url = UPSERT,
                .headers = SF_BEARER
                "\nContent-Type: application/json; charset=UTF-8\n"
                "Accept: application/json",
                .body = body, .status = status, .answer = answer);
}

/* ---- many rows ----------------------------------------------------------------------------- */

#define MANY 450

static char keys[MANY][64];
static const char *bodies[MANY + 1];

/* {"Shopify_Customer_Id__c":"r0"} and so on. */
static inline const char *const *many(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof(keys[i]), "{\"" SF_KEY "\":\"r%zu\"}", i);
        bodies[i] = keys[i];
    }
    bodies[n] = NULL;
    return bodies;
}

/* Texts of the script live until the end of the test. */
static inline char *room(void)
{
    static char rooms[128][40000];

    CHECK(rooms_used < 128);
    return rooms[rooms_used++];
}

/* What a call with the rows [from, to) of many() asks for. */
static inline const char *asked(size_t from, size_t to)
{
    char *text = room(), *p = text;

    p += sprintf(p, HEAD);
    for (size_t i = from; i < to; i++)
        p += sprintf(p, "%s" TYPE "\"" SF_KEY "\":\"r%zu\"}", i > from ? "," : "", i);
    sprintf(p, "]}");
    return text;
}

/* The answer to it: all are there, or all say `instead`. */
static inline const char *told(size_t from, size_t to, const char *instead)
{
    char *text = room(), *p = text;

    *p++ = '[';
    for (size_t i = from; i < to; i++)
        p += instead ? sprintf(p, "%s%s", i > from ? "," : "", instead)
                     : sprintf(p, "%s{\"id\":\"0035g%010zuAAB\",\"success\":true,\"errors\":[]}",
                               i > from ? "," : "", i);
    sprintf(p, "]");
    return text;
}

static inline void expect_rows(struct sf_fixture *x, size_t from, size_t to)
{
    expect_call(x, asked(from, to), 200, told(from, to, NULL));
}

static inline void check_rows(struct sf_fixture *x, size_t n)
{
    sf_check_all(x, SL_DELIVERED);
    for (size_t i = 0; i < n; i++) {
        char id[32];

        snprintf(id, sizeof(id), "0035g%010zuAAB", i);
        CHECK_STR(x->done.outcomes[i].reference, id);
    }
}
