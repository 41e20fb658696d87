/*
 * api_list.c - events and deliveries, as lists and one by one.
 */
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "admin/waits.h"

static bool ask_flow(void *flow, uint64_t num, struct why *ret)
{
    return flow_why(flow, num, ret);
}

static void on_list(void *ctx, int status, sl_str json)
{
    struct call *c = ctx;
    struct buf all = { 0 };

    if (status < 0) {
        call_failed(c, status);
        return;
    }
    waits_put(&all, json, ask_flow, c->admin->conf.flow);
    if (all.failed)
        call_failed(c, UV_ENOMEM);
    else
        call_json(c, 200, buf_view(&all));
    buf_finish(&all);
}

static void list(struct call *c, enum store_report what, unsigned allowed)
{
    struct store_filter filter;
    struct fail fail = { 0 };
    int r;

    if (ask_query(&filter, allowed, http_query(c->request), &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        return;
    }
    r = store_report(c->admin->conf.store, what, &filter, on_list, c);
    ask_finish(&filter);
    if (r < 0)
        call_failed(c, r);
}

void api_events(struct call *c)
{
    list(c, REPORT_EVENTS,
         ASK_ENDPOINT | ASK_TOPIC | ASK_SUBJECT | ASK_AFTER_EVENT | ASK_LIMIT | ASK_DUPLICATES);
}

void api_deliveries(struct call *c)
{
    list(c, REPORT_DELIVERIES, ASK_DELIVERIES | ASK_AFTER_DELIVERY | ASK_LIMIT);
}

void api_deadlines(struct call *c)
{
    list(c, REPORT_DEADLINES,
         ASK_OWNER | ASK_OVERDUE | ASK_ROUTE | ASK_ENDPOINT | ASK_SUBJECT | ASK_AFTER_DELIVERY |
             ASK_LIMIT);
}

/** How events came, by endpoint and day. */
void api_webhooks(struct call *c)
{
    list(c, REPORT_CAME, ASK_ENDPOINT | ASK_SINCE | ASK_UNTIL);
}

/* ---- one ---- */

static void on_one(void *ctx, int status, sl_str json)
{
    struct call *c = ctx;

    if (status == UV_ENOENT)
        call_problem(c, 404, "there is no %s %s",
                     strstr(c->route->path, "events") ? "event" : "delivery", c->name);
    else
        on_list(c, status, json);
}

static void one(struct call *c, enum store_report what, uint64_t id)
{
    struct store_filter filter = { .id = id, .limit = 1 };
    int r;

    if (http_query(c->request).len) {
        call_problem(c, 400, "this path takes no parameters");
        return;
    }
    r = store_report(c->admin->conf.store, what, &filter, on_one, c);
    if (r < 0)
        call_failed(c, r);
}

void api_event(struct call *c)
{
    struct store_filter filter = { 0 };

    if (ask_set(&filter, ASK_AFTER_EVENT, "after", c->name, NULL) < 0)
        call_problem(c, 400, "an event's id is a number such as 1042, not \"%.60s\"", c->name);
    else
        one(c, REPORT_EVENT, filter.after);
}

void api_delivery(struct call *c)
{
    uint64_t num;

    if (delivery_parse(str_of(c->name), &num) < 0)
        call_problem(c, 400, "a delivery's id is like 1042.0, not \"%.60s\"", c->name);
    else
        one(c, REPORT_DELIVERY, num);
}
