"""Ethernet frames of a test's own (EtherType 0x88b5, for experiments): sent, and listened for."""

import subprocess

from lab.waiting import patience

PYTHON = "/usr/bin/python3"

_SEND = """
import socket, struct, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
link.bind(("eth0", 0))
own = link.getsockname()[4].hex()
to, source = sys.argv[1].replace(":", ""), (sys.argv[2] or own).replace(":", "")
tag = struct.pack("!HH", 0x8100, int(sys.argv[3])) if sys.argv[3] else b""
link.send(bytes.fromhex(to + source) + tag + b"\\x88\\xb5" + b"frame".ljust(46))
"""

# It hears frames of every type, since a kernel shows a VLAN's tag to those listeners alone: in a
# control message of level SOL_PACKET and type PACKET_AUXDATA, valid where its status says so.
_LISTEN = f"""
import select, socket, struct, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind((sys.argv[1], 3))
link.setsockopt(263, 8, 1)
print("listening", flush=True)
inputs, wait = [link, sys.stdin], None
while ready := select.select(inputs, [], [], wait)[0]:
    if sys.stdin in ready:
        # The last frame was sent: what is on its way is here within this time.
        inputs, wait = [link], {patience(0.05)}
    if link in ready:
        frame, control, _, sender = link.recvmsg(200, 200)
        if sender[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\\x88\\xb5":
            status, vlan = struct.unpack_from("=I12xH", control[0][2])
            print(frame[6:12].hex(":"), vlan & 0xfff if status & 0x10 else 0)
"""


def send_frame(node, pod, to="ff:ff:ff:ff:ff:ff", source="", vlan=""):
    """Sends a frame from a pod's eth0, from its own address and without a tag where none is given."""
    node.run(PYTHON, "-c", _SEND, to, source, vlan, pod=pod)


class Listener:
    """The frames that reach an interface, until they are asked for."""

    def __init__(self, node, interface, pod=None):
        self._frames = None
        self._process = node.start(
            PYTHON, "-c", _LISTEN, interface, pod=pod, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout.readline() == "listening\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._process.stdout.close()
        self._process.wait()

    def stop(self):
        """Has it listen no longer than for what is on its way."""
        if not self._process.stdin.closed:
            self._process.stdin.close()

    def frames(self):
        """The source address and the VLAN of each frame; VLAN 0 is no tag."""
        self.stop()
        if self._frames is None:
            lines = map(str.split, self._process.stdout.readlines())
            self._frames = [(source, int(vlan)) for source, vlan in lines]
        return self._frames

    def heard(self):
        """The source addresses of the frames."""
        return [source for source, _ in self.frames()]

    def heard_any(self):
        return bool(self.frames())
