# The Contact of an order, at the order's Account. A guest without a customer record has none: the route
# says `when: '.customer.id'`. What the customer has not filled in is left as it is in the CRM.
def account_key:
  if .company.id then "company-\(.company.id)" elif .customer.id then "customer-\(.customer.id)" else "guest" end;
def text($most): if type == "string" then .[0:$most] else . end;
def given: with_entries(select(.value != null and .value != ""));

{
  Shopify_Customer_Id__c: .customer.id,
  Account: {Shopify_Account_Key__c: account_key},
  LastName: ((.customer.last_name | select(. != null and . != ""))
    // (.customer.first_name | select(. != null and . != ""))
    // ((.customer.email // .email // "") | split("@")[0] | select(. != null and . != ""))
    // "(no name)")[0:80]
}
+ ({
    FirstName: (if (.customer.last_name // "") == "" then null else .customer.first_name | text(40) end),
    Email: (.customer.email // .email),
    Phone: ((.customer.phone // .phone) | text(40))
  } | given)
