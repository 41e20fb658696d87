"""What is measured: Sluice and its peers. Each is started fresh in a folder of its own, and ended.

    with BullMQ(folder, "always") as server:
        server.port, server.roots       # the processes whose time and memory count
        server.settle()                 # until nothing is done behind the answers any more
        server.count()                  # events it holds: must be the number of 200s
"""

import contextlib
import json
import os
import platform
import pwd
import shutil
import socket
import subprocess

from common import BUILD, DIES_WITH_US, ROOT, Failed, step
from flow.harness import SECRET, Gateway, demo_config, free_port, wait_until
from sandbox.client import request

PEERS = ROOT / "bench" / "peers"
CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
POSTGRESQL = "/usr/lib/postgresql/15/bin"
SOCKET_PATH_MOST = 100  # bytes that a unix socket's name may have, a little less


class Server:
    name = ""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.first = self.sent = 0  # number of its first order; requests so far, all answered 200
        self.processes = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """The last started first; SIGKILL for what does not go."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, *command, ready, cwd=None, env=None, dies=DIES_WITH_US):
        """A process, and wait until `ready()`."""
        log = self.folder / f"{len(self.processes)}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen([*dies, *map(str, command)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       cwd=cwd, env={**os.environ, **(env or {})}, start_new_session=True)
        self.processes.append(process)

        def is_ready():
            if process.poll() is not None:
                raise Failed(f"{self.name}: {command[0]} ended with {process.returncode}:\n"
                             + log.read_text(errors="replace")[-2000:])
            return ready()

        wait_until(is_ready, f"{self.name}: {command[0]} is ready", seconds=60)
        return process

    @property
    def roots(self):
        return [process.pid for process in self.processes]

    def settle(self):
        pass

    def count(self):
        return self.sent


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


class Nginx(Server):
    """200 to any POST, and nothing else: what the load generator can do at most."""

    name = "nginx, bare 200"

    def start(self):
        conf = self.folder / "nginx.conf"
        temporary = "".join(f"{what}_temp_path {self.folder}/{what};"
                            for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write_text(f"""
worker_processes 1; daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 4m; default_type application/json;
    {temporary}
    server {{
        listen 127.0.0.1:{self.port};
        location / {{ return 200; }}
        location /orders {{ return 201 '{{"id":"ord_$request_id"}}'; }}
    }}
}}
""")
        self.spawn("nginx", "-c", conf, "-e", f"{self.folder}/nginx.log", ready=lambda: listens(self.port))


# ---- Sluice ----


class PinnedGateway(Gateway):
    """The tests' gateway, which does not outlive the benchmark."""

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*DIES_WITH_US, str(BUILD / "sluice"), "run", "-c", str(self.file)],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.env}, start_new_session=True)


class Sluice(Server):
    """HMAC, duplicate check, durable (fsync), 200. There is one route, and it wants none of these events."""

    name = "Sluice"

    def __init__(self, folder, first=None, **changes):
        super().__init__(folder)
        self.gateway = None
        self.keep_folder = first is not None  # it is there, holds a store, and stays
        self.first = first or 0
        self.config = demo_config("http://127.0.0.1:9", **changes)
        self.config["routes"][0]["from"]["topic"] = "orders/cancelled"
        self.config["endpoints"]["acme-shop"]["webhook_secret"] = {"env": "DEMO_SHOPIFY_SECRET"}  # one, as the peers

    def __enter__(self):
        if not self.keep_folder:
            return super().__enter__()
        self.start()
        return self

    def start(self):
        self.gateway = PinnedGateway(self.folder, self.config)
        self.port = self.gateway.port
        try:
            self.gateway.launch()
            wait_until(self.gateway.ready, "the gateway is ready", seconds=120)
        except BaseException:
            self.end()
            raise

    def end(self):
        if self.gateway and self.gateway.process:
            self.gateway.kill9()
        if not self.keep_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def roots(self):
        return [self.gateway.process.pid]

    def metric(self, name):
        return int(self.gateway.metrics()[f"sluice_{name}"])

    def count(self):
        return self.metric('webhooks_total{result="received"}') - self.metric("events_same_total")

    def lag(self):
        """Records that the index is behind the log."""
        return self.metric("store_index_lag_records")

    def settle(self):
        def settled():
            now = self.gateway.metrics()
            return (now["sluice_store_index_lag_records"] == 0 and now["sluice_router_events"] == 0
                    and now["sluice_events_routed_total"] >= self.sent)

        wait_until(settled, "the index has caught up", seconds=120)


# ---- peers ----


