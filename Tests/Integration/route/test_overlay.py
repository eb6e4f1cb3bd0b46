# SPDX-License-Identifier: Apache-2.0
"""humanz-route's overlay: pods reach each other through a router that knows nothing of pods."""

import functools
import ipaddress
import re
import struct
import subprocess
import time

import pytest

from lab.attachment import Chain, Refused, reaches
from lab.cluster import NETWORKS, Cluster, by_families, gateway, subnet, uplink
from lab.isolated_node import Node
from lab.system_calls import traced
from lab.traffic import PYTHON, source_of_datagram
from lab.uplinked import Uplinked, check, limits, status

# Of three nodes the third is alone at the other end of the router.
BEHIND = (3,)
PORT = 4790
ID = 72


def peers(member, under=None, count=3):
    """The other nodes; `under` is the family of their addresses, by default that of their pods."""
    return [{"name": f"node{number}", "subnet": subnet(number, family),
             "via": uplink(number, under or family, int(number in BEHIND))}
            for family in member.families for number in range(1, count + 1)
            if number != member.number]


def chain(member, under=None, **keys):
    return Chain(
        member.node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "ranges": member.ranges},
        {"type": "humanz-route", "network": member.networks, "peers": peers(member, under),
         "overlay": "off-link", **keys})


class Routed(Cluster):
    """Nodes on two segments, each with the router as its way out."""

    def __init__(self, families, chain=chain, underlay=None):
        super().__init__(underlay or families, chain, count=3, behind=BEHIND)
        for member in self:
            member.families = families
            for family in underlay or families:
                member.node.run("ip", f"-{family}", "route", "add", "default", "via",
                                gateway(member.segment, family))
            member.chain = chain(member)
        self.families = families


