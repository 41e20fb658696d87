"""Values that come in: variables and literals, made into what a resolver gets, or refused as the platform words it.

The library's own coercion cannot tell an explicit null from an absent key, and for this platform that is a difference
(changeFromQuantity, compareDigest). Here a key stands in the result only if it was sent, or has a default.
"""

import decimal
import json
import re
import urllib.parse

from graphql.language import ast
from graphql.type import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull
from graphql.utils.type_from_ast import type_from_ast

MAX_LIST, MAX_LISTS = 250, {("DraftOrderInput", "lineItems"): 499}
GID = re.compile(r"gid://shopify/[A-Za-z]+/\S+")
TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
INT_MAX = 2**31


class Refused(Exception):
    """A top-level error: `code` and what else its extensions hold."""

    def __init__(self, message, code=None, **extensions):
        super().__init__(message)
        self.message, self.code, self.extensions = message, code, extensions

    def to_json(self, **more):
        out = {"message": self.message, **more}
        extensions = {**({"code": self.code} if self.code else {}), **self.extensions}
        return {**out, "extensions": extensions} if extensions else out


def no_id(value):
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return f"Could not coerce value {json.dumps(value)} to ID"
    return None if GID.fullmatch(str(value)) else f"Invalid global id '{value}'"


def no_decimal(value):
    try:
        good = not isinstance(value, bool) and decimal.Decimal(str(value)).is_finite()
    except decimal.InvalidOperation:
        good = False
    return None if good else f"invalid decimal '{value}'"


def no_url(value):
    parts = urllib.parse.urlsplit(value) if isinstance(value, str) else None
    return None if parts and parts.scheme else f"Invalid url '{value}', missing scheme"


def no_time(value):
    good = isinstance(value, str) and TIME.fullmatch(value)
    return None if good else f"Invalid DateTime: '{value}'"


def not_a(*kinds):
    def check(value, name):
        good = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        good = good and (name != "Int" or -INT_MAX <= value < INT_MAX)
        return None if good else f"Could not coerce value {json.dumps(value)} to {name}"
    return check


CHECKS = {"String": not_a(str), "Int": not_a(int), "Float": not_a(int, float), "Boolean": not_a(bool)}
OWN_CHECKS = {"ID": no_id, "Decimal": no_decimal, "Money": no_decimal, "URL": no_url, "DateTime": no_time,
              "UnsignedInt64": no_decimal}


def problem_of(kind, value):
    """Why a value is none of this scalar or enum; None if it is one."""
    if isinstance(kind, GraphQLEnumType):
        known = [one.name for one in kind.values]
        return None if value in known else f'Expected "{value}" to be one of: {", ".join(known)}'
    if kind.name in OWN_CHECKS:
        return OWN_CHECKS[kind.name](value)
    check = CHECKS.get(kind.name)
    return check(value, kind.name) if check else None


def coerce(kind, value, path, problems):
    """The value as this type has it; what is wrong is added to `problems` as (path, explanation)."""
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            problems.append((path, "Expected value to not be null"))
            return None
        kind = kind.of_type
    if value is None:
        return None
    if isinstance(kind, GraphQLList):
        many = value if isinstance(value, list) else [value]
        return [coerce(kind.of_type, one, [*path, at], problems) for at, one in enumerate(many)]
    if isinstance(kind, GraphQLInputObjectType):
        return coerce_object(kind, value, path, problems)
    wrong = problem_of(kind, value)
    if wrong:
        problems.append((path, wrong))
    return str(value) if kind.name == "ID" else value


def coerce_object(kind, value, path, problems):
    if not isinstance(value, dict):
        problems.append((path, f"Expected {json.dumps(value)} to be a key-value object."))
        return None
    for name in value:
        if name not in kind.fields:
            problems.append(([*path, name], f"Field is not defined on {kind.name}"))
    if getattr(kind, "one_of", False) and (len(value) != 1 or None in value.values()):
        problems.append((path, f"'{kind.name}' requires exactly one argument, but {len(value)} were provided."))
    out = {}
    for name, field in kind.fields.items():
        if name in value:
            out[name] = coerce(field.type, value[name], [*path, name], problems)
        elif field.default_value is not None:
            out[name] = field.default_value
        elif isinstance(field.type, GraphQLNonNull):
            problems.append(([*path, name], "Expected value to not be null"))
    return out


def variables_of(schema, operation, given):
    """What the operation's variables are; one that was not sent and has no default is not in it."""
    out = {}
    for one in operation.variable_definitions or []:
        name, kind = one.variable.name.value, type_from_ast(schema, one.type)
        if name in given:
            value = given[name]
        elif one.default_value is not None:
            value = literal(one.default_value, {})
        elif isinstance(kind, GraphQLNonNull):
            value = None
        else:
            continue
        problems = []
        out[name] = coerce(kind, value, [], problems)
        if problems:
            raise invalid_variable(name, kind, given.get(name), problems)
    return out


def invalid_variable(name, kind, value, problems):
    where = [f"{'.'.join(map(str, path))} ({why})" for path, why in problems if path]
    return Refused(f"Variable ${name} of type {kind} was provided invalid value"
                   + (f" for {', '.join(where)}" if where else ""), "INVALID_VARIABLE", value=value,
                   problems=[{"path": path, "explanation": why} for path, why in problems])


def literal(node, variables):
    """A value of the document as JSON has it; a variable that was not given counts as null where it stands alone."""
    if node is None:
        return None
    if isinstance(node, ast.Variable):
        return variables.get(node.name.value)
    if isinstance(node, ast.ListValue):
        return [literal(one, variables) for one in node.values]
    if isinstance(node, ast.ObjectValue):
        return {one.name.value: literal(one.value, variables) for one in node.fields
                if not isinstance(one.value, ast.Variable) or one.value.name.value in variables}
    if isinstance(node, ast.IntValue):
        return int(node.value)
    if isinstance(node, ast.FloatValue):
        return float(node.value)
    return node.value


def arguments_of(nodes, known, variables, where):
    """What a field (or a directive) is given: sent values and defaults. `where` is how an error calls the field."""
    out, sent = {}, {one.name.value: one.value for one in nodes or []}
    for name, argument in known.items():
        node = sent.get(name)
        absent = isinstance(node, ast.Variable) and node.name.value not in variables
        if name not in sent or absent:
            if argument.default_value is not None:
                out[name] = argument.default_value
            continue
        problems = []
        out[name] = coerce(argument.type, literal(node, variables), [name], problems)
        if problems:
            path, why = problems[0]
            raise Refused(f"Argument '{'.'.join(map(str, path))}' on Field '{where}' has an invalid value ({why}). "
                          f"Expected type '{argument.type}'.", "argumentLiteralsIncompatible", typeName="Field",
                          argumentName=name)
        too_long(argument.type, out[name], [where, name])
    return out


def too_long(kind, value, path, limit=MAX_LIST):
    """Refuses a list of more than 250, wherever it stands in what was sent."""
    while isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if value is None:
        return
    if isinstance(kind, GraphQLList):
        if len(value) > limit:
            raise Refused(f"The input array size of {len(value)} is greater than the maximum allowed of {limit}.",
                          "MAX_INPUT_SIZE_EXCEEDED", path=path)
        for at, one in enumerate(value):
            too_long(kind.of_type, one, [*path, str(at)])
    elif isinstance(kind, GraphQLInputObjectType):
        for name in value:
            too_long(kind.fields[name].type, value[name], [*path, name], MAX_LISTS.get((kind.name, name), MAX_LIST))
