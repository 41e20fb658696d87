"""The simulation catches what it is there to catch: each promise of the flow, broken on purpose."""

import subprocess
import sys

import pytest

from faults.hostile import LONG
from flow.harness import BUILD, ROOT


@pytest.mark.skipif(not LONG, reason="takes minutes: ./dev test --long")
def test_each_promise_that_is_broken_on_purpose_is_caught():
    done = subprocess.run([sys.executable, ROOT / "tests" / "sim" / "mutants.py", BUILD], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
