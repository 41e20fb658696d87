/*
 * draft_input.c - what a map makes of a quote, as the shop's DraftOrderInput.
 *
 *   {"quote": "0Q0...", "email", "phone", "note", "po_number", "currency": "EUR", "tags": [...],
 *    "lines": [{"sku", "quantity"}, {"variant_id", "quantity", "price"},
 *              {"title", "price", "quantity", "sku"}]}
 */
#include "drafts/draft.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINES 499 /* of one draft order */
#define MAX_TAGS  249 /* beside our own */
#define MAX_SKU   255

struct reading {
    struct draft_order *d;
    const char *currency;
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 2, 3))) static sl_status wrong(struct reading *r, const char *format,
                                                             ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->why, r->why_size, format, args);
    va_end(args);
    return SL_E_INVALID;
}

/* ---- one line ------------------------------------------------------------------------------ */

/* Salesforce's quantities are decimals: 2.0 is two. */
static int64_t whole(const json_t *v)
{
    double n = json_is_number(v) ? json_number_value(v) : 0;

    return n >= 1 && n <= 1000000 && floor(n) == n ? (int64_t)n : 0;
}

/* "19.90", as text: a number would have been through a double. */
static int is_amount(const char *s)
{
    size_t digits = strspn(s, "0123456789"), more;

    if (digits == 0 || digits > 12)
        return 0;
    if (s[digits] == '\0')
        return 1;
    more = s[digits] == '.' ? strspn(s + digits + 1, "0123456789") : 0;
    return more > 0 && more <= 12 && s[digits + 1 + more] == '\0';
}

static sl_status take_price(struct reading *r, size_t n, const json_t *line, json_t *to,
                            const char *name)
{
    const json_t *price = json_object_get(line, "price");
    const char *amount = json_string_value(price);

    if (!price || json_is_null(price))
        return SL_OK;
    if (!amount || !is_amount(amount))
        return wrong(r, "lines[%zu].price: it wants a decimal as text, such as \"19.90\"", n);
    if (!r->currency)
        return wrong(r, "currency: a price needs it, such as \"EUR\"");
    return json_object_set_new(
               to, name, json_pack("{s:s,s:s}", "amount", amount, "currencyCode", r->currency)) < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

/* Digits, or a GID of its type. */
static sl_status take_variant(struct reading *r, size_t n, const json_t *variant, json_t *to)
{
    static const char prefix[] = "gid://shopify/ProductVariant/";
    const char *s = json_string_value(variant);
    char gid[80];

    if (s && strncmp(s, prefix, strlen(prefix)) == 0)
        s += strlen(prefix);
    if (!s || !*s || strlen(s) > 20 || s[strspn(s, "0123456789")])
        return wrong(r,
                     "lines[%zu].variant_id: it wants digits as text, or "
                     "gid://shopify/ProductVariant/...",
                     n);
    snprintf(gid, sizeof(gid), "%s%s", prefix, s);
    return json_object_set_new(to, "variantId", json_string(gid)) < 0 ? SL_E_NO_MEMORY : SL_OK;
}

static sl_status take_sku(struct reading *r, size_t n, const char *sku)
{
    size_t len = strlen(sku);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)sku[i] < ' ')
            len = MAX_SKU + 1;
    if (len == 0 || len > MAX_SKU)
        return wrong(r, "lines[%zu].sku: it wants 1 to %d characters of one line", n, MAX_SKU);
    return json_object_set_new(r->d->skus, sku, json_null()) < 0 ? SL_E_NO_MEMORY : SL_OK;
}

static sl_status take_custom(struct reading *r, size_t n, const json_t *line, json_t *to)
{
    const char *title = json_string_value(json_object_get(line, "title"));
    const json_t *sku = json_object_get(line, "sku");

    if (!*title)
        return wrong(r, "lines[%zu].title: it is empty", n);
    if (!json_is_string(json_object_get(line, "price")))
        return wrong(r, "lines[%zu].price: a line by its title needs one, such as \"19.90\"", n);
    if (json_object_set_new(to, "title", json_string(title)) < 0 ||
        (json_is_string(sku) && json_object_set(to, "sku", (json_t *)sku) < 0))
        return SL_E_NO_MEMORY;
    return take_price(r, n, line, to, "originalUnitPriceWithCurrency");
}

static sl_status take_line(struct reading *r, size_t n, const json_t *line, json_t *to)
{
    const json_t *variant = json_object_get(line, "variant_id");
    const char *sku = json_string_value(json_object_get(line, "sku"));
    int64_t quantity = whole(json_object_get(line, "quantity"));
    sl_status status;

    if (!json_is_object(line) || !quantity)
        return wrong(r, "lines[%zu].quantity: it wants a whole number of 1 or more", n);
    if (json_object_set_new(to, "quantity", json_integer(quantity)) < 0)
        return SL_E_NO_MEMORY;
    if (variant && !json_is_null(variant))
        status = take_variant(r, n, variant, to);
    else if (json_is_string(json_object_get(line, "title")))
        return take_custom(r, n, line, to);
    else if (sku)
        status = take_sku(r, n, sku);
    else
        return wrong(r, "lines[%zu]: it wants a variant_id, a sku, or a title with its price", n);
    /* a variant's own title and price stand, unless the price is overridden */
    return status < 0 ? status : take_price(r, n, line, to, "priceOverride");
}

