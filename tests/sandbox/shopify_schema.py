"""The Admin API's schema as far as the stand-in serves it, and reading documents against it.

The texts in data/shopify-*.graphql are excerpts: each may add fields to QueryRoot and Mutation, and has the types that
it needs (a type that two of them have must be the same in both). The GraphQL library is Debian's python3-graphql-core,
which is older than the null literal and the & between interfaces: both are seen to here, and nowhere else.
"""

import pathlib
import re

from graphql import build_ast_schema
from graphql.language import ast, parser
from graphql.language.lexer import TokenKind
from graphql.type import GraphQLInterfaceType, GraphQLList, GraphQLNonNull, GraphQLScalarType, GraphQLUnionType

DATA = pathlib.Path(__file__).parent / "data"
SHARED = ("QueryRoot", "Mutation")
STANDARD = ("ID", "String", "Int", "Float", "Boolean")

parse_value_without_null = parser.parse_value_literal


def parse_value(reader, is_const):
    """A null literal is None in the tree, as an absent value is everywhere else in it."""
    if reader.token.kind == TokenKind.NAME and reader.token.value == "null":
        parser.advance(reader)
        return None
    return parse_value_without_null(reader, is_const)


parser.parse_value_literal = parse_value


def excerpts():
    return sorted(DATA.glob("shopify-*.graphql"))


def merged(texts):
    """One document of all: shared root types get the fields of each, other types must not differ."""
    whole, by_name = [], {}
    for text in texts:
        text = re.sub(r"(?m)^(input \w+) @oneOf", r"\1", text)
        text = re.sub(r"(?m)^type \w+ implements .*", lambda line: line.group().replace(" &", ","), text)
        for one in parser.parse(text, no_location=True).definitions:
            name = getattr(getattr(one, "name", None), "value", type(one).__name__)
            known = by_name.get(name)
            if known is None:
                by_name[name] = one
                whole.append(one)
            elif name in SHARED:
                known.fields = known.fields + [field for field in one.fields
                                               if field.name.value not in {old.name.value for old in known.fields}]
            elif known != one:
                raise ValueError(f"{name} is not the same in two excerpts of the schema")
    return ast.Document(definitions=whole)


def bare(kind):
    """The type below lists and exclamation marks."""
    while isinstance(kind, (GraphQLNonNull, GraphQLList)):
        kind = kind.of_type
    return kind


def is_list(kind):
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    return isinstance(kind, GraphQLList)


def name_of(value):
    return value["__typename"] if isinstance(value, dict) else value.typename


def published(texts=None):
    """The schema, with scalars that pass through and interfaces that ask a value for its type."""
    texts = texts or [path.read_text() for path in excerpts() if path.name not in NOT_SCHEMA]
    schema = build_ast_schema(merged(texts))
    for name in re.findall(r"(?m)^input (\w+) @oneOf", "\n".join(texts)):
        schema.get_type(name).one_of = True
    for kind in list(schema.get_type_map().values()):
        if kind.name.startswith("__"):
            continue
        if isinstance(kind, GraphQLScalarType) and kind.name not in STANDARD:
            kind.serialize = lambda value: value
            kind.parse_value = lambda value: value
            kind.parse_literal = lambda node: getattr(node, "value", True)
        elif isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
            kind.resolve_type = lambda value, info: info.schema.get_type(name_of(value))
    return schema


NOT_SCHEMA = {"shopify-operations.graphql"}


def operations():
    """{name: text} of our own documents of what the Admin API is asked."""
    text = (DATA / "shopify-operations.graphql").read_text()
    return {one.name.value: text[one.loc.start:one.loc.end] for one in parser.parse(text).definitions}
