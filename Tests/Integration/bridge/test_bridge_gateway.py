# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge and the chain: the gateway, on bridges and nodes as other programs configured them."""

import pytest

from bridge.fake_ipam import fake_ipam
from lab.attachment import Chain, Network, Refused, addresses, link, reaches, subnets
from lab.waiting import eventually

V4, V6 = "10.77.0.0/24", "fd77::/64"
DUAL = {"type": "humanz-ipam", "ranges": [[{"subnet": V4}], [{"subnet": V6}]]}


def sysctl(node, key, pod=None):
    return node.run("sysctl", "-n", key, pod=pod).stdout.strip()


def test_a_link_local_gateway_is_in_nobodys_subnet(node):
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    node.run("ip", "link", "set", "uplink", "up")
    node.run("ip", "address", "add", "fe80::7/64", "dev", "uplink", "nodad")
    # The bridge has the kernel's own link-local address.
    Network(node, name="other", isGateway=True, ipam=subnets(V4)).add("other")
    eventually(lambda: "fe80:" in node.run("ip", "-6", "address", "show", "dev", "cni0").stdout)
    network = Network(node, isDefaultGateway=True, ipam={
        "type": "humanz-ipam", "subnet": V6, "gateway": "fe80::1"})
    result = network.add("pod")
    assert result["ips"][0]["gateway"] == "fe80::1"
    network.check("pod")
    assert "fe80::1" in node.run("ip", "-6", "route", "show", "default", pod="pod").stdout


def test_a_route_of_table_0_is_made_in_the_main_table_and_found_there(node):
    network = Network(node, version="1.1.0", isGateway=True, ipam={
        "type": "humanz-ipam", "subnet": V4,
        "routes": [{"dst": "198.51.100.0/24", "gw": "10.77.0.1", "table": 0}]})
    network.add("pod")
    network.check("pod")


# Bridges that another program made

@pytest.fixture
def plain_bridge(node):
    """A bridge from `ip link add`: its MAC address is the lowest of its ports' MAC addresses."""
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    node.run("ip", "link", "set", "cni0", "up")


def networks(node):
    return {
        "humanz-bridge": Network(node, isGateway=True, ipam=subnets(V4)),
        "the chain": Chain(node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": V4},
                           version="1.0.0"),
        "humanz-ipam after the reference bridge": Chain(
            node, {"type": "bridge", "bridge": "cni0", "ipam": {}},
            {"type": "humanz-ipam", "subnet": V4}, version="1.0.0"),
    }


@pytest.mark.parametrize("kind", networks(None))
def test_a_bridge_keeps_its_mac_address_once_it_is_a_gateway(node, plain_bridge, kind):
    network = networks(node)[kind]
    for number in range(6):
        network.add(f"pod{number}")
    before = link(node, "cni0")["address"]
    for number in range(5):
        network.delete(f"pod{number}")
        assert link(node, "cni0")["address"] == before
        assert reaches(node, "pod5", "10.77.0.1")


@pytest.mark.parametrize("keys", [{}, {"isGateway": True, "ipam": subnets(V4)}])
def test_the_bridges_mac_address_in_the_result_is_the_one_it_has(node, plain_bridge, keys):
    for number in range(4):
        result = Network(node, **keys).add(f"pod{number}")
        assert result["interfaces"][0]["mac"] == link(node, "cni0")["address"]


def test_a_gateway_that_others_put_on_a_bridge_keeps_the_bridges_mac_address(node, plain_bridge):
    node.run("ip", "address", "add", "10.77.0.1/24", "dev", "cni0")
    before = link(node, "cni0")["address"]
    network = Network(node, isGateway=True, ipam=subnets(V4))
    for number in range(4):
        result = network.add(f"pod{number}")
        assert result["interfaces"][0]["mac"] == link(node, "cni0")["address"] == before


# Router advertisements

def accepts(node, name):
    return sysctl(node, f"net.ipv6.conf.{name}.accept_ra") != "0"


