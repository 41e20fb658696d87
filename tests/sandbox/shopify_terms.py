"""Payment terms of drafts and of the orders that they become: how long a buyer has."""

from sandbox.shopify_shop import gid, number_of

NET_30 = {"paymentTermsName": "Net 30", "translatedName": "Net 30", "paymentTermsType": "NET", "dueInDays": 30}


def terms(id, **of):
    return {"__typename": "PaymentTerms", "id": id, "due": False, "overdue": False, "draftOrder": None, "order": None,
            **NET_30, **of}


def install(engine):
    @engine.field("DraftOrder", "paymentTerms")
    def of_draft(source, args, call):
        return terms(gid("PaymentTerms", number_of(source["id"])), draftOrder=source) if source.paymentTerms else None

    @engine.field("Order", "paymentTerms")
    def of_order(source, args, call):
        known = source.document["payment_terms"]
        return terms(gid("PaymentTerms", known["id"]), order=source) if known else None
