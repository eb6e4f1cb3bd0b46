# SPDX-License-Identifier: Apache-2.0
"""humanz-route: the node's routes to its peers, beside routes that others made."""

import ipaddress
import json

import pytest

from lab.attachment import Network, Refused
from lab.cluster import NETWORKS
from lab.uplinked import check, limits, status

def test_a_peer_that_went_away_loses_its_route_and_the_others_keep_theirs(host):
    host.add(host.network(host.peer(2), host.peer(3)))
    host.add(host.network(host.peer(3)))
    assert host.ours() == {host.subnet(3): host.via(3)}


def test_routes_of_another_network_are_not_pruned(host):
    other = {"4": "10.99.0.0/24", "6": "fd00:99::/64"}[host.version]
    host.node.run("ip", f"-{host.version}", "route", "add", other, "via", host.via(9),
                  "proto", "72")
    host.add(host.network(host.peer(2)))
    assert host.ours() == {other: host.via(9), host.subnet(2): host.via(2)}


def test_several_next_hops_make_one_route(host):
    network = host.network(host.peer(2, host.via(2), host.via(3)))
    host.add(network)
    assert host.ours() == {host.subnet(2): [host.via(2), host.via(3)]}
    assert check(network) == limits(network) == (0, "")


def test_of_several_next_hops_those_that_are_on_link_serve(host):
    far = {"4": "198.18.0.1", "6": "fd00:98::1"}[host.version]
    network = host.network(host.peer(2, host.via(2), far))
    host.add(network)
    assert host.ours() == {host.subnet(2): host.via(2)}
    assert far in limits(network)[1]


def test_the_mtu_of_a_peer_is_its_routes(host):
    network = host.network(host.peer(2, mtu=1400))
    host.add(network)
    [route] = host.routes(host.subnet(2))
    assert "mtu 1400" in host.node.run(
        "ip", f"-{host.version}", "route", "show", host.subnet(2)).stdout
    host.node.run("ip", f"-{host.version}", "route", "replace", host.subnet(2),
                  "via", host.via(2), "proto", "72", "mtu", "1300")
    code, text = check(network)
    assert code == 102 and "node2" in text and "mtu 1300" in text and "mtu 1400" in text
    host.add(network)
    assert check(network) == (0, "")


def test_a_next_hop_that_is_not_on_link_fails_no_pod_and_is_named(host):
    far = {"4": "198.18.0.1", "6": "fd00:98::1"}[host.version]
    network = host.network(host.peer(2, far), host.peer(3), logFile="/run/tmp/log")
    host.add(network)
    assert host.ours() == {host.subnet(3): host.via(3)}
    for code, (found, text) in ((51, limits(network)), (102, check(network))):
        assert found == code
        assert "node2" in text and far in text and "not on-link" in text
    assert "not on-link" in host.node.path("/run/tmp/log").read_text()
    assert status(network) == (0, "")


def test_a_next_hop_behind_a_router_is_not_on_link(host):
    behind = {"4": "198.18.0.1", "6": "fd00:98::1"}[host.version]
    host.node.run("ip", f"-{host.version}", "route", "add", "default", "via", host.via(254))
    network = host.network(host.peer(2, behind))
    host.add(network)
    assert host.ours() == {}
    assert "not on-link" in limits(network)[1]


def test_a_link_that_a_peer_names_and_is_not_there_is_named(host):
    network = host.network(host.peer(2, dev="uplink"), host.peer(3, dev="uplink9"))
    host.add(network)
    assert host.ours() == {host.subnet(2): host.via(2)}
    assert "uplink9" in limits(network)[1]


def test_a_node_that_the_list_names_too_is_none_of_its_own_peers(host):
    network = host.network(host.peer(1), host.peer(2))
    before = host.routes(host.subnet(1))
    # Left from when the entry named another node's address.
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(1), "via", host.via(7),
                  "metric", "2000", "proto", "72")
    host.add(network)
    assert host.ours() == {host.subnet(2): host.via(2)}
    assert host.routes(host.subnet(1)) == before
    assert check(network) == limits(network) == (0, "")


@pytest.mark.parametrize("kind", ["equal", "inside"])
def test_a_peer_with_this_nodes_subnet_and_another_address_is_refused_and_changes_nothing(host, kind):
    bad = {**host.peer(9), "subnet": {"equal": host.subnet(1), "inside": inside_own(host)}[kind]}
    own = host.routes(host.subnet(1))
    right = host.network(host.peer(2))
    host.add(right)
    ours = host.ours()
    for index, peers in enumerate([(bad, host.peer(3)), (host.peer(3), bad)]):
        wrong = host.network(*peers)
        with pytest.raises(Refused) as refused:
            host.add(wrong)
        assert refused.value.error["code"] == 7
        assert f'"peers[{index}].subnet"' in refused.value.error["msg"]
        for prefix in (ipaddress.ip_network(bad["subnet"]), host.subnet(1)):
            assert str(prefix) in refused.value.error["msg"]
        wrong.results = right.results
        code, text = check(wrong)
        assert code == 102 and f"overlaps with {host.subnet(1)} of this node" in text
    assert host.routes(host.subnet(1)) == own and host.ours() == ours


