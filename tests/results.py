#!/usr/bin/python3
"""Adds up JUnit files, meson's and pytest's: prints "passed failed skipped", then the failed names.

Meson knows a cmocka program as one test; its output tells the cases apart, and those are counted.
A program that crashed may have lost its output: then it counts as one failure.
"""

import sys
import xml.etree.ElementTree as ET


def cmocka_cases(output):
    """(passed, skipped, names of the rest) as a cmocka program printed them."""
    started, passed, skipped = [], set(), set()
    for line in output.splitlines():
        mark, bracket, name = line.partition("] ")
        word = mark.strip("[ ")
        if not bracket or not mark.startswith("["):
            continue
        if word == "RUN":
            started.append(name)
        elif word == "OK":
            passed.add(name)
        elif word == "SKIPPED":
            skipped.add(name)
    return len(passed), len(skipped), [name for name in started if name not in passed | skipped]


def one(case):
    """(passed, skipped, failed names) of a <testcase>."""
    name = case.get("name", "?")
    where = case.get("classname", "")
    bad = case.find("failure") is not None or case.find("error") is not None
    if case.find("skipped") is not None and not bad:
        return 0, 1, []
    passed, skipped, failed = cmocka_cases(case.findtext("system-out") or "")
    if bad:
        return passed, skipped, [f"{name}: {rest}" for rest in failed] or [f"{where}: {name}"]
    return (passed, skipped, []) if passed else (1, 0, [])


def main():
    passed, skipped, failed = 0, 0, []
    for path in sys.argv[1:]:
        try:
            cases = ET.parse(path).iter("testcase")
        except (OSError, ET.ParseError):
            continue  # the caller knows by the exit code
        for case in cases:
            p, s, f = one(case)
            passed += p
            skipped += s
            failed += f
    print(passed, len(failed), skipped)
    for name in failed:
        print(name)


if __name__ == "__main__":
    main()
