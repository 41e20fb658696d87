/*
 * draft_input.c - what a map makes of a quote, as the shop's DraftOrderInput.
 *
 *   {"quote": "0Q0...", "email", "phone", "note", "po_number", "currency": "EUR", "tags": [...],
 *    "lines": [{"sku", "quantity"}, {"variant_id", "quantity", "price"},
 *              {"title", "price", "quantity", "sku"}]}
 */
#include "drafts/draft.h"

#include <stdio.h>
#include <string.h>

#include "body_table.h"

#define MAX_TAGS 249 /* beside our own */

static const struct body_member line_members[] = {
    { "sku", BODY_TEXT, .min = 1, .max = 255,
      .help = "of exactly one variant; beside a title: of the line of its own" },
    { "variant_id", BODY_ID, .of = "ProductVariant", .help = "or the variant, by its id" },
    { "title", BODY_TEXT, .min = 1, .help = "or a line of its own, with its price" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "pieces" },
    { "price", BODY_AMOUNT, .help = "in `currency`, in place of the variant's" },
    { 0 },
};
static const struct body_shape line_shape = { .members = line_members,
                                              .any_of = "variant_id|sku|title" };
static const struct body_member members[] = {
    { "quote", BODY_TEXT, .help = "what it is about: its events have it" },
    { "email", BODY_TEXT, .help = "the buyer's" },
    { "phone", BODY_TEXT, .help = "the buyer's" },
    { "note", BODY_TEXT, .help = "of the draft order" },
    { "po_number", BODY_TEXT, .help = "the buyer's order number" },
    { "currency", BODY_TEXT, .min = 3, .max = 3, .help = "of the prices, such as EUR" },
    { "tags", BODY_TEXT, BODY_EMPTY, .min = 1, .max = DRAFT_TAG_SIZE - 1, .items = MAX_TAGS,
      .help = "beside our own" },
    { "lines", BODY_OBJECT, BODY_REQUIRED, .shape = &line_shape, .items = DRAFT_LINES,
      .help = "what is offered" },
    { 0 },
};
const struct body_shape draft_shape = { .members = members };

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

static sl_status take_price(struct reading *r, size_t n, const json_t *line, json_t *to,
                            const char *name)
{
    const char *amount = json_string_value(json_object_get(line, "price"));

    if (!amount)
        return SL_OK;
    if (!r->currency)
        return wrong(r, "lines[%zu].price: it needs the body's currency, such as \"EUR\"", n);
    return json_object_set_new(
               to, name, json_pack("{s:s,s:s}", "amount", amount, "currencyCode", r->currency)) < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

static sl_status take_custom(struct reading *r, size_t n, const json_t *line, json_t *to)
{
    json_t *sku = json_object_get(line, "sku");

    if (!json_object_get(line, "price"))
        return wrong(r, "lines[%zu].price: a line by its title needs one, such as \"19.90\"", n);
    if (json_object_set(to, "title", json_object_get(line, "title")) < 0 ||
        (sku && json_object_set(to, "sku", sku) < 0))
        return SL_E_NO_MEMORY;
    return take_price(r, n, line, to, "originalUnitPriceWithCurrency");
}

static sl_status take_line(struct reading *r, size_t n, const json_t *line, json_t *to)
{
    json_t *variant = json_object_get(line, "variant_id");
    const char *sku = json_string_value(json_object_get(line, "sku"));

    if (json_object_set(to, "quantity", json_object_get(line, "quantity")) < 0)
        return SL_E_NO_MEMORY;
    if (!variant && json_object_get(line, "title"))
        return take_custom(r, n, line, to);
    if ((variant ? json_object_set(to, "variantId", variant)
                 : json_object_set_new(r->d->skus, sku, json_null())) < 0)
        return SL_E_NO_MEMORY;
    /* a variant's own title and price stand, unless the price is overridden */
    return take_price(r, n, line, to, "priceOverride");
}

static sl_status take_lines(struct reading *r)
{
    const json_t *lines = json_object_get(r->d->body, "lines");
    json_t *to = json_array();
    sl_status status = to ? SL_OK : SL_E_NO_MEMORY;

    for (size_t i = 0; i < json_array_size(lines) && status == SL_OK; i++) {
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

        if (v && json_object_set(r->d->input, names[i][1], v) < 0)
            return SL_E_NO_MEMORY;
    }
    return SL_OK;
}

static sl_status take_tags(struct reading *r, const char *own)
{
    json_t *to = json_pack("[s]", own), *tags = json_object_get(r->d->body, "tags");
    int failed = !to || (tags && json_array_extend(to, tags) < 0) ||
                 json_object_set(r->d->input, "tags", to) < 0;

    json_decref(to);
    return failed ? SL_E_NO_MEMORY : SL_OK;
}

static sl_status take_currency(struct reading *r)
{
    r->currency = json_string_value(json_object_get(r->d->body, "currency"));
    if (!r->currency)
        return SL_OK;
    if (strspn(r->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return wrong(r, "currency: it wants three letters, such as \"EUR\"");
    return json_object_set_new(r->d->input, "presentmentCurrencyCode", json_string(r->currency)) < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

/* The body, checked; a refusal says which quote it is about, as far as that can be read. */
static sl_status take_body(struct draft_order *d, sl_str body, char *why, size_t why_size)
{
    json_t *checked = NULL;
    sl_status status = body_take(body, &draft_shape, &checked, why, why_size);

    d->body = status == SL_OK ? checked : json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
    if (json_is_string(json_object_get(d->body, "quote")))
        d->quote = json_string_value(json_object_get(d->body, "quote"));
    return status;
}

sl_status draft_read(struct draft_order *d, sl_str body, const char *tag, char *why,
                     size_t why_size)
{
    struct reading r = { .d = d, .why = why, .why_size = why_size };
    sl_status status;

    *d = (struct draft_order){ .quote = "", .input = json_object(), .skus = json_object() };
    if (!d->input || !d->skus)
        return SL_E_NO_MEMORY;
    if ((status = take_body(d, body, why, why_size)) < 0 || (status = take_currency(&r)) < 0 ||
        (status = take_texts(&r)) < 0 || (status = take_tags(&r, tag)) < 0)
        return status;
    return take_lines(&r);
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
