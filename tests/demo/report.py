"""What the demo says at the end."""

import datetime
import os

from compare import SHOWN, percentile, subject_of


def show(story, before, after):
    """Prints the report; True if everything holds."""
    say, sale = story.screen.say, story.sale
    acknowledged = len(sale.acknowledged())
    forged = sale.forged_answers()
    problems = list(after.differences)
    if acknowledged < len(sale.orders):
        problems.append(f"{len(sale.orders) - acknowledged} orders were never acknowledged")
    if any(status != 401 for status in forged):
        problems.append(f"forged webhooks were answered {sorted(set(map(str, forged)))}, not 401")
    if not story.facts["rest"]:
        problems.append("not all deliveries had come to rest in time")
    say()
    table(say, after)
    say()
    for line in happened(story, before, after):
        say("  " + line)
    say()
    lags(story, after)
    say()
    lost = sum(t.missing for t in after.tallies) + len(sale.orders) - acknowledged
    doubled = sum(t.doubled for t in after.tallies)
    say(f"  {len(sale.orders):,} sent, {lost:,} lost, {doubled:,} doubled, "
        f"{sum(t.different for t in after.tallies):,} changed on the way; "
        f"{after.fields:,} fields compared. {'The books balance.' if not problems else ''}")
    if problems:
        say()
        say(f"  {len(problems):,} things are wrong:")
        for text in problems[:SHOWN]:
            say("    " + text)
        if len(problems) > SHOWN:
            say(f"    ... and {len(problems) - SHOWN:,} more")
        say(f"  The gateway's log: {os.path.relpath(story.stage.gateway_log.name)}")
    return not problems


def table(say, comparison):
    say(f"  {'The books, field by field':30}{'expected':>10}{'found':>8}{'missing':>9}{'doubled':>9}"
        f"{'different':>11}{'alien':>7}")
    for t in comparison.tallies:
        numbers = f"{t.expected:>10,}{t.found:>8,}{t.missing:>9,}{t.doubled:>9,}{t.different:>11,}{t.alien:>7,}"
        say(f"  {t.name:30}{numbers}{'' if t.good else '   <--'}")


def times(n):
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def happened(story, before, after):
    """The run in sentences."""
    numbers, stage, sale = story.numbers, story.stage, story.sale
    doubled = next(t for t in after.tallies if t.name == "orders at nord").doubled
    retried = sum(len(one.attempts) - 1 for one in sale.sender.deliveries)
    books = [one.books() for one in stage.stand_ins]
    crm, byron, nord = ({**one, **one["requests"]} for one in books)
    for how, seconds, took in story.facts["restarts"]:
        drained = f" (drained in {seconds:.1f} s)" if how == "SIGTERM" else ""
        yield f"{how}{drained}: ready again after {took:.2f} s; the shop retried what had no answer"
    yield (f"{len(sale.twice):,} orders were sent twice, {len(sale.echoes):,} once more under a new id, "
           f"{retried:,} attempts had no answer and were repeated")
    yield f"{len(sale.forged):,} webhooks had a wrong signature: 401, nothing stored"
    yield (f"Salesforce: {crm['by_status'].get('503', 0):,} answers of 503, "
           f"{crm['faults'].get('row_error', 0):,} rows refused, {crm['faults'].get('expired', 0)} session "
           f"ended; {crm['collections']['calls']:,} calls of Collections, {len(crm['jobs']):,} bulk jobs, "
           f"{after.upserted_again:,} rows upserted twice")
    yield (f"nord has no idempotency key and cut the line on {nord['faults'].get('cut_after', 0):,} orders that it "
           f"had taken: {numbers.total('nord.unknowns'):,} outcomes unknown, asked for, "
           f"{doubled or 'none'} sent twice")
    yield (f"byron: {byron['by_status'].get('429', 0):,} x 429, {byron['by_status'].get('503', 0):,} x 503, "
           f"breaker opened {times(numbers.total('byron.breaker_trips'))}; {len(byron['replays']):,} orders came "
           "again under their idempotency key")
    dead = next(t for t in before.tallies if t.name.startswith("dead letters"))
    yield (f"{dead.found} dead letters, the {dead.expected} that were provoked; replayed after the cause was mended: "
           "all arrived" if after.good else f"{dead.found} dead letters, {dead.expected} were provoked")
    if stage.alerts:
        yield "alerts posted: " + ", ".join(f"{name} x{n}" for name, n in sorted(stage.alerts.items()))


def moment_ms(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def lags(story, comparison):
    """From the 200 to the arrival in the supplier's books; for the CRM to the end of its job."""
    say, taken = story.screen.say, story.sale.acknowledged()
    dead = story.sale.dead()  # those waited for a person
    numbers = {order.id: order.number for order in story.sale.orders}
    late = {subject_of(order) for order in story.sale.refused_by_crm}
    rows = {}
    for name in ("byron", "nord"):
        rows[name] = [max(0, at - taken[numbers[order_id]])
                      for order_id, at in comparison.arrived_ms[name].items()
                      if numbers[order_id] in taken and (name, order_id) not in dead]
    rows["crm"] = [moment_ms(row["updated_at"]) - moment_ms(row["received_at"]) for row in story.deliveries
                   if row["endpoint"] == "crm" and row["state"] == "delivered"
                   and row["subject"] not in late]
    say(f"  {'From receipt to arrival':30}{'p50':>10}{'p99':>10}")
    for name, values in rows.items():
        say(f"  {name:30}{percentile(values, 50) / 1000:>8.1f} s{percentile(values, 99) / 1000:>8.1f} s")
    answers = [one.attempts[-1]["ms"] for one in story.sale.sender.deliveries if one.final == "delivered"]
    say(f"  {'the answer to the shop':30}{percentile(answers, 50):>7.0f} ms{percentile(answers, 99):>7.0f} ms")
    say("  (the sale came in faster than the 100/s the suppliers allow, and through the faults above)")


def invite(story):
    """What to look at next."""
    say, stage = story.screen.say, story.stage
    sluice = os.path.relpath(stage.sluice)
    config = os.path.relpath(stage.config)
    admin = stage.ports["admin"]
    held = next((row["id"] for row in story.deliveries if row["state"] == "held"), "ID")
    say()
    say("  It is all still running. Try, in another terminal:")
    say()
    for words in ("status", "events list --topic orders/create --limit 20", f"deliveries show {held}", "held list",
                  f"held release {held} --to nord", "endpoints list"):
        say(f"    {sluice} {words} -c {config}")
    say(f"    curl -s http://127.0.0.1:{admin}/metrics")
    say(f"    curl -s http://127.0.0.1:{stage.ports['nord']}/_control/counts")
    say()
    say(f"  The gateway's log is {os.path.relpath(stage.gateway_log.name)}. Ctrl-C ends everything.")
