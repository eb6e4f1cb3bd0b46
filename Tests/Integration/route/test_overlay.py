# SPDX-License-Identifier: Apache-2.0
"""humanz-route's overlay: pods reach each other through a router that has no routes to pods."""

import functools
import json
import time

import pytest

from lab.attachment import Refused, reaches
from lab.cluster import NETWORKS, by_families, subnet
from lab.conflist import Conflist
from lab.isolated_node import Node
from lab.overlay import ID, PORT, CommandOutput, Routed, captured, chain, encapsulated, peers
from lab.system_calls import traced
from lab.tool import Tool
from lab.traffic import source_of_datagram
from lab.uplinked import Uplinked, check, limits, status


@by_families
def test_every_pod_reaches_every_pod_through_a_router_that_knows_none(families):
    with Routed(families) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        assert cluster.all_reach_all()
        for own, address in zip(first.addresses(), third.addresses()):
            assert source_of_datagram(
                first.node, first.pod, third.node, address, third.pod) == own
            # Processes on a node reach the pods of all nodes.
            assert reaches(first.node, None, address, wait=3)
        for member in cluster:
            member.chain.check(member.pod)
            member.chain.status()
        for family in families:
            assert NETWORKS[family].partition("/")[0][:6] not in cluster.router.run(
                "ip", f"-{family}", "route").stdout


@by_families
def test_packets_on_a_segment_are_plain_and_those_across_the_router_are_not(families):
    with Routed(families) as cluster:
        cluster.add_pods()
        first, second, third = cluster
        for own, near, far in zip(*(member.addresses() for member in cluster)):
            with captured(first.node) as seen:
                assert reaches(first.node, first.pod, near, wait=3)
                assert reaches(first.node, first.pod, far, wait=3)
            assert seen.lines_with(f"{own} > {near}: ICMP")
            assert not seen.lines_with(near, "VXLAN")
            assert seen.lines_with(f".{PORT}: VXLAN-GPE", f"vni {ID}", f"{own} > {far}: ICMP")
            assert all("VXLAN" in line for line in seen.lines_with(f"{own} > {far}"))


@by_families
def test_with_always_packets_on_a_segment_are_encapsulated_too(families):
    with Routed(families, functools.partial(chain, overlay="always", overlayId=9)) as cluster:
        cluster.add_pods()
        first, second, _ = cluster
        assert cluster.all_reach_all()
        with captured(first.node) as seen:
            assert first.reaches(second)
        assert seen.lines_with("VXLAN-GPE", "vni 9") and not seen.lines_with("vni 72")


@pytest.mark.parametrize("pods, underlay", [
    (["4"], ["6"]), (["6"], ["4"]), (["4", "6"], ["6"]), (["4", "6"], ["4"])])
def test_pods_of_one_family_over_nodes_of_the_other(pods, underlay):
    with Routed(pods, functools.partial(chain, under=underlay[0]), underlay) as cluster:
        cluster.add_pods()
        assert cluster.all_reach_all()
        for member in cluster:
            member.chain.check(member.pod)


# Changes

@pytest.mark.parametrize("version", ["4", "6"])
def test_a_peer_that_moves_between_segments_gets_its_other_route_in_one_step(version):
    with Node("node") as node:
        host = Uplinked(node, version)
        node.run("ip", f"-{version}", "route", "add", "default", "via", host.via(254))
        far = {"4": "198.18.0.1", "6": "fd00:98::1"}[version]
        away = host.network(host.peer(2, far), overlay="off-link")
        home = host.network(host.peer(2), overlay="off-link")
        host.add(away)
        with CommandOutput(node, "ip", "monitor", "route") as changes:
            time.sleep(0.3)
            for network, is_plain in ((home, True), (away, False), (home, True)):
                host.add(network)
                [route] = host.routes(host.subnet(2))
                assert (route["dev"] == "uplink") == is_plain
                assert check(network) == limits(network) == (0, "")
        assert len(changes.lines_with(host.subnet(2))) == 3
        assert not changes.lines_with("Deleted", host.subnet(2))


FAR = {"4": "198.18.0.{}", "6": "fd00:98::{}"}


