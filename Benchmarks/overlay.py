"""Between pods of two nodes: plain routes, our overlay, and three objects a peer as flannel makes them.

    make -C Benchmarks overlay

Two nodes in namespaces, on one segment, so that only the way of the packets differs: TCP by iperf3 for
some seconds each way in turn, and how long the kernel takes to make 1,000 peers.
"""

import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests" / "Integration"))

from lab.attachment import Chain  # noqa: E402
from lab.cluster import Cluster, static_peers, subnet, uplink  # noqa: E402

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
    """A VXLAN device with an entry in its forwarding database, a neighbour and a route for each peer."""
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


def stream(chain):
    """Gigabits a second between two pods, of each round."""
    with Cluster(["4"], chain, count=2) as cluster:
        cluster.add_pods()
        first, second = cluster
        assert cluster.all_reach_all()
        server = second.node.start("iperf3", "-s", pod=second.pod, stdout=-3)
        time.sleep(0.5)
        rates = []
        for _ in range(ROUNDS):
            report = json.loads(first.node.run(
                "iperf3", "-J", "-c", second.addresses()[0], "-t", SECONDS, pod=first.pod).stdout)
            rates.append(report["end"]["sum_received"]["bits_per_second"] / 1e9)
        server.terminate()
        server.wait()
        return rates


def making(lines, prepare):
    """Milliseconds that `ip -batch` takes for the objects of all peers."""
    with Cluster(["4"], ours("never"), count=1) as (member,):
        for words in prepare:
            member.node.run("ip", *words.split())
        times = []
        for number in range(ROUNDS):
            if number:
                for words in prepare:
                    member.node.run("ip", *words.replace(" add ", " del ").split()[:4], check=False)
                    member.node.run("ip", *words.split())
            start = time.perf_counter()
            for program, text in lines:
                member.node.run(program, "-batch", "-", input=text)
            times.append((time.perf_counter() - start) * 1000)
        return statistics.median(times)


def peers():
    return [(f"10.{64 + n // 256}.{n % 256}.0", f"192.168.{n // 250}.{1 + n % 250}", n)
            for n in range(PEERS)]


def main():
    print(f"| between pods of two nodes | Gbit/s, median of {ROUNDS} | least | most |\n|---|---|---|---|")
    for name, chain in CONTESTANTS.items():
        rates = stream(chain)
        print(f"| {name} | {statistics.median(rates):.1f} | {min(rates):.1f} | {max(rates):.1f} |",
              flush=True)
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
    print(f"\n| {PEERS} peers made with `ip -batch` | objects | ms |\n|---|---|---|")
    print(f"| our overlay | {PEERS} | {one:.0f} |\n| as flannel's VXLAN | {3 * PEERS} | {other:.0f} |")


if __name__ == "__main__":
    main()
