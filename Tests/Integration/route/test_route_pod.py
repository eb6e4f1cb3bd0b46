# SPDX-License-Identifier: Apache-2.0
"""humanz-route: the pod's own routes, with every attribute that a route can have."""

import pytest

from lab.attachment import Refused
from lab.uplinked import POD, check

SOMEWHERE = {"4": "198.18.7.0/24", "6": "fd00:98:7::/64"}
OTHER_GATEWAY = {"4": "10.244.1.9", "6": "fd00:244:1::9"}
EVERYTHING = {"4": "0.0.0.0/0", "6": "::/0"}


def pod_routes(host, *words):
    return host.node.run(
        "ip", f"-{host.version}", "route", "show", *words, pod="pod").stdout


def ip(host, *words):
    host.node.run("ip", f"-{host.version}", "route", *words, pod="pod")


def test_a_pod_gets_a_default_route_through_its_gateway(host):
    network = host.network()
    result = host.add(network)
    gateway = POD[host.version][1]
    assert f"default via {gateway} dev eth0 proto 72" in pod_routes(host)
    assert {"dst": EVERYTHING[host.version], "gw": gateway} in result["routes"]


def test_no_default_route_is_made_where_that_is_switched_off(host):
    result = host.add(host.network(defaultRoute=False))
    assert "default" not in pod_routes(host)
    assert not result.get("routes")


@pytest.mark.parametrize("attribute, value, shown", [
    ("mtu", 1400, "mtu 1400"),
    ("advmss", 1360, "advmss 1360"),
    ("priority", 77, "metric 77"),
    ("table", 1234, "table 1234"),
    ("gw", OTHER_GATEWAY, "via"),
    ("scope", 253, "scope link"),
])
@pytest.mark.parametrize("source", ["configuration", "prevResult"])
def test_a_route_is_made_with_each_attribute_and_check_sees_it_changed(
        host, source, attribute, value, shown):
    if attribute == "scope" and host.version == "6":
        value, shown = 0, "via"
    if isinstance(value, dict):
        value, shown = value[host.version], f"via {value[host.version]}"
    route = {"dst": SOMEWHERE[host.version], attribute: value}
    network = host.network(routes=[route] if source == "configuration" else [])
    if source == "prevResult":
        host.prev_result["routes"] = [route]
    result = host.add(network)
    assert route in result["routes"]
    text = pod_routes(host, "table", "all")
    [line] = [line for line in text.splitlines() if SOMEWHERE[host.version] in line]
    assert shown in line
    assert check(network) == (0, "")
    # A route that differs in a requested attribute does not count as ours.
    words = line.split()
    table = ["table", "1234"] if attribute == "table" else []
    ip(host, "delete", *[word for word in words if word not in ("linkdown",)][:1], *table)
    assert check(network)[0] == 102
    assert SOMEWHERE[host.version] in check(network)[1]


@pytest.mark.parametrize("change", [
    ["via", OTHER_GATEWAY], ["mtu", "1300"], ["advmss", "1000"]])
def test_check_names_a_route_whose_attribute_was_changed(host, change):
    key, value = change[0], change[1]
    value = value[host.version] if isinstance(value, dict) else value
    gateway = POD[host.version][1]
    network = host.network(
        routes=[{"dst": SOMEWHERE[host.version], "mtu": 1400, "advmss": 1360}])
    host.add(network)
    words = {"via": gateway, "mtu": "1400", "advmss": "1360", key: value}
    ip(host, "replace", SOMEWHERE[host.version], *sum(map(list, words.items()), []), "dev", "eth0")
    code, text = check(network)
    assert code == 102 and SOMEWHERE[host.version] in text and "is different" in text
    wanted = {"via": gateway, "mtu": "1400", "advmss": "1360"}[key]
    assert f"{key} {value}" in text and f"{key} {wanted}" in text


@pytest.mark.parametrize("keys", [
    {"table": 0}, {"mtu": 0}, {"mtu": 70000}, {"advmss": 0}, {"advmss": 70000}, {"priority": 0},
    {"gw": "none"}, {"table": 0, "mtu": 0, "advmss": 0, "priority": 0}])
