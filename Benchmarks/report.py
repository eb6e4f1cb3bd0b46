# SPDX-License-Identifier: Apache-2.0
"""Makes figures from the samples, and a table from the figures."""

from __future__ import annotations

import datetime
import math
import platform
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import targets
from workloads import Workload


@dataclass(frozen=True)
class Sample:
    """One call as drive.c recorded it. Pod 0 is all pods of that verb together."""

    contestant: str
    round: int
    verb: str
    pod: int
    failed: int
    nanoseconds: int
    peak_memory: int
    stages: tuple[int, ...]

    @classmethod
    def parse(cls, line: str) -> Sample:
        contestant, round_, verb, pod, failed, nanoseconds, memory, *stages = line.split("\t")
        return cls(contestant, int(round_), verb, int(pod), int(failed), int(nanoseconds), int(memory),
                   tuple(map(int, stages)))


@dataclass(frozen=True)
class Result:
    workload: Workload
    samples: list[Sample]


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def rows(result: Result) -> list[dict]:
    workload, found = result.workload, []
    for verb in workload.verbs:
        for contestant in workload.contestants:
            calls = [s for s in result.samples if (s.contestant, s.verb) == (contestant.name, verb)]
            good = [s for s in calls if s.pod and not s.failed]
            row = {
                "contestant": contestant.name, "title": contestant.title, "base": contestant.base,
                "ours": contestant.ours, "verb": verb, "calls": len(good),
                "failed": sum(s.failed for s in calls if s.pod),
            }
            found.append(row)
            if not good:
                continue
            names = [stage.program.name for stage in contestant.stages]
            if workload.stage:
                times = [s.stages[names.index(workload.stage)] / 1e6 for s in good]
            else:
                times = [s.nanoseconds / 1e6 for s in good]
            row |= {
                "median_ms": statistics.median(times), "p99_ms": percentile(times, 99),
                "peak_memory_kib": max(s.peak_memory for s in good),
                "stages_ms": {
                    name: statistics.median(s.stages[i] for s in good) / 1e6 for i, name in enumerate(names)
                },
            }
            if workload.pods > 1 and verb != "GC":
                whole = statistics.median(s.nanoseconds for s in calls if not s.pod) / 1e9
                row["pods_per_second"] = workload.pods / whole
            if workload.name == "start":
                row["bytes"] = contestant.stages[0].program.stat().st_size
    medians = {(row["contestant"], row["verb"]): row.get("median_ms") for row in found}
    for row in found:
        base = medians.get((row["base"], row["verb"]))
        if base and "median_ms" in row:
            row["ratio_to_ours"] = row["median_ms"] / base
    return found


def figures(results: list[Result], missing: dict[str, list[str]]) -> dict:
    """Everything that is reported, in the shape of results.json."""
    measured: dict[str, dict] = {}
    for result in results:
        empty = {"title": result.workload.title, "rows": []}
        measured.setdefault(result.workload.name, empty)["rows"] += rows(result)
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "missing": missing,
        "driver_peak_memory_kib": max(
            (s.peak_memory for r in results for s in r.samples if s.contestant == "drive"), default=0),
        "workloads": measured,
        "targets": targets.judge(measured),
    }


def machine() -> str:
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine())
    cores = len([line for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("processor")])
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"a virtual machine with {cores} cores ({processor}), {system}, kernel {kernel}"


def versions() -> dict[str, str]:
    packages = ["containernetworking-plugins", "netavark"]
    output = subprocess.run(["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *packages],
                            stdout=subprocess.PIPE, text=True).stdout
    # dpkg-query prints no version for a known package that is not installed.
    return dict(line.split() for line in output.splitlines() if line.count(" ") == 1 and line[-1] != " ")


def failures_of_ours(figures: dict) -> list[str]:
    return [
        f"{workload['title']}: {row['title']}: {row['verb']}: {row['failed']} calls"
        for workload in figures["workloads"].values()
        for row in workload["rows"] if row["ours"] and (row["failed"] or not row["calls"])
    ]


# The table


def milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def markdown(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---:" if i > 0 else "---" for i in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *lines]) + "\n"


def times(row: dict) -> list[str]:
    if "median_ms" not in row:
        return ["failed", "", ""]
    failed = f" ({row['failed']} failed)" if row["failed"] else ""
    ratio = f"{row['ratio_to_ours']:.2f}" if "ratio_to_ours" in row else ""
    return [milliseconds(row["median_ms"]) + failed, milliseconds(row["p99_ms"]), ratio]


def workload_table(workload: dict) -> str:
    """One line for each contestant, three columns for each verb."""
    verbs = list(dict.fromkeys(row["verb"] for row in workload["rows"]))
    extras = [
        (head, key) for head, key in
        [("bytes", "bytes"), ("peak memory, KiB", "peak_memory_kib"), ("pods/s", "pods_per_second")]
        if any(key in row for row in workload["rows"]) and (key != "peak_memory_kib" or verbs == ["VERSION"])
    ]
    header = [workload["title"]]
    lines: dict[str, list[str]] = {}
    for verb in verbs:
        header += [*(head for head, _ in extras), f"{verb}, median", "p99", "× ours"]
        for row in workload["rows"]:
            if row["verb"] == verb:
                line = lines.setdefault(row["contestant"], [row["title"]])
                line += [f"{row[key]:,.0f}" if key in row else "" for _, key in extras] + times(row)
    return markdown(header, list(lines.values()))


def table(figures: dict) -> str:
    """Markdown: a table for each workload, then the targets."""
    parts = [f"Measured on {figures['date']}, on {figures['machine']}, with "
             + ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
             + ". Times in milliseconds, from the first stage's start to the last one's end.\n"]
    parts += [workload_table(workload) for workload in figures["workloads"].values() if workload["rows"]]
    parts.append(markdown(
        ["What was asked for", "bound", "measured", "met"],
        [[t["text"], t["asked"], t["measured"], "yes" if t["met"] else "no"] for t in figures["targets"]]))
    for program, names in figures["missing"].items():
        parts.append(f"Not measured, for want of {program}: {', '.join(names)}.\n")
    return "\n".join(parts)
