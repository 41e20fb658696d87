"""The GraphQL engine of the Shopify stand-in: a document in, the platform's answer out.

    engine = Engine(shop)

    @engine.query("order")                  # or engine.mutation("orderCancel"), engine.field("Order", "risk")
    def order(source, args, call): ...      # args: what was sent, and defaults; an explicit null stands in it

A resolver returns dicts and objects; a field without a resolver is a key or an attribute of its source. For a connection
it returns a list, or Rows, and the engine cuts the page. `Refused` is a top-level error, `Wrong` a mutation's user error.
A module brings its resolvers by `install(engine)`.
"""

import base64
import json
import re
import traceback
import uuid

from graphql import execute
from graphql.error import GraphQLError, GraphQLSyntaxError
from graphql.language import ast, parser
from graphql.type import GraphQLObjectType
from graphql.validation import validate

from sandbox.shopify_cost import DOCUMENTATION, MAX_COST, Bucket, Meter, Spent
from sandbox.shopify_schema import bare, published
from sandbox.shopify_values import Refused, arguments_of, variables_of

MAX_PAGE = 250
KEY_LIFE_S = 24 * 3600
STABLE, NEXT = ("2026-01", "2026-04", "2026-07", "2026-10"), ("2027-01", "unstable")
KEYED_SINCE = "2026-04"  # from this version on these mutations want a key
KEYED = {"inventoryActivate", "inventoryAdjustQuantities", "inventoryMoveQuantities", "inventorySetOnHandQuantities",
         "inventorySetQuantities", "inventoryShipmentAddItems", "inventoryShipmentCreate",
         "inventoryShipmentCreateInTransit", "inventoryShipmentReceive", "inventoryTransferCreate",
         "inventoryTransferCreateAsReadyToShip", "inventoryTransferDuplicate", "inventoryTransferSetItems",
         "locationActivate", "locationDeactivate", "refundCreate"}
SINCE = {("Mutation", "fulfillmentOrderReportProgress"): "2026-04", ("InventoryLevel", "isActive"): "2026-04",
         ("OrderCancelPayload", "jobResult"): "2026-10"}
ERRORS_FIELDS = ("userErrors", "orderCancelUserErrors")

