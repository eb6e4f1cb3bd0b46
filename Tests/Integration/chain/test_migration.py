# SPDX-License-Identifier: Apache-2.0
"""From flannel and kindnet to the chain and back, node by node, as Documentation/migration.md says.

`ip` and the reference plugins set up the nodes here as the daemons would.
"""

import pytest

from lab.attachment import comes_to_reach, reaches
from lab.cluster import Cluster, from_kubernetes, node_object, subnet, uplink
from lab.conflist import Conflist


class Flannel:
    """VXLAN between all nodes, and the reference bridge with the node's subnet."""

    def __init__(self, member):
        self.node, self.number = member.node, member.number
        self.pods = Conflist(
            self.node, {"type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True,
                        "ipam": {"type": "host-local", "subnet": subnet(self.number, "4"),
                                 "routes": [{"dst": "10.244.0.0/16"}]}}, name="cbr0")

    @staticmethod
    def hardware(number):
        return f"0e:00:00:00:00:{number:02x}"

    def start(self, numbers):
        """Does what flanneld does at its start."""
        self.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.node.run("ip", "link", "add", "flannel.1", "address", self.hardware(self.number), "type", "vxlan",
                      "id", "1", "local", uplink(self.number, "4"), "dev", "uplink", "dstport", "8472", "nolearning")
        self.node.run("ip", "address", "add", f"10.244.{self.number}.0/32", "dev", "flannel.1")
        self.node.run("ip", "link", "set", "flannel.1", "up")
        for number in numbers:
            if number != self.number:
                hardware = self.hardware(number)
                self.node.run("ip", "neigh", "replace", f"10.244.{number}.0", "lladdr", hardware,
                              "dev", "flannel.1", "nud", "permanent")
                self.node.run("bridge", "fdb", "replace", hardware, "dev", "flannel.1",
                              "dst", uplink(number, "4"))
                self.node.run("ip", "route", "replace", subnet(number, "4"), "via", f"10.244.{number}.0",
                              "dev", "flannel.1", "onlink")

    def leave(self):
        """After all nodes have moved: removes flannel.1."""
        self.node.run("ip", "link", "delete", "flannel.1")

    def clean(self):
        """After the node's last pod is gone: removes the bridge and the VXLAN device's address."""
        self.node.run("ip", "link", "delete", "cni0")
        # The link is in the pods' subnet.
        self.node.run("ip", "-4", "address", "flush", "dev", "flannel.1")


class Kindnet:
    """Routes between the nodes, and the reference ptp with the node's subnet."""

    def __init__(self, member):
        self.node, self.number = member.node, member.number
        self.pods = Conflist(
            self.node, {"type": "ptp", "ipMasq": False, "mtu": 1500,
                        "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
                                 "routes": [{"dst": "0.0.0.0/0"}],
                                 "ranges": [[{"subnet": subnet(self.number, "4")}]]}}, name="kindnet")

    def start(self, numbers):
        self.node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for number in numbers:
            if number != self.number:
                self.node.run("ip", "route", "replace", subnet(number, "4"), "via", uplink(number, "4"))

    def leave(self):
        """kindnetd leaves its routes."""

    def clean(self):
        """ptp leaves nothing."""


NUMBERS = (1, 2)


def address(conflist, pod):
    return conflist.results[pod]["ips"][0]["address"].split("/")[0]


@pytest.mark.parametrize("kind", [Flannel, Kindnet])
def test_nodes_move_one_by_one_and_back_and_pods_of_both_networks_reach_each_other(kind):
    with Cluster(["4"], from_kubernetes, count=2) as cluster:
        others = {member.number: kind(member) for member in cluster}
        for other in others.values():
            other.start(NUMBERS)
            other.pods.add("old")

        def all_reach_all(*pods):
            """Each of these pods reaches each other one."""
            for member, pod, _ in pods:
                for _, _, there in pods:
                    assert comes_to_reach(member.node, pod, there), (member.name, pod, there)

        def old(member):
            return member, "old", address(others[member.number].pods, "old")

        def new(member):
            return member, "new", address(member.chain, "new")

        one, two = cluster.members
        all_reach_all(old(one), old(two))

        for moved, standing in ((one, old(two)), (two, None)):
            # Drained: the node's pods are gone.
            others[moved.number].pods.delete("old")
            others[moved.number].clean()
            moved.sync(*(node_object(number, ["4"]) for number in NUMBERS))
            moved.chain.add("new")
            all_reach_all(new(moved), standing or new(one))

        # The daemon is removed; its routes are either right already or made again.
        for member in cluster:
            others[member.number].leave()
            member.sync(*(node_object(number, ["4"]) for number in NUMBERS))
        all_reach_all(new(one), new(two))
        for member in cluster:
            member.chain.check("new")

        # Moving back: the daemon first, then node by node.
        for moved, standing in ((one, new(two)), (two, None)):
            moved.chain.delete("new")
            moved.node.run("ip", "link", "delete", "humanz-cni0")
            moved.node.run("ip", "route", "flush", "proto", "72")
            others[moved.number].start(NUMBERS)
            others[moved.number].pods.add("old")
            if standing and kind is Flannel:
                # A node without flannel.1 receives no VXLAN; it gets the daemon with the manifest.
                others[two.number].start(NUMBERS)
            all_reach_all(old(moved), standing or old(one))
            if standing and kind is Flannel:
                others[two.number].leave()
        assert not reaches(one.node, "old", "10.244.2.250")
