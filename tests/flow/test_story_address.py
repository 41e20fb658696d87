"""An address that the carrier does not know: held, corrected by a person, and sent with what was filled in."""

import json

from flow.harness import byron_orders, demo_config, route, wait_until

HOLD = {"type": "address", "owner": "customer-care", "evidence": ".shipping_address",
        "choices": [{"name": "corrected", "do": "release", "text": "the customer gave another address",
                     "set": [{"name": "zip", "path": "/ship_to/zip", "label": "postcode", "pattern": "[0-9]{5}"},
                             {"name": "note", "path": "/note", "optional": True}]},
                    {"name": "give-up", "do": "reject"}]}


def test_it_goes_out_with_the_address_that_was_filled_in(make_gateway, byron):
    config = demo_config(byron.url)
    route(config, "order-to-supplier")["hold"] = HOLD
    gateway = make_gateway(config)
    order = byron_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.states() == {"held": 1}, "it is held")
    row = gateway.delivery()
    before = json.loads(row["body"]) if isinstance(row["body"], str) else row["body"]
    [field, _] = row["detail"]["choices"][0]["set"]
    assert field == {"name": "zip", "path": "/ship_to/zip", "as": "text", "label": "postcode", "pattern": "[0-9]{5}"}

    # what is wrong is named, and changes nothing
    def refused(*words):
        return gateway.cli("held", "corrected", row["id"], *words, ok=False)
    done = refused("--set", "zip=1067")
    assert done.code == 5 and 'zip (postcode): wanted [0-9]{5}, found \\"1067\\"' in done.out
    dry = refused("--set", "zip=1067", "--dry-run")  # which says the same
    assert dry.code == 5 and dry.json["results"] == done.json["results"]
    assert refused("--dry-run").json["results"] == refused().json["results"]
    good = refused("--set", "zip=01067", "--dry-run")
    assert good.code == 0 and [one["status"] for one in good.json["results"]] == ["would"]
    assert refused().code == 5 and "--set zip=VALUE" in refused().out
    assert refused("--set", "zip=01067", "--set", "city=x").code == 5
    assert refused("--set", "zip").code == 2
    status, _ = gateway.api("POST", "/v1/decide", {"action": "release", "ids": [row["id"]], "set": {"zip": "01067"}})
    assert status == 400  # of which choice?
    assert gateway.delivery() == row and byron.books()["orders"] == []

    # it stands in the payload, durably, with who and why
    gateway.cli("held", "corrected", row["id"], "--set", "zip=01067", "--set", "note=2nd floor", "--why", "called him")
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states() == {"delivered": 1}, "it is sent")
    [there] = byron.books()["orders"]
    assert there["body"]["recipient"]["zip"] == "01067"
    sent = gateway.delivery()
    after = json.loads(sent["body"]) if isinstance(sent["body"], str) else sent["body"]
    assert after["ship_to"] == {**before["ship_to"], "zip": "01067"} and after["note"] == "2nd floor"
    assert {k: v for k, v in after.items() if k not in ("ship_to", "note")} == \
        {k: v for k, v in before.items() if k not in ("ship_to", "note")}
    move = next(m for m in sent["moves"] if m["reason"].startswith("edited: "))
    assert "called him (zip, note); the body before had SHA-256" in move["reason"]
    assert move["who"].startswith("uid ") and sent["generation"] == row["generation"] + 1
