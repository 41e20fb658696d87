/*
 * draft_follow.c - what follows draft_order.create: draft_order.update, .invoice and .complete. An
 * update says the whole of what it names, so it may be said twice; an invoice is a letter and a
 * completion an order: whether they were done is seen in the draft order before they go again.
 */
#include <string.h>

#include "body_table.h"
#include "drafts/draft.h"
#include "orders/deed.h"

#define ID_MEMBER                                                                               \
    {                                                                                           \
        "draft_order_id", BODY_ID, BODY_REQUIRED, .of = "DraftOrder", .help = "the draft order" \
    }

static const struct refusal_rule refusals[] = {
    { NULL, "has been paid", REFUSAL_DONE, NULL },
    { NULL, "Draft order not found", REFUSAL_GOOD,
      "draft_order_id: the shop has no such draft order" },
    { NULL, "To can't be blank", REFUSAL_GOOD, "to: neither the body nor the draft order has one" },
    { NULL, "Invalid payment gateway", REFUSAL_GOOD,
      "payment_gateway_id: the shop has no such one" },
    { 0 },
};

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O}", "id", json_object_get(d->body, "draft_order_id"));
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* ---- draft_order.update -------------------------------------------------------------------- */

static const struct body_member line_members[] = {
    { "variant_id", BODY_ID, .of = "ProductVariant", .help = "of a variant" },
    { "title", BODY_TEXT, .min = 1, .max = 255, .help = "or a line of its own, with its price" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "pieces" },
    { "price", BODY_AMOUNT, .help = "in `currency`, in place of the variant's" },
    { "sku", BODY_TEXT, .min = 1, .max = 255, .help = "of a line of its own" },
    { 0 },
};
static const struct body_shape line_shape = { .members = line_members,
                                              .one_of = "variant_id|title" };
static const struct body_member company_members[] = {
    { "company_id", BODY_ID, BODY_REQUIRED, .of = "Company", .help = "the company" },
    { "contact_id", BODY_ID, BODY_REQUIRED, .of = "CompanyContact", .help = "who buys" },
    { "location_id", BODY_ID, BODY_REQUIRED, .of = "CompanyLocation", .help = "and where" },
    { 0 },
};
static const struct body_shape company_shape = { .members = company_members };
static const struct body_member update_members[] = {
    ID_MEMBER,
    { "email", BODY_TEXT, .min = 3, .max = 255, .help = "the buyer's" },
    { "phone", BODY_TEXT, .min = 1, .max = 40, .help = "the buyer's" },
    { "note", BODY_TEXT, .max = 5000, .help = "in place of what is there" },
    { "po_number", BODY_TEXT, .max = 255, .help = "the buyer's order number" },
    { "currency", BODY_TEXT, .min = 3, .max = 3, .help = "of the prices" },
    { "lines", BODY_OBJECT, .shape = &line_shape, .items = DRAFT_LINES,
      .help = "all of them, in place of what is there" },
    { "shipping_title", BODY_TEXT, .min = 1, .max = 255, .help = "of the shipping" },
    { "shipping_price", BODY_AMOUNT, .help = "of the shipping, in `currency`" },
    { "customer_id", BODY_ID, .of = "Customer", .help = "who buys" },
    { "company", BODY_OBJECT, .shape = &company_shape, .help = "or which company" },
    { "payment_terms_template_id", BODY_ID, .of = "PaymentTermsTemplate",
      .help = "it is paid later: by these terms" },
    { "due_at", BODY_TIME, .help = "of terms with a fixed day" },
    { "issued_at", BODY_TIME, .help = "of net terms: from when they count" },
    { "reserve_until", BODY_TIME, .help = "until when its pieces are kept" },
    { 0 },
};
static const struct body_shape update_shape = { .members = update_members };

static const char draft_order_update[] =
    "mutation DraftOrderUpdate($id: ID!, $input: DraftOrderInput!) {"
    " draftOrderUpdate(id: $id, input: $input) { draftOrder { id }"
    " userErrors { field message } } }";

