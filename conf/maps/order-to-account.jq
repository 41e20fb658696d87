# The Account of an order: the company of a B2B order, the customer, or - without either, as at a till -
# one account for all guests. Other maps name it by the same key.
#
# $with.companies: Account by Name, `many: true`, field Shopify_Account_Key__c. A company that the CRM has already, without
# a key, is not made twice: somebody says which it is. Without this look-up each company is made by its key.
def account_key:
  if .company.id then "company-\(.company.id)" elif .customer.id then "customer-\(.customer.id)" else "guest" end;
def street: [.address1, .address2] | map(select(. != null and . != "")) | join("\n");
def text($most): if type == "string" then .[0:$most] else . end;
def given: with_entries(select(.value != null and .value != ""));

account_key as $key
| . as $o
| (.billing_address // .shipping_address // {}) as $to
| [if .company.id then ($with.companies // {})[$to.company // .company.name // ""] else null end | arrays[]] as $namesakes
| if any($namesakes[]; (.Shopify_Account_Key__c // "") == "")
     and (any($namesakes[]; .Shopify_Account_Key__c == $key) | not) then
    error("order \($o.name) is of a company \"\($to.company // .company.name)\", and the CRM has it without a key: \([
      $namesakes[] | select((.Shopify_Account_Key__c // "") == "") | .Id] | join(", ")). Set Shopify_Account_Key__c to \($key) on the right one, or make an Account with it, then replay this")
  else . end
| {
    Shopify_Account_Key__c: $key,
    Name: ((if $key == "guest" then "Guest checkout"
            elif .company.id then $to.company // .company.name
            else null end)
      // ([.customer.first_name, .customer.last_name] | map(select(. != null and . != "")) | join(" ")
          | select(. != ""))
      // .customer.email // .email // $key)[0:255]
  }
# What the order does not say, as one of a till without an address, is left as it is in the CRM.
+ if $key == "guest" then {} else {
    BillingStreet: ($to | street | text(255)), BillingCity: ($to.city | text(40)),
    BillingState: ($to.province | text(80)), BillingPostalCode: ($to.zip | text(20)),
    BillingCountry: ($to.country | text(80)),
    Phone: (if .company.id then $to.phone else .customer.phone // $to.phone end | text(40)) # a company has not its buyer's
  } | given end
