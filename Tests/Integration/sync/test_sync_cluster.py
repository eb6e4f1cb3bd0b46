# SPDX-License-Identifier: Apache-2.0
"""Nodes with peers and subnets from Kubernetes: `sync` and the chain together."""

import json
import time

import pytest

from lab.attachment import Network, Refused
from lab.cluster import CLUSTER_FILE, Cluster, by_families, from_kubernetes, node_object, subnets
from lab.isolated_node import NETWORKS
from lab.kubernetes import listed
from lab.kubernetes import node as kubernetes_node
from lab.tool import Tool, Watch
from lab.waiting import eventually
from sync.expected import expected, give_gateway, member, own_route, routes


def stage(member, **keys):
    """The route stage alone, for verbs that current runtimes do not call."""
    return Network(member.node, "humanz-route", "1.1.0", name="humanz", network=member.networks,
                   clusterFile=CLUSTER_FILE, **keys)


def complaint(member):
    """CHECK's message; empty if all is well. STATUS must succeed if an ADD can repair the node."""
    stage(member).call("STATUS")
    code, words = stage(member).error_of(
        "CHECK", member.pod, prevResult=member.chain.results[member.pod])
    assert code in (0, 102), words
    return words


@by_families
def test_one_file_serves_every_node_and_who_leaves_is_forgotten(families):
    everyone = [node_object(number, families) for number in (1, 2, 3)]
    with Cluster(families, from_kubernetes) as cluster:
        for member in cluster:
            member.sync(*everyone)
            member.add_pod()
        assert cluster.all_reach_all()
        for member in cluster:
            member.chain.check(member.pod)
            assert complaint(member) == ""
            own = [address.rsplit(".", 1)[0] if "." in address else address.rsplit("::", 1)[0]
                   for address in member.addresses()]
            assert own == [subnet.removesuffix(".0/24").removesuffix("::/64")
                           for subnet in subnets(member.number, families)]

        first, second, third = cluster
        foreign = []
        for family in families:
            # A route by hand to the same destination: it stays when ours is removed.
            words = [f"-{family}", "route", "add", subnets(3, [family])[0], "dev", "lo",
                     "proto", "static", "metric", "9000"]
            first.node.run("ip", *words)
            foreign.append(subnets(3, [family])[0])
        lost = third.addresses()
        cluster.kill(third)
        for member in (first, second):
            member.sync(*everyone[:2])
        assert set(first.routes()) == set(subnets(2, families))
        assert cluster.all_reach_all()
        for family, destination in zip(families, foreign):
            assert [route.get("protocol") for route in first.node.ip(
                f"-{family}", "route", "show", destination)] == ["static"]
        for address in lost:
            lookup = second.node.run("ip", "route", "get", address, check=False)
            assert "No route to host" in lookup.stderr


@by_families
def test_add_and_sync_want_the_same_routes(families):
    everyone = [node_object(number, families) for number in (1, 2, 3)]
    with Cluster(families, from_kubernetes, count=1) as (first,):
        first.sync(*everyone)
        before = first.routes()
        first.add_pod()
        assert first.routes() == before
        # The ADD has made the rest of the network unreachable; now node 2 leaves and node 4 joins.
        fourth = node_object(4, families)
        first.sync(everyone[0], everyone[2], fourth)
        after = first.routes()
        assert set(after) == {*subnets(3, families), *subnets(4, families)}
        first.chain.add("more")
        assert first.routes() == after
        assert complaint(first) == ""


def test_before_the_first_sync_an_add_is_to_be_tried_again():
    families = ["4"]
    with Cluster(families, from_kubernetes, count=1) as (first,):
        with pytest.raises(Refused) as refused:
            first.add_pod()
        assert CLUSTER_FILE in refused.value.error["msg"] and refused.value.error["code"] == 11
        first.chain.delete(first.pod)
        first.sync(node_object(1, families), node_object(2, families))
        first.add_pod()
        assert first.routes() == {"10.244.2.0/24": "192.168.0.2"}


