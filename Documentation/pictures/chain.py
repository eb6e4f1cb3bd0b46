# SPDX-License-Identifier: Apache-2.0
"""Draws chain.svg: the three stages, and what each makes on a node. Run it after a change: python3 chain.py"""

from html import escape
from pathlib import Path

STYLE = """
text { font: 13px sans-serif; fill: #1f2328 }
.title { font-weight: bold } .small { font-size: 11px; fill: #59636e }
.box { fill: #ffffff; stroke: #59636e } .stage { fill: #d8f0f2; stroke: #0b7285 }
.node { fill: #f6f8fa; stroke: #b5bcc4; stroke-dasharray: 5 4 } .line { stroke: #59636e; fill: none } .head { fill: #59636e }
.wire { stroke: #0b7285; stroke-width: 2; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 }
  .box { fill: #151b23; stroke: #9198a1 } .stage { fill: #0b3a42; stroke: #3fb6c4 }
  .node { fill: #0d1117; stroke: #3d444d } .line { stroke: #9198a1 } .head { fill: #9198a1 } .wire { stroke: #3fb6c4 }
}
"""


def text(x, y, words, kind="", anchor="middle"):
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def box(x, y, width, height, title, *lines, kind="box"):
    parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>',
             text(x + width / 2, y + 20, title, "title")]
    parts += [text(x + width / 2, y + 37 + 15 * i, line, "small") for i, line in enumerate(lines)]
    return parts


def arrow(x1, y, x2, label):
    return [f'<path d="M{x1} {y}H{x2 - 2}" class="line" marker-end="url(#head)"/>',
            text((x1 + x2) / 2, y - 7, label, "small")]


def stages():
    parts = box(10, 20, 90, 60, "runtime", "podman, CRI")
    for x, name, owns in [(170, "humanz-bridge", "links"), (400, "humanz-ipam", "addresses"),
                          (630, "humanz-route", "routes")]:
        parts += box(x, 20, 150, 60, name, owns, kind="stage")
    parts += arrow(100, 50, 170, "ADD")
    parts += arrow(320, 50, 400, "prevResult") + arrow(550, 50, 630, "prevResult")
    return parts + arrow(780, 50, 850, "result")


def node(x, name, pods, subnet, uplink, turned=False):
    """A node of 380 by 190: its pods on one side, its uplink on the other."""
    parts = [f'<rect x="{x}" y="120" width="380" height="190" rx="10" class="node"/>',
             text(x + 190, 140, f"{name}: pods in {subnet}", "title")]
    pod_x = x + (280 if turned else 15)
    bridge_x = x + (145 if turned else 125)
    uplink_x = x + (15 if turned else 290)
    parts += box(bridge_x, 195, 110, 60, "humanz-cni0", "gateway", f"{subnet[:-4]}1")
    parts += box(uplink_x, 195, 75, 60, "uplink", uplink)
    for i, address in enumerate(pods):
        y = 160 + 75 * i
        parts += box(pod_x, y, 85, 55, "pod", address)
        near, far = (bridge_x + 110, pod_x) if turned else (pod_x + 85, bridge_x)
        parts.append(f'<path d="M{near} {225 if turned else y + 28}L{far} {y + 28 if turned else 225}" class="wire"/>')
    left, right = (uplink_x + 75, bridge_x) if turned else (bridge_x + 110, uplink_x)
    parts.append(f'<path d="M{left} 225H{right}" class="wire"/>')
    return parts


def draw():
    parts = stages()
    parts += node(10, "node 1", ["100.100.0.2", "100.100.0.3"], "100.100.0.0/24", "200.0.0.10")
    parts += node(470, "node 2", ["100.100.1.2", "100.100.1.3"], "100.100.1.0/24", "200.0.0.20", turned=True)
    parts.append('<path d="M375 225H485" class="wire"/>')
    parts += [text(430, 190, "no NAT,", "small"), text(430, 205, "no tunnel", "small")]
    parts += [text(200, 330, "route: 100.100.1.0/24 via 200.0.0.20 proto 72", "small"),
              text(660, 330, "route: 100.100.0.0/24 via 200.0.0.10 proto 72", "small")]
    head = ('<defs><marker id="head" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto">'
            '<path d="M0 0L8 4L0 8z" class="head"/></marker></defs>')
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 345" role="img" '
            'aria-label="A runtime calls humanz-bridge, humanz-ipam and humanz-route; pods on two nodes reach each '
            f'other by plain routes">\n<style>{STYLE}</style>\n{head}\n' + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    Path(__file__).with_name("chain.svg").write_text(draw())
