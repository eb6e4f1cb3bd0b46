# SPDX-License-Identifier: Apache-2.0
"""Limits on the size of the programs and on the cost of a call.

The cost is a count of system calls and netlink messages, which does not depend on the machine's load. It starts
where the program reads its stdin: before that, the calls are the C library's and the dynamic loader's. Rounds of
waiting are not counted; see `system_calls.counted`. Each limit is the count measured on many fresh nodes.
If a change makes a verb cheaper, lower its limit; if it must make one dearer, raise the limit and give the reason
in the commit.
"""

import functools
import os

import pytest

from lab.attachment import Chain, Network
from lab.isolated_node import OURS, Node
from lab.system_calls import Cost, cost, counted

pytestmark = pytest.mark.skipif(
    "0" in (os.environ.get("STATIC"), os.environ.get("HUMANZ_EMBEDDED")),
    reason="the bounds are those of the static programs")

PROGRAMS = ["humanz-bridge", "humanz-ipam", "humanz-route"]

# Of each program, in bytes.
SIZE = 380_000

# System calls and netlink messages. STATUS of humanz-ipam checks that no other link has one of its subnets:
# each ADD would fail.
# The ADD of humanz-bridge locks the pod's namespace, by one call; a socket in a pod is connected to the kernel, by one.
# GC may find a neighbour entry to delete. The five calls that prepare for a trap come before
# stdin is read.
VERSION = (4, 0)
BOUNDS = {
    ("the chain", "humanz-bridge"): {
        "ADD": (47, 7), "CHECK": (34, 3), "STATUS": (10, 1), "GC": (31, 6), "DEL": (50, 4)},
    ("the chain", "humanz-ipam"): {
        "ADD": (85, 12), "CHECK": (57, 5), "STATUS": (26, 2), "GC": (25, 0), "DEL": (52, 3)},
    ("the chain", "humanz-route"): {
        "ADD": (59, 5), "CHECK": (52, 4), "STATUS": (19, 1), "GC": (7, 0), "DEL": (16, 2)},
    ("humanz-route with ipMasq where a firewall drops", "humanz-route"): {
        "ADD": (66, 7), "CHECK": (59, 6), "STATUS": (23, 2), "GC": (7, 0), "DEL": (16, 2)},
    ("humanz-route with 1000 peers", "humanz-route"): {
        "ADD": (69, 5), "CHECK": (62, 4), "STATUS": (24, 1), "GC": (12, 0), "DEL": (21, 2)},
    ("humanz-bridge with humanz-ipam", "humanz-bridge"): {
        "ADD": (125, 16), "CHECK": (88, 6), "STATUS": (46, 1), "GC": (74, 7), "DEL": (99, 4)},
    ("humanz-bridge with humanz-ipam and ipMasq", "humanz-bridge"): {
        "ADD": (133, 17), "CHECK": (96, 7), "STATUS": (46, 1), "GC": (75, 7), "DEL": (109, 7)},
}


# How large the programs are

@pytest.mark.parametrize("program", PROGRAMS)
def test_a_plugin_is_small(program, record_property):
    size = (OURS / program).stat().st_size
    record_property("size", f"{size:,} of {SIZE:,} bytes")
    assert size <= SIZE


# What a call costs

def peers(count):
    """The given number of other nodes. Their next hops are on the link, and nothing is sent to them."""
    return [{"name": f"node{n}", "subnet": f"10.{128 + n // 256}.{n % 256}.0/24",
             "via": f"192.0.2.{20 + n % 200}"} for n in range(count)]


def chain(count=3, **keys):
    return [{"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": "10.255.0.0/24"},
            {"type": "humanz-route", "network": "10.128.0.0/9", "peers": peers(count), **keys}]


def bridge(**keys):
    return [{"type": "humanz-bridge", "isDefaultGateway": True,
             "ipam": {"type": "humanz-ipam", "subnet": "10.255.0.0/24"}, **keys}]


CASES = {
    "the chain": chain(),
    "humanz-route with ipMasq where a firewall drops": chain(ipMasq=True),
    "humanz-route with 1000 peers": chain(1000),
    "humanz-bridge with humanz-ipam": bridge(),
    "humanz-bridge with humanz-ipam and ipMasq": bridge(ipMasq=True),
}


