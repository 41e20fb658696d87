"""F7: little memory. Webhooks are refused before the process is killed for it, and none that was acknowledged
is lost."""

import contextlib
import os
import pathlib
import resource
import socket
import subprocess
import time

import pytest

from faults.traffic import Shop
from flow.harness import SHOP, SLUICE, Gateway, check_supplier, demo_config, wait_until
from sandbox.orders import BYRON, NORD

pytestmark = pytest.mark.fault("F7")

MIB = 1 << 20
HEAVY = 300  # connections, of 1.9 MB each: far beyond any limit here
HEAD = (f"POST /in/acme-shop HTTP/1.1\r\nHost: gateway\r\nX-Shopify-Shop-Domain: {SHOP}\r\n"
        "X-Shopify-Topic: orders/create\r\nX-Shopify-Webhook-Id: heavy\r\nContent-Type: application/json\r\n"
        f"X-Shopify-Hmac-Sha256: {'A' * 43}=\r\nContent-Length: 2000000\r\n\r\n").encode()


class Group:
    """A control group with a limit of memory, version 1 or 2."""

    def __init__(self, limit):
        first = pathlib.Path("/sys/fs/cgroup/memory")
        top = first if first.is_dir() else pathlib.Path("/sys/fs/cgroup")
        self.path = top / f"sluice-test-{os.getpid()}"
        try:
            self.path.mkdir()
            for name in ("memory.limit_in_bytes", "memory.max"):
                if (self.path / name).exists():
                    (self.path / name).write_text(str(limit))
                    return
        except OSError as wrong:
            pytest.skip(f"no control group can be made here: {wrong}")
        self.remove()
        pytest.skip("control groups here do not limit memory")

    def kills(self):
        for name in ("memory.oom_control", "memory.events"):
            if (self.path / name).exists():
                words = (self.path / name).read_text().split()
                return int(words[words.index("oom_kill") + 1])
        return 0

    def remove(self):
        with contextlib.suppress(OSError):
            self.path.rmdir()


class Confined(Gateway):
    group = None

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"', "sh", str(self.group.path),
                 str(SLUICE), "run", "-c", str(self.file)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.env})


def small_config(byron, nord):
    rate = {"rate": {"per_second": 1000}}
    return demo_config(byron.url, nord.url, store={"queue": "16MiB"},
                       workers={"count": 1, "memory": "64MiB"}, endpoints={"byron": rate, "nord": rate})


class Heavy:
    """Connections that sent most of a large body, and no more."""

    def __init__(self, gateway):
        self.lines, self.refused = [], 0
        for _ in range(HEAVY):
            line = socket.socket()
            line.settimeout(5)
            with contextlib.suppress(OSError):  # refused before all was sent
                line.connect(("127.0.0.1", gateway.port))
                line.sendall(HEAD + b"x" * 1_900_000)
            line.setblocking(False)
            self.lines.append(line)

    def close(self):
        for line in self.lines:
            with contextlib.suppress(OSError):
                self.refused += b" 503 " in line.recv(64)
            line.close()


def under_pressure(gateway, shop):
    """Rounds of heavy ones, while the shop goes on."""
    refused = 0
    for _ in range(3):
        heavy = Heavy(gateway)
        before = shop.acknowledged
        time.sleep(0.5)
        heavy.close()
        refused += heavy.refused
        assert gateway.running, gateway.log()[-2000:]
        wait_until(lambda: shop.acknowledged > before, "the shop's webhooks are taken again")
    return refused


def check_all(gateway, byron, nord, shop):
    gateway.kill9()  # what was acknowledged does not stand in memory only
    gateway.start()
    wait_until(lambda: gateway.settled(len(shop.orders)), "all is delivered")
    stuck = gateway.deliveries(state="dead") + gateway.deliveries(state="held")
    assert not stuck, stuck
    check_supplier(byron.books(), BYRON, shop.orders)
    check_supplier(nord.books(), NORD, shop.orders)
    gateway.stop()


@pytest.mark.slow
def test_in_a_small_control_group_it_refuses_and_is_not_killed(tmp_path, byron, nord):
    gateway = Confined(tmp_path, small_config(byron, nord))
    gateway.group = Group(192 * MIB)
    try:
        gateway.start()
        with Shop(gateway.url, seed=111, rate=40) as shop:
            refused = under_pressure(gateway, shop)
            shop.finish()
        print(f"{refused} refused; {shop.tell()}; {gateway.group.kills()} killed")
        assert refused > 0 and gateway.group.kills() == 0
        check_all(gateway, byron, nord, shop)
    finally:
        if gateway.running:
            gateway.kill9()
        gateway.group.remove()


@pytest.mark.slow
def test_when_no_memory_is_to_be_had_it_refuses_or_ends_and_loses_nothing(make_gateway, byron, nord):
    """No more address space than it has: what comes in is refused, what is under way waits. Where that is not
    possible it ends and says so, and the next start goes on."""
    gateway = make_gateway(small_config(byron, nord))
    ends = refused = 0

    def goes_on():
        """Is it there? Where it has ended it said why, and is started again."""
        nonlocal ends
        if gateway.running:
            return True
        assert gateway.log().rstrip().endswith("a restart resumes the work"), \
            (gateway.process.returncode, gateway.log()[-2000:])
        ends += 1
        gateway.start()
        return True

    with Shop(gateway.url, seed=112, rate=40) as shop:
        for _ in range(3):
            enough = shop.acknowledged + 20
            wait_until(lambda: goes_on() and shop.acknowledged > enough, "the shop's webhooks are taken")
            with open(f"/proc/{gateway.process.pid}/statm") as sizes:
                room = int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.prlimit(gateway.process.pid, resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
            heavy = Heavy(gateway)
            time.sleep(0.5)
            heavy.close()
            refused += heavy.refused
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(gateway.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
            goes_on()
        more = shop.acknowledged
        wait_until(lambda: goes_on() and shop.acknowledged > more, "it goes on with all the memory it wants")
        shop.finish()
    print(f"{refused} refused, {ends} ends; {shop.tell()}")
    assert refused + ends > 0
    check_all(gateway, byron, nord, shop)
