/*
 * feed_time.c - where a poll begins, and how long it waits; nothing here asks a clock.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "feeds.h"
#include "shift_time.h"

#define LONGEST_PAUSE_MS 60000

static int64_t ms_at(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    int64_t ms;

    return text && time_ms((sl_str){ text, strlen(text) }, &ms) == SL_OK ? ms : 0;
}

struct feed_mark feed_mark_read(sl_str cursor)
{
    json_t *o = json_loadb(cursor.ptr ? cursor.ptr : "", cursor.len, 0, NULL);
    struct feed_mark m = { ms_at(o, "upto"), ms_at(o, "since") };

    json_decref(o);
    if (!m.upto_ms || !m.since_ms)
        return (struct feed_mark){ 0 };
    return m;
}

char *feed_mark_write(const struct feed_mark *m)
{
    char upto[32], since[32];
    json_t *o;
    char *text;

    time_text(m->upto_ms, upto);
    time_text(m->since_ms, since);
    o = json_pack("{s:i,s:s,s:s}", "v", 1, "upto", upto, "since", since);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

int64_t feed_from(const struct feed *f, struct feed_mark *mark, int64_t now_ms)
{
    int64_t from;

    if (!mark->since_ms) {
        mark->since_ms = f->since_ms ? f->since_ms : now_ms;
        mark->since_ms -= mark->since_ms % 1000; /* the shop's times have whole seconds */
        mark->upto_ms = mark->since_ms;
        if (!f->since_ms)
            return 0;
    }
    from = f->look_back_ms ? now_ms - f->look_back_ms : mark->upto_ms - f->overlap_ms;
    return from > mark->since_ms ? from : mark->since_ms;
}

int64_t feed_pause_ms(const struct feed *f, const void *cost)
{
    const json_t *bucket = json_object_get(cost, "throttleStatus");
    double used = json_number_value(json_object_get(cost, "actualQueryCost"));
    double most = json_number_value(json_object_get(bucket, "maximumAvailable"));
    double left = json_number_value(json_object_get(bucket, "currentlyAvailable"));
    double back = json_number_value(json_object_get(bucket, "restoreRate"));
    double ms, until_half;

    if (!(used >= 0 && used < 1e6) || !(back > 0 && back < 1e6))
        return 0;
    ms = used * 1000 * 100 / (back * (double)f->share);
    until_half = (most / 2 - left) * 1000 / back;
    ms = until_half > ms ? until_half : ms;
    return ms < 0 ? 0 : ms > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : (int64_t)ms;
}
