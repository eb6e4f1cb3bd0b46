# SPDX-License-Identifier: Apache-2.0
"""The size of packets through the overlay: the largest that fit, and larger ones."""

import functools
import re
import subprocess

import pytest

from lab.cluster import gateway, subnet
from lab.overlay import PORT, Routed, captured, chain
from lab.traffic import PYTHON

_SERVE = """
import socket
with socket.create_server(("::", 5000), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    connection.sendall(bytes(10 << 20))
    connection.close()
"""

_FETCH = """
import socket, sys
count = 0
with socket.create_connection((sys.argv[1], 5000), timeout=20) as connection:
    while data := connection.recv(65536):
        count += len(data)
print(count)
"""


class Downloaded:
    """The packets on the router's second link while one pod fetches 10 MB from another."""

    def __init__(self, cluster, server, client, fragments=False):
        process = server.node.start(
            PYTHON, "-c", _SERVE, pod=server.pod, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "listening\n"
        # With offloads on, tcpdump would see packets that the link merged.
        for member in cluster:
            member.node.run("ethtool", "-K", "uplink", "tso", "off", "gso", "off", "gro", "off",
                            check=False)
        with captured(cluster.router, "-v", "udp", "port", str(PORT), link="lan1") as seen:
            self.count = int(client.node.run(
                PYTHON, "-c", _FETCH, server.addresses()[0], pod=client.pod).stdout)
            assert self.count == 10 << 20
        process.wait()
        process.stdout.close()
        # tcpdump -v prints the outer header, and the inner one on a line of its own.
        outer = [line for line in seen.lines if line[:2].isdigit()]
        in_parts = [line for line in outer if re.search(r"flags \[\+\]|offset [1-9]|frag ", line)]
        assert outer and bool(in_parts) == fragments
        headers = {" IP ": (r"length (\d+)\)", 0), " IP6 ": (r"payload length: (\d+)\)", 40)}
        pattern, header = next(headers[word] for word in headers if word in outer[0])
        # The sizes of the outer packets in bytes, without small acknowledgements. tcpdump may miss some packets.
        sizes = [int(size) + header for line in outer for size in re.findall(pattern, line)]
        self.sizes = [size for size in sizes if size > 200]

    def are_full(self, size):
        """Whether the packets have this size, except for the last one of a burst."""
        assert len(self.sizes) > 50 and max(self.sizes) == size, self.sizes
        return self.sizes.count(size) > 0.9 * len(self.sizes)


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_download_across_the_router_passes_with_full_segments(version):
    with Routed([version]) as cluster:
        cluster.add_pods()
        first, _, third = cluster
        assert Downloaded(cluster, server=third, client=first).are_full(1500)


@pytest.mark.parametrize("pods, underlay", [("4", "4"), ("6", "6"), ("4", "6"), ("6", "4")])
def test_a_smaller_mtu_on_the_way_is_found_and_kept_to(pods, underlay):
    """The second segment has an MTU of 1,400; the node on the first does not know it."""
    with Routed([pods], functools.partial(chain, under=underlay), [underlay]) as cluster:
        cluster.add_pods()
        first, _, third = cluster
        cluster.router.run("ip", "link", "set", "lan1", "mtu", "1400")
        third.node.run("ip", "link", "set", "uplink", "mtu", "1400")
        for server, client in ((first, third), (third, first)):
            assert Downloaded(cluster, server, client).are_full(1400)
        # The same holds for a datagram that its sender fragments.
        assert reaches_with(first, third.addresses()[0], 4000)


def test_where_the_node_does_not_follow_path_mtu_discovery_routers_fragment():
    with Routed(["4"]) as cluster:
        cluster.add_pods()
        first, _, third = cluster
        for member in cluster:
            member.node.run("sysctl", "-qw", "net.ipv4.ip_forward_use_pmtu=0")
            member.chain.add("more")
            member.chain.check(member.pod)
        cluster.router.run("ip", "link", "set", "lan1", "mtu", "1400")
        third.node.run("ip", "link", "set", "uplink", "mtu", "1400")
        assert Downloaded(cluster, first, third, fragments=True).count == 10 << 20


def reaches_with(member, address, size):
    """Whether large echo requests are answered; the first ones may only discover the path MTU, each way."""
    return member.node.run(
        "ping", "-c", "12", "-i", "0.2", "-W", "2", "-s", size, address, pod=member.pod,
        check=False).stdout.count("bytes from") >= 1


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_large_datagram_passes_in_parts(version):
    with Routed([version]) as cluster:
        cluster.add_pods()
        first, _, third = cluster
        assert reaches_with(first, third.addresses()[0], 30000)


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_segment_with_jumbo_frames_keeps_them(version):
    """Two nodes whose uplinks have an MTU of 9,000, and a router with 1,500."""
    with Routed([version]) as cluster:
        first, second, third = cluster
        for member in (first, second):
            member.node.run("ip", "link", "set", "uplink", "mtu", "9000")
            cluster.segments[0].node.run("ip", "link", "set", f"to-{member.name}", "mtu", "9000")
            member.chain.stages[0].configuration["mtu"] = 9000
        cluster.segments[0].node.run("ip", "link", "set", "lan", "mtu", "9000")
        for member in (first, second):
            # The administrator sets the MTU of the route to the router.
            member.node.run("ip", f"-{version}", "route", "replace", "default", "via",
                            gateway(0, version), "mtu", "1500")
        cluster.add_pods()
        headers = {"4": 28, "6": 48}[version]

        def ping(address, size):
            return first.node.run("ping", "-c", "1", "-W", "2", "-M", "do", "-s", size - headers, address,
                                  pod=first.pod, check=False).returncode == 0
        [near], [far] = second.addresses(), third.addresses()
        assert ping(near, 9000)
        assert ping(far, 1500 - {"4": 36, "6": 56}[version])
        assert cluster.all_reach_all()


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_packet_that_is_too_large_is_told_the_size_that_fits(version):
    overhead = {"4": 36, "6": 56}[version]
    with Routed([version]) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        headers = {"4": 28, "6": 48}[version]

        def ping(address, size):
            return first.node.run(
                "ping", "-c", "1", "-W", "2", "-M", "do", "-s", size - headers, address,
                pod=first.pod, check=False)
        [near], [far] = second.addresses(), third.addresses()
        assert ping(near, 1500).returncode == 0
        assert ping(far, 1500 - overhead).returncode == 0
        answer = ping(far, 1500 - overhead + 1)
        assert answer.returncode != 0
        assert f"mtu = {1500 - overhead}" in answer.stdout or f"mtu={1500 - overhead}" in (
            answer.stdout + answer.stderr)
        [route] = [line for line in first.node.run(
            "ip", f"-{version}", "route").stdout.splitlines() if line.startswith(subnet(3, version))]
        assert f"mtu {1500 - overhead}" in route
        # Packets on the same segment keep the links' MTU.
        assert "mtu" not in first.node.run("ip", f"-{version}", "route", "show", subnet(2, version)).stdout
