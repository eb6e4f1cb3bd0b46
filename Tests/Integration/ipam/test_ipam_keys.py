# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam: its keys, the addresses that they select, and invalid values."""

import ipaddress
import itertools
import json
import time

import pytest

from lab.isolated_node import Node
from lab.lease_store import Leases, record
from lab.tool import WRONG_USAGE, Tool

NUMBER = itertools.count()


@pytest.fixture(scope="module")
def shared():
    with Node("node") as node:
        yield node


@pytest.fixture
def network(shared):
    """Makes a network with a unique name."""
    def make(**keys):
        return Leases(shared, name=f"net{next(NUMBER)}", **keys)
    return make


def fill(network, limit=20):
    """Runs ADD until it fails; returns the addresses of each ADD, and the error."""
    given = []
    while len(given) < limit:
        try:
            given.append(network.lease(f"pod{len(given)}"))
        except AssertionError:
            return given, network.refusal("ADD", "last")
    return given, None


@pytest.mark.parametrize("keys, path", [
    ({"ranges": [[{"subnet": "10.1.2.0/24", "rangeStrt": "10.1.2.9"}]]}, "ipam.ranges[0][0].rangeStrt"),
    ({"subnet": "10.1.2.0/24", "routes": [{"dst": "198.51.100.0/24", "mut": 1400}]}, "ipam.routes[0].mut")])
def test_a_mistyped_key_of_a_list_is_refused(network, keys, path):
    error = network(**keys).refusal("ADD", "pod")
    assert error["code"] == 7 and path in error["msg"]


# Which addresses are leased

