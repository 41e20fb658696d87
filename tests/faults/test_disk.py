"""A full disk, and a disk that fails: never an acknowledgement that is not durable."""

import errno
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from faults.test_poison import alive
from faults.traffic import Shop, signed_post
from flow.harness import BUILD, SLUICE, Gateway, byron_orders, check_supplier, demo_config, sluice, wait_until
from sandbox.client import request
from sandbox.orders import BYRON

MIB = 1 << 20
SLOW_DISK = BUILD / "tests" / "faults" / "slow-disk.so"


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


@pytest.mark.fault("F4")
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
    wait_until(gateway.alerts)

    disk.free()
    back_by_itself(gateway, after)
    wait_until(lambda: gateway.settled(20))
    arrived = {one["body"]["shop_order_id"] for one in byron.books()["orders"]}
    taken_early = [order for order in refused[:1] if order.id in arrived]  # before the disk was looked at
    check_supplier(byron.books(), BYRON, before + taken_early + after)


@pytest.mark.fault("F4")
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
    wait_until(lambda: gateway.settled(len(shop.orders) + 3), "after a restart as well")
    assert shop.statuses().keys() <= {"200", "503"}, shop.tell()
    check_supplier(byron.books(), BYRON, shop.orders + byron_orders(3, seed=45))


@pytest.mark.fault("F4")
def test_on_a_full_disk_it_can_be_looked_at_and_ends_as_always(on_small_disk, byron):
    gateway, disk = on_small_disk(0)
    orders = byron_orders(10, seed=56)
    assert [gateway.post(order) for order in orders] == [200] * 10
    wait_until(lambda: gateway.settled(10))

    def refused():
        disk.fill(leave=0)
        return gateway.post(byron_orders(11, seed=56)[10]) == 503

    wait_until(refused, "webhooks are refused", every=0.1)
    assert len(gateway.get("/v1/events", limit=100)) >= 10
    assert gateway.get("/v1/events/1")["body"]
    assert len(gateway.deliveries(state="delivered")) >= 10
    assert "disk" in sluice("status", "-c", gateway.file, env=gateway.env).out
    assert gateway.metrics()["sluice_store_failed"] == 0
    gateway.stop()  # asserts a clean end
    disk.free()
    gateway.start()
    wait_until(gateway.settled)
    assert gateway.states()["delivered"] >= 10


@pytest.mark.fault("F4")
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


# ---- a disk that fails, or is slow ----


class Traced(Gateway):
    """A gateway whose syncs strace makes fail or late: `inject` is what -e inject= says of them, `only`
    the one file (in the state folder) that it is about. Calls are counted for each thread."""

    inject, only, calls = None, None, "fdatasync,fsync"

    @property
    def trace(self):
        return self.folder / "strace.log"

    def launch(self):
        if not self.inject:
            return super().launch()
        # --seccomp-bpf: only these calls stop for it, or the gateway would be slow by being looked at
        tracer = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-y", "-o", str(self.trace), "-e", "signal=none",
                  "-e", f"trace={self.calls}", "-e", f"inject={self.calls}:{self.inject}"]
        if self.only:
            tracer += ["-P", str(self.folder / "state" / self.only)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*tracer, str(SLUICE), "run", "-c", str(self.file)], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.env})

    def syncs(self):
        """(file, how it ended) of every sync, in order."""
        calls, begun = [], {}  # thread: file, of a call that another one's came into
        for line in self.trace.read_text().splitlines():
            thread = line.split(" ", 1)[0]
            if call := re.search(r"f(?:data)?sync\(\d+<([^>]*)>", line):
                begun[thread] = call[1]
            if (ended := re.search(r"\)\s*= (-?\d+)", line)) and thread in begun:
                calls.append((begun.pop(thread), int(ended[1])))
        return calls

    def tried_again(self):
        """Files that were synced once more after a sync of theirs had failed, whatever came of it: by
        then the kernel may have dropped what it could not write, and a success would be a lie."""
        failed, again = set(), []
        for file, result in self.syncs():
            if file in failed and not os.path.isdir(file):
                again.append(file)
            if result != 0:
                failed.add(file)
        assert failed, "no sync failed: the test has tested nothing"
        return again


