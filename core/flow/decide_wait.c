#include "flow/decide_wait.h"

#include "base/clock.h"

#define LOOK_MS 2 /* a write takes about as long; who writes it is one of many */

static bool is_settling(struct flow *f, uint64_t num)
{
    const struct delivery *d = flow_delivery(f, num);

    return d && d->settling;
}

static void on_look(void *ctx, bool closing)
{
    struct flow *f = ctx;
    uint64_t now = clock_mono_ms();
    struct list over;

    list_init(&over);
    list_each_safe (i, tmp, &f->decide_waits) {
        struct decide_wait *w = list_entry(i, struct decide_wait, node);
        if (!closing && w->until_ms > now && is_settling(f, w->num))
            continue;
        list_remove(&w->node);
        list_append(&over, &w->node);
    }
    if (!list_empty(&f->decide_waits))
        flow_later(f, LOOK_MS, on_look, f);
    while (!list_empty(&over)) {
        struct decide_wait *w = list_entry(over.next, struct decide_wait, node);
        list_remove(&w->node);
        w->done(w);
    }
}

bool decide_wait(struct flow *f, struct decide_wait *w, uint64_t num,
                 void (*done)(struct decide_wait *w))
{
    if (!is_settling(f, num))
        return false;
    if (list_empty(&f->decide_waits))
        flow_later(f, LOOK_MS, on_look, f);
    w->num = num;
    w->until_ms = clock_mono_ms() + DECIDE_WAIT_MS;
    w->done = done;
    list_append(&f->decide_waits, &w->node);
    return true;
}
