"""The demonstration as a test: its own comparison of the books decides."""

import os
import signal
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = [sys.executable, os.path.join(ROOT, "tests", "demo", "demo.py")]
BUILD = os.environ.get("SLUICE_BUILD") or os.path.join(ROOT, "build")

pytestmark = pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "sluice")), reason="not built")


def children(pid):
    """Processes that `pid` started, directly or by another."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as source:
                    parents[int(name)] = int(source.read().rpartition(")")[2].split()[1])
            except OSError:
                pass  # it has ended meanwhile
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        new = {one for one, its in parents.items() if its == parent} - found
        found |= new
        todo += new
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as source:
            return source.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_sale_of_300_orders_balances_to_the_cent():
    ran = subprocess.run([*DEMO, "--once", "--orders", "300", "--seed", "3"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=150,
                         env={**os.environ, "SLUICE_BUILD": BUILD})
    assert ran.returncode == 0, ran.stdout
    assert "300 sent, 0 lost, 0 doubled, 0 changed on the way" in ran.stdout, ran.stdout
    assert "The books balance." in ran.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_is_ended_midway_leaves_nothing_running(number):
    demo = subprocess.Popen([*DEMO, "--once", "--orders", "50"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env={**os.environ, "SLUICE_BUILD": BUILD})
    said = []
    try:
        for line in demo.stdout:
            said.append(line)
            if "the sale opens" in line:
                break
        time.sleep(0.5)
        started = children(demo.pid)
        assert len(started) >= 4, f"three stand-ins and the gateway: {said}"
        demo.send_signal(number)
        demo.communicate(timeout=30)
        assert demo.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        until = time.monotonic() + 10
        while any(alive(one) for one in started) and time.monotonic() < until:
            time.sleep(0.05)
        assert [one for one in started if alive(one)] == []
    finally:
        demo.kill()
        demo.wait()
