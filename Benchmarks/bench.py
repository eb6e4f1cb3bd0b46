# SPDX-License-Identifier: Apache-2.0
"""Runs every workload, and writes the table, the samples' figures and the chart.

Run it by `make bench`, which makes the namespaces that it needs around it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import chart
import node
import report
from contestants import REFERENCE, Contestant
from workloads import Workload, all_workloads


def write_plan(workload: Workload, folder: Path) -> Path:
    """The workload as a plan for drive.c."""
    lines = [
        f"rounds {workload.rounds} {workload.warmup}",
        f"pods {workload.pods} {workload.at_once}",
        f"verbs {' '.join(workload.verbs)}",
    ]
    for contestant in workload.contestants:
        lines.append(f"contestant {contestant.name} {node.NAMESPACES / contestant.name}")
        for number, stage in enumerate(contestant.stages):
            configuration = folder / f"{contestant.name}.{number}.json"
            configuration.write_text(json.dumps(stage.configuration))
            words = "".join(f" {verb}={word}" for verb, word in stage.words.items())
            lines.append(f"stage {stage.program} {configuration}{words}")
    plan = folder / "plan"
    plan.write_text("\n".join(lines) + "\n")
    return plan


def prepare(chosen: list[Workload]) -> None:
    pods: dict[str, int] = {}
    by_name: dict[str, Contestant] = {}
    for workload in chosen:
        for contestant in workload.contestants:
            pods[contestant.name] = max(pods.get(contestant.name, 0), workload.pods)
            by_name[contestant.name] = contestant
    for name, contestant in by_name.items():
        node.make_node(contestant, pods[name])
        ipam = contestant.stages[0].configuration.get("ipam", {})
        if "/stores/" in ipam.get("dataDir", ""):
            node.fill_store(Path(ipam["dataDir"]), ipam["ranges"][0][0]["subnet"], int(name.split("-")[-1]))
    if "floor" in by_name:
        node.make_floor_bridge()


def run(workload: Workload, drive: Path, plugins: Path) -> list[report.Sample]:
    plan = write_plan(workload, Path(tempfile.mkdtemp(dir="/run")))
    environment = {**os.environ, "CNI_PATH": f"{plugins}:{REFERENCE}"}
    output = subprocess.run([drive, plan], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [report.Sample.parse(line) for line in output.stdout.splitlines()]


def present(workload: Workload, missing: dict[str, list[str]]) -> Workload:
    """The workload without contestants that are not installed; adds their programs to `missing`."""
    for contestant in workload.contestants:
        for program in contestant.missing:
            missing.setdefault(program, []).append(contestant.name)
    found = [contestant for contestant in workload.contestants if not contestant.missing]
    return dataclasses.replace(workload, contestants=found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=Path, required=True, help="folder with the humanz binaries")
    parser.add_argument("--tools", type=Path, required=True, help="folder with drive and floor")
    parser.add_argument("--output", type=Path, required=True, help="folder for the table, figures and chart")
    parser.add_argument("--only", action="append", help="a workload's name; may be repeated")
    options = parser.parse_args()

    node.be_alone()
    missing: dict[str, list[str]] = {}
    chosen = [
        present(workload, missing)
        for workload in all_workloads(options.plugins.resolve(), options.tools.resolve())
        if not options.only or workload.name in options.only
    ]
    prepare(chosen)
    results = []
    for workload in (workload for workload in chosen if workload.contestants):
        print(f"{workload.title} …", file=sys.stderr, flush=True)
        samples = run(workload, options.tools / "drive", options.plugins.resolve())
        results.append(report.Result(workload, samples))

    figures = report.figures(results, missing)
    table = report.table(figures)
    print(table)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "table.md").write_text(table)
    (options.output / "results.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    (options.output / "chart.svg").write_text(chart.draw(figures))

    faults = report.failures_of_ours(figures) + [
        f"{program}: missing" for program in missing if Path(program).name.startswith("humanz-")
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
