"""What all parts share: the marks, the order in which tests begin, and the end of one that hangs.

The tests of a folder run side by side (./dev test uses pytest-xdist), each worker with stand-ins, ports
and folders of its own. So a test counts on nothing but what its fixtures gave it.
"""

import os
import shutil
import signal

import pytest

LIMIT_S = 3 * 3600 if os.environ.get("SLUICE_LONG") else 300


def pytest_addoption(parser):
    parser.addoption("--list-faults", action="store_true", help="print number and name of each fault's tests")


def pytest_collection_modifyitems(items):
    """The long ones first: begun last, they would keep one worker busy while the rest are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish(session):
    if session.config.getoption("--list-faults"):
        for item in session.items:
            for mark in item.iter_markers("fault"):
                for number in mark.args:
                    print(f"fault {number} {item.nodeid}")


class Hangs(BaseException):
    """Not an Exception: no test may swallow it."""


def _end(*unused):
    raise Hangs(f"not over after {LIMIT_S} s")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails, its fixtures clean up, and the rest goes on."""
    before = signal.signal(signal.SIGALRM, _end)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The folder of a test that passed goes at once: hundreds of stores would fill a small disk. That of
    one that failed stays, for whoever looks."""
    report = (yield).get_result()
    item.failed = getattr(item, "failed", False) or report.failed
    if call.when == "teardown" and not item.failed and "tmp_path" in item.funcargs:
        shutil.rmtree(item.funcargs["tmp_path"], ignore_errors=True)
