/*
 * api_lanes.c - breakers and parked endpoints by hand.
 */
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/log.h"

static const struct logger log_ = { .room = "admin" };

/** The endpoint's lane as it stands after what was done. */
static void answer_lane(struct call *c, int r, const char *done)
{
    const struct flow *f = c->admin->conf.flow;
    struct lane_stats s;
    struct buf b = { 0 };

    if (r == UV_ENOENT) {
        call_problem(c, 404, "there is no endpoint \"%.80s\"", c->name);
        return;
    }
    if (r < 0) {
        call_failed(c, r);
        return;
    }
    log_info(&log_, "%s: endpoint=%s who=%s", done, c->name, c->who);
    for (size_t i = 0; i < flow_lanes(f); i++) {
        flow_lane_stats(f, i, &s);
        if (strcmp(s.endpoint, c->name) == 0)
            api_lane_json(&b, f, &s);
    }
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

void api_trip(struct call *c)
{
    char *why = NULL;

    if (call_why(c, &why) < 0)
        return;
    answer_lane(c, flow_trip(c->admin->conf.flow, str_of(c->name), str_of(c->who), str_of(why)),
                "breaker opened");
    free(why);
}

void api_reset(struct call *c)
{
    answer_lane(c, flow_reset(c->admin->conf.flow, str_of(c->name), str_of(c->who)),
                "breaker closed");
}

void api_unpark(struct call *c)
{
    answer_lane(c, flow_unpark(c->admin->conf.flow, str_of(c->name)), "unparked");
}
