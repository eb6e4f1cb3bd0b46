# SPDX-License-Identifier: Apache-2.0
"""Clusters: nodes with uplinks; each node has a pod subnet of each family.

The nodes share one segment, or sit on two with a router between. The chain decides how a node learns of the
others: from peers in its configuration, from Kubernetes, or from a routing daemon.
"""

import contextlib
import ipaddress
import json

import pytest

from lab.attachment import Chain, reaches
from lab.conflist import Conflist
from lab.isolated_node import ROOT, Node, Segment
from lab.kubernetes import listed
from lab.kubernetes import node as kubernetes_node
from lab.tool import Tool

FAMILIES = {"IPv4": ["4"], "IPv6": ["6"], "both": ["4", "6"]}
by_families = pytest.mark.parametrize("families", FAMILIES.values(), ids=FAMILIES.keys())

# The pod network of the cluster, and the prefix length of a segment.
NETWORKS = {"4": "10.244.0.0/16", "6": "fd00:244::/32"}
LENGTHS = {"4": 24, "6": 64}

SHIPPED = ROOT / "conflists" / "20-humanz-kubernetes.conflist"
CLUSTER_FILE = "/run/humanz/cluster.json"


def subnet(number, family):
    """The pod subnet of a node."""
    return {"4": f"10.244.{number}.0/24", "6": f"fd00:244:{number}::/64"}[family]


def subnets(number, families):
    return [subnet(number, family) for family in families]


def uplink(number, family, segment=0):
    """The address of a node."""
    text = {"4": f"192.168.{segment}.{number}", "6": f"fd00:192:{segment:x}::{number}"}[family]
    # As the kernel writes it: "fd00:192:0::1" becomes "fd00:192::1".
    return str(ipaddress.ip_address(text))


def uplinks(number, families, segment=0):
    return [uplink(number, family, segment) for family in families]


def gateway(segment, family):
    """The router's address on a segment."""
    return uplink({"4": "254", "6": "fe"}[family], family, segment)


def node_object(number, families, **options):
    """The Kubernetes Node object of a node."""
    return kubernetes_node(
        f"node{number}", subnets(number, families), uplinks(number, families), **options)


# The chains that a member may have

def static_peers(member, count=3, **keys):
    """The chain whose configuration names the peers; `keys` go to humanz-route."""
    peers = [{"name": f"node{number}", "subnet": subnet(number, family),
              "via": uplink(number, family)}
             for family in member.families for number in range(1, count + 1)
             if number != member.number]
    return Chain(
        member.node, {"type": "humanz-bridge"},
        {"type": "humanz-ipam", "ranges": member.ranges},
        {"type": "humanz-route", "network": member.networks, "peers": peers, **keys})


def from_kubernetes(member, path=SHIPPED):
    """The shipped chain for Kubernetes: the same file on each node; `humanz sync` writes what differs."""
    configuration = json.loads(path.read_text())
    if member.families != ["4"]:
        configuration["plugins"][2]["network"] = member.networks
    return Conflist(member.node, *configuration.pop("plugins"), **configuration)


def without_peers(member):
    """The chain of a node that learns its routes from a routing daemon."""
    return Conflist(
        member.node, {"type": "humanz-bridge", "bridge": "humanz-cni0"},
        {"type": "humanz-ipam", "ranges": member.ranges},
        {"type": "humanz-route", "network": member.networks}, name="humanz")


class Member:
    """A node of the cluster, its chain, and the name of its pod, which `add_pod` makes."""

    def __init__(self, node, number, families, segment):
        self.node, self.number, self.families, self.segment = node, number, families, segment
        self.name, self.pod = node.name, f"pod{number}"
        self.chain = None

    @property
    def networks(self):
        return [NETWORKS[family] for family in self.families]

    @property
    def ranges(self):
        """The node's subnets, as range sets of humanz-ipam."""
        return [[{"subnet": subnet(self.number, family)}] for family in self.families]

    def uplink(self, family):
        return uplink(self.number, family, self.segment)

    def add_pod(self):
        self.chain.add(self.pod)

    def addresses(self):
        """The addresses of its pod."""
        return [ip["address"].split("/")[0] for ip in self.chain.results[self.pod]["ips"]]

    def reaches(self, other):
        """Whether its pod reaches another's, in every family."""
        return all(reaches(self.node, self.pod, address, wait=3) for address in other.addresses())

    def routes(self):
        """Our routes to other nodes' pods: destination and next hop."""
        return {route["dst"]: route["gateway"] for family in self.families
                for route in self.node.ip(f"-{family}", "route", "show", "proto", "72")
                if "gateway" in route}

    def learned(self, proto):
        """The destinations of the node's routes of a protocol."""
        return learned(self.node, self.families, proto)

    def sync(self, *nodes, check=True):
        """Runs `humanz sync` with these Node objects."""
        return Tool(self.node).sync(self.name, listed(*nodes), check=check)


def learned(machine, families, proto):
    return sorted(route["dst"] for family in families
                  for route in machine.ip(f"-{family}", "route", "show", "proto", proto))


class Cluster:
    """The members, without pods; closed at the end of a `with`.

    chain: makes the chain of a member; count: the number of members; behind: the numbers of those that are
    on a second segment, behind a router.
    """

    def __init__(self, families, chain, count=3, behind=()):
        self.families = families
        self.router = None
        with contextlib.ExitStack() as stack:
            self.segments = [stack.enter_context(Segment()) for _ in range(2 if behind else 1)]
            if behind:
                self.router = stack.enter_context(Node("router"))
                self._join_router()
            self.members = []
            for number in range(1, count + 1):
                node = stack.enter_context(Node(f"node{number}"))
                member = Member(node, number, families, segment=int(number in behind))
                self.segments[member.segment].join(node, "uplink", *(
                    f"{member.uplink(family)}/{LENGTHS[family]}" for family in families))
                member.chain = chain(member)
                self.members.append(member)
            self._stack = stack.pop_all()

    def _join_router(self):
        for number, segment in enumerate(self.segments):
            segment.join(self.router, f"lan{number}", *(
                f"{gateway(number, family)}/{LENGTHS[family]}" for family in self.families))
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def __iter__(self):
        return iter(self.members)

    def add_pods(self):
        for member in self.members:
            member.add_pod()

    def kill(self, member):
        """Ends a node, as a power failure does."""
        self.members.remove(member)
        member.node.close()

    def all_reach_all(self):
        """Whether every pod reaches every other one, at each of its addresses."""
        return all(one.reaches(other) for one in self for other in self if one is not other)
