"""A plugin's system calls: listed, and made to fail or to be its last. See strace(1)."""

from collections import Counter

_TRACE = "/run/tmp/trace"


class SystemCall:
    """One call of a trace: its name, its place among the process's calls of that name, its line."""

    def __init__(self, name, place, line):
        self.name, self.place, self.line = name, place, line

    def __repr__(self):
        return f"{self.name} number {self.place}"


def traced(network, verb, pod, *options, delegates=False, **keys):
    """Makes a call under strace; gives the lines of the trace, of delegates too if asked for."""
    network.call(verb, pod, under=[
        "strace", *(["-f"] if delegates else []), "-s", "64", "-o", _TRACE, *options], **keys)
    return network.node.path(_TRACE).read_text(errors="replace").splitlines()


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
