# A refund becomes a record of its own, Refund__c, at its order: repeating it changes nothing, partial refunds stay
# apart, and a roll-up summary can sum them. Amount__c is the money that went back: a refund without a successful
# transaction has only taken items off the order.
def milli:
  (tostring | split(".")) as $p | ($p[0] | tonumber) * 1000 + ((($p[1] // "") + "000")[0:3] | tonumber);
def money: "\(. / 1000 | floor).\(. % 1000 | tostring | "000"[0:3 - length] + . | if .[2:] == "0" then .[0:2] else . end)";

[.transactions[]? | select(.kind == "refund" and .status == "success")] as $paid
| {
    Shopify_Refund_Id__c: .id,
    Order__r: {Shopify_Order_Id__c: .order_id},
    Amount__c: ([$paid[].amount | milli] | add // 0 | money),
    Currency__c: ($paid[0].currency // .total_duties_set.shop_money.currency_code),
    Refunded_At__c: (.processed_at // .created_at),
    Reason__c: (.note // "" | .[0:255]),
    Items__c: ([.refund_line_items[]? | "\(.quantity) x \(.line_item.sku // .line_item.title // .line_item_id)"] | join(", ") | .[0:255])
  }
