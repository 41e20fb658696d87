"""Bytes that the disk changed, cut off or lost: found when the store is opened, read or checked.

Never silent, never a crash, and no acknowledged event is missing but those whose own record was hit.
SLUICE_SEED replays the bytes, SLUICE_LONG=1 opens the store for every one of them.
"""

import os
import pathlib
import random
import shutil
import sqlite3
import subprocess

import pytest

from flow.harness import Gateway, byron_orders, check_supplier, demo_config, sluice, wait_until
from sandbox.orders import BYRON

pytestmark = pytest.mark.fault("F25")

PAGE = 4096
LONG = bool(os.environ.get("SLUICE_LONG"))
SEED = int(os.environ.get("SLUICE_SEED") or random.SystemRandom().randrange(1, 1_000_000))
ORDERS = 12


class Store:
    """A gateway's store at rest, and what it had acknowledged."""

    def __init__(self, gateway, events):
        self.path = gateway.folder / "state"
        self.config, self.env, self.events = gateway.config, gateway.env, events
        report = self.check()
        assert report.code == 0 and report.json["ok"] and report.json["compared"], report

    def check(self, *args):
        return sluice("db", "check", "--store", self.path, "--json", *args)

    def copy(self, folder):
        """A gateway on a copy of it. The log's file is mostly room."""
        folder.mkdir()
        subprocess.run(["cp", "-r", "--sparse=always", str(self.path), str(folder / "state")], check=True)
        for left in ("admin.sock",):
            (folder / "state" / left).unlink(missing_ok=True)
        return Gateway(folder, self.config, {name: value for name, value in self.env.items()})

    @property
    def segment(self):
        return self.path / "log" / "0000000001.seg"

    @property
    def index(self):
        return self.path / "sluice.db"

    def used(self):
        """Bytes of the segment that hold something."""
        data = self.segment.read_bytes()
        return len(data.rstrip(b"\0"))


@pytest.fixture
def store(make_gateway, byron):
    gateway = make_gateway(demo_config(byron.url))
    gateway.burst(byron_orders(ORDERS))
    wait_until(lambda: gateway.settled(ORDERS), "all is delivered")
    events = {one["id"]: one["topic"] for one in gateway.get("/v1/events", limit=1000)}
    assert len(events) >= ORDERS
    gateway.stop()
    return Store(gateway, events)


class Flipped:
    """One byte of a file is another for a while."""

    def __init__(self, path, at, rng):
        self.path, self.at, self.bit = path, at, 1 << rng.randrange(8)

    def flip(self):
        with open(self.path, "r+b") as f:
            f.seek(self.at)
            old = f.read(1)[0]
            f.seek(self.at)
            f.write(bytes([old ^ self.bit]))
        return old

    def __enter__(self):
        self.was = self.flip()
        return self

    def __exit__(self, *unused):
        self.flip()


def a_byte_in_each_page(path, size, rng):
    return [Flipped(path, rng.randrange(page, min(page + PAGE, size)), rng) for page in range(0, size, PAGE)]


def rows(path, folder):
    """All that an index says; None: it cannot say it."""
    copy = folder / "looked-at.db"
    shutil.copy(path, copy)
    try:
        db = sqlite3.connect(copy)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table' ORDER BY 1")]
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"'))) for name in tables}
    except (sqlite3.DatabaseError, AssertionError, UnicodeDecodeError):
        return None
    finally:
        copy.unlink()


def opened(gateway):
    """True: it serves; False: it refused, and said why."""
    gateway.launch()
    try:
        wait_until(gateway.ready, "ready, or gone", every=0.01)
        return True
    except AssertionError:
        assert not gateway.running and gateway.process.returncode > 0, f"{gateway.process.returncode}, seed {SEED}"
        assert "sluice.db" in gateway.log() or "/log" in gateway.log(), gateway.log()
        return False


