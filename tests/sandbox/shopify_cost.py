"""Points: what a document asks for, what it came to, and the bucket they are taken from.

The platform publishes scalars 0, objects 1, mutations 10 and "connections by their size"; the rest was found out from
recorded answers. It is good to the point for most documents, and no client may depend on it.
"""

import math
import time

from graphql.language import ast
from graphql.type import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType

from sandbox.shopify_schema import bare
from sandbox.shopify_values import literal

MAX_COST = 1000
DOCUMENTATION = "https://shopify.dev/api/usage/rate-limits"
PLANS = {"standard": (2000, 100), "advanced": (4000, 200), "plus": (20000, 1000), "enterprise": (40000, 2000)}
MUTATION, DEARER, COUNT = 10, {"refundCreate": 20, "orderCapture": 20}, 10
FREE = {"PageInfo", "MoneyBag", "MoneyV2", "LocationAddress", "Weight", "InventoryItemMeasurement", "SEO",
        "CustomerEmailMarketingConsentState", "CustomerSmsMarketingConsentState"}


def is_free(kind):
    return kind.name in FREE or kind.name.endswith("Error")


def steps(n):
    """How a page of n weighs: 2 ln n, at least 1; None or 0 is no page."""
    return max(1, math.floor(2 * math.log(n))) if n else 0


class Meter:
    """Walks one operation. With `data` (the answer) it counts what came, without it what was asked for."""

    def __init__(self, schema, fragments, variables):
        self.schema, self.fragments, self.variables = schema, fragments, variables
        self.fields = []  # {"path", "definedCost", "requestedTotalCost", "requestedChildrenCost"}, for who debugs

    def of(self, operation, data=None):
        mutation = operation.operation == "mutation"
        root = self.schema.get_mutation_type() if mutation else self.schema.get_query_type()
        total = 0
        for field in self.selected(operation.selection_set, root):
            total += self.root(field, root, mutation, data)
        return max(1, total)

    def root(self, field, root, mutation, data):
        name = field.name.value
        if name not in root.fields:
            return 0
        came = None if data is None else data.get(alias_of(field))
        kind = bare(root.fields[name].type)
        if not mutation:
            extra = COUNT - 1 if kind.name == "Count" else 0
            return self.field(field, root, data, [alias_of(field)]) + (extra if data is None or came else 0)
        # What hangs directly on the payload is free, and what is below that counts.
        below = 0
        for one in self.selected(field.selection_set, kind):
            inner = kind.fields.get(one.name.value)
            if inner is not None and is_composite(bare(inner.type)) and not is_free(bare(inner.type)):
                down = True if data is None else (came or {}).get(alias_of(one))
                if down:
                    below += self.below(one, bare(inner.type), None if data is None else down,
                                        [alias_of(field), alias_of(one)])
        total = DEARER.get(name, MUTATION) + (below if name not in DEARER else 0)
        self.note([alias_of(field)], total - below, below)
        return total

    def field(self, field, parent, data, path):
        """A field by itself and all below; data is the object it stands in."""
        known = parent.fields.get(field.name.value)
        kind = bare(known.type) if known else None
        if kind is None or not is_composite(kind) or is_free(kind):
            return 0
        came = None if data is None else data.get(alias_of(field))
        if kind.name.endswith("Connection"):
            own, total = self.connection(field, kind, data, came, path)
        else:
            own = 1
            total = own + (self.below(field, kind, came, path) if data is None or came else 0)
        self.note(path, own, total - own)
        return total

    def below(self, field, kind, came, path):
        """The children of an object; a list counts once, by its dearest."""
        if not isinstance(came, list):
            return self.children(field.selection_set, kind, came, path)
        return max((self.children(field.selection_set, kind, one, path) for one in came if one), default=0)

    def children(self, selection, kind, data, path):
        kinds = [kind]
        if isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
            kinds = self.schema.get_possible_types(kind)
        return max(sum(self.field(one, own, data, [*path, alias_of(one)]) for one in self.selected(selection, own))
                   for own in kinds)

    def connection(self, field, kind, data, came, path):
        asked = {one.name.value: literal(one.value, self.variables) for one in field.arguments or []}
        n, nodes = asked.get("first") or asked.get("last"), None
        each, seen = 0, 0
        for one in self.selected(field.selection_set, kind):
            name = one.name.value
            if name not in ("nodes", "edges"):
                continue
            where = [*path, alias_of(one)]
            nodes = None if data is None else (came or {}).get(alias_of(one)) or []
            seen = max(seen, len(nodes or []))
            inner = bare(kind.fields[name].type)
            if name == "nodes":
                each += self.below(one, inner, nodes, where) if nodes is None or nodes else 0
            else:
                each += self.edges(one, inner, nodes, where)
        n = n if data is None else seen
        return 2, 2 + steps(n) * (1 + each)

    def edges(self, field, kind, edges, path):
        total = 0
        for one in self.selected(field.selection_set, kind):
            if one.name.value == "node":
                nodes = None if edges is None else [edge.get(alias_of(one)) for edge in edges]
                if nodes is None or nodes:
                    total += self.below(one, bare(kind.fields["node"].type), nodes, [*path, alias_of(one)])
        return total

    def selected(self, selection, kind):
        """The fields that a type gets out of a selection, fragments unfolded and what is skipped left out."""
        for one in selection.selections if selection else []:
            if not self.wanted(one):
                continue
            if isinstance(one, ast.Field):
                yield one
                continue
            if isinstance(one, ast.FragmentSpread):
                one = self.fragments.get(one.name.value)
            if one is None:
                continue
            condition = one.type_condition and self.schema.get_type(one.type_condition.name.value)
            if condition is None or condition is kind or kind in possible(self.schema, condition):
                yield from self.selected(one.selection_set, kind)

    def wanted(self, node):
        for one in node.directives or []:
            if one.name.value in ("skip", "include") and one.arguments:
                if bool(literal(one.arguments[0].value, self.variables)) == (one.name.value == "skip"):
                    return False
        return True

    def note(self, path, own, below):
        self.fields.append({"path": path, "definedCost": own, "requestedTotalCost": own + below,
                            "requestedChildrenCost": below})


