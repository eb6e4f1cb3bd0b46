# SPDX-License-Identifier: Apache-2.0
"""The targets for the figures, and whether they are met."""

from __future__ import annotations

from collections.abc import Callable, Iterator

STAGES = ("humanz-bridge", "humanz-ipam", "humanz-route")


class Figures:
    """The rows of all workloads, by workload, contestant and verb."""

    def __init__(self, workloads: dict) -> None:
        self.rows = {
            (name, row["contestant"], row["verb"]): row
            for name, workload in workloads.items() for row in workload["rows"]
        }

    def median(self, workload: str, contestant: str, verb: str) -> float:
        return self.rows[workload, contestant, verb]["median_ms"]

    def ratio(self, workload: str, verb: str, one: str, other: str) -> float:
        return self.median(workload, one, verb) / self.median(workload, other, verb)

    def starts(self, key: str) -> float:
        return max(self.rows["start", stage, "VERSION"][key] for stage in STAGES)

    def peak_memory(self) -> float:
        return max(row["peak_memory_kib"] for row in self.rows.values() if row["ours"])

    def per_second(self, workload: str, verb: str, one: str, other: str) -> float:
        return (self.rows[workload, one, verb]["pods_per_second"]
                / self.rows[workload, other, verb]["pods_per_second"])

    def floor_and_starts(self) -> float:
        """The kernel's share of an ADD, plus three starts of a program without a C library. One start of a dynamic
        program is subtracted from the floor's own time."""
        return (self.median("pod", "floor", "ADD") - self.median("start", "true", "VERSION")
                + 3 * self.median("start", "bare", "VERSION"))


def targets(f: Figures) -> Iterator[tuple[str, Callable[[], float], str, float]]:
    """The target, its measurement, `≤` or `≥`, and the limit."""
    yield "start, of the reference bridge's", lambda: f.starts("median_ms") / f.median(
        "start", "bridge", "VERSION"), "≤", 0.13
    yield "start, of /bin/true's", lambda: f.starts("median_ms") / f.median(
        "start", "true", "VERSION"), "≤", 0.45
    yield "size of each stage, bytes", lambda: f.starts("bytes"), "≤", 400_000
    yield "peak memory of any call, KiB", f.peak_memory, "≤", 2.5 * 1024
    for verb, who, text, bound, masquerade_bound in [
        ("ADD", "chain", "ADD of the chain", 0.34, 0.14),
        ("ADD", "pair", "ADD like for like", 0.26, 0.10),
        ("DEL", "chain", "DEL of the chain", 0.15, 0.05),
        ("DEL", "pair", "DEL like for like", 0.15, 0.05),
    ]:
        yield (f"{text}, of the reference's",
               lambda verb=verb, who=who: f.ratio("pod", verb, who, "reference"), "≤", bound)
        yield (f"{text} with ipMasq, of the reference's with ipMasq",
               lambda verb=verb, who=who: f.ratio("pod", verb, f"{who}-masq", "ref-masq"), "≤", masquerade_bound)
    yield ("ADD like for like with ipMasq, of the same without",
           lambda: f.ratio("pod", "ADD", "pair-masq", "pair"), "≤", 1.1)
    for verb, who, text, bound in [
        ("ADD", "chain", "ADD of the chain", 4), ("ADD", "pair", "ADD like for like", 5),
        ("DEL", "chain", "DEL of the chain", 4), ("DEL", "pair", "DEL like for like", 4),
    ]:
        yield (f"200 pods, 32 at a time: {text}, pods per second, of the reference's",
               lambda verb=verb, who=who: f.per_second("pods-32", verb, who, "reference"), "≥", bound)
    yield ("ADD of the chain, of the floor and three starts",
           lambda: f.median("pod", "chain", "ADD") / f.floor_and_starts(), "≤", 1.6)
    yield ("ADD by default on 128 CPUs (one queue), of that with two queues",
           lambda: f.ratio("queues", "ADD", "queues-1", "queues-2"), "≤", 1.1)
    yield ("GC of 200 leaked pods, ms", lambda: f.median("leaked", "leaked", "GC"), "≤", 100)
    for verb in ("ADD", "DEL"):
        yield (f"humanz-ipam {verb} at 60,000 leases, of that at 10",
               lambda verb=verb: f.ratio("leases", verb, "humanz-ipam-60000", "humanz-ipam-10"), "≤", 1.3)
    yield ("humanz-ipam ADD at 4,000 leases, of host-local's",
           lambda: f.ratio("leases", "ADD", "humanz-ipam-4000", "host-local-4000"), "≤", 0.04)
    yield ("ADD of the chain with 1,000 peers, of that with 3",
           lambda: f.ratio("peers", "ADD", "peers-1000", "peers-3"), "≤", 1.5)


def judge(workloads: dict) -> list[dict]:
    judged = []
    for text, measure, relation, bound in targets(Figures(workloads)):
        asked = f"{relation} {bound:,}" if bound >= 100 else f"{relation} {bound:.2f}"
        try:
            value = measure()
        except (KeyError, ValueError):  # not measured in this run
            judged.append({"text": text, "asked": asked, "measured": "–", "met": False})
            continue
        met = value <= bound if relation == "≤" else value >= bound
        shown = f"{value:,.0f}" if bound >= 100 else f"{value:.2f}"
        judged.append({"text": text, "asked": asked, "measured": shown, "value": value,
                       "met": met})
    return judged
