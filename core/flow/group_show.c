/*
 * group_show.c - groups as people see them.
 */
#include "base/clock.h"
#include "flow/group.h"

static const char *health_of(const struct member *m)
{
    if (m->usable)
        return m->was_bad ? "returning" : "healthy";
    return m->out ? "out" : "unusable";
}

static void put_member(struct buf *b, const struct group *g, size_t i, uint64_t sum)
{
    const struct member *m = &g->members[i];
    char when[32];

    buf_cstr(b, "{\"endpoint\":");
    buf_json_str(b, str_of(m->lane->name));
    buf_printf(b, ",\"health\":\"%s\",\"why\":", health_of(m));
    buf_json_str(b, str_of(m->why));
    buf_cstr(b, ",\"since\":");
    if (m->since_ms) {
        clock_format(clock_wall_ms() - (int64_t)(uv_now(g->flow->loop) - m->since_ms), when);
        buf_printf(b, "\"%s\"", when);
    } else {
        buf_cstr(b, "null");
    }
    buf_printf(
        b,
        ",\"weight\":%u,\"pending\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"chosen\":%" PRIu64
        ",\"share_percent\":%" PRIu64 ",\"moved_away\":%" PRIu64 ",\"moved_here\":%" PRIu64 "}",
        g->conf->members[i].weight, lane_backlog(m->lane), m->lane->counts[DS_UNKNOWN], m->chosen,
        sum ? m->chosen * 100 / sum : 0, m->lane->moved_away, m->lane->moved_here);
}

void flow_groups_json(const struct flow *f, struct buf *b)
{
    buf_char(b, '[');
    for (size_t i = 0; i < f->n_groups; i++) {
        struct group *g = f->groups[i];
        uint64_t sum = 0;

        group_look(g);
        for (size_t k = 0; k < g->n; k++)
            sum += g->members[k].chosen;
        buf_cstr(b, i ? ",{\"group\":" : "{\"group\":");
        buf_json_str(b, str_of(g->name));
        buf_printf(b, ",\"policy\":\"%s\",\"members\":[", group_policy_names[g->conf->policy]);
        for (size_t k = 0; k < g->n; k++) {
            buf_cstr(b, k ? "," : "");
            put_member(b, g, k, sum);
        }
        buf_cstr(b, "]}");
    }
    buf_char(b, ']');
}
