# SPDX-License-Identifier: Apache-2.0
"""The senders that are accepted through the overlay, and those that are dropped."""

import functools
import ipaddress
import struct
import subprocess

import pytest

from lab.attachment import reaches
from lab.cluster import gateway
from lab.overlay import ID, PORT, Routed, chain
from lab.traffic import PYTHON

_CATCH = """
import socket, sys
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 7007))
print("ready", flush=True)
while True:
    print(server.recvfrom(100)[0].decode(), flush=True)
"""

_SEND = """
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
    """An IP packet with a UDP datagram to port 7007."""
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
    """A VXLAN-GPE header followed by a packet."""
    kind = kind or {4: 1, 6: 2}[packet[0] >> 4]
    return struct.pack("!BxxBI", flags, kind, id << 8) + packet


@pytest.mark.parametrize("masquerades", [False, True], ids=["", "with ipMasq"])
@pytest.mark.parametrize("version", ["4", "6"])
def test_only_a_peers_own_pods_are_heard_through_the_overlay(version, masquerades):
    """Documentation/packets.md lists these cases.

    A pod's packet to another node is masqueraded: its source is then a peer's address.
    """
    with Routed([version], functools.partial(chain, ipMasq=masquerades)) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        [pod1], [pod2], [pod3] = (member.addresses() for member in cluster)
        catcher = first.node.start(
            PYTHON, "-c", _CATCH, pod=first.pod, stdout=subprocess.PIPE, text=True)
        assert catcher.stdout.readline() == "ready\n"
        node1, node2 = first.uplink(version), second.uplink(version)

        def send(machine, payload, pod=None, to=node1):
            machine.run(PYTHON, "-c", _SEND, to, PORT, payload.hex(), pod=pod)
        # A pod's packet to a node arrives, with ipMasq from the node's address.
        assert reaches(third.node, third.pod, node1, wait=3)
        neighbour = str(ipaddress.ip_address(pod3) + 7)
        router, peer = cluster.router, third.node
        send(router, vxlan(datagram(pod3, pod1, "a stranger as a peer's pod")))
        send(router, vxlan(datagram(gateway(0, version), pod1, "a stranger as itself")))
        send(router, vxlan(datagram(pod1, pod1, "a stranger as the pod itself")))
        send(peer, vxlan(datagram(pod3, pod1, "another id"), id=ID + 1))
        send(peer, vxlan(datagram(pod3, pod1, "id 0"), id=0))
        send(peer, vxlan(datagram(pod2, pod1, "another peer's pod")))
        send(peer, vxlan(datagram(pod1, pod1, "the pod itself")))
        send(peer, vxlan(datagram(node1, pod1, "this node")))
        send(peer, vxlan(datagram(node2, pod1, "another peer")))
        world = {"4": "198.51.100.1", "6": "fd00:97::1"}[version]
        send(peer, vxlan(datagram(world, pod1, "somebody in the world")))
        send(peer, vxlan(datagram(pod3, pod1, "another kind"), kind={"4": 2, "6": 1}[version]))
        send(peer, vxlan(datagram(pod3, pod1, "no GPE"), flags=0x08))
        send(peer, b"short")
        send(peer, vxlan(datagram(pod3, pod1, "cut short"))[:24])
        send(router, vxlan(datagram(pod3, pod1, "a stranger, in fragments" + "." * 3000)))
        for sender in (third, first):
            forged = vxlan(datagram(neighbour, pod1, "a pod as its neighbour"))
            send(sender.node, forged, pod=sender.pod)
            send(sender.node, forged, pod=sender.pod, to=str(ipaddress.ip_address(pod1) - 1))
        # The accepted packets come last: nothing sent before is still on its way.
        send(peer, vxlan(datagram(third.uplink(version), pod1, "the peer itself")))
        send(peer, vxlan(datagram(pod3, pod1, "the peer's pod")))
        received = [catcher.stdout.readline().strip()]
        while received[-1] != "the peer's pod":
            received.append(catcher.stdout.readline().strip())
        assert received == ["the peer itself", "the peer's pod"]
        catcher.stdout.close()
