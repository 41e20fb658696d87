"""A receiver of webhooks for the tests: answers as told and keeps what it got."""

import asyncio

from aiohttp import web


class Receiver:
    """answers: what the next requests are answered with, 200 after them; "hang" is no answer. replies: {path ending: JSON}."""

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
