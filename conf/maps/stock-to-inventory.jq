# What a supplier, an ERP or a CRM says of its stock, as bodies of inventory.set: a piece for each level. A `split`, with
# `coalesce: subject`: of one level the newest figure goes out. Either one level or a list, of which the last word counts:
#   {sku, location, quantity}                                   or `available` for `quantity`
#   {location, stock: [{sku, location, quantity}, ...]}         or under `fields`, as a CRM's callout has it
# A location is a name or an id; without one the action's parameter `location` counts. Some suppliers write figures as
# texts, and what they owe as less than none. What is no figure goes on as it is, for its own row alone to be refused.
def text: if . == null or . == "" then null else tostring end;
def figure:
  (if type == "string" then (tonumber? // .) else . end)
  | if type == "number" and . < 0 then 0 else . end;

(.fields // .) as $told
| [($told.stock // [$told])[] | {
    sku: (.sku | text),
    location: ((.location // .location_id // $told.location) | text),
    quantity: ((if .quantity == null then .available else .quantity end) | figure)
  }]
| group_by([.sku, .location])[]
| .[-1]
| {
    key: ([.sku, .location] | map(select(. != null)) | join(" at ")),
    body: with_entries(select(.value != null))
  }