# The library's words for what is wrong with a document, and the platform's: (pattern, message, code, extensions).
WORDS = [(re.compile(pattern, re.S), message, code, names) for pattern, message, code, names in (
    (r'Cannot query field "(?P<fieldName>\w+)" on type "(?P<typeName>\w+)"',
     "Field '{fieldName}' doesn't exist on type '{typeName}'", "undefinedField", ("typeName", "fieldName")),
    (r'Unknown argument "(?P<argumentName>\w+)" on field "(?P<name>\w+)"',
     "Field '{name}' doesn't accept argument '{argumentName}'", "argumentNotAccepted", ("name", "argumentName")),
    (r'Unknown argument "(?P<argumentName>\w+)" on directive "@(?P<name>\w+)"',
     "Directive '{name}' doesn't accept argument '{argumentName}'", "argumentNotAccepted", ("name", "argumentName")),
    (r'Field "(?P<name>\w+)" argument "(?P<arguments>\w+)" of type .* is required but not provided',
     "Field '{name}' is missing required arguments: {arguments}", "missingRequiredArguments", ("name", "arguments")),
    (r'Directive "@?(?P<name>\w+)" argument "(?P<arguments>\w+)" of type .* is required but not provided',
     "Directive '{name}' is missing required arguments: {arguments}", "missingRequiredArguments", ("name", "arguments")),
    (r'Field "(?P<nodeName>\w+)" of type "(?P<typeName>[^"]+)" must have a sub selection',
     "Field must have selections (field '{nodeName}' returns {typeName} but has no selections. "
     "Did you mean '{nodeName} {{ ... }}'?)", "selectionMismatch", ("nodeName", "typeName")),
    (r'Field "(?P<nodeName>\w+)" of type "(?P<typeName>[^"]+)" must not have a sub selection',
     "Selections can't be made on scalars (field '{nodeName}' returns {typeName} but has selections)",
     "selectionMismatch", ("nodeName", "typeName")),
    (r'Variable "\$(?P<variableName>\w+)" is never used in operation "?(?P<of>\w+)?',
     "Variable ${variableName} is declared by {of} but not used", "variableNotUsed", ("variableName",)),
    (r'Variable "\$(?P<variableName>\w+)" is not defined( by operation "(?P<of>\w+)")?',
     "Variable ${variableName} is used by {of} but not declared", "variableNotDefined", ("variableName",)),
    (r'Variable "\$?(?P<variableName>\w+)" of type "(?P<typeName>[^"]+)" used in position expecting type "(?P<of>[^"]+)"',
     "Type mismatch on variable ${variableName} ({typeName} / {of})", "variableMismatch", ("variableName", "typeName")),
    (r'Argument "(?P<argumentName>\w+)" has invalid value (?P<of>.*)',
     "Argument '{argumentName}' has an invalid value ({of}).", "argumentLiteralsIncompatible", ("argumentName",)),
    (r'Unknown directive "(?P<directiveName>\w+)"', "Directive @{directiveName} is not defined", "undefinedDirective",
     ("directiveName",)),
    (r'Directive "(?P<directiveName>\w+)" may not be used on', "'@{directiveName}' can't be applied here",
     "directiveCannotBeApplied", ("directiveName",)),
    (r'Unknown fragment "(?P<fragmentName>\w+)"', "Fragment {fragmentName} was used, but not defined",
     "useAndDefineFragment", ("fragmentName",)),
    (r'Fragment "(?P<fragmentName>\w+)" is never used', "Fragment {fragmentName} was defined, but not used",
     "useAndDefineFragment", ("fragmentName",)),
    (r'Unknown type "(?P<typeName>\w+)"', "No such type {typeName}, so it can't be a fragment condition or a variable",
     "undefinedType", ("typeName",)),
)]


class Wrong(Exception):
    """A mutation's user error: nothing was done. `payload` holds what the payload says besides."""

    def __init__(self, field, message, code=None, payload=None, **more):
        super().__init__(message)
        self.errors = [{"field": field, "message": message, "code": code, **more}]
        self.payload = payload or {}

    @classmethod
    def many(cls, errors, payload=None):
        first = errors[0]
        out = cls(first["field"], first["message"], first.get("code"), payload)
        out.errors = [{"code": None, **one} for one in errors]
        return out


class Rows(list):
    """Nodes of a connection with what they are sorted by: a page begins after a value, not after a place, so that rows
    that move while somebody reads are met again."""

    def __init__(self, nodes, key, reverse=False):
        super().__init__(sorted(nodes, key=key, reverse=reverse))
        self.key, self.reverse = key, reverse


def cursor_of(key):
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode()


def page(nodes, args):
    """One page of a connection's rows."""
    first, last = args.get("first"), args.get("last")
    if first is None and last is None:
        raise Refused("you must provide one of first or last", "BAD_REQUEST")
    if first is not None and last is not None:
        raise Refused("providing both first and last is not supported", "BAD_REQUEST")
    size = last if first is None else first
    if not 0 <= size <= MAX_PAGE:
        raise Refused(f"{'first' if last is None else 'last'} must be between 0 and {MAX_PAGE}", "BAD_REQUEST")
    keyed = isinstance(nodes, Rows)
    keys = [list(nodes.key(one)) for one in nodes] if keyed else [[at] for at in range(len(nodes))]
    begin, end = 0, len(nodes)
    downward = keyed and nodes.reverse
    if args.get("after") is not None:
        mark = key_of(args["after"])
        begin = sum(1 for key in keys if (key >= mark if downward else key <= mark))
    if args.get("before") is not None:
        mark = key_of(args["before"])
        end = sum(1 for key in keys if (key > mark if downward else key < mark))
    end = max(begin, end)
    low, high = (begin, min(end, begin + size)) if last is None else (max(begin, end - size), end)
    edges = [{"cursor": cursor_of(keys[at]), "node": nodes[at]} for at in range(low, high)]
    return {"nodes": nodes[low:high], "edges": edges, "pageInfo": {
        "hasNextPage": high < len(nodes), "hasPreviousPage": low > 0,
        "startCursor": edges[0]["cursor"] if edges else None, "endCursor": edges[-1]["cursor"] if edges else None}}