def alias_of(field):
    return (field.alias or field.name).value


def is_composite(kind):
    return isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType))


def possible(schema, kind):
    return schema.get_possible_types(kind) if isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)) else [kind]


class Bucket:
    """Points of one app in one shop. `other`: points a second that another client of the app takes, while there are
    any; it is not throttled fairly, as the platform's bucket is not."""

    def __init__(self, maximum=2000, restore=100, clock=time.monotonic):
        self.clock = clock
        self.maximum, self.restore, self.other = maximum, restore, 0.0
        self.left, self.at = float(maximum), clock()
        self.taken_by_other = self.restored = self.spilled = 0.0

    def settle(self):
        now = self.clock()
        passed, self.at = max(0.0, now - self.at), now
        self.restored += passed * self.restore
        left = self.left + passed * self.restore
        taken = min(left, passed * self.other)
        self.taken_by_other += taken
        self.fill(left - taken)

    def fill(self, left):
        """What does not fit is lost, and counted: a client that leaves the bucket full wastes it."""
        self.spilled += max(0.0, left - self.maximum)
        self.left = min(self.maximum, left)

    def status(self):
        self.settle()
        return {"maximumAvailable": float(self.maximum), "currentlyAvailable": int(self.left),
                "restoreRate": float(self.restore)}

    def take(self, points):
        """False if there are not so many; nothing is taken then."""
        self.settle()
        if points > self.left:
            return False
        self.left -= points
        return True

    def give_back(self, points):
        self.fill(self.left + points)

    def books(self):
        self.settle()
        return {name: round(getattr(self, name), 1) for name in ("restored", "spilled", "taken_by_other")}

    def set(self, plan=None, maximum=None, restore=None, left=None, other=None):
        self.settle()
        if plan:
            self.maximum, self.restore = PLANS[plan]
        self.maximum, self.restore = maximum or self.maximum, restore or self.restore
        self.left = float(min(self.maximum, self.left if left is None else left))
        if other is not None:
            self.other = float(other)


class Spent:
    """The books: calls, points and refusals, in all and by the name of the operation."""

    COUNTED = ("calls", "refused", "too_dear", "requested", "used", "errors", "user_errors")

    def __init__(self):
        self.by_name = {}

    def of(self, name):
        return self.by_name.setdefault(name, dict.fromkeys(self.COUNTED, 0))

    def to_json(self):
        """All of them together, and by name."""
        total = dict.fromkeys(self.COUNTED, 0)
        for counts in self.by_name.values():
            for key, value in counts.items():
                total[key] += value
        return {**total, "by_operation": self.by_name}
