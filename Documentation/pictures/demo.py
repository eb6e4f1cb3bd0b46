# SPDX-License-Identifier: Apache-2.0
"""Draws demo.svg: the terminal after `make demo`, shortened. It runs the demo, as root: python3 demo.py

With a file it takes the output of an earlier run instead: python3 demo.py FILE
"""

import re
import subprocess
import sys
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLUMNS, LINE = 92, 19

# The steps that are shown, by how their first line begins; of each, the lines that match.
STEPS = [
    ("Three nodes", r"# ip|UP"),
    ("Node 1's routes", r"# ip|proto 72"),
    ("From a pod on node 1 to a pod on node 3", r"# ping|ttl="),
    ("A page served", r"# curl|hello"),
    ("The server's log", r"GET"),
    ("Somebody deletes a route", r"# |msg"),
    ("The next ADD on the node heals it", r"# |proto 72"),
]

STYLE = """
text { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; fill: #1f2328; white-space: pre }
.say { font-weight: bold; fill: #0b7285 } .command { font-weight: bold }
.window { fill: #f6f8fa; stroke: #d0d7de } .button { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .say { fill: #3fb6c4 }
  .window { fill: #0d1117; stroke: #3d444d } .button { fill: #3d444d }
}
"""


def output():
    if len(sys.argv) > 1:
        return Path(sys.argv[1]).read_text()
    return subprocess.run([HERE.parents[1] / "demo/run"], capture_output=True, text=True, check=True).stdout


def unfolded(step):
    """Lines as the commands printed them: the demo folds JSON at 96 characters."""
    lines = []
    for line in step.splitlines():
        if lines and lines[-1].startswith("    {") and not lines[-1].endswith("}"):
            lines[-1] += line[4:]
        else:
            lines.append(line)
    return lines


def shown(line):
    """A line as wide as the terminal."""
    if found := re.search(r'"msg":"((?:[^"\\]|\\.)*)"', line):
        line = "    " + found[1].replace('\\"', '"')
    return line if len(line) <= COLUMNS else line[:COLUMNS - 1] + "…"


def lines_of(text):
    steps = text.split("\n\n")
    for begin, wanted in STEPS:
        step = next(unfolded(step.strip("\n")) for step in steps if step.lstrip().startswith(begin))
        kept = [shown(line) for line in step[1:] if re.search(wanted, line)]
        assert kept, begin
        yield "say", step[0]
        for line in kept:
            yield "command" if re.match(r"  \w+# ", line) else "", line
    end = next(step.strip() for step in steps if "The demo is through" in step)
    yield "say", end.splitlines()[0]


def main():
    parts = []
    y = 44
    for kind, line in lines_of(output()):
        y += LINE + (6 if kind == "say" and parts else 0)
        parts.append(f'<text x="16" y="{y}" class="{kind}" xml:space="preserve">{escape(line)}</text>')
    width, height = 16 * 2 + COLUMNS * 7.85, y + 16
    dots = "".join(f'<circle cx="{x}" cy="18" r="5" class="button"/>' for x in (20, 38, 56))
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
           'aria-label="The demo: three nodes, their routes, a ping and a page from pod to pod, and a route '
           f'that is healed">\n<style>{STYLE}</style>\n'
           f'<rect x="1" y="1" width="{width - 2:.0f}" height="{height - 2}" rx="8" class="window"/>\n{dots}\n'
           + "\n".join(parts) + "\n</svg>\n")
    (HERE / "demo.svg").write_text(svg)


if __name__ == "__main__":
    main()
