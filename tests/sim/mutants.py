#!/usr/bin/python3
"""Does the simulation see what it is there to see? Each mutant breaks one promise of the flow on purpose.

For each, one source of core/flow is changed, compiled as the build does it, linked into the simulation, and run over
the same seeds: a mutant that no seed catches is a property that is not checked. Takes the build folder;
`./dev sim --mutants` runs it. Names of mutants as arguments: these alone.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# what is broken: (source, what stands there, what is put in its place)
MUTANTS = {
    "what was chosen before a pause leaves after it": (
        "pause", "return l->pause ? l->pause : pause_of(l->flow, true, str_of(r->name));", "return NULL;"),
    "a paused endpoint is asked": ("confirm", "(c->lane->pause && !c->lane->pause->drain)", "0"),
    "a restart forgets pauses": ("pause", "take(f, rd->route, &states[i]);", ";"),
    "what lost its place goes on": ("reload", "orphans[n++] = d;", ";"),
    "what a reload came between is not held": ("routed", "if (orphan && d->state != DS_HELD)", "if (0)"),
    "another priority hides what is older": ("earlier", " || hides_mixed(l, d)", ""),
    "order is ignored": ("chain", "(!d->chain || first_of(d->chain) == d)", "true"),
    "tokens are not waited for": ("pace", "uint64_t wait = bucket_take(&l->bucket, cost, now);",
                                  "uint64_t wait = 0; (void)now;"),
    "what may have arrived is sent again": ("settle", "SL_ACTION_IDEMPOTENT) {", "SL_ACTION_IDEMPOTENT || 1) {"),
    "a 429 is not heard": ("pace", "    bucket_block(&l->bucket, now", "    if (0) bucket_block(&l->bucket, now"),
    "an open breaker lets pass": ("pump", "wait = breaker_ask(&l->breaker, now);", "wait = 0;"),
    "a parked lane sends": ("pump", "if (l->parked && now < l->parked_until)", "if (0)"),
    "each attempt has another key": ("delivery", '"%s-%u", id, d->generation', '"%s-%u", id, d->attempts'),
    "a request is made anew each time": ("batch", "if (b->items[i].d->request)", "if (0)"),
    "a turn is not counted": ("pump", "l->credits[p->priority]--;", ";"),
    "what is skipped while reading is forgotten": ("window", "nums_add(&w->missed, num);", ";"),
    "what went while reading comes back": ("window", "nums_add(&w->gone, num);", ";"),
    "what is behind in the index is not waited for": ("chain", "!behind_hides(c, d->num)", "true"),
    "what moved while it was read is believed to stand": ("behind", "c->behind->again = true;", ";"),
    "what is left while more is read is forgotten": ("behind", "c->behind->more = true;", ";"),
    "what cannot go keeps its place in the window": ("sift", "found = crowded && set_aside(f);", "found = false;"),
    "an emitted event is not routed": ("settle", "router_submit(&f->router,", "if (0) router_submit(&f->router,"),
    "a restart sends what was out": ("recover", "now_unknown(members[i]);",
                                     "lane_enter(members[i], DS_READY), lane_place(members[i]);"),
    "a fallback gets what may have arrived": ("fallback", "if (m->arrival == ARRIVAL_NO)", "if (1)"),
    "a policy's attempts have no end": ("retry", "attempts >= conf->max_attempts", "attempts > 1000"),
    "slots are not counted": ("pump", "return l->under_way < slots - kept;", "return true;"),
    "what waits for its token leaves a lane that was parked": ("health", "if (l->parked && !b->probe)", "if (0)"),
    "what waits for its token passes a breaker that opened": ("health", "if (b->breaker_trips != l->breaker.trips)",
                                                              "if (0)"),
}


def commands(build, target):
    told = subprocess.run(["ninja", "-C", build, "-t", "commands", target], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def compile_mutant(build, lines, folder, source, old, new):
    """The simulation with one source changed; or why there is none."""
    text = (ROOT / "core" / "flow" / f"{source}.c").read_text()
    if old not in text:
        return None, "its place is not there any more"
    (folder / f"{source}.c").write_text(text.replace(old, new, 1))
    (line,) = [one for one in lines if one.endswith(f"core/flow/{source}.c")]
    for was, now in ((r"-o \S+", f"-o {folder}/{source}.o"), (r"-MF \S+", f"-MF {folder}/d"), (r"-MQ \S+", ""),
                     (r"-c \S+$", f"-w -c {folder}/{source}.c")):
        line = re.sub(was, now, line)
    link = lines[-1].replace("-o tests/sim/sim ", f"-o {folder}/sim {folder}/{source}.o ")
    for command in (line, link):
        done = subprocess.run(shlex.split(command), cwd=build, capture_output=True, text=True)
        if done.returncode:
            return None, "it does not compile: " + done.stderr.strip()[-300:]
    return folder / "sim", None


def caught(sim, seeds, source):
    """The first property that a seed saw broken; None: all held."""
    plan = ["--crowd"] if source in ("behind", "sift") else []
    done = subprocess.run([sim, *plan, "--seeds", str(seeds)], capture_output=True, text=True, errors="replace", timeout=600)
    if done.returncode == 0:
        return None
    first = re.search(r"^seed .*", done.stdout + done.stderr, re.M)
    return first.group(0)[:150] if first else f"ended with {done.returncode}"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("build")
    options.add_argument("--seeds", type=int, default=2000)
    options.add_argument("--only", action="append")
    options = options.parse_args()
    lines = commands(options.build, "tests/sim/sim")
    missed = 0
    for name, (source, old, new) in MUTANTS.items():
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            sim, why = compile_mutant(options.build, lines, pathlib.Path(folder), source, old, new)
            seen = caught(sim, options.seeds, source) if sim else None
        missed += seen is None
        print(f"{'caught' if seen else 'MISSED'}  {name}: {seen or why or 'every seed passed'}", flush=True)
    print(f"{missed} of {len(MUTANTS)} missed" if missed else f"all {len(MUTANTS)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
