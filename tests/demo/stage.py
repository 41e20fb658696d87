"""The processes of the demonstration: stand-ins, the gateway, the receiver of alerts - and their end.

Everything is started by handle, in a session of its own (so that Ctrl-C reaches only the demo, which
then stops them in order) and dies with the demo whatever happens to it.
"""

import asyncio
import collections
import ctypes
import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.client import Control

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANDBOX = os.path.join(ROOT, "tests", "sandbox")
CONFIG = os.path.join(ROOT, "conf", "demo.yaml")
PORTS = {"intake": 18080, "admin": 18081, "byron": 19001, "nord": 19002, "crm": 19003, "alerts": 19004}
READY_S = 20
STOP_S = 15
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


def own_session():
    """In the child: no signals of our terminal, and none outlives us."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_reserved = []  # sockets


def free_ports(count):
    """Ports of our own as long as we live: bound here and never listened on, so nobody else is given them,
    while whoever binds one with SO_REUSEADDR, as servers do, can listen there."""
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
    _reserved.extend(holders)
    return [holder.getsockname()[1] for holder in holders]


class StandIn(Control):
    """A stand-in as a child process."""

    def __init__(self, program, log, *args):
        self.log = log
        self.process = subprocess.Popen([sys.executable, os.path.join(SANDBOX, program + ".py"),
                                         *map(str, args)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=log, text=True,
                                        preexec_fn=own_session)

    def wait_ready(self):
        line = self.process.stdout.readline()
        if not line:
            raise DemoError("a stand-in did not start:\n" + tail(self.log))
        super().__init__(f"http://127.0.0.1:{json.loads(line)['port']}")


def tail(log, lines=12):
    with open(log.name, encoding="utf-8", errors="replace") as source:
        return "".join("    " + line for line in source.readlines()[-lines:])


def stop(process, seconds=STOP_S):
    """SIGTERM, and SIGKILL for what does not hear. Returns the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
    return process.returncode


