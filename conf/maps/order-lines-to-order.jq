# The lines of an order, each a piece by the line's id: OrderItems. To be used as `split`, on orders/create.
#
# $with.prices: PricebookEntry by Product2.StockKeepingUnit, fields Pricebook2Id and UnitPrice. With `many: true`
# and CurrencyIsoCode among the fields the entry of the order's currency is taken, and the column is sent.
# UnitPrice is what the shop charged for one before discounts; the line's discount has a field of its own, since
# 1.00 off three pieces is no unit price.
def milli:
  (tostring | split(".")) as $p | ($p[0] | tonumber) * 1000 + ((($p[1] // "") + "000")[0:3] | tonumber);
def money: "\(. / 1000 | floor).\(. % 1000 | tostring | "000"[0:3 - length] + . | if .[2:] == "0" then .[0:2] else . end)";
def entry($line; $order):
  ($line.sku // "") as $sku
  | if $sku == "" then
      error("line \($line.id) of \($order.name), \"\($line.title)\", has no SKU: give its variant one in the shop, or its own route")
    else . end
  | ($with.prices[$sku] | if type == "array" then map(select(.CurrencyIsoCode == $order.currency)) else [.] | map(select(. != null)) end)
  | if length == 1 then .[0]
    elif length == 0 then
      error("SKU \($sku) of \($order.name) has no active price-book entry in \($order.currency): make the product and its entry in Salesforce, then replay this")
    else error("SKU \($sku) has \(length) price-book entries in \($order.currency): one must go") end;

. as $order
| .line_items[]
| . as $line
| entry($line; $order) as $entry
| {
    key: .id,
    body: ({
      Shopify_Line_Id__c: .id,
      Order: {Shopify_Order_Id__c: $order.id},
      PricebookEntryId: $entry.Id,
      Quantity: .quantity,
      UnitPrice: .price,
      Shop_Discount__c: ([.discount_allocations[]?.amount | milli] | add // 0 | money),
      Sku__c: .sku,
      Description: ([.title, .variant_title, (.properties[]? | select(.name | startswith("_") | not) | "\(.name): \(.value)")]
        | map(select(. != null and . != "")) | join(" - "))[0:255]
    } + if $entry | has("CurrencyIsoCode") then {CurrencyIsoCode: $entry.CurrencyIsoCode} else {} end)
  }
