"""The search syntax of `query:` arguments: field:value, field:>=value, AND, OR, NOT, - and brackets.

What the platform does and programs trip over: a field that the search does not know is ignored, so everything matches;
a timestamp that is not quoted ends at its first colon, is no time then, and is ignored as well; values are compared
without case.
"""

import datetime
import functools
import re

TOKEN = re.compile(r'\s*(?:(?P<bracket>[()])|(?P<minus>-(?=\S))?(?P<field>\w+):(?P<op>>=|<=|>|<|)'
                   r'(?P<value>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[^\s():]*)(?P<rest>(?::[^\s()]*)*)'
                   r'|(?P<word>"(?:[^"\\]|\\.)*"|[^\s()]+))')


def tokens(text):
    at = 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if not found:
            return
        at = found.end()
        yield found.groupdict()


def unquoted(text):
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


@functools.lru_cache(100_000)
def instant(text):
    """A time as a moment, a day as its beginning in UTC; None for what is neither."""
    if re.fullmatch(r"[^T]+T\d\d", text):  # what is left of a time that was cut at its first colon
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


class Search:
    """`fields`: name -> function(thing) giving a text, a number, a moment, True or False, a list of these, or None."""

    def __init__(self, text, fields):
        self.fields, self.text = fields, text or ""
        self.queue = list(tokens(text or ""))
        self.test = self.either() if self.queue else (lambda thing: True)

    def __call__(self, thing):
        return self.test(thing)

    def alone(self, field):
        """The values, if all that is asked for is this field, one or another of them; else nothing."""
        parts = list(tokens(self.text))
        if not parts or any(one["word"] != "OR" for one in parts[1::2]) or not all(
                one["field"] == field and not one["op"] and not one["minus"] for one in parts[::2]):
            return []
        return [unquoted(one["value"]) for one in parts[::2]]

    def peek(self, *words):
        return bool(self.queue) and self.queue[0]["word"] in words

    def either(self):
        sides = [self.both()]
        while self.peek("OR"):
            self.queue.pop(0)
            sides.append(self.both())
        return sides[0] if len(sides) == 1 else lambda thing: any(one(thing) for one in sides)

    def both(self):
        sides = []
        while self.queue and not self.peek("OR") and self.queue[0]["bracket"] != ")":
            if self.peek("AND"):
                self.queue.pop(0)
                continue
            sides.append(self.one())
        return lambda thing: all(one(thing) for one in sides)

    def one(self):
        token = self.queue.pop(0)
        if token["word"] == "NOT" and self.queue:
            inner = self.one()
            return lambda thing: not inner(thing)
        if token["bracket"] == "(":
            inner = self.either()
            if self.queue:
                self.queue.pop(0)
            return inner
        if token["field"]:
            return self.term(token)
        word = unquoted(token["word"] or "").lower()
        every = [of for name, of in self.fields.items() if name in ("name", "email", "sku", "title")]
        return lambda thing: any(word in str(of(thing) or "").lower() for of in every)

    def term(self, token):
        name, value, op = token["field"], unquoted(token["value"]), token["op"]
        if name == "tag_not":
            name, token["minus"] = "tag", not token["minus"]
        of = self.fields.get(name)
        if of is None:
            return lambda thing: True

        def test(thing):
            has = of(thing)
            return any(compared(one, op, value) for one in (has if isinstance(has, list) else [has]))
        return (lambda thing: not test(thing)) if token["minus"] else test


class Beginning(str):
    """A text that is found by how it begins, as SKUs are."""


def compared(has, op, value):
    if isinstance(has, datetime.datetime):
        wanted = instant(value)
        if wanted is None:
            return True
        if not op and len(value) == 10:
            return has.date() == wanted.date()
    elif has is None:
        return False
    elif isinstance(has, bool):
        return has == (value.lower() == "true")
    elif isinstance(has, (int, float)):
        try:
            wanted = float(value) if "." in value else int(value.rpartition("/")[2])
        except ValueError:
            return True
    else:
        begins, has, wanted = isinstance(has, Beginning), str(has).lower(), value.lower()
        if begins and not op:
            return has.startswith(wanted.rstrip("*"))
        if wanted.endswith("*") and not op:
            return has.startswith(wanted[:-1])
    return {"": has == wanted, ">": has > wanted, ">=": has >= wanted, "<": has < wanted, "<=": has <= wanted}[op]


def moment_of_field(name):
    """A search field that is a time of the thing."""
    return lambda thing: thing[name] and instant(thing[name])
