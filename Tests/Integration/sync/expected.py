# SPDX-License-Identifier: Apache-2.0
"""The input of a sync on node1, and the cluster file and the routes that it must make."""

import json

from lab.cluster import CLUSTER_FILE, node_object, subnets, uplinks
from lab.tool import Tool, command
from lab.waiting import eventually

SYNC = command("sync", "--node", "node1")


def sync(node, input, *words, check=True):
    return Tool(node).sync("node1", input, *words, check=check)


def member(number, families=("4",), **options):
    """A node of the cluster, as a Kubernetes object."""
    return node_object(number, families, **options)


def peers(*numbers, families=("4",)):
    """The peers in the cluster file, ordered by subnet."""
    return [{"name": f"node{number}", "subnet": subnets(number, [family])[0],
             "via": uplinks(number, [family])} for family in families for number in numbers]


def content(*numbers, families=("4",)):
    """The cluster file with these peers."""
    return {"node": "node1", "subnets": subnets(1, families),
            "peers": peers(*numbers, families=families)}


def expected(*numbers, families=("4",)):
    """The routes to these peers."""
    return {peer["subnet"]: peer["via"][0] for peer in peers(*numbers, families=families)}


def routes(node):
    """The routes of protocol 72, destination to next hop."""
    return {route["dst"]: route["gateway"] for family in ("-4", "-6")
            for route in node.ip(family, "route", "show", "proto", "72")}


def own_route(node):
    """The kernel's route to the node's own pods."""
    return node.ip("route", "show", subnets(1, ["4"])[0])


def give_gateway(node):
    """Gives the node the bridge of its pods, as an ADD makes it; returns the kernel's route to them."""
    node.run("ip", "link", "add", "pods", "type", "bridge")
    node.run("ip", "link", "set", "pods", "up")
    node.run("ip", "address", "add", "10.244.1.1/24", "dev", "pods")
    return own_route(node)


def cluster_file(node, path=CLUSTER_FILE):
    return json.loads(node.path(path).read_text())


def inode(node):
    """The inode of the cluster file: each write makes a new one."""
    return node.path(CLUSTER_FILE).stat().st_ino


# Changes by others to a node's routes, as shell commands.
HARM = [
    "ip link set uplink down; ip link set uplink up",
    "ip route delete 10.244.2.0/24",
    "ip route flush proto 72",
    "ip route replace 10.244.3.0/24 via 192.168.0.77 proto 72",
    "ip address delete 192.168.0.1/24 dev uplink; ip address add 192.168.0.1/24 dev uplink",
]
HARM_IDS = ["link flap", "route deleted", "all deleted", "another next hop", "address flap"]


def seconds_to_repair(node, harm, right):
    """The seconds until the routes are right again after a change."""
    node.run("sh", "-c", harm)
    return eventually(lambda: routes(node) == right)
