/*
 * answer.c - the events that come of a supplier's answers.
 */
#include "supplier.h"

#include <stdlib.h>
#include <string.h>

/* {"supplier", "key", "piece", "subject"} of a call. */
static json_t *order_of(const struct call *c)
{
    sl_str supplier = c->s->host->endpoint;

    return json_pack("{s:s%,s:s%,s:s%,s:s%}", "supplier", supplier.ptr, supplier.len, "key",
                     c->key.ptr, c->key.len, "piece", c->piece.ptr, c->piece.len, "subject",
                     c->subject.ptr, c->subject.len);
}

int accepted_init(struct accepted *ret, const struct call *c, const char *reference)
{
    json_t *o = order_of(c);

    *ret = (struct accepted){ .link = { .kind = { "po", 2 },
                                        .id = { reference, strlen(reference) } } };
    if (o && json_object_set_new(o, "reference", json_string(reference)) == 0)
        ret->body = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!ret->body)
        return -1;
    ret->emit.topic = (sl_str){ "supplier/accepted", strlen("supplier/accepted") };
    ret->emit.body = (sl_str){ ret->body, strlen(ret->body) };
    return 0;
}

char *rejected_body(const struct call *c, uint32_t status, const char *why)
{
    json_t *o = order_of(c);
    char *body = NULL;

    if (o && json_object_set_new(o, "status", json_integer(status)) == 0 &&
        json_object_set_new(o, "reason", json_string(why)) == 0)
        body = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return body;
}
