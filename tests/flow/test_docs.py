"""What the documentation prints is true: its configurations load, its example builds, its links lead somewhere."""

import os
import re
import shutil
import subprocess

import pytest

from flow.harness import BUILD, ROOT, SLUICE

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "plugins").glob("*/README.md")])
EXAMPLE = ROOT / "docs" / "examples" / "hello-supplier" / "hello-supplier.c"


def configuration_of(page):
    """The first YAML block of a page that is a whole configuration."""
    blocks = re.findall(r"(?s)```yaml\n(.*?)```", (ROOT / page).read_text())
    return next(text for text in blocks if "endpoints:" in text and "routes:" in text)


def check(folder, text, *plugin_folders):
    folders = ", ".join(str(one) for one in (BUILD / "plugins", *plugin_folders))
    text = f"plugins: [{folders}]\n" + re.sub(r"(?m)^plugins:.*\n", "", text)
    (folder / "sluice.yaml").write_text(text)
    if not (folder / "maps").exists():
        (folder / "maps").symlink_to(ROOT / "conf" / "maps")
    return subprocess.run([SLUICE, "check", "--no-secrets", "-c", folder / "sluice.yaml"], capture_output=True,
                          text=True, timeout=60)


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md"])
def test_the_configuration_on_a_page_loads(page, tmp_path):
    done = check(tmp_path, configuration_of(page))
    assert done.returncode == 0, done.stderr


def test_the_example_adapter_builds_without_a_warning_and_loads(tmp_path):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-I", ROOT / "include", "-o", plugins / "hello-supplier.so", EXAMPLE], check=True, timeout=120)
    done = check(tmp_path, configuration_of("docs/plugins.md"), plugins)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target
