/*
 * render.c - see render.h.
 */
#include "render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iso_time.h"
#include "shift_time.h"

#define SAME_CASE(c) ((c) >= 'A' && (c) <= 'Z' ? (c) + 'a' - 'A' : (c))

/* ---- where it stands ---- */

const json_t *graph_at(const json_t *from, const char *path)
{
    while (from && path && *path) {
        size_t n = strcspn(path, ".");

        from = json_object_getn(from, path, n);
        path += n + (path[n] == '.');
    }
    return json_is_null(from) ? NULL : from;
}

const char *graph_text(const json_t *from, const char *path)
{
    const char *text = json_string_value(graph_at(from, path));

    return text ? text : "";
}

const json_t *graph_list(const json_t *from, const char *path)
{
    const json_t *list = graph_at(from, path);

    if (json_is_object(list))
        list = json_object_get(list, "nodes");
    return json_is_array(list) ? list : NULL;
}

json_int_t graph_id(const char *gid)
{
    const char *slash = gid ? strrchr(gid, '/') : NULL;
    char *end;
    long long n = slash ? strtoll(slash + 1, &end, 10) : 0;

    return slash && end > slash + 1 && (*end == '\0' || *end == '?') && n > 0 ? n : 0;
}

/* ---- money ---- */

int money_read(const char *text, int64_t *ret)
{
    int negative = text && *text == '-', digits = 0, places = -1;
    int64_t n = 0;

    if (!text || !*text)
        return 0;
    for (const char *p = text + negative; *p; p++) {
        if (*p == '.' && places < 0 && digits > 0) {
            places = 0;
        } else if (*p < '0' || *p > '9' || digits > 12) {
            return 0;
        } else if (places < 4) { /* what is finer is cut: no currency has it */
            n = n * 10 + (*p - '0');
            digits++;
            places += places >= 0;
        }
    }
    for (places = places < 0 ? 0 : places; places < 4; places++)
        n *= 10;
    if (digits == 0)
        return 0;
    *ret = negative ? -n : n;
    return 1;
}

/* Places after the point that a currency is written with. */
static int places_of(const char *currency)
{
    static const char none[] =
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
    static const char three[] = "BHD IQD JOD KWD LYD OMR TND";

    if (currency && strlen(currency) == 3)
        return strstr(none, currency) ? 0 : strstr(three, currency) ? 3 : 2;
    return 2;
}

/* No amount is rounded: what has more places than its currency keeps them. */
static void write_money(int64_t amount, const char *currency, char ret[32])
{
    int64_t rest = amount < 0 ? -amount : amount;
    int places = places_of(currency), n;

    n = snprintf(ret, 32, "%s%" PRId64 ".%04" PRId64, amount < 0 ? "-" : "", rest / MONEY_UNIT,
                 rest % MONEY_UNIT);
    for (int cut = 4; cut > places && ret[n - 1] == '0'; cut--)
        ret[--n] = '\0';
    if (ret[n - 1] == '.')
        ret[n - 1] = '\0';
}

json_t *money_text(int64_t amount, const char *currency)
{
    char text[32];

    write_money(amount, currency, text);
    return json_string(text);
}

json_t *money_set(int64_t shop, const char *currency, int64_t buyers, const char *buyers_currency)
{
    return json_pack("{s:{s:o,s:s},s:{s:o,s:s}}", "shop_money", "amount",
                     money_text(shop, currency), "currency_code", currency, "presentment_money",
                     "amount", money_text(buyers, buyers_currency), "currency_code",
                     buyers_currency);
}

/* ---- how it is written ---- */

static json_t *lower(const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n + 1);
    json_t *made;

    for (size_t i = 0; copy && i <= n; i++)
        copy[i] = (char)SAME_CASE(text[i]);
    made = copy ? json_string(copy) : NULL;
    free(copy);
    return made;
}

static json_t *time_of(const char *text, const struct render *r)
{
    char shifted[SHIFTED_TIME_SIZE];

    if (time_shift((sl_str){ text, strlen(text) }, r->offset_min, shifted) < 0)
        return json_string(text); /* as it came: it is looked at where it is read */
    return json_string(shifted);
}

