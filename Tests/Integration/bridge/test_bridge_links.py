# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: the links it makes, and the keys that configure them."""

import pytest

from lab.attachment import Network, Refused, address, link, port, reaches, subnets
from lab.frames import Listener, send_frame

IPAM = subnets("10.77.0.0/24")


def mac_of(result):
    return result["interfaces"][-1]["mac"]


# MAC addresses

ENVIRONMENT = "02:00:00:00:00:01"
ARGUMENTS = "02:00:00:00:00:02"
RUNTIME = "02:00:00:00:00:03"


@pytest.mark.parametrize("sources, expected", [
    pytest.param("environment", ENVIRONMENT, id="CNI_ARGS"),
    pytest.param("environment arguments", ARGUMENTS, id="args.cni over CNI_ARGS"),
    pytest.param("environment arguments runtime", RUNTIME, id="runtimeConfig over both"),
    pytest.param("arguments runtime", RUNTIME, id="runtimeConfig over args.cni"),
])
def test_the_pod_has_the_mac_address_that_was_asked_for(node, sources, expected):
    network = Network(node)
    if "arguments" in sources:
        network.configuration["args"] = {"cni": {"mac": ARGUMENTS}}
    if "runtime" in sources:
        network.configuration["runtimeConfig"] = {"mac": RUNTIME}
    environment = {"CNI_ARGS": f"MAC={ENVIRONMENT}"} if "environment" in sources else {}
    result = network.add("pod", environment=environment)
    assert mac_of(result) == expected
    assert link(node, "eth0", "pod")["address"] == expected


@pytest.mark.parametrize("mac", ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00",
                                 "02:00:00:00:00", "02:00:00:00:00:0g", "hello"])
@pytest.mark.parametrize("source, code", [("args", 7), ("runtime", 7), ("environment", 4)])
def test_a_mac_address_that_no_interface_can_have_is_an_error(node, source, code, mac):
    network = Network(node)
    if source == "args":
        network.configuration["args"] = {"cni": {"mac": mac}}
    if source == "runtime":
        network.configuration["runtimeConfig"] = {"mac": mac}
    environment = {"CNI_ARGS": f"MAC={mac}"} if source == "environment" else {}
    with pytest.raises(Refused) as refused:
        network.add("pod", environment=environment)
    assert refused.value.error["code"] == code
    assert mac in refused.value.error["msg"]
    assert node.ip("link", "show", "type", "bridge") == []


def test_an_attachment_has_the_same_mac_addresses_each_time(node):
    network = Network(node)
    first = network.add("pod")
    network.delete("pod")
    assert network.add("pod")["interfaces"] == first["interfaces"]


def test_the_bridge_keeps_its_mac_address_when_ports_come_and_go(node):
    network = Network(node)
    before = network.add("first")["interfaces"][0]["mac"]
    for pod in ["second", "third"]:
        network.add(pod)
    network.delete("first")
    assert link(node, "cni0")["address"] == before


# Frames that go back to the pod that sent them

@pytest.mark.parametrize("hairpin", [True, False])
def test_a_frame_goes_back_to_the_pod_it_came_from_only_with_hairpin_mode(node, hairpin):
    network = Network(node, hairpinMode=hairpin)
    network.add("pod")
    with Listener(node, "eth0", "pod") as listener:
        send_frame(node, "pod")
        assert listener.has_frames() == hairpin


@pytest.mark.parametrize("promiscuous", [True, False])
def test_the_bridge_takes_frames_for_other_addresses_only_in_promiscuous_mode(node, promiscuous):
    network = Network(node, promiscMode=promiscuous)
    network.add("first")
    second = mac_of(network.add("second"))
    # The bridge learns the second pod's port and does not flood its frames.
    send_frame(node, "second", source=second)
    with Listener(node, "cni0") as listener:
        send_frame(node, "first", to=second)
        assert listener.has_frames() == promiscuous


def test_hairpin_and_promiscuous_mode_exclude_each_other(node):
    with pytest.raises(Refused) as refused:
        Network(node, hairpinMode=True, promiscMode=True).add("pod")
    assert refused.value.error["code"] == 7
    assert "hairpinMode" in refused.value.error["msg"]
    assert "promiscMode" in refused.value.error["msg"]


@pytest.mark.parametrize("key, undo", [
    ("hairpinMode", ["type", "bridge_slave", "hairpin", "off"]),
    ("portIsolation", ["type", "bridge_slave", "isolated", "off"]),
    ("promiscMode", None),
])
def test_check_names_the_key_whose_setting_is_gone(node, key, undo):
    network = Network(node, **{key: True})
    result = network.add("pod")
    network.check("pod")
    if undo:
        node.run("ip", "link", "set", "dev", port(result), *undo)
    else:
        node.run("ip", "link", "set", "dev", "cni0", "promisc", "off")
    with pytest.raises(Refused) as refused:
        network.check("pod")
    assert refused.value.error["code"] == 102
    assert key in refused.value.error["msg"] or "promiscuous" in refused.value.error["msg"]


# Isolation