@pytest.mark.parametrize("keys", [{}, {"unreachable": False}])
def test_a_peer_for_the_whole_network_stands_beside_this_nodes_own_subnet(host, keys):
    own = host.routes(host.subnet(1))
    # The unreachable route of an earlier ADD gives way.
    host.add(host.network(**keys))
    network = host.network({**host.peer(9), "subnet": NETWORKS[host.version]}, **keys)
    host.add(network)
    assert host.ours() == {NETWORKS[host.version]: host.via(9)} and host.routes(host.subnet(1)) == own
    assert check(network) == limits(network) == (0, "")


@pytest.mark.parametrize("metric", [None, 50, 2000])
def test_somebody_elses_route_to_a_peer_survives_everything_and_is_named(host, metric):
    words = [host.subnet(2), "via", host.via(7)] + (["metric", str(metric)] if metric else [])
    host.node.run("ip", f"-{host.version}", "route", "add", *words)
    [before] = [route for route in host.routes(host.subnet(2)) if route["gateway"] == host.via(7)]
    network = host.network(host.peer(2), host.peer(3))
    host.add(network)
    for found, text in (limits(network), check(network)):
        assert found in (51, 102)
        assert "node2" in text and "somebody else's" in text and host.via(7) in text
    host.add(network)
    host.add(host.network(host.peer(3)))
    network.delete("pod")
    network.gc()
    assert before in host.routes(host.subnet(2))


def test_the_rest_of_the_network_is_unreachable_unless_that_is_switched_off(host):
    kind = lambda: [route["dst"] for route in host.routes("type", "unreachable")]
    host.add(host.network(host.peer(2)))
    assert kind() == [NETWORKS[host.version]]
    host.add(host.network(host.peer(2), unreachable=False))
    assert kind() == []


def test_a_network_that_is_on_a_link_of_the_node_has_no_rest(host):
    own = host.subnet(1)
    network = host.network()
    network.configuration["network"] = own
    host.add(network)
    assert check(network) == limits(network) == (0, "")


def test_a_node_without_pods_is_ready_for_what_the_next_add_makes(host):
    network = host.network(host.peer(2))
    assert limits(network) == (0, "")
    far = {"4": "198.18.0.1", "6": "fd00:98::1"}[host.version]
    assert limits(host.network(host.peer(2, far)))[0] == 51
    assert status(host.network(host.peer(2, far))) == (0, "")


def test_a_route_made_by_hand_that_is_exactly_ours_is_right(host):
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(2), "via", host.via(2))
    before = host.routes(host.subnet(2))
    network = host.network(host.peer(2), host.peer(3))
    host.add(network)
    assert host.routes(host.subnet(2)) == before
    assert host.ours() == {host.subnet(3): host.via(3)}
    assert check(network) == limits(network) == (0, "")
    # It is not ours to remove, and CHECK reports another route in its place.
    host.add(host.network(host.peer(3)))
    assert host.routes(host.subnet(2)) == before
    host.node.run("ip", f"-{host.version}", "route", "replace", host.subnet(2), "via", host.via(7))
    assert "somebody else's" in check(network)[1]


def inside_own(host):
    return {"4": "10.244.1.128/25", "6": "fd00:244:1::8000:0:0:0/68"}[host.version]


def test_a_peer_inside_of_a_links_prefix_gets_no_route_and_is_named(host):
    # Not the pod's own subnet, which would be an error of ADD: another bridge of the node, such as another network's.
    prefix = {"4": "10.244.8.1/24", "6": "fd00:244:8::1/64"}[host.version]
    host.node.run("ip", "link", "add", "other", "type", "bridge")
    host.node.run("ip", "link", "set", "other", "up")
    host.node.run("ip", "address", "add", prefix, "dev", "other", "nodad")
    bad = {**host.peer(9), "subnet": {"4": "10.244.8.128/25", "6": "fd00:244:8::8000:0:0:0/68"}[host.version]}
    host.node.run("ip", f"-{host.version}", "route", "add", bad["subnet"], "via", bad["via"],
                  "proto", "72")
    network = host.network(bad, host.peer(2), logFile="/run/tmp/log")
    host.add(network)
    assert host.ours() == {host.subnet(2): host.via(2)}
    code, text = check(network)
    assert code == 102 and "node9" in text and "port0" not in text and "this node" in text
    assert "node9" in host.node.path("/run/tmp/log").read_text()
    assert limits(network)[0] == 51


