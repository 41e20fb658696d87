"""The committed reference of the configuration is what the option tables say, and conf/ loads."""

import json
import re
import subprocess

import pytest
import yaml

from flow.harness import BUILD, ROOT, SLUICE, build_example

ADAPTERS = ["shopify", "supplier-http", "salesforce", "http"]
SAMPLE = ROOT / "conf" / "sluice.sample.yaml"


def sluice(*words):
    return subprocess.run([SLUICE, *words], capture_output=True, text=True, timeout=60)


def check(folder, text):
    """`sluice check` of a text, with the adapters of this build, and the guide's where it is wanted."""
    plugins = [BUILD / "plugins"] + ([build_example(folder)] if "hello-supplier" in text else [])
    file = folder / "sluice.yaml"
    file.write_text(re.sub(r"(?m)^#?plugins:.*$", f"plugins: [{', '.join(map(str, plugins))}]", text))
    return sluice("check", "--no-secrets", "-c", file)


def test_the_sample_is_what_the_option_tables_say():
    told = sluice("reference", "--plugins", BUILD / "plugins", *ADAPTERS)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == SAMPLE.read_text(), \
        f"run: build/sluice reference --plugins build/plugins {' '.join(ADAPTERS)} >conf/sluice.sample.yaml"


def test_every_commented_key_of_the_sample_loads(tmp_path):
    every_key = re.sub(r"(?m)^( *)#(?! )", r"\1", SAMPLE.read_text())  # a comment has a space, a key has none
    done = check(tmp_path, every_key)
    assert done.returncode == 0, done.stderr
    routes = len(yaml.safe_load(every_key)["routes"])  # one for each action
    assert routes > len(ADAPTERS) and f"{len(ADAPTERS)} endpoints, {routes} routes" in done.stdout


def test_the_reference_without_adapters_loads_as_it_is(tmp_path):
    done = check(tmp_path, sluice("reference").stdout)
    assert done.returncode == 0, done.stderr


def test_the_reference_names_an_adapter_that_is_not_there():
    done = sluice("reference", "--plugins", BUILD / "plugins", "shopware")
    assert done.returncode == 4 and done.stdout == ""
    assert f"there is no shopware.so in {BUILD / 'plugins'}" in done.stderr


def told_schema():
    told = sluice("reference", "--schema", "--plugins", BUILD / "plugins", *ADAPTERS)
    assert (told.returncode, told.stderr) == (0, "")
    return json.loads(told.stdout)["$defs"]


def test_the_schemas_know_every_key_and_action_of_the_adapters():
    schemas = told_schema()
    every_key = yaml.safe_load(re.sub(r"(?m)^( *)#(?! )", r"\1", SAMPLE.read_text()))
    assert sorted(schemas) == sorted(ADAPTERS)
    for adapter in ADAPTERS:
        settings, sample = schemas[adapter]["settings"]["properties"], every_key["endpoints"][f"my-{adapter}"]
        assert set(settings) <= set(sample)  # beside them stand the keys that each endpoint may have
        actions = {one["to"]["action"]: one["to"] for one in every_key["routes"]
                   if one["to"].get("endpoint") == f"my-{adapter}"}
        named = schemas[adapter]["actions"]
        assert set(actions) == {name for name in named if not name.endswith(".cancel") or name in actions}
        for name, to in actions.items():
            assert set(named[name]["to"]["properties"]) == set(to) - {"endpoint", "action"}
            assert set(named[name]["to"].get("required", [])) <= set(to)


@pytest.mark.parametrize("name", sorted(file.name for file in (ROOT / "conf").glob("*.yaml") if file != SAMPLE))
def test_a_configuration_of_conf_loads(name, tmp_path):
    (tmp_path / "maps").symlink_to(ROOT / "conf" / "maps")
    done = check(tmp_path, (ROOT / "conf" / name).read_text())
    assert done.returncode == 0, done.stderr