@pytest.mark.parametrize("keys", [{}, {"isGateway": True, "ipam": subnets(V4)}])
def test_a_bridge_whose_add_was_killed_before_it_was_prepared_is_prepared_by_the_next(node, keys):
    # The state that the killed ADD leaves: the bridge exists and is down.
    node.run("ip", "link", "add", "cni0", "address", "02:00:00:00:00:99", "type", "bridge")
    assert accepts(node, "cni0")
    Network(node, **keys).add("pod")
    assert not accepts(node, "cni0")


def test_a_bridge_that_cannot_be_prepared_fails_the_add(node):
    node.run("mount", "-o", "bind", "/proc/sys", "/proc/sys")
    node.run("mount", "-o", "remount,ro,bind", "/proc/sys")
    network = Network(node)
    code, words = network.error_of("ADD", node.add_pod("pod") and "pod")
    assert code == 100
    assert "accept_ra" in words and "Read-only" in words
    assert node.ip("link", "show", "type", "bridge") == []


@pytest.fixture
def uplinked(node):
    """A node with the address of a segment, on which no router has advertised itself yet."""
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    for name in ("uplink", "far"):
        node.run("ip", "link", "set", name, "up")
    node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
    return node


@pytest.mark.parametrize("forwards", ["0", "1"])
@pytest.mark.parametrize("chained", [True, False])
def test_an_uplink_that_may_still_learn_a_route_goes_on_accepting_them(uplinked, forwards, chained):
    node = uplinked
    node.run("sysctl", "-qw", f"net.ipv6.conf.all.forwarding={forwards}")
    if chained:
        network = Chain(node, {"type": "humanz-bridge"}, {**DUAL},
                        {"type": "humanz-route", "network": [V4, V6]})
    else:
        network = Network(node, version="1.1.0", isGateway=True, ipam=DUAL)
    network.add("pod")
    assert sysctl(node, "net.ipv6.conf.all.forwarding") == "1"
    assert sysctl(node, "net.ipv6.conf.uplink.accept_ra") == "2"
    # A pod is not a router.
    name = next(entry["name"] for entry in network.results["pod"]["interfaces"]
                if entry["name"].startswith("veth"))
    for name in ("cni0", name, "far"):
        assert sysctl(node, f"net.ipv6.conf.{name}.accept_ra") != "2"


# IPv6 is disabled

def turn_off(node, pod=None):
    node.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
             "net.ipv6.conf.default.disable_ipv6=1", pod=pod)


@pytest.mark.parametrize("chained", [True, False])
def test_ipv6_that_is_off_in_the_pod_is_turned_on_for_its_addresses(node, chained):
    turn_off(node, pod=node.add_pod("pod") and "pod")
    if chained:
        network = Chain(node, {"type": "humanz-bridge"}, DUAL)
    else:
        network = Network(node, isDefaultGateway=True, ipam=DUAL)
    result = network.add("pod")
    assert sysctl(node, "net.ipv6.conf.eth0.disable_ipv6", "pod") == "0"
    assert addresses(node, "eth0", "pod") == [ip["address"] for ip in result["ips"]]
    for ip in result["ips"]:
        assert reaches(node, "pod", ip["gateway"])
        assert reaches(node, "pod", ip["address"].split("/")[0])


def test_ipv6_stays_off_in_a_pod_with_ipv4_addresses_alone(node):
    turn_off(node, pod=node.add_pod("pod") and "pod")
    Network(node, isGateway=True, ipam=subnets(V4)).add("pod")
    assert sysctl(node, "net.ipv6.conf.eth0.disable_ipv6", "pod") == "1"


def test_ipv6_that_is_off_on_the_node_is_an_error_that_says_so(node):
    turn_off(node)
    network = Network(node, isGateway=True, ipam=DUAL)
    before = node.traces()
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 100
    assert "IPv6 is off on the node" in refused.value.error["msg"]
    assert "disable_ipv6" in refused.value.error["details"]
    assert node.traces() == before


