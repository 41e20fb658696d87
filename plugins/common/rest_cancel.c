/*
 * rest_cancel.c - what the answer to a cancel means: is what was sent taken back?
 *
 * A wrong "taken back" doubles what was done: only what the settings name is believed, and
 * "missing" not as long as a late one may still come in. Taking back twice does no harm.
 */
#include "rest.h"

#include <string.h>

sl_status rest_cancel_read(const sl_values *values, const sl_values_api *api,
                           const char *const names[3], struct rest_cancel *ret, sl_fail *fail)
{
    sl_status r;
    int twice;

    if ((r = statuses_read(values, api, names[0], &ret->done, fail)) < 0 ||
        (r = statuses_read(values, api, names[1], &ret->missing, fail)) < 0 ||
        (r = statuses_read(values, api, names[2], &ret->refused, fail)) < 0)
        return r;
    if ((twice = statuses_overlap(&ret->done, &ret->refused)) ||
        (twice = statuses_overlap(&ret->done, &ret->missing)))
        return rest_fail(fail, SL_E_INVALID, "%s: %d is among the missing or refused ones too",
                         names[0], twice);
    if ((twice = statuses_overlap(&ret->missing, &ret->refused)))
        return rest_fail(fail, SL_E_INVALID, "%s: %d is among the refused ones too", names[1],
                         twice);
    return SL_OK;
}

void rest_cancel_tell(const sl_done *done, uint32_t kind, const char *why, int64_t after_ms,
                      uint32_t status)
{
    done->outcome(done->ctx, 0,
                  &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = kind,
                                 .after_ms = after_ms,
                                 .status = status,
                                 .why = { why, strlen(why) } });
    done->finish(done->ctx);
}

static void tell(const sl_done *done, const sl_http_answer *a, uint32_t kind, const char *text,
                 int64_t after_ms)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    rest_cancel_tell(done, kind, why, after_ms, a->status);
}

static void park(const sl_done *done, const sl_http_answer *a)
{
    char why[WHY_SIZE];

    answer_why(a, "the account may not be used", NULL, why);
    done->park(done->ctx, (sl_str){ why, strlen(why) }, answer_wait(a));
    done->finish(done->ctx);
}

static void refuse(const sl_done *done, const sl_http_answer *a, const json_t *reason)
{
    char why[WHY_SIZE];

    answer_why(a, "", reason, why);
    rest_cancel_tell(done, SL_REJECTED, why, 0, a->status);
}

void rest_cancel_end(const struct rest_cancel *c, const sl_http_answer *a, int64_t left_ms,
                     const json_t *reason, const sl_done *done)
{
    uint32_t status = a->status;

    if (a->error < 0)
        tell(done, a, SL_RETRY, "", answer_wait(a));
    else if (status_in(&c->done, status))
        tell(done, a, SL_DELIVERED, "taken back", 0);
    else if (status_in(&c->missing, status) && left_ms > 0)
        tell(done, a, SL_RETRY, "not there yet", left_ms);
    else if (status_in(&c->missing, status))
        tell(done, a, SL_DELIVERED, "there is nothing of it", 0);
    else if (status_in(&c->refused, status))
        refuse(done, a, reason);
    else if (status_means_account(status))
        park(done, a);
    else if (status == 429 || status == 408 || status == 425 || status >= 500)
        tell(done, a, SL_RETRY, "", answer_wait(a));
    else
        tell(done, a, SL_REVIEW, "an answer that the settings of the cancel do not name", 0);
}
