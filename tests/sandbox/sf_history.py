"""Field history of the Salesforce stand-in: the values a field had, one after the other, of the fields asked for."""

import collections

import sandbox.sf_schema as sf

KEPT = 100_000


class History:
    """What rolled back never was: the store tells of a change once it cannot be undone any more."""

    def __init__(self, store, schema):
        self.store, self.schema = store, schema
        self.clear()
        store.listeners.append(self.on_change)

    def clear(self):
        self.watched = {}  # object -> field
        self.changes = collections.deque(maxlen=KEPT)

    def change(self, wanted):
        """{"object", "field"}: kept from now on."""
        sobject = self.schema.find(wanted["object"])
        if sobject is None:
            raise ValueError(f"no object {wanted['object']}")
        self.watched[sobject] = wanted["field"]

    def on_change(self, sobject, record_id, change):
        if change != "DELETE" and (field := self.watched.get(sobject)):
            value = self.store.records[sobject][record_id]["fields"].get(field)
            self.changes.append({"object": sobject, "id": record_id, "field": field, "value": sf.to_exact(value)})

    def shown(self):
        """One for each time the record was written, in order, whether or not the value is another then."""
        return {"changes": list(self.changes)}
