# SPDX-License-Identifier: Apache-2.0
"""The shipped chain: both families, many pods at once, and the time a start takes."""

import json
import os
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.conflist import Conflist
from lab.isolated_node import OURS, ROOT, THEIRS

PROGRAMS = ["humanz-bridge", "humanz-ipam", "humanz-route"]

V4 = {"subnet": "100.100.0.0/24", "network": "100.100.0.0/16"}
V6 = {"subnet": "fd00:100:100::/64", "network": "fd00:100::/32"}


def chain(node, *families, version="1.0.0"):
    """The shipped conflist with the subnets and networks of these families, on a single node."""
    shipped = json.loads((ROOT / "conflists/10-humanz.conflist").read_text())
    bridge, ipam, route = shipped["plugins"]
    del ipam["subnet"]
    ipam["ranges"] = [[{"subnet": family["subnet"]}] for family in families]
    route["network"] = [family["network"] for family in families]
    # The demo tests peers; here there is one node.
    del route["peers"]
    return Conflist(node, bridge, ipam, route, name=shipped["name"], version=version)


def pod_addresses(result):
    return [ip["address"].split("/")[0] for ip in result["ips"]]


def answers(node, address, pod=None):
    """Whether the first echo request to an address is answered."""
    return node.run("ping", "-c", "1", "-W", "3", address, pod=pod, check=False).returncode == 0


@pytest.mark.parametrize("families", [[V4], [V6], [V4, V6]], ids=["IPv4", "IPv6", "both"])
def test_pods_reach_each_other_and_the_node_in_each_family_at_once(node, families):
    network = chain(node, *families)
    first = network.add("first")
    # Right after ADD, without waiting or trying again.
    for address in pod_addresses(first):
        assert answers(node, address)
    tentative = node.run("ip", "address", "show", "tentative", pod="first").stdout
    assert "fd00" not in tentative
    second = network.add("second")
    for address in pod_addresses(first):
        assert answers(node, address, pod="second")
    for gateway in (ip["gateway"] for ip in second["ips"]):
        assert answers(node, gateway, pod="second")
    for family, entries in [("-4", V4 in families), ("-6", V6 in families)]:
        default = node.ip(family, "route", "show", "default", pod="second")
        assert len(default) == int(entries)
    assert len(first["ips"]) == len(families)
    for pod in ("first", "second"):
        network.check(pod)
        network.delete(pod)
    assert node.leases() == set()


@pytest.mark.parametrize("families", [[V4, V6]], ids=["both"])
def test_64_adds_at_once_into_an_empty_node_and_64_dels(node, families):
    network = chain(node, *families)
    pods = [f"pod{number}" for number in range(64)]
    for pod in pods:
        node.run("ip", "netns", "add", pod)
    before = node.traces()
    with ThreadPoolExecutor(64) as threads:
        results = list(threads.map(network.add, pods))
        addresses = [address for result in results for address in pod_addresses(result)]
        assert len(addresses) == len(set(addresses)) == 128
        assert len(node.ip("link", "show", "type", "bridge")) == 1
        assert len(node.ip("link", "show", "type", "veth")) == 64
        assert node.leases() == set(addresses)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda address: answers(node, address), addresses))
    with ThreadPoolExecutor(64) as threads:
        list(threads.map(network.delete, pods))
    after = node.traces()
    bridge = "humanz-cni0"
    assert sorted(set(after["links"]) - {bridge}) == before["links"]
    # The bridge with the gateway addresses and the network's own routes stay for the next pod.
    own = [route for route in after["routes"] if route not in before["routes"]]
    assert all(f" {bridge} " in route or "None None" in route or " lo " in route for route in own)
    assert after["leases"] == [] and after["neighbours"] == []
    assert node.ip("link", "show", "master", bridge) == []
    for pod in pods:
        assert [link["ifname"] for link in node.ip("link", pod=pod)] == ["lo"]


def test_adds_and_dels_that_cross_give_no_address_twice(node):
    network = chain(node, V4 | {"subnet": "100.100.0.0/27"})

    def live(number):
        pod = f"pod{number}"
        for _ in range(3):
            address, = pod_addresses(network.add(pod))
            try:
                assert address not in held
                held.add(address)
                assert answers(node, address)
                held.remove(address)
            finally:
                network.delete(pod)
    held = set()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(live, range(8)))
    assert node.leases() == set()


# The time a start takes

@pytest.mark.skipif(os.environ.get("HUMANZ_EMBEDDED") == "0",
                    reason="the bound is that of the plugins in Embedded Swift")
@pytest.mark.parametrize("program", PROGRAMS)
def test_version_takes_at_most_half_of_what_the_reference_bridge_takes(program):
    environment = {"CNI_COMMAND": "VERSION"}

    def microseconds(path):
        start = time.perf_counter()
        subprocess.run([path], env=environment, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start
    # In turn, so that other load affects both alike.
    ours, theirs = [], []
    for _ in range(150):
        ours.append(microseconds(OURS / program))
        theirs.append(microseconds(THEIRS / "bridge"))
    assert statistics.median(ours) <= statistics.median(theirs) / 2
