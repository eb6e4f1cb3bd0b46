# SPDX-License-Identifier: Apache-2.0
"""A plugin's system calls: listed, counted, made to fail, or replaced by a kill. See strace(1)."""

import json
import re
import struct
from collections import Counter
from typing import NamedTuple

_TRACE = "/run/tmp/trace"
_STDIN = "/run/tmp/stdin"


class SystemCall:
    """One call of a trace: its name, its number among the process's calls of that name, its line."""

    def __init__(self, name, place, line):
        self.name, self.place, self.line = name, place, line

    def __repr__(self):
        return f"{self.name} number {self.place}"


def traced(network, verb, pod, *options, delegates=False, **keys):
    """Makes a call under strace; returns the lines of the trace, of delegates too if asked for."""
    _, lines = answer_and_trace(network, verb, pod, *options, delegates=delegates, **keys)
    return lines


def answer_and_trace(network, verb, pod, *options, delegates=False, **keys):
    """As `traced`; also returns the call's output."""
    answer = network.call(verb, pod, under=[
        "strace", *(["-f"] if delegates else []), "-s", "64", "-o", _TRACE, *options], **keys)
    return answer, network.node.path(_TRACE).read_text(errors="replace").splitlines()


def system_calls(network, verb, pod, **keys):
    """The system calls of a call that succeeds, from the read of stdin on."""
    calls, seen, is_loading = [], Counter(), True
    for line in traced(network, verb, pod, **keys):
        name, separator, _ = line.partition("(")
        if not separator or not name.isidentifier():
            continue
        seen[name] += 1
        is_loading = is_loading and not line.startswith("read(0,")
        if not is_loading:
            calls.append(SystemCall(name, seen[name], line))
    return calls


def failing(call, error):
    """strace's option to make a system call fail."""
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:error={error}:when={call.place}"]


def killing(call):
    """strace's option to kill the process at a system call."""
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:signal=KILL:when={call.place}"]


class Cost(NamedTuple):
    """The cost of a call: its system calls, and the netlink messages that they send."""

    calls: int
    messages: int


# A line of a dump: " | 00010  61 62 63 …  abc…"; the hexadecimal column has a fixed width.
_DUMPED = re.compile(r" \| [0-9a-f]+  (.{49})")
_RESULT = re.compile(r" = (-?\d+)")


def counted(network, verb, pod=None, **keys):
    """Makes a call that succeeds; returns its answer and its cost, delegates included.

    Counts what a program does from its first read of stdin on. Before that the calls are those of the C library,
    the loader and posix_spawn, and differ between machines. A round of waiting (a query, its answer and a sleep)
    is not counted either: the number of rounds depends on the machine.
    """
    for trace in network.node.path(_TRACE).parent.glob("trace.*"):
        trace.unlink()
    # A pipe may give a long configuration in any number of parts, a file gives it always in the same.
    network.node.path(_STDIN).write_text(json.dumps({**network.configuration, **keys}))
    # One file a process, so that lines of processes do not mix; `write` dumps everything that is sent.
    answer = network.call(verb, pod, redirect=f"<{_STDIN}", under=[
        "strace", "-ff", "-qq", "-e", "signal=none", "-e", "write=all", "-o", _TRACE], **keys)
    traces = network.node.path(_TRACE).parent.glob("trace.*")
    costs = [cost(trace.read_text(errors="replace").splitlines()) for trace in traces]
    total = Cost(*map(sum, zip(*costs)))
    assert total.calls, "no process read its stdin"
    return answer, total


def cost(lines):
    """The cost of one process, from a trace of it with `write=all`."""
    # A forked process has nothing to load, and inherits no socket that it uses.
    calls, sockets, is_loading = [], set(), any(line.startswith("execve(") for line in lines)
    for number, line in enumerate(lines):
        name, separator, rest = line.partition("(")
        if not separator or not name.isidentifier():
            continue
        result = _RESULT.findall(line)
        messages = 0
        if name == "socket" and rest.startswith("AF_NETLINK"):
            sockets.add(result[-1])
        elif name == "close":
            sockets.discard(rest.partition(")")[0])
        elif name in ("sendto", "sendmsg", "write") and rest.partition(",")[0] in sockets:
            messages = _messages(_dumped(lines[number + 1:]), int(result[-1]))
        is_loading = is_loading and not line.startswith("read(0,")
        if is_loading:
            continue
        if name == "clock_nanosleep" and _is_question(calls):
            while not calls.pop()[1]:
                pass
        else:
            calls.append((name, messages))
    return Cost(len(calls), sum(messages for _, messages in calls))


def _is_question(calls):
    """Whether the last calls only sent netlink messages and received the answers."""
    last = next((call for call in reversed(calls) if not call[0].startswith("recv")), ("", 0))
    return last[1] > 0


def _dumped(lines):
    """The bytes of the dump at the start of these lines."""
    data = b""
    for line in lines:
        if (dumped := _DUMPED.match(line)) is not None:
            data += bytes.fromhex(dumped[1])
        elif not line.startswith(" * "):
            break
    return data


def _messages(datagram, size):
    """The number of messages in a datagram: each begins with its length, and is padded to 4 bytes."""
    size = max(size, 0)  # A call that failed sent nothing.
    assert len(datagram) == size, f"{len(datagram)} bytes are dumped of {size}"
    count, start = 0, 0
    while start < size:
        length, = struct.unpack_from("=I", datagram, start)
        assert 16 <= length <= size - start
        start += (length + 3) // 4 * 4
        count += 1
    return count
