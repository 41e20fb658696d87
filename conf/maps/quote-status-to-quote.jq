# quote/ready and quote/failed, as fields of the Quote. What the other one wrote is cleared.
{
  Id: .quote,
  Gateway_Status__c: .status,
  Checkout_Url__c: .checkout_url,
  Gateway_Error__c: .why
}
