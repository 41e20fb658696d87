"""What the loader will not run, and the exact words it refuses it with."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).resolve()

CONFIG = """plugins: [plugins]
store: {{ path: state }}
endpoints:
  shop:
    adapter: {adapter}
routes: []
"""
PLACE = "5:14"  # where `adapter:` has its value

# A whole plugin that does nothing; %s marks what each case spoils.
PLUGIN = """
#include <sluice/sluice.h>

static sl_status open_(const sl_host *host, void **ret, sl_fail *fail)
{ (void)host; (void)fail; *ret = (void *)1; return SL_OK; }
static void close_(void *self) { (void)self; }
static sl_status verify(void *self, const sl_head *head, sl_verdict *ret, sl_fail *fail)
{ (void)self; (void)head; (void)ret; (void)fail; return SL_E_NOT_FOUND; }

static const sl_plugin plugin = {
    .size = %(size)s,
    .abi_minor = %(minor)s,
    .name = "%(name)s",
    .%(open)s = open_,
    .close = close_,
    .verify = verify,
};
SL_EXPORT const sl_plugin *%(symbol)s(void) { return %(table)s; }
"""
GOOD = {"size": "sizeof(sl_plugin)", "minor": "SL_ABI_MINOR", "name": "trial", "open": "open",
        "symbol": "sl_plugin_v0", "table": "&plugin"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plugins").mkdir()
    return tmp_path


def write_config(folder, adapter="trial"):
    (folder / "sluice.yaml").write_text(CONFIG.format(adapter=adapter))


def compile_plugin(folder, file="trial.so", source=None, **spoilt):
    target = folder / "plugins" / file
    text = source if source is not None else PLUGIN % {**GOOD, **spoilt}
    subprocess.run(["cc", "-shared", "-fPIC", "-Wno-unused", f"-I{ROOT / 'include'}", "-o", str(target), "-x",
                    "c", "-"], input=text, text=True, check=True)
    target.chmod(0o644)
    return target


def check(folder, adapter="trial"):
    """`sluice check`: (exit code, what it said)."""
    write_config(folder, adapter)
    done = subprocess.run([str(BUILD / "sluice"), "check", "-c", str(folder / "sluice.yaml")], text=True,
                          capture_output=True, timeout=120)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def refused(folder, message, adapter="trial"):
    """The configuration is wrong at the adapter's place, with this message."""
    code, said = check(folder, adapter)
    first = said.splitlines()[0]
    assert first == f'{folder}/sluice.yaml:{PLACE}: error: adapter "{adapter}": {message}'
    assert code == 3


def test_a_good_plugin_is_taken(folder):
    compile_plugin(folder)
    code, said = check(folder)
    assert code == 0, said


def test_a_plugin_that_others_can_write_is_refused(folder):
    path = compile_plugin(folder)
    path.chmod(0o664)
    refused(folder, f"{path} can be written by others (mode 0664); run: chmod go-w {path}")


def test_a_plugin_in_a_folder_that_others_can_write_is_refused(folder):
    path = compile_plugin(folder)
    path.parent.chmod(0o777)
    refused(folder, f"{path.parent} can be written by others (mode 0777); run: chmod go-w {path.parent}")


def test_a_symbolic_link_is_refused_even_to_a_good_plugin(folder):
    path = compile_plugin(folder, "real.so")
    link = folder / "plugins" / "trial.so"
    link.symlink_to(path)
    refused(folder, f"{link}: is a symbolic link; put the file itself there")


def test_a_plugin_of_another_user_is_refused(folder):
    path = compile_plugin(folder)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, 12345)
    refused(folder, f"{path} belongs to uid 12345; it must belong to root or to the user Sluice runs as (uid 0)")


def test_a_plugin_of_another_major_is_refused_with_both_versions(folder):
    path = compile_plugin(folder, symbol="sl_plugin_v1")
    refused(folder, f"{path} is built for plugin ABI 1, this Sluice speaks {abi()}; rebuild it with this "
                    "version's headers")