@pytest.fixture
def traced(tmp_path, byron):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-qq", "-f", "-e", "inject=sync:error=EIO:when=1", "true"],
                           capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"strace cannot trace here: {probe.stderr.strip()}")
    gateway = Traced(tmp_path, demo_config(byron.url, endpoints={"byron": {"rate": {"per_second": 1000}}}))
    yield gateway
    print(gateway.log()[-8000:])
    if gateway.running:
        gateway.kill9()


LOG = "log/0000000001.seg"


def check_after_a_restart(gateway, byron, taken, refused):
    """All that was acknowledged is delivered, once; of the rest what was written and not acknowledged."""
    gateway.inject = None
    gateway.start()
    wait_until(lambda: gateway.settled(len(taken)), "all that was acknowledged is delivered")
    arrived = {one["body"]["shop_order_id"] for one in byron.books()["orders"]}
    unasked = [order for order in refused if order.id in arrived]
    check_supplier(byron.books(), BYRON, taken + unasked)
    gateway.stop()


@pytest.mark.fault("F3")
@pytest.mark.parametrize("when", ["1", "2", "9", "25+", "70"], ids=lambda when: f"sync-{when}")
def test_after_a_failed_sync_of_the_log_nothing_is_acknowledged_until_a_restart(traced, byron, when):
    traced.inject, traced.only = f"error=EIO:when={when}", LOG
    traced.start()
    orders, taken = byron_orders(200, seed=47), 0
    while taken < len(orders) and traced.post(orders[taken]) == 200:
        taken += 1
    assert taken < len(orders), "no sync failed"
    status, headers = signed_post(traced, orders[taken])
    assert status == 503 and int(headers["Retry-After"]) > 0
    assert [traced.post(order) for order in orders[taken:taken + 20]] == [503] * 20
    assert ready_status(traced) == 503
    assert request(traced.admin_url, "GET", "/livez")[0] == 200
    traced.kill9()
    assert traced.tried_again() == []
    assert len([result for _, result in traced.syncs() if result < 0]) == 1  # latched: nobody asks the disk again
    check_after_a_restart(traced, byron, orders[:taken], orders[taken:])


@pytest.mark.fault("F3")
@pytest.mark.parametrize("when", ["1", "2", "4", "3+"], ids=lambda when: f"sync-{when}")
def test_after_a_failed_sync_at_the_start_it_does_not_run(traced, byron, when):
    traced.inject = f"error=EIO:when={when}"
    traced.launch()
    assert traced.wait() == 1, traced.log()
    assert "cannot start" in traced.log()
    assert traced.tried_again() == []
    check_after_a_restart(traced, byron, [], [])


@pytest.mark.fault("F3")
def test_after_a_failed_sync_of_the_index_nothing_is_acknowledged_until_a_restart(traced, byron):
    """It is not on the way of an answer; but what it cannot follow must not grow for ever."""
    traced.start()
    traced.stop()
    traced.inject, traced.only = "error=EIO:when=1+", "sluice.db"
    traced.start()
    orders, taken = byron_orders(1500, seed=49), 0
    while taken < len(orders) and traced.post(orders[taken]) == 200:
        taken += 1
    assert taken < len(orders), "no sync failed"
    assert ready_status(traced) == 503
    assert request(traced.admin_url, "GET", "/livez")[0] == 200
    traced.kill9()
    assert traced.tried_again() == []
    check_after_a_restart(traced, byron, orders[:taken], orders[taken:])