def check_and_mend(store, folder, spoil):
    """Spoil a copy, open it, repair it, open it again: what was acknowledged is there."""
    gateway = store.copy(folder)
    spoil(gateway.folder / "state")
    try:
        if opened(gateway):
            gateway.cli("events", "list", ok=False)
            gateway.stop()
        found = gateway.cli("db", "check", ok=False)
        assert found.code in (0, 1), found
        mended = gateway.cli("db", "repair", "--yes", ok=False)
        assert mended.code == 0, mended
        again = gateway.cli("db", "check", ok=False)
        done = [one for one in again.json["findings"] if one["file"] != "sluice.db" or "missing" not in one["what"]]
        assert not done, again
        assert opened(gateway), gateway.log()
        lost = {one["record"] for one in mended.json["lost"]}
        there = {one["id"] for one in gateway.get("/v1/events", limit=1000)}
        missing = {id for id in store.events if id not in there}
        assert all(int(id) in lost for id in missing), (missing, mended, f"seed {SEED}")
        gateway.stop()
        last = gateway.cli("db", "check", ok=False)
        assert last.code == 0, last
        return mended
    finally:
        if gateway.running:
            gateway.kill9()
        print(gateway.log()[-3000:])


@pytest.mark.slow
def test_a_wrong_byte_in_any_page_is_found(store, tmp_path):
    rng = random.Random(SEED)
    print(f"SLUICE_SEED={SEED}")
    before = rows(store.index, tmp_path)
    silent = []

    for spoilt in a_byte_in_each_page(store.segment, store.used(), rng):
        with spoilt:
            report = store.check()
            assert report.code in (0, 1), (spoilt.at, report, f"seed {SEED}")
            if report.code == 0 and spoilt.was != 0:  # zeros between records mean nothing
                silent.append((spoilt.path, spoilt.at))
            if report.code:
                finding = report.json["findings"][0]
                assert finding["file"] == "log/0000000001.seg" and finding["todo"], report
                assert finding["offset"] <= spoilt.at, report
    for spoilt in a_byte_in_each_page(store.index, store.index.stat().st_size, rng):
        with spoilt:
            report = store.check()
            assert report.code in (0, 1), (spoilt.at, report, f"seed {SEED}")
            if report.code == 0 and rows(store.index, tmp_path) != before:
                silent.append((spoilt.path, spoilt.at))
    assert not silent, f"seed {SEED}: {silent}"
    assert store.check().code == 0  # and nothing was changed


@pytest.mark.slow
def test_a_spoilt_store_opens_or_says_why_and_can_be_mended(store, tmp_path):
    rng = random.Random(SEED)
    print(f"SLUICE_SEED={SEED}")
    places = a_byte_in_each_page(pathlib.Path("log/0000000001.seg"), store.used(), rng)
    places += a_byte_in_each_page(pathlib.Path("sluice.db"), store.index.stat().st_size, rng)
    if not LONG:
        places = [places[0]] + rng.sample(places[1:], 7)

    for n, spoilt in enumerate(places):
        def spoil(state, spoilt=spoilt):
            spoilt.path = state / spoilt.path
            spoilt.flip()
        check_and_mend(store, tmp_path / f"copy-{n}", spoil)


@pytest.mark.parametrize("what", ["segment cut in the middle", "segment cut to nothing", "segment deleted",
                                  "index cut in the middle", "index deleted"])
