# SPDX-License-Identifier: Apache-2.0
"""Waiting for the kernel or for a running command."""

import os
import time

# How many times slower this machine is than a current one; above 1 on an emulated machine.
SLOWNESS = float(os.environ.get("HUMANZ_TEST_SLOW", "1"))


def patience(seconds):
    """How long to wait here for what takes at most this many seconds on a current machine."""
    return seconds * SLOWNESS


def sample(tries):
    """All of these tries, or every tenth on an emulated machine, where each takes a second."""
    return tries if SLOWNESS < 10 else tries[::10]


def eventually(condition, seconds=30, what="it"):
    """Waits until a condition holds; fails if it does not hold in this time. Returns the seconds that it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + patience(seconds), f"{what} did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - start