static json_t *money(const struct deed *d, json_t *amount)
{
    return json_pack("{s:O,s:O}", "amount", amount, "currencyCode",
                     json_object_get(d->body, "currency"));
}

static json_t *line_input(const struct deed *d, const json_t *from)
{
    json_t *variant = json_object_get(from, "variant_id"), *price = json_object_get(from, "price");
    json_t *to = json_pack("{s:O,s:O*,s:O*,s:O*}", "quantity", json_object_get(from, "quantity"),
                           "variantId", variant, "title", json_object_get(from, "title"), "sku",
                           variant ? NULL : json_object_get(from, "sku"));

    /* a variant's own price stands, unless it is overridden */
    if (price)
        json_object_set_new(to, variant ? "priceOverride" : "originalUnitPriceWithCurrency",
                            money(d, price));
    return to;
}

static sl_status take_lines(struct deed *d, json_t *input)
{
    const json_t *lines = json_object_get(d->body, "lines");
    int currency = json_object_get(d->body, "currency") != NULL;
    json_t *to = lines ? json_array() : NULL;

    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        int priced = json_object_get(line, "price") != NULL;

        if (priced ? !currency : json_object_get(line, "title") != NULL) {
            json_decref(to);
            return priced ? deed_wrong(d, "currency: lines[%zu].price needs it, such as EUR", i)
                          : deed_wrong(d, "lines[%zu].price: a line by its title needs one", i);
        }
        json_array_append_new(to, line_input(d, line));
    }
    return !to || json_object_set_new(input, "lineItems", to) == 0 ? SL_OK : SL_E_NO_MEMORY;
}

static sl_status take_shipping(struct deed *d, json_t *input)
{
    json_t *title = json_object_get(d->body, "shipping_title");
    json_t *price = json_object_get(d->body, "shipping_price");

    if (!title != !price || (price && !json_object_get(d->body, "currency")))
        return deed_wrong(d, "shipping_price: it wants shipping_title and currency with it");
    if (price)
        json_object_set_new(
            input, "shippingLine",
            json_pack("{s:O,s:o}", "title", title, "priceWithCurrency", money(d, price)));
    return SL_OK;
}

static sl_status take_buyer(struct deed *d, json_t *input)
{
    json_t *customer = json_object_get(d->body, "customer_id");
    const json_t *company = json_object_get(d->body, "company");

    if (customer && company)
        return deed_wrong(d, "company: it is that, or customer_id, not both");
    if (customer)
        json_object_set_new(input, "purchasingEntity", json_pack("{s:O}", "customerId", customer));
    if (company)
        json_object_set_new(input, "purchasingEntity",
                            json_pack("{s:{s:O,s:O,s:O}}", "purchasingCompany", "companyId",
                                      json_object_get(company, "company_id"), "companyContactId",
                                      json_object_get(company, "contact_id"), "companyLocationId",
                                      json_object_get(company, "location_id")));
    return SL_OK;
}

static sl_status take_terms(struct deed *d, json_t *input)
{
    json_t *template = json_object_get(d->body, "payment_terms_template_id");
    json_t *due = json_object_get(d->body, "due_at");
    json_t *issued = json_object_get(d->body, "issued_at");

    if ((due || issued) && !template)
        return deed_wrong(d, "payment_terms_template_id: due_at and issued_at are of its terms");
    if (template && (due || issued))
        json_object_set_new(input, "paymentTerms",
                            json_pack("{s:O,s:[{s:O*,s:O*}]}", "paymentTermsTemplateId", template,
                                      "paymentSchedules", "dueAt", due, "issuedAt", issued));
    else if (template)
        json_object_set_new(input, "paymentTerms",
                            json_pack("{s:O}", "paymentTermsTemplateId", template));
    return SL_OK;
}