def test_a_plugin_that_needs_a_newer_minor_is_refused(folder):
    path = compile_plugin(folder, minor="99")
    refused(folder, f"{path} needs plugin ABI 0.99, this Sluice speaks {abi()}")


def test_a_file_that_is_no_shared_object_is_refused(folder):
    path = folder / "plugins" / "trial.so"
    path.write_text("this is not a shared object, however long it may be " * 100)
    path.chmod(0o644)
    refused(folder, f"{path} cannot be loaded: invalid ELF header")


def test_a_truncated_plugin_is_refused(folder):
    path = compile_plugin(folder)
    with open(path, "r+b") as file:
        file.truncate(40)
    refused(folder, f"{path} cannot be loaded: file too short")


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_a_plugin_cut_within_its_segments_is_refused_and_kills_nobody(folder, share):
    path = compile_plugin(folder)
    length = int(loaded_bytes(path) * share)
    with open(path, "r+b") as file:
        file.truncate(length)
    refused(folder, f"{path} is cut short, at {length} bytes; copy it again")


def loaded_bytes(path):
    """Where the last segment that is loaded ends in the file."""
    lines = subprocess.run(["readelf", "-lW", str(path)], capture_output=True, text=True, check=True).stdout
    loads = [line.split() for line in lines.splitlines() if line.split()[:1] == ["LOAD"]]
    return max(int(load[1], 16) + int(load[4], 16) for load in loads)


def test_a_shared_object_without_the_symbol_is_refused(folder):
    path = compile_plugin(folder, source="int nothing(void) { return 0; }")
    refused(folder, f"{path} is not a Sluice plugin: it does not export sl_plugin_v0")


def test_a_shared_object_with_missing_symbols_is_refused_before_any_of_it_runs(folder):
    path = compile_plugin(folder, source=PLUGIN % GOOD + "void gone(void);\nvoid x(void) { gone(); }\n")
    refused(folder, f"{path} cannot be loaded: undefined symbol: gone")


def test_a_table_that_is_too_small_is_refused(folder):
    path = compile_plugin(folder, size="8")
    code, said = check(folder)
    wanted = re.escape(f"{path}: its table has 8 bytes, at least ") + r"\d+" + re.escape(
        " are needed; was `size` set to sizeof(sl_plugin)?")
    assert code == 3 and re.search(wanted, said)


def test_a_table_that_is_no_table_is_refused(folder):
    path = compile_plugin(folder, table="NULL")
    refused(folder, f"{path}: sl_plugin_v0() returned no table")


def test_a_plugin_under_another_name_than_its_own_is_refused(folder):
    path = compile_plugin(folder, name="other")
    refused(folder, f'{path} calls itself "other"; the file\'s name must be other.so')


def test_a_plugin_without_its_required_functions_is_refused(folder):
    path = compile_plugin(folder, source=(PLUGIN % GOOD).replace(".open = open_,", ""))
    refused(folder, f"{path} has no open function; open and close are required")


def test_a_plugin_that_is_not_there_is_named_with_the_folders_and_the_nearest_name(folder):
    compile_plugin(folder)
    code, said = check(folder, "trail")
    assert code == 3
    assert said.splitlines()[0] == (f'{folder}/sluice.yaml:{PLACE}: error: unknown adapter "trail"; '
                                    'did you mean "trial"?')


def test_nothing_outside_the_configured_folders_is_loaded(folder):
    compile_plugin(folder)
    shutil.move(folder / "plugins" / "trial.so", folder / "trial.so")
    for name in ("trial", "../trial", str(folder / "trial")):
        code, said = check(folder, name)
        assert code == 3 and "trial" in said


def abi():
    done = subprocess.run([str(BUILD / "sluice"), "version"], capture_output=True, text=True, check=True)
    return re.search(r"plugin ABI (\d+\.\d+)", done.stdout)[1]
