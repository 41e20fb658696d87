/*
 * try.c - a dry run: what would be made of a payload, and where would it go.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/routing.h"

struct trial {
    void (*cb)(void *ctx, int status, sl_str json);
    void *ctx;
};

/** A body as it would be sent: as JSON when it is JSON, byte for byte, else as a text. */
static void put_body(struct buf *b, sl_str body)
{
    json_t *j = json_loadb(body.ptr, body.len, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);

    if (j)
        buf_str(b, body);
    else
        buf_json_str(b, body);
    json_decref(j);
}

static void put_field(struct buf *b, const char *name, sl_str value)
{
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, value);
}

static void put_piece(struct buf *b, const struct piece *p)
{
    const struct conf_target *t = p->target;

    buf_cstr(b, "{\"route\":");
    buf_json_str(b, str_of(p->route->name));
    put_field(b, "piece", str_of(p->key));
    if (p->looks_up) {
        put_field(b, "waits", str_of(p->error));
    } else if (p->error) {
        put_field(b, "dead", str_of(p->error));
    } else if (t->kind == TARGET_SEND) {
        put_field(b, p->route->hold ? "hold" : "to",
                  str_of(p->route->hold ? p->route->hold->type : t->endpoint->name));
        put_field(b, "endpoint", str_of(t->endpoint->name));
        put_field(b, "action", str_of(t->endpoint->plugin->actions[t->action].name));
    } else if (t->kind == TARGET_GROUP) {
        put_field(b, p->route->hold ? "hold" : "to",
                  str_of(p->route->hold ? p->route->hold->type : t->group->name));
        put_field(b, "group", str_of(t->group->name));
        put_field(b, "action",
                  str_of(t->members[0].endpoint->plugin->actions[t->members[0].action].name));
    } else {
        static const char *const what[] = { "to", "hold", "dead", "drop" };
        put_field(b, what[t->kind], str_of(t->text));
    }
    if (p->body) {
        buf_cstr(b, ",\"body\":");
        put_body(b, (sl_str){ p->body, p->body_len });
    }
    buf_char(b, '}');
}

static void on_tried(struct routing *rt)
{
    struct trial *t = rt->ctx;
    struct buf b = { 0 };

    buf_cstr(&b, "{\"subject\":");
    buf_json_str(&b, str_of(routing_subject(rt)));
    put_field(&b, "version", str_of(rt->n_abouts ? rt->abouts[0].version : ""));
    put_field(&b, "note", str_of(rt->note));
    buf_cstr(&b, ",\"deliveries\":[");
    for (size_t i = 0; i < rt->n_pieces; i++) {
        if (i)
            buf_char(&b, ',');
        put_piece(&b, &rt->pieces[i]);
    }
    buf_printf(&b, "],\"understood\":%s}", rt->undescribed ? "false" : "true");
    t->cb(t->ctx,
          rt->cancelled               ? UV_ECANCELED
          : rt->no_memory || b.failed ? UV_ENOMEM
                                      : 0,
          buf_view(&b));
    buf_finish(&b);
    free(t);
    routing_free(rt);
}

int flow_try(struct flow *f, sl_str endpoint, sl_str topic, const sl_header *headers,
             size_t n_headers, sl_str body, void (*cb)(void *ctx, int status, sl_str json),
             void *ctx)
{
    struct buf packed = { 0 };
    struct rec_receipt receipt = {
        .origin = EO_WEBHOOK,
        .received_ms = clock_wall_ms(),
        .endpoint = endpoint,
        .topic = topic,
        .body = body,
    };

    if (!flow_lane(f, endpoint))
        return UV_ENOENT;
    rec_headers_encode(&packed, headers, n_headers);
    receipt.headers = buf_view(&packed);
    struct event *e = packed.failed ? NULL : event_from_receipt(0, &receipt);
    buf_finish(&packed);
    if (!e)
        return UV_ENOMEM;
    struct routing *rt = routing_new(f, e);
    struct trial *t = mem_zero(sizeof(*t));
    *t = (struct trial){ cb, ctx };
    rt->ctx = t;
    rt->done = on_tried;
    rt->undescribed = routing_describe(rt) < 0;
    routing_map(rt);
    return 0;
}
