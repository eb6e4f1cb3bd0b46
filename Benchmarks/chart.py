# SPDX-License-Identifier: Apache-2.0
"""The figures as one picture: a panel of bars for each workload, with our plugins in colour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

OURS, NEIGHBOUR, FLOOR, TEXT, FAINT = "#0b7285", "#adb5bd", "#dee2e6", "#212529", "#868e96"
WIDTH, PANEL, LABEL, BAR, GAP = 900, 430, 178, 16, 6


def text(x: float, y: float, words: str, colour: str = TEXT, anchor: str = "start", size: int = 12,
         weight: str = "normal") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def colour(row: dict) -> str:
    return OURS if row["ours"] else FLOOR if row["contestant"] in ("floor", "true", "bare") else NEIGHBOUR


def bars(title: str, rows: list[tuple[str, str, float, str]]) -> list[str]:
    """A panel at the origin. Each row has a label, a colour, a value, and the value as text."""
    longest = max(value for _, _, value, _ in rows)
    room = PANEL - LABEL - 60
    parts = [text(0, 0, title, weight="bold", size=13)]
    for number, (label, fill, value, written) in enumerate(rows):
        y = 14 + number * (BAR + GAP)
        length = max(1.0, value / longest * room)
        parts += [
            text(LABEL - 8, y + 12, label, anchor="end", size=11),
            f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{fill}"/>',
            text(LABEL + length + 6, y + 12, written, FAINT, size=11),
        ]
    return parts


SHORT = {
    "chain": "humanz, three stages", "pair": "humanz-bridge, -ipam", "reference": "bridge, host-local",
    "chain-masq": "humanz, three stages", "pair-masq": "humanz-bridge, -ipam",
    "ref-masq": "bridge, host-local", "netavark": "netavark", "floor": "the kernel's share",
    "true": "/bin/true", "bare": "no C library", "dynamic": "humanz-bridge, dynamic",
}


def panel(figures: dict, title: str, workload: str, verb: str, only: tuple[str, ...] = (),
          key: str = "median_ms", unit: str = "ms") -> list[str]:
    rows = [
        (SHORT.get(row["contestant"], row["contestant"]), colour(row), row[key],
         f"{row[key]:.2f} {unit}" if row[key] < 10 else f"{row[key]:.0f} {unit}")
        for row in figures["workloads"].get(workload, {"rows": []})["rows"]
        if row["verb"] == verb and key in row and (not only or row["contestant"] in only)
    ]
    return bars(title, rows) if rows else []


def lease_curves(figures: dict) -> list[str]:
    """ADD against the number of leases, both axes logarithmic."""
    points: dict[str, list[tuple[int, float]]] = {}
    for row in figures["workloads"].get("leases", {"rows": []})["rows"]:
        if row["verb"] == "ADD" and "median_ms" in row:
            plugin, _, count = row["contestant"].rpartition("-")
            points.setdefault(plugin, []).append((int(count), row["median_ms"]))
    if not points:
        return []
    left, top, width, height = 50, 16, PANEL - 140, 130
    everything = [value for curve in points.values() for _, value in curve]
    low, high = math.floor(math.log10(min(everything))), math.ceil(math.log10(max(everything)))

    def across(count: int) -> float:
        return left + (math.log10(count) - 1) / (math.log10(60_000) - 1) * width

    def up(value: float) -> float:
        return top + height * (high - math.log10(value)) / (high - low)

    parts = [text(0, 0, "Choosing an address, by leases already held", weight="bold", size=13)]
    for power in range(low, high + 1):
        y = up(10**power)
        parts += [f'<path d="M{left} {y:.1f}h{width}" stroke="{FLOOR}"/>',
                  text(left - 6, y + 4, f"{10**power:g} ms", FAINT, "end", 11)]
    for count in sorted({count for curve in points.values() for count, _ in curve}):
        parts.append(text(across(count), top + height + 16, f"{count:,}", FAINT, "middle", 11))
    for plugin, curve in points.items():
        stroke = OURS if plugin.startswith("humanz-") else FAINT
        path = "L".join(f"{across(count):.1f} {up(value):.1f}" for count, value in sorted(curve))
        end = max(curve)
        parts += [f'<path d="M{path}" fill="none" stroke="{stroke}" stroke-width="2.5"/>',
                  text(across(end[0]) + 8, up(end[1]) + 4, plugin, stroke, size=11)]
    return parts


def panels(figures: dict) -> Iterator[tuple[list[str], list[str]]]:
    """Pairs of panels, left and right, from the top."""
    plain = ("chain", "pair", "reference", "floor")
    masquerading = ("chain-masq", "pair-masq", "ref-masq", "netavark")
    yield (panel(figures, "ADD of one pod", "pod", "ADD", plain),
           panel(figures, "DEL of one pod", "pod", "DEL", plain))
    yield (panel(figures, "ADD with masquerade", "pod", "ADD", masquerading),
           panel(figures, "DEL with masquerade", "pod", "DEL", masquerading))
    yield (panel(figures, "200 pods, 32 at a time: ADDs a second", "pods-32", "ADD", (), "pods_per_second", ""),
           panel(figures, "Start to exit", "start", "VERSION"))
    yield (lease_curves(figures), panel(figures, "humanz-route, in the chain", "peers", "ADD"))


def height(content: list[str]) -> int:
    if any(part.startswith("<path") for part in content):
        return 210
    return sum(part.startswith("<rect") for part in content) * (BAR + GAP) + 50 if content else 0


def draw(figures: dict) -> str:
    parts, y = [], 70
    for pair in panels(figures):
        for side, content in enumerate(pair):
            if content:
                parts.append(f'<g transform="translate({20 + side * (PANEL + 10)} {y})">{"".join(content)}</g>')
        y += max(height(content) for content in pair)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
        'font-family="system-ui, Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{y}" fill="white"/>',
        text(20, 28, "Medians; shorter is better where the unit is ms", weight="bold", size=15),
        text(20, 46, f"{figures['date']}, {figures['machine']}", FAINT, size=11),
        *parts, "</svg>", "",
    ])
