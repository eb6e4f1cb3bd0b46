"""Ethernet frames of a test's own (EtherType 0x88b5, for experiments): sent, and listened for."""

import subprocess

PYTHON = "/usr/bin/python3"

_SEND = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
link.bind(("eth0", 0))
own = link.getsockname()[4].hex()
to, source = sys.argv[1].replace(":", ""), (sys.argv[2] or own).replace(":", "")
link.send(bytes.fromhex(to + source) + b"\\x88\\xb5" + b"frame".ljust(46))
"""

_LISTEN = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
link.bind((sys.argv[1], 0x88b5))
link.settimeout(1)
print("listening", flush=True)
try:
    while True:
        frame, sender = link.recvfrom(200)
        if sender[2] != socket.PACKET_OUTGOING:
            print(frame[6:12].hex(":"))
except TimeoutError:
    pass
"""


def send_frame(node, pod, to="ff:ff:ff:ff:ff:ff", source=""):
    """Sends a frame from a pod's eth0, from its own address where none is given."""
    node.run(PYTHON, "-c", _SEND, to, source, pod=pod)


class Listener:
    """The frames that reach an interface; it listens until a second has passed without one."""

    def __init__(self, node, interface, pod=None):
        self._process = node.start(
            PYTHON, "-c", _LISTEN, interface, pod=pod, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "listening\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdout.close()
        self._process.wait()

    def heard(self):
        """The source addresses of the frames."""
        return self._process.stdout.read().split()

    def heard_any(self):
        return bool(self.heard())
