"""Out of the Salesforce stand-in: Outbound Messages (SOAP, sent until they are acknowledged) and Flow HTTP callouts.

Started by control calls, so that a gateway under test can be their receiver. What is sent is the record as it
is at that moment, not as it was when something happened to it.
"""

import asyncio
import base64
import decimal
import hashlib
import hmac
import json
import random
import re
import xml.etree.ElementTree
from xml.sax.saxutils import escape

import aiohttp
from aiohttp import web

from sandbox import sf_schema as sf
from sandbox.common import as_json

PER_POST = 100  # notifications of one message, at most; and callouts of one transaction
LONGEST_WAIT_S = 2 * 3600
GIVEN_UP_S = 24 * 3600
OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"

MESSAGE_KEYS = {"url", "object", "fields", "ids", "watch", "per_post", "first_ms", "session_id", "shuffle", "seed",
                "repeat", "lose_acks", "timeout_ms"}
CALLOUT_KEYS = {"url", "method", "object", "fields", "ids", "watch", "change", "headers", "hmac", "timeout_ms"}


class Action:
    """A configured message or callout: what is sent of which object, and where to."""

    def __init__(self, spec, number, schema):
        self.url, self.fields = spec["url"], spec["fields"]
        self.object = schema.find(spec["object"])
        if self.object is None or not all(schema.field(self.object, one)[0] for one in self.fields):
            raise ValueError(f"no such object or field: {spec['object']} {self.fields}")
        self.spec = spec
        self.id = sf.make_id("04k", number)
        self.watch = spec.get("watch")  # {field: regex}: a written record that fits is sent
        self.timeout = aiohttp.ClientTimeout(total=spec.get("timeout_ms", 10_000) / 1000)
        self.random = random.Random(spec.get("seed", 0))
        self.lost = spec.get("lose_acks", 0)  # so many good answers will not arrive
        self.waiting = []
        self.wake = asyncio.Event()

    def watches(self, sobject, fields):
        return self.watch is not None and sobject == self.object and all(
            re.search(pattern, str(fields.get(name) or "")) for name, pattern in self.watch.items())


class Notification:
    def __init__(self, number, record_id, now, repeat):
        self.id = sf.make_id("04l", number)
        self.record_id = record_id
        self.made = self.due = now
        self.tries = 0
        self.left = 1 + repeat  # acknowledged sendings still to come
        self.state = "waiting"  # acked, dropped, gone (its record was deleted)

    def books(self):
        return {"id": self.id, "record": self.record_id, "tries": self.tries, "state": self.state}


