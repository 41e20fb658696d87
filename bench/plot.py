"""Draws what ./dev bench intake measured: a small SVG of bars, readable on a light and on a dark page."""

import time
from html import escape

WIDTH, LEFT, RIGHT = 800, 270, 190  # RIGHT: for the numbers after a bar
TOP, STEP, BAR = 58, 34, 20

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .small { font-size: 11px; fill: #57606a }
  .ours { fill: #0b7285 } .peer { fill: #adb5bd } .bound { fill: none; stroke: #868e96; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .ours { fill: #3bc9db } .peer { fill: #5c636a } .bound { stroke: #868e96 }
  }"""


LABELS = {"nginx, bare 200": "nginx, stores nothing",
          "fastify + BullMQ, Redis everysec": "BullMQ, Redis everysec (can lose 1 s)",
          "fastify + BullMQ, Redis always": "BullMQ, Redis always",
          "fastify + graphile-worker, PostgreSQL": "graphile-worker, PostgreSQL"}


def bars(rows, many, args):
    """(name, class, numbers), the fastest first; nginx stores nothing and is only a bound."""
    found = []
    for name, one in rows.items():
        kind = "ours" if name == "Sluice" else "bound" if name.startswith("nginx") else "peer"
        found.append((LABELS.get(name, name), kind, one))
    if many:
        found.append((f"Sluice, {args.filled / 1e6:g} million kept", "ours", many))
    return sorted(found, key=lambda bar: -bar[2]["rps"])


def draw(rows, many, args, machine):
    chosen = bars(rows, many, args)
    scale = (WIDTH - LEFT - RIGHT) / chosen[0][2]["rps"]
    height = TOP + STEP * len(chosen) + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
           f'height="{height}" role="img" aria-label="Requests a second">', f"<style>{STYLE}\n</style>",
           '<text class="title" x="12" y="24">Webhooks a second, 4 KB, signature checked</text>',
           f'<text class="small" x="12" y="42">{args.connections} connections; beside each bar: p99 at the peak and '
           'processor time an event, databases included</text>']
    for at, (name, kind, one) in enumerate(chosen):
        y, width = TOP + STEP * at, max(2, one["rps"] * scale)
        middle = y + BAR / 2 + 4.5
        out.append(f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>')
        out.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>')
        out.append(f'<text x="{LEFT + width + 8:.1f}" y="{middle}">{one["rps"]:,.0f}'
                   f'<tspan class="small" dx="8">{one["p99"]:.1f} ms, {one["cpu"]:.0f} us</tspan></text>')
    where = (f'{machine["cpu"]}, {machine["cores"]} cores with the load generator on one; Linux {machine["kernel"]}; '
             f'fsync {machine["fsync"]}; {time.strftime("%Y-%m-%d", time.gmtime())}')
    out.append(f'<text class="small" x="12" y="{height - 12}">{escape(where)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
