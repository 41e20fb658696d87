/*
 * confirm.c - did this order arrive? Asked by our key, after an answer was lost.
 *
 * A wrong "no" doubles an order and a wrong "yes" loses one, so whatever the settings do not name
 * is "cannot tell", and a person decides.
 */
#include "supplier.h"

#include <stdlib.h>
#include <string.h>

static void confirm_end(struct call *c, const sl_confirmed *answer)
{
    c->to.confirm(c->to_ctx, answer);
    call_destroy(c);
}

static void confirm_plain(struct call *c, const sl_http_answer *a, uint32_t verdict,
                          const char *text, int64_t after_ms)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    confirm_end(c, &(sl_confirmed){ .size = sizeof(sl_confirmed),
                                    .verdict = verdict,
                                    .after_ms = after_ms,
                                    .why = { why, strlen(why) } });
}

static void confirm_early(struct call *c, const sl_http_answer *a, const char *text)
{
    confirm_plain(c, a, SL_CONFIRM_EARLY, text, answer_wait(a));
}

/* A late commit may still land: an early "no" is not believed. */
static void confirm_missing(struct call *c, const sl_http_answer *a)
{
    int64_t left = c->s->confirm.settle_ms - c->age_ms;

    if (c->age_ms < 0) {
        confirm_plain(c, a, SL_CONFIRM_EARLY, "not there, but it is not known when it was sent",
                      c->s->confirm.settle_ms);
        return;
    }
    if (left > 0)
        confirm_plain(c, a, SL_CONFIRM_EARLY, "not there yet", left);
    else
        confirm_plain(c, a, SL_CONFIRM_NO, "no such order", 0);
}

#define IN_ANSWER_FOUND   0
#define IN_ANSWER_MISSING 1 /* an empty list */
#define IN_ANSWER_ODD     2 /* `*ret_odd` says what */

/* What stands in the answer, and the supplier's order id. */
static int look_into(const struct supplier *s, json_t *root, char reference[REFERENCE_SIZE],
                     const char **ret_odd)
{
    *ret_odd = "the answer's body is not JSON";
    if (!root)
        return IN_ANSWER_ODD;
    if (s->confirm.has_list) {
        json_t *list = answer_at(root, s->confirm.list);

        *ret_odd = "the answer holds no array at confirm.list";
        if (!json_is_array(list))
            return IN_ANSWER_ODD;
        if (json_array_size(list) == 0)
            return IN_ANSWER_MISSING;
        /* several: a supplier that ignores the filter lists everybody's orders */
        *ret_odd = "the answer lists more than one order";
        if (json_array_size(list) > 1)
            return IN_ANSWER_ODD;
        root = json_array_get(list, 0);
    }
    *ret_odd = "the answer holds no order id at confirm.found.reference";
    return answer_reference(answer_at(root, s->confirm.reference), reference) ? IN_ANSWER_FOUND
                                                                              : IN_ANSWER_ODD;
}

static void confirm_yes(struct call *c, const sl_http_answer *a, const char *reference)
{
    struct accepted follow;
    char why[WHY_SIZE];

    if (accepted_init(&follow, c, reference) < 0) {
        confirm_early(c, a, "no memory to note the acceptance");
        return;
    }
    answer_why(a, "found", NULL, why);
    confirm_end(c, &(sl_confirmed){ .size = sizeof(sl_confirmed),
                                    .verdict = SL_CONFIRM_YES,
                                    .why = { why, strlen(why) },
                                    .reference = follow.link.id,
                                    .links = &follow.link,
                                    .n_links = 1,
                                    .emits = &follow.emit,
                                    .n_emits = 1 });
    free(follow.body);
}

static void confirm_found(struct call *c, const sl_http_answer *a)
{
    json_t *root = answer_parse(a);
    char reference[REFERENCE_SIZE];
    const char *odd;
    int found = look_into(c->s, root, reference, &odd);

    json_decref(root);
    if (found == IN_ANSWER_FOUND)
        confirm_yes(c, a, reference);
    else if (found == IN_ANSWER_MISSING)
        confirm_missing(c, a);
    else
        confirm_plain(c, a, SL_CONFIRM_UNSURE, odd, 0);
}

static void on_confirmed(struct call *c, const sl_http_answer *a)
{
    const struct supplier *s = c->s;
    uint32_t status = a->status;

    /* Not asked: a crash between sending and answer. Sent again it is the same order, or the answer
     * to the first. */
    if (a->error == SL_E_UNSUPPORTED && s->submit.idempotency_header.len > 0)
        confirm_plain(c, a, SL_CONFIRM_AGAIN, "the supplier honours a repeated key", 0);
    else if (a->error == SL_E_UNSUPPORTED)
        confirm_plain(c, a, SL_CONFIRM_UNSURE, "", 0);
    else if (a->error < 0)
        confirm_early(c, a, "");
    else if (status_in(&s->confirm.found, status))
        confirm_found(c, a);
    else if (status_in(&s->confirm.missing, status))
        confirm_missing(c, a);
    else if (status_means_account(status))
        confirm_early(c, a, "the account may not be used");
    else if (status == 429 || status == 408 || status == 425 || status >= 500)
        confirm_early(c, a, "");
    else
        confirm_plain(c, a, SL_CONFIRM_UNSURE, "an answer that the confirm settings do not name",
                      0);
}

void supplier_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                      void *cb_ctx)
{
    static const char no_memory[] = "no memory";
    struct supplier *s = self;
    struct call *c = call_create(s, record, on_confirmed);

    (void)handle;
    if (!c) {
        cb(cb_ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed),
                                    .verdict = SL_CONFIRM_EARLY,
                                    .why = { no_memory, sizeof(no_memory) - 1 } });
        return;
    }
    c->to.confirm = cb;
    c->to_ctx = cb_ctx;
    if (s->confirm.path.len == 0)
        call_answer_later(c, SL_E_UNSUPPORTED,
                          "confirm.path is not set: whether the order arrived cannot be asked");
    else
        call_send(c, s->confirm.method, s->confirm.path, (sl_str){ NULL, 0 }, 0);
}
