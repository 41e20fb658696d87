/*
 * cancel.c - the action request.cancel: take back a request of which nobody knows whether it
 * arrived, so that another endpoint of the group may have it.
 *
 * A wrong "taken back" doubles what was done: only what the parameters name is believed, and
 * "missing" not as long as a late one may still come in. It is made anew each time, since taking
 * back twice does no harm.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

/** One request under way; the batch that `record` is of lives until it is finished. */
struct cancel {
    struct http *h;
    const struct action *a;
    const sl_record *record;
    const sl_done *done;
    int64_t age_ms; /* of what is taken back, as this goes out */
};

static void tell(const sl_done *done, uint32_t kind, const char *why, int64_t after_ms,
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

static void end(struct cancel *c, const sl_http_answer *a, uint32_t kind, const char *text,
                int64_t after_ms)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    tell(c->done, kind, why, after_ms, a->status);
    free(c);
}

static void end_refused(struct cancel *c, const sl_http_answer *a)
{
    json_t *root = c->h->has_reason ? answer_parse(a) : NULL;
    char why[WHY_SIZE];

    answer_why(a, "", answer_at(root, c->h->reason), why);
    json_decref(root);
    tell(c->done, SL_REJECTED, why, 0, a->status);
    free(c);
}

/* A late commit may still land. */
static void end_missing(struct cancel *c, const sl_http_answer *a)
{
    int64_t left = c->a->cancel.settle_ms - c->age_ms;

    if (left > 0)
        end(c, a, SL_RETRY, "not there yet", left);
    else
        end(c, a, SL_DELIVERED, "there is nothing of it", 0);
}

static void end_parks(struct cancel *c, const sl_http_answer *a)
{
    char why[WHY_SIZE];

    answer_why(a, "the account may not be used", NULL, why);
    c->done->park(c->done->ctx, (sl_str){ why, strlen(why) }, answer_wait(a));
    c->done->finish(c->done->ctx);
    free(c);
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct cancel *c = ctx;
    uint32_t status = a->status;

    budget_of_headers(c->h->host, a);
    if (a->error < 0)
        end(c, a, SL_RETRY, "", answer_wait(a));
    else if (status_in(&c->a->cancel.done, status))
        end(c, a, SL_DELIVERED, "taken back", 0);
    else if (status_in(&c->a->cancel.missing, status))
        end_missing(c, a);
    else if (status_in(&c->a->cancel.refused, status))
        end_refused(c, a);
    else if (status_means_account(status))
        end_parks(c, a);
    else if (status == 429 || status == 408 || status == 425 || status >= 500)
        end(c, a, SL_RETRY, "", answer_wait(a));
    else
        end(c, a, SL_REVIEW, "an answer that the cancel's parameters do not name", 0);
}

/* `c` is the call's if it is sent, and is over if not. */
static void send_it(struct cancel *c, sl_str text)
{
    struct request q;
    char id[64];
    sl_status r = request_parse(text, &q);

    /* not the delivery's own: a receiver that knows it would not look at this one */
    snprintf(id, sizeof(id), "%.*s-cancel", (int)c->record->key.len, c->record->key.ptr);
    c->age_ms = http_age_ms(c->h, c->record);
    if (r == SL_OK)
        r = extra_send(c->h, c->a, &q, (sl_str){ id, strlen(id) }, on_answer, c);
    if (r == SL_OK)
        return;
    tell(c->done, r == SL_E_INVALID ? SL_REVIEW : SL_RETRY,
         r == SL_E_INVALID ? "the cancel cannot be made: see base_url, path, headers"
                           : "the cancel could not be made now",
         0, 0);
    free(c);
}

/* As prepare() makes requests; a value that is not there will not come either. */
static void on_made(void *ctx, sl_status status, sl_str request, sl_str why)
{
    struct cancel *c = ctx;
    char text[WHY_SIZE];

    if (status == SL_OK) {
        send_it(c, request);
        return;
    }
    snprintf(text, sizeof(text), "the cancel cannot be made: %.*s",
             (int)(why.len < 300 ? why.len : 300), why.len ? why.ptr : "");
    tell(c->done, status == SL_E_NO_MEMORY || status == SL_E_CANCELLED ? SL_RETRY : SL_REVIEW, text,
         0, 0);
    free(c);
}

void http_cancel(struct http *h, const struct action *a, const sl_record *record,
                 const sl_done *done)
{
    struct cancel *c = malloc(sizeof(*c));

    if (!c) {
        tell(done, SL_RETRY, "no memory", 0, 0);
        return;
    }
    *c = (struct cancel){ h, a, record, done, 0 };
    http_prepare(h, (void *)a, record, on_made, c);
}
