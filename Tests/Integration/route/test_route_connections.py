# SPDX-License-Identifier: Apache-2.0
"""humanz-route: DEL finds the connections of a pod's addresses among many others."""

import ipaddress
import pathlib

import pytest

from lab.system_calls import traced
from lab.traffic import PYTHON

# Another pod has too many connections to list them all.
_MANY = 5000

_SEND = """
import socket, sys
source, target, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in target else socket.AF_INET
for port in range(first, first + count):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind((source, port))
        client.sendto(b"x", (target, 9))
"""

ADDRESSES = {
    "4": ["10.244.1.2", "10.244.1.3", "10.244.1.9"],
    "6": ["fd00:244:1::2", "fd00:244:1::3", "fd00:244:1::9"],
}


def count(host, address):
    """The number of an address's connections."""
    text = ipaddress.ip_address(address).exploded
    listed = host.node.run("cat", "/proc/net/nf_conntrack").stdout
    return sum(f"src={text} " in line for line in listed.splitlines())


@pytest.mark.skipif(not pathlib.Path("/proc/net/nf_conntrack").exists(),
                    reason="the kernel does not list tracked connections")
def test_connections_of_all_addresses_are_found_in_one_walk_and_others_stay(host):
    first, second, other = ADDRESSES[host.version]
    length = {"4": 24, "6": 64}[host.version]
    node = host.node
    for address in (second, other):
        node.run("ip", "address", "add", f"{address}/{length}", "dev", "eth0", "nodad", pod="pod")
    gateway = host.prev_result["ips"][0]["gateway"]
    node.run("nft", "add table inet track; add chain inet track input "
                    "{ type filter hook input priority 0; }; "
                    "add rule inet track input ct state new accept")
    host.prev_result["ips"].append(
        {"address": f"{second}/{length}", "gateway": gateway, "interface": 0})
    network = host.network()
    result = host.add(network)
    for address, number in ((first, 20), (second, 30), (other, _MANY)):
        node.run(PYTHON, "-c", _SEND, address, gateway, 20000, number, pod="pod")
    assert (count(host, first), count(host, second)) == (20, 30)
    assert count(host, other) == _MANY
    # If the host interface exists, its own stage deletes the connections; here it does not.
    calls = traced(network, "DEL", "pod", "-e", "trace=sendto", prevResult=result)
    assert (count(host, first), count(host, second)) == (0, 0)
    assert count(host, other) == _MANY
    walks = [line for line in calls if "NLM_F_DUMP" in line and "CTNETLINK" in line]
    assert len(walks) <= 1, walks
