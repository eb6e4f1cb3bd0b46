# SPDX-License-Identifier: Apache-2.0
"""The results of the test machines as one table: table.py KERNEL…

The status is 1 if a test failed, no test ran, a machine left no results, or a kernel reported a problem.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree

BUILD = pathlib.Path(".build-kernels")

# The start of a kernel's message about a problem of its own.
COMPLAINT = re.compile(r"\b(BUG:|WARNING: CPU|Oops|general protection fault)")


class Results:
    """The results of the machine with one kernel: junit's file, pytest's status, and the kernel's log."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.outcomes = collections.Counter()
        self.failed = []
        self.skipped = collections.Counter()
        self.seconds = 0.0
        folder = BUILD / kernel / "results"
        self.release = (BUILD / kernel / "release").read_text().strip()
        self.is_whole = (folder / "status").exists() and (folder / "junit.xml").exists()
        if not self.is_whole:
            return
        self.read(xml.etree.ElementTree.parse(folder / "junit.xml"))
        self.complaints = [line for line in (folder / "kernel.log").read_text().splitlines()
                           if COMPLAINT.search(line)]

    def read(self, junit):
        for suite in junit.iter("testsuite"):
            self.seconds += float(suite.get("time", 0))
        for case in junit.iter("testcase"):
            self.outcomes["tests"] += 1
            if (skipped := case.find("skipped")) is not None:
                self.outcomes["skipped"] += 1
                self.skipped[skipped.get("message")] += 1
            elif case.find("failure") is not None or case.find("error") is not None:
                self.outcomes["failed"] += 1
                self.failed.append(f"{case.get('classname')}::{case.get('name')}")
            else:
                self.outcomes["passed"] += 1

    @property
    def is_good(self):
        return (self.is_whole and self.outcomes["passed"] > 0 and not self.failed
                and not self.complaints)


def main(*kernels):
    every = [Results(kernel) for kernel in kernels]
    print(f"\n{'kernel':28} {'tests':>6} {'passed':>6} {'failed':>6} {'skipped':>7} {'minutes':>7}")
    for results in every:
        name = f"{results.kernel} ({results.release})"
        if not results.is_whole:
            print(f"{name:28} the machine ended without results: .build-kernels/{results.kernel}/results")
            continue
        counts = results.outcomes
        print(f"{name:28} {counts['tests']:6} {counts['passed']:6} {counts['failed']:6}"
              f" {counts['skipped']:7} {results.seconds / 60:7.1f}")
    for results in filter(lambda results: results.is_whole, every):
        for reason, count in results.skipped.most_common():
            print(f"{results.kernel} skipped {count}: {reason}")
        for test in results.failed:
            print(f"{results.kernel} failed: {test}")
        for line in results.complaints:
            print(f"{results.kernel} the kernel says: {line}")
    return 0 if all(results.is_good for results in every) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
