# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: an address that another pod had before, and attachments whose namespace is gone."""

import pytest

from bridge.fake_ipam import answer, fake_ipam
from lab.attachment import Network, address, comes_to_reach, port, subnets
from lab.conflist import Conflist
from lab.isolated_node import Node, Segment
from lab.traffic import source_of_connection
from lab.waiting import eventually

V4, V6 = "10.77.0.9/24", "fd77::9/64"


def result_of(prefix):
    return '{"cniVersion": "1.0.0", "ips": [{"address": "%s"}]}' % prefix


def neighbour(node, address, pod=None):
    """The MAC address for an IP address in a host's neighbour table."""
    entries = [entry.get("lladdr") for entry in node.ip("neigh", "show", address, pod=pod)]
    return entries[0] if entries else None


def learn(node, address, mac, link, pod=None):
    """Sets a neighbour entry of a host."""
    node.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", link, "nud", "reachable",
             pod=pod)


STALE = "02:00:00:00:00:99"


@pytest.mark.parametrize("prefix", [V4, V6])
@pytest.mark.parametrize("keys", [{}, {"macspoofchk": True}, {"hairpinMode": True}])
def test_pods_node_and_other_hosts_learn_the_new_owner_of_an_address_at_once(node, prefix, keys):
    """The node's uplink is a port of the bridge; a switch connects it to the far host."""
    own = prefix.split("/")[0]
    flag = ["nodad"] if ":" in own else []
    with Segment() as segment, Node("far") as far:
        segment.join(node, "uplink")
        segment.join(far, "uplink")
        network = Network(node, **keys, ipam=fake_ipam(node, result_of(prefix)))
        node.run("ip", "link", "add", "cni0", "type", "bridge")
        node.run("ip", "link", "set", "uplink", "master", "cni0")
        answer(node, result_of(prefix.replace("9/", "8/")))
        network.add("peer")
        places = [(node, "cni0", None, "7/"), (far, "uplink", None, "6/"), (node, "eth0", "peer", None)]
        for host, link, pod, last in places:
            if last:
                host.run("ip", "address", "add", prefix.replace("9/", last), "dev", link, *flag)
            learn(host, own, STALE, link, pod)
        answer(node, result_of(prefix))
        mac = network.add("pod")["interfaces"][-1]["mac"]
        for host, link, pod, _ in places:
            eventually(lambda: neighbour(host, own, pod) == mac, seconds=1,
                       what=f"{host.name} {link} {pod}")
        # The switch has learned the port too, so it does not flood.
        fdb = segment.node.run("bridge", "fdb", "show").stdout
        assert any(mac in line and "to-node" in line for line in fdb.splitlines())
        assert comes_to_reach(far, None, own) and comes_to_reach(node, "peer", own)


@pytest.mark.parametrize("subnet, own", [("10.77.0.0/24", "10.77.0.9"), ("fd77::/64", "fd77::9")])
def test_in_a_chain_the_new_owner_of_an_address_is_known_at_once_too(node, subnet, own):
    network = Conflist(node, {"type": "humanz-bridge"}, {
        "type": "humanz-ipam", "subnet": subnet, "rangeStart": own, "rangeEnd": own})
    Network(node, name="other").add("stays")  # without a port the bridge goes down and its neighbours are lost
    network.add("first")
    network.delete("first")
    learn(node, own, STALE, "cni0")
    mac = network.add("second")["interfaces"][-1]["mac"]
    eventually(lambda: neighbour(node, own) == mac, seconds=1)


@pytest.mark.parametrize("networks", ["10.77.0.0/24", "fd77::/64"])
@pytest.mark.parametrize("gone", ["nothing", "namespace", "prevResult", "both"])
def test_del_forgets_the_neighbour_and_the_connections_of_the_address(node, networks, gone):
    network = Network(node, isDefaultGateway=True, ipMasq=True, macspoofchk=True,
                      ipam=subnets(networks))
    stays, result = network.add("stays"), network.add("pod")
    own = address(result)
    process = node.start("sleep", "infinity", pod="pod")
    for pod in [result, stays]:
        assert comes_to_reach(node, None, address(pod))
    source_of_connection(node, None, node, own, "pod")
    assert neighbour(node, own) == result["interfaces"][-1]["mac"]
    assert connections(node, own)
    if gone in ("namespace", "both"):
        process.kill()
        process.wait()
        node.remove_pod("pod")
    if gone in ("prevResult", "both"):
        network.call("DEL", "pod", namespace="" if gone == "both" else None)
    else:
        network.delete("pod")
    assert neighbour(node, own) is None
    assert neighbour(node, address(stays))
    assert not connections(node, own)
    assert node.leases() == {address(stays)}
    assert [entry["ifname"] for entry in node.ip("link", "show", "type", "veth")] == [port(stays)]
    assert port(result) not in node.run("nft", "list", "ruleset").stdout


def connections(node, address):
    """The tracked connections of an address."""
    import ipaddress
    full = ipaddress.ip_address(address).exploded
    return [line for line in node.run("cat", "/proc/net/nf_conntrack").stdout.splitlines()
            if f"={address} " in line or f"={full} " in line]


@pytest.mark.parametrize("networks", ["10.77.0.0/24", "fd77::/64"])
def test_gc_with_an_empty_list_leaves_nothing_of_pods_whose_namespaces_are_gone(node, networks):
    network = Network(node, version="1.1.0", isDefaultGateway=True, ipMasq=True, macspoofchk=True,
                      ipam={"type": "humanz-ipam", "ranges": [[{"subnet": networks}]]})
    node.run("ip", "link", "add", "cni0", "address", "02:00:00:00:00:01", "type", "bridge")
    before = node.traces()
    for pod in ["first", "second"]:
        assert comes_to_reach(node, None, address(network.add(pod)))
        process = node.start("sleep", "infinity", pod=pod)
        process.kill()
        process.wait()
        node.remove_pod(pod)
    network.gc()
    after = node.traces()
    # The bridge stays, with its gateway's address, as with the reference plugin.
    assert {**after, "routes": None} == {**before, "routes": None}
    assert node.leases() == set()