@pytest.mark.parametrize("chained", [True, False])
def test_an_interface_that_was_down_has_its_addresses_of_both_families(node, chained):
    if chained:
        network = Chain(node, {"type": "humanz-bridge"}, DUAL)
    else:
        network = Network(node, isGateway=True, ipam=DUAL)
    result = network.add("pod")
    for state in ("down", "up"):
        node.run("ip", "link", "set", "eth0", state, pod="pod")
    assert addresses(node, "eth0", "pod") == [ip["address"] for ip in result["ips"]]
    for ip in result["ips"]:
        assert any(reaches(node, "pod", ip["gateway"]) for _ in range(5))


# A port in a third namespace

def test_a_veth_whose_peer_is_in_a_third_namespace_gets_no_other_pods_port(node):
    """In the third namespace the peer has the same index as another pod's port on the node."""
    network = Chain(node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": V4})
    for pod in ("pod", "third", "other"):
        node.add_pod(pod)
    node.run("ip", "link", "add", "eth0", "index", "7", "type", "veth",
             "peer", "name", "peer", "index", "77", "netns", "third", pod="pod")
    inside = link(node, "eth0", "pod")
    # Another pod's pair, from a plugin that sets no alias, with the same indices on both ends.
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    node.run("ip", "link", "add", "foreign", "index", inside["link_index"], "type", "veth",
             "peer", "name", "eth0", "index", inside["ifindex"], "netns", "other")
    node.run("ip", "link", "set", "foreign", "master", "cni0", "up")
    assert link(node, "foreign")["link_index"] == inside["ifindex"]
    stage = network.stages[1]
    result = stage.call("ADD", "pod", prevResult={
        "cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}]})
    assert [entry["name"] for entry in result["interfaces"]] == ["eth0"]
    assert addresses(node, "cni0") == []


def test_the_port_of_a_plugin_without_aliases_is_found(node):
    Chain(node, {"type": "bridge", "bridge": "cni0", "ipam": {}},
          {"type": "humanz-ipam", "subnet": V4}, version="1.0.0").add("pod")
    assert addresses(node, "cni0") == ["10.77.0.1/24"]


# Subnets on other links

@pytest.mark.parametrize("present", ["10.77.0.1/24", "10.77.0.254/24", "10.77.0.9/16", "10.77.0.7/32"])
def test_a_subnet_that_another_link_has_is_an_error_that_names_the_link(node, present):
    node.run("ip", "link", "add", "docker0", "type", "bridge")
    node.run("ip", "address", "add", present, "dev", "docker0")
    node.run("ip", "link", "set", "docker0", "up")
    network = Network(node, isGateway=True, ipam=subnets(V4))
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 7
    assert "docker0" in refused.value.error["msg"] and V4 in refused.value.error["msg"]
    assert present in refused.value.error["msg"]
    assert node.leases() == set()


def test_a_subnet_inside_a_larger_one_of_another_link_is_the_pods(node):
    node.run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "far")
    for name in ("lan", "far"):
        node.run("ip", "link", "set", name, "up")
    node.run("ip", "address", "add", "10.1.0.1/8", "dev", "lan")
    Network(node, isGateway=True, ipam=subnets(V4)).add("pod")
    assert reaches(node, "pod", "10.77.0.1")


# Another gateway address

def test_two_adds_that_replace_one_address_at_once_both_succeed(node):
    for round_ in range(8):
        node.run("ip", "link", "add", "cni0", "type", "bridge")
        node.run("ip", "link", "set", "cni0", "up")
        node.run("ip", "address", "add", "10.77.0.254/24", "dev", "cni0")
        network = Network(node, isGateway=True, forceAddress=True, ipam={
            "type": "humanz-ipam", "subnet": V4})
        pods = [f"pod{round_}-{number}" for number in range(4)]
        for pod in pods:
            node.add_pod(pod)
        started = [network.start("ADD", pod) for pod in pods]
        for plugin in started:
            plugin.write_input(network.configuration)
        for plugin in started:
            plugin.end().succeeded()
        assert addresses(node, "cni0") == ["10.77.0.1/24"]
        for pod in pods:
            network.call("DEL", pod)
        node.run("ip", "link", "delete", "cni0")


@pytest.mark.parametrize("first", ["humanz-bridge", "humanz-ipam"])
def test_the_folder_of_the_suite_has_one_mode_whichever_stage_makes_it(node, first):
    network = Network(node, first, subnet=V4) if first == "humanz-ipam" else Network(node)
    if first == "humanz-ipam":
        network.configuration = {"cniVersion": "1.0.0", "name": "net", "type": "other",
                                 "ipam": {"type": "humanz-ipam", "subnet": V4}}
    network.add("pod")
    assert node.path("/run/humanz").stat().st_mode & 0o777 == 0o700


# A delegate's answer

@pytest.mark.parametrize("address_, gateway", [("fd00::2/64", "10.0.0.1"), ("10.0.0.2/24", "fd00::1")])
def test_a_gateway_of_the_other_family_is_an_error(node, address_, gateway):
    static = {"type": "static", "addresses": [{"address": address_, "gateway": gateway}]}
    answer = ('{"cniVersion": "1.0.0", "ips": [{"address": "%s", "gateway": "%s"}]}'
              % (address_, gateway))
    network = Network(node, isGateway=True, ipam=fake_ipam(node, answer))
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 103
    assert "family" in refused.value.error["msg"]
    assert node.ip("link", "show", "type", "bridge") == []
    network.configuration["ipam"] = static
    result = {"cniVersion": "1.0.0",
              "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
              "ips": [{"address": address_, "gateway": gateway, "interface": 0}]}
    for verb in ("ADD", "CHECK"):
        ended = network.run(verb, "pod", prevResult=result)
        assert ended.status == 1 and ended.json["code"] > 0, str(ended)


@pytest.mark.parametrize("verb", ["ADD", "CHECK", "DEL", "GC", "STATUS"])
def test_a_plugin_that_delegates_to_itself_does_so_once(node, verb):
    node.add_pod("pod")
    network = Network(node, version="1.1.0", isGateway=True, ipam={"type": "humanz-bridge"})
    keys = {"cni.dev/valid-attachments": []} if verb == "GC" else {}
    pod = None if verb in ("GC", "STATUS") else "pod"
    trace = ["strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-o", "/run/tmp/trace"]
    ended = network.run(verb, pod, under=trace, **keys)
    calls = node.path("/run/tmp/trace").read_text().count("execve(")
    assert 1 <= calls <= 4, "one call per process; a failed ADD is followed by DEL"
    if verb in ("DEL", "GC"):
        ended.succeeded()
    else:
        assert "ipam.type" in ended.error["msg"] or verb == "CHECK"


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
def test_a_caller_that_ignores_its_childrens_ends_changes_nothing(node, verb):
    network = Network(node, isGateway=True, ipam=subnets(V4))
    node.add_pod("pod")
    ignoring = ["bash", "-c", "trap '' CHLD; exec \"$0\" \"$@\""]
    network.call("ADD", "pod", under=ignoring if verb == "ADD" else ())
    network.call("DEL", "pod", under=ignoring if verb == "DEL" else ())
    assert node.leases() == set()


# Returning from the pod's namespace

@pytest.mark.parametrize("calls", ["2", "2+"], ids=["once", "for good"])
def test_a_return_from_the_pods_namespace_that_fails_has_an_answer(node, calls):
    network = Network(node, isGateway=True, macspoofchk=True, ipam=DUAL)
    node.add_pod("pod")
    before = node.traces()
    ended = network.run("ADD", "pod", under=[
        "strace", "-o", "/dev/null", "-e", "trace=setns", "-e", f"inject=setns:error=ENOMEM:when={calls}"])
    if calls == "2":
        ended.succeeded()
        network.call("DEL", "pod")
    else:
        assert "return to the process's own network namespace" in ended.error["msg"]
    assert node.leases() == set()
    assert node.traces()["nft"] == before["nft"]
    assert node.ip("link", "show", "type", "veth") == []
