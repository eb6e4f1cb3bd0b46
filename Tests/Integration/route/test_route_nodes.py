# SPDX-License-Identifier: Apache-2.0
"""humanz-route: pods on all nodes reach each other; CHECK names what breaks that, and the next ADD repairs it."""

import pytest

from lab.cluster import Cluster, by_families, static_peers, subnet, uplink
from lab.traffic import source_of_datagram


def complaint(member):
    """CHECK's message. STATUS must succeed: otherwise runtimes make no pod, and no ADD repairs the node."""
    route = member.chain.stages[-1]
    code, said = route.error_of("CHECK", member.pod, prevResult=route.results[member.pod])
    assert code in (0, 102)
    for keys in ({}, {"statusLimited": True}):
        assert route.error_of("STATUS", **keys) == (0, "")
    return said


@by_families
def test_the_pods_of_three_nodes_reach_each_other_by_their_own_addresses(families):
    with Cluster(families, static_peers) as cluster:
        cluster.add_pods()
        first, second, _ = cluster
        assert cluster.all_reach_all()
        for own, address in zip(first.addresses(), second.addresses()):
            assert source_of_datagram(
                first.node, first.pod, second.node, address, second.pod) == own
        for member in cluster:
            member.chain.check(member.pod)
            member.chain.status()


# Drift: CHECK names it, the next ADD repairs it

def delete_route(member, version):
    member.node.run("ip", f"-{version}", "route", "delete", subnet(2, version))
    return "node2"


def replace_next_hop(member, version):
    member.node.run(
        "ip", f"-{version}", "route", "replace", subnet(2, version),
        "via", uplink(3, version), "proto", "72")
    return "node2"


def delete_unreachable(member, version):
    member.node.run("ip", f"-{version}", "route", "flush", "type", "unreachable", "proto", "72")
    return "rest of network"


def take_uplink_down_and_up(member, version):
    # Keeps the link's IPv6 addresses while it is down.
    member.node.run("sysctl", "-qw", "net.ipv6.conf.all.keep_addr_on_down=1")
    member.node.run("ip", "link", "set", "uplink", "down")
    member.node.run("ip", "link", "set", "uplink", "up")
    return "node2"


def switch_forwarding_off(member, version):
    key = "net.ipv4.ip_forward" if version == "4" else "net.ipv6.conf.all.forwarding"
    member.node.run("sysctl", "-qw", f"{key}=0")
    return f"forwarding of IPv{version} is off"


def drop_in_iptables_nft(member, version):
    program = "iptables-nft" if version == "4" else "ip6tables-nft"
    member.node.run(program, "-P", "FORWARD", "DROP")
    return "FORWARD"


def drop_in_iptables_legacy(member, version):
    program = "iptables-legacy" if version == "4" else "ip6tables-legacy"
    member.node.run(program, "-P", "FORWARD", "DROP")
    return f"{program} chain FORWARD"


def drop_in_nftables(member, version):
    member.node.run(
        "nft", "add table inet wall; add chain inet wall passing "
        "{ type filter hook forward priority 0; policy drop; }")
    return "wall passing"


@pytest.mark.parametrize("version", ["4", "6"])
@pytest.mark.parametrize("drift", [
    delete_route, replace_next_hop, delete_unreachable, take_uplink_down_and_up,
    switch_forwarding_off, drop_in_iptables_nft, drop_in_iptables_legacy, drop_in_nftables])
def test_drift_is_named_by_check_and_healed_by_the_next_add(drift, version):
    with Cluster([version], static_peers, count=2) as cluster:
        cluster.add_pods()
        first, _ = cluster
        assert cluster.all_reach_all()
        name = drift(first, version)
        assert name in complaint(first)
        first.chain.add("healer")
        assert complaint(first) == ""
        assert cluster.all_reach_all()
