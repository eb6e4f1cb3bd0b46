# SPDX-License-Identifier: Apache-2.0
"""The three stages where humanz-bridge puts the pods into a VLAN."""

import pytest

from lab.attachment import Chain, address, addresses, comes_to_reach
from lab.kernel import need_vlans


@pytest.fixture(autouse=True)
def vlans(node):
    need_vlans(node)


def chain(node, vlan, **keys):
    subnet, subnet6 = f"10.{vlan}.0.0/24", f"fd00:{vlan}::/64"
    return Chain(
        node, {"type": "humanz-bridge", "vlan": vlan, **keys},
        {"type": "humanz-ipam", "ranges": [[{"subnet": subnet}], [{"subnet": subnet6}]]},
        {"type": "humanz-route", "network": [subnet, subnet6]}, name=f"net{vlan}")


def test_the_gateway_is_on_the_vlans_link_and_the_pods_reach_it(node):
    network = chain(node, 100)
    network.add("pod")
    assert addresses(node, "cni0") == []
    assert addresses(node, "cni0.100") == ["10.100.0.1/24", "fd00:100::1/64"]
    for gateway in ("10.100.0.1", "fd00:100::1"):
        assert comes_to_reach(node, "pod", gateway)
    network.check("pod")


def test_check_finds_a_gateway_that_the_vlans_pods_cannot_reach(node):
    network = chain(node, 100)
    network.add("pod")
    network.check("pod")
    for link in ("cni0", "cni0.100"):
        node.run("ip", "address", "flush", "dev", link, "scope", "global", check=False)
    node.run("ip", "address", "add", "10.100.0.1/24", "dev", "cni0")
    node.run("ip", "address", "add", "fd00:100::1/64", "dev", "cni0", "nodad")
    code, words = network.stages[1].error_of("CHECK", "pod", prevResult=network.results["pod"])
    assert code == 102 and "10.100.0.1/24" in words and "cni0.100" in words


def test_pods_of_two_vlans_reach_each_other_through_the_node(node):
    results = {vlan: chain(node, vlan).add(f"pod{vlan}") for vlan in (100, 200)}
    for vlan, other in [(100, 200), (200, 100)]:
        for family in (0, 1):
            assert comes_to_reach(node, f"pod{vlan}", address(results[other], family))


def test_one_bridge_serves_pods_in_a_vlan_and_pods_in_none(node):
    chain(node, 100).add("pod")
    plain = Chain(
        node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": "10.77.0.0/24"},
        {"type": "humanz-route", "network": "10.77.0.0/24"}, name="plain")
    plain.add("plain")
    assert comes_to_reach(node, "plain", "10.77.0.1")
    assert comes_to_reach(node, "pod", "10.100.0.1")
