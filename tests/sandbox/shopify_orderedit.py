"""What is edited on an order, and tags of anything that has some."""

from sandbox import shopify_metafields as metafields
from sandbox.shopify_graphql import Wrong
from sandbox.shopify_orders import add_transaction, local, received, touch
from sandbox.shopify_shop import kind_of
from sandbox.shopify_view import address_document, cents, labels

TAGS_MAX, TAG_MAX = 250, 40


def clean(tags):
    """Tags as they are kept: trimmed, each once whatever its case, sorted as the platform does."""
    seen = {}
    for one in tags:
        for part in labels(one):
            seen.setdefault(part.lower(), part)
    return sorted(seen.values(), key=str.lower)


def too_long(tags):
    return [{"field": ["tags"], "message": f"Tags is too long (maximum is {TAG_MAX} characters)"}
            for one in tags if len(one) > TAG_MAX][:1]


def tags_of(thing):
    return labels(thing.document["tags"]) if "document" in thing else list(thing.get("tags") or [])


def retag(shop, thing, tags):
    if tags == tags_of(thing):
        return
    if thing["__typename"] == "Order":
        thing.document["tags"] = ", ".join(tags)
        touch(shop, thing)
    else:
        thing.tags, thing.updatedAt = tags, shop.stamp()
        shop.changed(thing["__typename"], thing["id"], TAGGED[thing["__typename"]])


TAGGED = {"DraftOrder": "draft_orders/update", "Product": "products/update", "Customer": "customers/update"}


def update(shop, args):
    given = args["input"]
    order = shop.find(given["id"], "Order")
    if order is None:
        raise Wrong(["id"], "Order does not exist")
    if set(given) == {"id"}:
        raise Wrong(None, "No valid update parameters have been provided")
    tags = clean(given.get("tags") or [])
    wrong = too_long(tags)
    if wrong:
        raise Wrong.many(wrong)
    extra = metafields.of_input(given, order["id"])
    metafields.check(shop, extra)
    document = order.document
    for ours, theirs in (("note", "note"), ("email", "email"), ("phone", "phone"), ("poNumber", "po_number")):
        if ours in given:
            document[theirs] = given[ours]
    if "tags" in given:  # all of them: what is not named is gone
        document["tags"] = ", ".join(tags)
    if "customAttributes" in given:
        document["note_attributes"] = [{"name": one["key"], "value": one["value"]}
                                       for one in given["customAttributes"] or []]
    if given.get("shippingAddress"):
        document["shipping_address"] = address_document(given["shippingAddress"])
    for one in extra:
        metafields.write(shop, one)
    touch(shop, order)
    return {"order": order}


def install(engine):
    shop = engine.shop

    engine.mutation("orderUpdate")(lambda source, args, call: update(shop, args))

    @engine.mutation("orderClose", "orderOpen")
    def close_or_open(source, args, call):
        order = shop.find(args["input"]["id"], "Order")
        if order is None:
            raise Wrong(["id"], "Order does not exist")
        order.document["closed_at"] = None if order.document["closed_at"] else local(shop, order)
        touch(shop, order)
        return {"order": order}

    @engine.mutation("orderMarkAsPaid")
    def mark_paid(source, args, call):
        order = shop.find(args["input"]["id"], "Order")
        if order is None:
            raise Wrong(["id"], "Order does not exist")
        if order.document["financial_status"] not in ("pending", "partially_paid", "authorized"):
            raise Wrong(["id"], "Order cannot be marked as paid.")
        owed = cents(order.document["current_total_price"]) - received(shop, order)
        add_transaction(shop, order, "SALE", owed, "manual", told=True)
        order.document.update({"financial_status": "paid", "total_outstanding": "0.00"})
        touch(shop, order, "orders/paid")
        return {"order": order}

    def tagging(change):
        def mutate(source, args, call):
            thing = shop.find(args["id"])
            if thing is None or thing["__typename"] not in ("Order", *TAGGED):
                raise Wrong(["id"], f"{kind_of(args['id'])} does not exist")
            asked = clean(args["tags"])
            wrong = too_long(asked)
            if wrong:
                raise Wrong.many(wrong)
            retag(shop, thing, change(tags_of(thing), asked))
            return {"node": thing}
        return mutate

    engine.mutation("tagsAdd")(tagging(lambda old, asked: clean([*old, *asked])))
    engine.mutation("tagsRemove")(tagging(
        lambda old, asked: [one for one in old if one.lower() not in {tag.lower() for tag in asked}]))
