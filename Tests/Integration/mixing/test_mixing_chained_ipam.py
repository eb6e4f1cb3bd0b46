# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam and humanz-route as stages after an interface plugin without IPAM."""

import pytest

from lab.attachment import Refused, address, reaches
from lab.conflist import Conflist
from lab.mixed_plugins import (
    GATEWAY, IPAM, REFERENCE_BRIDGE, REFERENCE_MACVLAN, ROUTE, add_world_for)
from lab.traffic import WORLD, fetch, serve

either_interface = pytest.mark.parametrize(
    "interface", [REFERENCE_BRIDGE, REFERENCE_MACVLAN], ids=["bridge", "macvlan"])


def make_network(node, interface):
    add_world_for(node, interface)
    return Conflist(node, interface, IPAM, ROUTE)


@either_interface
def test_pods_have_addresses_and_routes_through_chained_stages_until_their_del(node, interface):
    network = make_network(node, interface)
    first = address(network.add("first"))
    before = node.traces()
    result = network.add("second")
    second = address(result)

    # The stages found the other plugin's interface, and kept its result.
    index = result["ips"][0]["interface"]
    assert result["interfaces"][index]["name"] == "eth0"
    assert result["interfaces"][index]["sandbox"] == "/run/netns/second"
    assert result["ips"][0]["gateway"] == GATEWAY
    assert {"dst": "0.0.0.0/0", "gw": GATEWAY} in result["routes"]

    serve(node, "second", "the page of second")
    assert fetch(node, f"http://{second}/", pod="first") == "the page of second"
    assert fetch(node, f"http://{second}/", pod="world") == "the page of second"
    assert reaches(node, "second", WORLD), "the default route works"

    # The reference bridge has no CHECK without IPAM: it fails.
    checked = network.without("bridge")
    for pod in ("first", "second"):
        checked.check(pod)

    network.delete("second")
    after = node.traces()
    for traces in (before, after):
        del traces["neighbours"]
    assert after == before
    assert node.leases() == {first}
    assert reaches(node, "world", first), "the other pod still works"


@either_interface
@pytest.mark.parametrize("change, named", [
    (["ip", "address", "del", "10.77.0.2/24", "dev", "eth0"], "10.77.0.2/24"),
    (["ip", "route", "del", "default"], "0.0.0.0/0"),
])
def test_check_of_chained_stages_names_what_is_gone(node, interface, change, named):
    network = make_network(node, interface)
    network.add("first")
    stages = network.without("bridge", "macvlan")
    stages.check("first")
    node.run(*change, pod="first")
    with pytest.raises(Refused) as refused:
        stages.check("first")
    assert refused.value.error["code"] == 102
    assert named in refused.value.error["msg"]


@either_interface
def test_the_gateways_address_goes_onto_a_bridge_of_the_node_and_nothing_else(node, interface):
    network = make_network(node, interface)
    network.add("first")
    holders = [link["ifname"] for link in node.ip("-4", "address") for entry in link["addr_info"]
               if entry["local"] == GATEWAY]
    assert holders == (["cni0"] if interface is REFERENCE_BRIDGE else [])


@either_interface
def test_del_of_chained_stages_frees_the_lease_without_a_namespace(node, interface):
    network = make_network(node, interface)
    network.add("first")
    node.remove_pod("first")
    network.run("del", "-", "--container-id", "first")
    assert node.leases() == set()
