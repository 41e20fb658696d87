"""Faults of single rows in the Salesforce stand-in, the same for jobs, collections and single records."""

import collections
import re
import zlib

from sandbox.sf_rules import duplicate_result
from sandbox.sf_store import LOCKED, RowError

# What a forced row error says when the rule names only the code.
MESSAGES = {
    "UNABLE_TO_LOCK_ROW": LOCKED + "0015g00000Acc01AAB",
    "REQUIRED_FIELD_MISSING": "Required fields are missing: [{field}]",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "a validation rule says no",
    "DUPLICATES_DETECTED": "Use one of these records?",
    "INVALID_CROSS_REFERENCE_KEY": "invalid cross reference id",
    "ENTITY_IS_DELETED": "entity is deleted",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "OrderTrigger: execution of BeforeInsert",
    "REQUEST_RUNNING_TOO_LONG": "Your request was running for too long, and has been stopped.",
    "INSUFFICIENT_ACCESS_OR_READONLY": "insufficient access rights on object id",
    "INVALID_FIELD": "No such column '{field}' on sobject of type {object}",
    "STRING_TOO_LONG": "{field}: data value too large: (max length=80)",
    "INACTIVE_OWNER_OR_USER": "operation performed with inactive user",
    "LIMIT_EXCEEDED": "System.LimitException: Apex CPU time limit exceeded",
}
NEEDS_FIELD = {"REQUIRED_FIELD_MISSING": "Name", "INVALID_FIELD": "Name", "STRING_TOO_LONG": "Name"}


class RowFaults:
    """Asks the rules about each row. The same rows are struck on every try."""

    def __init__(self, faults, org):
        self.faults, self.org = faults, org
        self.clear()

    def clear(self):
        self.tries = collections.Counter()  # (rule, object, key) -> tries so far

    def strike(self, action, names, sobject, key, cell):
        """The first rule that strikes; names: what its `at` may say; cell(column) gives the row's text or None."""
        for rule in self.faults.of(action):
            if not rule.covers([*names, sobject]) or not rule.in_window() or not chosen(rule, key, cell):
                continue
            tried = (rule.id, sobject, key)
            self.tries[tried] += 1
            if rule.get("times") is not None and self.tries[tried] > rule.get("times"):
                continue
            if rule.left is not None:
                if rule.left <= 0:
                    continue
                rule.left -= 1
            rule.fired += 1
            self.faults.fired[action] += 1
            return rule
        return None

    def refuse(self, names, sobject, key, cell):
        """Raises the RowError that a row_error rule has for this row."""
        rule = self.strike("row_error", names, sobject, key, cell)
        if rule:
            raise self.error(rule, sobject)

    def error(self, rule, sobject):
        code = rule.get("code", "UNABLE_TO_LOCK_ROW")
        field = rule.get("field") or NEEDS_FIELD.get(code)
        message = rule.get("message") or MESSAGES.get(code, "made to fail")
        message = message.replace("{field}", field or "").replace("{object}", sobject)
        more = {}
        if code == "DUPLICATES_DETECTED":
            more = duplicate_result(self.org.duplicate_matches, sobject, rule.get("matches", []), message)
        return RowError(code, message, [field] if field else [], more=more)


def chosen(rule, key, cell):
    if rule.get("keys") is not None:
        return key in rule.get("keys")
    for name, pattern in rule.get("where", {}).items():
        text = cell(name)
        if text is None or not re.search(pattern, text):
            return False
    draw = zlib.crc32(f"{rule.get('seed', 0)}/{key}".encode())
    if rule.get("every") is not None:
        return draw % rule.get("every") == 0
    if rule.get("fraction") is not None:
        return draw / 2**32 < rule.get("fraction")
    return True