def test_what_was_cut_or_deleted_is_told_and_mended(store, tmp_path, what):
    def spoil(state):
        path = state / ("sluice.db" if what.startswith("index") else "log/0000000001.seg")
        if what.endswith("deleted"):
            path.unlink()
        else:
            os.truncate(path, store.used() // 2 // 8 * 8 if "segment cut in" in what
                        else 0 if "nothing" in what else path.stat().st_size // 2)

    if what == "segment deleted":
        # Nothing of the log is there: no repair makes a log of nothing, and no daemon opens it.
        gateway = store.copy(tmp_path / "copy")
        spoil(gateway.folder / "state")
        assert gateway.cli("db", "check", ok=False).code == 1
        assert gateway.cli("db", "repair", "--yes", ok=False).code == 1
        assert not opened(gateway)
        return
    mended = check_and_mend(store, tmp_path / "copy", spoil)
    assert mended.json["findings"] or what == "index deleted"
    if "segment" in what:
        assert mended.json["lost_records"] > 0
    else:
        assert mended.json["lost_records"] == 0


@pytest.mark.parametrize("what", ["flipped", "cut in the middle", "cut to nothing", "deleted"])
def test_the_indexs_own_log_may_be_damaged_after_a_kill(make_gateway, byron, tmp_path, what):
    """The index is behind then, or broken: it is brought on from the log, or it is said and mended."""
    gateway = make_gateway(demo_config(byron.url))
    gateway.burst(byron_orders(ORDERS))
    wait_until(lambda: gateway.settled(ORDERS), "all is delivered")
    events = {one["id"] for one in gateway.get("/v1/events", limit=1000)}
    gateway.kill9()
    rng = random.Random(SEED)
    print(f"SLUICE_SEED={SEED}")
    wal = gateway.folder / "state" / "sluice.db-wal"
    size = wal.stat().st_size
    assert size > 0, "nothing was left to damage"
    if what == "flipped":
        Flipped(wal, rng.randrange(size), rng).flip()
    elif what == "deleted":
        wal.unlink()
    else:
        os.truncate(wal, rng.randrange(1, size) if "middle" in what else 0)
    if not opened(gateway):
        assert gateway.cli("db", "check", ok=False).code == 1
        assert gateway.cli("db", "repair", "--yes").json["lost_records"] == 0
        gateway.start()
    wait_until(lambda: gateway.settled(ORDERS))
    assert {one["id"] for one in gateway.get("/v1/events", limit=1000)} >= events
    gateway.stop()
    found = gateway.cli("db", "check", ok=False)
    assert found.code == 0, found
    check_supplier(byron.books(), BYRON, byron_orders(ORDERS))


def test_while_a_daemon_has_the_store_open_it_is_left_alone(suppliers):
    for command in (["check"], ["repair", "--yes"]):
        done = suppliers.cli("db", *command, ok=False)
        assert done.code == 5 and "in use by process" in done.err, done
    assert suppliers.cli("db", "repair", ok=False).code == 2


def test_a_folder_without_a_store_is_said_to_be_one(tmp_path):
    done = sluice("db", "check", "--store", tmp_path)
    assert done.code == 4 and "no store" in done.err, done
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("F25")
def test_an_event_that_cannot_be_read_does_not_hold_up_the_others(make_gateway, byron):
    """It was not routed yet, and its record rots while nobody runs: it alone waits, and is told of."""
    gateway = make_gateway(demo_config(byron.url, endpoints={"byron": {"rate": {"per_second": 1000}}}))
    orders = byron_orders(6, seed=54)
    for order in orders[:3]:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.settled(3))
    gateway.stop()
    segment = next((gateway.folder / "state" / "log").glob("*.seg"))
    spoil_at = segment.read_bytes().index(orders[1].body) + 10
    with open(segment, "r+b") as file:
        file.seek(spoil_at)
        file.write(b"\xff")
    with sqlite3.connect(gateway.folder / "state" / "sluice.db") as db:
        event, = db.execute("SELECT id FROM events ORDER BY id LIMIT 1 OFFSET 1").fetchone()
        db.execute("UPDATE events SET routed = 0 WHERE id = ?", (event,))
    db.close()
    gateway.start()
    wait_until(lambda: f"event {event} cannot be read, its record is damaged" in gateway.log())
    for order in orders[3:]:
        assert gateway.post(order) == 200
    wait_until(lambda: len(byron.books()["orders"]) >= 6, "the others arrive")
    assert gateway.get("/v1/events/" + str(event))["routed"] == "unrouted"
