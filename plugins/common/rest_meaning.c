/*
 * rest_meaning.c - what an answer says about the one question: can the remote have acted?
 *
 * What no setting names is read as HTTP, the platforms' own manuals and their known oddities say.
 * One table, so that adapters do not differ by accident.
 */
#include "rest.h"

struct rest_meaning rest_meaning_of_error(const sl_http_answer *a)
{
    if (a->sent) /* timed out, cut, torn, too large, no HTTP: after the first byte all is possible
                  */
        return (struct rest_meaning){ MEANS_PERHAPS, "no whole answer" };
    if (a->error == SL_E_TLS)
        return (struct rest_meaning){ MEANS_PARK, "TLS" };
    if (a->error == SL_E_INVALID)
        return (struct rest_meaning){ MEANS_INVALID, "" };
    return (struct rest_meaning){ SL_RETRY, "" };
}

static const struct {
    uint32_t from, to;
    struct rest_meaning means;
} table[] = {
    { 200, 299, { MEANS_PERHAPS, "a status that accepted.status does not list" } },
    { 300, 399, { SL_REJECTED, "redirects are not followed: correct base_url or the path" } },
    /* the account, not the record: credentials, bills, permission, a lock, a security rejection */
    { 401, 403, { MEANS_PARK, "the account may not be used" } },
    { 408, 408, { MEANS_PERHAPS, "" } }, /* it may have read all of the request before */
    { 419, 419, { SL_THROTTLED, "" } },  /* some say it before 429 */
    { 423, 423, { MEANS_PARK, "the account may not be used" } },
    { 425, 425, { MEANS_PERHAPS, "" } },
    { 429, 429, { SL_THROTTLED, "" } },
    { 430, 430, { MEANS_PARK, "the account may not be used" } },
    { 400, 499, { SL_REJECTED, "" } },
    { 501, 501, { SL_REJECTED, "the remote does not know this request" } },
    { 503, 503, { MEANS_PERHAPS, "" } }, /* with Retry-After: see below */
    { 500, 599, { MEANS_PERHAPS, "" } },
};

struct rest_meaning rest_meaning_of_status(const sl_http_answer *a)
{
    uint32_t status = a->status;

    if (status == 503 && a->retry_after_ms >= 0)
        return (struct rest_meaning){ MEANS_BUSY, "" };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (status >= table[i].from && status <= table[i].to)
            return table[i].means;
    return (struct rest_meaning){ MEANS_PERHAPS, "not a status of HTTP" };
}
