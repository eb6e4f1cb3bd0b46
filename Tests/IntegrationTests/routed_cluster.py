"""Three nodes and a router, for routing daemons: two nodes share a segment with one end of the router,
the third is alone on another at its other end. Whatever reaches the third goes through the router.
"""

import contextlib
import re
import time

from attachment import Network, address, reaches
from conflist import Conflist
from isolated_node import Node, ROOT, Segment

FAMILIES = {"IPv4": ["4"], "IPv6": ["6"], "both": ["4", "6"]}
PODS = {"4": "10.244.0.0/16", "6": "fd00:244::/32"}
SEGMENTS = {"node1": 0, "node2": 0, "node3": 1}
NEIGHBOURS = {"4": "192.168.{}.0/24", "6": "fd00:192:{:x}::/48"}


def subnet(name, family):
    number = name[-1]
    return {"4": f"10.244.{number}.0/24", "6": f"fd00:244:{number}::/64"}[family]


def uplink(name, family):
    segment, number = SEGMENTS[name], name[-1]
    return {"4": f"192.168.{segment}.{number}", "6": f"fd00:192:{segment:x}::{number}"}[family]


def gateway(segment, family):
    """The router's address on a segment."""
    return {"4": f"192.168.{segment}.254", "6": f"fd00:192:{segment:x}::fe"}[family]


def shipped(name, **changes):
    """A file of conflists/, with the values of some of its words changed: each must be there."""
    text = (ROOT / "conflists" / name).read_text()
    for word, value in changes.items():
        text, count = re.subn(rf"(?<=\bdefine {word} = )[^;]+", value, text)
        assert count == 1, f"conflists/{name} does not define {word} once"
    return text


def neighbours(families):
    """The families and ranges of the nodes' addresses, as the router has them."""
    return [(family, NEIGHBOURS[family].format(segment))
            for family in families for segment in set(SEGMENTS.values())]


def check_routed(families, proto, start_router, start_node):
    """Pods reach each other through a router, and a node that dies is forgotten everywhere."""
    with RoutedCluster(families) as cluster:
        start_router(cluster)
        for name in cluster.nodes:
            start_node(cluster, name)
        cluster.check(proto)


class RoutedCluster:
    """The machines, without daemons; closed at the end of a `with`."""

    def __init__(self, families):
        self.families = families
        self.networks = {}
        with contextlib.ExitStack() as stack:
            self.segments = [stack.enter_context(Segment()) for _ in (0, 1)]
            self.router = stack.enter_context(Node("router"))
            self.nodes = {name: stack.enter_context(Node(name)) for name in SEGMENTS}
            self._join()
            self._stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _join(self):
        lengths = {"4": 24, "6": 48}
        for number, segment in enumerate(self.segments):
            segment.join(self.router, f"lan{number}", *(
                f"{gateway(number, family)}/{lengths[family]}" for family in self.families))
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for name, node in self.nodes.items():
            self.segments[SEGMENTS[name]].join(node, "uplink", *(
                f"{uplink(name, family)}/{lengths[family]}" for family in self.families))

    def add_pods(self):
        """One pod on each node, by the chain without peers."""
        for name, node in self.nodes.items():
            self.networks[name] = Conflist(
                node,
                {"type": "humanz-bridge", "bridge": "humanz-cni0"},
                {"type": "humanz-ipam",
                 "ranges": [[{"subnet": subnet(name, family)}] for family in self.families]},
                {"type": "humanz-route", "network": [PODS[family] for family in self.families]},
                name="humanz")
            self.networks[name].add(f"pod-{name}")

    def pod_addresses(self, name):
        result = self.networks[name].results[f"pod-{name}"]
        return [address(result, index) for index in range(len(self.families))]

    def wait_for_routes(self, proto, names=tuple(SEGMENTS), timeout=60):
        """Waits until each of the nodes, and the router, has the routes to all the others' pods, and
        no others, by the daemon of a route protocol."""
        expected = {name: sorted(subnet(other, family) for family in self.families
                                 for other in names if other != name) for name in names}
        expected["router"] = sorted(
            subnet(name, family) for family in self.families for name in names)
        machines = {**self.nodes, "router": self.router}
        end = time.monotonic() + timeout
        while True:
            found = {name: self.learned(machines[name], proto) for name in expected}
            if found == expected:
                return
            assert time.monotonic() < end, (found, expected)
            time.sleep(0.1)

    def learned(self, machine, proto):
        """The destinations that a machine has by a route protocol."""
        return sorted(route["dst"] for family in self.families
                      for route in machine.ip(f"-{family}", "route", "show", "proto", proto))

    def check_pods(self, names=tuple(SEGMENTS)):
        """Every pod of these nodes reaches every other one's, by every family."""
        for name in names:
            for other in names:
                if other == name:
                    continue
                for target in self.pod_addresses(other):
                    assert reaches(self.nodes[name], f"pod-{name}", target, wait=3), (name, target)

    def kill(self, name):
        """Ends a node, as if its power was cut."""
        self.nodes.pop(name).close()

    def check(self, proto):
        """What is true of the cluster once daemons run on all machines, and after a node has died."""
        self.add_pods()
        self.wait_for_routes(proto)
        self.check_pods()
        self._check_next_hops(proto)
        self._check_that_the_chain_leaves_the_daemon_alone(proto)
        lost = self.pod_addresses("node3")
        self.kill("node3")
        self.wait_for_routes(proto, ["node1", "node2"])
        self.check_pods(["node1", "node2"])
        for address in lost:
            refused = self.nodes["node1"].run("ip", "route", "get", address, check=False)
            assert "No route to host" in refused.stderr

    def _check_next_hops(self, proto):
        """The first node has the third one's pods behind the router."""
        router = {entry["local"] for link in self.router.ip("address", "show", "dev", "lan0")
                  for entry in link["addr_info"]}
        for family in self.families:
            route, = self.nodes["node1"].ip(
                f"-{family}", "route", "show", subnet("node3", family), "proto", proto)
            assert route["gateway"] in router

    def _check_that_the_chain_leaves_the_daemon_alone(self, proto):
        """No verb minds the daemon's routes; the rest of the network is refused."""
        node, network = self.nodes["node1"], self.networks["node1"]
        before = self.learned(node, proto)
        network.add("another")
        network.check("another")
        # What is newer than the protocol of the file.
        Network(node, "humanz-route", "1.1.0", name="humanz",
                network=network.plugins[-1]["network"]).call("STATUS")
        network.delete("another")
        assert self.learned(node, proto) == before
        for family in self.families:
            ours = node.ip(f"-{family}", "route", "show", "proto", "72", "table", "main")
            assert [(route["type"], route["dst"]) for route in ours] == [
                ("unreachable", PODS[family])]
