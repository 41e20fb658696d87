"""How many orders a second go through: taken, routed by jq, posted to a supplier, its answer written.

    ./dev bench deliver [--orders N] [--runs N] [--json FILE]

The supplier is an nginx that answers 201 at once, so what is measured is Sluice. Medians.
"""

import argparse
import statistics
import time

from common import BUILD, Load, confine, cpu_s, machine, number, run_folder, say, say_machine, step, table, write_json
from flow.harness import demo_config, wait_until
from servers import Nginx, Sluice


class Delivering(Sluice):
    def __init__(self, folder, supplier_port):
        super().__init__(folder)
        self.config = demo_config(f"http://127.0.0.1:{supplier_port}",
                                  endpoints={"byron": {"rate": None, "concurrency": 64}})


def measure(folder, load, supplier_port, orders):
    with Delivering(folder / "sluice", supplier_port) as server:
        before, begun = cpu_s(server.roots), time.monotonic()
        taken = load.run(server, 300, requests=orders)
        wait_until(lambda: server.gateway.lane("byron")["delivered"] >= orders, "all is delivered", seconds=300,
                   every=0.05)
        took = time.monotonic() - begun
        assert server.gateway.states() == {"delivered": orders}, server.gateway.states()
        return {"deliveries_per_s": orders / took, "taken_per_s": taken["requests_per_s"],
                "cpu_us_per_delivery": (cpu_s(server.roots) - before) * 1e6 / orders}


def run():
    parser = argparse.ArgumentParser(prog="./dev bench deliver", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--cores", type=int, default=2, help="how many are used; one of them sends")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    args = parser.parse_args()
    core = confine(args.cores)
    with run_folder(args.work) as folder:
        say_machine(machine(folder))
        load = Load(folder, core, args.connections)
        load.sign(args.orders)
        runs = []
        with Nginx(folder / "nginx") as supplier:
            for turn in range(args.runs):
                step(f"run {turn + 1} of {args.runs}")
                runs.append(measure(folder, load, supplier.port, args.orders))
    result = {name: round(statistics.median(one[name] for one in runs), 1) for name in runs[0]}
    say()
    table(["orders", "taken/s", "delivered/s", "CPU us/order"],
          [[number(args.orders), number(result["taken_per_s"]), number(result["deliveries_per_s"]),
            number(result["cpu_us_per_delivery"])]])
    write_json(args.json, result)
    return 0
