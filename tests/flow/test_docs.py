"""What the documentation prints is true: its configurations load, its example builds, its links lead somewhere."""

import ast
import re
import subprocess

import pytest

from flow.harness import BUILD, ROOT, SLUICE, build_example, configuration_of

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "plugins").glob("*/*.md")])


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
    done = check(tmp_path, configuration_of("docs/plugins.md"), build_example(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target
            assert not anchor or anchor in headings(page.parent / target if target else page), (target, anchor)


def headings(page):
    """As they are addressed behind a #."""
    return {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-")
            for line in re.findall(r"(?m)^#+ (.*)$", page.read_text())}


# ---- docs/testing.md: the map of faults ----

FAULTS = [*(f"F{n}" for n in range(1, 16)), "F24", "F25", "F26", "F30"]


def map_of_faults():
    """{"F1": [(file, name), ...]}; of a fuzz target the name is ""."""
    text = (ROOT / "docs" / "testing.md").read_text()
    parts = re.split(r"(?m)^### (F\d+): .*$", text)[1:]
    return {number: re.findall(r"`(tests/[\w/]+\.(?:py|c))(?:::(\w+))?`", part.split("\n## ")[0])
            for number, part in zip(parts[::2], parts[1::2])}


def marks(expressions):
    """The faults that `pytest.mark.fault("F1", ...)` among these names."""
    calls = [one for one in expressions if isinstance(one, ast.Call) and ast.unparse(one.func) == "pytest.mark.fault"]
    return {argument.value for call in calls for argument in call.args}


def marked_tests():
    """{(file, name): {"F1", ...}} of all Python tests that are marked."""
    found = {}
    for path in sorted([*(ROOT / "tests" / "faults").glob("test_*.py"), *(ROOT / "tests" / "flow").glob("test_*.py")]):
        body = ast.parse(path.read_text()).body
        common = marks(one.value for one in body
                       if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark")
        for one in body:
            numbers = common | marks(one.decorator_list) if isinstance(one, ast.FunctionDef) else set()
            if numbers and one.name.startswith("test_"):
                found[str(path.relative_to(ROOT)), one.name] = numbers
    return found


def test_every_fault_of_the_map_has_tests():
    faults = map_of_faults()
    assert list(faults) == FAULTS
    for number, tests in faults.items():
        assert tests, number


def test_every_test_that_the_page_of_tests_names_exists():
    for file, name in re.findall(r"`(tests/[\w/]+\.(?:py|c))(?:::(\w+))?`", (ROOT / "docs" / "testing.md").read_text()):
        assert (ROOT / file).exists(), file
        pattern = rf"(?m)^def {name}\(" if file.endswith(".py") else rf"cmocka_unit_test\w*\(\s*{name}\b"
        assert not name or re.search(pattern, (ROOT / file).read_text()), (file, name)


def test_what_is_marked_as_a_fault_stands_in_the_map_and_the_other_way_round():
    named = {(number, file, name) for number, tests in map_of_faults().items() for file, name in tests
             if file.endswith(".py")}
    marked = {(number, *test) for test, numbers in marked_tests().items() for number in numbers}
    assert sorted(named ^ marked) == []


def test_every_fuzz_target_stands_in_the_map():
    named = {file for file, name in map_of_faults()["F13"] if not name}
    assert named == {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "fuzz").glob("fuzz_*.c")}
