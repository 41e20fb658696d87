# quote/ready and quote/failed, as fields of the Quote. What the other one wrote is cleared. What was given up knows its
# subject alone: salesforce:Quote/0Q0...
{
  Id: (.quote // (.subject | split("/")[1])),
  Gateway_Status__c: .status,
  Checkout_Url__c: .checkout_url,
  Gateway_Error__c: .why
}
