"""A full disk, and a disk that fails: never an acknowledgement that is not durable."""

import errno
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from faults.traffic import Shop, signed_post
from flow.harness import SLUICE, Gateway, byron_orders, check_supplier, demo_config, wait_until
from sandbox.client import request
from sandbox.orders import BYRON

MIB = 1 << 20


def ready_status(gateway):
    return request(gateway.admin_url, "GET", "/readyz")[0]


# ---- no room ----


class SmallDisk:
    """A tmpfs where the gateway keeps its state."""

    def __init__(self, path, size):
        self.path = pathlib.Path(path)
        self.filler = self.path / "filler"
        self.path.mkdir(mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)],
                              capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")

    def fill(self, leave):
        """Takes all but `leave` bytes. Asked again: takes what has become free."""
        with open(self.filler, "ab") as filler:
            space = os.statvfs(self.path)
            missing = space.f_bavail * space.f_frsize - leave
            try:
                while missing > 0:  # the gateway may be quicker
                    missing -= os.write(filler.fileno(), bytes(min(missing, MIB)))
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise

    def free(self):
        self.filler.unlink()

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)


@pytest.fixture
def on_small_disk(make_gateway, byron):
    """on_small_disk(reserve): a gateway whose state lies on 64 MiB, and that disk."""
    disks = []

    def make(reserve):
        if os.geteuid() != 0:
            pytest.skip("a small disk wants mount, that is root")
        config = demo_config(byron.url, store={"disk_reserve": reserve},
                             endpoints={"byron": {"rate": {"per_second": 1000}}})
        gateway = make_gateway(config, start=False)
        disks.append(SmallDisk(gateway.folder / "state", "64m"))
        return gateway.start(), disks[0]

    yield make
    for disk in disks:
        disk.unmount()


def back_by_itself(gateway, orders):
    """Webhooks are taken again without a restart."""
    wait_until(lambda: gateway.post(orders[0]) == 200, "webhooks are taken again", every=0.1)
    for order in orders[1:]:
        assert gateway.post(order) == 200
    wait_until(lambda: ready_status(gateway) == 200)


def test_below_the_reserve_webhooks_are_refused_and_what_was_taken_goes_on(on_small_disk, byron):
    gateway, disk = on_small_disk("16MiB")
    before, refused, after = (byron_orders(10, seed=seed) for seed in (41, 42, 43))
    assert [gateway.post(order) for order in before] == [200] * 10

    disk.fill(leave=12 * MIB)
    wait_until(lambda: gateway.post(refused[0]) == 503, "the first refusal", every=0.1)
    for order in refused:
        status, headers = signed_post(gateway, order)
        assert status == 503 and int(headers["Retry-After"]) > 0
    wait_until(lambda: gateway.settled(10), "what was taken is delivered on a nearly full disk")
    assert gateway.alerts()

    disk.free()
    back_by_itself(gateway, after)
    wait_until(lambda: gateway.settled(20))
    arrived = {one["body"]["shop_order_id"] for one in byron.books()["orders"]}
    taken_early = [order for order in refused[:1] if order.id in arrived]  # before the disk was looked at
    check_supplier(byron.books(), BYRON, before + taken_early + after)


def test_a_full_disk_loses_nothing_acknowledged_and_is_over_when_space_returns(on_small_disk, byron):
    gateway, disk = on_small_disk(0)
    with Shop(gateway.url, seed=44, rate=60) as shop:
        wait_until(lambda: shop.acknowledged > 20)
        disk.fill(leave=0)

        def refused():
            disk.fill(leave=0)  # what a checkpoint gave back
            return shop.statuses()["503"] > 30

        wait_until(refused, "webhooks are refused on a full disk", every=0.1)
        assert request(gateway.admin_url, "GET", "/livez")[0] == 200
        disk.free()
        shop.finish()
    wait_until(lambda: gateway.settled(len(shop.orders)), "all is delivered")
    back_by_itself(gateway, byron_orders(3, seed=45))
    gateway.restart()
    assert gateway.status()["summary"]["unrouted"] == 0
    wait_until(gateway.settled)
    assert shop.statuses().keys() <= {"200", "503"}, shop.tell()
    check_supplier(byron.books(), BYRON, shop.orders + byron_orders(3, seed=45))