class Stage:
    def __init__(self, build):
        self.build = build
        self.sluice = os.path.join(build, "sluice")
        self.gateway = None
        self.stand_ins = []
        self.alerts = collections.Counter()
        self.notes = []  # what the user should know about this run
        self.env = self.lock = None
        self.session = None
        self.runner = None
        if not os.path.exists(self.sluice):
            raise DemoError(f"{self.sluice} is not there: run ./dev build first")

    # ---- the ground: a folder, ports, a configuration, secrets ----

    def prepare(self, other_ports=False):
        self.claim_folder()
        self.choose_config(other_ports)
        self.make_secrets()
        self.log = open(os.path.join(self.dir, "stand-ins.log"), "ab")
        self.gateway_log = open(os.path.join(self.dir, "gateway.log"), "ab")
        self.socket = os.path.join(self.dir, "state", "admin.sock")

    def claim_folder(self):
        """.demo/, fresh; a second demo at the same time gets a folder inside it."""
        top = os.path.join(ROOT, ".demo")
        os.makedirs(top, exist_ok=True)
        if self.lock:
            self.lock.close()
        self.lock = open(os.path.join(top, "lock"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.first = True
        except OSError:
            self.first = False
        self.dir = top if self.first else os.path.join(top, f"also-{os.getpid()}")
        if self.first:
            for name in os.listdir(top):
                path = os.path.join(top, name)
                if name.startswith("also-") and os.path.exists(f"/proc/{name[5:]}"):
                    continue
                if os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
                elif name != "lock":
                    os.unlink(path)
        os.makedirs(self.dir, exist_ok=True)

    def choose_config(self, other_ports):
        """conf/demo.yaml as it stands if that works here, else a copy that does."""
        busy = [port for port in PORTS.values() if other_ports or not is_free(port)]
        self.ports = dict(PORTS)
        self.config = CONFIG
        if self.first and not busy and os.path.realpath(self.build) == os.path.join(ROOT, "build"):
            return
        if busy or not self.first:
            self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
            why = "some of its ports are in use" if busy else "another demo is running"
            self.notes.append(f"{why}, so this one has ports of its own")
        with open(CONFIG, encoding="utf-8") as source:
            text = source.read()
        for name, port in PORTS.items():
            text = re.sub(rf"(127\.0\.0\.1:){port}\b", rf"\g<1>{self.ports[name]}", text)
        text = text.replace("../.demo/state", os.path.join(self.dir, "state"))
        text = text.replace("../build/plugins", os.path.join(self.build, "plugins"))
        text = text.replace("file: maps/", f"file: {os.path.join(ROOT, 'conf', 'maps')}/")
        self.config = os.path.join(self.dir, "demo.yaml")
        with open(self.config, "w", encoding="utf-8") as target:
            target.write(text)

    def make_secrets(self):
        """Made for this run alone; the gateway gets them by its environment."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption()).decode()
        public = key.public_key().public_bytes(serialization.Encoding.PEM,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
        self.public_key = os.path.join(self.dir, "crm.pub.pem")
        with open(self.public_key, "wb") as target:
            target.write(public)
        self.tokens = {"byron": secrets.token_urlsafe(24), "nord": secrets.token_urlsafe(24)}
        self.shop_secrets = [secrets.token_hex(32), secrets.token_hex(32)]
        made = {"DEMO_SHOPIFY_SECRET": self.shop_secrets[0], "DEMO_SHOPIFY_OLD_SECRET": self.shop_secrets[1],
                "DEMO_CRM_KEY": private,
                "DEMO_BYRON_AUTHORIZATION": "Bearer " + self.tokens["byron"],
                "DEMO_NORD_AUTHORIZATION": "Bearer " + self.tokens["nord"]}
        self.env = {**os.environ, **made}
        self.env_file = os.path.join(self.dir, "env")
        with open(os.open(self.env_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as target:
            for name, value in made.items():
                target.write(f"export {name}={shlex.quote(value)}\n")

    # ---- up ----

    async def open(self):
        """All of it. A port can be taken between the look at it and its use: then once more, on others."""
        self.prepare()
        try:
            await self.start()
        except (DemoError, OSError):
            if self.ports != PORTS:
                raise
            self.stop()
            await self.close()
            self.notes.clear()
            self.prepare(other_ports=True)
            await self.start()

    async def start(self):
        port = self.ports
        self.crm = StandIn("salesforce", self.log, "--port", port["crm"], "--public-key", self.public_key,
                           "--processing-ms", 600)
        self.stand_ins.append(self.crm)
        self.byron = StandIn("supplier", self.log, "--port", port["byron"], "--name", "byron",
                             "--idempotency", "key", "--token=" + self.tokens["byron"])
        self.stand_ins.append(self.byron)
        self.nord = StandIn("supplier", self.log, "--port", port["nord"], "--name", "nord",
                            "--idempotency", "none", "--token=" + self.tokens["nord"])
        self.stand_ins.append(self.nord)
        await self.listen_for_alerts()
        for one in self.stand_ins:
            await asyncio.to_thread(one.wait_ready)
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.socket),
                                             timeout=aiohttp.ClientTimeout(total=10))
        await self.start_gateway()

    async def listen_for_alerts(self):
        async def on_alert(request):
            alert = await request.json()
            self.alerts[f"{alert['alert']} {alert.get('endpoint') or alert.get('route') or ''}".strip()] += 1
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/alerts", on_alert)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.ports["alerts"]).start()

    async def start_gateway(self):
        """Starts it and waits until it takes webhooks. Returns the seconds that took."""
        begun = time.monotonic()
        self.gateway = subprocess.Popen([self.sluice, "run", "-c", self.config], env=self.env, cwd=ROOT,
                                        stdin=subprocess.DEVNULL, stdout=self.gateway_log,
                                        stderr=self.gateway_log, preexec_fn=own_session)
        while await self.status() is None:
            if self.gateway.poll() is not None:
                raise DemoError(f"the gateway ended with code {self.gateway.returncode}:\n" + self.log_tail())
            if time.monotonic() - begun > READY_S:
                raise DemoError("the gateway does not answer:\n" + self.log_tail())
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    def log_tail(self):
        return tail(self.gateway_log)

    # ---- the gateway's end, both ways ----

    def kill_gateway(self):
        self.gateway.kill()
        self.gateway.wait()

    async def terminate_gateway(self):
        """SIGTERM; returns (exit code, seconds)."""
        begun = time.monotonic()
        code = await asyncio.to_thread(stop, self.gateway)
        return code, time.monotonic() - begun

    # ---- asking it ----

    async def get(self, path):
        async with self.session.get("http://sluice" + path) as answer:
            if answer.status != 200:
                raise DemoError(f"GET {path}: {answer.status} {await answer.text()}")
            return await answer.json()

    async def status(self):
        """What `sluice status --json` gives; None while there is no gateway."""
        try:
            return await self.get("/v1/status")
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
            return None

    async def deliveries(self, **filters):
        """All deliveries that match, page by page."""
        found, after = [], None
        while True:
            query = "&".join(f"{name}={value}" for name, value in {**filters, "limit": 1000}.items())
            page = await self.get(f"/v1/deliveries?{query}" + (f"&after={after}" if after else ""))
            found += page
            if len(page) < 1000:
                return found
            after = page[-1]["id"]

    async def command(self, *words):
        """Runs a subcommand of sluice as a user would: (exit code, what it said)."""
        run = await asyncio.create_subprocess_exec(
            self.sluice, *words, "-c", self.config, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=own_session)
        said, _ = await run.communicate()
        return run.returncode, said.decode("utf-8", "replace").strip()

    # ---- down ----

    async def close(self):
        """The parts that live in the event loop."""
        if self.session:
            await self.session.close()
        if self.runner:
            await self.runner.cleanup()
        self.session = self.runner = None

    def stop(self):
        """Everything that was started here, and nothing else."""
        if self.gateway:
            stop(self.gateway)
        for one in self.stand_ins:
            if one.process.poll() is None:
                one.process.terminate()
        for one in self.stand_ins:
            stop(one.process)
        self.stand_ins = []
        if self.env and not self.first:
            shutil.rmtree(self.dir, ignore_errors=True)
