# SPDX-License-Identifier: Apache-2.0
"""Waiting for what others do in their own time: the kernel, or a command that goes on."""

import os
import time

# How many times as long as on a machine of today everything takes, in one that is emulated.
SLOWNESS = float(os.environ.get("HUMANZ_TEST_SLOW", "1"))


def patience(seconds):
    """How long to wait here for what takes so many seconds at most on a machine of today."""
    return seconds * SLOWNESS


def sample(tries):
    """All the tries of a test; every tenth on an emulated machine, where each takes a second. The ordinary run
    has all of them."""
    return tries if SLOWNESS < 10 else tries[::10]


def eventually(condition, seconds=30, what="it"):
    """Waits until a condition holds; fails where it does not in this time."""
    end = time.monotonic() + patience(seconds)
    while not condition():
        assert time.monotonic() < end, f"{what} did not come to pass"
        time.sleep(0.02)
