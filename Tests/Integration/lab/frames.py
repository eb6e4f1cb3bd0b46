# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames of the tests' own EtherType (0x88b5, for experiments): sending and receiving.

The test's process opens the sockets in the namespaces itself: starting a process for each frame would take
a second on an emulated machine.
"""

import select
import socket
import struct
import time

from lab import namespaces
from lab.waiting import patience

ETHERTYPE = b"\x88\xb5"
EVERYONE = "ff:ff:ff:ff:ff:ff"

# Constants of Linux that Python's socket module lacks.
_ETH_P_ALL, _SOL_PACKET, _PACKET_AUXDATA, _TP_STATUS_VLAN_VALID = 3, 263, 8, 0x10


def _inside(node, pod):
    """Runs a block in the network namespace of a pod, or of the node."""
    return namespaces.inside(node.path(f"/run/netns/{pod}") if pod else f"/proc/{node.pid}/ns/net")


def send_frame(node, pod, to=EVERYONE, source="", vlan=None):
    """Sends a frame from a pod's eth0; by default from its own MAC address and without a tag.

    Returns once the frame has been delivered.
    """
    with _inside(node, pod), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link:
        link.bind(("eth0", 0))
        source = bytes.fromhex(source.replace(":", "")) or link.getsockname()[4]
        tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
        link.send(bytes.fromhex(to.replace(":", "")) + source + tag + ETHERTYPE + b"frame".ljust(46))
    # The kernel delivers the frame before `send` returns, or shortly after in a kernel thread.
    time.sleep(patience(0.02))


class Listener:
    """The frames that reach an interface from now until `frames` is called."""

    def __init__(self, node, interface, pod=None):
        # The kernel reports the VLAN tag only on a socket for all protocols.
        with _inside(node, pod):
            self._link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._link.bind((interface, _ETH_P_ALL))
        self._link.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._frames = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._link.close()

    def frames(self):
        """The source MAC address and the VLAN of each frame; VLAN 0 is no tag."""
        while select.select([self._link], [], [], 0)[0]:
            frame, control, _, sender = self._link.recvmsg(200, 200)
            if sender[2] == socket.PACKET_OUTGOING or frame[12:14] != ETHERTYPE:
                continue
            # struct tpacket_auxdata: status, three lengths and offsets, then the tag.
            status, tag = struct.unpack_from("=I12xH", control[0][2])
            vlan = tag & 0xfff if status & _TP_STATUS_VLAN_VALID else 0
            self._frames.append((frame[6:12].hex(":"), vlan))
        return self._frames

    def senders(self):
        """The source MAC addresses of the frames."""
        return [source for source, _ in self.frames()]

    def has_frames(self):
        return bool(self.frames())
