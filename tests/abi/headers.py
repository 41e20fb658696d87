#!/usr/bin/python3
"""Checks the public headers, each by itself, as a plugin would include it.

headers.py includes              only their own kind and the C library
headers.py compile COMPILER...   with this compiler and these options, without a warning
"""

import re
import subprocess
import sys

from offsets import INCLUDE, headers

C_LIBRARY = {
    f"{name}.h"
    for name in (
        "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal "
        "stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath "
        "threads time uchar wchar wctype"
    ).split()
}


def strangers():
    """Complaints about what the headers include."""
    own = set(headers())
    for name in sorted(own):
        for line in (INCLUDE / name).read_text().splitlines():
            if not re.match(r"\s*#\s*include", line):
                continue
            included = re.search(r"<([^>]+)>", line)
            if not included or included[1] not in own | C_LIBRARY:
                yield f"{name}: {line.strip()}: neither <sluice/...> nor the C library"


def warnings(command):
    """What the compiler says of each header."""
    for name in headers():
        done = subprocess.run(
            [*command, f"-I{INCLUDE}", "-fsyntax-only", "-"],
            # the second time it must be empty; a unit must hold something to be pedantic about
            input=f"#include <{name}>\n#include <{name}>\nextern int one_thing;\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or done.stderr:
            yield f"{name}: {' '.join(command)}\n{done.stderr}"


def main():
    what, *command = sys.argv[1:]
    complaints = list(strangers() if what == "includes" else warnings(command))
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
