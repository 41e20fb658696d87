/*
 * cancel.c - the action request.cancel: take back a request of which nobody knows whether it
 * arrived, so that another endpoint of the group may have it.
 *
 * What its answer means is rest_cancel.c's. It is made anew each time, since taking back twice does
 * no harm.
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

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct cancel *c = ctx;
    const struct rest_cancel *by = &c->a->cancel.by;
    json_t *root = NULL;

    budget_of_headers(c->h->host, a);
    if (a->error >= 0 && c->h->has_reason && status_in(&by->refused, a->status))
        root = answer_parse(a);
    rest_cancel_end(by, a, c->a->cancel.settle_ms - c->age_ms, answer_at(root, c->h->reason),
                    c->done);
    json_decref(root);
    free(c);
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
    rest_cancel_tell(c->done, r == SL_E_INVALID ? SL_REVIEW : SL_RETRY,
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
    rest_cancel_tell(c->done,
                     status == SL_E_NO_MEMORY || status == SL_E_CANCELLED ? SL_RETRY : SL_REVIEW,
                     text, 0, 0);
    free(c);
}

void http_cancel(struct http *h, const struct action *a, const sl_record *record,
                 const sl_done *done)
{
    struct cancel *c = malloc(sizeof(*c));

    if (!c) {
        rest_cancel_tell(done, SL_RETRY, "no memory", 0, 0);
        return;
    }
    *c = (struct cancel){ h, a, record, done, 0 };
    http_prepare(h, (void *)a, record, on_made, c);
}
