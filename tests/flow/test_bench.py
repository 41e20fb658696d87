"""The benchmarks of a lane and of a CRM work: a small run says all that it should. How fast it was is no matter here."""

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


def bench(folder, name, *words):
    done = subprocess.run([sys.executable, ROOT / "bench" / "run", name, "--quick", "--work", folder,
                           "--json", folder / "result.json", *words], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "SLUICE_BUILD": str(BUILD)})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "result.json").read_text())


def test_a_backlog_is_filled_started_on_and_measured(folder):
    result = bench(folder, "lane", "--only", "backlog", "--backlog", "4000")
    assert result["backlog"] == 4000
    assert result.keys() >= {"us_per_delivery_10k", "us_per_delivery_5m", "cpu_us_per_delivery_10k",
                             "cpu_us_per_delivery_5m", "ratio_5m", "start_s_5m", "start_cold_s_5m", "rss_mb_5m"}
    assert all(value > 0 for value in result.values()), result


def test_a_bucket_and_a_dead_neighbour_are_measured(folder):
    result = bench(folder, "lane", "--only", "bucket", "--only", "neighbours")
    assert 0 < result["budget_used_pct"] <= 101, result
    assert result["refused"] >= 0
    assert result["p99_ms_two_healthy"] > 0 and result["p99_ms_one_dead"] > 0
    assert "p99_shift_pct_one_dead" in result
    assert not list(folder.glob("bench-run-*"))  # nothing is left but the result


@pytest.mark.slow
def test_a_crm_is_measured_in_calls_and_memory(folder):
    result = bench(folder, "salesforce", "--only", "memory", "--million", "2000", "--only", "calls", "--minutes", "0.05")
    assert result["rows_1m"] == 2000 and result["rss_mb_1m"] > 0 and result["rows_per_s_1m"] > 0
    calls = [result[f"calls_per_1000_{pace}"] for pace in ("slow", "mid", "fast")]
    assert calls == sorted(calls, reverse=True), "the faster they come, the fewer calls an order takes"
    assert 0 < calls[-1] and result["refused"] == 0


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("SLUICE_LONG"), reason="SLUICE_LONG=1; test_shopify_points.py asserts the same")
def test_the_points_of_a_shop_are_measured(folder):
    result = bench(folder, "shopify", "--seconds", "6", "--only", "shared")
    assert result["refused"] == result["refused_shared"] == 0
    assert 0.8 < result["points_used_share"] == result["points_used_share_shared"] <= 1


def test_a_push_of_stock_is_measured(folder):
    result = bench(folder, "shopify", "--only", "stock", "--skus", "120")
    assert result["stock_levels"] == 360 and result["stock_overwritten"] == result["stock_refused"] == 0
    assert 0 < result["stock_calls_again"] < result["stock_calls"] and 0 < result["stock_points_again"]
    assert result["stock_seconds"] > 0 and result["stock_seconds_again"] > 0
