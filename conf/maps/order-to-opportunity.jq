# A Shopify order becomes an Opportunity; the external id makes the upsert safe to repeat.
# Ids arrive as text (they pass 2^53), money as the text the shop sent.
{
  Shopify_Order_Id__c: .id,
  Shopify_Order_Name__c: .name,
  Name: ([.name // "order", .customer.first_name, .customer.last_name]
    | map(select(. != null and . != "")) | join(" "))[0:120],
  StageName: "Closed Won",
  CloseDate: (.processed_at // .created_at // $received)[0:10],
  Amount: (.current_total_price // .total_price),
  Currency__c: .currency,
  Note__c: .note
}
