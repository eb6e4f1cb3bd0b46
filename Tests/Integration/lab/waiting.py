"""Waiting for what others do in their own time: the kernel, or a command that goes on."""

import time


def eventually(condition, seconds=30, what="it"):
    """Waits until a condition holds; fails where it does not in this time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come to pass"
        time.sleep(0.02)
