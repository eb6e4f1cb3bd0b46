"""What the figures are to be, and whether they are."""

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

    def floor_and_starts(self) -> float:
        """The kernel's share of an ADD and three starts; the floor's own time has one of them in it."""
        return self.median("pod", "floor", "ADD") + 2 * self.median("start", "true", "VERSION")


def targets(f: Figures) -> Iterator[tuple[str, Callable[[], float], str, float]]:
    """What is asked, how it is measured, `≤` or `≥`, and the bound."""
    yield "start, of the reference bridge's", lambda: f.starts("median_ms") / f.median(
        "start", "bridge", "VERSION"), "≤", 0.5
    yield "size of each binary, bytes", lambda: f.starts("bytes"), "≤", 400_000
    yield "peak memory of any call, KiB", f.peak_memory, "≤", 3 * 1024
    for verb, who, text, bound in [
        ("ADD", "chain", "ADD of the chain", 0.40),
        ("ADD", "pair", "ADD like for like", 0.30),
        ("DEL", "chain", "DEL of the chain", 1.0),
        ("DEL", "pair", "DEL like for like", 1.0),
    ]:
        yield (f"{text}, of the reference's",
               lambda verb=verb, who=who: f.ratio("pod", verb, who, "reference"), "≤", bound)
    for verb, bound in [("ADD", 0.16), ("DEL", 0.35)]:
        for who, text in [("chain-masq", "of the chain"), ("pair-masq", "like for like")]:
            yield (f"{verb} {text} with ipMasq, of the reference's with ipMasq",
                   lambda verb=verb, who=who: f.ratio("pod", verb, who, "ref-masq"), "≤", bound)
    yield ("ADD like for like with ipMasq, of the same without",
           lambda: f.ratio("pod", "ADD", "pair-masq", "pair"), "≤", 1.1)
    yield ("200 pods, 32 at a time: pods per second, of the reference's",
           lambda: f.rows["pods-32", "chain", "ADD"]["pods_per_second"]
           / f.rows["pods-32", "reference", "ADD"]["pods_per_second"], "≥", 3)
    yield ("ADD of the chain, of the floor and three starts",
           lambda: f.median("pod", "chain", "ADD") / f.floor_and_starts(), "≤", 2.0)
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
        asked = f"{relation} {bound:,}" if bound > 100 else f"{relation} {bound:.2f}"
        try:
            value = measure()
        except (KeyError, ValueError):  # not measured in this run
            judged.append({"text": text, "asked": asked, "measured": "–", "met": False})
            continue
        met = value <= bound if relation == "≤" else value >= bound
        shown = f"{value:,.0f}" if bound > 100 else f"{value:.2f}"
        judged.append({"text": text, "asked": asked, "measured": shown, "value": value,
                       "met": met})
    return judged