@pytest.fixture
def remote(host):
    """A host whose peers are behind a router, and a function that makes their network."""
    host.node.run("ip", f"-{host.version}", "route", "add", "default", "via", host.via(254))
    host.far = FAR[host.version].format
    host.remote = lambda *numbers, **keys: host.network(
        *(host.peer(number, host.far(number)) for number in numbers),
        **{"overlay": "off-link", **keys})
    return host


def test_without_the_key_a_peer_behind_a_router_is_not_on_link(remote):
    network = remote.remote(2, overlay="never")
    remote.add(network)
    assert not encapsulated(remote) and "not on-link" in limits(network)[1]
    assert "humanz-vx" not in remote.node.run("ip", "link").stdout


def test_a_node_whose_peers_are_all_on_its_segment_has_no_overlay(remote):
    network = remote.network(remote.peer(2), overlay="off-link")
    remote.add(network)
    assert remote.ours() == {remote.subnet(2): remote.via(2)}
    assert "humanz-vx" not in remote.node.run("ip", "link").stdout
    assert "overlay" not in remote.node.run("nft", "list", "ruleset").stdout
    assert check(network) == (0, "")


def test_a_peer_that_nothing_leads_to_is_named(host):
    network = host.network(host.peer(2, FAR[host.version].format(2)), host.peer(3),
                           overlay="off-link")
    host.add(network)
    assert host.ours() == {host.subnet(3): host.via(3)}
    assert "node2" in limits(network)[1] and "no route to" in limits(network)[1]


def other_destination(host):
    [route] = [line for line in encapsulated(host) if host.subnet(2) in line]
    words = route.replace(host.far(2), host.far(9)).split()
    # `ip route replace` accepts the line that `ip route` prints, except for these words.
    for word in ("linkdown", "pref", "medium"):
        while word in words:
            words.remove(word)
    host.node.run("ip", f"-{host.version}", "route", "replace", *words)


DRIFT = {
    "the device deleted": (lambda host: host.node.run("ip", "link", "delete", "humanz-vx"), "humanz-vx"),
    "the device down": (lambda host: host.node.run("ip", "link", "set", "humanz-vx", "down"), "humanz-vx"),
    "another MTU": (lambda host: host.node.run("ip", "link", "set", "humanz-vx", "mtu", "1300"), "MTU"),
    "the check gone": (lambda host: host.node.run("nft", "delete", "table", "inet", "humanz"), "overlay-pods"),
    "a route gone": (lambda host: host.node.run(
        "ip", f"-{host.version}", "route", "delete", host.subnet(2)), "node2"),
    "another destination": (other_destination, "node2"),
}


@pytest.mark.parametrize("change, word", DRIFT.values(), ids=DRIFT.keys())
def test_drift_of_the_overlay_is_named_by_check_and_healed_by_the_next_add(remote, change, word):
    network = remote.remote(2, 3)
    remote.add(network)
    before = encapsulated(remote), remote.node.run("nft", "list", "ruleset").stdout
    assert check(network) == limits(network) == (0, "")
    change(remote)
    code, text = check(network)
    assert code == 102 and word in text
    assert status(network) == (0, "")
    remote.add(network)
    assert check(network) == (0, "")
    assert (encapsulated(remote), remote.node.run("nft", "list", "ruleset").stdout) == before


def test_a_departed_peer_loses_its_route_and_is_no_longer_accepted_as_sender(remote):
    remote.add(remote.remote(2, 3))
    remote.add(remote.remote(3))
    assert [remote.subnet(3) in line for line in encapsulated(remote)] == [True]
    rules = remote.node.run("nft", "list", "ruleset").stdout
    assert remote.far(3) in rules and remote.far(2) not in rules


def test_another_port_or_id_takes_the_place_of_the_first(remote):
    remote.add(remote.remote(2))
    network = remote.remote(2, overlayPort=4791, overlayId=0xffffff)
    remote.add(network)
    assert check(network) == (0, "")
    link = remote.node.run("ip", "-d", "link", "show", "humanz-vx").stdout
    assert "dstport 4791" in link and "external" in link and "gpe" in link
    assert f"id {0xffffff}" in encapsulated(remote)[0]
    assert "4790" not in remote.node.run("nft", "list", "ruleset").stdout


