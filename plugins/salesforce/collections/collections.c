/*
 * collections.c - a batch by sObject Collections: the calls, and what their answers mean for those
 * that follow.
 *
 * A call that was too much for Salesforce, or that one wrong row spoils for all, is made again with
 * half of its rows. What is learnt so about the size is kept for the endpoint, and forgotten call
 * by call when they go well.
 */
#include "collection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "org/describe.h"

#define MAX_ANSWER  (UINT64_C(2) << 20) /* 200 rows with the duplicates of each */
#define MAX_REFUSED 40                  /* calls of a batch that are refused as a whole */
#define LOST_ROWS   25                  /* calls get no smaller by answers that are lost */
#define ROWS_BACK   5                   /* a call that goes well lets the next be larger by that */

static void on_turn(void *ctx);

/* ---- life ---------------------------------------------------------------------------------- */

static void collection_free(struct collection *c)
{
    const sl_host *h = c->sf->host;

    if (c->timer)
        h->timer_cancel(h->ctx, c->timer);
    if (c->prev)
        c->prev->next = c->next;
    else if (c->sf->collections == c)
        c->sf->collections = c->next;
    if (c->next)
        c->next->prev = c->prev;
    row_finish(&c->row);
    columns_finish(&c->columns);
    text_finish(&c->body);
    text_finish(&c->keys);
    text_finish(&c->value);
    text_finish(&c->answer);
    free(c->told);
    free(c);
}

void collections_close(struct salesforce *sf)
{
    while (sf->collections)
        collection_free(sf->collections);
}

/* The batch is the host's again. */
static void collection_finish(struct collection *c)
{
    const sl_done *done = c->done;

    sf_log(c->sf, SL_LOG_DEBUG, "batch %llu: %zu records, done in %u calls",
           (unsigned long long)c->batch->id, c->batch->n_records, c->calls);
    collection_free(c);
    done->finish(done->ctx);
}

void collection_tell(struct collection *c, size_t record, const sl_outcome *o)
{
    assert(!c->told[record]);
    c->told[record] = true;
    c->n_open--;
    c->done->outcome(c->done->ctx, record, o);
}

static void collection_later(struct collection *c, enum collection_state state)
{
    const sl_host *h = c->sf->host;

    c->state = state;
    /* 0 comes only when the host is closing: then close() frees it */
    c->timer = h->timer(h->ctx, 0, on_turn, c);
}

/* ---- the ends ------------------------------------------------------------------------------ */

/* All that is open hears the same; c->why says why. What was not in the call was not sent. */
static void collection_settle(struct collection *c, uint32_t kind, const struct answer *a)
{
    c->ending.kind = kind;
    if (a) {
        c->ending.status = a->status;
        c->ending.after_ms = a->after_ms;
        c->ending.not_sent = a->verdict == ANSWER_NOT_SENT;
    }
    collection_later(c, COLLECTION_ENDING);
}

static void no_memory(struct collection *c)
{
    say(c->why, sizeof(c->why), "out of memory");
    collection_settle(c, SL_RETRY, &(struct answer){ .verdict = ANSWER_NOT_SENT });
}

static void collection_park(struct collection *c, const char *why, int64_t after_ms)
{
    c->done->park(c->done->ctx, str_of(why), after_ms);
    collection_finish(c);
}

/* ---- calls --------------------------------------------------------------------------------- */

static void on_answer(void *ctx, const struct answer *a);

static const char *path_of(struct collection *c)
{
    const struct action *a = c->action;
    sl_str version = c->sf->api_version;

    text_clear(&c->value);
    text_str(&c->value, "/services/data/v");
    text_add(&c->value, version.ptr, version.len);
    text_str(&c->value, "/composite/sobjects");
    if (a->op == OP_UPSERT)
        text_printf(&c->value, "/%s/%s", a->object, a->external_id);
    if (a->op == OP_DELETE) { /* 200 ids are far from the 16 KB that a URI may have */
        text_str(&c->value, "?allOrNone=false&ids=");
        text_add(&c->value, c->body.ptr, c->body.len);
    }
    return c->value.failed ? NULL : c->value.ptr;
}

