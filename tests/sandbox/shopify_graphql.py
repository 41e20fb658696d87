"""As much of GraphQL as the Shopify stand-in needs: one operation a document, checked against the published schema.

A document that the platform would refuse is refused here: an unknown field, argument or variable, an object without
a selection, a missing argument that is required, a variable of another type, an input with a field it does not have.
"""

import pathlib
import re

TOKEN = re.compile(r'[\s,]*(?:#[^\n]*\n[\s,]*)*("(?:[^"\\]|\\.)*"|\.\.\.|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|[{}()\[\]:=!$@])')
SCALARS = {"ID", "String", "Int", "Float", "Boolean", "Decimal", "URL", "DateTime", "Money", "UnsignedInt64"}


class Refused(Exception):
    """The document does not fit the schema, as the platform words it."""


def tokens(text):
    out, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise Refused(f'syntax error, unexpected invalid token at {text[at:at + 20]!r}')
        out.append(found.group(1))
        at = found.end()
    return out


def bare(kind):
    return kind.replace("!", "").replace("[", "").replace("]", "")


class Schema:
    """{type: {field: (type of it, {argument: type})}}; inputs are types without arguments."""

    def __init__(self, text):
        self.types, self.inputs = {}, set()
        for kind, name, body in re.findall(r"(?ms)^(type|input) (\w+) \{\n(.*?)^\}", text):
            fields = {}
            for line in body.splitlines():
                found = re.match(r"\s+(\w+)(?:\((.*)\))?: ([\w\[\]!]+)", line)
                arguments = dict(re.findall(r"(\w+): ([\w\[\]!]+)", found.group(2) or ""))
                fields[found.group(1)] = (found.group(3), arguments)
            self.types[name] = fields
            if kind == "input":
                self.inputs.add(name)

    def coerce(self, kind, value, path):
        """A variable's value as its type wants it; Refused else."""
        if value is None:
            if kind.endswith("!"):
                raise Refused(f"Variable $input of type {kind} was provided invalid value for {path} "
                              "(Expected value to not be null)")
            return
        kind = kind.rstrip("!")
        if kind.startswith("["):
            for at, one in enumerate(value if isinstance(value, list) else [value]):
                self.coerce(kind[1:-1], one, f"{path}.{at}")
        elif kind in self.inputs:
            fields = self.types[kind]
            for name in value:
                if name not in fields:
                    raise Refused(f"{path}.{name} (Field is not defined on {kind})")
            for name, (wanted, _) in fields.items():
                self.coerce(wanted, value.get(name), f"{path}.{name}")
        else:
            wanted = {"Int": int, "Boolean": bool}.get(kind, str if kind in SCALARS else (str, dict, list, int))
            if not isinstance(value, wanted) or kind == "Int" and isinstance(value, bool):
                raise Refused(f"{path} (Could not coerce value {value!r} to {kind})")


def published():
    return Schema((pathlib.Path(__file__).parent / "data" / "shopify-draft-orders.graphql").read_text())


class Operation:
    """A parsed and checked document: `roots` is [(field, {argument: value}, selection)]."""

    def __init__(self, schema, document, variables):
        self.schema, self.variables, self.queue = schema, variables or {}, tokens(document)
        self.kind = self.take()
        if self.kind not in ("query", "mutation"):
            raise Refused(f"syntax error, unexpected {self.kind}")
        self.name = self.take() if self.peek() not in "({" else None
        self.declared = self.declarations() if self.peek() == "(" else {}
        for name in self.declared:
            schema.coerce(self.declared[name], self.variables.get(name), name)
        self.roots = self.selection("QueryRoot" if self.kind == "query" else "Mutation")
        if self.queue:
            raise Refused(f"syntax error, unexpected {self.queue[0]}")

    def peek(self):
        return self.queue[0] if self.queue else ""

    def take(self, wanted=None):
        if not self.queue or wanted and self.queue[0] != wanted:
            raise Refused(f"syntax error, expected {wanted}, found {self.peek() or 'end of file'}")
        return self.queue.pop(0)

    def declarations(self):
        out = {}
        self.take("(")
        while self.peek() != ")":
            self.take("$")
            name, kind = self.take(), ""
            self.take(":")
            while self.peek() not in ("$", ")"):
                kind += self.take()
            out[name] = kind
        self.take(")")
        return out

    def arguments(self, field, known):
        out = {}
        if self.peek() == "(":
            self.take("(")
            while self.peek() != ")":
                name = self.take()
                self.take(":")
                if name not in known:
                    raise Refused(f"Field '{field}' doesn't accept argument '{name}'")
                out[name] = self.value(known[name])
            self.take(")")
        for name, kind in known.items():
            if kind.endswith("!") and out.get(name) is None:
                raise Refused(f"Field '{field}' is missing required arguments: {name}")
        return out

    def value(self, kind):
        word = self.take()
        if word == "$":
            name = self.take()
            if name not in self.declared:
                raise Refused(f"Variable ${name} is used by {self.name} but not declared")
            if bare(self.declared[name]) != bare(kind):
                raise Refused(f"Type mismatch on variable ${name} and argument ({self.declared[name]} / {kind})")
            return self.variables.get(name)
        return word[1:-1] if word.startswith('"') else int(word) if word.isdigit() else word

    def selection(self, of):
        self.take("{")
        out, fields = [], self.schema.types[of]
        while self.peek() != "}":
            name = self.take()
            if name not in fields:
                raise Refused(f"Field '{name}' doesn't exist on type '{of}'")
            kind, known = fields[name]
            arguments = self.arguments(name, known)
            inner = None
            if bare(kind) in self.schema.types:
                if self.peek() != "{":
                    raise Refused(f"Field must have selections (field '{name}' returns {bare(kind)})")
                inner = self.selection(bare(kind))
            out.append((name, arguments, inner))
        self.take("}")
        if not out:
            raise Refused("a selection is empty")
        return out


def project(value, selection):
    """What was asked for of an object, or of a list of them."""
    if selection is None or value is None:
        return value
    if isinstance(value, list):
        return [project(one, selection) for one in value]
    return {name: project(value[name], inner) for name, _, inner in selection}
