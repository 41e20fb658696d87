"""What every stand-in shares: the HTTP server, fault rules, books, the control API, the command line.

A stand-in is a subclass of StandIn. Every request outside /_control/ passes gate(), which counts it,
asks the fault rules what shall go wrong, and lets the subclass act. "Acting" is what the platform does
of lasting effect (store an order, accept an upload); the interesting faults are those that lose the
answer after it.
"""

import argparse
import asyncio
import collections
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import struct
import sys
import time

from aiohttp import web

FOREVER_S = 24 * 3600
LINE_LIMIT = 32_768  # bytes of a request line; platforms refuse shorter ones by themselves
LOG_LIMIT = 20000  # requests remembered one by one; counters go on

# Faults of the HTTP exchange. True: the platform has acted when the fault shows.
HTTP_ACTIONS = {
    "status": False,  # answer `status`, `body`, `headers`
    "hang": False,  # never act, never answer (or close after `ms`)
    "reset": False,  # TCP reset before acting
    "cut_before": False,  # plain close before acting
    "status_after": True,  # act, then answer `status`, `body`, `headers` all the same
    "slow": True,  # wait `ms`, or until the rule is taken away, then act and answer
    "drip": True,  # act, then send the answer in small pieces over `ms`
    "hang_after": True,  # act, then never answer (or close after `ms`)
    "cut_after": True,  # act, then close (or reset, with "how": "reset") without a byte of answer
    "torn": True,  # act, then close in the middle of the answer (`bytes` of its body, default half)
    "garbage": True,  # act, then answer 200 with something that is not what was agreed
    "cut_late": True,  # close at once, act `ms` later: a commit that lands after the line was lost
}

RULE_KEYS = {
    "action": str, "at": (str, list), "method": str, "path": str, "body_match": str,
    "count": int, "skip": int, "probability": (int, float), "seed": int,
    "after_ms": (int, float), "for_ms": (int, float), "ms": (int, float),
    "status": int, "body": (str, dict, list), "headers": dict, "bytes": int, "how": str, "id": str,
}


def now_ms():
    """Wall clock, whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class BadRule(ValueError):
    """A fault rule that would never do what its author meant."""


class Rule:
    """One fault rule. `take` says whether it strikes now and counts that it did."""

    _ids = itertools.count(1)

    def __init__(self, spec, known_actions, extra_keys=()):
        if not isinstance(spec, dict):
            raise BadRule(f"a rule is an object, not {spec!r}")
        for key, value in spec.items():
            if key not in RULE_KEYS and key not in extra_keys:
                raise BadRule(f"unknown key {key!r} in a rule")
            wanted = RULE_KEYS.get(key)
            if wanted and value is not None and not isinstance(value, wanted):
                raise BadRule(f"{key!r} has the wrong type: {value!r}")
        self.spec = spec
        self.action = spec.get("action")
        if self.action not in known_actions:
            raise BadRule(f"unknown action {self.action!r}; known: {', '.join(sorted(known_actions))}")
        at = spec.get("at", "*")
        self.at = {at} if isinstance(at, str) else set(at)
        self.id = spec.get("id") or f"fault-{next(self._ids)}"
        self.left = spec.get("count")
        self.skip = spec.get("skip", 0)
        self.fired = 0
        self.random = random.Random(spec.get("seed", 0))
        self.added = time.monotonic()
        self.path = re.compile(spec["path"]) if spec.get("path") else None
        self.body = re.compile(spec["body_match"].encode()) if spec.get("body_match") else None

    def get(self, key, default=None):
        value = self.spec.get(key)
        return default if value is None else value

    def in_window(self):
        age_ms = (time.monotonic() - self.added) * 1000
        start = self.get("after_ms", 0)
        return age_ms >= start and ("for_ms" not in self.spec or age_ms < start + self.spec["for_ms"])

    def covers(self, steps, method=None, path="", body=b""):
        if "*" not in self.at and not self.at & set(steps):
            return False
        if self.spec.get("method") and self.spec["method"].upper() != method:
            return False
        if self.path and not self.path.search(path):
            return False
        return not self.body or bool(self.body.search(body))

    def take(self):
        """Called when the rule covers something: window, skip, chance and count decide."""
        if self.left is not None and self.left <= 0 or not self.in_window():
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if "probability" in self.spec and self.random.random() >= self.spec["probability"]:
            return False
        if self.left is not None:
            self.left -= 1
        self.fired += 1
        return True

    def to_json(self):
        return {**self.spec, "id": self.id, "fired": self.fired, "left": self.left}


class Faults:
    """The rules in force. The first HTTP rule that strikes wins; data rules are asked by name."""

    def __init__(self, actions, extra_keys):
        self.actions = actions
        self.extra_keys = extra_keys
        self.rules = []
        self.fired = collections.Counter()

    def add(self, specs, replace=False):
        made = [Rule(spec, self.actions, self.extra_keys) for spec in specs]
        names = {rule.id for rule in made}
        self.rules = [] if replace else [rule for rule in self.rules if rule.id not in names]
        self.rules += made
        return made

    def clear(self):
        self.rules = []

    def strike(self, actions, steps, method=None, path="", body=b""):
        for rule in self.rules:
            if rule.action in actions and rule.covers(steps, method, path, body) and rule.take():
                self.fired[rule.action] += 1
                return rule
        return None

    async def lasts(self, rule, seconds):
        """Waits so long, or until the rule is taken away; None: so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (rule is None or rule in self.rules):
            await asyncio.sleep(left if rule is None else min(left, 0.02))

    def of(self, action):
        return [rule for rule in self.rules if rule.action == action]


