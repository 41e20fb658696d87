"""A receiver of webhooks for the tests: answers as told and keeps what it got."""

import asyncio
import http.server
import json
import threading

from aiohttp import web


class Receiver:
    """answers: what the next requests are answered with, 200 after them; "hang" is no answer.
    replies: {ending of a path: JSON}."""

    def __init__(self, answers=(), replies=None):
        self.answers, self.replies = list(answers), replies or {}
        self.got = []  # (raw headers, headers, body) of each request
        self.paths = []
        self.lines = set()

    async def take(self, request):
        self.got.append((request.raw_headers, request.headers, await request.read()))
        self.paths.append(request.raw_path)
        self.lines.add(request.transport.get_extra_info("peername"))
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "hang":
            await asyncio.sleep(30)
        for ending, reply in self.replies.items():
            if request.path.endswith(ending):
                return web.Response(status=answer, text=reply)
        return web.Response(status=answer, headers={"Location": "/elsewhere"} if answer == 302 else None)

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.take)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, shutdown_timeout=0.1).start()
        self.host = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.url = self.host + "/in/shop"
        return self

    async def __aexit__(self, *unused):
        await self.runner.cleanup()


class Hooks:
    """The same for tests without a loop: a thread of its own. got: (path, headers, body) of each request, in order."""

    def __init__(self, answers=(), replies=None):
        self.answers, self.replies, self.got = list(answers), replies or {}, []
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hooks.got.append((self.path, self.headers, body))
                path = self.path.partition("?")[0]
                reply = next((text for ending, text in hooks.replies.items() if path.endswith(ending)), "")
                self.send_response(hooks.answers.pop(0) if hooks.answers else 200)
                self.send_header("Content-Length", str(len(reply.encode())))
                self.end_headers()
                self.wfile.write(reply.encode())

            do_GET = do_POST

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()

    def topics(self):
        return [headers["X-Shopify-Topic"] for _, headers, _ in self.got]

    def bodies(self, topic):
        return [json.loads(body) for _, headers, body in self.got if headers["X-Shopify-Topic"] == topic]