static sl_status take_lines(struct reading *r)
{
    const json_t *lines = json_object_get(r->d->body, "lines");
    json_t *to = json_array();
    sl_status status = to ? SL_OK : SL_E_NO_MEMORY;
    size_t n = json_array_size(lines);

    if (status == SL_OK && (n < 1 || n > MAX_LINES))
        status = wrong(r, "lines: it wants a list of 1 to %d lines", MAX_LINES);
    for (size_t i = 0; i < n && status == SL_OK; i++) {
        json_t *line = json_object();

        status = line ? take_line(r, i, json_array_get(lines, i), line) : SL_E_NO_MEMORY;
        if (json_array_append_new(to, line) < 0 && status == SL_OK)
            status = SL_E_NO_MEMORY;
    }
    if (status == SL_OK && json_object_set(r->d->input, "lineItems", to) < 0)
        status = SL_E_NO_MEMORY;
    json_decref(to);
    return status;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static sl_status take_texts(struct reading *r)
{
    static const char *const names[][2] = {
        { "email", "email" }, { "phone", "phone" }, { "note", "note" }, { "po_number", "poNumber" }
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *v = json_object_get(r->d->body, names[i][0]);

        if (!v || json_is_null(v))
            continue;
        if (!json_is_string(v))
            return wrong(r, "%s: it wants a text", names[i][0]);
        if (json_object_set(r->d->input, names[i][1], v) < 0)
            return SL_E_NO_MEMORY;
    }
    return SL_OK;
}

static sl_status take_tags(struct reading *r, const char *own)
{
    const json_t *tags = json_object_get(r->d->body, "tags");
    json_t *to = json_array();
    sl_status status = SL_OK;

    if (json_array_append_new(to, json_string(own)) < 0)
        status = SL_E_NO_MEMORY;
    if (tags && !json_is_null(tags) && (!json_is_array(tags) || json_array_size(tags) > MAX_TAGS))
        status = wrong(r, "tags: it wants a list of %d texts at most", MAX_TAGS);
    for (size_t i = 0; i < json_array_size(tags) && status == SL_OK; i++) {
        const char *tag = json_string_value(json_array_get(tags, i));

        if (!tag || !*tag || strlen(tag) >= DRAFT_TAG_SIZE)
            status = wrong(r, "tags[%zu]: it wants a text of 1 to %d bytes", i, DRAFT_TAG_SIZE - 1);
        else if (json_array_append_new(to, json_string(tag)) < 0)
            status = SL_E_NO_MEMORY;
    }
    if (status == SL_OK && json_object_set(r->d->input, "tags", to) < 0)
        status = SL_E_NO_MEMORY;
    json_decref(to);
    return status;
}

static sl_status take_currency(struct reading *r)
{
    const json_t *v = json_object_get(r->d->body, "currency");
    const char *s = json_string_value(v);

    if (!v || json_is_null(v))
        return SL_OK;
    if (!s || strlen(s) != 3 || strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return wrong(r, "currency: it wants three letters, such as \"EUR\"");
    r->currency = s;
    return json_object_set_new(r->d->input, "presentmentCurrencyCode", json_string(s)) < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

sl_status draft_read(struct draft_order *d, sl_str body, const char *tag, char *why,
                     size_t why_size)
{
    struct reading r = { .d = d, .why = why, .why_size = why_size };
    json_error_t error;
    sl_status status;

    *d = (struct draft_order){ .quote = "", .input = json_object(), .skus = json_object() };
    d->body = json_loadb(body.len ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (!d->input || !d->skus ||
        (!d->body && json_error_code(&error) == json_error_out_of_memory)) {
        status = SL_E_NO_MEMORY;
        goto out;
    }
    if (!json_is_object(d->body)) {
        status = wrong(&r, "the body is not a JSON object with lines");
        goto out;
    }
    if (json_is_string(json_object_get(d->body, "quote")))
        d->quote = json_string_value(json_object_get(d->body, "quote"));
    if ((status = take_currency(&r)) < 0 || (status = take_texts(&r)) < 0 ||
        (status = take_tags(&r, tag)) < 0)
        goto out;
    status = take_lines(&r);
out:
    return status; /* the quote's name stays: a refusal says which one */
}

sl_status draft_fill(struct draft_order *d, char *why, size_t why_size)
{
    struct reading r = { .d = d, .why = why, .why_size = why_size };
    const json_t *lines = json_object_get(d->body, "lines");
    json_t *to = json_object_get(d->input, "lineItems");
    sl_status status = SL_OK;
    size_t bad = 0;

    for (size_t i = 0; i < json_array_size(to); i++) {
        json_t *line = json_array_get(to, i);
        const char *sku = json_string_value(json_object_get(json_array_get(lines, i), "sku"));
        json_t *found = sku ? json_object_get(d->skus, sku) : NULL;

        if (json_object_get(line, "variantId") || json_object_get(line, "title"))
            continue;
        if (json_is_string(found)) {
            if (json_object_set(line, "variantId", found) < 0)
                return SL_E_NO_MEMORY;
        } else if (bad++ == 0) {
            status = wrong(&r, "lines[%zu].sku: %s \"%.100s\"", i,
                           json_is_false(found) ? "several variants of the shop have the SKU"
                                                : "no variant of the shop has the SKU",
                           sku ? sku : "");
        }
    }
    if (bad > 1 && strlen(why) < why_size)
        snprintf(why + strlen(why), why_size - strlen(why), ", and %zu more lines like it",
                 bad - 1);
    return status;
}

void draft_finish(struct draft_order *d)
{
    json_decref(d->body);
    json_decref(d->input);
    json_decref(d->skus);
    *d = (struct draft_order){ .quote = "" };
}