@pytest.mark.parametrize("keys, expected", [
    pytest.param({"subnet": "10.1.2.0/29"}, ["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"],
                 id="all but network, broadcast and gateway"),
    pytest.param({"subnet": "10.1.2.0/29", "gateway": "10.1.2.4"},
                 ["10.1.2.1", "10.1.2.2", "10.1.2.3", "10.1.2.5", "10.1.2.6"], id="gateway"),
    pytest.param({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.11"},
                 ["10.1.2.9", "10.1.2.10", "10.1.2.11"], id="rangeStart and rangeEnd"),
    pytest.param({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.253"}, ["10.1.2.253", "10.1.2.254"],
                 id="rangeStart alone"),
    pytest.param({"subnet": "10.1.2.0/24", "rangeEnd": "10.1.2.3"}, ["10.1.2.2", "10.1.2.3"],
                 id="rangeEnd alone"),
    pytest.param({"subnet": "10.1.2.4/30", "rangeStart": "", "rangeEnd": "", "gateway": ""},
                 ["10.1.2.6"], id="an empty string is an absent address"),
    pytest.param({"subnet": "10.1.2.4/30", "gateway": "10.9.0.1"}, ["10.1.2.5", "10.1.2.6"],
                 id="gateway outside the subnet"),
    pytest.param({"subnet": "10.1.2.4/30"}, ["10.1.2.6"], id="/30"),
    pytest.param({"subnet": "10.1.2.4/31"}, ["10.1.2.4", "10.1.2.5"], id="/31"),
    pytest.param({"subnet": "10.1.2.4/31", "gateway": "10.1.2.4"}, ["10.1.2.5"], id="/31 with gateway"),
    pytest.param({"subnet": "fd00::4/127"}, ["fd00::4", "fd00::5"], id="/127"),
    pytest.param({"subnet": "fd00::4/127", "gateway": "fd00::5"}, ["fd00::4"], id="/127 with gateway"),
    pytest.param({"subnet": "fd00::4/126"}, ["fd00::6", "fd00::7"], id="/126"),
    pytest.param({"subnet": "fd00::/64", "rangeEnd": "fd00::3"}, ["fd00::2", "fd00::3"], id="/64"),
    pytest.param({"subnet": "fd00::/8", "rangeStart": "fd00:ffff::", "rangeEnd": "fd00:ffff::1"},
                 ["fd00:ffff::", "fd00:ffff::1"], id="/8"),
    pytest.param({"subnet": "10.1.2.0/29", "exclude": ["10.1.2.3", "10.1.2.4/31"]},
                 ["10.1.2.2", "10.1.2.6"], id="exclude"),
    pytest.param({"subnet": "10.1.2.0/29", "exclude": ["10.1.2.7/30", "fd00::/8"]},
                 ["10.1.2.2", "10.1.2.3"], id="exclude with host bits, and of another family"),
    pytest.param({"ranges": [[{"subnet": "10.1.2.4/30"}, {"subnet": "10.3.0.0/30"}]]},
                 ["10.1.2.6", "10.3.0.2"], id="two ranges of a set"),
])
def test_a_pool_gives_each_of_its_addresses_once(network, keys, expected):
    given, error = fill(network(**keys))
    assert [addresses for addresses in given] == [[address] for address in expected]
    assert error["code"] == 120
    assert error["details"].startswith(f"{len(expected)} of {len(expected)} are used; ")


@pytest.mark.parametrize("subnet", ["fd00::/64", "fd00::/32", "fd00::/8", "::/0", "0.0.0.0/0",
                                    "10.0.0.0/8"])
def test_a_pool_of_any_size_gives_its_first_addresses(network, subnet):
    first = ipaddress.ip_network(subnet).network_address
    assert [network(subnet=subnet).lease(f"pod{n}") for n in range(1)] == [[str(first + 2)]]


def test_an_attachment_gets_one_address_of_each_set_in_their_order(network):
    net = network(subnet="10.1.0.0/24", ranges=[[{"subnet": "fd00::/64"}], [{"subnet": "10.2.0.0/24"}]])
    net.configuration["runtimeConfig"] = {"ipRanges": [[{"subnet": "10.3.0.0/24"}]]}
    assert net.lease("pod") == ["10.3.0.2", "10.1.0.2", "fd00::2", "10.2.0.2"]
    assert [ip["gateway"] for ip in net.results["pod"]["ips"]] == [
        "10.3.0.1", "10.1.0.1", "fd00::1", "10.2.0.1"]
    assert [ip["address"].split("/")[1] for ip in net.results["pod"]["ips"]] == ["24", "24", "64", "24"]


def test_all_sets_give_an_address_or_none(network):
    net = network(ranges=[[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::4/126"}]])
    given, error = fill(net)
    assert given == [["10.1.0.2", "fd00::6"], ["10.1.0.3", "fd00::7"]]
    assert error["code"] == 120 and "fd00::4/126" in error["msg"]
    assert sorted(net.held()) == ["10.1.0.2", "10.1.0.3", "fd00::6", "fd00::7"]


def test_a_freed_address_is_the_last_one_to_be_given_again(network):
    net = network(subnet="10.1.2.0/29")
    for n in range(3):
        net.lease(f"pod{n}")
    net.release("pod0")
    assert [net.lease(f"next{n}") for n in range(3)] == [["10.1.2.5"], ["10.1.2.6"], ["10.1.2.2"]]


def test_a_gateway_is_given_by_no_set_whichever_has_it(network):
    halves = [[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.2", "rangeEnd": "10.1.2.3"}],
              [{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.8", "rangeEnd": "10.1.2.9",
                "gateway": "10.1.2.2"}]]
    net = network(ranges=halves)
    assert net.lease("pod") == ["10.1.2.3", "10.1.2.8"]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_what_a_result_of_an_old_version_cannot_hold_is_not_leased(network, version):
    net = network(version=version, ranges=[[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]])
    error = net.refusal("ADD", "pod")
    assert error["code"] == 7 and "ranges" in error["msg"]
    net = network(version=version, ranges=[[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]])
    net.lease("pod")
    assert net.results["pod"]["ip4"]["ip"] == "10.1.0.2/24"
    assert net.results["pod"]["ip6"]["ip"] == "fd00::2/64"


# Requested addresses

SOURCES = {
    "CNI_ARGS": lambda net, address: {"environment": {"CNI_ARGS": f"IgnoreUnknown=1;IP={address}"}},
    "args.cni.ips": lambda net, address: net.configuration.update(args={"cni": {"ips": [address]}}),
    "runtimeConfig.ips": lambda net, address: net.configuration.update(
        runtimeConfig={"ips": [address]}),
}


@pytest.mark.parametrize("text", ["10.1.0.77", "10.1.0.77/24"])
@pytest.mark.parametrize("source", SOURCES)
def test_the_address_that_is_asked_for_is_given(network, source, text):
    net = network(subnet="10.1.0.0/24")
    assert net.lease("pod", **(SOURCES[source](net, text) or {})) == ["10.1.0.77"]


def test_of_the_sources_of_an_address_runtimeconfig_wins_over_args_and_those_over_cni_args(network):
    net = network(subnet="10.1.0.0/24")
    environment = SOURCES["CNI_ARGS"](net, "10.1.0.50")
    assert net.lease("first", **environment) == ["10.1.0.50"]
    SOURCES["args.cni.ips"](net, "10.1.0.60")
    assert net.lease("second", **environment) == ["10.1.0.60"]
    SOURCES["runtimeConfig.ips"](net, "10.1.0.70")
    assert net.lease("third", **environment) == ["10.1.0.70"]


def test_the_search_goes_on_behind_an_address_that_is_asked_for(network):
    net = network(ranges=[[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]])
    SOURCES["runtimeConfig.ips"](net, "10.1.0.50")
    assert net.lease("pod") == ["10.1.0.50", "fd00::2"]
    del net.configuration["runtimeConfig"]
    assert net.lease("next") == ["10.1.0.51", "fd00::3"]


def test_ranges_that_the_runtime_asks_for_may_hold_the_address_it_asks_for(network):
    net = network(subnet="10.1.0.0/24")
    net.configuration["runtimeConfig"] = {
        "ipRanges": [[{"subnet": "10.5.0.0/24"}]], "ips": ["10.5.0.9", "10.1.0.9"]}
    assert net.lease("pod") == ["10.5.0.9", "10.1.0.9"]


def test_a_capability_that_is_not_declared_is_not_used(network):
    net = network(subnet="10.1.0.0/24")
    net.configuration |= {"capabilities": {"ips": False}, "runtimeConfig": {"ips": ["10.1.0.9"]}}
    assert net.lease("pod") == ["10.1.0.2"]


def test_an_address_of_one_set_that_is_asked_for_leaves_the_others_to_choose(network):
    net = network(ranges=[[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]])
    SOURCES["runtimeConfig.ips"](net, "fd00::abcd")
    assert net.lease("pod") == ["10.1.0.2", "fd00::abcd"]


@pytest.mark.parametrize("addresses, said", [
    (["10.2.0.1"], "in none of the ranges"), (["10.1.0.1"], "the gateway's"),
    (["10.1.0.99"], "excluded"), (["10.1.0.4", "10.1.0.5"], "in the same range set"),
    (["10.1.0.3"], "held by other eth0"), (["fd00::1"], "in none of the ranges"),
    (["10.1.0.0"], "in none of the ranges"), (["10.1.0.255"], "in none of the ranges"),
])
def test_an_address_that_cannot_be_given_is_an_error_that_says_why(network, addresses, said):
    net = network(subnet="10.1.0.0/24", exclude=["10.1.0.99"])
    net.configuration["runtimeConfig"] = {"ips": ["10.1.0.3"]}
    net.lease("other")
    net.configuration["runtimeConfig"] = {"ips": addresses}
    error = net.refusal("ADD", "pod")
    assert error["code"] == 121
    assert said in error["msg"] and addresses[-1] in error["msg"]
    assert net.held() == {"10.1.0.3": "other eth0"}


# The names of Kubernetes pods

ARGUMENTS = "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID=pod"


def test_the_pod_s_name_is_kept_and_logged(network):
    net = network(subnet="10.1.0.0/24")
    arguments = {"CNI_ARGS": ARGUMENTS.format("default", "web-0")}
    net.lease("pod", environment=arguments)
    file = record(net, "pod")
    assert (file["podNamespace"], file["podName"]) == ("default", "web-0")
    net.release("pod", environment=arguments)
    lines = [line for line in net.node.path("/var/log/humanz_cni.log").read_text().splitlines()
             if f"network={net.configuration['name']} " in line]
    assert len(lines) == 2
    for line in lines:
        assert " container=pod pod=default/web-0 interface=eth0 " in line


@pytest.mark.parametrize("arguments", [
    None, "IgnoreUnknown=1", "K8S_POD_NAME=web", ARGUMENTS.format("default", ""),
    ARGUMENTS.format("default", "a b"), ARGUMENTS.format("default", "\u202eweb"),
    ARGUMENTS.format("De", "web"), ARGUMENTS.format("default", "w" * 254)])
def test_what_cannot_be_a_pod_s_name_is_neither_kept_nor_logged(network, arguments):
    net = network(subnet="10.1.0.0/24")
    net.lease("pod", environment={"CNI_ARGS": arguments})
    assert not {"podNamespace", "podName"} & record(net, "pod").keys()
    lines = [line for line in net.node.path("/var/log/humanz_cni.log").read_text().splitlines()
             if f"network={net.configuration['name']} " in line]
    assert len(lines) == 1 and " pod=" not in lines[0]


# Many ranges

def test_20000_ranges_take_a_time_in_proportion(network, record_property):
    def seconds(count):
        ranges = [{"subnet": f"10.{n // 4096}.{n // 16 % 256}.{n % 16 * 16}/28"} for n in range(count)]
        net = network(ranges=[ranges[n::4] for n in range(4)])
        start = time.monotonic()
        assert len(net.lease("pod")) == 4
        return time.monotonic() - start

    few, many = min(seconds(2000) for _ in range(3)), min(seconds(20000) for _ in range(3))
    record_property("ADD", f"{few:.2f} s with 2,000 ranges, {many:.2f} s with 20,000")
    assert many < 25 * few


def test_an_attachment_of_thousands_of_addresses_is_deleted(network):
    net = network(ranges=[[{"subnet": f"10.{n // 4096}.{n // 16 % 256}.{n % 16 * 16}/28"}] for n in range(5000)])
    assert len(net.lease("pod")) == 5000
    net.call("CHECK", "pod", prevResult=net.results["pod"])
    net.release("pod")
    assert net.held() == {}


def test_an_attachment_whose_namespace_has_a_long_path_is_deleted(network):
    net = network(subnet="10.1.0.0/24")
    path = "/" + "x" * 100_000
    assert net.lease("pod", namespace=path) == ["10.1.0.2"]
    assert record(net, "pod")["netns"] == path
    net.release("pod", namespace=path)
    assert net.held() == {}


def test_many_ranges_are_named_by_the_first_ones(network):
    ranges = [{"subnet": f"10.1.{n}.0/30"} for n in range(100)]
    net = network(ranges=[ranges + [{"subnet": "10.1.7.0/29"}]])
    error = net.refusal("ADD", "pod")
    assert error["code"] == 7 and "10.1.7.0/29 overlaps with 10.1.7.0/30" in error["msg"]
    net.configuration["ipam"]["ranges"] = [[{**range, "gateway": ""} for range in ranges]]
    assert fill(net, limit=101)[1]["msg"] == (
        "no address is free in 10.1.0.0/30, 10.1.1.0/30, 10.1.2.0/30 and 97 more ranges")


# Routes and DNS are passed on

def test_routes_and_dns_are_passed_on(network):
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.7", "mtu": 1400}]
    dns = {"nameservers": ["10.0.0.53"], "search": ["example"], "options": ["ndots:2"]}
    net = network(subnet="10.1.0.0/24", routes=routes, dns=dns)
    net.lease("pod")
    assert net.results["pod"]["routes"] == routes
    assert net.results["pod"]["dns"] == dns


@pytest.mark.parametrize("gateway", [None, ""])
def test_the_gateway_of_a_route_that_is_null_or_empty_is_absent(network, gateway):
    net = network(subnet="10.1.0.0/24", routes=[{"dst": "0.0.0.0/0", "gw": gateway, "mtu": 1400}])
    net.lease("pod")
    assert net.results["pod"]["routes"] == [{"dst": "0.0.0.0/0", "mtu": 1400}]


def test_a_gateway_outside_the_subnet_is_in_the_result(network):
    net = network(subnet="10.1.0.0/24", gateway="10.9.0.1")
    assert net.lease("pod") == ["10.1.0.1"]
    assert net.results["pod"]["ips"][0]["gateway"] == "10.9.0.1"


def test_resolvconf_is_read_into_dns(network):
    net = network(subnet="10.1.0.0/24", resolvConf="/run/resolv.conf")
    net.node.path("/run/resolv.conf").write_text(
        "# a comment\n; another\nnameserver 10.0.0.53\nnameserver fd00::53\n\ndomain example.org\n"
        "search a.example\nsearch b.example c.example\noptions ndots:2 edns0\noptions timeout:1\n"
        "sortlist 10.0.0.0\nnameserver\n")
    net.lease("pod")
    assert net.results["pod"]["dns"] == {
        "nameservers": ["10.0.0.53", "fd00::53"], "domain": "example.org",
        "search": ["b.example", "c.example"], "options": ["ndots:2", "edns0", "timeout:1"]}


def test_a_resolvconf_that_is_not_there_is_an_error_and_nothing_is_leased(network):
    net = network(subnet="10.1.0.0/24", resolvConf="/run/none")
    error = net.refusal("ADD", "pod")
    assert error["code"] == 5 and "/run/none" in error["msg"]
    assert not net.directory.exists()


def test_a_delegate_prints_no_interfaces(network):
    net = network(subnet="10.1.0.0/24")
    net.lease("pod")
    assert net.results["pod"] == {
        "cniVersion": "1.0.0", "dns": {}, "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}


# Errors

@pytest.mark.parametrize("keys, key", [
    ({}, "subnet"), ({"subnet": "10.1.0.0"}, "subnet"), ({"subnet": 7}, "subnet"),
    ({"subnet": "10.1.0.1/24"}, "subnet"), ({"subnet": "10.1.0.1/32"}, "subnet"),
    ({"subnet": "fd00::1/128"}, "subnet"), ({"subnet": "10.1.0.0/33"}, "subnet"),
    ({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}, "rangeStart"),
    ({"subnet": "10.1.0.0/24", "rangeStart": "x"}, "rangeStart"),
    ({"subnet": "10.1.0.0/24", "rangeEnd": "fd00::1"}, "rangeEnd"),
    ({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}, "rangeStart"),
    ({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.255"}, "rangeStart"),
    ({"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.0"}, "rangeEnd"),
    ({"subnet": "10.1.0.0/24", "gateway": "fd00::1"}, "gateway"),
    ({"subnet": "10.1.0.0/24", "gateway": "x"}, "gateway"),
    ({"subnet": ""}, "subnet"),
    ({"subnet": "10.1.0.0/24", "exclude": "10.1.0.2"}, "exclude"),
    ({"subnet": "10.1.0.0/24", "exclude": ["10.1.0.2", "x"]}, "exclude[1]"),
    ({"subnet": "10.1.0.0/30", "exclude": ["10.1.0.2"]}, "subnet"),
    ({"ranges": {}}, "ranges"), ({"ranges": []}, "subnet"), ({"ranges": [[]]}, "ranges[0]"),
    ({"ranges": [{"subnet": "10.1.0.0/24"}]}, "ranges[0]"), ({"ranges": [["x"]]}, "ranges[0][0]"),
    ({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "x"}]]}, "ranges[0][1].subnet"),
    ({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}, "ranges[0]"),
    ({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]}, "ranges[1]"),
    ({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/24"}]]}, "ranges[0]"),
    ({"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.1.0.0/24"}]]}, "ranges[0]"),
    ({"subnet": "10.1.0.0/24", "routes": [{}]}, "routes[0].dst"),
    ({"subnet": "10.1.0.0/24", "routes": [{"dst": "x"}]}, "routes[0].dst"),
    ({"subnet": "10.1.0.0/24", "dns": []}, "dns"),
    ({"subnet": "10.1.0.0/24", "resolvConf": 1}, "resolvConf"),
    ({"subnet": "10.1.0.0/24", "dataDir": "relative"}, "dataDir"),
])
def test_a_key_that_cannot_be_is_error_7_that_names_it(network, keys, key):
    net = network(**keys)
    error = net.refusal("ADD", "pod")
    assert error["code"] == 7, error
    assert f"\"ipam.{key}\"" in error["msg"]
    assert not net.directory.exists()


@pytest.mark.parametrize("keys, key", [
    ({"runtimeConfig": {"ips": ["x"]}}, "runtimeConfig.ips[0]"),
    ({"runtimeConfig": {"ips": "10.1.0.3"}}, "runtimeConfig.ips"),
    ({"args": {"cni": {"ips": [3]}}}, "args.cni.ips[0]"),
    ({"runtimeConfig": {"ipRanges": [[{"subnet": "x"}]]}}, "runtimeConfig.ipRanges[0][0].subnet"),
])
def test_a_request_that_cannot_be_is_error_7_that_names_the_key(network, keys, key):
    net = network(subnet="10.1.0.0/24")
    error = net.refusal("ADD", "pod", **keys)
    assert error["code"] == 7 and f"\"{key}\"" in error["msg"]


def test_an_address_in_cni_args_that_cannot_be_is_error_4(network):
    net = network(subnet="10.1.0.0/24")
    error = net.refusal("ADD", "pod", environment={"CNI_ARGS": "IP=10.1.0"})
    assert error["code"] == 4 and "10.1.0" in error["msg"]


def test_without_an_ipam_section_a_delegate_has_nothing_to_give_from(network):
    net = network()
    del net.configuration["ipam"]
    error = net.refusal("ADD", "pod")
    assert error["code"] == 7 and "\"ipam\"" in error["msg"]


@pytest.mark.parametrize("name", ["../escape", "..", ".hidden", "a/b", "/abs", "", "a" * 97, "-x"])
def test_the_name_of_a_network_never_leaves_the_store(network, name):
    net = network(subnet="10.1.0.0/24", dataDir="/run/deep/leases")
    net.configuration["name"] = name
    for verb in ["ADD", "DEL"]:
        assert net.refusal(verb, "pod")["code"] == 7
    assert not net.node.path("/run/deep").exists()
    shown = Tool(net.node).call("leases", name, check=False)
    assert shown.returncode == WRONG_USAGE


# The cluster file that humanz sync writes

def test_the_nodes_subnets_come_from_the_cluster_file(network):
    net = network(clusterFile="/run/cluster.json")
    error = net.refusal("ADD", "pod")
    assert error["code"] == 11 and "/run/cluster.json" in error["msg"]
    net.node.path("/run/cluster.json").write_text(
        json.dumps({"subnets": ["10.7.0.0/24", "fd07::/64"], "peers": []}))
    assert net.lease("pod") == ["10.7.0.2", "fd07::2"]