def key_of(cursor):
    try:
        return json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise Refused(f"Invalid cursor for current pagination sort: {cursor}", "BAD_REQUEST") from None


class Call:
    """One document that is being answered; what resolvers get as `call`."""

    def __init__(self, engine, version, app, text, operation_name, variables):
        self.engine, self.shop, self.version, self.app = engine, engine.shop, version, app
        self.text, self.request_id = text, str(uuid.uuid4())
        self.document, self.against = engine.read(text)
        self.fragments = {one.name.value: one for one in self.document.definitions
                          if isinstance(one, ast.FragmentDefinition)}
        self.operation = self.choose(operation_name)
        self.name = self.operation.name.value if self.operation.name else ",".join(
            one.name.value for one in self.operation.selection_set.selections if isinstance(one, ast.Field))
        self.given, self.variables = variables, {}
        self.user_errors = 0
        self.levels = []  # of stock, that it has read
        self.meter = None

    def choose(self, name):
        known = [one for one in self.document.definitions if isinstance(one, ast.OperationDefinition)]
        if name:
            known = [one for one in known if one.name and one.name.value == name]
            if not known:
                raise Refused(f"No operation named \"{name}\"")
        if len(known) != 1:
            raise Refused("An operation name is required")
        return known[0]

    def roots(self):
        """The names of its root fields."""
        return [one.name.value for one in self.operation.selection_set.selections if isinstance(one, ast.Field)]

    def page(self, nodes, args):
        """What of a connection's rows is answered."""
        return page(nodes, args)

    def since(self, version):
        """Whether the version served is this one or later; 'unstable' is later than all."""
        return self.version >= version

    def key(self, field):
        """What stands behind @idempotent on this field; None without it."""
        for one in field.directives or []:
            if one.name.value == "idempotent":
                known = self.engine.schema.get_directive("idempotent").args
                return arguments_of(one.arguments, known, self.variables, "idempotent")["key"]
        return None


