/*
 * compliance.c - what Shopify's mandatory topics and app/uninstalled ask of the gateway itself: to
 * erase or hand out what is known of a customer, to erase a shop, to stop sending.
 *
 * The ids and addresses are all that these bodies hold, so the whole body is parsed; there are few
 * of them.
 */
#include "shopify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ORDERS 10000
#define MOST_TEXT   400 /* of a subject */
#define LONG_ID     9   /* digits that stand for nothing else, wherever they stand */
#define LEAST_VALUE 5   /* as sl_ask says */

/* What is asked, put together; owns its texts. */
struct asked {
    sl_str *subjects;
    size_t n_subjects;
    sl_str values[4];
    size_t n_values;
    char who[64], gid[64], id[24];
};

static void finish(struct asked *a)
{
    for (size_t i = 0; i < a->n_subjects; i++)
        free((char *)a->subjects[i].ptr);
    free(a->subjects);
}

/* Digits of an id: a number, or a text that ends in them ("gid://shopify/Order/12"). 0: none. */
static size_t id_of(const json_t *value, char to[24])
{
    const char *text = json_string_value(value), *slash = text ? strrchr(text, '/') : NULL;
    size_t n;

    if (json_is_integer(value))
        return (size_t)snprintf(to, 24, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    text = slash ? slash + 1 : text;
    n = text ? strspn(text, "0123456789") : 0;
    if (n == 0 || n >= 24 || text[n] != '\0')
        return 0;
    memcpy(to, text, n + 1);
    return n;
}

static int add_subject(const struct shopify *s, struct asked *a, const char *kind, const char *id)
{
    char text[MOST_TEXT];
    int n = snprintf(text, sizeof(text), "%s:%.*s/%s", kind, (int)s->shop.len, s->shop.ptr, id);
    char *own = n > 0 && n < MOST_TEXT ? strdup(text) : NULL;

    if (own)
        a->subjects[a->n_subjects++] = (sl_str){ own, (size_t)n };
    return own != NULL;
}

static int add_orders(const struct shopify *s, struct asked *a, const json_t *orders)
{
    const json_t *order;
    char id[24];
    size_t i;

    json_array_foreach(orders, i, order)
    {
        if (i == MOST_ORDERS)
            break;
        if (id_of(order, id) && !add_subject(s, a, "order", id))
            return 0;
    }
    return 1;
}

static void add_value(struct asked *a, const char *text)
{
    if (text && strlen(text) >= LEAST_VALUE)
        a->values[a->n_values++] = (sl_str){ text, strlen(text) };
}

static int add_customer(const struct shopify *s, struct asked *a, const json_t *customer)
{
    add_value(a, json_string_value(json_object_get(customer, "email")));
    add_value(a, json_string_value(json_object_get(customer, "phone")));
    if (!id_of(json_object_get(customer, "id"), a->id)) {
        snprintf(a->who, sizeof(a->who), "a customer without an id");
        return 1;
    }
    snprintf(a->who, sizeof(a->who), "customer %s", a->id);
    snprintf(a->gid, sizeof(a->gid), "gid://shopify/Customer/%s", a->id);
    add_value(a, a->gid);
    if (strlen(a->id) >= LONG_ID)
        add_value(a, a->id);
    return add_subject(s, a, "customer", a->id);
}

static sl_status tell(const sl_describe_out *out, uint32_t kind, const struct asked *a)
{
    sl_ask ask = { .size = sizeof(ask),
                   .kind = kind,
                   .who = { a->who, strlen(a->who) },
                   .subjects = a->subjects,
                   .n_subjects = a->n_subjects,
                   .values = a->values,
                   .n_values = a->n_values };

    return out->ask(out->ctx, &ask);
}

static sl_status ask_of_customer(const struct shopify *s, const sl_event *event,
                                 const sl_describe_out *out, uint32_t kind, const char *orders)
{
    json_t *body = json_loadb(event->body.ptr, event->body.len, 0, NULL);
    const json_t *list = json_object_get(body, orders);
    struct asked a = { .subjects = calloc(json_array_size(list) + 1, sizeof(sl_str)) };
    sl_status r = SL_E_NO_MEMORY;

    if (a.subjects && body && add_customer(s, &a, json_object_get(body, "customer")) &&
        add_orders(s, &a, list))
        r = tell(out, kind, &a);
    else if (!body)
        r = SL_E_INVALID;
    finish(&a);
    json_decref(body);
    return r;
}

static sl_status ask_of_shop(const struct shopify *s, const sl_describe_out *out)
{
    char who[160];
    sl_ask ask = { .size = sizeof(ask), .kind = SL_ASK_ERASE, .everything = 1 };

    ask.who.ptr = who;
    ask.who.len = (size_t)snprintf(who, sizeof(who), "shop %.*s", (int)s->shop.len, s->shop.ptr);
    return out->ask(out->ctx, &ask);
}

static sl_status ask_to_stop(const sl_describe_out *out)
{
    static const char why[] =
        "the app was removed from the shop (app/uninstalled), so its tokens "
        "are void; install it again, renew them, then resume";
    sl_ask ask = { .size = sizeof(ask), .kind = SL_ASK_STOP, .why = { why, sizeof(why) - 1 } };

    return out->ask(out->ctx, &ask);
}

static int is(sl_str topic, const char *name)
{
    return topic.len == strlen(name) && memcmp(topic.ptr, name, topic.len) == 0;
}

sl_status shopify_ask(const struct shopify *s, const sl_event *event, const sl_describe_out *out,
                      sl_fail *fail)
{
    sl_status r = SL_OK;

    if (!SL_HAS(sl_describe_out, out, ask))
        return SL_OK;
    if (is(event->topic, "customers/redact"))
        r = ask_of_customer(s, event, out, SL_ASK_ERASE, "orders_to_redact");
    else if (is(event->topic, "customers/data_request"))
        r = ask_of_customer(s, event, out, SL_ASK_HAND_OUT, "orders_requested");
    else if (is(event->topic, "shop/redact"))
        r = ask_of_shop(s, out);
    else if (is(event->topic, "app/uninstalled"))
        r = ask_to_stop(out);
    if (r == SL_OK || r == SL_E_NO_MEMORY)
        return r;
    return shopify_fail(fail, r,
                        "the body of %.*s names nobody: it has neither a customer's id, e-mail or "
                        "phone nor an order's id",
                        (int)event->topic.len, event->topic.ptr);
}
