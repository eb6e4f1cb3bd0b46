# SPDX-License-Identifier: Apache-2.0
"""Traffic for tests: pages and bulk data that pods serve, and a host beyond the node."""

import subprocess
import time

from lab.waiting import patience

PYTHON = "/usr/bin/python3"

NODE = "192.0.2.10"
WORLD = "192.0.2.1"


def add_world(node):
    """Gives a node an uplink and a host named `world` at its other end, which is its default gateway."""
    node.add_pod("world")
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "eth0",
             "netns", "world")
    node.run("ip", "link", "set", "eth0", "up", pod="world")
    node.run("ip", "address", "add", f"{WORLD}/24", "dev", "eth0", pod="world")
    node.run("ip", "link", "set", "uplink", "up")
    node.run("ip", "address", "add", f"{NODE}/24", "dev", "uplink")
    node.run("ip", "route", "add", "default", "via", WORLD)


def serve(node, pod, page, port=80):
    """Makes a pod serve a page over HTTP until the node ends."""
    folder = node.path(f"/run/tmp/{pod}")
    folder.mkdir()
    (folder / "index.html").write_text(page)
    node.start("busybox", "httpd", "-f", "-p", port, "-h", f"/run/tmp/{pod}", pod=pod)
    for _ in range(100):
        if fetch(node, f"http://127.0.0.1:{port}/", pod=pod) == page:
            return
        time.sleep(0.05)
    raise AssertionError(f"{pod} does not serve its page")


def fetch(node, url, pod=None):
    """The page at an address; None if nobody answers."""
    done = node.run("curl", "-sS", "-g", "--max-time", "2", url, pod=pod, check=False)
    return done.stdout if done.returncode == 0 else None


_SERVE_BYTES = """
import socket
with socket.create_server(("", 5000)) as listener:
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            count = int(connection.recv(20))
            if count < 0:
                connection.sendall(bytes(-count))
            while count > 0 and (data := connection.recv(65536)):
                count -= len(data)
            connection.sendall(b".")
"""

_ASK_BYTES = """
import socket, sys, time
start = time.monotonic()
with socket.create_connection((sys.argv[1], 5000), timeout=20) as connection:
    count = int(sys.argv[2])
    connection.sendall(b"%20d" % count)
    if count > 0:
        connection.sendall(bytes(count))
    while connection.recv(65536):
        pass
print(time.monotonic() - start)
"""


def serve_bytes(node, pod):
    """Makes a pod send and receive any number of bytes until the node ends."""
    process = node.start(PYTHON, "-c", _SERVE_BYTES, pod=pod, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"
    process.stdout.close()


def seconds_to_send(node, address, count):
    """The seconds it takes to send this many bytes to a pod."""
    return float(node.run(PYTHON, "-c", _ASK_BYTES, address, count).stdout)


def seconds_to_receive(node, address, count):
    """The seconds it takes to receive this many bytes from a pod."""
    return float(node.run(PYTHON, "-c", _ASK_BYTES, address, -count).stdout)


_SERVE_CALLERS = """
import socket
with socket.create_server(("", 5001), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
    print("listening", flush=True)
    while True:
        connection, caller = listener.accept()
        with connection:
            connection.sendall(caller[0].removeprefix("::ffff:").encode())
"""


def serve_callers(node, pod):
    """Makes a pod answer each caller with the caller's address, until the node ends."""
    process = node.start(PYTHON, "-c", _SERVE_CALLERS, pod=pod, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"
    process.stdout.close()


def seen_as(node, pod, address):
    """The pod's address as the host at this address sees it; empty if nobody answers."""
    return node.run("busybox", "nc", "-w", "2", address, 5001, pod=pod, check=False).stdout


_PEER = f"""
import socket, sys
server = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
server.settimeout({patience(10)})
print("listening", flush=True)
print(server.accept()[1][0].removeprefix("::ffff:"))
"""

_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 8000), 5)"


def source_of_connection(node, pod, server_node, server, server_pod=None):
    """The source address of a connection, as the server sees it."""
    listener = server_node.start(PYTHON, "-c", _PEER, pod=server_pod,
                                 stdout=subprocess.PIPE, text=True)
    with listener.stdout:
        assert listener.stdout.readline() == "listening\n"
        node.run(PYTHON, "-c", _CONNECT, server, pod=pod)
        seen = listener.stdout.read().strip()
    listener.wait()
    return seen


_RECEIVE = f"""
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 7007))
server.settimeout({patience(5)})
print("ready", flush=True)
print(server.recvfrom(10)[1][0])
"""

_SEND = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.connect((sys.argv[1], 7007))
client.send(b"hello")
"""


def source_of_datagram(node, pod, server_node, server, server_pod=None):
    """The source address of a datagram, as its receiver sees it."""
    receiver = server_node.start(
        PYTHON, "-c", _RECEIVE, server, pod=server_pod, stdout=subprocess.PIPE, text=True)
    with receiver.stdout:
        assert receiver.stdout.readline() == "ready\n"
        node.run(PYTHON, "-c", _SEND, server, pod=pod)
        seen = receiver.stdout.readline().strip()
    receiver.wait()
    return seen