/* Comes last in its caller. */
static void collection_send(struct collection *c)
{
    static const char *const methods[OP__COUNT] = {
        [OP_UPSERT] = "PATCH", [OP_INSERT] = "POST", [OP_UPDATE] = "PATCH", [OP_DELETE] = "DELETE"
    };
    enum operation op = c->action->op;
    const char *path = path_of(c);

    if (!path) {
        no_memory(c);
        return;
    }
    c->state = COLLECTION_CALLING;
    c->calls++;
    c->call = (struct call){ .sf = c->sf,
                             .method = str_of(methods[op]),
                             .long_path = path,
                             .type = op == OP_DELETE ? NULL : JSON_TYPE,
                             .accept = "application/json",
                             .body = op == OP_DELETE ? (sl_str){ 0 } : text_view(&c->body),
                             .max_answer = MAX_ANSWER,
                             .cb = on_answer,
                             .ctx = c };
    call_start(&c->call);
}

static void next_call(struct collection *c)
{
    c->n = c->read = 0;
    text_clear(&c->body);
    text_clear(&c->keys);
    text_finish(&c->answer);
    collection_later(c, COLLECTION_BUILDING);
}

static void after_build(struct collection *c)
{
    if (c->n == 0)
        collection_finish(c);
    else if (c->body.failed)
        no_memory(c);
    else
        collection_send(c);
}

/* ---- answers ------------------------------------------------------------------------------- */

/* It went well: the next may be larger again. */
static void on_read(struct collection *c)
{
    size_t *rows = &c->sf->collection_rows;

    *rows = *rows + ROWS_BACK < COLLECTION_ROWS ? *rows + ROWS_BACK : COLLECTION_ROWS;
    c->rows_most = c->n * 2 < COLLECTION_ROWS ? c->n * 2 : COLLECTION_ROWS;
    if (c->n_open == 0)
        collection_finish(c);
    else
        next_call(c);
}

/* The same records once more, fewer at a time. Nothing of the call was done. */
static void split(struct collection *c, const char *why)
{
    sf_log(c->sf, SL_LOG_INFO,
           "batch %llu: a call with %zu records was refused, goes again with half of them: %s",
           (unsigned long long)c->batch->id, c->n, why);
    c->rows_most = c->n / 2;
    c->at = c->members[0].record;
    next_call(c);
}

/* Has the batch had its share of refused calls? */
static bool is_enough(struct collection *c, const struct answer *a)
{
    if (++c->refused <= MAX_REFUSED)
        return false;
    if (a)
        say(c->why, sizeof(c->why), "%s", a->why);
    collection_settle(c, SL_RETRY, a);
    return true;
}

/* One transaction cannot do so many of these: the next calls begin smaller, too. `a`: the call was
 * refused as a whole; else c->why says it. */
static void on_too_much(struct collection *c, const struct answer *a)
{
    if (is_enough(c, a))
        return;
    c->sf->collection_rows = c->n > 1 ? c->n / 2 : 1;
    if (c->n > 1) {
        split(c, a ? a->why : c->why);
    } else {
        collection_tell_refused(c, c->members[0].record, a);
        next_call(c);
    }
}

static void on_results(struct collection *c, const struct answer *a)
{
    long n;

    text_clear(&c->answer);
    text_add(&c->answer, a->body.ptr, a->body.len); /* it is read in turns */
    n = c->answer.failed ? -1 : elements_open(&c->elements, text_view(&c->answer));
    if (n < 0 || (size_t)n != c->n) { /* by position: one too few, and none can be believed */
        if (n < 0)
            say(c->why, sizeof(c->why), "Salesforce's answer to %zu records is not understood",
                c->n);
        else
            say(c->why, sizeof(c->why), "Salesforce's answer to %zu records has %ld results", c->n,
                n);
        collection_settle(c, SL_RETRY, a);
    } else if (c->n > 1 && collection_was_limited(c)) {
        on_too_much(c, NULL);
    } else {
        collection_later(c, COLLECTION_READING);
    }
}

/* One row that Salesforce cannot even read has it refuse the others, too. */
static void on_refused(struct collection *c, const struct answer *a)
{
    if (is_enough(c, a))
        return;
    if (collection_learn_field(c, a->body)) {
        describe_doubt(c->sf, c->action->object);
        c->at = c->members[0].record;
        next_call(c);
    } else if (c->n > 1) {
        split(c, a->why);
    } else {
        collection_tell_refused(c, c->members[0].record, a);
        next_call(c);
    }
}

