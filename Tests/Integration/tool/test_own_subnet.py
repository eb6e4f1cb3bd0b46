# SPDX-License-Identifier: Apache-2.0
"""The route and the bridge of this node's own pods, as `humanz` and `humanz routes` see them."""

import json

import pytest

from lab.attachment import Refused
from lab.cluster import LENGTHS, NETWORKS, by_families, subnet, uplink
from lab.conflist import Conflist
from lab.kernel import need_vlans
from lab.tool import Tool

BRIDGE = "pods"


def chain(node, families, **keys):
    """A network with pod subnets of these families."""
    return Conflist(
        node, {"type": "humanz-bridge", "bridge": BRIDGE},
        {"type": "humanz-ipam", "ranges": [[{"subnet": subnet(1, family)}] for family in families], **keys},
        {"type": "humanz-route", "network": [NETWORKS[family] for family in families]})


def seen(node):
    """What `humanz routes` says is wrong; `humanz` says the same, and both exit with 1 if anything is."""
    done = Tool(node).call("routes", "--json", check=False)
    report = json.loads(done.stdout)
    screen = Tool(node).call(check=False)
    for problem in report["problems"]:
        assert f"- {problem}\n" in screen.stdout
    expected = 1 if report["problems"] else 0
    assert (done.returncode, screen.returncode) == (expected, expected)
    assert ("Nothing is wrong." in screen.stdout) == (expected == 0)
    return report["problems"]


@pytest.fixture
def own(node, version):
    """A node with a pod; gives it with its pod subnet."""
    chain(node, version).add("pod")
    assert seen(node) == []
    node.own = subnet(1, version)
    return node


def test_the_own_subnets_missing_route_is_a_problem_with_a_row(own, version):
    own.run("ip", f"-{version}", "route", "delete", own.own, "dev", BRIDGE)
    [problem] = seen(own)
    assert problem.startswith(f"net: own subnet {own.own}: its route is missing")
    [row] = [row for row in Tool(own).routes(as_json=True)["routes"] if row["destination"] == own.own]
    assert (row["state"], row["for"], row["device"]) == ("missing", "this node's pods", [BRIDGE])


def test_a_bridge_that_is_down_is_a_problem(own):
    own.run("ip", "link", "set", BRIDGE, "down")
    assert seen(own) == [f"net: own subnet {own.own}: {BRIDGE} is down"]


def test_a_bridge_without_the_gateways_address_is_a_problem(own, version):
    own.run("ip", f"-{version}", "address", "flush", "dev", BRIDGE, "scope", "global")
    assert seen(own) == [f"net: own subnet {own.own}: {BRIDGE} has no address of {own.own}"]


def test_a_gateways_link_in_a_vlan_that_is_gone_is_a_problem(node, version):
    network = chain(node, version)
    network.add("pod")
    # This stands for a VLAN link that somebody has deleted: the kernel of a test may have none.
    Conflist(node, {**network.plugins[0], "vlan": 100}, *network.plugins[1:])
    assert f"net: own subnet {subnet(1, version)}: there is no link {BRIDGE}.100" in seen(node)


def test_somebody_elses_route_in_place_of_the_own_subnets_is_a_problem_whose_remedy_works(own, version):
    metric = {"4": [], "6": ["metric", "256"]}[version]
    own.run("ip", "link", "add", "other", "type", "bridge")
    own.run("ip", "link", "set", "other", "up")
    own.run("ip", f"-{version}", "route", "delete", own.own, "dev", BRIDGE)
    own.run("ip", f"-{version}", "route", "add", own.own, "dev", "other", *metric)
    [problem] = seen(own)
    words, remedy = problem.removesuffix("`").split("; if nobody needs it: `")
    assert words.startswith(f"net: own subnet {own.own}: somebody else's route is in its place: ")
    assert "dev other" in words
    own.run(*remedy.split())
    [problem] = seen(own)
    assert "its route is missing" in problem


def test_a_link_route_that_somebody_else_made_to_the_bridge_serves(own, version):
    own.run("ip", f"-{version}", "route", "delete", own.own, "dev", BRIDGE)
    own.run("ip", f"-{version}", "route", "add", own.own, "dev", BRIDGE, "proto", "static")
    assert seen(own) == []


