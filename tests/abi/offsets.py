#!/usr/bin/python3
"""The layout of the plugin ABI as assertions: the sizes and offsets of every public struct, and the
values of every public constant, as the compiler lays them out from include/sluice/.

offsets.py                prints the assertions
offsets.py --check FILE   compares them with those in FILE (tests/abi/layout.c): 0, or 1 with what differs
offsets.py --write FILE   puts them into FILE, between its two marks

Run --write after a meant change of a header, and look at the difference before you commit it: lines
that were only added are an append, and raise the minor; a line that changed or went away breaks every
plugin there is, and raises the number in the symbol's name.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
BEGIN = "/* from offsets.py */"
END = "/* to here */"
# These change with each version, and that is their purpose.
NOT_KEPT = {"SL_ABI_MINOR", "SL_EXPORT", "SL_HAS"}


def headers():
    """Names of the public headers, as a plugin includes them."""
    return sorted(path.relative_to(INCLUDE).as_posix() for path in INCLUDE.rglob("*.h"))


def source(body=""):
    return "".join(f"#include <{name}>\n" for name in headers()) + body


def run(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stderr}")
    return done.stdout


def preprocess(cc, *options):
    return run([*cc, "-std=c11", f"-I{INCLUDE}", "-E", *options, "-x", "c", "-"], source())


def split(text, separator):
    """Cut where no bracket is open."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "({[") - (char in ")}]")
        if char == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def field_name(declarator):
    function = re.search(r"\(\s*\*\s*(\w+)\s*\)", declarator)
    if function:
        return function[1]
    return re.findall(r"\w+", declarator.split("[")[0])[-1]


def structs(cc):
    """(name, field names) of every public struct, in the order of the headers."""
    text = preprocess(cc, "-P")
    found = []
    for match in re.finditer(r"typedef\s+struct\s+(sl_\w+)\s*\{(.*?)\}\s*\1\s*;", text, re.S):
        fields = []
        for declaration in split(match[2], ";"):
            fields += [field_name(part) for part in split(declaration, ",")]
        found.append((match[1], fields))
    bodies = len(re.findall(r"\bstruct\s+sl_\w+\s*\{", text))
    if bodies != len(found):
        sys.exit(f"offsets.py understood {len(found)} of {bodies} structs: write them as "
                 "typedef struct sl_x { ... } sl_x;")
    return found


def constants(cc):
    """Names of the public constants with a value, in the order of the alphabet."""
    text = preprocess(cc, "-dM")
    names = set(re.findall(r"^#define (SL_\w+) \S", text, re.M)) - NOT_KEPT
    return sorted(names)


def assertions(cc):
    """Lines of C, each a statement."""
    prints = []
    for name in constants(cc):
        prints.append(f'printf("CHECK_VALUE({name}, %lld);\\n", (long long)({name}));')
    for name, fields in structs(cc):
        prints.append(f'printf("\\nCHECK_SIZE({name}, %zu);\\n", sizeof({name}));')
        prints += [
            f'printf("CHECK_OFFSET({name}, {field}, %zu);\\n", offsetof({name}, {field}));'
            for field in fields
        ]
    body = "#include <stdio.h>\nint main(void)\n{\n" + "\n".join(prints) + "\nreturn 0;\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/offsets"
        run([*cc, "-std=c11", f"-I{INCLUDE}", "-x", "c", "-", "-o", program], source(body))
        return run([program], "")


def kept(text, file):
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        sys.exit(f'{file}: the marks "{BEGIN}" and "{END}" are missing')
    return begin + len(BEGIN) + 1, end


def check(file, now):
    text = file.read_text()
    begin, end = kept(text, file)
    then = [line for line in text[begin:end].splitlines() if line]
    now = [line for line in now.splitlines() if line]
    gone = [line for line in then if line not in now]
    new = [line for line in now if line not in then]
    for line in gone:
        print(f"no longer true: {line}")
    for line in new:
        print(f"not in {file.name}:  {line}")
    if gone or new:
        print(f"the plugin ABI changed. If that is meant, run: tests/abi/offsets.py --write {file}")
    return 1 if gone or new else 0


def main():
    parser = argparse.ArgumentParser(description="the plugin ABI's layout as assertions")
    parser.add_argument("--cc", default="cc", help="the C compiler")
    parser.add_argument("--check", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    now = assertions(shlex.split(options.cc))
    if options.check:
        return check(options.check, now)
    if options.write:
        text = options.write.read_text()
        begin, end = kept(text, options.write)
        options.write.write_text(text[:begin] + now + text[end:])
        return 0
    print(now, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
