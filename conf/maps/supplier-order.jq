# What the suppliers of the demonstration take as an order. $delivery.key is our order id there.
{
  external_id: $delivery.key,
  reference: .order_name,
  shop_order_id: int64(.order_id),
  recipient: {
    name: (.ship_to.name // "unknown"),
    company: .ship_to.company,
    address1: .ship_to.address1,
    address2: .ship_to.address2,
    city: .ship_to.city,
    zip: .ship_to.zip,
    country_code: .ship_to.country_code,
    email: .email
  },
  items: [.lines[] | {
    external_id: .id,
    sku: (.sku // "none"),
    quantity,
    retail_price: .price,
    properties
  }],
  currency
}