def test_a_bridge_in_a_vrf_has_its_route_in_another_table(own):
    if own.run("ip", "link", "add", "red", "type", "vrf", "table", "10", check=False).returncode:
        pytest.skip("this kernel has no VRF")
    own.run("ip", "link", "set", "red", "up")
    own.run("ip", "link", "set", BRIDGE, "master", "red")
    assert [problem for problem in seen(own) if "route is missing" in problem] == []


# The own subnet among the peers

def with_peers(node, version, *numbers, **vias):
    """A node of three with the peers of these numbers; a `via` other than the node's own by `nodeN=`."""
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    for link in ("uplink", "far"):
        node.run("ip", "link", "set", link, "up")
    node.run("ip", "address", "add", f"{uplink(1, version)}/{LENGTHS[version]}", "dev", "uplink", "nodad")
    peers = [{"name": f"node{number}", "subnet": subnet(number, version),
              "via": vias.get(f"node{number}", uplink(number, version))} for number in numbers]
    return Conflist(
        node, {"type": "humanz-bridge", "bridge": BRIDGE}, {"type": "humanz-ipam", "subnet": subnet(1, version)},
        {"type": "humanz-route", "network": NETWORKS[version], "peers": peers})


def test_one_file_serves_all_nodes_and_the_entry_of_this_one_is_its_own_subnet(node, version):
    network = with_peers(node, version, 1, 2, 3)
    before = Tool(node).routes(as_json=True)
    assert "own subnet" not in str(before) and "node1" not in str(before)
    network.add("pod")
    network.check("pod")
    assert seen(node) == []
    report = Tool(node).routes(as_json=True)
    assert {row["destination"]: row["state"] for row in report["routes"]} == {
        NETWORKS[version]: "installed", subnet(1, version): "own subnet",
        subnet(2, version): "installed", subnet(3, version): "installed"}


def test_the_own_subnet_with_another_nodes_address_is_a_problem_before_and_after_the_first_pod(node, version):
    wrong = with_peers(node, version, 1, 2, node1=uplink(7, version))
    words = f"net: peer node1 ({subnet(1, version)}): its subnet overlaps with {subnet(1, version)} of this node"
    assert words in Tool(node).routes(as_json=True)["problems"]
    with pytest.raises(Refused) as refused:
        wrong.add("pod")
    assert refused.value.error["code"] == 7 and '"peers[0].subnet"' in refused.value.error["msg"]
    right = Conflist(node, *wrong.plugins[:2], {**wrong.plugins[2], "peers": wrong.plugins[2]["peers"][1:]})
    right.add("another")
    assert seen(node) == []
    Conflist(node, *wrong.plugins)
    assert seen(node) == [words]
    assert "ip route del" not in Tool(node).routes()


def test_nobody_is_told_to_delete_the_kernels_route_of_a_bridge(node, version):
    with_peers(node, version, 2).add("pod")
    gateway = {"4": "10.244.2.1/24", "6": "fd00:244:2::1/64"}[version]
    node.run("ip", "link", "add", "other", "type", "bridge")
    node.run("ip", "link", "set", "other", "up")
    node.run("ip", f"-{version}", "route", "delete", subnet(2, version), "proto", "72")
    node.run("ip", "address", "add", gateway, "dev", "other", "nodad")
    problems = seen(node)
    assert any("node2" in problem for problem in problems)
    assert "ip route del" not in str(problems)


# What to do

def remedy(node):
    """The command that `humanz` names first."""
    return Tool(node).overview().rpartition("First: ")[2].strip()


def test_the_command_that_a_missing_routes_problem_names_makes_it(node, version):
    network = with_peers(node, version, 1, 2, 3)
    network.add("pod")
    for lost in [(subnet(2, version),), (subnet(1, version),), (subnet(3, version), subnet(2, version))]:
        for destination in lost:
            node.run("ip", f"-{version}", "route", "delete", destination)
        problems = seen(node)
        assert len(problems) == len(lost)
        # One sentence names the command, however many routes are missing.
        words = (f"its route is missing; `humanz sync {network.file}` makes it now, and `systemctl enable --now humanz-routes` "
                 f"with CONFLIST={network.file} in /etc/default/humanz-routes keeps it")
        assert problems[0].endswith(words) and "humanz sync" not in str(problems[1:])
        assert remedy(node) == f"humanz sync {network.file}"
        Tool(node).call(*remedy(node).split()[1:])
        assert seen(node) == []


