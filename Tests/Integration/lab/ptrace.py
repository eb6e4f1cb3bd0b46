# SPDX-License-Identifier: Apache-2.0
"""Faults that strace cannot make: see ptrace(2).

    ptrace.py NUMBER LOG COMMAND...         kills the child of a plugin at one of its system calls. (strace counts
                                            the calls of each process, and a child's come after as many of its
                                            parent's: it cannot kill the child alone.)
    ptrace.py trap NUMBER ADDRESS COMMAND   lets a plugin continue, after one of its system calls, at an address
"""

import ctypes
import os
import signal
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long

_CONTINUE, _SYSCALL, _SET_OPTIONS, _TRACEME, _DETACH, _POKE_USER = 7, 24, 0x4200, 0, 17, 6
# Where the instruction pointer of x86-64 is in `struct user`.
_INSTRUCTION_POINTER = 16 * 8
_TRACE_SYSTEM_CALLS, _TRACE_FORK, _TRACE_VFORK, _TRACE_CLONE = 1, 2, 4, 8


def _ptrace(request, process, data=0, address=0):
    if _LIBC.ptrace(request, process, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {process}")


def _start(command, options=0):
    """Starts a command, stopped before it is executed, that stops at each of its system calls."""
    process = os.fork()
    if process == 0:
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(process, 0)
    _ptrace(_SET_OPTIONS, process, _TRACE_SYSTEM_CALLS | options)
    return process


def main(number, log, *command):
    """Runs a command; kills each child that it forks, unless the child executes another program, on entry to the
    child's system call `number`, counted from 1. Writes to the log whether a child was killed. Returns the
    command's status."""
    process = _start(command, _TRACE_FORK | _TRACE_VFORK | _TRACE_CLONE)
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


def trap(number, address, *command):
    """Runs a command; after its system call `number`, counted from 1, it continues at the address. Returns its
    status, or 128 plus its signal."""
    process = _start(command)
    # The call that starts the program stops it three times: at its entry, by SIGTRAP, and at its exit.
    stops = 0
    while stops < 2 * number:
        _ptrace(_SYSCALL, process)
        _, how = os.waitpid(process, 0)
        if os.WIFEXITED(how) or os.WIFSIGNALED(how):
            return 2
        stops += os.WSTOPSIG(how) == signal.SIGTRAP | 0x80
    _ptrace(_POKE_USER, process, address, _INSTRUCTION_POINTER)
    _ptrace(_DETACH, process)
    _, how = os.waitpid(process, 0)
    return os.WEXITSTATUS(how) if os.WIFEXITED(how) else 128 + os.WTERMSIG(how)


if __name__ == "__main__":
    if sys.argv[1] == "trap":
        sys.exit(trap(int(sys.argv[2]), int(sys.argv[3], 0), *sys.argv[4:]))
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
