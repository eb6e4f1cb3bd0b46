# SPDX-License-Identifier: Apache-2.0
"""Answers on a netlink socket: those of an earlier question, and those that the kernel has not given."""

import re
import subprocess

import pytest

from lab.attachment import Network, address, reaches
from lab.system_calls import system_calls

KEYS = {"isGateway": True, "ipam": {"type": "humanz-ipam", "subnet": "10.77.0.0/24"}, "logFile": ""}


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
def test_an_answer_that_comes_late_is_not_the_next_questions(node, verb):
    """One `recvmsg` after the other says that nothing has arrived: its answer is read by the next one."""
    network = Network(node, **KEYS)
    network.add("stays")
    node.add_pod("pod")
    before = node.traces()
    if verb == "DEL":
        network.add("pod")
    calls = [call for call in system_calls(network, verb, "pod") if call.name == "recvmsg"]
    network.call("DEL", "pod")
    assert len(calls) > 5
    for call in calls:
        if verb == "DEL":
            network.call("ADD", "pod")
        ended = network.run(verb, "pod", under=[
            "strace", "-o", "/dev/null", "-e", "trace=recvmsg",
            "-e", f"inject=recvmsg:error=EAGAIN:when={call.place}"])
        if verb == "ADD" and ended.status == 0:
            assert reaches(node, "pod", "10.77.0.1")
        if ended.status == 0 or verb == "DEL":
            network.call("DEL", "pod")
        after = node.traces()
        for state in (before, after):
            state.pop("neighbours", None)
        assert after == before, call
        assert [link["ifname"] for link in node.ip("link", pod="pod")] == ["lo"], call


# Sends to the netlink socket of a process in the pod's network, as fast as it can: "there is no error", with
# any of the first sequence numbers, and a link of the name that the plugin looks for.
_FORGE = """
import os, socket, struct, sys
name = sys.argv[1].encode()
attribute = struct.pack("=HH", 5 + len(name), 3) + name + b"\\0"
attribute += b"\\0" * (-len(attribute) % 4)
socket_ = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
def message(kind, number, body):
    return struct.pack("=IHHII", 16 + len(body), kind, 0, number, 0) + body
forged = [message(16, n, struct.pack("=BxHiII", 0, 1, 77, 0, 0) + attribute) for n in range(8)]
print("ready", flush=True)
tried = False
while True:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                if b"humanz-bridge" not in open(f"/proc/{entry}/cmdline", "rb").read():
                    continue
                if not tried:
                    print("tried", flush=True)
                    tried = True
                for one in forged:
                    socket_.sendto(one, (int(entry), 0))
            except OSError:
                pass
"""


def test_what_a_pod_sends_to_a_plugins_socket_is_no_answer_of_the_kernel(node):
    """The pod may set up its own network, and so send to the sockets that others have there."""
    network = Network(node, **KEYS)
    node.add_pod("pod")
    forger = node.start("/usr/bin/python3", "-c", _FORGE, "eth0", pod="pod", stdout=subprocess.PIPE, text=True)
    assert forger.stdout.readline() == "ready\n"
    slowly = ["strace", "-o", "/run/tmp/trace", "-e", "trace=sendto,recvmsg",
              "-e", "inject=recvmsg:delay_enter=20000"]
    result = network.call("ADD", "pod", under=slowly)
    forger.kill()
    assert forger.stdout.readline() == "tried\n"
    senders = re.findall(r"recvmsg\(.*?sa_family=AF_NETLINK, nl_pid=(\d+)", node.path("/run/tmp/trace").read_text())
    assert senders and set(senders) == {"0"}
    assert reaches(node, "pod", "10.77.0.1") and address(result).startswith("10.77.0.")
