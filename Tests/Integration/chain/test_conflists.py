# SPDX-License-Identifier: Apache-2.0
"""Every file in conflists/ does what its line in conflists/README.md says."""

import contextlib
import functools
import json

import pytest

from lab.attachment import address, reaches
from lab.cluster import Cluster, from_kubernetes, node_object
from lab.conflist import Conflist
from lab.isolated_node import ROOT, Node, Segment
from lab.traffic import NODE, add_world, fetch, seen_as, serve, serve_callers

FOLDER = ROOT / "conflists"


def read(path):
    return json.loads(path.read_text())


def network(node, configuration):
    configuration = dict(configuration)
    return Conflist(node, *configuration.pop("plugins"), **configuration)


@contextlib.contextmanager
def two_nodes(uplink, *addresses):
    """Two nodes on a segment; the last digits of their addresses are 10 and 20."""
    with Segment() as segment, Node("node1") as first, Node("node2") as second:
        for number, node in enumerate((first, second), 1):
            segment.join(node, uplink, *(one.format(10 * number) for one in addresses))
        yield segment.node, first, second


def for_node2(configuration):
    """The chain's configuration on node 2: the two nodes' subnets swapped, and node 1 as its peer."""
    _, ipam, route = configuration["plugins"][:3]
    own = [ipam] if "subnet" in ipam else [ranges[0] for ranges in ipam["ranges"]]
    peers = [peer for peer in route["peers"] if peer["name"] == "node2"]
    assert len(own) == len(peers)
    for mine, peer in zip(own, peers):
        mine["subnet"], peer["subnet"] = peer["subnet"], mine["subnet"]
        peer["name"], peer["via"] = "node1", peer["via"].removesuffix("20") + "10"
    return configuration


def run_the_chain(path):
    """Node 1 runs the shipped file, node 2 its variant: pods reach each other across nodes by each of
    their addresses."""
    with two_nodes("eth0", "200.0.0.{}/24", "fd00:200::{}/64") as (_, first, second):
        networks = [network(first, read(path)), network(second, for_node2(read(path)))]
        offer = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
                 "bandwidth": {"ingressRate": 10**8, "ingressBurst": 10**6}}
        options = ["--capability-args", json.dumps(offer)]
        results = {}
        for number, one in enumerate(networks, 1):
            results[f"pod{number}"] = one.add(f"pod{number}", *options)
            serve_callers(one.node, f"pod{number}")
        for one, pod, other in [(networks[0], "pod1", "pod2"), (networks[1], "pod2", "pod1")]:
            for index, ip in enumerate(results[other]["ips"]):
                # Without NAT: a pod is seen by its own address.
                own = address(results[pod], index)
                assert seen_as(one.node, pod, ip["address"].split("/")[0]) == own

        types = [plugin["type"] for plugin in networks[0].plugins]
        if "portmap" in types:
            serve(first, "pod1", "the page of pod1")
            assert fetch(second, "http://200.0.0.10:8080/") == "the page of pod1"
            assert "tbf" in first.run("tc", "qdisc").stdout
            assert address(results["pod1"]) in first.run("iptables", "-S", "CNI-FORWARD").stdout
        for number, one in enumerate(networks, 1):
            # Debian's portmap checks for an IPv6 rule of each port even without IPv6.
            one.without("portmap").check(f"pod{number}", *options)
            one.delete(f"pod{number}", *options)
            assert one.node.leases() == set()
            assert one.node.ip("link", "show", "type", "veth", "master", "humanz-cni0") == []
        return results


def run_dual_stack(path):
    results = run_the_chain(path)
    assert [len(result["ips"]) for result in results.values()] == [2, 2]


def run_bridge_behind_its_node(path):
    """Pods reach each other, and hosts beyond the node with the node's address."""
    with Node("node") as node:
        add_world(node)
        serve(node, "world", "the page of the world")
        pods = network(node, read(path))
        first, second = (address(pods.add(pod)) for pod in ("first", "second"))
        assert first.startswith("10.88.") and first != second
        # The world has no route to the pods: it can answer only to the node.
        assert fetch(node, "http://192.0.2.1/", pod="first") == "the page of the world"
        assert reaches(node, "first", second)
        assert reaches(node, "second", NODE)
        for pod in ("first", "second"):
            pods.check(pod)
            pods.delete(pod)
        assert node.leases() == set()
        assert node.ip("link", "show", "master", "cni0") == []