@functools.cache
def costs(case):
    """The costs of a case by stage and verb, for the second pod: the first also makes what pods share."""
    with Node("counted") as node:
        node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
        for link in ("uplink", "far"):
            node.run("ip", "link", "set", link, "up")
        node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
        if "firewall" in case:
            node.run("iptables-nft", "-P", "FORWARD", "DROP")
        network = Chain(node, *CASES[case])
        network.add("first")
        node.add_pod("second")
        # With connection tracking, DEL now has one connection to check; it lasts half a minute.
        node.run("ping", "-c", "1", "192.0.2.10")

        result, found = {}, {}
        for stage in network.stages:
            prev = {"prevResult": result} if result else {}
            result, found[stage.plugin, "ADD"] = counted(stage, "ADD", "second", **prev)
        both = [{"containerID": pod, "ifname": "eth0"} for pod in ("first", "second")]
        for verb, pod, keys in [("CHECK", "second", {"prevResult": result}), ("STATUS", None, {}),
                                ("GC", None, {"cni.dev/valid-attachments": both})]:
            for stage in network.stages:
                _, found[stage.plugin, verb] = counted(stage, verb, pod, **keys)
        for stage in reversed(network.stages):
            _, found[stage.plugin, "DEL"] = counted(stage, "DEL", "second", prevResult=result)
        return found


def excess(record_property, name, found, bound):
    """Records a cost beside its limit; returns a message if the cost is over it, else None."""
    words = "{} of {} system calls, {} of {} netlink messages".format(
        found.calls, bound[0], found.messages, bound[1])
    record_property(name, words)
    return f"{name}: {words}" if found.calls > bound[0] or found.messages > bound[1] else None


@pytest.mark.parametrize("program", PROGRAMS)
def test_version_costs_no_more_than_its_bound(node, program, record_property):
    _, found = counted(Network(node, program), "VERSION")
    assert excess(record_property, "VERSION", found, VERSION) is None


@pytest.mark.parametrize("case, stage", BOUNDS)
def test_a_verb_costs_no_more_than_its_bound(case, stage, record_property):
    bounds = BOUNDS[case, stage]
    assert list(bounds) == ["ADD", "CHECK", "STATUS", "GC", "DEL"]
    excesses = [excess(record_property, verb, costs(case)[stage, verb], bound)
                for verb, bound in bounds.items()]
    assert not any(excesses), "\n".join(filter(None, excesses))


@pytest.mark.parametrize("verb", ["ADD", "CHECK", "STATUS", "GC", "DEL"])
def test_humanz_route_sends_as_many_messages_with_1000_peers_as_with_3(verb):
    few, many = costs("the chain"), costs("humanz-route with 1000 peers")
    assert many["humanz-route", verb].messages == few["humanz-route", verb].messages


# How the cost is counted

_START = """\
execve("/run/cni/bin/humanz-route", ["humanz-route"], 0x7ffd /* 9 vars */) = 0
brk(NULL) = 0x55d0c8a4f000
read(0, "{}", 16384) = 2
socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3
"""
_QUESTION = """\
sendto(3, [{nlmsg_len=18, nlmsg_type=0x12}, "\\x00\\x00"], 20, 0, {sa_family=AF_NETLINK}, 12) = 20
 | 00000  12 00 00 00 12 00 01 00  00 00 00 00 00 00 00 00  ................ |
 | 00010  00 00 00 00                                       ....             |
recvmsg(3, {msg_name={sa_family=AF_NETLINK}, msg_namelen=12}, 0) = 1136
"""
_BATCH = """\
sendmsg(3, {msg_name={sa_family=AF_NETLINK}, msg_iovlen=2}, 0) = 36
 * 16 bytes in buffer 0
 | 00000  10 00 00 00 10 00 05 00  00 00 00 00 00 00 00 00  ................ |
 * 20 bytes in buffer 1
 | 00000  14 00 00 00 10 00 05 00  01 00 00 00 00 00 00 00  ................ |
 | 00010  00 00 00 00                                       ....             |
"""
_SLEEP = "clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=0, tv_nsec=1000000}, NULL) = 0\n"
_FILE = """\
close(3) = 0
write(3, "12", 2) = 2
 | 00000  31 32                                             12               |
"""


@pytest.mark.parametrize("trace, expected", [
    (_START, (2, 0)),
    (_START + _QUESTION, (4, 1)),
    ("socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3\n" + _QUESTION, (3, 1)),
    (_START + _BATCH, (3, 2)),
    (_START + (_QUESTION + _SLEEP) * 3 + _QUESTION, (4, 1)),
    (_START + _QUESTION + _FILE + _SLEEP, (7, 1)),
    ("", (0, 0)),
], ids=["loading", "question", "copy of a process", "batch", "waiting", "sleep", "nothing"])
def test_a_trace_has_the_cost(trace, expected):
    assert cost(trace.splitlines()) == Cost(*expected)
