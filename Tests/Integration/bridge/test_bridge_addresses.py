# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge with an `ipam` section: gateway, addresses, routes and DNS."""

import ipaddress
import signal

import pytest

from bridge.fake_ipam import calls, fake_ipam
from lab.attachment import (
    Network, Refused, address, addresses, comes_to_reach, port, reaches, subnets)
from lab.isolated_node import Node, Segment

V4, V6 = "10.77.0.0/24", "fd77::/64"
IPAM4 = subnets(V4)


def default_routes(node, pod):
    return [route["gateway"] for family in ("-4", "-6")
            for route in node.ip(family, "route", "show", "default", pod=pod)]


# The gateway

@pytest.mark.parametrize("networks, gateways", [
    pytest.param([V4], ["10.77.0.1/24"], id="IPv4"),
    pytest.param([V6], ["fd77::1/64"], id="IPv6"),
    pytest.param([V4, V6], ["10.77.0.1/24", "fd77::1/64"], id="both"),
])
def test_the_pod_reaches_the_gateway_on_the_bridge(node, networks, gateways):
    result = Network(node, isGateway=True, ipam=subnets(*networks)).add("pod")
    assert addresses(node, "cni0") == gateways
    assert default_routes(node, "pod") == []
    for gateway in gateways:
        assert reaches(node, "pod", gateway.split("/")[0])
    assert [ip["gateway"] for ip in result["ips"]] == [g.split("/")[0] for g in gateways]


def test_without_isGateway_the_bridge_has_no_address(node):
    network = Network(node, ipam=subnets(V4))
    first, second = network.add("first"), network.add("second")
    assert addresses(node, "cni0") == []
    assert reaches(node, "first", address(second))
    assert node.run("sysctl", "-n", "net.ipv4.ip_forward").stdout.strip() == "0"
    assert address(first) in node.leases()


@pytest.mark.parametrize("given, gateway", [
    ("10.77.0.9/24", "10.77.0.1"), ("10.77.3.9/16", "10.77.0.1"), ("fd77::9/64", "fd77::1")])
def test_the_gateway_that_ipam_does_not_name_is_the_networks_first_address(node, given, gateway):
    ipam = {"type": "static", "addresses": [{"address": given}]}
    result = Network(node, isDefaultGateway=True, ipam=ipam).add("pod")
    length = given.split("/")[1]
    assert addresses(node, "cni0") == [f"{gateway}/{length}"]
    assert default_routes(node, "pod") == [gateway]
    assert result["ips"][0]["gateway"] == gateway
    assert reaches(node, "pod", gateway)


@pytest.mark.parametrize("networks", [[V4], [V6], [V4, V6]])
def test_with_isDefaultGateway_the_pod_reaches_what_is_behind_the_node(node, networks):
    with Segment() as segment, Node("far") as far:
        segment.join(node, "uplink", "192.0.2.1/24", "2001:db8::1/64")
        segment.join(far, "uplink", "192.0.2.2/24", "2001:db8::2/64")
        for network in networks:
            version = ipaddress.ip_network(network).version
            via = {4: "192.0.2.1", 6: "2001:db8::1"}[version]
            far.run("ip", f"-{version}", "route", "add", network, "via", via)
        result = Network(node, isDefaultGateway=True, ipam=subnets(*networks)).add("pod")
        for network in networks:
            version = ipaddress.ip_network(network).version
            assert comes_to_reach(node, "pod", {4: "192.0.2.2", 6: "2001:db8::2"}[version])
        assert len(result["routes"]) == len(networks)


def test_a_default_route_that_ipam_gives_is_not_made_twice(node):
    ipam = {**IPAM4, "routes": [{"dst": "0.0.0.0/0"}]}
    result = Network(node, isDefaultGateway=True, ipam=ipam).add("pod")
    assert result["routes"] == [{"dst": "0.0.0.0/0"}]
    assert default_routes(node, "pod") == ["10.77.0.1"]


def test_the_routes_of_ipam_are_the_pods(node):
    ipam = {**IPAM4, "routes": [{"dst": "198.51.100.0/24"},
                                {"dst": "203.0.113.0/24", "gw": "10.77.0.254"}]}
    Network(node, isGateway=True, ipam=ipam).add("pod")
    routes = {route["dst"]: route.get("gateway") for route in node.ip("route", pod="pod")}
    assert routes["198.51.100.0/24"] == "10.77.0.1"
    assert routes["203.0.113.0/24"] == "10.77.0.254"


# An address that the bridge already has