static json_t *money_of(const json_t *bag, const char *side)
{
    const json_t *money = json_object_get(bag, side);
    int64_t amount;

    if (!money_read(graph_text(money, "amount"), &amount))
        return json_null();
    return money_text(amount, graph_text(money, "currencyCode"));
}

static json_t *number_of(const json_t *bag)
{
    int64_t amount;

    if (!money_read(graph_text(bag, "shopMoney.amount"), &amount))
        return json_null();
    return json_real((double)amount / MONEY_UNIT);
}

static json_t *set_of(const json_t *bag)
{
    int64_t shop, buyers;

    if (!money_read(graph_text(bag, "shopMoney.amount"), &shop))
        return json_null();
    if (!money_read(graph_text(bag, "presentmentMoney.amount"), &buyers))
        return json_null();
    return money_set(shop, graph_text(bag, "shopMoney.currencyCode"), buyers,
                     graph_text(bag, "presentmentMoney.currencyCode"));
}

static json_t *tags_of(const json_t *list)
{
    size_t i, room = 1;
    json_t *one, *made;
    char *text;

    json_array_foreach((json_t *)list, i, one) room += json_string_length(one) + 2;
    text = calloc(1, room);
    if (!text)
        return NULL;
    json_array_foreach((json_t *)list, i, one)
    {
        if (*text)
            strcat(text, ", ");
        strcat(text, json_string_value(one) ? json_string_value(one) : "");
    }
    made = json_string(text);
    free(text);
    return made;
}

static json_t *integer_of(const json_t *value)
{
    const char *text = json_string_value(value);
    char *end;
    long long n;

    if (json_is_integer(value))
        return json_integer(json_integer_value(value));
    n = text ? strtoll(text, &end, 10) : 0;
    return text && *text && *end == '\0' ? json_integer(n) : json_null();
}

static json_t *id_of(const json_t *value)
{
    json_int_t id = graph_id(json_string_value(value));

    return id ? json_integer(id) : json_null();
}

static json_t *list_of(const json_t *list, const struct render_row *rows, const struct render *r)
{
    json_t *made = json_array(), *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        if (!json_is_object(one))
            continue; /* a null among them: an object that is not shown to us */
        if (json_array_append_new(made, render(one, rows, r)) < 0) {
            json_decref(made);
            return NULL;
        }
    }
    return made;
}

static json_t *text_by(enum render_how how, const char *text, const struct render *r)
{
    if (!text)
        return json_null();
    return how == AS_LOWER ? lower(text) : time_of(text, r);
}

json_t *render_one(const json_t *from, const struct render_row *row, const struct render *r)
{
    const json_t *value = graph_at(from, row->path);

    switch (row->how) {
    case AS_IS:
        return value ? json_incref((json_t *)value) : json_null();
    case AS_LOWER:
    case AS_TIME:
        return text_by(row->how, json_string_value(value), r);
    case AS_ID:
        return id_of(value);
    case AS_INTEGER:
        return integer_of(value);
    case AS_AMOUNT:
        return money_of(value, "shopMoney");
    case AS_BUYERS:
        return money_of(value, "presentmentMoney");
    case AS_NUMBER:
        return number_of(value);
    case AS_SET:
        return set_of(value);
    case AS_CURRENCY:
        return value ? json_string(graph_text(value, "shopMoney.currencyCode")) : json_null();
    case AS_TAGS:
        return tags_of(value);
    case AS_OBJECT:
        return json_is_object(value) ? render(value, row->inner, r) : json_null();
    case AS_LIST:
        return list_of(graph_list(from, row->path), row->inner, r);
    case AS_EMPTY:
        return json_object();
    case AS_NONE:
        return json_array();
    case AS_FALSE:
        return json_false();
    case AS_MADE:
        return row->make(from, r);
    case AS_NULL:
        break;
    }
    return json_null();
}

json_t *render(const json_t *from, const struct render_row *rows, const struct render *r)
{
    json_t *made = json_object();

    for (; made && rows->member; rows++)
        if (json_object_set_new(made, rows->member, render_one(from, rows, r)) < 0) {
            json_decref(made);
            return NULL;
        }
    return made;
}
