# An order becomes an Order, and what happens to it later goes onto the same record. The route takes
# orders/create and the topics after it, in order; only orders/create makes a draft, and Status is never
# sent again: the order is activated by order-activation.jq, and an order stays activated.
# $with.prices: see order-lines-to-order.jq. The price book is that of the order's entries.
def account_key:
  if .company.id then "company-\(.company.id)" elif .customer.id then "customer-\(.customer.id)" else "guest" end;
# Sums of money as the shop writes it, in thousandths: whole numbers, which jq adds exactly.
def milli:
  (tostring | ltrimstr("-") | split(".")) as $p
  | (($p[0] | tonumber) * 1000 + ((($p[1] // "") + "000")[0:3] | tonumber))
  * (if tostring | startswith("-") then -1 else 1 end);
def money:
  (if . < 0 then "-" else "" end) as $sign | (if . < 0 then -. else . end)
  | "\($sign)\(. / 1000 | floor).\(. % 1000 | tostring | "000"[0:3 - length] + . | if .[2:] == "0" then .[0:2] else . end)";
def entries: [.line_items[] | .sku | select(. != null) | $with.prices[.] | select(. != null)
  | if type == "array" then .[] else . end];

. as $o
| [.fulfillments[]? | select(.status != "cancelled")] as $parcels
| {
    Shopify_Order_Id__c: .id,
    Shopify_Order_Name__c: .name,
    PoNumber: (.po_number // "" | .[0:80]),
    Description: (.note // "" | .[0:32000]),
    Financial_Status__c: .financial_status,
    Fulfillment_Status__c: (.fulfillment_status // "unfulfilled"),
    Tracking_Number__c: ([$parcels[] | (.tracking_numbers // [.tracking_number])[] | select(. != null)] | unique | join(", ") | .[0:255]),
    Tracking_Url__c: ([$parcels[] | (.tracking_urls // [.tracking_url])[] | select(. != null)] | first // "" | .[0:255]),
    Shop_Total__c: .current_total_price,
    Shop_Tax__c: .current_total_tax,
    Shop_Discount__c: .current_total_discounts,
    Shop_Shipping__c: ((.current_shipping_price_set // .total_shipping_price_set).shop_money.amount // "0.00"),
    Refunded__c: ([.refunds[]?.transactions[]? | select(.kind == "refund" and .status == "success") | .amount | milli] | add // 0 | money),
    Cancelled_At__c: .cancelled_at,
    Cancel_Reason__c: .cancel_reason
  }
+ if $event.topic != "orders/create" then {} else
    entries as $entries
    | {
        Status: "Draft",
        EffectiveDate: (.processed_at // .created_at)[0:10],
        Account: {Shopify_Account_Key__c: account_key}
      }
    + if .customer.id then {BillToContact: {Shopify_Customer_Id__c: .customer.id}} else {} end
    + ($entries | map(.Pricebook2Id) | unique
        | if length == 1 then {Pricebook2Id: .[0]}
          elif [$o.line_items[]?] == [] then error("order \($o.name) has no lines: nothing of it can be an Order; discard this")
          elif length == 0 then error("order \($o.name): none of its SKUs has an active price-book entry; make them, then replay this")
          else error("order \($o.name): its SKUs have entries in \(length) price books; the route's `where` is to name one") end)
    + if $entries[0] | has("CurrencyIsoCode") then {CurrencyIsoCode: .currency} else {} end
  end