static sl_status read_update(struct deed *d)
{
    json_t *input = json_object();
    sl_status r;

    d->variables = json_pack("{s:O,s:o}", "id", json_object_get(d->body, "draft_order_id"), "input",
                             input);
    if (!d->variables)
        return SL_E_NO_MEMORY;
    if (deed_take(d, input, "email", "email") < 0 || deed_take(d, input, "phone", "phone") < 0 ||
        deed_take(d, input, "note", "note") < 0 ||
        deed_take(d, input, "po_number", "poNumber") < 0 ||
        deed_take(d, input, "currency", "presentmentCurrencyCode") < 0 ||
        deed_take(d, input, "reserve_until", "reserveInventoryUntil") < 0)
        return SL_E_NO_MEMORY;
    if ((r = take_lines(d, input)) < 0 || (r = take_shipping(d, input)) < 0 ||
        (r = take_buyer(d, input)) < 0 || (r = take_terms(d, input)) < 0)
        return r;
    if (json_object_size(input) == 0)
        return deed_wrong(d, "it says nothing that is to be changed");
    return SL_OK;
}

static const struct deed_kind update = {
    .shape = &update_shape,
    .flags = DEED_REPEATABLE,
    .document = draft_order_update,
    .root = "draftOrderUpdate",
    .object = "draftOrder",
    .link = "draft_order",
    .refusals = refusals,
    .read = read_update,
};

DEED_ACTION(draft_update, update, update_shape, .scopes = "write_draft_orders");

/* ---- draft_order.invoice ------------------------------------------------------------------- */

static const struct body_member invoice_members[] = {
    ID_MEMBER,
    { "to", BODY_TEXT, .min = 3, .max = 255, .help = "without it: the draft order's e-mail" },
    { "from", BODY_TEXT, .min = 3, .max = 255, .help = "without it: the shop's" },
    { "bcc", BODY_TEXT, .min = 3, .max = 255, .items = 20, .help = "copies" },
    { "subject", BODY_TEXT, .min = 1, .max = 255, .help = "without it: the shop's own" },
    { "message", BODY_TEXT, .min = 1, .max = 5000, .help = "above the shop's text" },
    { 0 },
};
static const struct body_shape invoice_shape = { .members = invoice_members };

static const char draft_order_invoice[] =
    "mutation DraftOrderInvoiceSend($id: ID!, $email: EmailInput) {"
    " draftOrderInvoiceSend(id: $id, email: $email) { draftOrder { id }"
    " userErrors { field message } } }";
static const char invoice_state[] =
    "query DraftOrderInvoice($id: ID!) { draftOrder(id: $id) { id status invoiceSentAt } }";

static sl_status read_invoice(struct deed *d)
{
    json_t *email = json_object();

    d->variables = json_pack("{s:O}", "id", json_object_get(d->body, "draft_order_id"));
    if (!d->variables || deed_take(d, email, "to", "to") < 0 ||
        deed_take(d, email, "from", "from") < 0 || deed_take(d, email, "bcc", "bcc") < 0 ||
        deed_take(d, email, "subject", "subject") < 0 ||
        deed_take(d, email, "message", "customMessage") < 0 ||
        (json_object_size(email) && json_object_set(d->variables, "email", email) < 0)) {
        json_decref(email);
        return SL_E_NO_MEMORY;
    }
    json_decref(email);
    return SL_OK;
}

static enum deed_seen judge_invoice(struct deed *d, const json_t *data)
{
    const json_t *draft = json_object_get(data, "draftOrder");

    if (!json_is_object(draft)) {
        deed_say(d, "draft_order_id: the shop has no such draft order");
        return SEEN_NEVER;
    }
    deed_refers(d, text(draft, "id"));
    if (deed_since(d, text(draft, "invoiceSentAt")))
        return SEEN_DONE;
    if (strcmp(text(draft, "status"), "COMPLETED") != 0)
        return SEEN_NOT;
    deed_say(d, "draft_order_id: it is completed: there is nothing left to pay");
    return SEEN_NEVER;
}

static const struct deed_kind invoice = {
    .shape = &invoice_shape,
    .document = draft_order_invoice,
    .root = "draftOrderInvoiceSend",
    .object = "draftOrder",
    .link = "draft_order",
    .refusals = refusals,
    .read = read_invoice,
    .look = invoice_state,
    .look_variables = look_variables,
    .judge = judge_invoice,
};

