/*
 * api_groups.c - groups: how their members are, and what each has.
 */
#include "admin/api.h"

void api_groups(struct call *c)
{
    struct buf b = { 0 };

    flow_groups_json(c->admin->conf.flow, &b);
    if (b.failed)
        call_failed(c, UV_ENOMEM);
    else
        call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}
