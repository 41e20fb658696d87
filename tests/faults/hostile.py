"""Runs the hostile client (hostile.c), and looks at a process from outside."""

import json
import os
import subprocess

from flow.harness import BUILD

PROGRAM = BUILD / "tests" / "faults" / "hostile"
LONG = bool(os.environ.get("SLUICE_LONG"))


class Hostile:
    """One that runs beside the test.

        with Hostile(gateway.port, "idle", 2000) as idle:    # from here on they are open
            ...
            report = idle.end()
    """

    def __init__(self, port, *words):
        self.words = [str(PROGRAM), str(port), *map(str, words)]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.words[2] != "throw":
            assert self.process.stdout.readline() == "ready\n", self.words
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def running(self):
        return self.process.poll() is None

    def end(self, seconds=3600):
        """Waits for it (idle ones are told to go); what it reports."""
        out, _ = self.process.communicate("", timeout=seconds)
        assert self.process.returncode == 0, self.words
        return json.loads(out)


def rss_kib(gateway):
    with open(f"/proc/{gateway.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def rss_most_kib(gateway):
    """The most it ever had."""
    with open(f"/proc/{gateway.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def cpu_s(gateway):
    with open(f"/proc/{gateway.process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
