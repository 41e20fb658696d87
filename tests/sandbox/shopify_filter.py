"""What a webhook subscription may choose: which bodies (`filter`) and which of their fields (`includeFields`).

A filter has the search's form, but letters count as they are: `field:value`, `field:>=10`, `AND`, `OR`, `NOT` or `-`,
parentheses, quotes. A list matches if one of its members does. A field that the body has not makes the filter
false as a whole: nothing is ever delivered, and nobody is told.
"""

import decimal
import re

TOKEN = re.compile(r'\s*(\(|\)|-?[\w.?]+:(?:>=|<=|>|<)?(?:"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[^\s()]+)|[^\s()]+)')
TERM = re.compile(r'(-?)([\w.?]+):(>=|<=|>|<)?(.+)', re.S)


class BadFilter(ValueError):
    """The filter is not of a form that is accepted."""


class NoSuchField(Exception):
    pass


def tokens(text):
    out, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise BadFilter(text)
        out.append(found.group(1))
        at = found.end()
    return out


class Filter:
    """A parsed filter: `fits(body)`."""

    def __init__(self, text):
        self.queue = tokens(text)
        self.fields = []
        self.test = self.any_of() if self.queue else (lambda body: True)
        if self.queue:
            raise BadFilter(text)

    def any_of(self):
        parts = [self.all_of()]
        while self.queue and self.queue[0] == "OR":
            self.queue.pop(0)
            parts.append(self.all_of())
        return lambda body: any([part(body) for part in parts])

    def all_of(self):
        parts = [self.one()]
        while self.queue and self.queue[0] not in ("OR", ")"):
            if self.queue[0] == "AND":
                self.queue.pop(0)
            parts.append(self.one())
        return lambda body: all([part(body) for part in parts])

    def one(self):
        if not self.queue:
            raise BadFilter("it ends too early")
        word = self.queue.pop(0)
        if word == "NOT":
            inner = self.one()
            return lambda body: not inner(body)
        if word == "(":
            inner = self.any_of()
            if not self.queue or self.queue.pop(0) != ")":
                raise BadFilter("a parenthesis stays open")
            return inner
        return self.term(word)

    def term(self, word):
        found = TERM.fullmatch(word)
        if not found:
            raise BadFilter(word)  # a bare word: of which field?
        minus, field, compare, wanted = found.groups()
        if wanted[0] in "\"'":
            wanted = re.sub(r"\\(.)", r"\1", wanted[1:-1])
        self.fields.append(field)

        def test(body):
            hit = any(matches(one, compare, wanted) for one in values_at(body, field.split(".")))
            return not hit if minus else hit

        return test

    def fits(self, body):
        try:
            for field in self.fields:
                values_at(body, field.split("."))
            return self.test(body)
        except NoSuchField:
            return False


def values_at(value, path):
    """All that stands there; lists on the way are walked through."""
    if isinstance(value, list):
        if not path and not value:
            return []
        found, missing = [], bool(value)
        for one in value:
            try:
                found += values_at(one, path)
                missing = False
            except NoSuchField:
                pass
        if missing:
            raise NoSuchField
        return found
    if not path:
        return [value]
    if not isinstance(value, dict):
        if value is None:
            return []
        raise NoSuchField
    if path[0] not in value:
        raise NoSuchField
    return values_at(value[path[0]], path[1:])


def matches(value, compare, wanted):
    if value is None:
        return not compare and wanted == "null"
    said = str(value).lower() if isinstance(value, bool) else str(value)
    if not compare:
        return said == wanted or same_number(said, wanted)
    try:
        left, right = decimal.Decimal(said), decimal.Decimal(wanted)
    except decimal.InvalidOperation:
        left, right = said, wanted  # times of one form compare as texts
    return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[compare]


def same_number(said, wanted):
    try:
        return decimal.Decimal(said) == decimal.Decimal(wanted)
    except decimal.InvalidOperation:
        return False


def included(body, fields):
    """The body with these fields alone, in the body's own order; dots go into objects and lists."""
    if not fields:
        return body
    tree = {}
    for field in fields:
        at = tree
        for part in field.split("."):
            at = at.setdefault(part, {})
    return cut(body, tree)


def cut(value, tree):
    if not tree:
        return value
    if isinstance(value, list):
        return [cut(one, tree) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: cut(one, tree[name]) for name, one in value.items() if name in tree}