@pytest.mark.parametrize("present", ["10.77.0.254/24", "10.77.0.1/16", "192.168.7.1/24"])
def test_another_address_of_the_bridge_is_an_error_that_names_it(node, present):
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    node.run("ip", "address", "add", present, "dev", "cni0")
    network = Network(node, isGateway=True, ipam=IPAM4)
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 101
    assert present in refused.value.error["msg"]
    assert addresses(node, "cni0") == [present]
    assert node.leases() == set()
    assert node.ip("link", "show", "type", "veth") == []


@pytest.mark.parametrize("present", ["10.77.0.254/24", "10.77.0.1/16", "192.168.7.1/24"])
def test_forceAddress_replaces_another_address_of_the_bridge(node, present):
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    node.run("ip", "address", "add", present, "dev", "cni0")
    Network(node, isGateway=True, forceAddress=True, ipam=IPAM4).add("pod")
    assert addresses(node, "cni0") == ["10.77.0.1/24"]
    assert reaches(node, "pod", "10.77.0.1")


def test_forceAddress_replaces_an_address_by_several(node):
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    node.run("ip", "address", "add", "192.168.7.1/24", "dev", "cni0")
    Network(node, isGateway=True, forceAddress=True,
            ipam=subnets("10.77.0.0/24", "10.78.0.0/24")).add("pod")
    assert addresses(node, "cni0") == ["10.77.0.1/24", "10.78.0.1/24"]


def test_an_ipv6_address_of_another_subnet_stays_beside_the_gateway(node):
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    node.run("ip", "address", "add", "fd01::1/64", "dev", "cni0", "nodad")
    Network(node, isGateway=True, forceAddress=True, ipam=subnets(V6)).add("pod")
    assert sorted(addresses(node, "cni0")) == ["fd01::1/64", "fd77::1/64"]


def test_a_pod_with_addresses_of_two_subnets_has_both_gateways(node):
    network = Network(node, isGateway=True, ipam=subnets("10.77.0.0/24", "10.78.0.0/24"))
    for pod in ["first", "second"]:
        network.add(pod)
    assert addresses(node, "cni0") == ["10.77.0.1/24", "10.78.0.1/24"]
    assert reaches(node, "first", "10.78.0.1")


# Duplicate address detection

def test_an_ipv6_address_is_usable_when_add_returns(node):
    Network(node, isGateway=True, ipam=subnets(V6)).add("pod")
    entry = [entry for entry in node.ip("address", "show", "dev", "eth0", pod="pod")[0]["addr_info"]
             if entry["scope"] == "global"][0]
    assert entry.get("nodad") and not entry.get("tentative")


def test_with_enabledad_an_address_that_another_has_is_an_error(node):
    network = Network(node, enabledad=True, ipam=fake_ipam(
        node, '{"cniVersion": "1.0.0", "ips": [{"address": "fd77::9/64"}]}'))
    network.add("first")
    with pytest.raises(Refused) as refused:
        network.add("second")
    assert refused.value.error["code"] == 101
    assert "fd77::9" in refused.value.error["msg"]
    assert calls(node) == ["ADD", "ADD", "DEL"]
    assert len(node.ip("link", "show", "type", "veth")) == 1


# DNS

@pytest.mark.parametrize("own, expected", [
    (None, {"nameservers": ["10.0.0.53"], "search": ["delegate.example"]}),
    ({}, {"nameservers": ["10.0.0.53"], "search": ["delegate.example"]}),
    ({"nameservers": ["192.0.2.53"], "domain": "own.example"},
     {"nameservers": ["192.0.2.53"], "domain": "own.example"}),
])
def test_dns_replaces_the_delegates(node, own, expected):
    node.path("/run/resolv.conf").write_text("nameserver 10.0.0.53\nsearch delegate.example\n")
    keys = {"dns": own} if own is not None else {}
    result = Network(node, ipam={**IPAM4, "resolvConf": "/run/resolv.conf"}, **keys).add("pod")
    assert {key: value for key, value in result["dns"].items() if value} == expected


def test_dns_is_in_the_result_without_ipam_too(node):
    assert Network(node, dns={"nameservers": ["192.0.2.53"]}).add("pod")["dns"] == {
        "nameservers": ["192.0.2.53"]}


# Delegates

def test_a_delegate_that_is_missing_is_an_error_that_names_it(node):
    network = Network(node, version="1.1.0", ipam={"type": "no-such-ipam"})
    before = node.traces()
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 103
    assert "no-such-ipam" in refused.value.error["msg"]
    assert node.traces() == before
    with pytest.raises(Refused) as refused:
        network.call("STATUS")
    assert refused.value.error["code"] == 50


