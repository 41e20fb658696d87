"""The clients of tests/clients/ run in Node 22, which comes with them from npm."""

import os
import platform
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
NODE = os.path.join(HERE, "node_modules", f"node-linux-{CPU}", "bin", "node")


@pytest.fixture(scope="session")
def node():
    """Node 22 from npm, as the lock file names it."""
    if not os.path.exists(os.path.join(HERE, "node_modules", "jsforce")):
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE, check=True,
                       timeout=600)
    if not os.path.exists(NODE):
        pytest.skip(f"there is no Node for {CPU}")
    return NODE
