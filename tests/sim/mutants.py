#!/usr/bin/python3
"""Does the simulation see what it is there to see? Each mutant breaks one promise of the flow on purpose.

For each, one source of core/flow is changed, compiled as the build does it, linked into the simulation, and run over
the same seeds: a mutant that no seed catches is a property that is not checked. What seeds hardly come to is a unit
test's (UNITS): that is linked with the changed source in place of the simulation. Takes the build folder;
`./dev sim --mutants` runs it. `--only NAME` (also several times): these alone. `--check`: does each still have its
place, just once? One that has not would break nothing, and so says nothing: it is an error, not a mutant missed.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# what is broken: (source, what stands there, what is put in its place); several of both: all at once
MUTANTS = {
    "what was chosen before a pause leaves after it": (
        "pause", "return l->pause ? l->pause : pause_of(l->flow, true, str_of(r->name));", "return NULL;"),
    "a paused endpoint is asked": ("confirm", "(c->lane->pause && !c->lane->pause->drain)", "0"),
    "a restart forgets pauses": ("pause", "take(f, rd->route, &states[i]);", ";"),
    "what lost its place goes on": ("reload", "orphans[n++] = d;", ";"),
    "what a reload came between is not held": ("routed", "if (orphan && d->state != DS_HELD)", "if (0)"),
    "another priority hides what is older": (  # each of the two does for the other
        "earlier", (" || hides_mixed(l, d)", "return d->lane->flow->lowered || d->priority"),
        ("", "return d->priority")),
    "order is ignored": ("chain", "return !c || (first_of", "return true || (first_of"),
    "tokens are not waited for": ("pace", "wait = wait ? wait : bucket_take(&l->bucket, cost, now);", "(void)now;"),
    "what may have arrived is sent again": ("settle", "SL_ACTION_IDEMPOTENT) {", "SL_ACTION_IDEMPOTENT || 1) {"),
    "a 429 is not heard": ("pace", "    bucket_block(&l->bucket, now", "    if (0) bucket_block(&l->bucket, now"),
    "an open breaker lets pass": ("pump", "wait = breaker_ask(b, now);", "wait = 0;"),
    "a Retry-After is not waited for": ("pace", "(after_ms > 0 ? after_ms : 1000)", "1000"),
    "what an answer says is left is not believed": ("bucket", "    if (b->level > most) {", "    if (0) {"),
    "a bucket gives one too many": ("bucket", "((int64_t)cost + promised) * TOKEN;",
                                    "((int64_t)cost + promised - 1) * TOKEN;"),
    "everybody gets what is kept for critical work": ("pace", "return of * l->conf->rate_reserve / 100;", "return 0;"),
    "a restart begins with a full bucket": ("pace", "if (in > 0)", "if (0)"),
    "a restart begins with a whole quota": ("pace", "    l->day.used = l->marked_used = json", "    (void)json"),
    "what is chosen leaves though the quota is gone": (
        "pace", "wait = quotas_gone(l);\n\n    wait = wait ? wait : bucket_take(&l->bucket, cost",
        "wait = 0;\n\n    wait = wait ? wait : bucket_take(&l->bucket, cost"),
    "an answer that was overtaken lowers what is used": ("quota", "if (q->used < before.used)", "if (0)"),
    "what is kept is promised": ("bucket", "        all += keep;", "        ;"),
    "a parked lane sends": ("pump", "if (l->parked && now < l->parked_until)", "if (0)"),
    "each attempt has another key": ("delivery", '"%s-%u", id, d->generation', '"%s-%u", id, d->attempts'),
    "a request is made anew each time": ("batch", "if (b->items[i].d->request)", "if (0)"),
    "a turn is not counted": ("pump", "l->credits[p->priority]--;", ";"),
    "what is skipped while reading is forgotten": (
        "window", "w->claiming)\n        nums_add(&w->missed, num);", "0)\n        ;"),
    "what is to be read again while reading is forgotten": (
        "window", "w->claiming) {\n        nums_add(&w->missed, num);", "w->claiming) {\n        ;"),
    "what went while reading comes back": ("window", "nums_add(&w->gone, num);", ";"),
    "what is behind in the index is not waited for": ("chain", "!behind_hides(c, d->num)", "true"),
    "what moved while it was read is believed to stand": ("behind", "c->behind->again = true;", ";"),
    "what is left while more is read is forgotten": ("behind", "c->behind->more = true;", ";"),
    "what cannot go keeps its place in the window": ("sift", "found = crowded && set_aside(f);", "found = false;"),
    "an emitted event is not routed": ("settle", "router_submit(&f->router,", "if (0) router_submit(&f->router,"),
    "a restart sends what was out": ("recover", "now_unknown(members[i]);",
                                     "lane_enter(members[i], DS_READY), lane_place(members[i]);"),
    "a fallback gets what may have arrived": ("fallback", "if (m->arrival != ARRIVAL_NO)", "if (0)"),
    "a policy's attempts have no end": ("retry", "attempts >= conf->max_attempts", "attempts > 1000"),
    "slots are not counted": ("pump", "if (l->under_way >= slots)", "if (0)"),
    "what waits for its token leaves a lane that was parked": ("health", "if (l->parked && !b->probe)", "if (0)"),
    "what waits for its token passes a breaker that opened": ("health", "if (b->breaker_trips != b->breaker->trips)",
                                                              "if (0)"),
    "a replay takes what died after it began": ("replay", "r->filter.until_ms = r->started_ms;", ";"),
    "a replay passes over what could not be written down": (
        "replay", "again |= is_passing(results[i].status);", ";"),
    "a replay has the priority of its route": (
        "replay", ".set_priority = 1 + r->priority,\n        .nums = r->nums,", ".nums = r->nums,"),
    "a replay has no pace": ("replay", "uint64_t due = allowed > released ? allowed - released : 0;",
                             "uint64_t due = most;"),
    "a new failure stops no replay": ("replay", "if (is_known(r, issue))", "if (1)"),
    "replays of before are forgotten": ("replay", "else\n            run(r);", "else\n            ;"),
    "what is mapped again is taken for never sent": ("routed", "rt->remap && remap_in_doubt(rt->remap, rd)", "false"),
    "old events of a replay go out after newer ones": (
        "latest", "(rt->remap && rt->remap->backfill)", "0"),
    "what was filled in goes under the old key": (
        "decide_rules", "c->m.generation = c->row.generation + 1;", ";"),
    "anything can be filled in": ("hold_fill", "if (*pattern && !fits(pattern, value)) {", "if (0) {"),
    "any event releases": (
        "await_ends", "!h || !conf_topic_matches(h->until, h->n_until, w->rt->event->topic)", "!h || !h->n_until"),
    "a clock that rang when its delivery was busy is forgotten": (
        "due", "due_again(f, false, g->nums[i], g->clocks[i], BUSY_MS);", ";"),
    "two stand in for one": (
        "remap", "m->siblings[i].piece && !strcmp(m->siblings[i].piece, piece)", "0"),
    "two batches have one parent": (
        "parents", ("    if (!p || is_free(p, d))", "    if (p && p->holder != it->batch && !is_free(p, d))"),
        ("    if (1)", "    if (0)")),
    "a body that was read back puts its parent into a second batch": (
        "parents", "    if (p && p->holder != it->batch && !is_free(p, d))", "    if (0)"),
    "what goes on after a restart has no parents": ("pump", "if (parents_unread(l))", "if (0)"),
    "who waits for a parent is never called": ("parents", "        pile_put(d);", "        ;"),
    "a parent goes to whoever is first each time": ("parents", "++d->parent_passed > PASSED_MOST", "0"),
    "those of one parent stand as they came": ("batch", "        return;\n    batch_group(b);", "        return;"),
    "narrow ones go with all others": ("lane", "p->priority == d->priority && p->narrow == d->narrow",
                                       "p->priority == d->priority"),
    "narrow batches go side by side": ("pump", "(p->narrow && l->narrow_out)", "0"),
    "a narrow batch has as many as any": ("lane", "        p->max_records = p->narrow;", "        ;"),
    "what was edited goes by another route": ("fallback", "r->fallback_route && row->edited", "0"),
}

# What takes a moment that seeds hardly come to: the unit test in tests/unit/flow that plays it must fail.
UNITS = {
    "what is left while more is read is forgotten": "behind",
    "a parent goes to whoever is first each time": "parents",
}

# Windows far too small for what there is: what is said of windows shows there first.
CROWDED = ("behind", "chain", "earlier", "sift", "window")
# Remotes that count for themselves: what is said of paces.
PACE = ("bucket", "pace", "quota")


SIM = "tests/sim/sim"


def unit_target(name):
    return "tests/unit/flow/test-flow-" + UNITS[name]


def source_of(name):
    return (ROOT / "core" / "flow" / f"{name}.c").read_text()


def pairs(old, new):
    return [(old, new)] if isinstance(old, str) else list(zip(old, new))


def misplaced():
    """What is wrong with the mutants themselves."""
    for name, (source, old, new) in MUTANTS.items():
        for was, _ in pairs(old, new):
            times = source_of(source).count(was)
            if times != 1:
                yield f"ERROR: {name}: its place is {times} times in core/flow/{source}.c: {was!r}"
    for name, unit in UNITS.items():
        if name not in MUTANTS or not (ROOT / "tests" / "unit" / "flow" / f"test_{unit}.c").exists():
            yield f"ERROR: {name}: no such mutant, or no unit test {unit!r}"


def commands(build, target):
    told = subprocess.run(["ninja", "-C", build, "-t", "commands", target], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def compile_mutant(build, target, folder, source, old, new):
    """The simulation, or a unit test, with one source changed; or why there is none."""
    lines = commands(build, target)
    text = source_of(source)
    for was, now in pairs(old, new):
        text = text.replace(was, now)
    (folder / f"{source}.c").write_text(text)
    (line,) = [one for one in lines if one.endswith(f"core/flow/{source}.c")]
    for was, now in ((r"-o \S+", f"-o {folder}/{source}.o"), (r"-MF \S+", f"-MF {folder}/d"), (r"-MQ \S+", ""),
                     (r"-c \S+$", f"-w -c {folder}/{source}.c")):
        line = re.sub(was, now, line)
    link = lines[-1].replace(f"-o {target} ", f"-o {folder}/mutant {folder}/{source}.o ")
    for command in (line, link):
        done = subprocess.run(shlex.split(command), cwd=build, capture_output=True, text=True)
        if done.returncode:
            return None, "it does not compile: " + done.stderr.strip()[-300:]
    return folder / "mutant", None


def caught(sim, seeds, plan, sound):
    """The first property that a seed saw broken; None: all held. `sound`: the simulation without the mutant."""
    try:
        done = subprocess.run([sim, *plan, "--first", "--seeds", str(seeds)], capture_output=True, text=True,
                              errors="replace", timeout=600)
    except subprocess.TimeoutExpired:
        return "it does not come to an end"
    if done.returncode == 0:
        return None
    first = re.search(r"^seed (\d+).*", done.stdout + done.stderr, re.M)
    if first and subprocess.run([sound, *plan, "--seed", first.group(1)], capture_output=True).returncode:
        raise ValueError(f"seed {first.group(1)} fails without it, too")
    return first.group(0)[:150] if first else f"ended with {done.returncode}"


def caught_by_unit(build, target, folder, mutant):
    """As try_one(), by a unit test."""
    test, why = compile_mutant(build, target, folder, *mutant)
    if not test:
        return None, why
    if subprocess.run([f"{build}/{target}"], capture_output=True, timeout=600).returncode:
        return None, f"{target} fails without it, too"
    try:
        done = subprocess.run([test], capture_output=True, text=True, errors="replace", timeout=600)
    except subprocess.TimeoutExpired:
        return f"{target} does not come to an end", None
    failed = re.search(r"^\[  FAILED  \] (\w+)", done.stdout + done.stderr, re.M)
    return f"{target}: {failed.group(1) if failed else done.returncode}" if done.returncode else None, None


def try_one(options, name):
    """(Seen by, or None; why it could not be tried, or None)"""
    source, old, new = MUTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        if name in UNITS:
            return caught_by_unit(options.build, unit_target(name), pathlib.Path(folder), MUTANTS[name])
        sim, why = compile_mutant(options.build, SIM, pathlib.Path(folder), source, old, new)
        if not sim:
            return None, why
        other = ["--crowd"] if source in CROWDED else ["--budget"] if source in PACE else None
        sound = f"{options.build}/{SIM}"
        try:
            seen = caught(sim, options.crowd, other, sound) if other else None
            return seen or caught(sim, options.seeds, [], sound), None
        except ValueError as error:
            return None, str(error)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("build", nargs="?")
    options.add_argument("--seeds", type=int, default=2000)
    options.add_argument("--crowd", type=int, default=300, help="seeds with crowded windows, or of paces, for those")
    options.add_argument("--only", action="append")
    options.add_argument("--check", action="store_true")
    options = options.parse_args()
    wrong = list(misplaced()) + [f"ERROR: there is no mutant {name!r}" for name in options.only or []
                                 if name not in MUTANTS]
    if wrong or options.check:
        print("\n".join(wrong) if wrong else f"all {len(MUTANTS)} have their place")
        return 2 if wrong else 0
    missed, broken, names = 0, 0, options.only or list(MUTANTS)
    targets = [SIM] + [unit_target(name) for name in names if name in UNITS]
    subprocess.run(["ninja", "-C", options.build, *targets], check=True, stdout=subprocess.DEVNULL)
    for name in names:
        seen, why = try_one(options, name)
        broken += why is not None
        missed += not seen and not why
        print(f"{'ERROR ' if why else 'caught' if seen else 'MISSED'}  {name}: {why or seen or 'every seed passed'}",
              flush=True)
    print(f"{missed} of {len(names)} missed" if missed else f"all {len(names)} caught" if not broken else
          f"{broken} of {len(names)} could not be tried")
    return 2 if broken else 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
