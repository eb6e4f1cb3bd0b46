# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge's VLANs tested with traffic, on a kernel with VLAN filtering."""

import json

import pytest

from lab.attachment import Chain, Network, addresses, link, reaches, subnets
from lab.kernel import need_vlans

V4 = "10.77.0.0/24"


@pytest.fixture(autouse=True)
def filtering(node):
    need_vlans(node)


def vlans(node, name):
    """The VLANs of a port with their flags."""
    shown = node.run("bridge", "-json", "vlan", "show", "dev", name).stdout
    return {entry["vlan"]: sorted(entry.get("flags", [])) for entry in json.loads(shown)[0]["vlans"]}


def node_end(result):
    return next(entry["name"] for entry in result["interfaces"] if entry["name"].startswith("veth"))


CHAINS = {
    "humanz-bridge": lambda node, vlan: Network(
        node, vlan=vlan, isGateway=True, ipam=subnets(V4)),
    "the chain": lambda node, vlan: Chain(
        node, {"type": "humanz-bridge", "vlan": vlan}, {"type": "humanz-ipam", "subnet": V4},
        {"type": "humanz-route", "network": V4}, version="1.0.0"),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_the_gateway_of_a_vlan_is_on_the_bridges_link_in_it(node, kind):
    network = CHAINS[kind](node, 100)
    first, second = network.add("first"), network.add("second")
    assert addresses(node, "cni0") == []
    assert addresses(node, "cni0.100") == ["10.77.0.1/24"]
    listed = [entry for entry in first["interfaces"] if entry["name"] == "cni0.100"]
    assert [entry["mac"] for entry in listed] == [link(node, "cni0.100")["address"]]
    assert node.run("sysctl", "-n", "net.ipv6.conf.cni0/100.accept_ra").stdout.strip() == "0"
    for pod in ("first", "second"):
        assert reaches(node, pod, "10.77.0.1")
        network.check(pod)
    assert reaches(node, "first", second["ips"][0]["address"].split("/")[0])
    node.run("ip", "address", "delete", "10.77.0.1/24", "dev", "cni0.100")
    with pytest.raises(AssertionError, match="cni0.100"):
        network.check("first")


def test_the_gateways_link_that_the_reference_makes_is_used(node):
    node.run("ip", "link", "add", "cni0", "type", "bridge", "vlan_filtering", "1")
    node.run("ip", "link", "set", "cni0", "up")
    node.run("ip", "link", "add", "cni0.100", "type", "veth", "peer", "name", "inside")
    for name in ("cni0.100", "inside"):
        node.run("ip", "link", "set", name, "up")
    node.run("ip", "link", "set", "inside", "master", "cni0")
    node.run("bridge", "vlan", "add", "dev", "inside", "vid", "100", "pvid", "untagged")
    CHAINS["humanz-bridge"](node, 100).add("pod")
    assert reaches(node, "pod", "10.77.0.1")


@pytest.mark.parametrize("keys, expected", [
    ({"vlan": 100}, {100: ["Egress Untagged", "PVID"]}),
    ({"vlan": 100, "preserveDefaultVlan": True},
     {1: ["Egress Untagged"], 100: ["Egress Untagged", "PVID"]}),
    ({"vlanTrunk": [{"id": 7}]}, {7: []}),
    ({"vlanTrunk": [{"id": 7}], "preserveDefaultVlan": True},
     {1: ["Egress Untagged", "PVID"], 7: []}),
])
def test_a_port_is_in_the_vlans_that_the_keys_ask_for(node, keys, expected):
    assert vlans(node, node_end(Network(node, **keys).add("pod"))) == expected
