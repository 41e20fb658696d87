/*
 * submit.c - the action order.submit: freeze the request, send it, read the answer.
 *
 * The one question behind every line here: can the supplier have acted? If not, the order may go
 * again. If perhaps, it goes again only when the supplier honours an idempotency key; else the
 * outcome is unknown and confirm() is asked.
 */
#include "supplier.h"

#include <stdlib.h>
#include <string.h>

/* ---- the request --------------------------------------------------------------------------- */

static void on_transformed(void *ctx, sl_status status, sl_str output, sl_str why)
{
    struct call *c = ctx;

    c->to.prepare(c->to_ctx, status, output, why);
    call_destroy(c);
}

static void on_not_transformed(struct call *c, const sl_http_answer *a)
{
    c->to.prepare(c->to_ctx, a->error, (sl_str){ NULL, 0 }, a->why);
    call_destroy(c);
}

static json_t *text_of(sl_str s)
{
    return json_stringn(s.len > 0 ? s.ptr : "", s.len);
}

/* {"delivery": {...}}; own. Nothing in it changes between attempts. */
static char *prepare_vars(const sl_record *r)
{
    json_t *vars = json_pack("{s:{s:o,s:o,s:o,s:o}}", "delivery", "key", text_of(r->key), "subject",
                             text_of(r->subject), "piece", text_of(r->piece), "topic",
                             text_of(r->topic));
    char *text = vars ? json_dumps(vars, JSON_COMPACT) : NULL;

    json_decref(vars);
    return text;
}

void supplier_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                      void *cb_ctx)
{
    static const char no_memory[] = "no memory";
    struct supplier *s = self;
    struct call *c = call_create(s, record, on_not_transformed);
    char *vars = prepare_vars(record);
    sl_status r = SL_E_NO_MEMORY;

    (void)handle;
    if (!c) {
        cb(cb_ctx, SL_E_NO_MEMORY, (sl_str){ NULL, 0 },
           (sl_str){ no_memory, sizeof(no_memory) - 1 });
        free(vars);
        return;
    }
    c->to.prepare = cb;
    c->to_ctx = cb_ctx;
    if (vars)
        r = s->host->transform(s->host->ctx, s->submit.body, record->body,
                               (sl_str){ vars, strlen(vars) }, on_transformed, c);
    free(vars);
    if (r < 0)
        call_answer_later(c, r, "submit.body could not be run");
}

/* ---- the answer ---------------------------------------------------------------------------- */

#define MEANS_ACCEPTED  110 /* if its body is understood */
#define MEANS_DUPLICATE 111

/* What the operator configured stands before what HTTP says in general - but for one case: a
 * supplier that honours keys may answer a resend with 409 while it still works on the first. */
static struct rest_meaning meaning_of_status(const struct call *c, const sl_http_answer *a)
{
    const struct supplier *s = c->s;
    uint32_t status = a->status;

    if (status_in(&s->submit.accepted, status))
        return (struct rest_meaning){ MEANS_ACCEPTED, "" };
    if (status_in(&s->submit.duplicate, status))
        return (struct rest_meaning){ MEANS_DUPLICATE, "the order is there already" };
    if (status == 409 && c->attempt > 1 && s->submit.idempotency_header.len > 0)
        return (struct rest_meaning){ MEANS_PERHAPS, "the supplier knows the key" };
    if (status_in(&s->submit.rejected, status))
        return (struct rest_meaning){ SL_REJECTED, "" };
    return rest_meaning_of_status(a);
}

/* Tell the record's outcome and end the batch. */
static void submit_end(struct call *c, const sl_outcome *o)
{
    const sl_done *done = c->to.done;

    done->outcome(done->ctx, 0, o);
    done->finish(done->ctx);
    call_destroy(c);
}

static void submit_park(struct call *c, const sl_http_answer *a, const char *text)
{
    const sl_done *done = c->to.done;
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    done->park(done->ctx, (sl_str){ why, strlen(why) }, answer_wait(a));
    done->finish(done->ctx);
    call_destroy(c);
}

