/*
 * unknown.c - an outcome that nobody could tell: a person chooses.
 */
#include <inttypes.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/fallback.h"
#include "flow/settle.h"
#include "flow/state.h"

static void put_choice(struct buf *b, const char *name, const char *fmt, const char *endpoint,
                       const char *key)
{
    struct buf text = { 0 };

    buf_printf(&text, fmt, endpoint, key);
    buf_printf(b, "{\"name\":\"%s\",\"text\":", name);
    buf_json_str(b, buf_view(&text));
    buf_char(b, '}');
    buf_finish(&text);
}

static void put_evidence(struct buf *b, const struct delivery *d, const char *key)
{
    char when[32];

    buf_cstr(b, "\"evidence\":{\"endpoint\":");
    buf_json_str(b, str_of(d->lane->conf->name));
    buf_printf(b, ",\"key\":\"%s\",\"asked\":%u", key, d->asked);
    if (d->first_sent_ms) {
        clock_format(d->first_sent_ms, when);
        buf_printf(b, ",\"first_sent_at\":\"%s\"", when);
    }
    buf_char(b, '}');
}

void unknown_hold(const struct delivery *d, sl_str why, struct rec_move *m)
{
    const char *endpoint = d->lane->conf->name;
    struct buf detail = { 0 };
    char key[40];

    delivery_key(d, key);
    buf_cstr(&detail, "{");
    if (d->route && d->route->owner) {
        buf_cstr(&detail, "\"owner\":");
        buf_json_str(&detail, str_of(d->route->owner));
        buf_char(&detail, ',');
    }
    buf_cstr(&detail, "\"choices\":[");
    put_choice(&detail, "arrived", "it is at %s: it counts as delivered, and nothing is sent",
               endpoint, key);
    buf_char(&detail, ',');
    put_choice(&detail, "send-again",
               "it is not at %s: the same request goes out again, under the same key %s", endpoint,
               key);
    if (fallback_any(d)) {
        char name[32];
        const char *to = fallback_any(d);

        delivery_name(d->num, name);
        buf_printf(&detail,
                   ",{\"name\":\"hand-over\",\"text\":\"it is not at %s: it goes %s %s instead\","
                   "\"command\":\"sluice held release %s --to %s\"}",
                   endpoint, fallback_of(d) ? "to" : "by route", to, name, to);
    }
    buf_cstr(&detail, "],");
    put_evidence(&detail, d, key);
    buf_char(&detail, '}');
    m->state = DS_HELD;
    m->hold_type = (sl_str){ mem_str(HOLD_UNKNOWN), sizeof(HOLD_UNKNOWN) - 1 };
    m->reason = (sl_str){ mem_dup(why), why.len };
    m->detail.ptr = buf_steal(&detail, &m->detail.len);
}
