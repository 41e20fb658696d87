"""Shopify's schemas of the Admin API, out of the npm package that publishes them; nothing of them is committed.

The package alone is fetched, and not the hundreds that it would bring. Its digest is checked here, as `npm ci` does
with what the lock file names.
"""

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "@shopify/dev-mcp@1.16.0"
SHA512 = "tqgRnK7sQhjew+htxtleTH23nXB5fZcsrhWgEkomsorGXvLOB2mh2upwZm8uzuTDNTZnqtLMe64yIwh6s2awtw=="
VERSIONS = ("2026-04", "2026-07", "2026-10")
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "node_modules", ".shopify-schemas-1.16.0")


def fetch():
    """The folder with VERSION.json of each version: what an introspection would answer."""
    if os.path.isdir(FOLDER):
        return FOLDER
    os.makedirs(os.path.dirname(FOLDER), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(FOLDER)) as place:
        subprocess.run(["npm", "pack", PACKAGE, "--ignore-scripts", "--loglevel=error", "--pack-destination", place],
                       check=True, timeout=300, stdout=subprocess.DEVNULL, cwd=place)
        tarball = os.path.join(place, os.listdir(place)[0])
        with open(tarball, "rb") as packed:
            digest = base64.b64encode(hashlib.sha512(packed.read()).digest()).decode()
        if digest != SHA512:
            raise RuntimeError(f"{PACKAGE} has another content than was agreed: {digest}")
        unpacked = os.path.join(place, "schemas")
        os.mkdir(unpacked)
        with tarfile.open(tarball) as packed:
            for version in VERSIONS:
                member = packed.extractfile(f"package/dist/data/admin_{version}.json.gz")
                with gzip.open(member) as text, open(os.path.join(unpacked, version + ".json"), "w") as out:
                    json.dump(json.load(text)["data"], out)
        try:
            os.rename(unpacked, FOLDER)
        except OSError:  # another was first
            shutil.rmtree(unpacked, ignore_errors=True)
    return FOLDER


if __name__ == "__main__":
    print(fetch())
    sys.exit(0)