@pytest.mark.parametrize("name", ["/run/cni/bin/host-local", "../bin/host-local", ".."])
def test_a_delegate_is_never_a_path(node, name):
    with pytest.raises(Refused) as refused:
        Network(node, ipam={"type": name}).add("pod")
    assert refused.value.error["code"] == 7


@pytest.mark.parametrize("text, status, code, words", [
    pytest.param('{"cniVersion": "1.0.0", "code": 199, "msg": "no more", "details": "sorry"}', 1,
                 199, "no more", id="its own error"),
    pytest.param("Segmentation fault", 139, 103, "fake-ipam", id="no error"),
    pytest.param("hello", 0, 103, "fake-ipam", id="no result"),
    pytest.param('{"cniVersion": "1.0.0", "ips": []}', 0, 103, "fake-ipam", id="no address"),
    pytest.param('{"cniVersion": "1.0.0", "ips": [{"address": "10.77.0.300/24"}]}', 0,
                 103, "10.77.0.300", id="no such address"),
])
def test_a_delegate_that_fails_is_called_again_to_release(node, text, status, code, words):
    network = Network(node, ipam=fake_ipam(node, text, status))
    before = node.traces()
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == code
    assert words in refused.value.error["msg"] + refused.value.error.get("details", "")
    assert calls(node) == ["ADD", "DEL"]
    assert node.traces() == before


def test_an_add_that_fails_after_its_delegate_releases_the_address(node):
    node.run("ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other")
    network = Network(node, ipam=IPAM4)
    with pytest.raises(Refused):
        network.add("pod")
    assert node.leases() == set()


def test_an_attachment_that_is_there_keeps_its_address_when_it_is_added_again(node):
    network = Network(node, isGateway=True, ipam=IPAM4)
    result = network.add("pod")
    node.add_pod("other")
    with pytest.raises(Refused) as refused:
        network.call("ADD", "pod", namespace="/run/netns/other")
    assert refused.value.error["code"] == 101
    assert port(result) in refused.value.error["msg"]
    assert node.leases() == {address(result)}
    assert reaches(node, "pod", "10.77.0.1")


def test_a_delegate_starts_with_the_default_of_the_signal_that_a_plugin_ignores(node):
    network = Network(node, ipam=fake_ipam(
        node, '{"cniVersion": "1.0.0", "ips": [{"address": "10.77.0.9/24"}]}'))
    script = node.path("/run/tmp/fake-ipam")
    script.write_text(script.read_text().replace(
        "cat >/dev/null", "cat >/dev/null\ngrep SigIgn /proc/self/status >/run/signals"))
    network.add("pod")
    # Those that the caller ignores are the caller's choice.
    assert not int(node.path("/run/signals").read_text().split()[1], 16) & 1 << signal.SIGPIPE - 1


def test_check_status_and_gc_are_forwarded_to_the_delegate(node):
    network = Network(node, version="1.1.0", ipam=fake_ipam(
        node, '{"cniVersion": "1.1.0", "ips": [{"address": "10.77.0.9/24"}]}'))
    network.add("pod")
    network.check("pod")
    network.call("STATUS")
    network.gc("pod")
    network.delete("pod")
    assert calls(node) == ["ADD", "CHECK", "STATUS", "GC", "DEL"]


@pytest.mark.parametrize("change, words", [
    (["ip", "address", "del", "10.77.0.2/24", "dev", "eth0"], "10.77.0.2/24"),
    (["ip", "route", "del", "default"], "0.0.0.0/0"),
])
def test_check_names_what_the_pod_has_lost(node, change, words):
    network = Network(node, isDefaultGateway=True, ipam=IPAM4)
    network.add("pod")
    network.check("pod")
    node.run(*change, pod="pod")
    with pytest.raises(Refused) as refused:
        network.check("pod")
    assert refused.value.error["code"] == 102
    assert words in refused.value.error["msg"]


@pytest.mark.parametrize("change, words", [
    (["ip", "address", "del", "10.77.0.1/24", "dev", "cni0"], "10.77.0.1/24"),
    (["sysctl", "-w", "net.ipv4.ip_forward=0"], "forwarding of IPv4"),
    (["rm", "-r", "/var/lib/cni/networks/net"], "host-local"),
    (["ip", "link", "set", "cni0", "down"], "cni0"),
])
def test_check_names_what_the_node_has_lost(node, change, words):
    network = Network(node, isDefaultGateway=True, ipam=IPAM4)
    network.add("pod")
    node.run(*change)
    with pytest.raises(Refused) as refused:
        network.check("pod")
    if words != "host-local":  # its error has its own code and message
        assert refused.value.error["code"] == 102
        assert words in refused.value.error["msg"]
