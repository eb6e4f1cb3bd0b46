"""A cluster of nodes on one segment whose chain is the shipped one for Kubernetes: the same file on
each, and what differs comes from `humanz-route sync`."""

import contextlib
import json

from attachment import reaches
from conflist import Conflist
from isolated_node import PLUGINS, ROOT, Node, Segment
from kubernetes_nodes import listed
from kubernetes_nodes import node as kubernetes_node

SHIPPED = ROOT / "conflists" / "20-humanz-kubernetes.conflist"
FILE = "/run/humanz/cluster.json"
NETWORKS = {"4": "10.244.0.0/16", "6": "fd00:244::/32"}
UPLINKS = {"4": "192.168.0.{}", "6": "fd00:192::{}"}
LENGTHS = {"4": 24, "6": 64}


def subnets(number, families):
    return [{"4": f"10.244.{number}.0/24", "6": f"fd00:244:{number}::/64"}[f] for f in families]


def told(number, families, **options):
    """The node as Kubernetes tells of it."""
    return kubernetes_node(f"node{number}", subnets(number, families),
                           [UPLINKS[family].format(number) for family in families], **options)


class Member:
    """A node of the cluster."""

    def __init__(self, number, families):
        self.number, self.families = number, families
        self.name, self.pod = f"node{number}", f"pod{number}"
        self.node = Node(self.name)
        configuration = json.loads(SHIPPED.read_text())
        if families != ["4"]:
            networks = [NETWORKS[family] for family in families]
            configuration["plugins"][-1]["network"] = networks
        self.chain = Conflist(self.node, *configuration.pop("plugins"), **configuration)

    def sync(self, *told, check=True):
        return self.node.run(f"{PLUGINS}/humanz-route", "sync", "--node", self.name,
                             input=listed(*told), check=check)

    def addresses(self):
        return [ip["address"].split("/")[0] for ip in self.chain.results[self.pod]["ips"]]

    def routes(self):
        """The routes to other nodes' pods: destination and next hop."""
        return {route["dst"]: route["gateway"] for family in self.families
                for route in self.node.ip(f"-{family}", "route", "show", "proto", "72")
                if "gateway" in route}

    def reaches(self, other):
        """Whether its pod reaches another's, by every family."""
        return all(reaches(self.node, self.pod, address, wait=3) for address in other.addresses())


@contextlib.contextmanager
def cluster(families, count=3):
    """So many nodes, which know nothing of each other yet."""
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment())
        members = []
        for number in range(1, count + 1):
            member = Member(number, families)
            stack.enter_context(member.node)
            segment.join(member.node, "uplink", *(
                f"{UPLINKS[family].format(number)}/{LENGTHS[family]}" for family in families))
            members.append(member)
        yield members


def all_reach_all(members):
    return all(one.reaches(other) for one in members for other in members if one is not other)
