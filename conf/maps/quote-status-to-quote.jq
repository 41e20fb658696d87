# quote/processing, quote/ready and quote/failed, as fields of the Quote. What another one wrote is cleared. The first
# has the quote as `id`; what was given up knows its subject alone: salesforce:Quote/0Q0...
{
  Id: (.quote // .id // (.subject | split("/")[1])),
  Gateway_Status__c: .status,
  Checkout_Url__c: .checkout_url,
  Gateway_Error__c: .why
}