def text(value):
    """A value in the message: 45000.0, true, a date-time that ends in Z."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        whole = format(value.normalize(), "f")
        return whole if "." in whole else whole + ".0"
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+0000", str(value)):
        return str(value)[:-5] + "Z"
    return escape(str(value))


def envelope(action, batch, base_url, session):
    """The bytes of a message; batch: [(Notification, fields)]."""
    org = sf.ORG_ID[:15]
    said = f"<SessionId>{session}</SessionId>" if session else '<SessionId xsi:nil="true"/>'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
             'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
             " <soapenv:Body>", f'  <notifications xmlns="{OUTBOUND}">',
             f"   <OrganizationId>{sf.ORG_ID}</OrganizationId>", f"   <ActionId>{action.id}</ActionId>",
             f"   {said}", f"   <EnterpriseUrl>{base_url}/services/Soap/c/66.0/{org}</EnterpriseUrl>",
             f"   <PartnerUrl>{base_url}/services/Soap/u/66.0/{org}</PartnerUrl>"]
    for one, fields in batch:
        lines += ["   <Notification>", f"    <Id>{one.id}</Id>",
                  f'    <sObject xsi:type="sf:{action.object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">',
                  f"     <sf:Id>{one.record_id}</sf:Id>"]
        lines += [f"     <sf:{name}>{text(fields[name])}</sf:{name}>" for name in sorted(action.fields)
                  if name != "Id" and fields.get(name) is not None]
        lines += ["    </sObject>", "   </Notification>"]
    lines += ["  </notifications>", " </soapenv:Body>", "</soapenv:Envelope>"]
    return "\n".join(lines).encode()


def verdict(status, content_type, body):
    """`ack`, or why the answer is none. Nothing but the exact one counts."""
    if status != 200:
        return f"status {status}"
    if content_type.partition(";")[0].strip().lower() != "text/xml":
        return f"type {content_type}"
    try:
        root = xml.etree.ElementTree.fromstring(body)
    except xml.etree.ElementTree.ParseError as wrong:
        return f"no XML: {wrong}"
    path = [f"{{{SOAP}}}Envelope", f"{{{SOAP}}}Body", f"{{{OUTBOUND}}}notificationsResponse", f"{{{OUTBOUND}}}Ack"]
    if root.tag != path[0]:
        return "no envelope"
    for tag in path[1:]:
        root = root.find(tag)
        if root is None:
            return f"no {tag}"
    return "ack" if root.text == "true" else f"Ack is {root.text}"


class Outbound:
    routes = []

    def __init__(self, home):
        self.home, self.store, self.clock = home, home.store, home.clock
        self.session = None
        self.store.listeners.append(self.on_change)
        self.clear()

    def clear(self):
        self.actions, self.notifications, self.posts = [], [], []
        self.callouts, self.flows = [], []
        self.count = 0

    def http(self):
        if self.session is None:
            self.session = aiohttp.ClientSession(auto_decompress=True)
        return self.session

    async def stop(self):
        if self.session is not None:
            await self.session.close()

    def on_change(self, sobject, record_id, change):
        for action in self.actions:
            if change != "DELETE" and action.watches(sobject, self.store.fields_of(sobject, record_id)):
                self.enqueue(action, [record_id])
        for flow in self.flows:
            if flow.watches(sobject, self.store.fields_of(sobject, record_id)):
                self.home.spawn(self.call_out(flow, record_id, change))

    def asked(self, spec, keys):
        """(Action, ids of the records meant); ValueError if it cannot be."""
        if set(spec) - keys or not {"url", "object", "fields"} <= set(spec):
            raise ValueError(f"needs url, object and fields; may have {', '.join(sorted(keys))}")
        self.count += 1
        action = Action(spec, self.count, self.home.schema)
        ids = spec.get("ids", [] if action.watch is not None else list(self.store.records[action.object]))
        for one in ids:
            if self.store.by_id(action.object, one) is None:
                raise ValueError(f"there is no {action.object} {one}")
        return action, ids

    # ---- outbound messages ----

    def start(self, spec):
        action, ids = self.asked(spec, MESSAGE_KEYS)
        self.actions.append(action)
        made = self.enqueue(action, ids)
        self.home.spawn(self.pump(action))
        return {"action": action.id, "notifications": [one.id for one in made]}

    def enqueue(self, action, ids):
        made = []
        for one in ids:
            number = len(self.notifications) + 1
            made.append(Notification(number, one, self.clock.now(), action.spec.get("repeat", 0)))
            self.notifications.append(made[-1])
        action.waiting += made
        action.wake.set()
        return made

    async def pump(self, action):
        """Sends what is due, for as long as there is anything to come."""
        while action.waiting or action.watch is not None:
            action.wake.clear()
            due = [one for one in action.waiting if one.due <= self.clock.now()]
            if due:
                if action.spec.get("shuffle"):
                    action.random.shuffle(due)
                await self.post(action, due[:min(PER_POST, action.spec.get("per_post", PER_POST))])
                continue
            waits = [asyncio.ensure_future(action.wake.wait())]
            if action.waiting:
                waits.append(asyncio.ensure_future(self.clock.until(min(one.due for one in action.waiting))))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()

    async def post(self, action, due):
        batch = [(one, self.store.fields_of(action.object, one.record_id)) for one in due]
        for one, fields in batch:
            if not fields:
                self.settle(action, one, "gone")
        batch = [(one, fields) for one, fields in batch if fields]
        if not batch:
            return
        session = next(iter(self.home.auth.sessions), "none") if action.spec.get("session_id") else None
        body = envelope(action, batch, self.home.url, session)
        said = await self.send("POST", action, body, {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'})
        said = verdict(*said) if isinstance(said, tuple) else said
        if said == "ack" and action.lost > 0:
            action.lost -= 1
            said = "lost"
        self.posts.append({"action": action.id, "at": self.clock.stamp(), "verdict": said,
                           "notifications": [one.id for one, _ in batch]})
        for one, _ in batch:
            self.after(action, one, said == "ack")

    def after(self, action, one, acked):
        """What becomes of a notification once it was sent."""
        one.tries += 1
        if acked:
            one.left -= 1
            if one.left == 0:
                self.settle(action, one, "acked")
            return
        first_s = action.spec.get("first_ms", 1000) / 1000
        one.due = self.clock.now() + min(first_s * 2 ** min(one.tries - 1, 30), LONGEST_WAIT_S)
        if self.clock.now() - one.made > GIVEN_UP_S:
            self.settle(action, one, "dropped")

    def settle(self, action, one, state):
        one.state = state
        action.waiting.remove(one)

    async def send(self, method, action, body, headers):
        """(status, content type, body) of the answer; the error's name if there was none."""
        try:
            async with self.http().request(method, action.url, data=body, headers=headers, timeout=action.timeout,
                                           allow_redirects=False, ssl=False) as answered:
                return answered.status, answered.headers.get("Content-Type", ""), await answered.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as broken:
            return type(broken).__name__

    # ---- callouts from a flow ----

    async def start_flow(self, spec):
        """Calls once for each record, and again for what is written later if it watches. Nothing is retried."""
        flow, ids = self.asked(spec, CALLOUT_KEYS)
        if flow.watch is not None:
            self.flows.append(flow)
        if len(ids) > PER_POST:
            raise ValueError("System.LimitException: Too many callouts: 101")
        for one in ids:
            await self.call_out(flow, one, spec.get("change", "UPDATE"))
        return {"callouts": self.callouts[len(self.callouts) - len(ids):]}

    async def call_out(self, flow, record_id, change):
        fields = self.store.fields_of(flow.object, record_id)
        event = f"{flow.id}-{len(self.callouts) + 1}"
        body = json.dumps({"eventId": event, "object": flow.object, "id": record_id, "changeType": change,
                           "occurredAt": self.clock.stamp()[:-5] + "Z",
                           "fields": {name: sf.to_json(fields.get(name)) for name in flow.fields}},
                          ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", **flow.spec.get("headers", {}), **signed(flow.spec, body)}
        books = {"eventId": event, "record": record_id, "sent": body.decode()}
        self.callouts.append(books)
        said = await self.send(flow.spec.get("method", "POST"), flow, body, headers)
        books.update(self.judge(*said) if isinstance(said, tuple) else {"error": said, "upset": True})

    def judge(self, status, kind, body):
        """`upset`: the flow cannot make anything of it and takes its fault path."""
        said = body.decode("utf-8", "replace")
        try:
            json.loads(said)
            upset = not 200 <= status < 300
        except ValueError:
            upset = True
        return {"status": status, "type": kind, "answer": said[:4000], "upset": upset}

    # ---- books and control ----

    def books(self):
        return {"notifications": [one.books() for one in self.notifications], "posts": self.posts,
                "callouts": self.callouts}

    async def on_outbound(self, request):
        if request.method == "GET":
            return as_json(self.books())
        try:
            return as_json(self.start(await request.json()))
        except (ValueError, KeyError, TypeError) as wrong:
            return as_json({"error": str(wrong)}, 400)

    async def on_callout(self, request):
        try:
            return as_json(await self.start_flow(await request.json()))
        except (ValueError, KeyError, TypeError) as wrong:
            return as_json({"error": str(wrong)}, 400)

    def control_routes(self):
        return [web.route("*", "/_control/outbound", self.on_outbound),
                web.post("/_control/callout", self.on_callout)]


def signed(spec, body):
    """The header with an HMAC-SHA256 of the body: {"hmac": {"header", "secret", "encoding": "base64" | "hex"}}."""
    asked = spec.get("hmac")
    if not asked:
        return {}
    mac = hmac.digest(asked["secret"].encode(), body, hashlib.sha256)
    return {asked["header"]: mac.hex() if asked.get("encoding") == "hex" else base64.b64encode(mac).decode()}
