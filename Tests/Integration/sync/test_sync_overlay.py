# SPDX-License-Identifier: Apache-2.0
"""`humanz sync` with an overlay: nodes of a Kubernetes cluster on two segments, which move between them."""

import contextlib
import re
import subprocess
import time

from lab.cluster import LENGTHS, Cluster, by_families, from_kubernetes, gateway, subnets, uplinks
from lab.conflist import Conflist
from lab.kubernetes import event, listed
from lab.kubernetes import node as kubernetes_node
from lab.tool import Watch
from lab.waiting import eventually, patience


def chain(member):
    """The shipped chain for Kubernetes with an overlay."""
    shipped = from_kubernetes(member)
    plugins = [{**plugin, "overlay": "off-link"} if plugin["type"] == "humanz-route" else plugin
               for plugin in shipped.plugins]
    return Conflist(member.node, *plugins, **shipped.keys)


def node_object(number, families, segment):
    return kubernetes_node(f"node{number}", subnets(number, families),
                           uplinks(number, families, segment))


def ways(member):
    """The kind of each route to another node's pods, "plain" or "vxlan", by destination."""
    return {line.split()[0]: "vxlan" if "encap" in line else "plain"
            for family in member.families
            for line in member.node.run(
                "ip", f"-{family}", "route", "show", "proto", "72").stdout.splitlines()
            if not line.startswith("unreachable")}


def move(member, segment, number):
    """Moves a node to another segment, as its administrator does."""
    member.node.run("ip", "link", "delete", "uplink")
    member.segment = number
    segment.join(member.node, "uplink", *(
        f"{member.uplink(family)}/{LENGTHS[family]}" for family in member.families))
    add_way_out(member)


def add_way_out(member):
    for family in member.families:
        member.node.run("ip", f"-{family}", "route", "add", "default", "via",
                        gateway(member.segment, family))


# The longest time that a pod may be unreachable after its node has moved, in seconds.
AT_MOST = 1.0


class Echoes:
    """Echo requests from a pod every 50 ms; the times of the answers are read at the end."""

    def __init__(self, member, address):
        self.process = member.node.start(
            "ping", "-D", "-i", "0.05", "-W", "1", "-c", str(int(patience(60))), address,
            pod=member.pod, stdout=subprocess.PIPE, text=True)

    def answers(self):
        """The times of the answers, in seconds since the epoch."""
        printed = self.process.communicate(timeout=patience(10))[0]
        return [float(time) for time in re.findall(r"^\[([\d.]+)\] .*bytes from", printed, re.MULTILINE)]


@by_families
def test_a_node_that_moves_to_the_other_segment_answers_again_within_a_second(
        families, record_property):
    with Cluster(families, chain, count=3, behind=(3,)) as cluster, contextlib.ExitStack() as stack:
        everyone = [node_object(number, families, int(number == 3)) for number in (1, 2, 3)]
        watches = []
        for member in cluster:
            add_way_out(member)
            member.sync(*everyone)
            member.add_pod()
            watches.append(stack.enter_context(Watch(member.node, member.name)))
            watches[-1].tell(listed(*everyone))
        first, second, third = cluster
        assert cluster.all_reach_all()
        near, far = subnets(2, families), subnets(3, families)
        assert ways(first) == {subnet: "plain" for subnet in near} | {subnet: "vxlan" for subnet in far}
        for step, (segment, way) in enumerate([(0, "plain"), (1, "vxlan")]):
            echoes = [Echoes(one, address) for one, other in ((first, third), (third, second))
                      for address in other.addresses()]
            time.sleep(0.3)
            move(third, cluster.segments[segment], segment)
            moved = time.time()
            event_of_move = event("MODIFIED", kubernetes_node(
                "node3", subnets(3, families), uplinks(3, families, segment), version=2000 + step))
            for watch in watches:
                watch.tell(event_of_move)
            for echo in echoes:
                answers = [answer for answer in echo.answers() if answer > moved]
                assert answers, "no answer after the move"
                record_property(f"moved to a peer reached by {way}", f"{answers[0] - moved:.2f} s")
                assert answers[0] - moved < patience(AT_MOST)
            assert ways(first) == {subnet: "plain" for subnet in near} | {subnet: way for subnet in far}
            assert cluster.all_reach_all()
            for member in cluster:
                member.chain.check(member.pod)


def test_a_node_that_finds_itself_on_another_segment_needs_no_word_of_the_cluster():
    """The kernel reports the node's new address; the routes to the other nodes follow from it."""
    families = ["4"]
    with Cluster(families, chain, count=3, behind=(3,)) as cluster:
        third = cluster.members[2]
        everyone = [node_object(number, families, int(number == 3)) for number in (1, 2, 3)]
        add_way_out(third)
        with Watch(third.node, third.name) as watch:
            watch.tell(listed(*everyone))
            others = subnets(1, families) + subnets(2, families)
            eventually(lambda: ways(third) == dict.fromkeys(others, "vxlan"))
            for segment, way in [(0, "plain"), (1, "vxlan")]:
                move(third, cluster.segments[segment], segment)
                eventually(lambda: ways(third) == dict.fromkeys(others, way), seconds=2)


def test_a_peer_that_left_loses_its_route_through_the_overlay():
    families = ["4"]
    with Cluster(families, chain, count=1) as (first,):
        add_way_out(first)
        first.sync(node_object(1, families, 0), node_object(2, families, 1), node_object(3, families, 1))
        assert set(ways(first).values()) == {"vxlan"} and len(ways(first)) == 2
        first.sync(node_object(1, families, 0), node_object(3, families, 1))
        assert ways(first) == {"10.244.3.0/24": "vxlan"}
        rules = first.node.run("nft", "list", "ruleset").stdout
        assert "10.244.3.0/24" in rules and "10.244.2.0/24" not in rules
        # An ADD makes the same routes.
        first.add_pod()
        assert ways(first) == {"10.244.3.0/24": "vxlan"}
        assert first.chain.run("check", first.pod) is None