/* RETRY, THROTTLED, UNKNOWN: nothing but the text and the wait. */
static void submit_again(struct call *c, const sl_http_answer *a, uint32_t kind, const char *text)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    submit_end(c, &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = kind,
                                 .after_ms = kind == SL_UNKNOWN ? 0 : answer_wait(a),
                                 .status = a->status,
                                 .not_sent = kind == SL_RETRY && a->error < 0 && !a->sent,
                                 .why = { why, strlen(why) } });
}

/* The supplier may have acted: only a key that it honours makes a resend harmless. */
static void submit_perhaps(struct call *c, const sl_http_answer *a, const char *text)
{
    int idempotent = c->s->submit.idempotency_header.len > 0;

    submit_again(c, a, idempotent ? SL_RETRY : SL_UNKNOWN, text);
}

static void submit_rejected(struct call *c, const sl_http_answer *a, const char *text)
{
    static const char topic[] = "supplier/rejected";
    json_t *root = answer_parse(a);
    char why[WHY_SIZE], *body;
    sl_emit emit;

    answer_why(a, text, answer_at(root, c->s->submit.reason), why);
    json_decref(root);
    body = rejected_body(c, a->status, why);
    emit = (sl_emit){ .topic = { topic, sizeof(topic) - 1 },
                      .body = { body, body ? strlen(body) : 0 } };
    submit_end(c, &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = SL_REJECTED,
                                 .status = a->status,
                                 .why = { why, strlen(why) },
                                 .emits = &emit,
                                 .n_emits = body != NULL });
    free(body);
}

static void submit_accepted(struct call *c, const sl_http_answer *a)
{
    json_t *root = answer_parse(a);
    char reference[REFERENCE_SIZE], why[WHY_SIZE];
    int known = answer_reference(answer_at(root, c->s->submit.reference), reference);
    const char *odd = root ? "the answer holds no order id at submit.accepted.reference"
                           : "the answer's body is not JSON";
    struct accepted follow;

    json_decref(root);
    if (!known) {
        submit_perhaps(c, a, odd);
        return;
    }
    if (accepted_init(&follow, c, reference) < 0) {
        submit_perhaps(c, a, "no memory to note the acceptance");
        return;
    }
    answer_why(a, "", NULL, why);
    submit_end(c, &(sl_outcome){ .size = sizeof(sl_outcome),
                                 .kind = SL_DELIVERED,
                                 .status = a->status,
                                 .why = { why, strlen(why) },
                                 .reference = follow.link.id,
                                 .links = &follow.link,
                                 .n_links = 1,
                                 .emits = &follow.emit,
                                 .n_emits = 1 });
    free(follow.body);
}

static void on_submitted(struct call *c, const sl_http_answer *a)
{
    struct rest_meaning m = a->error < 0 ? rest_meaning_of_error(a) : meaning_of_status(c, a);

    switch (m.kind) {
    case MEANS_PARK:
    case MEANS_INVALID: /* all of its orders go to the same place */
        submit_park(c, a, m.text);
        break;
    case MEANS_ACCEPTED:
        submit_accepted(c, a);
        break;
    case MEANS_DUPLICATE: /* confirm() finds which order that is, and its id */
        submit_again(c, a, SL_UNKNOWN, m.text);
        break;
    case MEANS_PERHAPS:
    case MEANS_BUSY: /* an order is worth a question: proxies say it for what they passed on */
        submit_perhaps(c, a, m.text);
        break;
    case SL_REJECTED:
        submit_rejected(c, a, m.text);
        break;
    default:
        submit_again(c, a, m.kind, m.text);
    }
}

/* One record a request, as the action's batch_records says. */
void supplier_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    static const char no_memory[] = "no memory";
    struct supplier *s = self;
    const sl_record *record = batch->records;
    struct call *c;

    if (handle == &supplier_cancels) {
        supplier_cancel(s, record, done);
        return;
    }
    c = call_create(s, record, on_submitted);
    if (!c) {
        done->outcome(done->ctx, 0,
                      &(sl_outcome){ .size = sizeof(sl_outcome),
                                     .kind = SL_RETRY,
                                     .not_sent = 1,
                                     .why = { no_memory, sizeof(no_memory) - 1 } });
        done->finish(done->ctx);
        return;
    }
    c->to.done = done;
    call_send(c, s->submit.method, s->submit.path, record->request, 1);
}
