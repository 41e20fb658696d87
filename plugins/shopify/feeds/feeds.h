/*
 * feeds.h - the shop as a source that is asked: what its webhooks should have said, and did not.
 *
 * A poll of the kind `orders` reads the orders that have changed since the watermark, renders each
 * as webhooks have it (order.h) and says what must have happened for it to be so; what the gateway
 * knows already is dropped by the host (emit_missed). The watermark is the newest `updated_at` that
 * was read, and moves when all pages are read; the next poll begins `overlap` before it, since the
 * shop's search lags.
 */
#pragma once

#include <sluice/sluice.h>

struct shopify;
struct feed_poll;

/** Orders of one question, at most: with more its price would pass what one document may cost. */
#define FEED_PAGE_MOST 30

extern const sl_option feed_orders_params[];

/* as sluice.h documents them */
sl_status feed_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void feed_unbind(void *handle);
void feed_start(void *self, void *handle, sl_str cursor, const sl_poll_out *out);

/** A webhook has come: if it was long under way, the sweeps are polled sooner. */
void feed_saw(struct shopify *s, const sl_event *event);
/** Free all polls: nothing is told any more. */
void feed_close(struct shopify *s);

/** What feed_bind() makes. */
struct feed {
    int64_t overlap_ms;
    int64_t look_back_ms; /* each poll looks back so far; 0: from the watermark on */
    int64_t since_ms;     /* what happened before is none of ours; 0: before the first poll */
    int64_t page;         /* orders of one question */
    int64_t share;        /* percent of the points that come back, at most */
    char *only;           /* topics with spaces around each; NULL: all */
};

/* ---- feed_time.c: time is an argument ---- */

/** What the cursor says. */
struct feed_mark {
    int64_t upto_ms;  /* the newest change that was read; 0: there was no poll */
    int64_t since_ms; /* the first poll's time: what happened before is none of ours */
};

/** Text of a cursor; nothing, or of another form: all 0. */
struct feed_mark feed_mark_read(sl_str cursor);
/** Own; NULL: no memory. */
char *feed_mark_write(const struct feed_mark *m);
/** Where a poll at `now` begins. 0: nothing is to be read, only the mark to be set. */
int64_t feed_from(const struct feed *f, struct feed_mark *mark, int64_t now_ms);
/** How long to wait after an answer whose `extensions.cost` this is, so that no more than `share`
 *  percent of what comes back is used, and half of the bucket is left to others. */
int64_t feed_pause_ms(const struct feed *f, const void *cost);
