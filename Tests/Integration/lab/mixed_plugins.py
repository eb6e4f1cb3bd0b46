# SPDX-License-Identifier: Apache-2.0
"""Configurations that mix the plugins of both suites, and a host for their pods to talk to."""

import json

from lab.traffic import NODE, add_world

SUBNET = "10.77.0.0/24"
GATEWAY = "10.77.0.1"

# The stages, and the reference plugins that make an interface without IPAM.
BRIDGE = {"type": "humanz-bridge", "bridge": "cni0"}
IPAM = {"type": "humanz-ipam", "subnet": SUBNET}
ROUTE = {"type": "humanz-route", "network": "10.76.0.0/15", "forward": False}
CHAIN = [BRIDGE, IPAM, ROUTE]
REFERENCE_BRIDGE = {"type": "bridge", "bridge": "cni0", "ipam": {}}
REFERENCE_MACVLAN = {"type": "macvlan", "master": "uplink", "ipam": {}}

# The reference meta plugins.
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
FIREWALL = {"type": "firewall"}
BANDWIDTH = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
TUNING = {"type": "tuning", "mac": "02:00:00:00:00:77", "mtu": 1400,
          "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}}
SBR = {"type": "sbr"}

# 20 Mbit/s each way, with no more than 200 kB at once.
RATE, BURST = 20_000_000, 1_600_000
LIMIT = {"ingressRate": RATE, "ingressBurst": BURST, "egressRate": RATE, "egressBurst": BURST}
HOST_PORT = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}

# The interface plugins of one suite with the IPAM plugins of the other, and ours with ours.
_GATEWAY = {"bridge": "cni0", "isGateway": True}
_ROUTES = {"routes": [{"dst": "0.0.0.0/0"}]}
_HOST_LOCAL = {"type": "host-local", "ranges": [[{"subnet": SUBNET}]], **_ROUTES}
_HUMANZ_IPAM = {**IPAM, **_ROUTES}
DELEGATING = {
    "humanz-bridge with host-local": {"type": "humanz-bridge", **_GATEWAY, "ipam": _HOST_LOCAL},
    "humanz-bridge with static": {
        "type": "humanz-bridge", **_GATEWAY, "ipam": {"type": "static", **_ROUTES}},
    "humanz-bridge with humanz-ipam": {"type": "humanz-bridge", **_GATEWAY, "ipam": _HUMANZ_IPAM},
    "bridge with humanz-ipam": {"type": "bridge", **_GATEWAY, "ipam": _HUMANZ_IPAM},
    "macvlan with humanz-ipam": {"type": "macvlan", "master": "uplink", "ipam": _HUMANZ_IPAM},
    "ptp with humanz-ipam": {"type": "ptp", "ipam": _HUMANZ_IPAM},
}


def add_world_for(node, interface):
    """Adds a host for the pods of an interface plugin: behind the node; for macvlan on the pods' segment, as their
    gateway."""
    add_world(node)
    if interface["type"] == "macvlan":
        node.run("ip", "address", "add", f"{GATEWAY}/24", "dev", "eth0", pod="world")
    else:
        node.run("ip", "route", "add", SUBNET, "via", NODE, pod="world")


def offers(**capabilities):
    """Capability arguments as the runtime passes them, as options of a verb."""
    return ["--capability-args", json.dumps(capabilities)]


def arguments(plugin, pod):
    """CNI_ARGS for a pod: its address, if the delegate is `static` and cannot choose one."""
    if plugin["ipam"]["type"] != "static":
        return []
    host = {"first": 11, "second": 12}[pod]
    return ["--args", f"IgnoreUnknown=1;IP=10.77.0.{host}/24;GATEWAY={GATEWAY}"]
