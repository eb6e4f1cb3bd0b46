# SPDX-License-Identifier: Apache-2.0
"""A plugin's system calls, listed, failed and killed at by fault.c."""

import errno
import functools
import os
import pathlib
import re
import subprocess
from typing import NamedTuple

_LOG = "/run/tmp/fault"

ERRORS = ["ENOMEM", "EBUSY", "ENOBUFS", "EINTR", "EAGAIN", "EMFILE", "ENOSPC", "EIO", "EPERM"]

# These calls cannot fail: they end the process or set its registers.
_NEVER_FAIL = {"exit", "exit_group", "arch_prctl", "set_tid_address", "rt_sigreturn"}


class Point(NamedTuple):
    """A system call: its process, its number, and its place among the calls of that number in the process."""

    process: int
    call: int
    place: int

    @property
    def name(self):
        return names().get(self.call, str(self.call))

    @property
    def may_fail(self):
        return self.name not in _NEVER_FAIL

    def __str__(self):
        whose = f" of child {self.process}" if self.process else ""
        return f"{self.name} number {self.place}{whose}"


@functools.cache
def names():
    """The names of the system calls by number, from the C library's headers."""
    defined = subprocess.run(
        ["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
        capture_output=True, text=True, check=True).stdout
    return {int(number): name
            for name, number in re.findall(r"#define __NR_(\w+) (\d+)$", defined, re.MULTILINE)}


def build(folder):
    """Compiles the program."""
    program = pathlib.Path(folder) / "fault"
    source = pathlib.Path(__file__).with_name("fault.c")
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    return str(program)


class Faults:
    """The compiled fault.c, and the commands to run a plugin under."""

    def __init__(self, program):
        self.program = program
        os.makedirs(os.path.dirname(_LOG), exist_ok=True)

    @property
    def listing(self):
        return [self.program, _LOG, "list"]

    def listed(self):
        """The points of the call that was last under `listing`."""
        with open(_LOG) as log:
            return [Point(*map(int, line.split())) for line in log]

    def at(self, point, error=None):
        """Makes a call fail or, without an error, kills its process at the call."""
        action = "kill" if error is None else str(getattr(errno, error))
        return [self.program, _LOG, *map(str, point), action]

    def was_reached(self):
        """Whether the last run came to the call of `at`."""
        with open(_LOG) as log:
            return log.read() == "done"
