# A supplier's word that parcels have left, as the body of fulfillment.create. Of the supplier's event:
#   {reference, carrier, tracking_number or tracking_numbers, tracking_url or tracking_urls, items: [{sku, quantity}]}
# or with all of that but the reference under `shipment`. `reference` is the order's id, as the supplier was given it; an
# event that is linked to the order needs none. Some suppliers write numbers without quotes, and give a line twice.
(.shipment // .) as $parcel
| ([$parcel.tracking_numbers[]?, $parcel.tracking_number] | map(select(. != null and . != "") | tostring) | unique) as $numbers
| ([$parcel.tracking_urls[]?, $parcel.tracking_url] | map(select(. != null and . != "")) | unique) as $urls
| {
  order_id: .reference,
  lines: ($parcel.items // [] | map(select(.sku != null)) | group_by(.sku)
    | map({sku: .[0].sku, quantity: (map(.quantity // 1) | add)})),
  tracking: {company: $parcel.carrier, numbers: $numbers, urls: $urls} | with_entries(select(.value != null and .value != []))
}
| if .lines == [] then error("the shipment names no items") else . end
| if .tracking == {} then del(.tracking) else . end
