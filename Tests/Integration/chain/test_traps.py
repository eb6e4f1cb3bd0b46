# SPDX-License-Identifier: Apache-2.0
"""A trap of Swift, which is a mistake of ours, ends a plugin with an error object and leaves nothing behind.

The signal comes after a system call, as if the next instruction were the trap's.
"""

import json
import os
import platform
import re
import struct
import sys

import pytest

from lab import ptrace
from lab.attachment import Chain, Network
from lab.isolated_node import OURS
from lab.lease_store import Leases
from lab.system_calls import system_calls, traced

CODE = 105
BRIDGE = {"type": "humanz-bridge", "isDefaultGateway": True, "ipMasq": True, "macspoofchk": True,
          "ipam": {"type": "humanz-ipam", "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]}}
CHAIN = [{"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": "10.77.0.0/24"},
         {"type": "humanz-route", "network": "10.77.0.0/16", "ipMasq": True,
          "routes": [{"dst": "192.0.2.0/24"}]}]


def trapped(call, number="SIGILL", more=""):
    """strace's options that end a process after a system call, as a trap does."""
    return ["strace", "-o", "/dev/null", "-e", f"trace={call.name}",
            "-e", f"inject={call.name}:signal={number}:when={call.place}{more}"]


def state(node):
    """All that an ADD makes on the node and in the pod. Neighbours come and go by themselves."""
    found = node.traces()
    del found["neighbours"]
    return found | {"pod": [node.run("ip", *words, pod="pod").stdout for words in (
        ["-br", "link"], ["-4", "route", "show", "table", "all"], ["-br", "-4", "address"])]}


def writes_result(call):
    """Whether a call writes the result: what comes after it is a success."""
    return call.line.startswith("write(1,")


def assert_trapped(node, stage, before, calls, record_property, **keys):
    for call in calls:
        ended = stage.run("ADD", "pod", under=trapped(call), **keys)
        assert ended.status == 1, f"{call}: {ended}"
        error = ended.error
        assert error["code"] == CODE and "ADD" in error["msg"] and "report" in error["details"], call
        assert error["cniVersion"] == stage.configuration["cniVersion"], call
        assert state(node) == before, call
    record_property("system calls trapped at", len(calls))


def calls_of(stage, take_back, **keys):
    """The system calls of an ADD up to its answer, and those after it."""
    calls = system_calls(stage, "ADD", "pod", **keys)
    take_back()
    end, = (number for number, call in enumerate(calls) if writes_result(call))
    return calls[:end], calls[end + 1:]


def test_a_trap_of_the_bridge_and_its_delegate_leaves_nothing(node, record_property):
    network = Network(node, "humanz-bridge", version="1.1.0", logFile="",
                      **{key: value for key, value in BRIDGE.items() if key != "type"})
    network.add("stays")
    node.add_pod("pod")
    before = state(node)
    calls, later = calls_of(network, lambda: network.call("DEL", "pod"))
    assert state(node) == before
    assert_trapped(node, network, before, calls, record_property)
    # The result is out: the runtime has the attachment.
    for call in later[:2]:
        ended = network.run("ADD", "pod", under=trapped(call))
        assert ended.succeeded().json["ips"]
        network.call("CHECK", "pod", prevResult=ended.json)
        network.call("DEL", "pod", prevResult=ended.json)
    assert network.add("pod")["ips"]


def test_a_trap_of_the_first_add_takes_the_bridge_too(node):
    network = Network(node, "humanz-bridge", version="1.1.0", logFile="",
                      **{key: value for key, value in BRIDGE.items() if key != "type"})
    node.add_pod("pod")
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    before = state(node)
    calls, _ = calls_of(network, lambda: (
        network.call("DEL", "pod"), node.run("ip", "link", "del", "cni0")))
    assert state(node) == before
    for call in calls[len(calls) // 2::7]:
        assert network.run("ADD", "pod", under=trapped(call)).error["code"] == CODE
        assert state(node) == before, call


def test_a_trap_of_the_delegate_frees_what_it_leased(node, record_property):
    leases = Leases(node, version="1.1.0", ranges=[[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]])
    leases.lease("stays")
    calls, _ = calls_of(leases, lambda: leases.release("pod"))
    held = leases.held()
    for call in calls:
        ended = leases.run("ADD", "pod", namespace="/run/netns/pod", under=trapped(call))
        assert ended.error["code"] == CODE and ended.status == 1, call
        assert leases.held() == held, call
        assert "pod:eth0" not in [file.name for file in (leases.directory / "attachments").iterdir()], call
    record_property("system calls trapped at", len(calls))
    leases.lease("pod")
    # A second ADD leaves the first one's lease alone, wherever it is trapped.
    held = leases.held()
    for call in calls[:40]:
        assert leases.run("ADD", "pod", namespace="/run/netns/pod", under=trapped(call)).status == 1
        assert leases.held() == held, call


@pytest.mark.parametrize("number", [1, 2], ids=["humanz-ipam", "humanz-route"])
def test_a_trap_of_a_later_stage_leaves_what_the_earlier_ones_made(node, number, record_property):
    chain = Chain(node, *CHAIN)
    for keys in chain.stages:
        keys.configuration["logFile"] = ""
    chain.add("stays")
    node.add_pod("pod")
    result = {}
    for stage in chain.stages[:number]:
        result = stage.add("pod", **({"prevResult": result} if result else {}))
    stage = chain.stages[number]
    before = state(node)

    def take_back():
        stage.call("DEL", "pod", prevResult=result)
        if stage.plugin == "humanz-route":  # Its routes go with the pod's interface.
            node.run("ip", "route", "del", "default", pod="pod")
            node.run("ip", "route", "del", "192.0.2.0/24", pod="pod")

    calls, _ = calls_of(stage, take_back, prevResult=result)
    assert state(node) == before
    assert_trapped(node, stage, before, calls, record_property, prevResult=result)


@pytest.mark.parametrize("verb", ["DEL", "CHECK", "GC", "STATUS", "VERSION"])
def test_a_trap_of_any_verb_has_an_answer(node, verb):
    network = Network(node, "humanz-bridge", version="1.1.0", logFile="/run/tmp/log")
    result = network.add("pod")
    pod = None if verb in ("GC", "STATUS", "VERSION") else "pod"
    keys = {"GC": {"cni.dev/valid-attachments": []}}.get(verb, {"prevResult": result} if pod else {})
    # After the configuration is read, where there is one.
    name = "read" if verb == "VERSION" else "setsockopt"
    call = next(call for call in system_calls(network, "STATUS", None) if call.name == name)
    ended = network.run(verb, pod, under=trapped(call), **keys)
    assert ended.status == 1 and ended.error["code"] == CODE and verb in ended.error["msg"]
    assert f"{CODE}" in node.path("/run/tmp/log").read_text() or verb == "VERSION"


@pytest.mark.parametrize("number", ["SIGTRAP", "SIGSEGV", "SIGBUS", "SIGABRT"])
def test_other_faults_are_answered_too(node, number):
    network = Network(node, "humanz-bridge", version="1.1.0", logFile="")
    node.add_pod("pod")
    call = system_calls(network, "STATUS", None)[0]
    assert network.run("STATUS", under=trapped(call, number)).error["code"] == CODE


def test_a_trap_in_the_last_words_ends_them(node):
    network = Network(node, "humanz-bridge", version="1.1.0", isGateway=True, logFile="",
                      ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24"})
    node.add_pod("pod")
    calls = [call for call in system_calls(network, "ADD", "pod") if call.name == "sendto"]
    network.call("DEL", "pod")
    ended = network.run("ADD", "pod", under=trapped(calls[2], more="+"))
    assert ended.status == 1 and ended.error["code"] == CODE
    network.call("DEL", "pod")
    assert node.leases() == set() and json.loads(ended.stdout)["msg"]


def trap_instruction(program):
    """The address of an instruction in a program by which Swift ends it."""
    data = program.read_bytes()
    headers, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for number in range(count):
        kind, flags, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, headers + 56 * number)
        if kind == 1 and flags & 1:
            # Two traps one after the other are no part of another instruction.
            return address + re.search(rb"\x0f\x0b\x0f\x0b", data[offset:offset + size]).start()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instruction is x86-64's")
@pytest.mark.skipif("0" in (os.environ.get("STATIC"), os.environ.get("HUMANZ_EMBEDDED")),
                    reason="a dynamic program has no fixed addresses")
@pytest.mark.parametrize("part", [2, 3, 4, 5])
def test_an_instruction_that_traps_is_answered(node, part):
    """The process itself runs into one of its own traps, by a jump."""
    network = Network(node, "humanz-bridge", version="1.1.0", isGateway=True, logFile="",
                      ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24"})
    network.add("stays")
    node.add_pod("pod")
    before = state(node)
    calls = [line for line in traced(network, "ADD", "pod") if "(" in line]
    network.call("DEL", "pod")
    # The C library blocks all signals while it starts the delegate: no code of ours runs there.
    masks = [(number, line) for number, line in enumerate(calls, 1) if line.startswith("rt_sigprocmask(")]
    number = len(calls) * part // 6
    for (blocked, line), (unblocked, _) in zip(masks, masks[1:]):
        if "SIG_BLOCK, ~[]" in line and blocked <= number < unblocked:
            number = unblocked
    address = trap_instruction(OURS / "humanz-bridge")
    ended = network.run("ADD", "pod", under=[
        sys.executable, ptrace.__file__, "trap", str(number), hex(address)])
    assert ended.status == 1 and ended.error["code"] == CODE, str(ended)
    assert "Illegal instruction" in ended.error["msg"]
    assert state(node) == before
