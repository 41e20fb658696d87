"""SOQL of the Salesforce stand-in: a parser for the part that integrations use, and /query with its pages.

SELECT fields | COUNT() FROM object [WHERE ...] [ORDER BY ...] [LIMIT n] [OFFSET n]; AND, OR, NOT, brackets;
= != <> < <= > >= LIKE IN NOT IN; text, numbers, dates, date-times, booleans, null, TODAY, YESTERDAY,
LAST_N_DAYS:n; parents by relationship (Account.Name). No sub-queries, no aggregates but COUNT().
"""

import datetime
import decimal
import re

from sandbox import sf_schema as sf
from sandbox.sf_rest import RestError, Route, answer
from sandbox.sf_store import RowError

PAGE = 2000
LONGEST = 100_000  # characters of a statement, as the app limits cheat sheet says
CURSOR_LIFE_S = 2 * 24 * 3600
TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<op><>|<=|>=|!=|[=<>(),])"
                   r"|(?P<word>[A-Za-z_][\w.]*(?::\d+)?)"
                   r"|(?P<value>[+-]?\d[\w.:+-]*))", re.S)
KINDS = {"double": decimal.Decimal, "int": decimal.Decimal, "boolean": bool}  # all others are text
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
COMPARE = {"=": lambda a, b: a == b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
           ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def malformed(text):
    return RowError("MALFORMED_QUERY", f"unexpected token: {text or '<EOF>'}")


def tokens(soql):
    found, at = [], 0
    while at < len(soql.rstrip()):
        one = TOKEN.match(soql, at)
        if not one:
            raise malformed(soql[at:].strip()[:40])
        found.append((one.lastgroup, one.group(one.lastgroup)))
        at = one.end()
    return found


class Parser:
    """One statement. The tree of WHERE is made of functions from a record's fields to bool."""

    def __init__(self, store, soql, now):
        self.store, self.now = store, now
        self.left = tokens(soql)
        self.at = 0

    # ---- words ----

    def peek(self):
        kind, word = self.left[self.at] if self.at < len(self.left) else (None, "")
        return kind, word.upper() if kind == "word" else word

    def take(self, *words):
        if self.peek()[1] in words:
            self.at += 1
            return self.left[self.at - 1][1]
        return None

    def need(self, *words):
        taken = self.take(*words)
        if taken is None:
            raise malformed(self.peek()[1])
        return taken

    def name(self):
        kind, word = self.left[self.at] if self.at < len(self.left) else (None, "")
        if kind != "word":
            raise malformed(word)
        self.at += 1
        return word

    def count(self):
        kind, word = self.peek()
        if kind != "value" or not word.isdigit():
            raise malformed(word)
        self.at += 1
        return int(word)

    # ---- the statement ----

    def statement(self):
        self.need("SELECT")
        self.fields = [self.name()]
        self.counts = self.fields[0].upper() == "COUNT" and self.take("(") is not None
        if self.counts:
            self.need(")")
        while self.take(","):
            self.fields.append(self.name())
        self.need("FROM")
        asked = self.name()
        self.sobject = self.store.schema.find(asked)
        if self.sobject is None:
            raise RowError("INVALID_TYPE", f"sObject type '{asked}' is not supported.")
        for path in [] if self.counts else self.fields:
            self.spec(path)
        self.keyed = []  # (field, values) that every row must have: found by the index
        self.where = self.any_of(True) if self.take("WHERE") else None
        self.order = self.order_by() if self.take("ORDER") else []
        self.limit = self.count() if self.take("LIMIT") else None
        self.offset = self.count() if self.take("OFFSET") else 0
        if self.at < len(self.left):
            raise malformed(self.left[self.at][1])
        return self

    def order_by(self):
        self.need("BY")
        order = []
        while True:
            path = self.name()
            self.spec(path)
            down = self.take("ASC", "DESC")
            down = down is not None and down.upper() == "DESC"
            last = None
            if self.take("NULLS"):
                last = self.need("FIRST", "LAST").upper() == "LAST"
            order.append((path, down, last))
            if not self.take(","):
                return order

    # ---- WHERE ----

    def any_of(self, top=False):
        parts = [self.all_of(top)]
        while self.take("OR"):
            self.keyed = []  # one side alone narrows nothing
            parts.append(self.all_of(False))
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def all_of(self, top):
        parts = [self.negated(top)]
        while self.take("AND"):
            parts.append(self.negated(top))
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def negated(self, top):
        if self.take("NOT"):
            part = self.negated(False)
            return lambda row: not part(row)
        if self.take("("):
            part = self.any_of()
            self.need(")")
            return part
        return self.condition(top)

    def condition(self, top):
        path = self.name()
        spec = self.spec(path)
        if self.take("LIKE"):
            pattern = like(str(self.literal(spec)))
            return lambda row: bool(pattern.fullmatch(str(self.value(row, path) or "")))
        negate = self.take("NOT") is not None
        if negate or self.peek()[1] == "IN":
            self.need("IN")
            return self.among(path, spec, negate, top)
        op = self.need("=", "!=", "<>", "<", "<=", ">", ">=")
        wanted = self.literal(spec)
        if isinstance(wanted, tuple):
            return self.within(path, op, wanted)
        if op in ("!=", "<>"):
            return lambda row: fold(self.value(row, path)) != fold(wanted)
        if op == "=":
            self.narrow(path, [wanted], top)
            return lambda row: fold(self.value(row, path)) == fold(wanted)
        compare = COMPARE[op]

        def ordered(row):
            value = self.value(row, path)
            return value is not None and wanted is not None and compare(fold(value), fold(wanted))

        return ordered

    def among(self, path, spec, negate, top):
        self.need("(")
        values = [self.literal(spec)]
        while self.take(","):
            values.append(self.literal(spec))
        self.need(")")
        if not negate:
            self.narrow(path, values, top)
        folded = {fold(value) for value in values}
        return lambda row: (fold(self.value(row, path)) in folded) != negate

    def within(self, path, op, span):
        """A day, or days, as a literal: = is within them, the others compare with an end of them."""
        first, after = span
        tests = {"=": lambda v: first <= v < after, "!=": lambda v: not first <= v < after,
                 "<": lambda v: v < first, "<=": lambda v: v < after, ">": lambda v: v >= after,
                 ">=": lambda v: v >= first}
        test = tests["!=" if op == "<>" else op]

        def inside(row):
            value = self.value(row, path)
            return value is not None and test(value if len(first) > 10 else value[:10])

        return inside

    def narrow(self, path, values, top):
        name = self.store.schema.field(self.sobject, path)[0] if "." not in path else None
        indexed = name == "Id" or name in self.store.schema.indexed(self.sobject)
        if top and indexed and not any(value in (None, "") for value in values):
            self.keyed.append((name, values))

    def literal(self, spec):
        """A value; RowError if its kind is not the field's."""
        value = self.any_literal(spec)
        wanted = KINDS.get(spec["type"], str)
        if value is not None and not isinstance(value, wanted) and not isinstance(value, tuple):
            quoted = " and should be enclosed in quotes" if wanted is str and spec["type"] != "date" else ""
            raise RowError("INVALID_FIELD", f"value of filter criterion must be of type {spec['type']}{quoted}")
        if spec["type"] in ("id", "reference") and isinstance(value, str) and len(value) == 15:
            return sf.long_id(value)
        return value

    def any_literal(self, spec):
        kind, word = self.left[self.at] if self.at < len(self.left) else (None, "")
        self.at += 1
        if kind == "text":
            return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), word[1:-1])
        upper = word.upper()
        if kind == "word" and upper in ("NULL", "TRUE", "FALSE"):
            return {"NULL": None, "TRUE": True, "FALSE": False}[upper]
        if kind == "word" and (days := day_literal(upper, self.now)):
            return tuple(day if spec["type"] == "date" else day + "T00:00:00.000+0000" for day in days)
        if kind != "value":
            raise malformed(word)
        if re.match(r"\d{4}-\d\d-\d\dT", word):
            return sf.parse_datetime("", word)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", word):
            return word
        try:
            return decimal.Decimal(word)
        except decimal.InvalidOperation:
            raise malformed(word) from None

    # ---- values ----

    def spec(self, path, sobject=None):
        """The definition of a field by its path; RowError if there is none."""
        sobject = sobject or self.sobject
        head, _, rest = path.partition(".")
        if rest:
            lookup, spec = self.store.schema.relationship(sobject, head)
            if lookup is None:
                raise RowError("INVALID_FIELD", f"Didn't understand relationship '{head}' in field path.")
            return self.spec(rest, spec["to"])
        name, spec = self.store.schema.field(sobject, head)
        if name is None:
            raise RowError("INVALID_FIELD", f"No such column '{head}' on entity '{sobject}'.")
        return spec

    def value(self, row, path, sobject=None):
        sobject = sobject or self.sobject
        head, _, rest = path.partition(".")
        if rest:
            lookup, spec = self.store.schema.relationship(sobject, head)
            return self.value(self.store.fields_of(spec["to"], row.get(lookup)), rest, spec["to"])
        return row.get(self.store.schema.field(sobject, head)[0])

    # ---- rows ----

    def rows(self, deleted=False):
        """The records' fields, in order. deleted: those in the bin too."""
        live = self.store.records[self.sobject]
        if self.keyed and not deleted:
            name, values = self.keyed[0]
            ids = dict.fromkeys(one for value in values for one in self.store.by_key(self.sobject, name, value))
            found = [live[one]["fields"] for one in ids]
        else:
            found = [record["fields"] for record in live.values()]
            if deleted:
                found += [record["fields"] for record in self.store.bin[self.sobject].values()]
        if self.where:
            found = [row for row in found if self.where(row)]
        for path, down, last in reversed(self.order):
            last = down if last is None else last  # nulls come first going up
            none = [row for row in found if self.value(row, path) is None]
            some = [row for row in found if self.value(row, path) is not None]
            some.sort(key=lambda row: fold(self.value(row, path)), reverse=down)
            found = some + none if last else none + some
        return found[self.offset:][:self.limit]

    def as_json(self, row, version):
        out = {"attributes": {"type": self.sobject,
                              "url": f"/services/data/v{version}/sobjects/{self.sobject}/{row['Id']}"}}
        for path in self.fields:
            self.nest(out, row, self.sobject, path)
        return out

    def nest(self, out, row, sobject, path):
        head, _, rest = path.partition(".")
        if not rest:
            out[self.store.schema.field(sobject, head)[0]] = sf.to_json(self.value(row, head, sobject))
            return
        lookup, spec = self.store.schema.relationship(sobject, head)
        parent = self.store.fields_of(spec["to"], row.get(lookup))
        if not parent:
            out[spec["relationship"]] = None
            return
        inner = out.setdefault(spec["relationship"], {"attributes": {"type": spec["to"]}})
        self.nest(inner, parent, spec["to"], rest)


