/*
 * chosen.c - a batch in two parts: the calls of those that were chosen for, one after the other,
 * and the rest as a batch of its own. The whole is over when both are.
 */
#include "chosen.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "duplicates.h"
#include "org/describe.h"
#include "outcome.h"
#include "sobject.h"

#define JSON_TYPE "application/json; charset=UTF-8"

struct chosen {
    struct salesforce *sf;
    const struct action *action;
    const sl_batch *batch;
    const sl_done *done;
    struct chosen *prev, *next;

    size_t *picked, n_picked, at; /* indices of the batch; which is under way */
    struct call call;
    struct text body, scratch;
    struct row row;
    uint64_t timer; /* 0: none */
    bool picked_over;

    sl_record *others;
    size_t *place; /* where each of them stands in the batch */
    sl_batch rest;
    sl_done inner;
    bool rest_over;
};

/* ---- life ---------------------------------------------------------------------------------- */

static void chosen_free(struct chosen *c)
{
    if (c->timer)
        c->sf->host->timer_cancel(c->sf->host->ctx, c->timer);
    if (c->prev)
        c->prev->next = c->next;
    else if (c->sf->chosen == c)
        c->sf->chosen = c->next;
    if (c->next)
        c->next->prev = c->prev;
    text_finish(&c->body);
    text_finish(&c->scratch);
    row_finish(&c->row);
    free(c->picked);
    free(c->others);
    free(c->place);
    free(c);
}

void chosen_close(struct salesforce *sf)
{
    while (sf->chosen)
        chosen_free(sf->chosen);
}

static void end_if_over(struct chosen *c)
{
    const sl_done *done = c->done;

    if (!c->picked_over || !c->rest_over)
        return;
    chosen_free(c);
    done->finish(done->ctx);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void on_outcome(void *ctx, size_t index, const sl_outcome *o)
{
    struct chosen *c = ctx;

    c->done->outcome(c->done->ctx, c->place[index], o);
}

static void on_checkpoint(void *ctx, sl_str token, uint32_t done, sl_durable_cb cb, void *cb_ctx)
{
    struct chosen *c = ctx;

    c->done->checkpoint(c->done->ctx, token, done, cb, cb_ctx);
}

static void on_park(void *ctx, sl_str why, int64_t after_ms)
{
    struct chosen *c = ctx;

    c->done->park(c->done->ctx, why, after_ms);
}

static void on_finish(void *ctx)
{
    struct chosen *c = ctx;

    c->rest_over = true;
    end_if_over(c);
}

/* ---- those that were chosen for ------------------------------------------------------------ */

static sl_str choice_at(const sl_batch *b, size_t index)
{
    return SL_HAS(sl_batch, b, choices) ? b->choices[index] : (sl_str){ 0 };
}

static bool is_picked(const struct action *a, const sl_batch *b, size_t index)
{
    sl_str choice = choice_at(b, index);

    return a->op == OP_UPSERT &&
           (duplicates_chosen(choice).len > 0 || str_is(choice, CHOICE_CREATE));
}

static void tell(struct chosen *c, const sl_outcome *o)
{
    c->done->outcome(c->done->ctx, c->picked[c->at], o);
}

static void tell_plainly(struct chosen *c, uint32_t kind, const struct answer *a, const char *why)
{
    tell(c, &(sl_outcome){ .size = sizeof(sl_outcome),
                           .kind = kind,
                           .after_ms = a ? a->after_ms : 0,
                           .status = a ? a->status : 0,
                           .not_sent = a && a->verdict == ANSWER_NOT_SENT,
                           .why = str_of(why) });
}

static void tell_delivered(struct chosen *c, sl_str id)
{
    struct outcome told;

    outcome_delivered(&told, c->action, id);
    tell(c, &told.o);
}

static void tell_errors(struct chosen *c, const json_t *errors)
{
    struct row_about about = { c->action->object, c->action->external_id };
    struct row_verdict v;
    struct outcome told;

    row_errors_judge(errors, &about, &v);
    outcome_refused(&told, &v);
    tell(c, &told.o);
    row_verdict_finish(&v);
}

/* 204 without a body; or, by the external id, [{"id", "success", "errors", "created"}] */
static void tell_done(struct chosen *c, const struct answer *a)
{
    sl_str id = duplicates_chosen(choice_at(c->batch, c->picked[c->at]));
    json_t *all, *one, *made;

    if (id.len > 0) {
        tell_delivered(c, id);
        return;
    }
    all = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);
    one = json_array_get(all, 0);
    made = json_object_get(one, "id");
    if (json_is_true(json_object_get(one, "success")))
        tell_delivered(c, (sl_str){ json_string_value(made), json_string_length(made) });
    else if (json_is_false(json_object_get(one, "success")))
        tell_errors(c, json_object_get(one, "errors"));
    else
        tell_plainly(c, SL_RETRY, a, "Salesforce's answer is not understood");
    json_decref(all);
}

static void tell_refused(struct chosen *c, const struct answer *a)
{
    json_t *errors = json_loadb(a->body.ptr ? a->body.ptr : "", a->body.len, 0, NULL);

    if (a->verdict == ANSWER_NOT_FOUND)
        tell_plainly(
            c, SL_REJECTED, a,
            "the record that was chosen is not there any more: replay it to be asked again");
    else
        tell_errors(c, errors);
    json_decref(errors);
}

static void next(struct chosen *c);

