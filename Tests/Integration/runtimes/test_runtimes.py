# SPDX-License-Identifier: Apache-2.0
"""The chain under real container runtimes: two pods on each of two nodes."""

import contextlib
import json
import time

import pytest

from lab.isolated_node import NETWORKS, ROOT, Node, Segment
from lab.runtimes import Containerd, Podman
from lab.traffic import fetch

PODS = {"a": 0, "b": 0, "c": 1, "d": 1}


def write_chain(node, number, *more):
    """Writes a node's conflist: node 1's is the shipped one, another's has its own subnet and peers. `more`
    are further plugins."""
    network = json.loads((ROOT / "conflists/10-humanz.conflist").read_text())
    _, ipam, route = network["plugins"]
    network["plugins"] += more
    ipam["subnet"] = f"100.100.{number - 1}.0/24"
    route["peers"] = [
        {"name": f"node{n}", "subnet": f"100.100.{n - 1}.0/24", "via": f"200.0.0.{n}0"}
        for n in (1, 2) if n != number]
    node.path(f"{NETWORKS}/10-humanz.conflist").write_text(json.dumps(network))


@pytest.fixture(params=[Podman, Containerd], ids=["podman", "containerd"])
def kind(request):
    return request.param


@pytest.fixture
def runtimes(kind):
    """The runtime on two nodes of one segment."""
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment())
        started = []
        for number in (1, 2):
            node = stack.enter_context(Node(f"node{number}"))
            segment.join(node, "uplink", f"200.0.0.{number}0/24")
            write_chain(node, number)
            started.append(kind(node))
            stack.callback(started[-1].close)
            # The bridge and everything that the network's pods share stay on the node: make them first.
            started[-1].run("first")
            started[-1].remove("first")
        yield started


def traces(runtimes):
    """What pods leave on the nodes, without neighbours on the nodes' own segment."""
    left = [runtime.node.traces() for runtime in runtimes]
    for one in left:
        one["neighbours"] = [name for name in one["neighbours"] if name.startswith("100.100.")]
    return left


def run_pods(runtimes):
    """Starts the pods; returns their addresses."""
    for name, number in PODS.items():
        runtimes[number].run(name)
    return {name: runtimes[number].address(name) for name, number in PODS.items()}


def reach_each_other(runtimes, addresses):
    for name, number in PODS.items():
        for other, address in addresses.items():
            if other != name:
                assert runtimes[number].fetch(name, address) == other


def end(node, programs):
    """Kills these programs on a node, as a crash does."""
    processes = [line.split() for line in node.run("ps", "-eo", "pid=,comm=").stdout.splitlines()]
    ids = [number for number, name in processes if name[:15] in {p[:15] for p in programs}]
    assert ids
    node.run("kill", "-KILL", *ids)
    for _ in range(100):
        if not any(node.path(f"/proc/{number}/exe").exists() for number in ids):
            return
        time.sleep(0.05)
    raise AssertionError(f"{ids} do not end")


def calls(node, plugin, verb):
    log = node.path("/var/log/humanz_cni.log").read_text().splitlines()
    return sum(f" {plugin} {verb} " in line for line in log)


def test_pods_reach_each_other_across_nodes_and_leave_nothing(runtimes):
    before = traces(runtimes)
    assert [one["leases"] for one in before] == [[], []]
    addresses = run_pods(runtimes)
    assert [address.rsplit(".", 1)[0] for address in addresses.values()] == [
        "100.100.0", "100.100.0", "100.100.1", "100.100.1"]
    reach_each_other(runtimes, addresses)
    for name, number in PODS.items():
        page = runtimes[number].node.run(
            "curl", "-sS", "--max-time", "2", f"http://{addresses[name]}/hostname").stdout
        assert page.strip() == name, "a node reaches its own pods"
    for number, names in enumerate([["a", "b"], ["c", "d"]]):
        runtimes[number].remove(*names)
    assert traces(runtimes) == before


@pytest.mark.parametrize("with_pods", [False, True], ids=["alone", "with its pods"])
def test_a_runtime_that_was_killed_cleans_up_when_it_is_back(runtimes, with_pods):
    before = traces(runtimes)
    addresses = run_pods(runtimes)
    runtime = runtimes[0]
    deletions = calls(runtime.node, "humanz-bridge", "DEL")
    runtime.close()
    end(runtime.node, runtime.OWN | ({"containerd-shim", "busybox"} if with_pods else set()))
    assert set(runtime.node.leases()) == {addresses["a"], addresses["b"]}, "nothing is cleaned up yet"

    runtime.start()
    if not with_pods:
        assert runtimes[1].fetch("c", addresses["a"]) == "a", "the pod runs on without its runtime"
    runtime.remove("a", "b")
    assert calls(runtime.node, "humanz-bridge", "DEL") >= deletions + 2
    runtime.run("a")
    assert runtimes[1].fetch("c", runtime.address("a")) == "a"
    runtime.remove("a")
    runtimes[1].remove("c", "d")
    assert traces(runtimes) == before


PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}


def test_the_runtimes_host_ports_lead_to_pods_of_the_chain(node, kind):
    write_chain(node, 1, PORTMAP)
    with contextlib.closing(kind(node)) as runtime:
        runtime.run("pod", ports=[(8080, 80)])
        url = "http://127.0.0.1:8080/hostname"
        assert fetch(node, url).strip() == "pod"
        runtime.remove("pod")
        assert fetch(node, url) is None


def test_a_pod_whose_add_fails_at_a_later_plugin_leaves_nothing(node, kind):
    write_chain(node, 1, {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.nonsense": "1"}})
    with contextlib.closing(kind(node)) as runtime:
        for count in (1, 2):
            with pytest.raises(Exception, match="nonsense"):
                runtime.run(f"pod{count}")
            assert calls(node, "humanz-route", "ADD") == count, "the failing plugin comes after the chain"
            assert calls(node, "humanz-bridge", "DEL") >= count
            assert node.leases() == set()
            assert {link["ifname"] for link in node.ip("link")} == {"lo", "humanz-cni0"}
