/*
 * order.h - an order of the shop as GraphQL gives it, and as webhooks have it.
 *
 * The seam: whoever has orders in the form of ORDER_SELECTION - a page of a query, lines of a file
 * that were put together again - gives each to order_render() and order_happened().
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

/** So many of each list that stands in an order are asked for at first, and for one order alone. */
#define ORDER_FEW  20
#define ORDER_MANY 250

#define ORDER_MONEY "{shopMoney{amount currencyCode}presentmentMoney{amount currencyCode}}"
#define ORDER_ADDRESS                                                                    \
    "{firstName lastName name company address1 address2 city zip province provinceCode " \
    "country countryCodeV2 phone latitude longitude}"
#define ORDER_TAXES "taxLines{title rate channelLiable priceSet" ORDER_MONEY "}"
#define ORDER_ALLOCATIONS \
    "discountAllocations{allocatedAmountSet" ORDER_MONEY "discountApplication{index}}"

/* The fields of an order, and of what stands in its connections. */
#define ORDER_HEAD                                                                     \
    "id name number email phone createdAt updatedAt processedAt cancelledAt "          \
    "cancelReason closedAt confirmed confirmationNumber test tags note "               \
    "poNumber sourceName sourceIdentifier currencyCode "                               \
    "presentmentCurrencyCode customerLocale clientIp statusPageUrl "                   \
    "customerAcceptsMarketing taxExempt taxesIncluded estimatedTaxes "                 \
    "dutiesIncluded paymentGatewayNames discountCodes totalWeight "                    \
    "displayFinancialStatus displayFulfillmentStatus app{id}retailLocation{"           \
    "id}customAttributes{key value}" ORDER_TAXES "currentShippingPriceSet" ORDER_MONEY \
    "currentSubtotalPriceSet" ORDER_MONEY "currentTotalDiscountsSet" ORDER_MONEY       \
    "currentTotalPriceSet" ORDER_MONEY "currentTotalTaxSet" ORDER_MONEY                \
    "currentTotalDutiesSet" ORDER_MONEY "currentTotalAdditionalFeesSet" ORDER_MONEY    \
    "originalTotalDutiesSet" ORDER_MONEY "originalTotalAdditionalFeesSet" ORDER_MONEY  \
    "subtotalPriceSet" ORDER_MONEY "totalDiscountsSet" ORDER_MONEY                     \
    "totalOutstandingSet" ORDER_MONEY "totalPriceSet" ORDER_MONEY                      \
    "totalShippingPriceSet" ORDER_MONEY "totalTaxSet" ORDER_MONEY                      \
    "totalTipReceivedSet" ORDER_MONEY "billingAddress" ORDER_ADDRESS                   \
    "shippingAddress" ORDER_ADDRESS                                                    \
    "customer{id createdAt updatedAt firstName lastName state note "                   \
    "verifiedEmail multipassIdentifier taxExempt taxExemptions email phone "           \
    "amountSpent{currencyCode}defaultAddress{id firstName lastName name "              \
    "company address1 address2 city zip province provinceCode country "                \
    "countryCodeV2 phone}}"
#define ORDER_DISCOUNT                                                         \
    "__typename allocationMethod targetSelection targetType value{__typename " \
    "...on MoneyV2{amount currencyCode}...on PricingPercentageValue{"          \
    "percentage}}...on DiscountCodeApplication{code}...on "                    \
    "ManualDiscountApplication{title description}...on "                       \
    "AutomaticDiscountApplication{title}"
#define ORDER_LINE                                                           \
    "id name title variantTitle vendor sku quantity currentQuantity "        \
    "fulfillableQuantity fulfillmentStatus isGiftCard requiresShipping "     \
    "taxable fulfillmentService{handle}product{id}variant{id inventoryItem{" \
    "tracked measurement{weight{value unit}}}}customAttributes{key value}"   \
    "originalUnitPriceSet" ORDER_MONEY                                       \
    "totalDiscountSet" ORDER_MONEY ORDER_TAXES ORDER_ALLOCATIONS
#define ORDER_SHIPPING                                                                    \
    "id title code source phone carrierIdentifier isRemoved originalPriceSet" ORDER_MONEY \
    "discountedPriceSet" ORDER_MONEY                                                      \
    "currentDiscountedPriceSet" ORDER_MONEY ORDER_TAXES ORDER_ALLOCATIONS
#define ORDER_PAYMENTS "transactions(first:100){id kind status processedAt}"
/** What a bulk operation cannot read: connections within lists. */
#define ORDER_PARTS                                                               \
    "fulfillments(first:100){id status displayStatus createdAt updatedAt "        \
    "service{handle}location{id}trackingInfo(first:20){company number url}"       \
    "fulfillmentLineItems(first:$few){nodes{quantity lineItem{id}}pageInfo{"      \
    "hasNextPage}}}refunds(first:100){id createdAt processedAt note return{"      \
    "id}refundLineItems(first:$few){nodes{id quantity restockType restocked "     \
    "location{id}subtotalSet" ORDER_MONEY "totalTaxSet" ORDER_MONEY               \
    "lineItem{id}}pageInfo{hasNextPage}}refundShippingLines(first:5){nodes{"      \
    "id shippingLine{id}subtotalAmountSet" ORDER_MONEY "taxAmountSet" ORDER_MONEY \
    "}pageInfo{hasNextPage}}transactions(first:$few){nodes{id kind status "       \
    "gateway createdAt processedAt test paymentId errorCode "                     \
    "manualPaymentGateway amountSet" ORDER_MONEY "parentTransaction{id}}pageInfo{hasNextPage}}}"
/** What is read of an order; in a document with the variable $few: Int!. Fields that all stable
 *  versions of the Admin API have. */
#define ORDER_SELECTION                                                                           \
    ORDER_HEAD                                                                                    \
    "discountApplications(first:$few){nodes{" ORDER_DISCOUNT                                      \
    "}pageInfo{hasNextPage}}lineItems(first:$few){nodes{" ORDER_LINE                              \
    "}pageInfo{hasNextPage}}shippingLines(first:$few,includeRemovals:true){nodes{" ORDER_SHIPPING \
    "}pageInfo{hasNextPage}}" ORDER_PAYMENTS ORDER_PARTS

/** Is all of it there? Not, when one of its lists has more. */
int order_is_whole(const json_t *order);

/** The body of the order's webhooks; own. NULL: no memory. `offset_min`: of the shop's clock. */
json_t *order_render(const json_t *order, int offset_min);

/** What must have happened for the order to be as it is, as far as it happened at `from_ms` or
 *  later. Called for each, in the order that webhooks would have come; views borrowed for the call.
 *  `unless`, `since`: as in sl_missed. SL_OK goes on; else it ends, and is returned. */
struct order_event {
    const char *topic;
    const json_t *body;
    int64_t at_ms;              /* when it happened */
    const char *unless, *since; /* since "": the event key alone decides */
};
typedef sl_status (*order_event_cb)(void *ctx, const struct order_event *e);
/** `body`: order_render()'s. `skip`: so many of them are left out: they were told before. */
sl_status order_happened(const json_t *order, const json_t *body, int64_t from_ms, size_t skip,
                         order_event_cb cb, void *ctx);
