# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge beside the reference bridge: the results for the same configuration, and the differences."""

import re

import pytest

from lab.attachment import Network, Refused, address, addresses, reaches, subnets
from lab.conflist import Conflist
from lab.isolated_node import Node
from lab.traffic import WORLD, add_world

# The versions that Debian's reference plugin supports: only these can be compared.
VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"]

CONFIGURATIONS = {
    "link only": {"ipam": {}},
    "bridge alone": {"ipam": subnets("10.77.0.0/24")},
    "gateway": {"isGateway": True, "ipam": subnets("10.77.0.0/24"), "mtu": 1400,
                "bridge": "br-test", "hairpinMode": True},
    "default gateway": {"isDefaultGateway": True, "ipMasq": True, "forceAddress": True,
                        "ipam": subnets("10.77.0.0/24", "fd77::/64")},
    "routes": {"isGateway": True, "ipam": {
        **subnets("10.77.0.0/24", "fd77::/64"),
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "198.51.100.0/24", "gw": "10.77.0.9"},
                   {"dst": "2001:db8::/32"}]}},
    "static": {"isGateway": True, "ipam": {
        "type": "static", "addresses": [{"address": "10.77.0.9/24"}],
        "dns": {"nameservers": ["192.0.2.53"], "search": ["example.net"]}}},
    "dns": {"ipam": subnets("10.77.0.0/24"), "dns": {"nameservers": ["192.0.2.53"]}},
    "mac": {"args": {"cni": {"mac": "02:00:00:00:00:09"}}, "ipam": subnets("10.77.0.0/24")},
}


# The reference plugin refuses these, and leaves an interface behind.
REFUSED = {
    ("link only", version): {"code": 999, "msg": "cannot convert: no valid IP addresses"}
    for version in ["0.1.0", "0.2.0"]
}


def comparable(result):
    """The result without the values that each plugin chooses: MAC addresses and the name of the node's
    end of the pair. A MAC address that was asked for stays."""
    for entry in result.get("interfaces", []):
        assert re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", entry["mac"])
        if entry["mac"] != "02:00:00:00:00:09":
            entry["mac"] = "a hardware address"
        if entry["name"].startswith("veth"):
            assert re.fullmatch("veth[0-9a-f]{8}([0-9a-f]{3})?", entry["name"])
            entry["name"] = "the node's end"
    return result


@pytest.fixture(scope="module")
def nodes():
    with Node("theirs") as theirs, Node("ours") as ours:
        yield {"bridge": theirs, "humanz-bridge": ours}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keys", CONFIGURATIONS)
def test_result_and_addresses_are_the_reference_plugins(nodes, keys, version):
    theirs, ours = [
        outcome(Network(node, plugin, version=version, **CONFIGURATIONS[keys]))
        for plugin, node in nodes.items()]
    if (keys, version) in REFUSED:
        assert theirs == REFUSED[keys, version]
        assert "code" not in ours
        return
    if keys == "static":
        # Debian's 1.1.1 drops the delegate's DNS; later releases pass it on, and so do we.
        assert theirs["dns"] == {}
        theirs["dns"] = CONFIGURATIONS[keys]["ipam"]["dns"]
    assert ours == theirs


def outcome(network):
    """The result of an ADD and the kernel's state after it, or the error; then removes the attachment."""
    node, bridge = network.node, network.configuration.get("bridge", "cni0")
    try:
        result = comparable(network.add("pod"))
        result["kernel"] = {
            "pod": addresses(node, "eth0", "pod"), "bridge": addresses(node, bridge),
            "routes": sorted(
                (route["dst"], route.get("gateway"), route.get("prefsrc"))
                for family in ("-4", "-6") for route in node.ip(family, "route", pod="pod")
                if not route["dst"].startswith("fe80")),
            "forwarding": node.run("sysctl", "-n", "net.ipv4.ip_forward").stdout,
        }
        network.delete("pod")
        return result
    except Refused as refused:
        return refused.error
    finally:
        node.remove_pod("pod")
        node.run("ip", "link", "delete", bridge)
        node.run("rm", "-rf", "/var/lib/cni/networks")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")


def test_a_default_route_of_ipam_and_of_the_bridge_are_one(node):
    """The reference plugin adds both, and the kernel refuses the second."""
    keys = {"isDefaultGateway": True,
            "ipam": {**subnets("10.77.0.0/24"), "routes": [{"dst": "0.0.0.0/0"}]}}
    with pytest.raises(Refused) as refused:
        Network(node, "bridge", **keys).add("theirs")
    assert "file exists" in refused.value.error["msg"]
    Network(node, name="ours", bridge="cni1", **keys).add("ours")
    assert reaches(node, "ours", "10.77.0.1")


# Conflists that other projects publish; only the type is changed

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}

CONFLISTS = {
    "podman": ("0.4.0", [
        {"type": "bridge", "bridge": "cni-podman0", "isGateway": True, "ipMasq": True,
         "hairpinMode": True,
         "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
                  "ranges": [[{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}]]}},
        PORTMAP, {"type": "firewall"}, {"type": "tuning"}]),
    "containerd": ("1.0.0", [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True,
         "promiscMode": True,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet":
                  "2001:db8:4860::/64"}]], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
        PORTMAP]),
    "CRI-O": ("0.3.1", [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True,
         "hairpinMode": True,
         "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
                  "ranges": [[{"subnet": "10.85.0.0/16"}]]}}]),
    "kubeadm with flannel's delegate": ("0.3.1", [
        {"type": "bridge", "hairpinMode": True, "isDefaultGateway": True, "ipMasq": False,
         "isGateway": True, "mtu": 1450,
         "ipam": {"type": "host-local", "subnet": "10.244.1.0/24", "dataDir": "/var/lib/cni/flannel",
                  "routes": [{"dst": "10.244.0.0/16"}]}},
        PORTMAP]),
    "kind": ("0.3.1", [
        {"type": "bridge", "bridge": "kind0", "isDefaultGateway": True, "forceAddress": False,
         "ipMasq": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"}}, PORTMAP]),
    "minikube": ("0.4.0", [
        {"type": "bridge", "bridge": "bridge", "addIf": "true", "isDefaultGateway": True,
         "forceAddress": False, "ipMasq": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "subnet": "10.244.0.0/16"}}, PORTMAP]),
}


@pytest.mark.parametrize("name", CONFLISTS)
def test_a_conflist_for_the_reference_bridge_works_after_changing_its_type(node, name):
    add_world(node)
    version, plugins = CONFLISTS[name]
    before = {**node.traces(), "nft": None, "routes": None}
    bridge = {**plugins[0], "type": "humanz-bridge"}
    conflist = Conflist(node, bridge, *plugins[1:], cniVersion=version, name=name.split()[0])
    first, second = (conflist.add(pod) for pod in ("first", "second"))
    gateway = first["ips"][0]["gateway"]
    assert reaches(node, "first", gateway)
    assert reaches(node, "first", address(second))
    assert reaches(node, None, address(second))
    if bridge["ipMasq"]:
        assert reaches(node, "first", WORLD)
    if version != "0.3.1":
        conflist.check("first")
    for pod in ["first", "second"]:
        conflist.delete(pod)
    node.run("ip", "link", "delete", bridge.get("bridge", "cni0"))
    after = node.traces()
    assert "humanz" not in after["nft"]
    after["neighbours"] = [entry for entry in after["neighbours"] if entry != WORLD]
    assert {**after, "nft": None, "routes": None} == before
