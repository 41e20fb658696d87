"""How often are contacts of a CRM matched rightly, and how long does one take?

    ./dev bench contacts [--seeds N] [--json FILE]

14,000 contacts of 6,000 companies and 16,100 records about them, made up with known truth; the five seeds of the
test, or N others. Ends with 1 if a floor is missed, and names it. plugins/salesforce/contacts.md says what is compared.
"""

import argparse
import json
import subprocess

from common import BUILD, number, say, table, write_json

FLOORS = [("precision", ">=", 0.995), ("recall", ">=", 0.86), ("recall_with_questions", ">=", 0.93),
          ("ambiguous_automatic", "<=", 0)]


def run(arguments=None):
    parser = argparse.ArgumentParser(prog="./dev bench contacts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="so many other worlds")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args(arguments)
    seeds = [str(1_000_003 + one) for one in range(args.seeds)]
    done = subprocess.run([str(BUILD / "bench" / "bench-contacts-match"), *seeds], capture_output=True, text=True,
                          check=True)
    worlds = json.loads(done.stdout)
    table(["seed", "decided alone", "right", "recall", "with questions", "asked", "ambiguous", "... decided", "us each"],
          [[str(one["seed"]), number(one["automatic"]), number(one["precision"], 5), number(one["recall"], 4),
            number(one["recall_with_questions"], 4), number(one["asked"]), number(one["ambiguous"]),
            number(one["ambiguous_automatic"]), number(one["us_per_record"], 1)] for one in worlds])
    worst = {name: (min if how == ">=" else max)(one[name] for one in worlds) for name, how, _ in FLOORS}
    if args.json:
        write_json(args.json, {"worlds": worlds, **worst})
    missed = [f"{name} {worst[name]}, wanted {how} {floor}" for name, how, floor in FLOORS
              if not (worst[name] >= floor if how == ">=" else worst[name] <= floor)]
    for one in missed:
        say(f"missed: {one}")
    return 1 if missed else 0