def run_with_published_ports(path):
    """The node publishes a pod's port to the world, to itself and to the pod; a pod reaches the world
    with the node's address."""
    offer = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
    options = ["--capability-args", json.dumps(offer)]
    with Node("node") as node:
        add_world(node)
        serve(node, "world", "the page of the world")
        pods = network(node, read(path))
        pods.add("web", *options)
        other = address(pods.add("other"))
        serve(node, "web", "the page of the pod")
        assert fetch(node, f"http://{NODE}:8080/", pod="world") == "the page of the pod"
        for pod in (None, "other", "web"):
            assert fetch(node, f"http://{NODE}:8080/", pod=pod) == "the page of the pod", pod
        # The world has no route to the pods: it can answer only to the node.
        assert fetch(node, "http://192.0.2.1/", pod="other") == "the page of the world"
        assert reaches(node, "web", other)
        for pod in ("web", "other"):
            pods.delete(pod, *(options if pod == "web" else []))
        assert fetch(node, f"http://{NODE}:8080/", pod="world") is None
        assert node.leases() == set()
        assert node.ip("link", "show", "type", "veth", "master", "humanz-cni0") == []


def run_macvlan_on_the_lan(path):
    """Pods of two nodes are hosts on one LAN; the LAN's router is their default gateway."""
    with two_nodes("eth0", "192.168.1.{}/24") as (lan, first, second):
        lan.run("ip", "address", "add", "192.168.1.1/24", "dev", "lan")
        lan.run("ip", "address", "add", "198.51.100.1/32", "dev", "lo")
        other = read(path)
        other["plugins"][1] |= {"rangeStart": "192.168.1.220", "rangeEnd": "192.168.1.239"}
        networks = [network(first, read(path)), network(second, other)]
        here, there = (address(one.add("pod")) for one in networks)
        assert (here, there) == ("192.168.1.200", "192.168.1.220")
        assert reaches(first, "pod", there)
        assert reaches(second, "pod", here)
        for one in networks:
            assert reaches(one.node, "pod", "198.51.100.1"), "through the LAN's router"
            one.check("pod")
            one.delete("pod")
            assert one.node.leases() == set()
            assert one.node.ip("link", "show", pod="pod")[1:] == []


def run_as_a_cluster_has_it(path):
    """The same file on three nodes: `humanz sync` gets each node's subnet and peers from Kubernetes."""
    with Cluster(["4"], functools.partial(from_kubernetes, path=path)) as cluster:
        for member in cluster:
            member.sync(*(node_object(number, ["4"]) for number in (1, 2, 3)))
            member.add_pod()
        assert [member.addresses() for member in cluster] == [
            [f"10.244.{number}.2"] for number in (1, 2, 3)]
        assert cluster.all_reach_all()
        for member in cluster:
            member.chain.check(member.pod)
            member.chain.delete(member.pod)
            assert member.node.leases() == set()


RUN = {
    "10-humanz.conflist": run_the_chain,
    "10-humanz-complete.conflist": run_the_chain,
    "10-humanz-podman.conflist": run_with_published_ports,
    "10-humanz-dualstack.conflist": run_dual_stack,
    "10-humanz-bridge-host-local.conflist": run_bridge_behind_its_node,
    "10-bridge-humanz-ipam.conflist": run_bridge_behind_its_node,
    "10-macvlan-humanz.conflist": run_macvlan_on_the_lan,
    "20-humanz-kubernetes-without-portmap.conflist": run_as_a_cluster_has_it,
    "20-humanz-kubernetes.conflist": run_as_a_cluster_has_it,
}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.conflist")))
def test_the_file_does_what_it_is_for(name):
    RUN[name](FOLDER / name)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.conflist")))
def test_the_file_can_be_read_by_runtimes_of_1_0_0_and_is_in_the_readme(name):
    configuration = read(FOLDER / name)
    assert configuration["cniVersion"] == "1.0.0"
    others = {plugin["type"] for plugin in configuration["plugins"]
              if not plugin["type"].startswith("humanz-")}
    # The reference plugins that distributions ship do not support 1.1.0.
    assert not others or "cniVersions" not in configuration
    assert f"| [`{name}`]({name}) |" in (FOLDER / "README.md").read_text()
