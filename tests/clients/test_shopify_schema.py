"""What is asked of Shopify, and what its stand-in says it has, held against the schemas that Shopify publishes."""

import json
import os
import re
import subprocess
import sys

import pytest
import shopify_schemas

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))

from sandbox.shopify_desk import Desk  # noqa: E402
from sandbox.shopify_graphql import Call  # noqa: E402

DATA = os.path.join(TOP, "tests", "sandbox", "data")
PLUGIN = os.path.join(TOP, "plugins", "shopify")

LITERAL = r'"(?:[^"\\\n]|\\.)*"'
COMMENT = re.compile(LITERAL + r"|'(?:[^'\\\n]|\\.)+'|/\*.*?\*/|//[^\n]*", re.S)
DEFINE = re.compile(r"(?m)^#define (\w+)[ \t]+(\S.*)$")
CHAIN = re.compile(rf"(?:{LITERAL}|\b[A-Z][A-Z0-9_]*\b)(?:\s+(?:{LITERAL}|\b[A-Z][A-Z0-9_]*\b))*")
OPERATION = re.compile(r"\s*(query|mutation)\b\s*(\w*)\s*[({@]")


def read(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


def uncommented(text):
    return COMMENT.sub(lambda found: found.group() if found.group().startswith('"') else " ", text)


def joined(chain, macros):
    """The text of literals and macros that stand side by side; None if one of them is no text."""
    out = ""
    for part in re.findall(rf"{LITERAL}|\w+", chain):
        if part.startswith('"'):
            out += re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), part[1:-1])
        elif part in macros:
            out += macros[part]
        else:
            return None
    return out


def documents_in(text, macros):
    """{name: document} of a C source: every text that begins as an operation does.

    What is put together only when it is sent is not whole here; the stand-in holds it against its excerpt then.
    """
    text = uncommented(text).replace("\\\n", "  ")
    own = dict(macros)
    for name, value in DEFINE.findall(text):
        whole = joined(value, own) if value.startswith('"') else None
        if whole is not None:
            own[name] = whole
    out = {}
    for chain in CHAIN.findall(re.sub(r"#define \w+", ";", text)):  # a macro's name is no part of its text
        whole = joined(chain, own) if '"' in chain else None
        found = whole and OPERATION.match(whole)
        if found and all(whole.count(one) == whole.count(other) for one, other in ("{}", "()")):
            out[found.group(2) or f"unnamed {len(out)}"] = whole
    return out, own


def plugin_documents():
    """Of all C files of the plugin; the macros of its headers are known in each."""
    sources, macros, out = [], {}, {}
    for folder, _, names in os.walk(PLUGIN):
        sources += [os.path.join(folder, name) for name in names if name.endswith((".c", ".h"))]
    for path in sorted(sources, key=lambda one: (one.endswith(".c"), one)):
        found, known = documents_in(read(path), macros)
        if path.endswith(".h"):
            macros = known
        out.update({f"{os.path.relpath(path, PLUGIN)}: {name}": text for name, text in found.items()})
    return out


def operations():
    parts = re.split(r"(?m)^(?=(?:query|mutation) \w)", read(os.path.join(DATA, "shopify-operations.graphql")))
    return {OPERATION.match(one).group(2): one for one in parts[1:]}


def held_against(node, schemas, versions, documents, excerpts=()):
    run = subprocess.run([node, os.path.join(HERE, "shopify_schema.mjs"), schemas, *versions], text=True,
                         input=json.dumps({"documents": documents, "excerpts": list(excerpts)}), capture_output=True,
                         timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def seen(node, schemas):
    excerpts = [read(os.path.join(DATA, name)) for name in sorted(os.listdir(DATA))
                if name.endswith(".graphql") and name != "shopify-operations.graphql"]
    documents = {**{f"operations: {name}": text for name, text in operations().items()}, **plugin_documents()}
    return held_against(node, schemas, shopify_schemas.VERSIONS, documents, excerpts)


SINCE = {  # only asked of a shop of this version or a later one
    "orders/cancel.c: OrderCancelTold": "2026-10",
    "orders/cancel.c: OrderCancelResult": "2026-10",
}


def test_every_document_of_the_plugin_and_of_the_facts_is_valid(seen):
    for version in shopify_schemas.VERSIONS:
        wrong = {name: said for name, said in seen[version]["documents"].items()
                 if said and version >= SINCE.get(name, version)}
        assert not wrong, f"{version}: {wrong}"
        assert seen[version]["types"] > 3000


def test_no_document_is_overlooked(seen):
    names = seen["2026-10"]["documents"]
    assert sum(1 for name in names if name.startswith("operations: ")) == 61
    assert "drafts/draft.c: DraftOrderCreate" in names


def test_the_stand_ins_schema_is_a_true_excerpt(seen):
    assert seen["2026-10"]["excerpt"] == []


def test_the_stand_in_has_what_the_plugin_asks_for():
    """Else no test from end to end could show what comes of it."""
    engine = Desk().engine
    wrong = {}
    for name, text in plugin_documents().items():
        said = engine.check(Call(engine, "2026-10", "app", text, None, {}))
        if said:
            wrong[name] = [one["message"] for one in said]
    assert not wrong, wrong


def test_what_is_not_there_is_found(node, schemas):
    """The comparison itself: it names a field, an argument, a value and a default that the platform has not."""
    excerpt = """schema { query: QueryRoot } type QueryRoot { order(id: ID!, loud: Boolean): Order job: Job }
        type Order { id: ID! name: Int! nickname: String } type Job { id: ID! } enum CountPrecision { EXACT ROUGH }"""
    documents = {"good": "{ order(id: 1) { id } }", "bad": "{ order(id: 1) { nickname } }", "torn": "{ order"}
    seen = held_against(node, schemas, ["2026-10"], documents, [excerpt])["2026-10"]
    assert seen["documents"]["good"] == [] and "nickname" in seen["documents"]["bad"][0]
    assert "Syntax Error" in seen["documents"]["torn"][0]
    assert set(seen["excerpt"]) == {
        "QueryRoot.order(loud:) is not there", "QueryRoot.job(id:) must be given there, and is not here",
        "Order.name is Int! here, String! there", "Order.nickname is not there", "CountPrecision.ROUGH is not there"}


def test_documents_are_found_in_c():
    source = r"""/* "query Hidden { shop { id } }" */
#define FIELDS "id " \
    "name"
#define THREE "query Three { shop { id } }"
static const char one[] = "query One { shop {" FIELDS " } }", other[] = "queryish";
static const char two[] = "mutation Two($a: ID!) { x }"; char quote = '"', *three = f("{ not one }", FIELDS);"""
    assert documents_in(source + ' char *piece = f("query Piece($a: ID!");', {})[0] == {
        "One": "query One { shop {id name } }", "Two": "mutation Two($a: ID!) { x }",
        "Three": "query Three { shop { id } }"}