/* Several records have an external id: whose is it? */
static void on_several(struct collection *c, const struct answer *a)
{
    if (is_enough(c, a))
        return;
    if (c->n > 1) {
        split(c, "several records have one external id");
        return;
    }
    say(c->why, sizeof(c->why),
        "several records of %s have this %s: merge them, and make the field unique: %.*s",
        c->action->object, c->action->external_id, (int)(a->body.len < 400 ? a->body.len : 400),
        a->body.ptr);
    collection_tell(c, c->members[0].record,
                    &(sl_outcome){ .size = sizeof(sl_outcome),
                                   .kind = SL_REVIEW,
                                   .status = a->status,
                                   .why = str_of(c->why) });
    next_call(c);
}

static void on_not_found(struct collection *c, const struct answer *a)
{
    say(c->why, sizeof(c->why),
        "%s; check the route's object (%s) and external_id (%s: an External ID field that the "
        "integration user may see), and api_version",
        a->why, c->action->object, c->action->external_id);
    if (a->body.len > 0 && a->body.ptr[0] == '[')
        collection_settle(c, SL_REJECTED, a);
    else /* not Salesforce's own words: another host, or no API at all */
        collection_park(c, c->why, 0);
}

/* Perhaps it was done, perhaps not; either way the same again does no harm. */
static void on_lost(struct collection *c, const struct answer *a)
{
    size_t half = c->n / 2;

    if (half < c->sf->collection_rows && c->sf->collection_rows > LOST_ROWS)
        c->sf->collection_rows = half > LOST_ROWS ? half : LOST_ROWS;
    say(c->why, sizeof(c->why), "%s", a->why);
    collection_settle(c, SL_RETRY, a);
}

static void on_answer(void *ctx, const struct answer *a)
{
    struct collection *c = ctx;

    if (a->verdict == ANSWER_CANCELLED) { /* the host closes: it is delivered again */
        collection_free(c);
        return;
    }
    if (a->verdict == ANSWER_OK) {
        on_results(c, a);
        return;
    }
    if ((a->verdict == ANSWER_REFUSED || a->verdict == ANSWER_BUSY) &&
        collection_refused_by_limit(a->body)) {
        on_too_much(c, a);
        return;
    }
    say(c->why, sizeof(c->why), "%s", a->why);
    switch (a->verdict) {
    case ANSWER_REFUSED:
        on_refused(c, a);
        break;
    case ANSWER_NOT_FOUND:
        on_not_found(c, a);
        break;
    case ANSWER_THROTTLED:
        collection_settle(c, SL_THROTTLED, a);
        break;
    case ANSWER_PARK:
        if (a->status == 300)
            on_several(c, a);
        else
            collection_park(c, a->why, a->after_ms);
        break;
    case ANSWER_LOST:
        on_lost(c, a);
        break;
    default:
        collection_settle(c, SL_RETRY, a);
    }
}

/* ---- turns --------------------------------------------------------------------------------- */

static void on_turn(void *ctx)
{
    struct collection *c = ctx;

    c->timer = 0;
    switch (c->state) {
    case COLLECTION_BUILDING:
        if (collection_build(c))
            after_build(c);
        else
            collection_later(c, COLLECTION_BUILDING);
        break;
    case COLLECTION_READING:
        if (collection_read(c))
            on_read(c);
        else
            collection_later(c, COLLECTION_READING);
        break;
    case COLLECTION_ENDING:
        if (collection_end(c))
            collection_finish(c);
        else
            collection_later(c, COLLECTION_ENDING);
        break;
    default:
        assert(!"a timer in this state");
    }
}

/* ---- the beginning ------------------------------------------------------------------------- */

void collections_deliver(struct salesforce *sf, const struct action *action, const sl_batch *batch,
                         const sl_done *done)
{
    struct collection *c = calloc(1, sizeof(*c));

    if (c)
        c->told = calloc(batch->n_records + 1, sizeof(*c->told));
    if (!c || !c->told) {
        free(c);
        done->park(done->ctx, str_of("out of memory"), 0);
        done->finish(done->ctx);
        return;
    }
    c->sf = sf;
    c->action = action;
    c->batch = batch;
    c->done = done;
    c->n_open = batch->n_records;
    c->rows_most = COLLECTION_ROWS;
    c->next = sf->collections;
    if (c->next)
        c->next->prev = c;
    sf->collections = c;
    collection_later(c, COLLECTION_BUILDING);
}