def test_a_peer_on_the_uplinks_own_prefix_is_fine(host):
    # As on a LAN whose prefix contains the pods' addresses.
    subnet = {"4": "192.168.0.128/25", "6": "fd00:192:0:0:8000::/68"}[host.version]
    network = host.network({**host.peer(9), "subnet": subnet})
    lan = {"4": "192.168.0.0/24", "6": "fd00:192::/64"}[host.version]
    network.configuration["network"] = [NETWORKS[host.version], lan]
    host.add(network)
    assert host.ours() == {subnet: host.via(9)}
    assert check(network) == (0, "")


# The route to the node's own pods, which the kernel makes once

@pytest.mark.parametrize("keys", [{}, {"unreachable": False}])
def test_the_own_subnets_missing_route_fails_check_and_comes_back_as_the_kernel_made_it(host, keys):
    network = host.network(host.peer(2), **keys)
    host.add(network)
    before = host.routes(host.subnet(1))
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(1), "dev", "port0")
    code, text = check(network)
    assert code == 102 and f"own subnet {host.subnet(1)}: its route is missing" in text
    host.add(network)
    assert host.routes(host.subnet(1)) == before
    assert before[0]["protocol"] == "kernel"
    assert check(network) == (0, "")


def test_the_own_subnets_route_comes_back_without_any_network_and_peer(host):
    network = host.network()
    del network.configuration["network"]
    host.add(network)
    before = host.routes(host.subnet(1))
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(1), "dev", "port0")
    host.add(network)
    assert host.routes(host.subnet(1)) == before


def test_the_own_subnets_route_comes_back_where_it_is_the_whole_network(host):
    network = host.network()
    network.configuration["network"] = host.subnet(1)
    host.add(network)
    before = host.routes(host.subnet(1))
    host.node.run("ip", f"-{host.version}", "route", "replace", "unreachable", host.subnet(1), "proto", "72")
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(1), "dev", "port0", check=False)
    host.add(network)
    assert host.routes(host.subnet(1)) == before


def test_a_link_that_is_down_keeps_the_own_subnets_route_away_and_is_named(host):
    network = host.network(host.peer(2), logFile="/run/tmp/log")
    host.add(network)
    if host.version == "6":
        host.node.run("sysctl", "-qw", "net.ipv6.conf.port0.keep_addr_on_down=1")
    host.node.run("ip", "link", "set", "port0", "down")
    words = f"own subnet {host.subnet(1)}: port0 is down"
    code, text = check(network)
    assert code == 102 and words in text
    # CHECK's error is in the log too, with the verb and the code before it.
    said = f"humanz-route {words}\n"
    assert said not in host.node.path("/run/tmp/log").read_text()
    host.add(network)
    assert said in host.node.path("/run/tmp/log").read_text()


def test_somebody_elses_route_in_place_of_the_own_subnets_stays_and_is_named(host):
    network = host.network(host.peer(2))
    host.add(network)
    metric = {"4": [], "6": ["metric", "256"]}[host.version]
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(1), "dev", "port0")
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(1), "via", host.via(7), *metric)
    before = host.routes(host.subnet(1))
    host.add(network)
    assert host.routes(host.subnet(1)) == before
    code, text = check(network)
    assert code == 102 and "somebody else's" in text and host.via(7) in text


# The cluster file

def test_the_peers_come_from_the_cluster_file(host):
    network = host.network(clusterFile="/run/humanz/cluster.json")
    del network.configuration["peers"]
    with pytest.raises(Refused) as refused:
        host.add(network)
    assert refused.value.error["code"] == 11
    assert "humanz sync" in refused.value.error["details"]
    assert status(network)[0] == 50
    network.call("DEL", "pod")
    folder = host.node.path("/run/humanz")
    folder.mkdir(exist_ok=True)

    def write(*numbers):
        (folder / "cluster.json").write_text(json.dumps({
            "node": "node1", "subnets": [host.subnet(1)],
            "peers": [{"name": f"node{number}", "subnet": host.subnet(number),
                       "via": [host.via(number)]} for number in numbers]}))
    write(2, 3)
    host.add(network)
    assert host.ours() == {host.subnet(number): host.via(number) for number in (2, 3)}
    write(3)
    assert host.subnet(2) in check(network)[1]
    host.add(network)
    assert host.ours() == {host.subnet(3): host.via(3)}


