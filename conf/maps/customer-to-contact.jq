# A customer becomes a Contact: customers/create, customers/update. Its Account comes with the first order
# (order-to-contact.jq). What is empty in the shop is left as it is in the CRM.
def street: [.address1, .address2] | map(select(. != null and . != "")) | join("\n");
def text($most): if type == "string" then .[0:$most] else . end;
def given: with_entries(select(.value != null and .value != ""));

(.default_address // {}) as $at
| {
    Shopify_Customer_Id__c: .id,
    LastName: ((.last_name | select(. != null and . != ""))
      // (.first_name | select(. != null and . != ""))
      // ((.email // "") | split("@")[0] | select(. != null and . != ""))
      // "(no name)")[0:80]
  }
+ ({
    FirstName: (if (.last_name // "") == "" then null else .first_name | text(40) end),
    Email: .email, Phone: ((.phone // $at.phone) | text(40)),
    MailingStreet: ($at | street | text(255)), MailingCity: ($at.city | text(40)),
    MailingState: ($at.province | text(80)), MailingPostalCode: ($at.zip | text(20)),
    MailingCountry: ($at.country | text(80))
  } | given)
