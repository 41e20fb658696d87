#!/usr/bin/python3
"""Receiver stand-in: any system that takes JSON by a request - a chat, a pager, an ERP.

It takes every method on every path and remembers what came. With --secret each request must carry a
Standard Webhooks signature (https://www.standardwebhooks.com, specification 1.0) of one of the secrets and
a time that is not too far away; else it is a 401. With --by-id a webhook-id that came before changes nothing
and is answered as the first time, as that specification recommends. With --find GET ...?key=KEY tells of the
first message with "key": KEY in its body, or is a 404.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from sandbox import common
from sandbox.common import as_json, now_ms


class BadSignature(ValueError):
    """What is wrong with a request's signature."""


def key_of(secret):
    """The bytes of a whsec_ secret; the prefix may be missing."""
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def verify(secrets, headers, body, now, tolerance_s=300):
    """The message's id. `headers`: a mapping that ignores case; BadSignature says what is wrong."""
    message, stamp, signatures = (headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if not (message and stamp and signatures):
        raise BadSignature("a header is missing")
    if not stamp.isascii() or not stamp.isdigit():
        raise BadSignature("the timestamp is not a number of seconds")
    if abs(now - int(stamp)) > tolerance_s:
        raise BadSignature("the timestamp is too old or too new")
    signed = f"{message}.{stamp}.".encode() + body
    wanted = [base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)) for secret in secrets]
    for one in signatures.split(" "):
        version, _, claimed = one.partition(",")
        if version == "v1" and any(hmac.compare_digest(claimed.encode(), right) for right in wanted):
            return message
    raise BadSignature("no signature fits")


class Receiver(common.StandIn):
    name = "receiver"

    def __init__(self, secrets=(), by_id=False, token=None, find=False, books_file=None):
        super().__init__(books_file)
        self.secrets, self.by_id, self.token, self.can_find = list(secrets), by_id, token, find
        self.reset()

    def reset(self):
        self.messages = []  # in order of arrival, as the books show them
        self.replays = []
        self.refused = []
        self.answers = {}  # by message id

    def steps_of(self, request):
        if self.can_find and request.method == "GET":
            return ["lookup"]
        return ["message", request.method.lower()]

    async def act(self, request):
        body = await request.read()
        if self.token and request.headers.get("Authorization", "") != f"Bearer {self.token}":
            return as_json({"error": {"message": "the bearer token is missing or wrong"}}, 401)
        if self.can_find and request.method == "GET":
            return self.find(request.query.get("key", ""))
        if self.secrets:
            try:
                verify(self.secrets, request.headers, body, time.time())
            except BadSignature as wrong:
                self.refused.append({"at": now_ms(), "why": str(wrong)})
                return as_json({"error": {"message": str(wrong)}}, 401)
        return self.take(request, body)

    def find(self, key):
        for at, one in enumerate(self.messages):
            if key and f'"key":"{key}"' in one["raw"].replace(" ", ""):
                return as_json({"id": f"msg-{at + 1}"})
        return as_json({"error": {"message": "no such message"}}, 404)

    def take(self, request, body):
        came = {"at": now_ms(), "method": request.method, "path": request.path_qs, "raw": body.decode(),
                "headers": {name.lower(): value for name, value in request.headers.items()}}
        message = request.headers.get("webhook-id")
        if self.by_id and message in self.answers:
            self.replays.append(came)
            return as_json(self.answers[message])
        self.messages.append(came)
        answer = {"ok": True, "id": f"msg-{len(self.messages)}"}
        if message:
            self.answers[message] = answer
        return as_json(answer)

    def books(self):
        return {"messages": self.messages, "replays": self.replays, "refused": self.refused}


def main():
    parser = common.arguments("Receiver stand-in")
    parser.add_argument("--secret", action="append", default=[], metavar="WHSEC",
                        help="signatures must be of this secret, or of another one given so")
    parser.add_argument("--by-id", action="store_true", help="a webhook-id that came before changes nothing")
    parser.add_argument("--token", help="the bearer token that is asked for; none: any")
    parser.add_argument("--find", action="store_true", help="GET ...?key=KEY tells of a message")
    args = parser.parse_args()
    try:
        for secret in args.secret:
            key_of(secret)
    except ValueError as wrong:
        parser.error(f"--secret: {wrong}")
    return common.serve(Receiver(args.secret, args.by_id, args.token, args.find, args.books), args)


if __name__ == "__main__":
    sys.exit(main())
