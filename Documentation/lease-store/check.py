#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the model of the lease store with spin: what has to hold, and that mistakes are found.

    check.py [RUN ...]     checks these runs, or all of them; prints a table; exit status 1 where a
                           result is not the expected one
    check.py --way RUN     prints the shortest way to the violation that a run is to find

README.md explains the runs. Two are checked at a time, with 1.9 GB of memory each at most.
"""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parent
MEGABYTES = 1900
PROCESSORS = 2
# The longest way that is followed, in steps.
DEPTH = 5_000_000

# Two range sets of one address each; one set of two and one of one; one set of two for three pods.
SMALL = "ADDRESSES=2 SET0=1 SET1=2"
MIDDLE = "ADDRESSES=3 SET0=3 SET1=4"
FULL = "ADDRESSES=2 SET0=3 SET1=0 PODS=3"
ONE = "ADDRESSES=1 SET0=1 SET1=0"


@dataclasses.dataclass
class Run:
    name: str
    defines: str
    # The law that is broken; None where all hold.
    breaks: str | None = None
    # Whether the subject is that each call ends, and not what is true in each state.
    ends: bool = False
    # Whether it has so few states that compiling for speed takes longer than it saves.
    is_quick: bool = False


HOLDS = [
    Run("a small store", f"{SMALL} FAULTS", is_quick=True),
    Run("two processes", MIDDLE),
    Run("three processes", f"{SMALL} CALLERS=3"),
    Run("a full pool", f"{FULL} CALLERS=1 WISHES RELEASES INODES"),
    Run("a person with rm", f"{MIDDLE} REMOVALS"),
    Run("failing system calls", f"{MIDDLE} FAULTS"),
    Run("a disk", f"{MIDDLE} DISK"),
    Run("a disk, failing calls", f"{SMALL} CALLERS=1 DISK FAULTS RELEASES"),
    Run("host-local", f"{SMALL} CALLERS=1 HOST_LOCAL REMOVALS"),
    Run("host-local, failing calls", f"{SMALL} CALLERS=1 HOST_LOCAL FAULTS RELEASES"),
    Run("host-local, a disk", f"{ONE} CALLERS=1 HOST_LOCAL DISK"),
    Run("every call ends", f"{SMALL} CALLERS=1 FAULTS RELEASES WISHES", ends=True),
]

KEPT, FOUND, DATED = "usedAddressesAreLeased", "leasesAreFound", "leasesAreDated"
ALL, RELEASED = "allOrNoneAreLeased", "releasedIsGone"
COLLECTED, RECLAIMED = "collectedIsGone", "oldIsReclaimed"
MISTAKES = [
    Run("no lock", f"{SMALL} NO_LOCK", FOUND, is_quick=True),
    Run("lease before its attachment file", f"{SMALL} CALLERS=1 CLAIMS_FIRST", DATED, is_quick=True),
    Run("attachment file removed first", f"{SMALL} CALLERS=1 REMOVES_FILE_FIRST", FOUND, is_quick=True),
    Run("lease written over", f"{FULL} CALLERS=1 INODES WRITES_OVER_DRAFT", FOUND, is_quick=True),
    Run("lease made after its file", f"{SMALL} CALLERS=1 DRAFT_AFTER_FILE", DATED, is_quick=True),
    Run("marked where not complete", f"{ONE} CALLERS=1 HOST_LOCAL FAULTS MARKS_UNINDEXED",
        FOUND, is_quick=True),
    Run("one set given of two", f"{SMALL} CALLERS=1 FAULTS KEEPS_PART", ALL, is_quick=True),
    Run("failed ADD frees unread", f"{SMALL} CALLERS=1 FAULTS FREES_UNREAD", ALL, is_quick=True),
    Run("attachment file kept", f"{SMALL} CALLERS=1 KEEPS_FILE", RELEASED, is_quick=True),
    Run("one pod collected of two", f"{SMALL} CALLERS=1 COLLECTS_THE_FIRST_ONLY", COLLECTED, is_quick=True),
    Run("old boot's leases kept", f"{SMALL} CALLERS=1 DISK KEEPS_OLD", RECLAIMED, is_quick=True),
    Run("reclaimed on one sign", f"{FULL} CALLERS=1 RECLAIMS_ON_ONE_SIGN", KEPT, is_quick=True),
    Run("reclaimed by old files", f"{ONE} CALLERS=1 HOST_LOCAL FAULTS RECLAIMS_UNINDEXED", KEPT),
    Run("old files believed", f"{ONE} CALLERS=1 HOST_LOCAL BELIEVES_OLD_FILES", KEPT),
    Run("older lease forgotten", f"{SMALL} CALLERS=1 HOST_LOCAL FORGETS_OLDER_LEASES", FOUND),
    Run("empty files kept", f"{ONE} CALLERS=1 HOST_LOCAL KEEPS_EMPTY_FILES", FOUND, is_quick=True),
    Run("old file made new", f"{SMALL} CALLERS=1 HOST_LOCAL FAULTS RELEASES REWRITES_UNINDEXED", KEPT),
    Run("mark of any boot", f"{ONE} CALLERS=1 HOST_LOCAL DISK MARK_OF_ANY_BOOT", FOUND),
    Run("file not synced before lease", f"{SMALL} CALLERS=1 DISK DOES_NOT_SYNC_FILES", DATED, is_quick=True),
    Run("lease not synced before file", f"{SMALL} CALLERS=1 DISK DOES_NOT_SYNC_LEASES", DATED, is_quick=True),
    Run("index does not sync", f"{SMALL} CALLERS=1 DISK INDEX_DOES_NOT_SYNC", DATED, is_quick=True),
    Run("marked before synced", f"{SMALL} CALLERS=1 DISK FAULTS MARKS_BEFORE_SYNC", DATED),
    Run("synced only what is freed", f"{SMALL} CALLERS=1 DISK FAULTS SYNCS_WHAT_IT_FREES_ONLY", DATED),
    Run("release does not sync", f"{SMALL} CALLERS=1 DISK RELEASES RELEASE_DOES_NOT_SYNC", DATED),
]


class Failed(Exception):
    """spin or the compiler did not do what was asked."""


@dataclasses.dataclass
class Outcome:
    broken: str | None
    states: int
    seconds: float
    megabytes: float
    way: str = ""


def options(run, *more):
    return [f"-D{define}" for define in (*run.defines.split(), *more)]


def command(folder, *words):
    done = subprocess.run([*map(str, words)], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, words))}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout


def check(run, way=False):
    """Has spin look at every state of a run; with `way` in the order that finds the shortest way."""
    with tempfile.TemporaryDirectory(prefix="lease-store-") as folder:
        for file in MODEL.glob("*.pml"):
            shutil.copy(file, folder)
        trace = ["TRACE"] if way else []
        command(folder, "spin", "-a", *options(run, *trace), "node.pml")
        kind = ["-DNP"] if run.ends else ["-DSAFETY", *(["-DBFS"] if run.breaks else [])]
        speed = "-O0" if run.is_quick else "-O2"
        command(folder, "gcc", speed, "-w", *kind, "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}", "-DVECTORSZ=512",
                "-o", "pan", "pan.c")
        out = command(folder, "./pan", f"-m{DEPTH}", "-w24", *(["-l"] if run.ends else []))
        outcome = read(out)
        if way and outcome.broken:
            printed = command(folder, "spin", "-t", *options(run, *trace), "node.pml")
            outcome.way = printed.partition("spin: trail ends")[0]
        return outcome


def read(out):
    """What the verifier that spin made prints."""
    if re.search("search depth too small|Search not completed|out of memory|-DMEMLIM", out) and "errors: 0" in out:
        raise Failed(f"the search was not completed:\n{out}")
    number = {key: float(value) for value, key in re.findall(
        r"([\d.e+]+)\s+(states, stored|total actual memory usage)", out)}
    seconds = re.search(r"elapsed time ([\d.e+-]+)", out)
    errors = re.search(r"errors: (\d+)", out)
    if not (errors and seconds and len(number) == 2):
        raise Failed(f"the verifier's answer is not understood:\n{out}")
    broken = None
    if errors[1] != "0":
        law = re.search(r"assertion violated (\w+)|(non-progress cycle|invalid end state)", out)
        broken = (law[1] or law[2]) if law else out
    return Outcome(broken, int(number["states, stored"]), float(seconds[1]),
                   number["total actual memory usage"])


def table(runs):
    """Prints a line for each run, in their order; gives whether all were as expected."""
    print(f"{'run':34}{'states':>12}{'seconds':>9}{'MB':>7}  result")
    good = True
    pool = concurrent.futures.ThreadPoolExecutor(PROCESSORS)
    for run, outcome in zip(runs, pool.map(check, runs)):
        expected = outcome.broken == run.breaks
        good &= expected
        result = f"breaks {outcome.broken}" if outcome.broken else "holds"
        print(f"{run.name:34}{outcome.states:12,}{outcome.seconds:9.1f}{outcome.megabytes:7.0f}  {result}"
              + ("" if expected else f": NOT AS EXPECTED ({run.breaks or 'holds'})"), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--way", action="store_true")
    arguments = parser.parse_args()
    every = {run.name: run for run in HOLDS + MISTAKES}
    unknown = set(arguments.runs) - every.keys()
    if unknown:
        parser.error(f"no run is named {', '.join(unknown)}; there are: {', '.join(every)}")
    runs = [every[name] for name in arguments.runs] or list(every.values())
    if not arguments.way:
        return 0 if table(runs) else 1
    for run in runs:
        outcome = check(run, way=True)
        print(f"{run.name}: {outcome.broken or 'holds'}\n{outcome.way}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