def test_killed_on_a_full_disk_it_finds_all_that_was_acknowledged(on_small_disk, byron):
    gateway, disk = on_small_disk(0)
    byron.fault(action="status", status=503, at="order")  # nothing leaves before the kill
    with Shop(gateway.url, seed=46, rate=60) as shop:
        wait_until(lambda: shop.acknowledged > 20)
        disk.fill(leave=0)
        wait_until(lambda: disk.fill(leave=0) or shop.statuses()["503"] > 5, every=0.1)
        gateway.kill9()
        disk.free()
        byron.clear_faults()
        gateway.start()
        shop.finish()
    wait_until(lambda: gateway.settled(len(shop.orders)), "all is delivered")
    check_supplier(byron.books(), BYRON, shop.orders)


# ---- a disk that fails ----


class Traced(Gateway):
    """A gateway whose `when`th sync of each thread fails with EIO, as strace injects it."""

    when = None  # "7": that one; "7+": it and all after it

    @property
    def trace(self):
        return self.folder / "strace.log"

    def launch(self):
        if not self.when:
            return super().launch()
        tracer = ["strace", "-D", "-f", "-qq", "-y", "-o", str(self.trace), "-e", "trace=fdatasync,fsync",
                  "-e", f"inject=fdatasync,fsync:error=EIO:when={self.when}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*tracer, str(SLUICE), "run", "-c", str(self.file)], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.env})

    def synced_after_a_failure(self):
        """Files that were synced with success after a sync of theirs had failed: the lie to look for."""
        failed, lies = set(), []
        for line in self.trace.read_text().splitlines():
            call = re.search(r"f(?:data)?sync\(\d+<([^>]*)>\)\s*= (-?\d+)", line)
            if call and call[2] != "0":
                failed.add(call[1])
            elif call and call[1] in failed and not os.path.isdir(call[1]):
                lies.append(line)
        assert failed, "no sync failed: the test has tested nothing"
        return lies


@pytest.fixture
def traced(tmp_path, byron):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-qq", "-f", "-e", "inject=sync:error=EIO:when=1", "true"],
                           capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"strace cannot trace here: {probe.stderr.strip()}")
    gateway = Traced(tmp_path, demo_config(byron.url))
    yield gateway
    if gateway.running:
        gateway.kill9()


@pytest.mark.parametrize("when", ["3", "6", "8", "12", "12+", "30", "61+"])
def test_after_a_failed_sync_nothing_is_acknowledged_and_a_restart_finds_the_rest(traced, byron, when):
    traced.when = when
    traced.launch()
    try:
        wait_until(traced.ready)
    except AssertionError:  # it failed while it started: then it must not run at all
        assert traced.process.poll() not in (None, 0), traced.log()
    orders, taken = byron_orders(200, seed=47), 0
    if traced.running:
        while taken < len(orders) and traced.post(orders[taken]) == 200:
            taken += 1
        assert taken < len(orders), "no sync failed"
        status, headers = signed_post(traced, orders[taken])
        assert status == 503 and headers["Retry-After"]
        assert [traced.post(order) for order in orders[taken:taken + 20]] == [503] * 20
        assert ready_status(traced) == 503
        assert request(traced.admin_url, "GET", "/livez")[0] == 200
        traced.kill9()
    assert traced.synced_after_a_failure() == []

    traced.when = None
    traced.start()
    wait_until(lambda: traced.settled(taken), "all that was acknowledged is delivered")
    arrived = {one["body"]["shop_order_id"] for one in byron.books()["orders"]}
    unasked = [order for order in orders[taken:taken + 21] if order.id in arrived]  # written, not acknowledged
    check_supplier(byron.books(), BYRON, orders[:taken] + unasked)
    traced.stop()
