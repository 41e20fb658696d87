/*
 * confirm.c - did this request arrive? Asked by the action's confirm.path, after an answer was
 * lost.
 *
 * A wrong "no" doubles what was done and a wrong "yes" loses it, so whatever the parameters do not
 * name is "cannot tell", and a person decides. Without confirm.path nothing can be asked: then the
 * endpoint's settings alone say whether it may go again.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

struct question {
    struct http *h;
    const struct action *a;
    sl_confirm_cb cb;
    void *cb_ctx;
    int64_t age_ms; /* of the request, as this is asked */
    uint32_t status;
};

#define LITERAL(s) ((sl_str){ (s), sizeof(s) - 1 })

static void tell(sl_confirm_cb cb, void *cb_ctx, uint32_t verdict, const char *why)
{
    cb(cb_ctx, &(sl_confirmed){
                   .size = sizeof(sl_confirmed), .verdict = verdict, .why = { why, strlen(why) } });
}

static void end(struct question *q, uint32_t verdict, const char *why, int64_t after_ms,
                const char *reference)
{
    q->cb(q->cb_ctx, &(sl_confirmed){ .size = sizeof(sl_confirmed),
                                      .verdict = verdict,
                                      .after_ms = after_ms,
                                      .why = { why, strlen(why) },
                                      .reference = { reference, strlen(reference) } });
    free(q);
}

static void end_answer(struct question *q, const sl_http_answer *a, uint32_t verdict,
                       const char *text, int64_t after_ms)
{
    char why[WHY_SIZE];

    answer_why(a, text, NULL, why);
    end(q, verdict, why, after_ms, "");
}

int64_t http_age_ms(const struct http *h, const sl_record *record)
{
    int64_t sent = record->last_sent_ms ? record->last_sent_ms : record->first_sent_ms;
    int64_t age = sent ? h->host->wall_ms(h->host->ctx) - sent : 0;

    return age > 0 ? age : 0;
}

/* A late commit may still land: an early "no" is not believed. */
static void end_missing(struct question *q, const char *why)
{
    int64_t left = q->a->confirm.settle_ms - q->age_ms;

    if (left > 0)
        end(q, SL_CONFIRM_EARLY, why, left, "");
    else
        end(q, SL_CONFIRM_NO, why, 0, "");
}

/* ---- what confirm.found gives: an id or true, false or null, or what nobody understands ---- */

static void on_found(void *ctx, sl_status status, sl_str output, sl_str text)
{
    struct question *q = ctx;
    sl_str said = status == SL_OK ? output : text;
    json_t *value = NULL;
    char why[WHY_SIZE], reference[REFERENCE_SIZE] = "";

    if (status == SL_OK)
        value = json_loadb(output.ptr, output.len, JSON_DECODE_ANY, NULL);
    snprintf(why, sizeof(why), "HTTP %u, confirm.found: %.*s", q->status,
             (int)(said.len < 200 ? said.len : 200), said.ptr);
    if (status == SL_E_NO_MEMORY || status == SL_E_CANCELLED)
        end(q, SL_CONFIRM_EARLY, why, 0, "");
    else if (json_is_true(value) || answer_reference(value, reference))
        end(q, SL_CONFIRM_YES, why, 0, reference);
    else if (json_is_false(value) || json_is_null(value))
        end_missing(q, why);
    else
        end(q, SL_CONFIRM_UNSURE, why, 0, "");
    json_decref(value);
}

static void look_into(struct question *q, const sl_http_answer *a)
{
    const sl_host *host = q->h->host;
    sl_status r;

    if (q->a->confirm.found.len == 0) {
        end_answer(q, a, SL_CONFIRM_YES, "found", 0);
        return;
    }
    q->status = a->status;
    r = host->transform(host->ctx, q->a->confirm.found, a->body, LITERAL("{}"), on_found, q);
    if (r < 0)
        end_answer(q, a, SL_CONFIRM_EARLY, "confirm.found could not be run", 0);
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct question *q = ctx;
    uint32_t status = a->status;
    char why[WHY_SIZE];

    if (a->error < 0)
        end_answer(q, a, SL_CONFIRM_EARLY, "", answer_wait(a));
    else if (status_in(&q->a->confirm.ok, status))
        look_into(q, a);
    else if (status_in(&q->a->confirm.missing, status)) {
        answer_why(a, "it is not there", NULL, why);
        end_missing(q, why);
    } else if (status_means_account(status))
        end_answer(q, a, SL_CONFIRM_EARLY, "the account may not be used", answer_wait(a));
    else if (status == 429 || status == 408 || status == 425 || status >= 500)
        end_answer(q, a, SL_CONFIRM_EARLY, "", answer_wait(a));
    else
        end_answer(q, a, SL_CONFIRM_UNSURE, "an answer that the confirm parameters do not name", 0);
}

/* ---- asking ---- */

/* The question's path with its values; own. NULL: none can be made, `why` says which value. */
static char *path_of(const struct action *a, const sl_record *record, size_t *ret_len,
                     char why[WHY_SIZE])
{
    struct fields f = { .record = record };
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    sl_status r;
    int failed;

    snprintf(why, WHY_SIZE, "no memory for the question");
    if (!out)
        return NULL;
    r = template_write(out, a->confirm.path, TEMPLATE_PATH, &f, why);
    json_decref(f.body);
    failed = ferror(out);
    failed |= fclose(out) != 0;
    if (!failed && r == SL_OK)
        return text;
    free(text);
    return NULL;
}

static void ask(struct http *h, const struct action *a, const sl_record *record, sl_confirm_cb cb,
                void *cb_ctx)
{
    char why[WHY_SIZE];
    size_t len;
    char *path = path_of(a, record, &len, why);
    struct question *q = path ? calloc(1, sizeof(*q)) : NULL;
    sl_status r = SL_E_NO_MEMORY;

    if (!path) {
        tell(cb, cb_ctx, SL_CONFIRM_UNSURE, why);
        return;
    }
    if (q) {
        *q = (struct question){ .h = h, .a = a, .cb = cb, .cb_ctx = cb_ctx };
        q->age_ms = http_age_ms(h, record);
        r = question_send(h, a, a->confirm.method, (sl_str){ path, len }, on_answer, q);
    }
    free(path);
    if (r == SL_OK)
        return;
    free(q);
    tell(cb, cb_ctx, r == SL_E_INVALID ? SL_CONFIRM_UNSURE : SL_CONFIRM_EARLY,
         "the question could not be asked");
}

void http_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb, void *cb_ctx)
{
    struct http *h = self;
    const struct action *a = handle;

    if (a->confirm.path.len > 0)
        ask(h, a, record, cb, cb_ctx);
    else if (h->idempotent)
        tell(cb, cb_ctx, SL_CONFIRM_AGAIN, "a repetition does no harm");
    else
        tell(cb, cb_ctx, SL_CONFIRM_UNSURE,
             "confirm.path is not set: whether it arrived cannot be asked");
}
