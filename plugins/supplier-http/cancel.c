/*
 * cancel.c - the action order.cancel: take back an order of which nobody knows whether it arrived,
 * so that another supplier may have it.
 *
 * A wrong "cancelled" doubles an order: only what the settings name is believed, and "no such
 * order" not as long as a late one may still come in. Cancelling twice does no harm.
 */
#include "supplier.h"

#include <stdlib.h>
#include <string.h>

static void cancel_end(struct call *c, const sl_http_answer *a, uint32_t kind, const char *text,
                       int64_t after_ms)
{
    const sl_done *done = c->to.done;
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    done->outcome(done->ctx, 0,
                  &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = kind,
                                 .after_ms = after_ms,
                                 .status = a->status,
                                 .why = { why, strlen(why) } });
    done->finish(done->ctx);
    call_destroy(c);
}

static void cancel_missing(struct call *c, const sl_http_answer *a)
{
    int64_t left = c->s->confirm.settle_ms - (c->age_ms > 0 ? c->age_ms : 0);

    if (left > 0)
        cancel_end(c, a, SL_RETRY, "not there yet", left);
    else
        cancel_end(c, a, SL_DELIVERED, "no such order", 0);
}

static void cancel_parks(struct call *c, const sl_http_answer *a)
{
    const sl_done *done = c->to.done;
    char why[WHY_SIZE];

    answer_why(a, "the account may not be used", NULL, why);
    done->park(done->ctx, (sl_str){ why, strlen(why) }, answer_wait(a));
    done->finish(done->ctx);
    call_destroy(c);
}

static void on_cancelled(struct call *c, const sl_http_answer *a)
{
    const struct supplier *s = c->s;
    uint32_t status = a->status;

    if (a->error < 0)
        cancel_end(c, a, SL_RETRY, "", answer_wait(a));
    else if (status_in(&s->cancel.done, status))
        cancel_end(c, a, SL_DELIVERED, "cancelled", 0);
    else if (status_in(&s->cancel.missing, status))
        cancel_missing(c, a);
    else if (status_in(&s->cancel.refused, status))
        cancel_end(c, a, SL_REJECTED, "", 0);
    else if (status_means_account(status))
        cancel_parks(c, a);
    else if (status == 429 || status == 408 || status == 425 || status >= 500)
        cancel_end(c, a, SL_RETRY, "", answer_wait(a));
    else
        cancel_end(c, a, SL_REVIEW, "an answer that the cancel settings do not name", 0);
}

void supplier_cancel(struct supplier *s, const sl_record *record, const sl_done *done)
{
    static const char no_memory[] = "no memory";
    struct call *c = call_create(s, record, on_cancelled);

    if (!c) {
        done->outcome(done->ctx, 0,
                      &(sl_outcome){ .size = sizeof(sl_outcome),
                                     .kind = SL_RETRY,
                                     .why = { no_memory, sizeof(no_memory) - 1 } });
        done->finish(done->ctx);
        return;
    }
    c->to.done = done;
    if (s->cancel.path.len == 0) /* the configuration's check sees to it */
        call_answer_later(c, SL_E_UNSUPPORTED, "cancel.path is not set");
    else
        call_send(c, s->cancel.method, s->cancel.path, (sl_str){ NULL, 0 }, 0);
}
