# SPDX-License-Identifier: Apache-2.0
"""The network namespace of the calling thread: see setns(2) and unshare(2)."""

import contextlib
import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def call(function, *arguments):
    """Calls a function of the C library; raises its error."""
    if getattr(_LIBC, function)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def enter_new():
    """Moves the thread into a new network namespace."""
    call("unshare", _CLONE_NEWNET)


@contextlib.contextmanager
def inside(path=None):
    """Runs a block in the network namespace at a path, or in a new one; then the thread returns to its own."""
    with open("/proc/thread-self/ns/net", "rb") as own:
        if path is None:
            enter_new()
        else:
            with open(path, "rb") as other:
                call("setns", other.fileno(), _CLONE_NEWNET)
        try:
            yield
        finally:
            call("setns", own.fileno(), _CLONE_NEWNET)
