"""The clients of tests/clients/ run in Node 22, which comes with them from npm."""

import os
import platform
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import shopify_schemas  # noqa: E402

CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
NODE = os.path.join(HERE, "node_modules", f"node-linux-{CPU}", "bin", "node")
CLIENTS = ("jsforce", "graphql", os.path.join("@shopify", "shopify-api"))


@pytest.fixture(scope="session")
def node():
    """Node 22 from npm, as the lock file names it."""
    if not all(os.path.exists(os.path.join(HERE, "node_modules", one)) for one in CLIENTS):
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE,
                       check=True, timeout=600)
    if not os.path.exists(NODE):
        pytest.skip(f"there is no Node for {CPU}")
    return NODE


@pytest.fixture(scope="session")
def schemas(node):
    """The folder with Shopify's schemas, VERSION.json each."""
    return shopify_schemas.fetch()
