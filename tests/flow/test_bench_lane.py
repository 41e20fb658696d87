"""The benchmark of a lane works: a small run of it says all that it should. How fast it was is no matter here."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from flow.harness import BUILD, ROOT

pytestmark = pytest.mark.plain


@pytest.fixture
def folder():
    """A short name: a unix socket's has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as name:
        yield pathlib.Path(name)


def bench(folder, *words):
    done = subprocess.run([sys.executable, ROOT / "bench" / "run", "lane", "--quick", "--work", folder,
                           "--json", folder / "result.json", *words], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "SLUICE_BUILD": str(BUILD)})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "result.json").read_text())


def test_a_backlog_is_filled_started_on_and_measured(folder):
    result = bench(folder, "--only", "backlog", "--backlog", "4000")
    assert result["backlog"] == 4000
    assert result.keys() >= {"us_per_delivery_10k", "us_per_delivery_5m", "cpu_us_per_delivery_10k",
                             "cpu_us_per_delivery_5m", "ratio_5m", "start_s_5m", "start_cold_s_5m", "rss_mb_5m"}
    assert all(value > 0 for value in result.values()), result


def test_a_bucket_and_a_dead_neighbour_are_measured(folder):
    result = bench(folder, "--only", "bucket", "--only", "neighbours")
    assert 0 < result["budget_used_pct"] <= 101, result
    assert result["refused"] >= 0
    assert result["p99_ms_two_healthy"] > 0 and result["p99_ms_one_dead"] > 0
    assert "p99_shift_pct_one_dead" in result
    assert not list(folder.glob("bench-run-*"))  # nothing is left but the result