def test_the_source_of_outer_packets_may_be_named(remote):
    network = remote.remote(2, overlaySource=remote.via(1))
    remote.add(network)
    assert f"src {remote.via(1)}" in encapsulated(remote)[0]
    assert check(network) == (0, "")


def test_the_overlay_goes_with_the_last_network_that_needs_it(remote):
    one, two = (remote.remote(2, name=name) for name in ("one", "two"))
    for network in (one, two):
        remote.add(network)
    one.gc("pod")
    one.gc()
    assert "humanz-vx" in remote.node.run("ip", "link").stdout
    assert "overlay-two" in remote.node.run("nft", "list", "ruleset").stdout
    assert "overlay-one" not in remote.node.run("nft", "list", "ruleset").stdout
    assert check(two) == (0, "")
    two.gc()
    assert "humanz-vx" not in remote.node.run("ip", "link").stdout
    assert remote.node.run("nft", "list", "ruleset").stdout == ""
    two.gc()


def two_networks(remote, peer=None, **keys):
    """Two networks with separate prefixes. The keys are the second one's, and those of its peer."""
    one = remote.remote(2, name="one")
    two = remote.network(remote.peer(3, remote.far(3), **peer or {}), name="two", overlay="off-link", **keys)
    for network, number in ((one, 2), (two, 3)):
        network.configuration["network"] = remote.subnet(number)
    return one, two


@pytest.mark.parametrize("is_smaller_first", [True, False])
def test_networks_with_other_mtus_share_the_device_and_all_are_right(remote, is_smaller_first):
    one, two = two_networks(remote, {"mtu": 1300})
    for network in (two, one) if is_smaller_first else (one, two):
        remote.add(network)
    assert check(one) == check(two) == (0, "")
    assert ["mtu 1300" in line for line in encapsulated(remote)] == [False, True]


def test_a_network_with_another_port_than_the_first_ones_is_named_and_changes_nothing(remote):
    def state():
        return encapsulated(remote), remote.node.run("nft", "list", "ruleset").stdout
    one, two = two_networks(remote, overlayPort=4791, logFile="/run/tmp/log")
    remote.add(one)
    before = state()
    remote.add(two)
    said = remote.node.path("/run/tmp/log").read_text()
    assert '"overlayPort" is 4791, but network one uses the overlay\'s device humanz-vx with port 4790' in said
    code, text = check(two)
    assert code == 102 and 'humanz-vx has port 4790, and "overlayPort" is 4791' in text
    assert state() == before and check(one) == (0, "")
    one.gc()
    remote.add(two)
    assert check(two) == (0, "")
    assert "dstport 4791" in remote.node.run("ip", "-d", "link", "show", "humanz-vx").stdout


def test_a_link_of_that_name_that_is_none_of_ours_stays(remote):
    remote.node.run("ip", "link", "add", "humanz-vx", "type", "bridge")
    network = remote.network(remote.peer(2, remote.far(2)), remote.peer(3), overlay="off-link",
                             logFile="/run/tmp/log")
    remote.add(network)
    assert remote.ours() == {remote.subnet(3): remote.via(3)}
    assert "humanz-vx" in remote.node.path("/run/tmp/log").read_text()
    network.gc()
    assert remote.node.ip("link", "show", "type", "bridge")


@pytest.mark.parametrize("keys, key", [
    ({"overlay": "sometimes"}, "overlay"), ({"overlay": True}, "overlay"),
    ({"overlay": "always", "overlayPort": 0}, "overlayPort"),
    ({"overlay": "always", "overlayPort": 65536}, "overlayPort"),
    ({"overlay": "always", "overlayId": 1 << 24}, "overlayId"),
    ({"overlay": "always", "overlaySource": "x"}, "overlaySource"),
    ({"overlay": "always", "overlaySource": ["192.168.0.8", "192.168.0.9"]}, "overlaySource"),
])
def test_a_key_of_the_overlay_with_a_value_it_cannot_have_is_named(host, keys, key):
    with pytest.raises(Refused) as refused:
        host.add(host.network(**keys))
    assert refused.value.error["code"] == 7 and f'"{key}"' in refused.value.error["msg"]


