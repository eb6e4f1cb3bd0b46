# SPDX-License-Identifier: Apache-2.0
"""The chain with the reference meta plugins after it and between its stages."""

import json

import pytest

from lab.attachment import address, link, reaches
from lab.conflist import Conflist
from lab.mixed_plugins import (
    BANDWIDTH, BRIDGE, BURST, CHAIN, FIREWALL, HOST_PORT, IPAM, LIMIT, PORTMAP, RATE,
    REFERENCE_BRIDGE, ROUTE, SBR, TUNING, add_world_for, offers)
from lab.traffic import (
    NODE, WORLD, fetch, seconds_to_receive, seconds_to_send, serve, serve_bytes)


def make_network(node, *plugins):
    add_world_for(node, plugins[0])
    return Conflist(node, *plugins)


def check(network, pod, *options):
    """CHECK of the whole chain without two of Debian's plugins: portmap checks for IPv6 rules even without
    IPv6, and bridge for an IPAM plugin even without one."""
    network.without("portmap", "bridge").check(pod, *options)


def rules(node):
    """The netfilter rules that contain a pod's address."""
    ruleset = node.run("nft", "list", "ruleset").stdout
    return [line.strip() for line in ruleset.splitlines() if "10.77.0." in line]


def test_a_host_port_leads_to_a_pod_of_the_chain(node):
    network = make_network(node, *CHAIN, PORTMAP)
    network.add("pod", *offers(portMappings=[HOST_PORT]))
    serve(node, "pod", "the page of the pod")
    for pod, url in [("world", f"http://{NODE}:8080/"), (None, f"http://{NODE}:8080/"),
                     (None, "http://127.0.0.1:8080/")]:
        assert fetch(node, url, pod=pod) == "the page of the pod"
    check(network, "pod", *offers(portMappings=[HOST_PORT]))
    network.delete("pod", *offers(portMappings=[HOST_PORT]))
    assert fetch(node, f"http://{NODE}:8080/", pod="world") is None
    assert rules(node) == []


def test_the_firewall_plugin_opens_a_closed_node_for_a_pod_of_the_chain(node):
    network = make_network(node, *CHAIN, FIREWALL)
    node.run("iptables", "-P", "FORWARD", "DROP")
    network.add("pod")
    network.without("firewall").add("closed")
    assert reaches(node, "pod", WORLD)
    assert not reaches(node, "closed", WORLD)
    check(network, "pod")
    network.delete("pod")
    assert rules(node) == []


def test_the_bandwidth_of_a_pod_of_the_chain_is_held(node):
    network = make_network(node, *CHAIN, BANDWIDTH)
    limited = address(network.add("limited", *offers(bandwidth=LIMIT)))
    free = address(network.add("free"))
    for pod in ("limited", "free"):
        serve_bytes(node, pod)
    count = 3_000_000
    least = (count * 8 - BURST) / RATE
    for seconds in (seconds_to_send, seconds_to_receive):
        assert seconds(node, limited, count) > 0.95 * least
        # The machine itself is faster: the plugin limits the pod.
        assert min(seconds(node, free, count) for _ in range(5)) < least / 2
    check(network, "limited", *offers(bandwidth=LIMIT))
    network.delete("limited", *offers(bandwidth=LIMIT))
    left = [entry["ifname"] for entry in node.ip("link")]
    assert not [name for name in left if name.startswith("bwp")]


def test_check_passes_with_what_tuning_changed_of_a_pod_of_the_chain(node):
    network = make_network(node, *CHAIN, TUNING)
    result = network.add("pod")
    assert link(node, "eth0", "pod")["address"] == "02:00:00:00:00:77"
    assert link(node, "eth0", "pod")["mtu"] == 1400
    assert node.run("sysctl", "-n", "net.ipv4.conf.eth0.arp_filter", pod="pod").stdout == "1\n"
    assert reaches(node, "world", address(result))
    check(network, "pod")
    network.delete("pod")
    assert "10.77.0." not in json.dumps(node.traces()["neighbours"])


def test_source_based_routing_follows_the_chain(node):
    """A pod with two interfaces answers through the one that was asked."""
    network = make_network(node, *CHAIN, SBR)
    other = Conflist(node, {**BRIDGE, "bridge": "cni1"}, {**IPAM, "subnet": "10.76.0.0/24"},
                     ROUTE, SBR, name="other")
    node.run("ip", "route", "add", "10.76.0.0/24", "via", NODE, pod="world")
    addresses = [address(network.add("pod")), address(other.add("pod", "--ifname", "net1"))]
    # With strict reverse path filtering the node drops an answer through the other interface.
    for bridge in ("cni0", "cni1"):
        node.run("sysctl", "-w", f"net.ipv4.conf.{bridge}.rp_filter=1")
    for one in addresses:
        assert reaches(node, "world", one)
    check(network, "pod")
    check(other, "pod", "--ifname", "net1")
    other.delete("pod", "--ifname", "net1")
    network.delete("pod")
    assert node.leases() == set()


def test_check_after_source_based_routing_still_sees_that_a_route_is_gone(node):
    network = make_network(node, *CHAIN, SBR)
    network.add("pod")
    check(network, "pod")
    node.run("ip", "route", "flush", "table", "100", pod="pod")
    with pytest.raises(AssertionError, match="0.0.0.0/0 is missing"):
        check(network, "pod")


@pytest.mark.parametrize("plugins", [
    pytest.param([BRIDGE, TUNING, IPAM, FIREWALL, ROUTE, PORTMAP, BANDWIDTH], id="ours"),
    pytest.param([REFERENCE_BRIDGE, TUNING, IPAM, BANDWIDTH, ROUTE, FIREWALL, PORTMAP],
                 id="the reference bridge's"),
    pytest.param([BRIDGE, BANDWIDTH, IPAM, TUNING, ROUTE, SBR], id="ours, with sbr"),
])
def test_the_stages_work_between_the_reference_plugins(node, plugins):
    options = offers(portMappings=[HOST_PORT], bandwidth=LIMIT)
    network = make_network(node, *plugins)
    result = network.add("pod", *options)
    serve(node, "pod", "the page of the pod")
    port = ":8080" if PORTMAP in plugins else ""
    host = NODE if PORTMAP in plugins else address(result)
    assert fetch(node, f"http://{host}{port}/", pod="world") == "the page of the pod"
    assert link(node, "eth0", "pod")["address"] == TUNING["mac"]
    assert any(entry["mac"] == TUNING["mac"] for entry in result["interfaces"])
    assert "tbf" in node.run("tc", "qdisc").stdout
    check(network, "pod", *options)
    network.delete("pod", *options)
    assert node.leases() == set()
    assert rules(node) == []
    assert [entry["ifname"] for entry in node.ip("link") if entry.get("master")] == []