@pytest.mark.fault("F4")
@pytest.mark.parametrize("when", ["1", "2", "9", "20+"], ids=lambda when: f"write-{when}")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_write_of_the_log_that_fails_is_a_503_and_nothing_is_lost(traced, byron, error, when):
    """No room is over when there is some, without a restart. What EIO left on the disk nobody knows: latched."""
    traced.start()  # its first segment is made; the writes from here on are the appends
    traced.stop()
    traced.calls, traced.inject, traced.only = "pwritev", f"error={error}:when={when}", LOG
    traced.start()
    orders = byron_orders(60, seed=54)
    answers = {order.id: traced.post(order) for order in orders}
    first = list(answers.values()).index(503)
    assert (first == 0) == (when == "1")
    assert request(traced.admin_url, "GET", "/livez")[0] == 200
    if error == "EIO" or when.endswith("+"):
        assert set(list(answers.values())[first:]) == {503}
        assert ready_status(traced) == 503
    else:
        wait_until(lambda: traced.post(orders[first]) == 200, "taken again", every=0.1)
        answers[orders[first].id] = 200
    traced.kill9()
    check_after_a_restart(traced, byron, [one for one in orders if answers[one.id] == 200],
                          [one for one in orders if answers[one.id] == 503])


@pytest.mark.fault("F4")
@pytest.mark.parametrize("most", [1, 100, 511, 4096])
def test_short_writes_are_written_on(make_gateway, byron, most):
    """The kernel may write less than it was asked to; the rest is written then."""
    gateway = make_gateway(demo_config(byron.url, endpoints={"byron": {"rate": {"per_second": 1000}}}),
                           {"LD_PRELOAD": str(SLOW_DISK), "SHORT_WRITES": str(most)})
    orders = byron_orders(12, seed=55)
    gateway.burst(orders)
    wait_until(lambda: gateway.settled(12))
    assert not gateway.alerts()
    gateway.kill9()
    found = sluice("db", "check", "--store", gateway.folder / "state", "--json")
    assert found.code == 0 and found.json["ok"], found
    for name in ("LD_PRELOAD", "SHORT_WRITES"):
        del gateway.env[name]
    gateway.start()
    assert gateway.states() == {"delivered": 12}
    check_supplier(byron.books(), BYRON, orders)


@pytest.mark.slow
@pytest.mark.fault("F5")
def test_on_a_slow_disk_answers_come_late_none_is_lost_and_the_loop_goes_on(traced, byron):
    """200 ms a sync: the senders wait, a group of them is durable at once, nobody is refused."""
    traced.inject, traced.only = f"delay_enter={200_000}", LOG
    traced.start()
    with Shop(traced.url, seed=50, rate=60, concurrency=64) as shop, alive(traced):
        wait_until(lambda: shop.acknowledged > 150)
        shop.finish()
    assert shop.statuses().keys() == {"200"}, shop.tell()
    syncs = len(traced.syncs())
    print(f"{syncs} syncs for {len(shop.orders)} orders")
    assert syncs < len(shop.orders)
    wait_until(lambda: traced.settled(len(shop.orders)), "all is delivered")
    check_supplier(byron.books(), BYRON, shop.orders)
    traced.stop()


@pytest.mark.slow
@pytest.mark.fault("F5")
def test_on_a_far_too_slow_disk_some_are_refused_and_what_was_acknowledged_is_there(traced, byron):
    """2 s a sync, and more than 3 s to wait for the next but one: then they are told to come again."""
    traced.inject, traced.only = f"delay_enter={2_000_000}", LOG
    traced.start()
    with Shop(traced.url, seed=51, rate=20, concurrency=64) as shop, alive(traced):
        wait_until(lambda: shop.statuses()["503"] > 10, "some are refused")
        wait_until(lambda: shop.acknowledged > 10, "and some are not")
        wait_until(traced.alerts)
        shop.finish()
    assert shop.statuses().keys() == {"200", "503"}, shop.tell()
    traced.kill9()
    traced.inject = None
    traced.start()
    wait_until(lambda: traced.settled(len(shop.orders)), "all is delivered")
    check_supplier(byron.books(), BYRON, shop.orders)
    traced.stop()
