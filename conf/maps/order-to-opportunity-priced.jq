# As order-to-opportunity.jq, with the price book that its lines (order-lines-to-opportunity.jq) are of. Amount is not
# sent: with lines it is their sum.
. as $o
| [.line_items[] | .sku | select(. != null) | $with.prices[.] | select(. != null) | if type == "array" then .[] else . end] as $entries
| {
    Shopify_Order_Id__c: .id,
    Shopify_Order_Name__c: .name,
    Name: ([.name // "order", .customer.first_name, .customer.last_name]
      | map(select(. != null and . != "")) | join(" "))[0:120],
    StageName: "Closed Won",
    CloseDate: (.processed_at // .created_at // $received)[0:10],
    Pricebook2Id: ($entries | map(.Pricebook2Id) | unique
      | if length == 1 then .[0]
        elif length == 0 then error("order \($o.name): none of its SKUs has an active price-book entry; make them, then replay this")
        else error("order \($o.name): its SKUs have entries in \(length) price books; exactly one is needed") end),
    Note__c: .note
  }
+ if $entries[0] | has("CurrencyIsoCode") then {CurrencyIsoCode: .currency} else {} end