def test_the_command_that_the_problem_of_a_network_without_humanz_route_names_makes_its_route(node, version):
    Conflist(node, {
        "type": "humanz-bridge", "bridge": BRIDGE, "isGateway": True,
        "ipam": {"type": "humanz-ipam", "subnet": subnet(1, version)}}).add("pod")
    before = node.ip(f"-{version}", "route", "show", subnet(1, version))
    node.run("ip", f"-{version}", "route", "delete", subnet(1, version), "dev", BRIDGE)
    [problem] = seen(node)
    assert problem.endswith(f"; `{remedy(node)}` makes it now")
    node.run(*remedy(node).split())
    assert seen(node) == [] and node.ip(f"-{version}", "route", "show", subnet(1, version)) == before


def test_a_stale_route_of_a_network_without_humanz_route_is_to_be_deleted(node, version):
    Conflist(node, {
        "type": "humanz-bridge", "bridge": BRIDGE, "isGateway": True,
        "ipam": {"type": "humanz-ipam", "subnet": subnet(1, version)}}).add("pod")
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    node.run("ip", "link", "set", "uplink", "up")
    node.run("ip", f"-{version}", "route", "add", subnet(1, version), "dev", "uplink", "proto", "72", "metric", "77")
    [problem] = seen(node)
    assert problem == f"net: the route to {subnet(1, version)} is stale"
    node.run("ip", f"-{version}", *remedy(node).split()[1:])
    assert seen(node) == [] and not node.ip(f"-{version}", "route", "show", "proto", "72")


def test_a_bridge_with_an_uplink_and_no_pod_needs_no_address(node, version):
    chain(node, version)
    node.run("ip", "link", "add", BRIDGE, "up", "type", "bridge")
    node.run("ip", "link", "add", "uplink", "up", "master", BRIDGE, "type", "veth", "peer", "name", "far")
    assert not [problem for problem in seen(node) if "has no address" in problem]


def test_with_a_cluster_file_humanz_sync_keeps_the_routes(node):
    node.path("/run/humanz").mkdir(exist_ok=True)
    node.path("/run/humanz/cluster.json").write_text(json.dumps({
        "node": "node1", "subnets": ["10.244.1.0/24"], "peers": []}))
    file = {"clusterFile": "/run/humanz/cluster.json"}
    network = Conflist(node, {"type": "humanz-bridge", "bridge": BRIDGE}, {"type": "humanz-ipam", **file},
                       {"type": "humanz-route", "network": NETWORKS["4"], **file})
    network.add("pod")
    node.run("ip", "route", "delete", "10.244.1.0/24", "dev", BRIDGE)
    [problem] = seen(node)
    assert problem.endswith("makes it now, and `systemctl enable --now humanz-sync` keeps it")
    Tool(node).call(*remedy(node).split()[1:])
    assert seen(node) == []


@by_families
def test_before_the_first_pod_and_after_the_last_one_nothing_is_wrong(node, families):
    network = chain(node, families)
    assert "own subnet" not in str(seen(node))
    # A bridge that the operator made: the first ADD gives it its address.
    node.run("ip", "link", "add", BRIDGE, "type", "bridge")
    assert "own subnet" not in str(seen(node))
    network.add("pod")
    assert seen(node) == []
    network.delete("pod")
    assert seen(node) == []


def test_a_bridge_that_is_no_gateway_needs_no_address(node, version):
    chain(node, version, isGateway=False).add("pod")
    assert seen(node) == []


def test_a_network_without_humanz_route_has_an_own_subnet_too(node, version):
    Conflist(node, {
        "type": "humanz-bridge", "bridge": BRIDGE, "isGateway": True,
        "ipam": {"type": "humanz-ipam", "subnet": subnet(1, version)}}).add("pod")
    assert seen(node) == []
    node.run("ip", f"-{version}", "route", "delete", subnet(1, version), "dev", BRIDGE)
    [problem] = seen(node)
    assert "its route is missing" in problem
    assert Tool(node).call("routes", check=False).returncode == 1


def test_the_gateway_in_a_vlan_is_the_bridges_link_in_it(node, version):
    need_vlans(node)
    Conflist(
        node, {"type": "humanz-bridge", "bridge": BRIDGE, "vlan": 7},
        {"type": "humanz-ipam", "subnet": subnet(1, version)}, {"type": "humanz-route"}).add("pod")
    assert seen(node) == []
    node.run("ip", f"-{version}", "route", "delete", subnet(1, version), "dev", f"{BRIDGE}.7")
    [problem] = seen(node)
    assert "its route is missing" in problem
