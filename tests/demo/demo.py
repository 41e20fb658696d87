#!/usr/bin/python3
"""The demonstration: a flash sale against the whole gateway, with everything going wrong that can.

A shop sends 2,000 orders in a burst. Salesforce goes down, one supplier cuts the line after it has
acted, the other answers 429 and 503, the gateway is killed and restarted - and at the end the books of
the stand-ins are compared with what was sent, field by field.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

try:
    from sandbox.orders import BYRON, OrderFactory
    from sandbox.shopify import ShopifySender, sign
    from screen import Numbers, Screen
    from stage import ROOT, DemoError, Stage
    from compare import Comparison, subject_of
    import report
except ImportError as missing:
    sys.exit(f"demo: {missing}; on Debian 12: apt install python3-aiohttp python3-jwt python3-cryptography")

BURST = 0.6  # share of the sale that comes in one burst; the rest drips in over TAIL_S
TAIL_S = 11
TWICE, ECHO, FORGED = 0.05, 0.01, 0.02
CLOCK = 0.008  # the platform's retry waits of 10 s, 30 s, 60 s ... become 80 ms, 240 ms, 480 ms ...
LIMIT_S = 75  # for all that moves to come to rest
POLL_S = 0.25
RELEASED = 3  # held pieces that a person sends on


class Sale:
    """What the shop sends, and what became of it."""

    def __init__(self, count, seed):
        self.rng = random.Random(seed)
        factory = OrderFactory(seed)
        self.orders = factory.orders(count)
        self.forged = factory.orders(max(1, round(count * FORGED)), first=count)
        self.twice, self.echoes = [], []
        self.sender = None
        self.done = asyncio.Event()
        plain = [order for order in self.orders if not order.summary["unmapped"]]
        self.refused_by_crm = self.rng.sample(plain, min(3, len(plain)))
        at_byron = [order for order in plain if BYRON in order.summary["vendors"]]
        self.refused_by_byron = self.rng.sample(at_byron, min(2, len(at_byron)))

    def dead(self):
        return ({("crm", order.id) for order in self.refused_by_crm} |
                {("byron", order.id) for order in self.refused_by_byron})

    async def run(self, url, secrets):
        """The burst at once, the rest over TAIL_S. The second secret signs a few: a rotation is on."""
        async with ShopifySender(url, secrets[0], clock=CLOCK) as self.sender:
            first = int(len(self.orders) * BURST)
            tasks = [asyncio.create_task(self.one(order, secrets)) for order in self.orders[:first]]
            tasks += [asyncio.create_task(self.forge(order)) for order in self.forged]
            begun, rest = time.monotonic(), self.orders[first:]
            for at, order in enumerate(rest):
                await asyncio.sleep(max(0, begun + at * TAIL_S / len(rest) - time.monotonic()))
                tasks.append(asyncio.create_task(self.one(order, secrets)))
            await asyncio.gather(*tasks)
        self.done.set()

    async def one(self, order, secrets):
        rng = random.Random(f"{order.id}")
        how = {"webhook_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
               "secret": secrets[1] if rng.random() < 0.1 else secrets[0]}
        sending = [self.sender.send(order.body, tag=("order", order.number), **how)]
        if rng.random() < TWICE:
            self.twice.append(order)
            sending.append(self.sender.send(order.body, tag=("again", order.number), **how))
        await asyncio.gather(*sending)
        if rng.random() < ECHO:  # the same order under a new id: only its content tells
            self.echoes.append(order)
            await self.sender.send(order.body, tag=("echo", order.number))

    async def forge(self, order):
        await self.sender.send(order.body, tag=("forged", order.number), retry=False,
                               signature=sign("not-the-secret", order.body))

    def acknowledged(self):
        """Order number -> when the shop saw the 200, in ms."""
        found = {}
        for delivery in self.sender.deliveries if self.sender else []:
            if delivery.final == "delivered" and delivery.tag[0] == "order":
                last = delivery.attempts[-1]
                found[delivery.tag[1]] = last["at"] + last["ms"]
        return found

    def forged_answers(self):
        return [delivery.attempts[-1]["status"] for delivery in self.sender.deliveries
                if delivery.tag[0] == "forged"]


class Story:
    def __init__(self, args):
        self.args = args
        self.screen = Screen()
        self.numbers = Numbers()
        self.stage = Stage(os.environ.get("SLUICE_BUILD") or os.path.join(ROOT, "build"))
        self.sale = Sale(args.orders, args.seed)
        self.doing = []  # what the demo is doing to the gateway just now
        self.down = False
        self.begun = None
        self.facts = {"restarts": []}

    # ---- the faults, on a timetable ----

    async def at(self, seconds):
        await asyncio.sleep(max(0, self.begun + seconds - time.monotonic()))

    async def fault(self, stand_in, **rule):
        await asyncio.to_thread(stand_in.fault, **rule)

    async def while_(self, text, seconds):
        """Shows `text` for so long."""
        self.screen.event(text)
        self.doing.insert(0, text)
        await asyncio.sleep(seconds)
        self.doing.remove(text)

    async def standing_faults(self):
        """What is wrong from the beginning."""
        stage, sale = self.stage, self.sale
        await self.fault(stage.nord, action="cut_after", at="order", probability=0.06, seed=self.args.seed)
        ids = "|".join(str(order.id) for order in sale.refused_by_byron)
        await self.fault(stage.byron, action="status", at="order", status=422,
                         body_match=rf'"shop_order_id":\s*({ids})\b',
                         body={"error": {"code": "unknown_sku", "message": "not in our catalogue yet"}})
        await self.fault(stage.byron, action="cut_after", at="order", probability=0.03, seed=self.args.seed)
        await self.fault(stage.crm, action="row_error", at="Opportunity",
                         keys=[str(order.id) for order in sale.refused_by_crm],
                         code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message="Orders of this kind need approval")
        await self.fault(stage.crm, action="row_error", at="Opportunity", fraction=0.03, times=1,
                         seed=self.args.seed, code="UNABLE_TO_LOCK_ROW")
        self.doing.append("nord cuts the line after acting (6 %)")

    async def crm_outage(self):
        await self.at(2.8)
        await self.fault(self.stage.crm, action="unavailable", at=["token", "rest"], for_ms=4500)
        await self.while_("Salesforce is down: 503 for 4.5 s", 4.5)
        await self.at(13)
        await self.fault(self.stage.crm, action="expired", at="rest", count=1)
        self.screen.event("Salesforce ends the session")

    async def byron_outage(self):
        await self.at(6)
        await self.fault(self.stage.byron, action="status", at="order", status=429, for_ms=1000,
                         headers={"Retry-After": "1"})
        await self.while_("byron answers 429, Retry-After: 1", 1)
        await self.fault(self.stage.byron, action="status", at="order", status=503, for_ms=2500)
        await self.while_("byron answers 503 for 2.5 s", 2.5)

    async def restarts(self):
        await self.at(2)
        self.numbers.take(await self.stage.status())
        self.down = True
        self.stage.kill_gateway()
        self.screen.event("kill -9 of the gateway; the shop goes on sending")
        await asyncio.sleep(0.3)
        await self.come_back("kill -9", 0)
        await self.at(10.5)
        self.numbers.take(await self.stage.status())
        self.down = True
        self.screen.event("SIGTERM to the gateway")
        code, seconds = await self.stage.terminate_gateway()
        if code != 0:
            raise DemoError(f"the gateway ended with code {code} on SIGTERM:\n" + self.stage.log_tail())
        await self.come_back("SIGTERM", seconds)

    async def come_back(self, how, seconds):
        took = await self.stage.start_gateway()
        self.down = False
        drained = f"drained in {seconds:.1f} s, " if how == "SIGTERM" else ""
        self.screen.event(f"the gateway is back: {drained}ready after {took:.2f} s")
        self.facts["restarts"].append((how, seconds, took))

    # ---- the course of it ----

    async def watch(self):
        while True:
            if not self.down:
                status = await self.stage.status()
                if status:
                    self.numbers.take(status)
                elif self.stage.gateway.poll() is not None and not self.down:
                    raise DemoError(f"the gateway ended with code {self.stage.gateway.returncode}:\n" +
                                    self.stage.log_tail())
            if self.begun:
                sent = {"planned": len(self.sale.orders), "acknowledged": len(self.sale.acknowledged())}
                self.screen.update(self.numbers, sent, self.doing, self.down)
            await asyncio.sleep(POLL_S)

    async def rest(self):
        """Until nothing moves any more; False if the time is up."""
        quiet = 0
        while quiet < 3:
            if time.monotonic() > self.begun + max(LIMIT_S, len(self.sale.orders) / 40):
                return False
            await asyncio.sleep(POLL_S)
            quiet = quiet + 1 if not self.down and self.numbers.is_quiet() else 0
        return True

    async def play(self):
        """Sale and faults, side by side, until all has come to rest."""
        await self.standing_faults()
        self.begun = time.monotonic()
        self.screen.begun = self.begun
        burst = int(len(self.sale.orders) * BURST)
        self.screen.event(f"the sale opens: {burst:,} orders at once, the rest over {TAIL_S} s")
        url = f"http://127.0.0.1:{self.stage.ports['intake']}/in/acme-shop"
        await together(self.sale.run(url, self.stage.shop_secrets), self.crm_outage(), self.byron_outage(),
                       self.restarts())
        self.screen.event(f"every order is acknowledged: {len(self.sale.acknowledged()):,}")
        self.facts["rest"] = await self.rest()
        self.facts["rest_s"] = time.monotonic() - self.begun
        self.doing.clear()
        self.screen.event("all has come to rest" if self.facts["rest"] else "it did not come to rest in time")

    def acknowledged_orders(self):
        numbers = self.sale.acknowledged()
        return [order for order in self.sale.orders if order.number in numbers]

    async def compare(self, released=None, dead=()):
        stage = self.stage
        crm, byron, nord = await asyncio.gather(asyncio.to_thread(stage.crm.records, "Opportunity"),
                                                asyncio.to_thread(stage.byron.books),
                                                asyncio.to_thread(stage.nord.books))
        all_ = await stage.deliveries()
        comparison = Comparison(self.acknowledged_orders(), released, dead)
        comparison.crm(crm)
        comparison.supplier("byron", byron)
        comparison.supplier("nord", nord)
        comparison.held([row for row in all_ if row["state"] == "held"])
        comparison.dead_letters([row for row in all_ if row["state"] == "dead"])
        comparison.nowhere(self.sale.forged, (byron, nord), crm, [row["subject"] for row in all_])
        self.deliveries = all_
        return comparison

    async def mend(self):
        """The causes go away; the dead letters are replayed, some held pieces released."""
        for stand_in in (self.stage.crm, self.stage.byron, self.stage.nord):
            await asyncio.to_thread(stand_in.clear_faults)
        self.screen.event("the causes are mended: sluice dead replay --all")
        await self.run_command("dead", "replay", "--all")
        held = [row for row in self.deliveries if row["state"] == "held"][:RELEASED]
        released = {}
        by_subject = {subject_of(order): order for order in self.sale.orders}
        for row in held:
            self.screen.event(f"sluice held release {row['id']} --to byron")
            await self.run_command("held", "release", row["id"], "--to", "byron")
            released[by_subject[row["subject"]].id, row["piece"]] = "byron"
        await asyncio.sleep(2 * POLL_S)
        if not await self.rest():
            self.facts["rest"] = False
        return released

    async def run_command(self, *words):
        code, said = await self.stage.command(*words)
        if code != 0:
            raise DemoError(f"sluice {' '.join(words)} ended with code {code}: {said}")

    async def run(self):
        stage = self.stage
        await stage.open()
        self.screen.say(f"Sluice demo: {len(self.sale.orders):,} orders, seed {self.args.seed}; "
                        f"configuration {os.path.relpath(stage.config)}")
        for note in stage.notes:
            self.screen.say(f"({note})")
        self.screen.say()
        watching = asyncio.create_task(self.watch())
        try:
            await alongside(watching, self.play())
            before = await self.compare(dead=self.sale.dead())
            released = await alongside(watching, self.mend()) if before.good else {}
            after = await self.compare(released) if before.good else before
        finally:
            watching.cancel()
            self.screen.erase()
        good = self.facts["good"] = report.show(self, before, after)
        if not self.args.once:
            report.invite(self)
            await asyncio.Event().wait()
        return 0 if good else 1


async def together(*parts):
    """All of them; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def alongside(watching, part):
    """`part`, unless the watcher fails first."""
    task = asyncio.ensure_future(part)
    try:
        await asyncio.wait([watching, task], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            watching.result()
        return task.result()
    finally:
        task.cancel()


async def main_async(args):
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    story = Story(args)
    try:
        return await story.run()
    except asyncio.CancelledError:
        story.screen.erase()
        print("\nstopping")
        return 0 if story.facts.get("good") else 130
    except DemoError as wrong:
        story.screen.erase()
        print(f"\ndemo: {wrong}", file=sys.stderr)
        return 1
    finally:
        story.stage.stop()
        await story.stage.close()


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true",
                        help="end after one run; exit 0 only if the books balance")
    parser.add_argument("--orders", type=int, default=2000, metavar="N", help="2000 unless told")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="another sale; 1 unless told")
    args = parser.parse_args()
    args.seed = 1 if args.seed is None else args.seed
    if not 50 <= args.orders <= 20000:
        parser.error("--orders: 50 to 20000")
    try:
        return asyncio.run(main_async(args))
    except DemoError as wrong:
        print(f"demo: {wrong}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
