# SPDX-License-Identifier: Apache-2.0
"""A sample of `make torture`, other tries each time: see Scripts/torture."""

import pathlib
import platform
import random
import sys

import pytest

from lab.waiting import SLOWNESS

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))

from Torture.crew import Crew, trial_tasks  # noqa: E402
from Torture.rows import merged  # noqa: E402


@pytest.fixture
def seed(record_property):
    seed = random.randrange(1_000_000)
    record_property("seed", seed)
    return seed


def survived(tasks):
    """Runs tasks, of which everything survives; gives how much was tried."""
    rows = merged(Crew().run(tasks))
    assert [wrong for row in rows for wrong in row.wrong] == []
    assert [row for row in rows if row.tried != row.survived or not row.tried] == []
    return sum(row.tried for row in rows)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="fault.c replaces system calls of x86-64")
@pytest.mark.parametrize("part, every", [("killed", 60), ("fails", 120)])
def test_what_is_left_after_a_fault_at_any_system_call_is_what_was_there(part, every, seed, record_property):
    tasks = trial_tasks(part, int(every * SLOWNESS), ["chain", "humanz-bridge"], seed=seed)
    record_property("tried", survived(tasks))


def test_pods_of_two_networks_and_two_runtimes_survive_kills_a_deleted_bridge_and_a_reboot(seed, record_property):
    record_property("tried", survived([{"part": "load", "pods": 48, "rounds": 3, "seed": seed}]))


def test_a_node_is_as_before_after_hundreds_of_pods(record_property):
    record_property("tried", survived([{"part": "long", "minutes": 0.2}]))