static void on_answer(void *ctx, const struct answer *a)
{
    struct chosen *c = ctx;

    switch (a->verdict) {
    case ANSWER_CANCELLED: /* the host closes: chosen_close() follows */
        return;
    case ANSWER_OK:
        tell_done(c, a);
        break;
    case ANSWER_REFUSED:
    case ANSWER_NOT_FOUND:
        tell_refused(c, a);
        break;
    case ANSWER_THROTTLED:
        tell_plainly(c, SL_THROTTLED, a, a->why);
        break;
    case ANSWER_PARK: /* what is left goes back as it is */
    case ANSWER_EXPIRED:
        c->done->park(c->done->ctx, str_of(a->why), a->after_ms);
        c->picked_over = true;
        end_if_over(c);
        return;
    default:
        tell_plainly(c, SL_RETRY, a, a->why);
    }
    c->at++;
    next(c);
}

/* PATCH of the chosen record, or of the external id with the rule's alert passed over. */
static void send(struct chosen *c, sl_str id)
{
    sl_str version = c->sf->api_version;

    text_clear(&c->body);
    if (id.len == 0)
        text_str(&c->body, "{\"allOrNone\":false,\"records\":[");
    sobject_write(&c->body, c->action, describe_known(c->sf, c->action->object), &c->row,
                  &c->scratch);
    if (id.len == 0)
        text_str(&c->body, "]}");
    c->call = (struct call){ .sf = c->sf,
                             .method = str_of("PATCH"),
                             .type = JSON_TYPE,
                             .accept = "application/json",
                             .duplicates = true,
                             .body = text_view(&c->body),
                             .cb = on_answer,
                             .ctx = c };
    if (id.len > 0)
        snprintf(c->call.path, sizeof(c->call.path), "/services/data/v%.*s/sobjects/%s/%.*s",
                 (int)version.len, version.ptr, c->action->object, (int)id.len, id.ptr);
    else
        snprintf(c->call.path, sizeof(c->call.path),
                 "/services/data/v%.*s/composite/sobjects/%s/%s", (int)version.len, version.ptr,
                 c->action->object, c->action->external_id);
    call_start(&c->call);
}

static void on_turn(void *ctx)
{
    struct chosen *c = ctx;
    size_t index;
    char why[400];
    sl_status r;

    c->timer = 0;
    if (c->at == c->n_picked) {
        c->picked_over = true;
        end_if_over(c);
        return;
    }
    index = c->picked[c->at];
    r = row_scan(&c->row, c->batch->records[index].request, why, sizeof(why));
    if (r == SL_OK)
        r = operation_check(c->action, &c->row, why, sizeof(why));
    if (r == SL_OK)
        r = describe_check(c->sf, c->action, &c->row, why, sizeof(why));
    if (r == SL_OK) {
        send(c, duplicates_chosen(choice_at(c->batch, index)));
        return;
    }
    tell_plainly(c, r == SL_E_INVALID ? SL_REJECTED : SL_RETRY, NULL,
                 r == SL_E_INVALID ? why : "out of memory");
    c->at++;
    next(c);
}

/* In a turn of its own: nothing is told before deliver() has returned, and no chain grows. */
static void next(struct chosen *c)
{
    c->timer = c->sf->host->timer(c->sf->host->ctx, 0, on_turn, c); /* 0: the host is closing */
}

/* ---- a batch in two parts ------------------------------------------------------------------ */

static struct chosen *chosen_new(struct salesforce *sf, const struct action *a, const sl_batch *b,
                                 const sl_done *done, size_t n_picked)
{
    struct chosen *c = calloc(1, sizeof(*c));
    size_t others = b->n_records - n_picked;

    if (!c)
        return NULL;
    *c = (struct chosen){ .sf = sf, .action = a, .batch = b, .done = done };
    c->picked = calloc(n_picked, sizeof(*c->picked));
    c->others = calloc(others + 1, sizeof(*c->others));
    c->place = calloc(others + 1, sizeof(*c->place));
    if (!c->picked || !c->others || !c->place) {
        chosen_free(c);
        return NULL;
    }
    c->next = sf->chosen;
    if (c->next)
        c->next->prev = c;
    sf->chosen = c;
    return c;
}

static void split(struct chosen *c)
{
    const sl_batch *b = c->batch;

    c->rest = *b;
    c->rest.size = sizeof(c->rest);
    c->rest.records = c->others;
    c->rest.n_records = 0;
    c->rest.choices = NULL;
    for (size_t i = 0; i < b->n_records; i++) {
        if (is_picked(c->action, b, i)) {
            c->picked[c->n_picked++] = i;
            continue;
        }
        c->others[c->rest.n_records] = b->records[i];
        c->place[c->rest.n_records++] = i;
    }
    c->inner = (sl_done){ .size = sizeof(c->inner),
                          .ctx = c,
                          .outcome = on_outcome,
                          .checkpoint = on_checkpoint,
                          .park = on_park,
                          .finish = on_finish };
    c->rest_over = c->rest.n_records == 0;
}

/* NULL: there is nothing to split, or no memory for it: then the whole goes its usual way. */
static struct chosen *begin(struct salesforce *sf, const struct action *a, const sl_batch *b,
                            const sl_done *done)
{
    struct chosen *c;
    size_t n = 0;

    for (size_t i = 0; SL_HAS(sl_batch, b, choices) && i < b->n_records; i++)
        n += is_picked(a, b, i);
    c = n > 0 ? chosen_new(sf, a, b, done, n) : NULL;
    if (!c)
        return NULL;
    split(c);
    next(c);
    return c;
}

void chosen_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct chosen *c = begin(self, handle, batch, done);

    if (!c)
        describe_deliver(self, handle, batch, done);
    else if (!c->rest_over)
        describe_deliver(self, handle, &c->rest, &c->inner);
}

void chosen_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                   const sl_done *done)
{
    struct chosen *c = begin(self, handle, batch, done);

    if (!c)
        bulk_resume(self, handle, batch, token, done);
    else if (!c->rest_over)
        bulk_resume(self, handle, &c->rest, token, &c->inner);
}