def test_isolated_ports_reach_the_bridge_and_others_but_not_each_other(node):
    isolated = Network(node, isGateway=True, ipam=IPAM, portIsolation=True)
    shared = Network(node, isGateway=True, ipam=IPAM)
    first, second = (address(isolated.add(pod)) for pod in ("first", "second"))
    third = address(shared.add("third"))
    assert not reaches(node, "first", second)
    assert not reaches(node, "second", first)
    assert reaches(node, "first", third)
    assert reaches(node, "third", second)
    assert reaches(node, "first", "10.77.0.1")


# The pod's end of the pair

def test_the_pods_end_stays_down_on_request(node):
    network = Network(node, disableContainerInterface=True)
    network.add("pod")
    assert "UP" not in link(node, "eth0", "pod")["flags"]
    network.check("pod")


def test_the_pods_end_cannot_stay_down_with_addresses(node):
    with pytest.raises(Refused) as refused:
        Network(node, disableContainerInterface=True, ipam=IPAM).add("pod")
    assert refused.value.error["code"] == 7
    assert "disableContainerInterface" in refused.value.error["msg"]


# MTU

def test_the_mtu_is_that_of_the_key_on_all_three_links(node):
    network = Network(node, version="1.1.0", mtu=1400)
    result = network.add("pod")
    assert [entry["mtu"] for entry in result["interfaces"]] == [1400] * 3
    assert link(node, "cni0")["mtu"] == 1400
    assert link(node, port(result))["mtu"] == 1400
    assert link(node, "eth0", "pod")["mtu"] == 1400


def test_without_the_key_the_mtu_is_that_of_the_default_routes_link(node):
    node.run("ip", "link", "add", "uplink", "mtu", "1390", "type", "veth", "peer", "name", "far")
    node.run("ip", "link", "set", "uplink", "up")
    node.run("ip", "link", "set", "far", "up")
    node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
    node.run("ip", "route", "add", "default", "via", "192.0.2.1")
    result = Network(node, version="1.1.0").add("pod")
    assert [entry["mtu"] for entry in result["interfaces"]] == [1390] * 3


def test_without_the_key_the_mtu_is_that_of_the_bridge_that_is_there(node):
    node.run("ip", "link", "add", "cni0", "mtu", "1380", "type", "bridge")
    result = Network(node).add("pod")
    assert link(node, "cni0")["mtu"] == 1380
    assert link(node, "eth0", "pod")["mtu"] == 1380
    assert all("mtu" not in entry for entry in result["interfaces"]), "1.0.0 has no mtu"


@pytest.mark.parametrize("mtu", [-1, 65536, 1500.5, "1500"])
def test_an_mtu_that_cannot_be_is_an_error(node, mtu):
    with pytest.raises(Refused) as refused:
        Network(node, mtu=mtu).add("pod")
    assert refused.value.error["code"] == 7
    assert "mtu" in refused.value.error["msg"]


# The bridge

def test_a_link_that_is_no_bridge_is_not_adopted(node):
    node.run("ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other")
    network = Network(node, version="1.1.0")
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 101
    assert "veth" in refused.value.error["details"]
    with pytest.raises(Refused) as refused:
        network.call("STATUS")
    assert refused.value.error["code"] == 50


def test_a_bridge_that_is_there_is_adopted_as_it_is(node):
    node.run("ip", "link", "add", "cni0", "address", "02:00:00:00:00:99", "mtu", "1450",
             "type", "bridge", "ageing_time", "12300")
    node.run("ip", "link", "set", "cni0", "alias", "mine", "up")
    before = link(node, "cni0")
    Network(node).add("pod")
    after = link(node, "cni0")
    assert after["linkinfo"]["info_data"]["ageing_time"] == 12300
    for key in ["address", "mtu", "ifalias"]:
        assert after[key] == before[key]


def test_the_bridge_takes_no_router_advertisements(node):
    Network(node).add("pod")
    assert node.run("sysctl", "-n", "net.ipv6.conf.cni0.accept_ra").stdout.strip() == "0"


def test_the_alias_names_the_attachment(node):
    result = Network(node, name="blue").add("pod")
    assert link(node, port(result))["ifalias"] == "humanz:blue:pod:eth0"


def test_an_mtu_that_is_too_small_for_ipv6_is_no_error(node):
    result = Network(node, mtu=1000).add("pod")
    assert link(node, port(result))["mtu"] == 1000
    assert link(node, "eth0", "pod")["mtu"] == 1000


# A second ADD without a DEL

def test_a_second_add_changes_nothing_of_the_first_on_whatever_network(node):
    first = Network(node, name="blue")
    result = first.add("pod")
    node.add_pod("other")
    before = node.ip("link", "show", "dev", port(result))
    second = Network(node, name="green")
    with pytest.raises(Refused) as refused:
        second.call("ADD", "pod", namespace="/run/netns/other")
    assert refused.value.error["code"] == 101
    assert "humanz:blue:pod:eth0" in refused.value.error["details"]
    assert node.ip("link", "show", "dev", port(result)) == before
    first.delete("pod")
    assert node.ip("link", "show", "type", "veth") == []
