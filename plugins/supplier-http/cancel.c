/*
 * cancel.c - the action order.cancel: take back an order of which nobody knows whether it arrived,
 * so that another supplier may have it.
 *
 * What its answer means is rest_cancel.c's.
 */
#include "supplier.h"

static void on_cancelled(struct call *c, const sl_http_answer *a)
{
    int64_t age_ms = c->age_ms > 0 ? c->age_ms : 0;

    rest_cancel_end(&c->s->cancel.by, a, c->s->confirm.settle_ms - age_ms, NULL, c->to.done);
    call_destroy(c);
}

void supplier_cancel(struct supplier *s, const sl_record *record, const sl_done *done)
{
    struct call *c = call_create(s, record, on_cancelled);

    if (!c) {
        rest_cancel_tell(done, SL_RETRY, "no memory", 0, 0);
        return;
    }
    c->to.done = done;
    if (s->cancel.path.len == 0) /* the configuration's check sees to it */
        call_answer_later(c, SL_E_UNSUPPORTED, "cancel.path is not set");
    else
        call_send(c, s->cancel.method, s->cancel.path, (sl_str){ NULL, 0 }, 0);
}