class StandIn:
    """Base of the HTTP stand-ins: server, gate, control API, request books."""

    name = "stand-in"
    data_actions = ()  # fault actions of the subclass that are not about the HTTP exchange
    answer_actions = {}  # name -> method(rule, request) giving a response instead of acting
    rule_keys = ()  # further keys its rules may have

    def __init__(self, books_file=None):
        actions = set(HTTP_ACTIONS) | set(self.data_actions) | set(self.answer_actions)
        self.faults = Faults(actions, set(self.rule_keys))
        self.books_file = books_file
        self.host = None
        self.port = None
        self.scheme = "http"
        self._runner = None
        self._tasks = set()
        self._late = []  # (when, request): acted upon after their line was cut
        self.clear_requests()

    # ---- for the subclass ----

    def steps_of(self, request):
        """Names a rule's `at` may use for this request, most exact first."""
        return [request.method.lower()]

    async def act(self, request):
        raise NotImplementedError

    def refuse(self, request):
        """Chance to answer before anything else (a rate limit). Not a fault."""
        return None

    def finish(self, request, response):
        """Headers that every answer carries."""

    def reset(self):
        """Back to the state of a fresh start, faults apart."""

    def books(self):
        """The subclass's books; request counters are added."""
        return {}

    def control_routes(self):
        return []

    # ---- requests ----

    def clear_requests(self):
        self.requests = {"total": 0, "incomplete": 0}
        self.by_status = collections.Counter()
        self.by_step = collections.Counter()
        self.log = collections.deque(maxlen=LOG_LIMIT)

    def request_books(self):
        return {
            **self.requests,
            "by_status": dict(self.by_status),
            "by_step": dict(self.by_step),
            "faults": dict(self.faults.fired),
            "log": list(self.log),
        }

    async def gate(self, request):
        steps = self.steps_of(request)
        self.requests["total"] += 1
        self.by_step[steps[0]] += 1
        entry = {"at": now_ms(), "step": steps[0], "method": request.method, "path": request.path_qs}
        self.log.append(entry)
        by_status = self.by_status  # those of now: a reset begins others
        try:
            body = await request.read()
        except Exception:
            self.requests["incomplete"] += 1
            entry["status"] = "incomplete"
            raise
        await self.act_overdue()
        response = self.refuse(request)
        if response is None:
            http = set(HTTP_ACTIONS) | set(self.answer_actions)
            rule = self.faults.strike(http, steps, request.method, request.path_qs, body)
            if rule:
                entry["fault"] = rule.action
                response = await self.spoil(rule, request)
            else:
                response = await self.answer(request)
        status = "none" if response is None else str(response.status)
        entry["status"] = status
        by_status[status] += 1
        if response is None:  # the line is gone; aiohttp wants an object all the same
            return web.Response()
        return response

    async def answer(self, request):
        try:
            response = await self.act(request)
        except web.HTTPException as raised:
            response = raised
        self.finish(request, response)
        return response

    async def spoil(self, rule, request):
        """Plays a fault; None when no answer went out whole."""
        action = rule.action
        if action in self.answer_actions:
            response = self.answer_actions[action](self, rule, request)
            self.finish(request, response)
            return response
        if action == "status":
            response = self.made_up(rule)
            self.finish(request, response)
            return response
        if action in ("reset", "cut_before"):
            return self.drop(request, action == "reset")
        if action == "hang":
            return await self.hang(rule, request)
        if action == "cut_late":
            self.spawn(self.act_later(rule.get("ms", 500) / 1000, request))
            return self.drop(request, rule.get("how") == "reset")
        if action == "slow":
            await self.faults.lasts(rule, rule.get("ms", 1000) / 1000)
            return await self.answer(request)
        response = await self.answer(request)
        if action == "hang_after":
            return await self.hang(rule, request)
        if action == "status_after":
            made_up = self.made_up(rule)
            self.finish(request, made_up)
            return made_up
        if action == "cut_after":
            return self.drop(request, rule.get("how") == "reset")
        if action == "garbage":
            return web.Response(status=rule.get("status", 200), body=rule.get("body", "<<< 0xDEAD >>>"),
                                content_type=rule.get("headers", {}).get("Content-Type", "text/plain"))
        if action == "torn":
            return await self.tear(rule, request, response)
        return await self.drip(rule, request, response)

    def made_up(self, rule):
        body = rule.get("body", {"error": {"code": "fault", "message": "made to fail"}})
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": "text/html" if isinstance(body, str) else "application/json"}
        headers.update(rule.get("headers", {}))
        return web.Response(status=rule.get("status", 503), text=text, headers=headers)

    async def act_later(self, seconds, request):
        late = (time.monotonic() + seconds, request)
        self._late.append(late)
        await asyncio.sleep(seconds)
        await self.act_late(late)

    async def act_late(self, late):
        if late in self._late:
            self._late.remove(late)
            await self.answer(late[1])

    async def act_overdue(self):
        """Who asks later than something was to be done finds it done, however busy the machine is."""
        for late in [one for one in self._late if one[0] <= time.monotonic()]:
            await self.act_late(late)

    async def hang(self, rule, request):
        ms = rule.get("ms")
        await asyncio.sleep(FOREVER_S if ms is None else ms / 1000)
        return self.drop(request, False)

    def drop(self, request, hard):
        transport = request.transport
        if transport is not None:
            if hard:
                linger = struct.pack("ii", 1, 0)  # close() then sends RST
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                transport.abort()
            else:
                transport.close()
        return None

    async def tear(self, rule, request, response):
        head, body = raw_answer(response)
        cut = rule.get("bytes", len(body) // 2)
        piece = head + body[:cut] if body else head[: len(head) // 2]
        if request.transport is not None:
            request.transport.write(piece)
        return self.drop(request, False)

    async def drip(self, rule, request, response):
        head, body = raw_answer(response)
        whole, pieces = head + body, 20
        size = max(1, -(-len(whole) // pieces))
        for start in range(0, len(whole), size):
            if request.transport is None:
                return None
            request.transport.write(whole[start:start + size])
            await asyncio.sleep(rule.get("ms", 1000) / 1000 / pieces)
        self.drop(request, False)
        return None

    def spawn(self, coroutine):
        """A task that reset and stop end."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---- control API ----

    def all_books(self):
        return {"name": self.name, "requests": self.request_books(), **self.books()}

    async def on_books(self, request):
        return as_json(self.all_books())

    async def on_health(self, request):
        return as_json({"ok": True, "name": self.name, "port": self.port})

    async def on_faults(self, request):
        if request.method == "GET":
            return as_json({"rules": [rule.to_json() for rule in self.faults.rules]})
        if request.method == "DELETE":
            self.faults.clear()
            return as_json({"rules": []})
        try:
            asked = await request.json()
            if isinstance(asked, list):
                asked = {"rules": asked}
            rules = asked.get("rules") if "rules" in asked else [asked]
            self.faults.add(rules, bool(asked.get("replace")) if "rules" in asked else False)
        except (BadRule, ValueError, re.error, AttributeError, TypeError) as wrong:
            return as_json({"error": str(wrong)}, 400)
        return as_json({"rules": [rule.to_json() for rule in self.faults.rules]})

    def forget_connections(self, but):
        """What a process that was killed had sent, and nobody has read yet, is not of the next test."""
        for connection in self._runner.server.connections:
            if connection.transport is not None and connection.transport is not but:
                connection.transport.abort()

    async def on_reset(self, request):
        self.forget_connections(request.transport)
        for task in list(self._tasks):
            task.cancel()
        self._late.clear()
        self.faults.clear()
        self.faults.fired.clear()
        self.clear_requests()
        self.reset()
        return as_json({"ok": True})

    async def on_save(self, request):
        self.save()
        return as_json({"ok": True, "file": self.books_file})

    # ---- server ----

    def save(self):
        if self.books_file:
            write_whole(self.books_file, json.dumps(self.all_books(), ensure_ascii=False))

    async def _save_now_and_then(self):
        saved = -1
        while True:
            await asyncio.sleep(5)
            if self.requests["total"] != saved:
                saved = self.requests["total"]
                self.save()

    async def start(self, host="127.0.0.1", port=0, tls=None):
        app = web.Application(client_max_size=200 * 1024 * 1024)
        app.add_routes([
            web.get("/_control/books", self.on_books),
            web.get("/_control/health", self.on_health),
            web.route("*", "/_control/faults", self.on_faults),
            web.post("/_control/reset", self.on_reset),
            web.post("/_control/save", self.on_save),
            *self.control_routes(),
            web.route("*", "/{path:.*}", self.gate),
        ])
        app.on_response_prepare.append(no_type_without_body)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=75, max_line_size=LINE_LIMIT)
        await self._runner.setup()
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.scheme = "https"
        site = web.TCPSite(self._runner, host, port, shutdown_timeout=0.2, ssl_context=context, backlog=1024)
        await site.start()
        self.host, self.port = host, self._runner.addresses[0][1]
        if self.books_file:
            self._saver = asyncio.get_running_loop().create_task(self._save_now_and_then())
        return self.port

    async def stop(self):
        if self.books_file:
            self._saver.cancel()
        for task in list(self._tasks):
            task.cancel()
        self.save()
        await self._runner.cleanup()

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"


async def no_type_without_body(request, response):
    """aiohttp gives every answer a Content-Type; one without a body has none."""
    if not getattr(response, "body", None):
        response.headers.pop("Content-Type", None)


def as_json(value, status=200, headers=None):
    return web.Response(status=status, text=json.dumps(value, ensure_ascii=False, separators=(",", ":")),
                        headers=headers, content_type="application/json", charset="utf-8")


def raw_answer(response):
    """(head, body) of an answer as bytes, for faults that cut it by hand."""
    body = response.body if isinstance(response.body, (bytes, bytearray)) else b""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{k}: {v}" for k, v in response.headers.items() if k.lower() != "content-length"]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode(), bytes(body)


def write_whole(path, text):
    """The file is the old one or the new one, never half."""
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def arguments(description):
    """The options that every stand-in has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--port-file", help="write the port here once it listens")
    parser.add_argument("--books", metavar="FILE", help="keep the books in FILE as well (JSON)")
    parser.add_argument("--tls-cert", metavar="PEM", help="serve https with this certificate chain")
    parser.add_argument("--tls-key", metavar="PEM")
    parser.add_argument("--faults", metavar="JSON", help="fault rules from the start: JSON text or @FILE")
    return parser


def serve(stand_in, args):
    """Runs until SIGTERM or SIGINT. Prints {"port":N} when it listens."""

    async def main():
        if args.faults:
            text = args.faults
            if text.startswith("@"):
                with open(text[1:], encoding="utf-8") as source:
                    text = source.read()
            rules = json.loads(text)
            stand_in.faults.add(rules if isinstance(rules, list) else [rules])
        tls = (args.tls_cert, args.tls_key) if args.tls_cert else None
        port = await stand_in.start(args.host, args.port, tls)
        if args.port_file:
            write_whole(args.port_file, f"{port}\n")
        print(json.dumps({"port": port}), flush=True)
        stop = asyncio.Event()
        for sig in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sig, stop.set)
        await stop.wait()
        await stand_in.stop()

    try:
        asyncio.run(main())
    except (OSError, BadRule, ValueError) as wrong:
        print(f"{stand_in.name}: {wrong}", file=sys.stderr)
        return 1
    return 0