DEED_ACTION(draft_invoice, invoice, invoice_shape, .scopes = "write_draft_orders");

/* ---- draft_order.complete ------------------------------------------------------------------ */

static const struct body_member complete_members[] = {
    ID_MEMBER,
    { "as", BODY_ENUM, .of = "pending|paid",
      .help = "pending: it is paid later, by the draft order's payment terms; paid: it is paid" },
    { "source_name", BODY_TEXT, .min = 1, .max = 255, .help = "where the order is from" },
    { "payment_gateway_id", BODY_ID, .of = "PaymentGateway", .help = "by which it was paid" },
    { 0 },
};
static const struct body_shape complete_shape = { .members = complete_members };

const sl_option draft_complete_params[] = {
    { "as", SL_OPT_ENUM, 0, NULL, 0, 0, "pending|paid",
      "what the order is to be, where the body does not say it" },
    { 0 },
};

#define COMPLETED_FIELDS "id status order { id name }"

static const char draft_order_complete[] =
    "mutation DraftOrderComplete($id: ID!, $sourceName: String, $paymentGatewayId: ID) {"
    " draftOrderComplete(id: $id, sourceName: $sourceName, paymentGatewayId: $paymentGatewayId) {"
    " draftOrder { " COMPLETED_FIELDS " } userErrors { field message } } }";
static const char complete_state[] =
    "query DraftOrderToComplete($id: ID!) { draftOrder(id: $id) {"
    " " COMPLETED_FIELDS " paymentTerms { id } } }";

static sl_status read_complete(struct deed *d)
{
    if (!json_object_get(d->body, "as"))
        return deed_wrong(d, "as: it is not given: pending or paid");
    d->variables = json_pack("{s:O}", "id", json_object_get(d->body, "draft_order_id"));
    return !d->variables || deed_take(d, d->variables, "source_name", "sourceName") < 0 ||
                   deed_take(d, d->variables, "payment_gateway_id", "paymentGatewayId") < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

/* What it is about from now on is the order. */
static void be_order(struct deed *d, const json_t *draft)
{
    deed_refers(d, text(json_object_get(draft, "order"), "id"));
    deed_link(d, "draft_order", text(draft, "id"));
}

/* Without payment terms the shop takes the money as paid; with them, as owed. */
static enum deed_seen judge_complete(struct deed *d, const json_t *data)
{
    const json_t *draft = json_object_get(data, "draftOrder");
    int terms = json_is_object(json_object_get(draft, "paymentTerms"));
    int paid = strcmp(text(d->body, "as"), "paid") == 0;

    if (!json_is_object(draft)) {
        deed_say(d, "draft_order_id: the shop has no such draft order");
        return SEEN_NEVER;
    }
    if (strcmp(text(draft, "status"), "COMPLETED") == 0) {
        be_order(d, draft);
        return SEEN_DONE;
    }
    if (paid != terms)
        return SEEN_NOT;
    if (paid)
        deed_say(d, "as: the draft order has payment terms: its order would be pending, not paid");
    else
        deed_say(d,
                 "as: the draft order has no payment terms: its order would count as paid; set "
                 "terms by draft_order.update first, or say paid");
    return SEEN_NEVER;
}

static void after_complete(struct deed *d, const json_t *payload)
{
    be_order(d, json_object_get(payload, "draftOrder"));
    deed_done(d);
}

static const struct deed_kind complete = {
    .shape = &complete_shape,
    .params = draft_complete_params,
    .flags = DEED_LOOK_FIRST,
    .document = draft_order_complete,
    .root = "draftOrderComplete",
    .object = "draftOrder",
    .link = "order",
    .refusals = refusals,
    .read = read_complete,
    .look = complete_state,
    .look_variables = look_variables,
    .judge = judge_complete,
    .after = after_complete,
};

DEED_ACTION(draft_complete, complete, complete_shape,
            .scopes = "write_draft_orders read_payment_terms|write_payment_terms");
