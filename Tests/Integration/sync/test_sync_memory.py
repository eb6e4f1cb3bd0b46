# SPDX-License-Identifier: Apache-2.0
"""humanz sync --watch: its memory does not grow."""

import pathlib
import re

from lab.kubernetes import changed, event, listed
from lab.waiting import eventually
from sync.expected import expected, member, routes
from sync.test_sync import Watch

NODES = 60


def resident(process):
    """The memory of the process that nsenter started, in KiB."""
    child, = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{child}/status").read_text())[1])


def test_a_sync_holds_no_more_memory_after_thousands_of_events(node1, record_property):
    members = [member(number) for number in range(1, NODES)]
    held = []
    with Watch(node1) as watch:
        watch.tell(listed(*members))
        eventually(lambda: routes(node1) == expected(*range(2, NODES)))
        for version in range(8):
            # The last node comes or goes in each round: its route shows that all events before were read.
            watch.tell("".join(event("MODIFIED", changed(one, 2000 + version)) for one in members * 5))
            here = version % 2 == 1
            watch.tell(event("ADDED" if here else "DELETED", members[-1]))
            eventually(lambda: routes(node1) == expected(*range(2, NODES if here else NODES - 1)))
            held.append(resident(watch.process))
    record_property("KiB held after each 295 events", held)
    assert held[-1] <= 1.1 * held[1]