class Engine:
    """The schema, who answers for which field, the points."""

    def __init__(self, shop, bucket=None, texts=None):
        self.shop, self.bucket, self.spent = shop, bucket or Bucket(), Spent()
        self.schema = published(texts)
        self.resolvers, self.read_before = {}, {}
        self.faults = []  # functions of a root field's name that may raise Refused, or Wrong for a mutation
        self.afterwards = []  # functions of a call whose answer is made and has not left yet
        self.crashes = []  # tracebacks of our own mistakes; an honest answer has none
        for kind in list(self.schema.get_type_map().values()):
            if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
                for name, field in kind.fields.items():
                    field.resolver = self.bound(kind.name, name, field)

    # ---- who answers ----

    def field(self, kind, *names):
        def add(function):
            for name in names:
                if name not in self.schema.get_type(kind).fields:
                    raise KeyError(f"{kind}.{name} is not in the schema")
                self.resolvers[kind, name] = function
            return function
        return add

    def query(self, *names):
        return self.field("QueryRoot", *names)

    def mutation(self, *names):
        return self.field("Mutation", *names)

    def bound(self, kind, name, field):
        """What the library calls for a field."""
        connection = bare(field.type).name.endswith("Connection")

        def resolve(source, info, **_):
            call, node = info.context, info.field_asts[0]
            try:
                args = arguments_of(node.arguments, field.args, call.variables, name)
                own = self.resolvers.get((kind, name))
                if kind == "Mutation":
                    return self.mutate(own, name, args, call, node)
                for fault in self.faults if kind == "QueryRoot" else ():
                    fault(name)
                value = own(source, args, call) if own else plain(source, name, kind)
                return call.page(value, args) if connection and value is not None else value
            except Refused as wrong:
                raise GraphQLError(wrong.message, extensions={"refused": wrong}) from None
        return resolve

    def mutate(self, own, name, args, call, node):
        """One mutation: asked for its key, done once, its user errors where the payload has them."""
        key = call.key(node)
        if key is None and name in KEYED and call.since(KEYED_SINCE):
            raise Refused("The @idempotent directive is required for this mutation but was not provided.", "BAD_REQUEST")
        try:
            for fault in self.faults:
                fault(name)
            if key is None:
                with self.shop.action():
                    return {"userErrors": [], **own(None, args, call)}
            return self.once(own, name, args, call, key)
        except Wrong as wrong:
            call.user_errors += len(wrong.errors)
            return {**wrong.payload, **{field: wrong.errors for field in ERRORS_FIELDS}}

    def once(self, own, name, args, call, key):
        """Under a key: 24 hours long the same answer, from the records as they are now."""
        now, memory = self.shop.clock.seconds(), self.shop.keys
        for old in [one for one, kept in memory.items() if now - kept["at"] >= KEY_LIFE_S]:
            del memory[old]
        same, known = json.dumps([name, args], sort_keys=True), memory.get((call.app, key))
        if known is not None and known["asked"] != same:
            raise Wrong(None, "The idempotency key was used with other parameters.", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH")
        if known is not None and known["payload"] is None:
            raise Wrong(None, "The previous attempt with this idempotency key failed.",
                        "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")
        if known is None:
            known = memory[call.app, key] = {"at": now, "asked": same, "payload": None}
            with self.shop.action():
                known["payload"] = {"userErrors": [], **own(None, args, call)}
        return known["payload"]

    # ---- a document ----

    def read(self, text):
        """(document, what the library has against it), remembered by the text: programs ask the same again."""
        known = self.read_before.get(text)
        if known is None:
            try:
                document = parser.parse(text)
                known = document, validate(self.schema, document)
            except GraphQLSyntaxError as wrong:
                line = wrong.locations[0]
                raise Refused(f"syntax error, {wrong.message.partition(') ')[2].splitlines()[0]} at "
                              f"[{line.line}, {line.column}]") from None
            if len(self.read_before) > 500:
                self.read_before.clear()
            self.read_before[text] = known
        return known

    def check(self, call):
        """The errors of a document that does not fit the schema; each in the platform's words."""
        out = []
        for wrong in call.against:
            path = [call.operation.operation + (f" {call.operation.name.value}" if call.operation.name else "")]
            out.append({**worded(wrong.message, call.name), **located(wrong), "path": path + names_of(wrong)})
        for (kind, name), since in SINCE.items():
            if since > call.version and re.search(rf"\b{name}\b", call.text):
                out.append(Refused(f"Field '{name}' doesn't exist on type '{kind}'", "undefinedField", typeName=kind,
                                   fieldName=name).to_json())
        return out

    def answer(self, text, variables=None, operation_name=None, version=STABLE[-1], app="app", debug=False):
        """What a POST to graphql.json is answered with."""
        call, wrong = self.begin(text, variables, operation_name, version, app)
        if wrong:
            self.spent.of(call.name if call else "unread")["errors"] += 1
            return {"errors": wrong}
        return self.charge(call, debug)

    def unpaid(self, text, variables, app, version=STABLE[-1]):
        """An answer that costs no points: what somebody does who is no client of this app."""
        call, wrong = self.begin(text, variables, None, version, app)
        return {"errors": wrong} if wrong else self.run(call)

    def begin(self, text, variables, operation_name, version, app):
        """(the call, or None if it could not even be read; its errors)."""
        call = None
        try:
            call = Call(self, version, app, text, operation_name, variables or {})
            wrong = self.check(call)
            if not wrong:
                call.variables = variables_of(self.schema, call.operation, call.given)
            return call, wrong
        except Refused as refused:
            return call, [refused.to_json()]

    def charge(self, call, debug):
        """Takes the points, or says that there are too few."""
        call.meter = Meter(self.schema, call.fragments, call.variables)
        cost, spent = call.meter.of(call.operation), self.spent.of(call.name)
        said = {"requestedQueryCost": cost, "actualQueryCost": None}
        if cost > MAX_COST:
            spent["too_dear"] += 1
            return {"errors": [Refused(f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_COST}).",
                                       "MAX_COST_EXCEEDED", cost=cost, maxCost=MAX_COST,
                                       documentation=DOCUMENTATION).to_json()]}
        if not self.bucket.take(cost):
            spent["refused"] += 1
            return {"errors": [Refused("Throttled", "THROTTLED", documentation=DOCUMENTATION).to_json()],
                    "extensions": {"cost": {**said, "throttleStatus": self.bucket.status()}}}
        spent["calls"] += 1
        spent["requested"] += cost
        out = self.run(call)
        actual = min(cost, Meter(self.schema, call.fragments, call.variables).of(call.operation, out["data"] or {}))
        self.bucket.give_back(cost - actual)
        spent["used"] += actual
        spent["errors"] += len(out.get("errors", []))
        spent["user_errors"] += call.user_errors
        said.update(actualQueryCost=actual, throttleStatus=self.bucket.status())
        for one in self.afterwards:
            one(call)
        if debug:
            said["fields"] = call.meter.fields
        return {**out, "extensions": {"cost": said}}

    def run(self, call):
        self.shop.run_due()
        only = ast.Document(definitions=[call.operation, *call.fragments.values()])
        result = execute(self.schema, only, context_value=call, variable_values=call.given, return_promise=False)
        out = {"data": result.data}
        errors = [self.error(one, call) for one in result.errors or []]
        return {"errors": errors, **out} if errors else out

    def error(self, wrong, call):
        """A top-level error of an answer; what nobody raised on purpose is our mistake, and kept."""
        refused = (getattr(wrong, "extensions", None) or {}).get("refused")
        origin = getattr(wrong, "original_error", None)
        if refused is None and origin is not None:
            refused = (getattr(origin, "extensions", None) or {}).get("refused")
        if refused is None:
            shown = "".join(traceback.format_exception(origin)) if origin else str(wrong)
            self.crashes.append(shown)
            refused = Refused("Internal error. Looks like something went wrong on our end.\nRequest ID: "
                              f"{call.request_id} (include this in support requests).", "INTERNAL_SERVER_ERROR",
                              requestId=call.request_id)
        return {**refused.to_json(), **located(wrong), **({"path": wrong.path} if getattr(wrong, "path", None) else {})}


def plain(source, name, kind):
    """A field that nobody answers for is what its source has by that name; a payload may lack what it has not."""
    if not isinstance(source, dict):
        return getattr(source, name)
    return source.get(name) if kind.endswith("Payload") or kind.endswith("Error") else source[name]


def worded(message, operation):
    for pattern, text, code, names in WORDS:
        found = pattern.match(message)
        if found:
            parts = {key: value or operation for key, value in found.groupdict().items()}
            return Refused(text.format(**parts), code, **{name: parts[name] for name in names}).to_json()
    return Refused(message, "invalidDocument").to_json()


def located(wrong):
    lines = getattr(wrong, "locations", None)
    return {"locations": [{"line": one.line, "column": one.column} for one in lines]} if lines else {}


def names_of(wrong):
    node = wrong.nodes[0] if getattr(wrong, "nodes", None) else None
    return [node.name.value] if isinstance(node, ast.Field) else []




def version_served(asked):
    """The version an asked one is answered by: an old one falls forward; None for what never was one."""
    if asked in STABLE or asked in NEXT:
        return asked
    return STABLE[0] if re.fullmatch(r"20\d\d-(01|04|07|10)", asked) and asked < STABLE[0] else None
