# SPDX-License-Identifier: Apache-2.0
"""Tests that hold for every routing daemon that carries the cluster's routes."""
"""What is true of a cluster whose routes a routing daemon carries, BIRD or FRR."""

import re
import time

from lab.attachment import Network
from lab.cluster import NETWORKS, Cluster, learned, subnet, without_peers
from lab.isolated_node import ROOT
from lab.waiting import patience


def shipped(name, **changes):
    """A file of conflists/ with other values for some of its definitions; each must exist."""
    text = (ROOT / "conflists" / name).read_text()
    for word, value in changes.items():
        text, count = re.subn(rf"(?<=\bdefine {word} = )[^;]+", value, text)
        assert count == 1, f"conflists/{name} does not define {word} once"
    return text


def neighbours(families):
    """The families and prefixes of the nodes' addresses, for the router's configuration."""
    ranges = {"4": "192.168.{}.0/24", "6": "fd00:192:{:x}::/64"}
    return [(family, ranges[family].format(segment)) for family in families for segment in (0, 1)]


def check_routed(families, proto, start_router, start_node):
    """Pods reach each other through a router, and the routes to a node that dies disappear everywhere.

    Two nodes share a segment with one end of the router; the third is alone on a segment at its other end. All
    traffic to the third goes through the router.
    """
    with Cluster(families, without_peers, behind=(3,)) as cluster:
        start_router(cluster)
        for member in cluster:
            start_node(member)
        cluster.add_pods()
        wait_for_routes(cluster, proto)
        assert cluster.all_reach_all()
        first, _, third = cluster
        check_next_hops(cluster, first, third, proto)
        check_that_the_chain_leaves_the_daemon_alone(first, proto)
        lost = third.addresses()
        cluster.kill(third)
        wait_for_routes(cluster, proto)
        assert cluster.all_reach_all()
        for address in lost:
            refused = first.node.run("ip", "route", "get", address, check=False)
            assert "No route to host" in refused.stderr


def wait_for_routes(cluster, proto, timeout=60):
    """Waits until each node and the router have the daemon's routes to all other nodes' pods, and no other
    routes of its protocol."""
    expected = {member.name: sorted(subnet(other.number, family) for family in cluster.families
                                    for other in cluster if other is not member)
                for member in cluster}
    expected["router"] = sorted(
        subnet(member.number, family) for family in cluster.families for member in cluster)
    end = time.monotonic() + patience(timeout)
    while True:
        found = {member.name: member.learned(proto) for member in cluster}
        found["router"] = learned(cluster.router, cluster.families, proto)
        if found == expected:
            return
        assert time.monotonic() < end, (found, expected)
        time.sleep(0.1)


def check_next_hops(cluster, first, third, proto):
    """The first node's route to the third one's pods has the router as its next hop."""
    router = {entry["local"] for link in cluster.router.ip("address", "show", "dev", "lan0")
              for entry in link["addr_info"]}
    for family in cluster.families:
        route, = first.node.ip(
            f"-{family}", "route", "show", subnet(third.number, family), "proto", proto)
        assert route["gateway"] in router


def check_that_the_chain_leaves_the_daemon_alone(member, proto):
    """The verbs leave the daemon's routes alone; the rest of the network is unreachable."""
    before = member.learned(proto)
    member.chain.add("another")
    member.chain.check("another")
    # STATUS is newer than the version in the file.
    Network(member.node, "humanz-route", "1.1.0", name="humanz",
            network=member.networks).call("STATUS")
    member.chain.delete("another")
    assert member.learned(proto) == before
    for family in member.families:
        ours = member.node.ip(f"-{family}", "route", "show", "proto", "72", "table", "main")
        assert [(route["type"], route["dst"]) for route in ours] == [
            ("unreachable", NETWORKS[family])]