def install(peer, packages=None):
    """The peer's folder under the build with its packages; fetched again only when its lock file changes.
    `packages`: the folder that names them, if not the peer's own."""
    source, target = PEERS / peer, BUILD / "peers" / peer
    packages = packages or source
    lock, stamp = packages / "package-lock.json", target / "installed-lock.json"
    target.mkdir(parents=True, exist_ok=True)
    for file in (packages / "package.json", lock, *source.glob("*.mjs"), *PEERS.glob("*.mjs")):
        shutil.copy(file, target)
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        step(f"fetching the packages of {peer} (this happens once)")
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=target, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
        if done.returncode:
            raise Failed(f"npm ci of {peer} failed:\n{done.stderr.strip()}")
        shutil.copy(lock, stamp)
    node = target / "node_modules" / f"node-linux-{CPU}" / "bin" / "node"
    if not node.exists():
        raise Failed(f"there is no node for {CPU}")
    return node, target / "server.mjs"


class Peer(Server):
    """A fastify program of ours on a queue's public packages."""

    package = ""

    def serve(self, **env):
        node, program = install(self.package)
        log = self.folder / f"{len(self.processes)}.log"
        self.spawn(node, program, cwd=program.parent, ready=lambda: log.read_bytes().startswith(b"ready"),
                   env={"BENCH_PORT": str(self.port), "BENCH_SECRET": SECRET, "NODE_ENV": "production", **env})

    def count(self):
        return json.loads(request(f"http://127.0.0.1:{self.port}", "GET", "/count", timeout=120)[2])["count"]

    def socket_folder(self):
        if len(str(self.folder)) > SOCKET_PATH_MOST - 20:
            raise Failed(f"{self.folder} is too long for a socket's name; choose a shorter --work folder")
        return self.folder


class BullMQ(Peer):
    """fastify + BullMQ; Redis answers before its log is fsynced each second, or after (`always`)."""

    package = "fastify-bullmq"

    def __init__(self, folder, appendfsync):
        super().__init__(folder)
        self.appendfsync = appendfsync
        self.name = f"fastify + BullMQ, Redis {appendfsync}"

    def start(self):
        redis = self.socket_folder() / "redis.sock"
        # no snapshots and no rewriting of its log: nothing but the appends costs it time
        self.spawn("redis-server", "--port", 0, "--unixsocket", redis, "--dir", self.folder, "--appendonly", "yes",
                   "--appendfsync", self.appendfsync, "--save", "", "--auto-aof-rewrite-percentage", 0,
                   ready=redis.exists)
        self.serve(BENCH_REDIS=str(redis))


class Graphile(Peer):
    """fastify + graphile-worker on a PostgreSQL with default settings."""

    package = "fastify-graphile"
    name = "fastify + graphile-worker, PostgreSQL"

    def __init__(self, folder, pool):
        super().__init__(folder)
        self.pool = pool

    def start(self):
        where = self.socket_folder()
        data = where / "data"
        data.mkdir()
        user, drop = self.unprivileged(data)
        self.check_reach(drop, data)
        made = subprocess.run([*drop, f"{POSTGRESQL}/initdb", "-D", str(data), "-U", "bench", "-A", "trust",
                               "--encoding=UTF8", "--locale=C", "--no-sync"],
                              capture_output=True, text=True, timeout=120, cwd="/")
        if made.returncode:
            raise Failed(f"initdb failed:\n{made.stderr.strip()}")
        self.spawn(f"{POSTGRESQL}/postgres", "-D", data, "-k", data, "-c", "listen_addresses=",
                   cwd="/", ready=lambda: self.accepts(data), dies=drop)
        self.serve(BENCH_DATABASE=f"postgres://bench@localhost/postgres?host={data}", BENCH_POOL=str(self.pool))

    @staticmethod
    def unprivileged(data):
        """PostgreSQL refuses to run as root: who it runs as then, and the words before its commands."""
        if os.getuid():
            return None, list(DIES_WITH_US)
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                who = pwd.getpwnam(name)
                os.chown(data, who.pw_uid, who.pw_gid)
                return name, ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups",
                              "--pdeathsig", "INT"]
        raise Failed("there is neither a user postgres nor nobody to run PostgreSQL as")

    @staticmethod
    def check_reach(drop, data):
        if subprocess.run([*drop, "test", "-w", str(data)], cwd="/").returncode:
            raise Failed(f"PostgreSQL's user cannot reach {data}; choose another --work folder")

    @staticmethod
    def accepts(data):
        return subprocess.run([f"{POSTGRESQL}/pg_isready", "-q", "-h", str(data)], cwd="/").returncode == 0