def test_drift_is_named_by_check_and_healed_by_the_next_sync():
    families = ["4"]
    everyone = [node_object(number, families) for number in (1, 2, 3)]
    with Cluster(families, from_kubernetes, count=1) as (first,):
        first.sync(*everyone)
        first.add_pod()
        for words, name in [
                (["ip", "route", "delete", "10.244.2.0/24"], "node2"),
                (["ip", "route", "replace", "10.244.3.0/24", "via", "192.168.0.9", "proto", "72"], "node3"),
                (["sysctl", "-qw", "net.ipv4.ip_forward=0"], "forwarding"),
                (["sh", "-c", "ip link set uplink down; ip link set uplink up"], "node2")]:
            first.node.run(*words)
            assert name in complaint(first)
            first.sync(*everyone)
            assert complaint(first) == ""


def test_an_add_that_has_read_the_old_file_does_not_undo_a_sync():
    families = ["4"]
    with Cluster(families, from_kubernetes, count=1) as (first,):
        first.sync(node_object(1, families), node_object(2, families))
        first.add_pod()
        # Each message to the kernel is delayed: the sync runs after the ADD reads the file, before its routes.
        slow = stage(first).start("ADD", first.pod, under=[
            "strace", "-o", "/run/tmp/trace", "-e", "trace=openat,sendto",
            "-e", "inject=sendto:delay_enter=200000"])
        result = {**first.chain.results[first.pod], "routes": []}
        slow.write_input({**stage(first).configuration, "prevResult": result})
        trace = first.node.path("/run/tmp/trace")
        while not (trace.exists() and CLUSTER_FILE in trace.read_text()):
            assert slow.is_running()
        first.sync(node_object(1, families), node_object(4, families))
        slow.end().succeeded()
        assert first.routes() == {"10.244.4.0/24": "192.168.0.4"}


@pytest.mark.parametrize("program", [None, "iptables-nft", "iptables-legacy"])
def test_a_node_that_was_synced_is_ready_for_its_first_pod(program):
    families = ["4"]
    with Cluster(families, from_kubernetes, count=1) as (first,):
        if program:
            first.node.run(program, "-P", "FORWARD", "DROP")
        with pytest.raises(Refused) as refused:
            stage(first, ipMasq=True).call("STATUS")
        assert refused.value.error["code"] == 50
        first.sync(node_object(1, families), node_object(2, families))
        # The first ADD makes the firewall and masquerade rules, so STATUS must not wait for them.
        stage(first, ipMasq=True).call("STATUS")
        first.add_pod()
        stage(first, ipMasq=True).call("STATUS")


def test_a_problem_of_two_networks_is_one_sentence(node1):
    for name in ("one", "two"):
        node1.path(f"{NETWORKS}/{name}.conflist").write_text(json.dumps({
            "cniVersion": "1.0.0", "name": name, "plugins": [
                {"type": "humanz-route", "network": "10.244.0.0/16", "clusterFile": CLUSTER_FILE}]}))
    far = kubernetes_node("far", ["10.244.7.0/24"], ["172.16.0.7"])
    done = Tool(node1).sync("node1", listed(member(1), far), check=False)
    assert done.returncode == 1
    assert len([line for line in done.stderr.splitlines() if "172.16.0.7 is not on-link" in line]) == 1


def test_a_file_that_is_written_again_without_news_keeps_the_time_of_the_last_news(node1):
    file = node1.path(CLUSTER_FILE)
    with Watch(node1, "node1") as watch:
        watch.tell(listed(member(1), member(2)))
        eventually(lambda: routes(node1) == expected(2))
        heard = file.stat().st_mtime
        time.sleep(1)
        file.unlink()
        node1.run("ip", "route", "delete", "10.244.2.0/24")
        eventually(file.exists)
        eventually(lambda: file.stat().st_mtime == heard, seconds=1)


def test_sync_watch_heals_the_route_to_the_nodes_own_pods_too(node1):
    node1.path(f"{NETWORKS}/net.conflist").write_text(json.dumps({
        "cniVersion": "1.0.0", "name": "net", "plugins": [
            {"type": "humanz-bridge", "bridge": "pods"},
            {"type": "humanz-ipam", "clusterFile": CLUSTER_FILE},
            {"type": "humanz-route", "network": "10.244.0.0/16", "clusterFile": CLUSTER_FILE,
             "unreachable": False}]}))
    with Watch(node1, "node1") as watch:
        watch.tell("".join(json.dumps(member(number)) for number in (1, 2)))
        eventually(lambda: routes(node1) == expected(2))
        right = give_gateway(node1)
        for _ in range(2):
            node1.run("ip", "route", "delete", "10.244.1.0/24", "dev", "pods")
            eventually(lambda: own_route(node1) == right, seconds=2)
