# What a carrier or a supplier says of a parcel under way, as the body of fulfillment.event. Of the event:
#   {reference, tracking_number, status, at, message, city, country}
# What says nothing to the customer (unknown, cancelled labels) belongs into the route's `when`; another word is an error.
{
  pre_transit: "CONFIRMED", info_received: "CONFIRMED", label_created: "LABEL_PRINTED", picked_up: "CARRIER_PICKED_UP",
  in_transit: "IN_TRANSIT", out_for_delivery: "OUT_FOR_DELIVERY", available_for_pickup: "READY_FOR_PICKUP",
  attempt_fail: "ATTEMPTED_DELIVERY", delayed: "DELAYED", delivered: "DELIVERED", failure: "FAILURE", exception: "FAILURE",
  return_to_sender: "FAILURE"
} as $known
| {
  order_id: .reference,
  number: (.tracking_number | tostring),
  status: (.status as $word | $known[$word | ascii_downcase] // error("no status of a parcel: \($word)")),
  happened_at: .at, message, city, country
}
