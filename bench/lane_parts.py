"""What `bench lane` puts together: the sink, gateways before it, and peers' workers before it."""

import json
import os
import pathlib
import shutil
import subprocess
import time

from common import BUILD, DIES_WITH_US, Failed, cpu_s
from flow.harness import free_port, wait_until
from servers import BullMQ, Graphile, PinnedGateway, install

SINK = BUILD / "bench" / "bench-sink"
FILL = BUILD / "bench" / "bench-lane-fill"
LATE_S = 120  # whatever takes longer does not come


class Sink:
    """bench-sink: answers as it is told, and keeps time."""

    def __init__(self):
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen([*DIES_WITH_US, str(SINK), str(self.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.said()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def said(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the sink ended")
        return json.loads(line)

    def report(self):
        self.tell("report")
        return self.said()

    def answer(self, count):
        """So many requests are answered; the seconds from the first to the last."""
        self.tell("go", count)
        return self.said()["seconds"]

    def arrivals(self, file):
        """{number: us} of all requests so far."""
        self.tell("arrivals", file)
        self.said()
        return dict(map(int, line.split()) for line in pathlib.Path(file).read_text().splitlines())


def fill(store, deliveries, body_bytes):
    done = subprocess.run([*DIES_WITH_US, str(FILL), str(store), str(deliveries), "--body", str(body_bytes)],
                          capture_output=True, text=True, timeout=3600)
    if done.returncode:
        raise Failed(f"the store could not be filled: {done.stderr.strip()}")
    return json.loads(done.stdout)


# ---- the gateway ----


def lane_config(sink_url, concurrency, **endpoint):
    """One lane: a shop's orders, each posted to the sink."""
    return {
        "endpoints": {
            "acme-shop": {"adapter": "shopify", "shop": "example.myshopify.com",
                          "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"}},
            "sink": {"adapter": "http", "base_url": sink_url, "idempotent": True, "concurrency": concurrency,
                     **endpoint},
        },
        "routes": [{"name": "to-sink", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
                    "to": {"endpoint": "sink", "path": "/hook"}}],
    }


class Lane:
    """A gateway on a store that is there (`store`), or on a fresh one; ended by SIGKILL."""

    def __init__(self, folder, config, store=None):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if store:
            (self.folder / "state").symlink_to(store)
        self.gateway = PinnedGateway(self.folder, config)
        self.launched_us = 0

    def __enter__(self):
        self.launched_us = time.monotonic_ns() // 1000
        self.gateway.launch()
        return self

    def __exit__(self, *_):
        self.gateway.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def roots(self):
        return [self.gateway.process.pid]

    def wait_ready(self):
        """Seconds from the start to a /readyz of 200."""
        wait_until(self.gateway.ready, "the gateway is ready", seconds=LATE_S, every=0.005)
        return (time.monotonic_ns() // 1000 - self.launched_us) / 1e6

    def settle(self):
        """Until the index has caught up."""
        wait_until(lambda: self.gateway.metrics()["sluice_store_index_lag_records"] == 0, "the index has caught up",
                   seconds=LATE_S)


# ---- peers ----


class Worker:
    """A peer's queue, filled and worked off by its worker. Mixed into what starts the queue."""

    port = 0

    def __init__(self, folder, *args):
        super().__init__(folder, *args)
        self.environment = {}

    def serve(self, **env):
        """The queue is there; nothing listens for webhooks."""
        self.environment = env

    def command(self, *words):
        node, server = install(self.package)
        return [node, server.parent / "worker.mjs", *words]

    def fill(self, jobs, body_bytes):
        done = subprocess.run([*DIES_WITH_US, *map(str, self.command("fill", jobs, body_bytes))], capture_output=True,
                              text=True, timeout=600, env={**os.environ, **self.environment})
        if done.returncode:
            raise Failed(f"{self.name}: its queue could not be filled:\n{done.stderr.strip()[-2000:]}")

    def work(self, url, concurrency):
        log = self.folder / f"{len(self.processes)}.log"
        self.spawn(*self.command("work", url), ready=lambda: b"ready" in log.read_bytes(),
                   env={**self.environment, "BENCH_CONCURRENCY": str(concurrency), "NODE_ENV": "production"})

    def settle(self):
        time.sleep(0.2)  # it completes its last jobs


class BullMQWorker(Worker, BullMQ):
    def __init__(self, folder, appendfsync):
        super().__init__(folder, appendfsync)
        self.name = f"BullMQ's worker, Redis {appendfsync}"


class GraphileWorker(Worker, Graphile):
    name = "graphile-worker, PostgreSQL"

    def __init__(self, folder, pool, local_queue):
        super().__init__(folder, pool)
        self.local_queue = local_queue

    def serve(self, **env):
        super().serve(BENCH_LOCAL_QUEUE=str(self.local_queue), **env)


# ---- one measurement ----


def drain(server, sink, warm, count):
    """`count` deliveries while the sink answers at once, after `warm` of them: {per_s, us, cpu_us}."""
    sink.answer(warm)
    server.settle()
    before = cpu_s(server.roots)
    took = sink.answer(count)
    server.settle()  # what is done behind the answers is a cost too
    return {"per_s": count / took, "us": took * 1e6 / count,
            "cpu_us": (cpu_s(server.roots) - before) * 1e6 / count}


