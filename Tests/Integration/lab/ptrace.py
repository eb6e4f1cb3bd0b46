# SPDX-License-Identifier: Apache-2.0
"""Kills the child of a plugin at one of its system calls. See ptrace(2).

strace's injection cannot kill the child alone: it counts the calls of each process, and the parent makes as
many calls before.
"""

import ctypes
import os
import signal
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long

_CONTINUE, _SYSCALL, _SET_OPTIONS, _TRACEME = 7, 24, 0x4200, 0
_TRACE_SYSTEM_CALLS, _TRACE_FORK, _TRACE_VFORK, _TRACE_CLONE = 1, 2, 4, 8


def _ptrace(request, process, data=0):
    if _LIBC.ptrace(request, process, 0, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {process}")


def main(number, log, *command):
    """Runs a command; kills each child that it forks, unless the child executes another program, on entry to the
    child's system call `number`, counted from 1. Writes to the log whether a child was killed. Returns the
    command's status."""
    process = os.fork()
    if process == 0:
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(process, 0)
    _ptrace(_SET_OPTIONS, process, _TRACE_SYSTEM_CALLS | _TRACE_FORK | _TRACE_VFORK | _TRACE_CLONE)
    _ptrace(_CONTINUE, process)
    calls, is_killed, status = {}, False, None
    while status is None or calls:
        stopped, how = os.waitpid(-1, 0x40000000)  # __WALL
        if os.WIFEXITED(how) or os.WIFSIGNALED(how):
            calls.pop(stopped, None)
            if stopped == process:
                status = os.WEXITSTATUS(how) if os.WIFEXITED(how) else 128 + os.WTERMSIG(how)
            continue
        signal_number, event = os.WSTOPSIG(how), how >> 16
        if stopped == process:
            deliver = 0 if event or signal_number in (signal.SIGSTOP, signal.SIGTRAP) else signal_number
            _ptrace(_CONTINUE, process, deliver)
            continue
        # A system call stops the process on entry and on exit.
        calls.setdefault(stopped, 0)
        if signal_number == signal.SIGTRAP | 0x80:
            calls[stopped] += 1
            if calls[stopped] == 2 * number - 1:
                is_killed = True
                os.kill(stopped, signal.SIGKILL)
        try:
            _ptrace(_SYSCALL, stopped)
        except ProcessLookupError:
            pass  # The process was killed.
    with open(log, "w") as file:
        file.write("killed" if is_killed else "ended")
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
