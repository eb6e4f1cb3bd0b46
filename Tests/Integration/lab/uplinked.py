# SPDX-License-Identifier: Apache-2.0
"""humanz-route alone, on a node and a pod whose links were not made by our plugins."""

from lab.attachment import Network
from lab.cluster import LENGTHS, NETWORKS, subnet, uplink

POD = {"4": ("10.244.1.2/24", "10.244.1.1"), "6": ("fd00:244:1::2/64", "fd00:244:1::1")}


class Uplinked:
    """A node with an uplink and a pod, whose links were not made by our plugins."""

    def __init__(self, node, version):
        self.node = node
        self.version = version
        node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
        node.run("ip", "link", "set", "far", "up")
        node.run("ip", "link", "set", "uplink", "up")
        node.run("ip", "address", "add", f"{self.via(1)}/{LENGTHS[version]}",
                 "dev", "uplink", "nodad")
        node.add_pod("pod")
        node.run("ip", "link", "add", "port0", "type", "veth", "peer", "name", "eth0",
                 "netns", "pod")
        node.run("ip", "link", "set", "port0", "up")
        address, gateway = POD[version]
        node.run("ip", "address", "add", f"{gateway}/{address.split('/')[1]}", "dev", "port0",
                 "nodad")
        node.run("ip", "link", "set", "eth0", "up", pod="pod")
        node.run("ip", "address", "add", address, "dev", "eth0", "nodad", pod="pod")
        self.prev_result = {
            "cniVersion": "1.1.0",
            "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
            "ips": [{"address": address, "gateway": gateway, "interface": 0}]}

    def via(self, number):
        return uplink(number, self.version)

    def subnet(self, number):
        return subnet(number, self.version)

    def network(self, *peers, **keys):
        return Network(
            self.node, "humanz-route", version="1.1.0", network=NETWORKS[self.version],
            peers=list(peers), **keys)

    def peer(self, number, *via, **keys):
        return {"name": f"node{number}", "subnet": self.subnet(number),
                "via": list(via) or self.via(number), **keys}

    def add(self, network, **keys):
        return network.add("pod", prevResult=self.prev_result, **keys)

    def routes(self, *words):
        return self.node.ip(f"-{self.version}", "route", "show", *words)

    def ours(self):
        """Destination and next hops of our routes to peers."""
        return {route["dst"]: route.get("gateway") or
                sorted(hop["gateway"] for hop in route["nexthops"])
                for route in self.routes("proto", "72") if route.get("type") != "unreachable"}


def status(network, **keys):
    """The code and the message of STATUS's error; 0 and an empty message for a success."""
    return network.error_of("STATUS", **keys)


def limits(network):
    """As `status`, with `statusLimited`."""
    return status(network, statusLimited=True)


def check(network):
    """As `status`, for a CHECK of the pod."""
    return network.error_of("CHECK", "pod", prevResult=network.results["pod"])
