# SPDX-License-Identifier: Apache-2.0
"""Traffic between pods of two nodes: plain routes, our overlay, and flannel's way with three objects a peer.

    make -C Benchmarks overlay

Both nodes are namespaces on one segment, so only the path of the packets differs. Measures TCP with iperf3 in
turns, the time of an echo, and the time that the kernel takes to make 1,000 peers.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests" / "Integration"))

from lab.attachment import Chain  # noqa: E402
from lab.cluster import Cluster, static_peers, subnet, uplink  # noqa: E402
from lab.isolated_node import Node  # noqa: E402
from lab.uplinked import Uplinked  # noqa: E402
from report import machine  # noqa: E402

ROUNDS, SECONDS = 5, 2
PEERS = 1000


def ours(overlay):
    def chain(member):
        return Chain(member.node, {"type": "humanz-bridge"},
                     {"type": "humanz-ipam", "ranges": member.ranges},
                     {"type": "humanz-route", "network": member.networks, "overlay": overlay,
                      "peers": [{"subnet": subnet(3 - member.number, "4"),
                                 "via": uplink(3 - member.number, "4")}]})
    return chain


def like_flannel(member):
    """A VXLAN device with a forwarding entry, a neighbour and a route for each peer."""
    node, other = member.node, 3 - member.number
    mac = "0e:00:00:00:00:{:02x}".format
    node.run("ip", "link", "add", "flannel.1", "mtu", "1450", "address", mac(member.number),
             "type", "vxlan", "id", "1", "dstport", "8472", "local", uplink(member.number, "4"), "nolearning")
    node.run("ip", "link", "set", "flannel.1", "up")
    gateway = subnet(other, "4").split("/")[0]
    node.run("bridge", "fdb", "add", mac(other), "dev", "flannel.1", "dst", uplink(other, "4"))
    node.run("ip", "neigh", "add", gateway, "lladdr", mac(other), "dev", "flannel.1", "nud", "permanent")
    node.run("ip", "route", "add", subnet(other, "4"), "via", gateway, "dev", "flannel.1", "onlink")


def flannel(member):
    chain = static_peers(member, count=1)
    chain.stages[-1].configuration |= {"peers": [], "unreachable": False}
    like_flannel(member)
    return chain


CONTESTANTS = {"plain routes": ours("never"), "our overlay": ours("always"),
               "as flannel's VXLAN": flannel}


class Pair:
    """Two nodes with a pod each, and an iperf3 server in one pod; closed at the end of a `with`."""

    def __init__(self, chain):
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(Cluster(["4"], chain, count=2))
            cluster.add_pods()
            self.first, second = cluster
            assert cluster.all_reach_all()
            self.address = second.addresses()[0]
            server = second.node.start("iperf3", "-s", pod=second.pod, stdout=-3)
            stack.callback(server.wait)
            stack.callback(server.terminate)
            self._stack = stack.pop_all()
        time.sleep(0.5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def rate(self):
        """The rate of one TCP stream, in Gbit/s."""
        report = json.loads(self.first.node.run(
            "iperf3", "-J", "-c", self.address, "-t", SECONDS, pod=self.first.pod).stdout)
        return report["end"]["sum_received"]["bits_per_second"] / 1e9

    def echo(self):
        """The mean time of 1,000 echoes, in microseconds."""
        printed = self.first.node.run(
            "ping", "-q", "-f", "-c", "1000", self.address, pod=self.first.pod).stdout
        return float(printed.rsplit("=", 2)[1].split("/")[1]) * 1000


def streams():
    """The rates and the echo times of each round, by name."""
    with contextlib.ExitStack() as stack:
        pairs = {name: stack.enter_context(Pair(chain)) for name, chain in CONTESTANTS.items()}
        found = {name: ([], []) for name in pairs}
        for _ in range(ROUNDS):
            for name, pair in pairs.items():
                found[name][0].append(pair.rate())
                found[name][1].append(pair.echo())
        return found


def making(lines, prepare):
    """The milliseconds that `ip -batch` takes to make the objects of all peers."""
    with Cluster(["4"], ours("never"), count=1) as (member,):
        times = []
        for _ in range(ROUNDS):
            member.node.run("ip", "link", "delete", "vx", check=False)
            for words in prepare:
                member.node.run("ip", *words.split())
            start = time.perf_counter()
            for program, text in lines:
                member.node.run(program, "-batch", "-", input=text)
            times.append((time.perf_counter() - start) * 1000)
        return statistics.median(times)


def peers():
    return [(f"10.{64 + n // 256}.{n % 256}.0", f"192.168.{n // 250}.{1 + n % 250}", n)
            for n in range(PEERS)]


def adding():
    """The milliseconds of humanz-route's whole ADD, with routes, device and the check of senders of all peers."""
    times = []
    for _ in range(ROUNDS):
        with Node("node") as node:
            host = Uplinked(node, "4")
            node.run("ip", "route", "add", "default", "via", host.via(254))
            network = host.network(
                *({"subnet": f"{net}/24", "via": via.replace("192.168.", "198.18.", 1)} for net, via, _ in peers()),
                overlay="off-link", logFile="")
            network.configuration["network"] = "10.0.0.0/8"
            start = time.perf_counter()
            host.add(network)
            times.append((time.perf_counter() - start) * 1000)
            assert node.run("ip", "route").stdout.count("encap") == PEERS
    return statistics.median(times)


def table():
    lines = [f"Between pods of two nodes on one segment, {ROUNDS} rounds in turns of {SECONDS} s; on {machine()}.", "",
             "| TCP, one stream | Gbit/s, median | least | most | × plain | an echo, µs |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    found = streams()
    plain = statistics.median(found["plain routes"][0])
    for name, (rates, echoes) in found.items():
        rate = statistics.median(rates)
        lines.append(f"| {name} | {rate:.1f} | {min(rates):.1f} | {max(rates):.1f} | {rate / plain:.2f} "
                     f"| {statistics.median(echoes):.0f} |")
    routes = "".join(f"route replace {net}/24 encap ip id 72 dst {via} dev vx mtu 1464 proto 72\n"
                     for net, via, _ in peers())
    mac = "0e:00:00:00:{0:02x}:{1:02x}".format
    three = [
        ("bridge", "".join(f"fdb replace {mac(n // 256, n % 256)} dev vx dst {via}\n"
                           for _, via, n in peers())),
        ("ip", "".join(f"neigh replace {net} lladdr {mac(n // 256, n % 256)} dev vx nud permanent\n"
                       f"route replace {net}/24 via {net} dev vx onlink\n" for net, _, n in peers())),
    ]
    one = making([("ip", routes)], ["link add vx type vxlan external gpe dstport 4790",
                                    "link set vx up"])
    other = making(three, ["link add vx type vxlan id 1 dstport 8472 nolearning", "link set vx up"])
    return "\n".join(lines + [
        "", f"| {PEERS:,} peers made | kernel objects | ms, median |", "| --- | ---: | ---: |",
        f"| our overlay, by the first ADD of humanz-route, with the check of senders | {PEERS:,} | {adding():.0f} |",
        f"| our overlay's routes, by `ip -batch` | {PEERS:,} | {one:.0f} |",
        f"| as flannel's VXLAN, by `ip -batch` | {3 * PEERS:,} | {other:.0f} |", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, help="folder for the table")
    output = parser.parse_args().output
    text = table()
    print(text)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "overlay.md").write_text(text)


if __name__ == "__main__":
    main()
