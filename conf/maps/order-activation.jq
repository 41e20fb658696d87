# After its lines: the order is activated by an update that sets Status alone, as Salesforce demands. From then on
# its lines are locked.
{Shopify_Order_Id__c: .id, Status: "Activated"}