@pytest.mark.parametrize("keys, key", [
    ({"peers": [{"subnet": "10.244.2.0/24"}]}, "peers[0].via"),
    ({"peers": [{"via": "192.168.0.2"}]}, "peers[0].subnet"),
    ({"peers": [{"subnet": "10.244.2.1/24", "via": "192.168.0.2"}]}, "peers[0].subnet"),
    ({"peers": [{"subnet": "10.244.2.0/24", "via": ["192.168.0.2", "fd00::1"]}]}, "peers[0].via[1]"),
    ({"peers": [{"subnet": "10.99.2.0/24", "via": "192.168.0.2"}]}, "peers[0].subnet"),
    ({"peers": [{"subnet": "10.244.2.0/24", "via": "192.168.0.2", "dev": "a/b"}]}, "peers[0].dev"),
    ({"network": ["10.244.0.0/16", "10.99.0.1/16"]}, "network[1]"),
    ({"network": "0.0.0.0/0"}, "network"),
    ({"network": ["10.244.0.0/16", "::/0"]}, "network[1]"),
    ({"clusterFile": "cluster.json"}, "clusterFile"),
    ({"clusterFile": "/run/humanz/cluster.json", "peers": []}, "clusterFile"),
    ({"routes": [{"gw": "10.244.1.1"}]}, "routes[0].dst"),
    ({"forward": "yes"}, "forward"),
    ({"statusLimited": 1}, "statusLimited"),
    ({"peers": [{"subnet": "10.244.2.0/24", "via": [f"192.168.0.{n}" for n in range(1, 66)]}]},
     "peers[0].via"),
    ({"network": [f"10.{n}.0.0/16" for n in range(129)]}, "network"),
])
def test_a_key_with_a_value_it_cannot_have_is_named(node, keys, key):
    network = Network(node, "humanz-route", version="1.1.0",
                      **{"network": "10.244.0.0/16", **keys})
    with pytest.raises(Refused) as refused:
        network.call("STATUS")
    assert refused.value.error["code"] == 7
    assert f'"{key}"' in refused.value.error["msg"]


@pytest.mark.parametrize("content", ["[]", "null", "5", "{}", '{"peers": null}', '"peers"'])
def test_a_cluster_file_without_peers_takes_no_route_away(host, content):
    network = host.network(clusterFile="/run/humanz/cluster.json")
    del network.configuration["peers"]
    host.node.run("mkdir", "-p", "/run/humanz")
    file = host.node.path("/run/humanz/cluster.json")
    write_cluster(file, host, 2)
    host.add(network)
    file.write_text(content)
    with pytest.raises(Refused) as refused:
        host.add(network)
    assert refused.value.error["code"] in (6, 7)
    assert "/run/humanz/cluster.json" in refused.value.error["msg"]
    assert check(network)[0] in (6, 7) and status(network)[0] == 50
    assert host.ours() == {host.subnet(2): host.via(2)}


def test_a_peer_of_the_cluster_file_with_this_nodes_subnet_is_left_out_and_named(host):
    network = host.network(clusterFile="/run/humanz/cluster.json")
    del network.configuration["peers"]
    host.node.run("mkdir", "-p", "/run/humanz")
    own = host.routes(host.subnet(1))
    write_cluster(host.node.path("/run/humanz/cluster.json"), host, 2, more=[
        {"name": "node9", "subnet": host.subnet(1), "via": [host.via(9)]}])
    host.add(network)
    assert host.ours() == {host.subnet(2): host.via(2)} and host.routes(host.subnet(1)) == own
    code, text = check(network)
    assert code == 102 and "node9" in text


def test_a_peer_of_the_cluster_file_outside_of_the_network_is_left_out_and_named(host):
    network = host.network(clusterFile="/run/humanz/cluster.json")
    del network.configuration["peers"]
    host.node.run("mkdir", "-p", "/run/humanz")
    outside = {"4": "169.254.169.254/32", "6": "fd00:99::/64"}[host.version]
    other = {"4": ("fd00:244:2::/64", "fd00:192::2"), "6": ("10.244.2.0/24", "192.168.0.2")}
    subnet, via = other[host.version]
    write_cluster(host.node.path("/run/humanz/cluster.json"), host, 2, more=[
        {"name": "node3", "subnet": outside, "via": [host.via(3)]},
        # Of the other family, in which the configuration has no network.
        {"name": "node4", "subnet": subnet, "via": [via]}])
    host.add(network)
    assert host.ours() == {host.subnet(2): host.via(2)}
    code, text = check(network)
    assert code == 102 and "node3" in text and outside in text
    assert "node4" in text and subnet in text and "node2" not in text


def write_cluster(file, host, *numbers, more=()):
    file.write_text(json.dumps({
        "node": "node1", "subnets": [host.subnet(1)],
        "peers": [{"name": f"node{number}", "subnet": host.subnet(number),
                   "via": [host.via(number)]} for number in numbers] + list(more)}))