def test_the_tool_says_by_which_way_a_peer_is_reached(remote):
    network = remote.network(
        remote.peer(2, remote.far(2)), remote.peer(3), remote.peer(4, remote.far(4)), overlay="off-link")
    remote.add(network)
    remote.node.run("ip", f"-{remote.version}", "route", "delete", remote.subnet(4))
    remote.node.path("/run/cni/net.d/net.conflist").write_text(json.dumps({
        "cniVersion": "1.1.0", "name": "net",
        "plugins": [{key: value for key, value in network.configuration.items()
                     if key not in ("cniVersion", "name")}]}))
    lines = Tool(remote.node).routes().splitlines()
    for words in [(remote.subnet(2), f"by vxlan to {remote.far(2)}", "humanz-vx", "installed"),
                  (remote.subnet(3), remote.via(3), "uplink", "installed"),
                  (remote.subnet(4), f"by vxlan to {remote.far(4)}", "missing")]:
        assert any(all(word in line for word in words) for line in lines), lines


@pytest.mark.parametrize("mode", ["1", "2"], ids=["strict", "loose"])
def test_reverse_path_filters_of_the_node_stop_no_packet(mode):
    """Many nodes have such a filter on all links."""
    with Routed(["4"]) as cluster:
        for member in cluster:
            member.node.run("sysctl", "-qw", f"net.ipv4.conf.all.rp_filter={mode}",
                            f"net.ipv4.conf.default.rp_filter={mode}")
        cluster.add_pods()
        assert cluster.all_reach_all()
        for one in cluster:
            for other in cluster:
                assert reaches(one.node, None, other.addresses()[0], wait=3)


# Scale

def test_a_thousand_peers_behind_a_router_cost_no_message_each(record_property):
    def sent(count, overlay="off-link"):
        """The messages of two ADDs: one that makes all routes, and one that finds them right."""
        far = overlay != "never"
        with Node("node") as node:
            host = Uplinked(node, "4")
            node.run("ip", "route", "add", "default", "via", host.via(254))
            network = host.network(
                *({"name": f"node{n}", "subnet": f"10.{64 + n // 256}.{n % 256}.0/24",
                   "via": f"198.18.{n // 250}.{1 + n % 250}" if far else host.via(2 + n)}
                  for n in range(count)),
                overlay=overlay, logFile="")
            network.configuration["network"] = "10.0.0.0/8"
            making = traced(network, "ADD", "pod", prevResult=host.prev_result)
            assert len(encapsulated(host)) == (count if far else 0)
            calls = traced(network, "ADD", "pod", prevResult=host.prev_result)
            network.results["pod"] = host.prev_result
            network.check("pod")
            return [sum(call.startswith("sendto(") for call in calls) for calls in (making, calls)]
    plain, few, many = sent(3, "never"), sent(3), sent(1000)
    record_property("messages of an ADD, making and all right",
                    f"{plain} for 3 peers by plain routes, {few} by the overlay, {many} for 1,000")
    assert many[1] == few[1] <= plain[1] + 3
    # Routes go in datagrams of 128, and the check of all senders is one transaction.
    assert many[0] <= few[0] + 8


def test_one_sync_makes_the_own_route_and_the_tunnels_with_their_source():
    def on_disk(member, under=None):
        return Conflist(
            member.node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "ranges": member.ranges},
            {"type": "humanz-route", "network": member.networks, "peers": peers(member, under), "overlay": "off-link"})

    with Routed("4", on_disk) as cluster:
        cluster.add_pods()
        first, _, _ = cluster
        assert Tool(first.node).call("routes", check=False).returncode == 0
        first.node.run("ip", "route", "flush", "proto", "72")
        first.node.run("ip", "route", "delete", subnet(1, "4"), "dev", "cni0")
        Tool(first.node).call("sync", first.chain.file)
        assert Tool(first.node).call("routes", check=False).returncode == 0
        assert cluster.all_reach_all()