class Told:
    """What a command that goes on prints during a `with`, once it has said that it listens."""

    def __init__(self, node, *words, begins=None):
        self.node, self.words, self.begins = node, words, begins

    def __enter__(self):
        # A signal to nsenter does not get to what it has started: the end of stdin does.
        self.process = self.node.start(
            "bash", "-c", '"$@" & read; kill $!; wait $!', "told", *self.words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while self.begins and self.begins not in (line := self.process.stdout.readline()):
            assert line, f"{self.words} ended"
        return self

    def __exit__(self, *_):
        time.sleep(0.3)
        self.lines = self.process.communicate()[0].splitlines()

    def having(self, *words):
        return [line for line in self.lines if all(word in line for word in words)]


def heard(node, *words, link="uplink"):
    """What tcpdump sees on a link."""
    return Told(node, "tcpdump", "-l", "-n", "-i", link, *words, begins="listening")


@by_families
def test_every_pod_reaches_every_pod_through_a_router_that_knows_none(families):
    with Routed(families) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        assert cluster.all_reach_all()
        for own, address in zip(first.addresses(), third.addresses()):
            assert source_of_datagram(
                first.node, first.pod, third.node, address, third.pod) == own
            # The agents of a node reach the pods of all nodes.
            assert reaches(first.node, None, address, wait=3)
        for member in cluster:
            member.chain.check(member.pod)
            member.chain.status()
        for family in families:
            assert NETWORKS[family].partition("/")[0][:6] not in cluster.router.run(
                "ip", f"-{family}", "route").stdout


@by_families
def test_packets_on_a_segment_are_plain_and_those_across_the_router_are_not(families):
    with Routed(families) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        for own, near, far in zip(*(member.addresses() for member in cluster)):
            with heard(first.node) as seen:
                assert reaches(first.node, first.pod, near, wait=3)
                assert reaches(first.node, first.pod, far, wait=3)
            assert seen.having(f"{own} > {near}: ICMP")
            assert not seen.having(near, "VXLAN")
            assert seen.having(f".{PORT}: VXLAN-GPE", f"vni {ID}", f"{own} > {far}: ICMP")
            assert all("VXLAN" in line for line in seen.having(f"{own} > {far}"))


@by_families
def test_with_always_packets_on_a_segment_are_encapsulated_too(families):
    with Routed(families, functools.partial(chain, overlay="always", overlayId=9)) as cluster:
        cluster.add_pods()
        first, second, _ = cluster
        assert cluster.all_reach_all()
        with heard(first.node) as seen:
            assert first.reaches(second)
        assert seen.having("VXLAN-GPE", "vni 9") and not seen.having("vni 72")


@pytest.mark.parametrize("pods, underlay", [
    (["4"], ["6"]), (["6"], ["4"]), (["4", "6"], ["6"]), (["4", "6"], ["4"])])
def test_pods_of_one_family_over_nodes_of_the_other(pods, underlay):
    with Routed(pods, functools.partial(chain, under=underlay[0]), underlay) as cluster:
        cluster.add_pods()
        assert cluster.all_reach_all()
        for member in cluster:
            member.chain.check(member.pod)


# Size

_SERVE = """
import socket
with socket.create_server(("::", 5000), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    connection.sendall(bytes(10 << 20))
    connection.close()
"""

_FETCH = """
import socket, sys
count = 0
with socket.create_connection((sys.argv[1], 5000), timeout=20) as connection:
    while data := connection.recv(65536):
        count += len(data)
print(count)
"""


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_download_across_the_router_passes_with_full_segments(version):
    with Routed([version]) as cluster:
        cluster.add_pods()
        first, _, third = cluster
        server = third.node.start(
            PYTHON, "-c", _SERVE, pod=third.pod, stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "listening\n"
        # What the links put together would be seen whole.
        for member in cluster:
            member.node.run("ethtool", "-K", "uplink", "tso", "off", "gso", "off", "gro", "off",
                            check=False)
        with heard(cluster.router, "-v", "udp", "port", str(PORT), "-c", "400", link="lan1") as seen:
            [address] = third.addresses()
            assert first.node.run(
                PYTHON, "-c", _FETCH, address, pod=first.pod).stdout == f"{10 << 20}\n"
        server.wait()
        server.stdout.close()
        sizes = [int(size) for line in seen.lines for size in re.findall(r"length (\d+)\)", line)]
        if version == "4":
            assert max(sizes) == 1500, sizes[:20]
        assert not seen.having("frag (")


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_packet_that_is_too_large_is_told_the_size_that_fits(version):
    overhead = {"4": 36, "6": 56}[version]
    with Routed([version]) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        headers = {"4": 28, "6": 48}[version]

        def ping(address, size):
            return first.node.run(
                "ping", "-c", "1", "-W", "2", "-M", "do", "-s", size - headers, address,
                pod=first.pod, check=False)
        [near], [far] = second.addresses(), third.addresses()
        assert ping(near, 1500).returncode == 0
        assert ping(far, 1500 - overhead).returncode == 0
        answer = ping(far, 1500 - overhead + 1)
        assert answer.returncode != 0
        assert f"mtu = {1500 - overhead}" in answer.stdout or f"mtu={1500 - overhead}" in (
            answer.stdout + answer.stderr)
        [route] = [line for line in first.node.run(
            "ip", f"-{version}", "route").stdout.splitlines() if line.startswith(subnet(3, version))]
        assert f"mtu {1500 - overhead}" in route
        # Frames on the segment stay as large as its links.
        assert "mtu" not in first.node.run("ip", f"-{version}", "route", "show", subnet(2, version)).stdout


# Change

@pytest.mark.parametrize("version", ["4", "6"])
def test_a_peer_that_moves_between_segments_gets_its_other_route_in_one_step(version):
    with Node("node") as node:
        host = Uplinked(node, version)
        node.run("ip", f"-{version}", "route", "add", "default", "via", host.via(254))
        far = {"4": "198.18.0.1", "6": "fd00:98::1"}[version]
        away = host.network(host.peer(2, far), overlay="off-link")
        home = host.network(host.peer(2), overlay="off-link")
        host.add(away)
        with Told(node, "ip", "monitor", "route") as told:
            time.sleep(0.3)
            for network, is_plain in ((home, True), (away, False), (home, True)):
                host.add(network)
                [route] = host.routes(host.subnet(2))
                assert (route["dev"] == "uplink") == is_plain
                assert check(network) == limits(network) == (0, "")
        assert len(told.having(host.subnet(2))) == 3
        assert not told.having("Deleted", host.subnet(2))


def encapsulated(host):
    return [line for line in host.node.run("ip", f"-{host.version}", "route").stdout.splitlines()
            if "encap" in line]


FAR = {"4": "198.18.0.{}", "6": "fd00:98::{}"}


@pytest.fixture
def remote(host):
    """A host whose peers are behind a router, and their network."""
    host.node.run("ip", f"-{host.version}", "route", "add", "default", "via", host.via(254))
    host.far = FAR[host.version].format
    host.remote = lambda *numbers, **keys: host.network(
        *(host.peer(number, host.far(number)) for number in numbers),
        **{"overlay": "off-link", **keys})
    return host


def test_without_the_key_a_peer_behind_a_router_is_not_on_link(remote):
    network = remote.remote(2, overlay="never")
    remote.add(network)
    assert not encapsulated(remote) and "not on-link" in limits(network)[1]
    assert "humanz-vx" not in remote.node.run("ip", "link").stdout


def test_a_node_whose_peers_are_all_on_its_segment_has_no_overlay(remote):
    network = remote.network(remote.peer(2), overlay="off-link")
    remote.add(network)
    assert remote.ours() == {remote.subnet(2): remote.via(2)}
    assert "humanz-vx" not in remote.node.run("ip", "link").stdout
    assert "overlay" not in remote.node.run("nft", "list", "ruleset").stdout
    assert check(network) == (0, "")


def test_a_peer_that_nothing_leads_to_is_named(host):
    network = host.network(host.peer(2, FAR[host.version].format(2)), host.peer(3),
                           overlay="off-link")
    host.add(network)
    assert host.ours() == {host.subnet(3): host.via(3)}
    assert "node2" in limits(network)[1] and "no route to" in limits(network)[1]


def other_destination(host):
    [route] = [line for line in encapsulated(host) if host.subnet(2) in line]
    words = route.replace(host.far(2), host.far(9)).split()
    # As `ip` shows it, it is understood, but for these.
    for word in ("linkdown", "pref", "medium"):
        while word in words:
            words.remove(word)
    host.node.run("ip", f"-{host.version}", "route", "replace", *words)


DRIFT = {
    "the device deleted": (lambda host: host.node.run("ip", "link", "delete", "humanz-vx"), "humanz-vx"),
    "the device down": (lambda host: host.node.run("ip", "link", "set", "humanz-vx", "down"), "humanz-vx"),
    "another MTU": (lambda host: host.node.run("ip", "link", "set", "humanz-vx", "mtu", "1300"), "MTU"),
    "the check gone": (lambda host: host.node.run("nft", "delete", "table", "inet", "humanz"), "check"),
    "a route gone": (lambda host: host.node.run(
        "ip", f"-{host.version}", "route", "delete", host.subnet(2)), "node2"),
    "another destination": (other_destination, "node2"),
}


@pytest.mark.parametrize("change, word", DRIFT.values(), ids=DRIFT.keys())
def test_drift_of_the_overlay_is_named_by_check_and_healed_by_the_next_add(remote, change, word):
    network = remote.remote(2, 3)
    remote.add(network)
    before = encapsulated(remote), remote.node.run("nft", "list", "ruleset").stdout
    assert check(network) == limits(network) == (0, "")
    change(remote)
    code, text = check(network)
    assert code == 102 and word in text
    assert status(network) == (0, "")
    remote.add(network)
    assert check(network) == (0, "")
    assert (encapsulated(remote), remote.node.run("nft", "list", "ruleset").stdout) == before


def test_a_peer_that_went_away_loses_its_route_and_its_say(remote):
    remote.add(remote.remote(2, 3))
    remote.add(remote.remote(3))
    assert [remote.subnet(3) in line for line in encapsulated(remote)] == [True]
    rules = remote.node.run("nft", "list", "ruleset").stdout
    assert remote.far(3) in rules and remote.far(2) not in rules


def test_another_port_or_id_takes_the_place_of_the_first(remote):
    remote.add(remote.remote(2))
    network = remote.remote(2, overlayPort=4791, overlayId=0xffffff)
    remote.add(network)
    assert check(network) == (0, "")
    link = remote.node.run("ip", "-d", "link", "show", "humanz-vx").stdout
    assert "dstport 4791" in link and "external" in link and "gpe" in link
    assert f"id {0xffffff}" in encapsulated(remote)[0]


def test_the_source_of_outer_packets_may_be_named(remote):
    network = remote.remote(2, overlaySource=remote.via(1))
    remote.add(network)
    assert f"src {remote.via(1)}" in encapsulated(remote)[0]
    assert check(network) == (0, "")


def test_the_overlay_goes_with_the_last_network_that_needs_it(remote):
    one, two = (remote.remote(2, name=name) for name in ("one", "two"))
    for network in (one, two):
        remote.add(network)
    one.collect("pod")
    one.collect()
    assert "humanz-vx" in remote.node.run("ip", "link").stdout
    assert "overlay-two" in remote.node.run("nft", "list", "ruleset").stdout
    assert "overlay-one" not in remote.node.run("nft", "list", "ruleset").stdout
    assert check(two) == (0, "")
    two.collect()
    assert "humanz-vx" not in remote.node.run("ip", "link").stdout
    assert remote.node.run("nft", "list", "ruleset").stdout == ""
    two.collect()


def test_a_link_of_that_name_that_is_none_of_ours_stays(remote):
    remote.node.run("ip", "link", "add", "humanz-vx", "type", "bridge")
    network = remote.network(remote.peer(2, remote.far(2)), remote.peer(3), overlay="off-link",
                             logFile="/run/tmp/log")
    remote.add(network)
    assert remote.ours() == {remote.subnet(3): remote.via(3)}
    assert "humanz-vx" in remote.node.path("/run/tmp/log").read_text()
    network.collect()
    assert remote.node.ip("link", "show", "type", "bridge")


@pytest.mark.parametrize("keys, key", [
    ({"overlay": "sometimes"}, "overlay"), ({"overlay": True}, "overlay"),
    ({"overlay": "always", "overlayPort": 0}, "overlayPort"),
    ({"overlay": "always", "overlayPort": 65536}, "overlayPort"),
    ({"overlay": "always", "overlayId": 1 << 24}, "overlayId"),
    ({"overlay": "always", "overlaySource": "x"}, "overlaySource"),
])
def test_a_key_of_the_overlay_with_a_value_it_cannot_have_is_named(host, keys, key):
    with pytest.raises(Refused) as refused:
        host.add(host.network(**keys))
    assert refused.value.error["code"] == 7 and f'"{key}"' in refused.value.error["msg"]


# Strangers

_CATCH = """
import socket, sys
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 7007))
print("ready", flush=True)
while True:
    print(server.recvfrom(100)[0].decode(), flush=True)
"""

_THROW = """
import socket, sys
target, port, payload = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
family = socket.AF_INET6 if ":" in target else socket.AF_INET
socket.socket(family, socket.SOCK_DGRAM).sendto(payload, (target, port))
"""


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(source, target, text):
    """An IP packet with a UDP datagram to port 7007 in it."""
    source, target = (ipaddress.ip_address(address) for address in (source, target))
    body = text.encode() + bytes(len(text) % 2)
    length = 8 + len(text)
    pseudo = source.packed + target.packed + struct.pack("!II", length, 17)
    udp = struct.pack("!HHHH", 9999, 7007, length, 0)
    udp = struct.pack("!HHHH", 9999, 7007, length, checksum(pseudo + udp + body) or 0xffff)
    if source.version == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0,
                             source.packed, target.packed)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    else:
        header = struct.pack("!IHBB16s16s", 6 << 28, length, 17, 64, source.packed, target.packed)
    return header + udp + text.encode()


def vxlan(packet, id=ID, flags=0x0c, kind=None):
    """A VXLAN-GPE header with a packet behind it."""
    kind = kind or {4: 1, 6: 2}[packet[0] >> 4]
    return struct.pack("!BxxBI", flags, kind, id << 8) + packet


@pytest.mark.parametrize("version", ["4", "6"])
def test_only_a_peers_own_pods_are_heard_through_the_overlay(version):
    """What is tried: a stranger's packets, a peer's with another id or kind or a source of others."""
    with Routed([version]) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        [pod1], [pod2], [pod3] = (member.addresses() for member in cluster)
        catcher = first.node.start(
            PYTHON, "-c", _CATCH, pod=first.pod, stdout=subprocess.PIPE, text=True)
        assert catcher.stdout.readline() == "ready\n"
        node1, node2 = first.uplink(version), second.uplink(version)

        def throw(machine, payload):
            machine.run(PYTHON, "-c", _THROW, node1, PORT, payload.hex())
        router, peer = cluster.router, third.node
        throw(router, vxlan(datagram(pod3, pod1, "a stranger as a peer's pod")))
        throw(router, vxlan(datagram(gateway(0, version), pod1, "a stranger as itself")))
        throw(router, vxlan(datagram(pod1, pod1, "a stranger as the pod itself")))
        throw(peer, vxlan(datagram(pod3, pod1, "another id"), id=ID + 1))
        throw(peer, vxlan(datagram(pod3, pod1, "id 0"), id=0))
        throw(peer, vxlan(datagram(pod2, pod1, "another peer's pod")))
        throw(peer, vxlan(datagram(pod1, pod1, "the pod itself")))
        throw(peer, vxlan(datagram(node1, pod1, "this node")))
        throw(peer, vxlan(datagram(node2, pod1, "another peer")))
        world = {"4": "198.51.100.1", "6": "fd00:97::1"}[version]
        throw(peer, vxlan(datagram(world, pod1, "somebody in the world")))
        throw(peer, vxlan(datagram(pod3, pod1, "another kind"), kind={"4": 2, "6": 1}[version]))
        throw(peer, vxlan(datagram(pod3, pod1, "no GPE"), flags=0x08))
        throw(peer, b"short")
        # What may pass comes last: nothing of the above is on its way any more.
        throw(peer, vxlan(datagram(third.uplink(version), pod1, "the peer itself")))
        throw(peer, vxlan(datagram(pod3, pod1, "the peer's pod")))
        heard = [catcher.stdout.readline().strip()]
        while heard[-1] != "the peer's pod":
            heard.append(catcher.stdout.readline().strip())
        assert heard == ["the peer itself", "the peer's pod"]
        catcher.stdout.close()


# Scale

def test_a_thousand_peers_behind_a_router_cost_no_message_each(record_property):
    def sent(count):
        with Node("node") as node:
            host = Uplinked(node, "4")
            node.run("ip", "route", "add", "default", "via", host.via(254))
            network = host.network(
                *({"name": f"node{n}", "subnet": f"10.{64 + n // 256}.{n % 256}.0/24",
                   "via": f"198.18.{n // 250}.{1 + n % 250}"} for n in range(count)),
                overlay="off-link", logFile="")
            network.configuration["network"] = "10.0.0.0/8"
            making = traced(network, "ADD", "pod", prevResult=host.prev_result)
            assert len(encapsulated(host)) == count
            calls = traced(network, "ADD", "pod", prevResult=host.prev_result)
            network.results["pod"] = host.prev_result
            network.check("pod")
            return [sum(call.startswith("sendto(") for call in calls) for calls in (making, calls)]
    few, many = sent(3), sent(1000)
    record_property("datagrams", f"{few} with 3 peers, {many} with 1000: making, and all right")
    assert many[1] == few[1]
    # Routes go in datagrams of 128, and the check of all senders in one transaction.
    assert many[0] <= few[0] + 8
