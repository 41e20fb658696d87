# A Quote, as the callout of conf/quote-to-cash.sample.yaml sends it, as the body of draft_order.create.
# A line with a ProductCode is the variant of that SKU, at the quote's price; another one stands for itself.
def money: if type == "string" then . else tostring end;

.fields as $quote
| {
    quote: .id,
    email: $quote.Email,
    po_number: $quote.Purchase_Order__c,
    note: ("Quote " + ($quote.QuoteNumber // .id)),
    currency: ($quote.CurrencyIsoCode // "EUR"),
    tags: ["quote"],
    lines: [
      $quote.QuoteLineItems[]
      | if .ProductCode then {sku: .ProductCode} else {title: (.Description // "Item")} end
      + {quantity: .Quantity, price: (.UnitPrice | money)}
    ]
  }
