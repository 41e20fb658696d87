# One piece for each vendor of the order, named by the vendor: its lines and where they go.
. as $order
| .line_items
| group_by(.vendor)[]
| {
    key: (.[0].vendor // "none"),
    body: {
      order_id: $order.id,
      order_name: $order.name,
      currency: $order.currency,
      email: $order.email,
      ship_to: $order.shipping_address,
      lines: map({id, sku, title, quantity, price, properties})
    }
  }
