# SPDX-License-Identifier: Apache-2.0
"""ADD, CHECK and DEL at full speed for a long time; then the node must have what it had before."""

import os
import pathlib
import threading
import time

from lab.waiting import patience
from Torture.rows import Row
from Torture.subjects import POD, Subject

# What the kernel counts for the whole machine, with the differences that its other processes may cause.
_OF_THE_MACHINE = {"descriptors": 512, "kernel's memory": 64 << 20}


def run(place, part="long", minutes=10.0, at_once=None):
    """Returns the rows of the table."""
    subject = Subject(place, "chain", logFile="")
    place.renew()
    at_once = at_once or 2 * (os.cpu_count() or 1)
    lives = Row(part, "ADD, CHECK and DEL")
    # What is made only once is made before the first snapshot.
    _run_pods(place, subject, lives, at_once, patience(min(20, minutes * 6)))
    before = _snapshot(place)
    end = time.monotonic() + minutes * 60
    _run_pods(place, subject, lives, at_once, end - time.monotonic())
    after = _snapshot(place)
    # What other processes of the machine hold goes again; a leak does not.
    latest = time.monotonic() + 120
    while time.monotonic() < latest and any(_differences(name, before[name], after[name]) for name in _OF_THE_MACHINE):
        time.sleep(5)
        after = _snapshot(place)
    rows = [lives]
    for name, value in after.items():
        row = Row(part, f"{name}: as before")
        row.add(name, _differences(name, before[name], value))
        rows.append(row)
    return rows


def _run_pods(place, subject, row, at_once, seconds):
    """ADD, CHECK and DEL of so many pods at once. Each pod gets a new namespace now and then."""
    end, lock = time.monotonic() + seconds, threading.Lock()

    def live(number):
        pod, count = f"{POD}{number}", 0
        while time.monotonic() < end:
            if count % 20 == 0:
                if place.has_pod(pod):
                    place.remove_pod(pod)
                place.add_pod(pod)
            count += 1
            try:
                result = subject.run("ADD", pod)
                subject.run("CHECK", pod, result)
                subject.run("DEL", pod, result)
                wrong = []
            except Exception as exception:
                wrong = [f"{type(exception).__name__}: {exception}"]
                subject.run("DEL", pod)
            with lock:
                row.add(pod, wrong)
        place.remove_pod(pod)
    threads = [threading.Thread(target=live, args=[number]) for number in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _snapshot(place):
    """What the node has, after the time that the kernel needs to free things."""
    time.sleep(patience(3))
    state = place.calm_state()
    kinds = {
        "links, addresses, routes": ("link", "address", "route", "neighbour", "fdb", "sysctl"),
        "rules": ("nft", "rule"), "files": ("file", "folder"), "processes, zombies": ("process",)}
    looked = {name: {key: value for key, value in state.items() if key.split()[0] in words}
              for name, words in kinds.items()}
    with open("/proc/sys/fs/file-nr") as file:
        looked["descriptors"] = int(file.read().split()[0])
    looked["kernel's memory"] = sum(
        int(line.split()[1]) << 10 for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
        if line.split(":")[0] in ("SUnreclaim", "KernelStack", "PageTables", "Percpu", "VmallocUsed"))
    space = os.statvfs("/run")
    looked["space on /run"] = space.f_blocks - space.f_bfree
    return looked


def _differences(name, before, after):
    if isinstance(before, dict):
        return [f"{key}: {after.get(key)} instead of {before.get(key)}"
                for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    slack = _OF_THE_MACHINE.get(name, 0)
    return [f"{after} instead of {before}"] if after - before > slack else []
