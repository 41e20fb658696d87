"""CSV of the Salesforce stand-in's jobs: reading what was uploaded, naming what each column is."""

import re

DELIMITERS = {"COMMA": ",", "BACKQUOTE": "`", "CARET": "^", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"}
ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
HEADER_LIMIT = 32_000  # characters of the header row
RECORD_LIMIT = 400_000  # characters of one record
FIELD_LIMIT = 131_072  # characters of one field


class JobFailed(Exception):
    """The whole job fails with this errorMessage; nothing (more) is written."""


class Row:
    """One uploaded row and what became of it."""

    __slots__ = ("cells", "broken", "state", "record_id", "created", "error")

    def __init__(self, cells, broken=None):
        self.cells = cells  # text by column, as uploaded
        self.broken = broken  # why the line could not be read
        self.state = "unprocessed"  # success, failed, unprocessed, missing
        self.record_id = ""
        self.created = False
        self.error = ""


def read_csv(text, delimiter, ending):
    """Yields the header, then a Row for each line.

    JobFailed where the header cannot be read; a bad line becomes a broken row. Nothing for an empty text.
    """
    cell = re.compile('(?:"((?:[^"]|"")*)"|([^"\r\n%s]*))(%s|%s|\\Z)'
                      % (re.escape(delimiter), re.escape(delimiter), re.escape(ending)))
    header, line, at, end, begun = None, [], 0, len(text), 0
    while at < end or line:
        found = cell.match(text, at)
        if not found:
            if header is None:
                raise JobFailed("InvalidBatch : Failed to parse CSV. Found unescaped quote")
            stop = text.find(ending, at)
            stop = end if stop < 0 else stop
            line += text[at:stop].split(delimiter)
            yield Row(line, "Failed to parse CSV. Found unescaped quote")
            line, at = [], stop + len(ending)
            begun = at
            continue
        quoted, plain, stop = found.groups()
        line.append(plain if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if stop == delimiter:
            if at == end:  # a last, empty cell without a line ending
                line.append("")
            else:
                continue
        if header is None:
            if at - begun > HEADER_LIMIT:
                raise JobFailed("InvalidBatch : The header row is longer than 32,000 characters")
            header = line
            yield header
        elif line != [""] or len(header) == 1 and quoted is not None:
            yield Row(line, too_large(line, at - begun))
        line, begun = [], at


def too_large(cells, size):
    """Why a record is beyond the platform's limits, or None."""
    if size > RECORD_LIMIT:
        return "the record has more than 400,000 characters"
    if size > FIELD_LIMIT and any(len(cell) > FIELD_LIMIT for cell in cells):
        return "a field has more than 131,072 characters"
    return None


def check_line_ending(text, name):
    """A whole job fails on the wrong one. CR LF inside a value counts, for a job with LF."""
    wrong = "\r\n" in text if name == "LF" else False
    if name == "CRLF":
        outside = re.sub('"(?:[^"]|"")*"', "", text)
        wrong = re.search("(?<!\r)\n", outside) is not None
    if wrong:
        raise JobFailed("ClientInputError : LineEnding is invalid on user data. "
                        f"Current LineEnding setting is {name}")


def quote(value):
    return '"' + value.replace('"', '""') + '"'


class Column:
    def __init__(self, field=None, kind=None, relationship=None, parent_field=None):
        self.field, self.kind = field, kind
        self.relationship, self.parent_field = relationship, parent_field


def read_column(schema, sobject, name):
    """What one header names; JobFailed with the platform's text if nothing."""
    lost = JobFailed(f"InvalidBatch : Field name not found : {name}")
    if "." in name:
        head, _, field = name.partition(".")
        typed, _, relationship = head.rpartition(":")
        lookup, spec = schema.relationship(sobject, relationship)
        if lookup is None:
            raise JobFailed(f"InvalidBatch : Unable to find relationship: {relationship}")
        if typed:
            raise JobFailed("InvalidBatch : type is not needed for non polymorphic foreign key references: "
                            f"{relationship}")
        if not schema.is_key(spec["to"], field):
            raise lost
        return Column(relationship=relationship, parent_field=field)
    known, spec = schema.field(sobject, name)
    if known is None or spec.get("read_only"):
        raise lost
    return Column(known, spec["type"])
