# SPDX-License-Identifier: Apache-2.0
"""A plugin's system calls: listed, counted, and made to fail or to be its last. See strace(1)."""

import re
import struct
from collections import Counter
from typing import NamedTuple

_TRACE = "/run/tmp/trace"


class SystemCall:
    """One call of a trace: its name, its place among the process's calls of that name, its line."""

    def __init__(self, name, place, line):
        self.name, self.place, self.line = name, place, line

    def __repr__(self):
        return f"{self.name} number {self.place}"


def traced(network, verb, pod, *options, delegates=False, **keys):
    """Makes a call under strace; gives the lines of the trace, of delegates too if asked for."""
    _, lines = answer_and_trace(network, verb, pod, *options, delegates=delegates, **keys)
    return lines


def answer_and_trace(network, verb, pod, *options, delegates=False, **keys):
    """As `traced`; gives what the call printed too."""
    answer = network.call(verb, pod, under=[
        "strace", *(["-f"] if delegates else []), "-s", "64", "-o", _TRACE, *options], **keys)
    return answer, network.node.path(_TRACE).read_text(errors="replace").splitlines()


def system_calls(network, verb, pod, **keys):
    """The system calls of a call that succeeds, from where the plugin reads its stdin on."""
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
    """strace's option that makes a system call fail."""
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:error={error}:when={call.place}"]


def killing(call):
    """strace's option that has the process killed in place of a system call."""
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:signal=KILL:when={call.place}"]


class Cost(NamedTuple):
    """What a call asks of the kernel: system calls, and netlink messages that they send."""

    calls: int
    messages: int


# A line of a dump: " | 00010  61 62 63 …  abc…"; the bytes' column is of one width.
_DUMPED = re.compile(r" \| [0-9a-f]+  (.{49})")
_RESULT = re.compile(r" = (-?\d+)")


def counted(network, verb, pod=None, **keys):
    """Makes a call that succeeds; gives its answer and its cost, a delegate's share included.

    Counted is what a program does from where it reads its stdin on, that call included: what comes
    before is the C library's, the loader's and posix_spawn's, and differs between machines. A round
    of waiting, which is a question, its answer and a sleep, is not counted either: how many there are
    is the machine's affair.
    """
    for trace in network.node.path(_TRACE).parent.glob("trace.*"):
        trace.unlink()
    # A file a process, so that no line is cut by another's; `write` dumps what is sent, whole.
    answer = network.call(verb, pod, under=[
        "strace", "-ff", "-qq", "-e", "signal=none", "-e", "write=all", "-o", _TRACE], **keys)
    traces = network.node.path(_TRACE).parent.glob("trace.*")
    costs = [cost(trace.read_text(errors="replace").splitlines()) for trace in traces]
    total = Cost(*map(sum, zip(*costs)))
    assert total.calls, "no process read its stdin"
    return answer, total


def cost(lines):
    """The cost of one process, from a trace of it with `write=all`."""
    # A copy of a process has loaded what it needs, and inherits no socket that it uses.
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
    """Whether the last calls sent netlink messages and received, and did nothing else since."""
    last = next((call for call in reversed(calls) if not call[0].startswith("recv")), ("", 0))
    return last[1] > 0


def _dumped(lines):
    """The bytes of the dump that these lines begin with."""
    data = b""
    for line in lines:
        if (dumped := _DUMPED.match(line)) is not None:
            data += bytes.fromhex(dumped[1])
        elif not line.startswith(" * "):
            break
    return data


def _messages(datagram, size):
    """How many messages are in a datagram: each begins with its length, and is filled to 4 bytes."""
    size = max(size, 0)  # A call that failed sent nothing.
    assert len(datagram) == size, f"{len(datagram)} bytes are dumped of {size}"
    count, start = 0, 0
    while start < size:
        length, = struct.unpack_from("=I", datagram, start)
        assert 16 <= length <= size - start
        start += (length + 3) // 4 * 4
        count += 1
    return count
