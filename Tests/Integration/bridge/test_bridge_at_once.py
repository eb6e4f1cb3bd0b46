# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: two ADDs of one attachment at once, and a DEL that deletes no other's connections."""

import ipaddress
import pathlib

import pytest

from lab.attachment import Network, address, link, port, reaches
from lab.plugin_process import end_at_once
from lab.traffic import PYTHON
from lab.waiting import eventually

V4 = "10.77.0.0/24"


@pytest.mark.parametrize("ipam", [None, "humanz-ipam", "host-local"])
@pytest.mark.parametrize("round", range(5))
def test_of_two_adds_of_an_attachment_at_once_one_has_everything_and_the_others_an_error(node, ipam, round):
    keys = {} if ipam is None else {"isDefaultGateway": True, "macspoofchk": True, "ipam": {
        "type": ipam, "ranges": [[{"subnet": V4}]]}}
    network = Network(node, **keys)
    node.add_pod("pod")
    waiting = [network.start("ADD", "pod") for _ in range(4)]
    ended = end_at_once(waiting, network.configuration)
    succeeded, = [end for end in ended if end.status == 0]
    for end in ended:
        assert end is succeeded or end.error["code"] in (101, 122), str(end)
    result = succeeded.json
    assert link(node, "eth0", pod="pod")["ifname"] == "eth0"
    assert [entry["ifname"] for entry in node.ip("link", "show", "master", "cni0")] == [port(result)]
    if ipam:
        assert node.leases() == {address(result)}
        assert reaches(node, "pod", "10.77.0.1")
    network.results["pod"] = result
    network.check("pod")
    network.delete("pod")
    assert node.leases() == set() and node.ip("link", "show", "type", "veth") == []


def test_an_add_waits_for_another_ones_end_no_longer_than_ten_seconds(node):
    node.add_pod("pod")
    network = Network(node)
    holder = node.start("flock", "/run/netns/pod", "sleep", "60")
    eventually(lambda: node.run("flock", "-n", "/run/netns/pod", "true", check=False).returncode)
    network.run("ADD", "pod").refused(11, "/run/netns/pod", "another ADD")
    # A DEL does not wait.
    network.run("DEL", "pod", under=["timeout", "5"]).succeeded()
    holder.kill()


# Whose connections a DEL deletes

_SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    for address in sys.argv[1:]:
        client.sendto(b"x", (address, 9999))
"""

STRANGER = "198.51.100.7"


def tracked(node, address):
    text = ipaddress.ip_address(address).exploded
    return sum(f"src={text} " in line for line in
               node.run("cat", "/proc/net/nf_conntrack").stdout.splitlines())


@pytest.mark.skipif(not pathlib.Path("/proc/net/nf_conntrack").exists(),
                    reason="the kernel does not list tracked connections")
@pytest.mark.parametrize("ipam", ["humanz-ipam", "host-local"])
@pytest.mark.parametrize("how", ["DEL", "DEL without prevResult", "GC"])
def test_connections_of_addresses_that_a_pod_claims_are_left_alone(node, ipam, how):
    """The pod gives itself an address of a host beyond the node, and lets the node believe that it has
    another pod's; both have connections."""
    network = Network(node, version="1.1.0", isDefaultGateway=True, ipMasq=True, ipam={
        "type": ipam, "ranges": [[{"subnet": V4}]]})
    if ipam == "host-local":
        network.configuration["cniVersion"] = "1.0.0"
    stays, result = network.add("stays"), network.add("pod")
    own, other = address(result), address(stays)
    node.run("ip", "link", "add", "far", "type", "veth", "peer", "name", "farther")
    for name in ("far", "farther"):
        node.run("ip", "link", "set", name, "up")
    node.run("ip", "route", "add", f"{STRANGER}/32", "dev", "far")
    node.run("ip", "neigh", "replace", STRANGER, "lladdr", "02:00:00:00:00:77", "dev", "far")
    node.run("ip", "address", "add", f"{STRANGER}/32", "dev", "eth0", pod="pod")
    mac = result["interfaces"][-1]["mac"]
    node.run(PYTHON, "-c", _SEND, own, other, STRANGER)
    for claimed in (other, STRANGER):
        node.run("ip", "neigh", "replace", claimed, "lladdr", mac, "dev", "cni0", "nud", "stale")
    assert reaches(node, None, own)
    assert tracked(node, other) and tracked(node, STRANGER) and tracked(node, own)
    match how:
        case "DEL": network.delete("pod")
        case "DEL without prevResult": network.call("DEL", "pod")
        case "GC":
            network.configuration["cniVersion"] = "1.1.0"
            if ipam == "host-local":  # Debian's does not know GC.
                network.configuration["ipam"]["type"] = "host-local"
            network.run("GC", **{"cni.dev/valid-attachments": [{"containerID": "stays", "ifname": "eth0"}]})
    assert [entry["ifname"] for entry in node.ip("link", "show", "master", "cni0")] == [port(stays)]
    assert not tracked(node, own)
    assert tracked(node, other) and tracked(node, STRANGER)


def test_a_port_that_was_renamed_goes_with_its_pod(node):
    network = Network(node, isGateway=True, ipam={"type": "humanz-ipam", "subnet": V4})
    result = network.add("pod")
    name = port(result)
    node.run("ip", "link", "set", name, "down")
    node.run("ip", "link", "set", name, "name", "renamed")
    network.delete("pod")
    assert node.ip("link", "show", "type", "veth") == [] and node.leases() == set()
