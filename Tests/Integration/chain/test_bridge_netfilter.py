# SPDX-License-Identifier: Apache-2.0
"""A node whose firewall filters frames between its pods (br_netfilter), as kube-proxy requires."""

import pytest

from lab.attachment import Chain, address, comes_to_reach
from lab.kernel import need_bridge_netfilter
from lab.traffic import NODE, WORLD, add_world, seen_as, serve_callers

SUBNETS = ["10.77.0.0/24", "fd00:77::/64"]


@pytest.fixture(autouse=True)
def bridge_netfilter(node):
    need_bridge_netfilter(node)
    for program in ("iptables", "ip6tables", "arptables"):
        node.run("sysctl", "-q", "-w", f"net.bridge.bridge-nf-call-{program}=1")


def add_pods(node, *pods, **keys):
    chain = Chain(
        node, {"type": "humanz-bridge"},
        {"type": "humanz-ipam", "ranges": [[{"subnet": subnet}] for subnet in SUBNETS]},
        {"type": "humanz-route", "network": SUBNETS, **keys})
    results = [chain.add(pod) for pod in pods]
    for pod in pods:
        chain.check(pod)
    return results


def drop(node, backend):
    """Sets the node's forward policy to drop."""
    if backend == "nft":
        node.run("nft", "add table inet wall; add chain inet wall passing "
                        "{ type filter hook forward priority 0; policy drop; }")
        return
    for program in ("iptables", "ip6tables"):
        node.run(f"{program}-{backend}", "-P", "FORWARD", "DROP")


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_pods_of_a_node_reach_each_other_through_a_firewall_that_drops(node, backend):
    drop(node, backend)
    one, two = add_pods(node, "one", "two")
    for family in (0, 1):
        assert comes_to_reach(node, "one", address(two, family))
        assert comes_to_reach(node, "two", address(one, family))


def test_without_forward_the_firewall_drops_what_pods_of_a_node_send_each_other(node):
    drop(node, "nft")
    _, two = add_pods(node, "one", "two", forward=False)
    assert not comes_to_reach(node, "one", address(two))


def test_only_what_leaves_the_network_is_masqueraded_even_where_frames_are_seen(node):
    add_world(node)
    _, two = add_pods(node, "one", "two", ipMasq=True)
    serve_callers(node, "world")
    serve_callers(node, "two")
    assert seen_as(node, "one", WORLD) == NODE
    assert seen_as(node, "one", address(two)) == "10.77.0.2"
