"""Three nodes on one segment, each with a pod subnet of its own a family, and static peers."""

import contextlib
import subprocess
import time

from attachment import Chain, Refused, reaches
from isolated_node import Node, Segment

FAMILIES = ["v4", "v6", "both"]

UPLINKS = {"4": ("172.20.0.{}", 24), "6": ("fd00:20::{}", 64)}
SUBNETS = {"4": "10.244.{}.0/24", "6": "fd00:244:0:{}::/64"}
NETWORKS = {"4": "10.244.0.0/16", "6": "fd00:244::/48"}


def versions(families):
    return {"v4": "4", "v6": "6", "both": "46"}[families]


class Member:
    """A node of the cluster with its chain of plugins."""

    def __init__(self, node, number, families, **keys):
        self.node = node
        self.number = number
        self.families = versions(families)
        self.chain = Chain(
            node, {"type": "humanz-bridge"},
            {"type": "humanz-ipam",
             "ranges": [[{"subnet": self.subnet(version)}] for version in self.families]},
            {"type": "humanz-route",
             "network": [NETWORKS[version] for version in self.families],
             "peers": [{"name": f"node{other}", "subnet": SUBNETS[version].format(other),
                        "via": UPLINKS[version][0].format(other)}
                       for version in self.families for other in (1, 2, 3) if other != number],
             **keys})

    @property
    def route(self):
        """The stage under test."""
        return self.chain.stages[-1]

    def subnet(self, version):
        return SUBNETS[version].format(self.number)

    def uplink(self, version):
        return UPLINKS[version][0].format(self.number)

    def addresses(self, pod):
        return [ip["address"].split("/")[0] for ip in self.route.results[pod]["ips"]]

    def routes(self, version, *words):
        return self.node.ip(f"-{version}", "route", "show", *words)

    def refusals(self, pod):
        """What CHECK and STATUS say, each as one text."""
        texts = []
        for verb, code in (("CHECK", 102), ("STATUS", 51)):
            try:
                if verb == "CHECK":
                    self.route.check(pod)
                else:
                    self.route.call("STATUS")
                texts.append("")
            except Refused as refused:
                assert refused.error["code"] == code, refused
                texts.append(f"{refused.error['msg']} {refused.error.get('details', '')}")
        return texts


@contextlib.contextmanager
def cluster(families, count=3, **keys):
    """Nodes 1 to `count`, each with one pod, named after its node: `pod1`."""
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment())
        members = []
        for number in range(1, count + 1):
            node = stack.enter_context(Node(f"node{number}"))
            member = Member(node, number, families, **keys)
            segment.join(node, "uplink0", *(
                f"{member.uplink(version)}/{UPLINKS[version][1]}" for version in member.families))
            members.append(member)
        for member in members:
            member.chain.add(f"pod{member.number}")
        yield members


def reaches_soon(node, pod, address):
    """Whether a pod reaches an address within 5 s: a new link speaks no IPv6 in its first second."""
    deadline = time.monotonic() + 5
    while not reaches(node, pod, address, wait=0.3):
        if time.monotonic() > deadline:
            return False
    return True


def all_reach_all(members):
    """Whether every pod reaches every other pod, by each of its addresses."""
    return all(
        reaches_soon(one.node, f"pod{one.number}", address)
        for one in members for other in members if other is not one
        for address in other.addresses(f"pod{other.number}"))


_SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 7007))
server.settimeout(5)
print("ready", flush=True)
print(server.recvfrom(10)[1][0])
"""

_CLIENT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.connect((sys.argv[1], 7007))
client.send(b"hello")
"""


def seen_from(member, pod, server, address, server_pod=None):
    """The address that a datagram of a pod's comes from, as its receiver on a node sees it."""
    receiver = server.start(
        "/usr/bin/python3", "-c", _SERVER, address, pod=server_pod,
        stdout=subprocess.PIPE, text=True)
    with receiver.stdout:
        assert receiver.stdout.readline() == "ready\n"
        member.node.run("/usr/bin/python3", "-c", _CLIENT, address, pod=pod)
        seen = receiver.stdout.readline().strip()
    receiver.wait()
    return seen
