# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: the gateway of a VLAN's pods is on the link `<bridge>.<vlan>`."""

import pytest

from lab.attachment import Network, address, addresses, comes_to_reach, link, reaches, subnets
from lab.frames import Listener, send_frame
from lab.kernel import need_vlans
from lab.traffic import NODE, WORLD, add_world, seen_as, serve_callers

SUBNETS = {100: ("10.100.0.0/24", "fd00:100::/64"), 200: ("10.200.0.0/24", "fd00:200::/64")}
GATEWAYS = {vlan: (f"10.{vlan}.0.1", f"fd00:{vlan}::1") for vlan in SUBNETS}


@pytest.fixture(autouse=True)
def vlans(node):
    need_vlans(node)


def in_vlan(node, vlan, plugin="humanz-bridge", version="1.0.0", **keys):
    """A network whose pods are in a VLAN, with a gateway."""
    return Network(node, plugin, version, f"net{vlan}", vlan=vlan, isDefaultGateway=True,
                   ipam=subnets(*SUBNETS[vlan]), **keys)


def reaches_its_gateway(node, pod, vlan):
    return [comes_to_reach(node, pod, gateway) for gateway in GATEWAYS[vlan]] == [True, True]


def test_pods_reach_their_gateway_which_is_in_their_vlan_alone(node):
    network = in_vlan(node, 100)
    network.add("pod")
    network.check("pod")
    assert reaches_its_gateway(node, "pod", 100)
    assert addresses(node, "cni0.100") == ["10.100.0.1/24", "fd00:100::1/64"]
    assert addresses(node, "cni0") == []
    # Hosts outside the VLAN cannot reach it through the bridge.
    Network(node, name="plain", ipam=subnets("10.100.0.0/24")).add("plain")
    node.run("ip", "address", "flush", "dev", "eth0", pod="plain")
    node.run("ip", "address", "add", "10.100.0.99/24", "dev", "eth0", pod="plain")
    assert not reaches(node, "plain", "10.100.0.1")


@pytest.mark.parametrize("first", ["plain", "pod"])
def test_the_gateway_of_the_bridges_own_vlan_is_on_the_bridge(node, first):
    ipam = {"type": "humanz-ipam", "subnet": "10.1.0.0/24"}
    plain = Network(node, name="plain", isDefaultGateway=True, ipam=ipam | {"rangeEnd": "10.1.0.99"})
    network = Network(
        node, name="net1", vlan=1, isDefaultGateway=True, ipam=ipam | {"rangeStart": "10.1.0.100"})
    if first == "plain":
        plain.add("plain")
    network.add("pod")
    network.check("pod")
    if first == "pod":
        plain.add("plain")
    for pod in ("pod", "plain"):
        assert comes_to_reach(node, pod, "10.1.0.1")
    assert addresses(node, "cni0") == ["10.1.0.1/24"]
    assert not node.run("ip", "link", "show", "cni0.1", check=False).stdout
    network.delete("pod")
    assert comes_to_reach(node, "plain", "10.1.0.1")


def test_pods_of_two_vlans_reach_each_other_through_the_node_alone(node):
    results = {vlan: in_vlan(node, vlan).add(f"pod{vlan}") for vlan in SUBNETS}
    for vlan, other in [(100, 200), (200, 100)]:
        assert reaches_its_gateway(node, f"pod{vlan}", vlan)
        for family in (0, 1):
            there = address(results[other], family)
            assert comes_to_reach(node, f"pod{vlan}", there)
            answer = node.run("ping", "-c", "1", there, pod=f"pod{vlan}").stdout
            assert "ttl=63" in answer
    with Listener(node, "eth0", "pod200") as listener:
        send_frame(node, "pod100")
        assert not listener.has_frames()


def test_pods_of_a_vlan_leave_the_node_with_its_address(node):
    add_world(node)
    serve_callers(node, "world")
    in_vlan(node, 100, ipMasq=True).add("pod")
    assert seen_as(node, "pod", WORLD) == NODE


def test_a_link_in_a_trunks_vlan_reaches_the_vlans_gateway(node):
    in_vlan(node, 100).add("pod")
    Network(node, name="trunk", vlanTrunk=[{"id": 100}]).add("trunk")
    node.run("ip", "link", "add", "link", "eth0", "name", "eth0.100", "type", "vlan", "id", "100",
             pod="trunk")
    node.run("ip", "address", "add", "10.100.0.99/24", "dev", "eth0.100", pod="trunk")
    node.run("ip", "link", "set", "eth0.100", "up", pod="trunk")
    assert comes_to_reach(node, "trunk", "10.100.0.1")


def test_the_result_lists_the_vlans_gateway(node):
    result = in_vlan(node, 100).add("pod")
    listed = {entry["name"]: entry for entry in result["interfaces"]}
    assert "cni0.100" in listed
    assert listed["cni0.100"]["mac"] == link(node, "cni0.100")["address"]
    assert "sandbox" not in listed["cni0.100"]


@pytest.mark.parametrize("first, second", [
    ("bridge", "humanz-bridge"), ("humanz-bridge", "bridge")])
def test_a_vlans_gateway_that_the_other_plugin_made_is_joined(node, first, second):
    networks = [in_vlan(node, 100, plugin) for plugin in (first, second)]
    one, two = networks[0].add("one"), networks[1].add("two")
    for pod in ("one", "two"):
        assert reaches_its_gateway(node, pod, 100)
    assert addresses(node, "cni0.100") == ["10.100.0.1/24", "fd00:100::1/64"]
    assert comes_to_reach(node, "one", address(two))
    networks[0].delete("one")
    assert reaches_its_gateway(node, "two", 100)
    assert address(one) not in node.leases()


def test_check_names_a_gateway_that_is_gone_and_the_next_add_makes_it_again(node):
    network = in_vlan(node, 100)
    result = network.add("pod")
    node.run("ip", "address", "delete", "10.100.0.1/24", "dev", "cni0.100")
    code, words = network.error_of("CHECK", "pod", prevResult=result)
    assert code == 102 and "10.100.0.1/24" in words and "cni0.100" in words
    node.run("ip", "link", "delete", "cni0.100")
    code, words = network.error_of("CHECK", "pod", prevResult=result)
    assert code == 102 and "cni0.100" in words
    network.add("next")
    assert reaches_its_gateway(node, "pod", 100)
    network.check("pod")


def test_the_node_takes_no_router_advertisement_from_a_vlans_pods(node):
    in_vlan(node, 100).add("pod")
    assert node.run("sysctl", "-n", "net/ipv6/conf/cni0.100/accept_ra").stdout == "0\n"


def test_a_link_of_another_kind_in_the_gateways_place_is_an_error(node):
    node.run("ip", "link", "add", "cni0.100", "type", "bridge")
    before = node.traces()
    network = in_vlan(node, 100)
    code, words = network.error_of("ADD", "pod", namespace=node.add_pod("pod"))
    assert code == 101 and "cni0.100" in words
    assert node.traces() == before