@pytest.mark.parametrize("source", ["configuration", "prevResult"])
def test_a_value_that_the_kernel_does_not_keep_is_made_and_checked_all_the_same(host, source, keys):
    route = {"dst": SOMEWHERE[host.version], **keys}
    if "gw" in keys:
        route["gw"] = {"4": "0.0.0.0", "6": "::"}[host.version]
    network = host.network(routes=[route] if source == "configuration" else [])
    if source == "prevResult":
        host.prev_result["routes"] = [route]
    assert route in host.add(network)["routes"]
    assert f"{SOMEWHERE[host.version]} via {POD[host.version][1]}" in pod_routes(host)
    assert check(network) == (0, "")
    before = pod_routes(host)
    host.add(network)
    assert pod_routes(host) == before


def test_what_the_interface_plugin_has_set_is_taken_as_it_is(host):
    gateway = POD[host.version][1]
    ip(host, "add", "default", "via", gateway)
    host.prev_result["routes"] = [{"dst": EVERYTHING[host.version], "gw": gateway}]
    network = host.network()
    before = pod_routes(host)
    result = host.add(network)
    host.add(network)
    assert pod_routes(host) == before
    assert result["routes"] == host.prev_result["routes"]
    assert check(network) == (0, "")


@pytest.mark.parametrize("key, values", [
    ("table", {"4": 0, "6": 0}), ("table", {"4": 254, "6": 254}),
    ("priority", {"4": 0, "6": 0}), ("priority", {"4": 0, "6": 1024})])
def test_a_default_route_that_names_the_kernels_own_values_is_not_made_twice(host, key, values):
    host.prev_result["routes"] = [{
        "dst": EVERYTHING[host.version], "gw": OTHER_GATEWAY[host.version], key: values[host.version]}]
    network = host.network(routes=[{"dst": EVERYTHING[host.version], "gw": POD[host.version][1]}])
    result = host.add(network)
    assert len(result["routes"]) == 1
    assert check(network) == (0, "")


def test_a_route_of_the_configuration_goes_before_the_results(host):
    gateway = POD[host.version][1]
    ip(host, "add", "default", "via", gateway)
    everything = EVERYTHING[host.version]
    host.prev_result["routes"] = [{"dst": everything, "gw": gateway}]
    result = host.add(host.network(routes=[{"dst": everything, "mtu": 1400}]))
    assert result["routes"] == [{"dst": everything, "mtu": 1400}]
    [line] = [line for line in pod_routes(host).splitlines() if line.startswith("default")]
    assert f"via {gateway}" in line and "mtu 1400" in line


def test_another_interfaces_default_route_is_left_alone(host):
    node = host.node
    node.run("ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1", pod="pod")
    node.run("ip", "link", "set", "other0", "up", pod="pod")
    node.run("ip", "link", "set", "other1", "up", pod="pod")
    ip(host, "add", "default", "dev", "other0")
    before = pod_routes(host)
    network = host.network()
    result = host.add(network)
    assert pod_routes(host) == before
    assert not result.get("routes")
    assert check(network) == (0, "")


def test_a_failed_add_leaves_the_pod_as_it_was_and_the_node_its_peers(host):
    gateway = POD[host.version][1]
    ip(host, "add", SOMEWHERE[host.version], "via", gateway, "mtu", "1300")
    before = pod_routes(host)
    unreachable = {"4": "203.0.113.1", "6": "fd00:97::1"}[host.version]
    network = host.network(host.peer(2), routes=[
        {"dst": SOMEWHERE[host.version], "mtu": 1400},
        {"dst": {"4": "198.18.9.0/24", "6": "fd00:98:9::/64"}[host.version], "gw": unreachable}])
    with pytest.raises(Refused) as refused:
        host.add(network)
    assert refused.value.error["code"] == 100
    assert unreachable in refused.value.error["msg"]
    assert pod_routes(host) == before
    assert host.ours() == {host.subnet(2): host.via(2)}


def test_an_add_without_prev_result_says_where_the_plugin_belongs(host):
    with pytest.raises(Refused) as refused:
        host.network().call("ADD", "pod")
    assert refused.value.error["code"] == 7
    assert "prevResult" in refused.value.error["msg"]


def test_a_delete_needs_neither_result_nor_namespace_and_may_be_repeated(host):
    network = host.network(host.peer(2))
    host.add(network)
    network.delete("pod")
    host.node.remove_pod("pod")
    network.call("DEL", "pod")
    network.call("DEL", "pod", namespace=None)
    assert host.ours() == {host.subnet(2): host.via(2)}