def fold(value):
    """Text compares without case; 1 is 1.0; an id of 15 characters is told from no other text."""
    return value.lower() if isinstance(value, str) else value


def like(pattern):
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.I | re.S)


def day_literal(word, now):
    """(first day, day after the last) of TODAY and its like, or None."""
    today = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).date()
    spans = {"TODAY": (0, 1), "YESTERDAY": (-1, 0)}
    name, _, days = word.partition(":")
    if name == "LAST_N_DAYS" and days:
        spans[word] = (-int(days), 1)
    if word not in spans:
        return None
    return [(today + datetime.timedelta(days=one)).isoformat() for one in spans[word]]


class Query:
    """GET /query, /queryAll, and the pages after the first."""

    routes = [Route("query rest", "GET", "/query", "on_query"),
              Route("query rest", "GET", "/queryAll", "on_query_all"),
              Route("query-more query rest", "GET", "/query(?:All)?/(?P<locator>[^/]+)", "on_more")]

    def __init__(self, home):
        self.home = home
        self.clear()

    def clear(self):
        self.cursors = {}  # id -> (rows as JSON, when it ends)
        self.made = 0

    def parse(self, soql):
        if len(soql) > LONGEST:
            raise RowError("MALFORMED_QUERY", f"SOQL statements cannot be longer than {LONGEST} characters.")
        return Parser(self.home.store, soql, self.home.clock.now()).statement()

    async def on_query(self, request, version, deleted=False):
        try:
            query = self.parse(request.query.get("q", ""))
        except RowError as bad:
            raise RestError(400, bad.code, bad.message) from None
        found = query.rows(deleted)
        if query.counts:
            return answer({"totalSize": len(found), "done": True, "records": []})
        rows = [query.as_json(row, version) for row in found]
        size = self.page_size(request)
        if len(rows) <= size:
            return answer({"totalSize": len(rows), "done": True, "records": rows})
        self.made += 1
        cursor = sf.make_id("01g", self.made)
        self.cursors[cursor] = (rows, self.home.clock.now() + CURSOR_LIFE_S)
        return self.page(version, cursor, 0, size)

    async def on_query_all(self, request, version):
        return await self.on_query(request, version, True)

    def page_size(self, request):
        """The caller may ask for 200 to 2,000 rows a page."""
        found = re.search(r"batchSize\s*=\s*(\d+)", request.headers.get("Sforce-Query-Options", ""), re.I)
        return min(PAGE, max(200, int(found[1]))) if found else PAGE

    async def on_more(self, request, version, locator):
        cursor, _, start = locator.partition("-")
        rows, end = self.cursors.get(cursor, ([], 0))
        if end <= self.home.clock.now() or not start.isdigit():
            raise RestError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self.page(version, cursor, int(start), self.page_size(request))

    def page(self, version, cursor, start, size):
        rows = self.cursors[cursor][0]
        end = start + size
        more = {} if end >= len(rows) else {
            "nextRecordsUrl": f"/services/data/v{version}/query/{cursor}-{end}"}
        return answer({"totalSize": len(rows), "done": not more, **more, "records": rows[start:end]})
