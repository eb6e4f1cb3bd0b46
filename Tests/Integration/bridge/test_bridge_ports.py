# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: the frames that a port accepts: the source MAC address, and VLANs."""

import json

import pytest

from lab.attachment import Network, Refused, link, port, reaches, subnets
from lab.frames import Listener, send_frame

FOREIGN = "02:00:00:00:00:66"


def chains(node):
    """Our chains that filter a port's frames."""
    listed = json.loads(node.run("nft", "-j", "list", "chains").stdout)["nftables"]
    return [entry["chain"]["name"] for entry in listed
            if entry.get("chain", {}).get("family") == "netdev"]


# macspoofchk

@pytest.mark.parametrize("checked", [True, False])
def test_a_frame_with_another_mac_address_arrives_only_without_macspoofchk(node, checked):
    network = Network(node, macspoofchk=checked)
    own = network.add("pod")["interfaces"][-1]["mac"]
    network.add("peer")
    with Listener(node, "eth0", "peer") as peer, Listener(node, "cni0") as bridge:
        send_frame(node, "pod", source=FOREIGN)
        send_frame(node, "pod")
        expected = [own] if checked else [FOREIGN, own]
        assert peer.senders() == expected
        assert bridge.senders() == expected


def test_with_macspoofchk_a_pod_that_takes_another_mac_address_is_cut_off(node):
    network = Network(node, isGateway=True, macspoofchk=True, ipam=subnets("10.77.0.0/24"))
    network.add("pod")
    assert reaches(node, "pod", "10.77.0.1")
    node.run("ip", "link", "set", "eth0", "address", FOREIGN, pod="pod")
    assert not reaches(node, "pod", "10.77.0.1")


def test_the_check_of_one_port_costs_no_other_and_goes_with_its_attachment(node):
    network = Network(node, macspoofchk=True)
    first, second = network.add("first"), network.add("second")
    assert sorted(chains(node)) == sorted([port(first), port(second)])
    network.delete("first")
    assert chains(node) == [port(second)]
    node.remove_pod("second")
    network.delete("second")
    assert node.run("nft", "list", "ruleset").stdout == ""


def test_gc_removes_the_check_of_a_port_that_went_with_its_namespace(node):
    network = Network(node, version="1.1.0", macspoofchk=True)
    network.add("pod")
    kept = network.add("kept")
    node.remove_pod("pod")
    network.gc("kept")
    assert chains(node) == [port(kept)]
    network.check("kept")


@pytest.mark.parametrize("verb", ["DEL", "GC"])
def test_the_table_goes_with_its_last_port_where_the_kernel_removes_the_chain(node, verb):
    """Before 6.16 Linux removes the chain with the port but keeps the table."""
    network = Network(node, version="1.1.0", macspoofchk=True)
    result = network.add("pod")
    node.run("nft", "delete", "chain", "netdev", "humanz", port(result))
    if verb == "DEL":
        network.delete("pod")
    else:
        network.gc()
    assert node.run("nft", "list", "ruleset").stdout == ""


def test_check_names_the_check_that_is_gone(node):
    network = Network(node, macspoofchk=True)
    result = network.add("pod")
    network.check("pod")
    node.run("nft", "flush", "chain", "netdev", "humanz", port(result))
    with pytest.raises(Refused) as refused:
        network.check("pod")
    assert refused.value.error["code"] == 102
    assert port(result) in refused.value.error["msg"]


def test_a_del_on_another_network_keeps_the_check_of_an_attachment_of_the_same_name(node):
    red, blue = (Network(node, name=name, macspoofchk=True) for name in ("red", "blue"))
    result = red.add("pod")
    blue.call("DEL", "pod")
    assert chains(node) == [port(result)]
    red.check("pod")


def test_the_check_goes_though_the_key_was_taken_away_before_del(node):
    network = Network(node, isGateway=True, macspoofchk=True, ipam=subnets("10.77.0.0/24"))
    network.add("pod")
    del network.configuration["macspoofchk"]
    network.delete("pod")
    assert chains(node) == []
    network.add("pod", **{"args": {"cni": {"mac": "02:00:00:00:00:77"}}})
    assert reaches(node, "pod", "10.77.0.1")


# VLANs on a kernel without VLAN filtering; the requests for one that has it are compared in NetlinkTests

def filters_vlans(node):
    node.run("ip", "link", "add", "try", "type", "bridge")
    return node.run("ip", "link", "set", "try", "type", "bridge", "vlan_filtering", "1",
                    check=False).returncode == 0


@pytest.mark.parametrize("keys", [
    {"vlan": 100}, {"vlanTrunk": [{"id": 7}]}, {"vlanTrunk": [{"minID": 10, "maxID": 20}]},
    {"vlan": 100, "vlanTrunk": [{"minID": 10, "maxID": 20, "id": 30}]}])
def test_a_kernel_without_vlan_filtering_says_so(node, keys):
    if filters_vlans(node):
        pytest.skip("needs a kernel without CONFIG_BRIDGE_VLAN_FILTERING")
    node.run("ip", "link", "delete", "try")
    before = node.traces()
    network = Network(node, version="1.1.0", isGateway=True, **keys,
                      ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24"})
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 2
    assert "vlan" in refused.value.error["msg"]
    assert "CONFIG_BRIDGE_VLAN_FILTERING" in refused.value.error["details"]
    assert node.traces() == before
    for bridge_is_there in [False, True]:
        if bridge_is_there:
            node.run("ip", "link", "add", "cni0", "type", "bridge")
            before = node.traces()
        with pytest.raises(Refused) as refused:
            network.call("STATUS")
        assert refused.value.error["code"] == 50
        assert "vlan" in refused.value.error["msg"]
        assert node.traces() == before


def test_vlan_0_means_no_vlan(node):
    Network(node, vlan=0, vlanTrunk=[]).add("pod")


@pytest.mark.parametrize("keys, words", [
    ({"vlan": -1}, "vlan"), ({"vlan": 4095}, "vlan"), ({"vlan": "5"}, "vlan"),
    ({"vlanTrunk": {}}, "vlanTrunk"), ({"vlanTrunk": [{}]}, "id"),
    ({"vlanTrunk": [{"id": 0}]}, "id"), ({"vlanTrunk": [{"id": 4095}]}, "id"),
    ({"vlanTrunk": [{"minID": 5}]}, "maxID"), ({"vlanTrunk": [{"maxID": 5}]}, "minID"),
    ({"vlanTrunk": [{"minID": 6, "maxID": 5}]}, "minID"),
    ({"vlanTrunk": [{"minID": 1, "maxID": 4095}]}, "maxID"),
    ({"vlan": 5, "preserveDefaultVlan": "no"}, "preserveDefaultVlan"),
])
def test_a_vlan_that_cannot_be_is_an_error_that_names_the_key(node, keys, words):
    with pytest.raises(Refused) as refused:
        Network(node, **keys).add("pod")
    assert refused.value.error["code"] == 7
    assert words in refused.value.error["msg"]
    assert node.ip("link", "show", "type", "bridge") == []


# In a chain

EARLIER = {
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "net1", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/pod",
                    "speed": 40},
                   {"name": "dummy0"}],
    "ips": [{"address": "192.0.2.9/24", "gateway": "192.0.2.1", "interface": 0, "lease": "7d"}],
    "routes": [{"dst": "198.51.100.0/24", "gw": "192.0.2.1", "realm": 3}],
    "dns": {"nameservers": ["192.0.2.53"], "comment": "theirs"},
    "vendor": {"x": 1.50},
}


@pytest.mark.parametrize("ipam", [None, "10.77.0.0/24"])
def test_in_a_chain_the_earlier_result_stays_and_ours_comes_after_it(node, ipam):
    network = Network(node, **({"ipam": subnets(ipam), "isGateway": True} if ipam else {}))
    result = network.add("pod", prevResult=EARLIER)
    for key in ["interfaces", "ips", "routes"]:
        kept = len(EARLIER[key])
        assert result[key][:kept] == EARLIER[key]
    assert [entry["name"] for entry in result["interfaces"][2:]] == [
        "cni0", port(result), "eth0"]
    assert result["dns"] == EARLIER["dns"]
    assert result["vendor"] == EARLIER["vendor"]
    if ipam:
        assert result["ips"][1]["interface"] == 4
        assert result["interfaces"][4]["sandbox"] == "/run/netns/pod"
    node.run("ip", "route", "add", "198.51.100.0/24", "dev", "eth0", pod="pod")
    network.check("pod")
    network.delete("pod")
    assert node.ip("link", "show", "type", "veth") == []


def test_number_and_case_of_the_bridges_name_are_the_configurations(node):
    Network(node, bridge="Br.9-x").add("pod")
    assert link(node, "Br.9-x")["linkinfo"]["info_kind"] == "bridge"


@pytest.mark.parametrize("bridge", ["", "a/b", "..", "sixteen-bytes-xx", "a b", 7])
def test_a_name_that_no_link_can_have_is_an_error(node, bridge):
    with pytest.raises(Refused) as refused:
        Network(node, bridge=bridge).add("pod")
    assert refused.value.error["code"] == 7
    assert "bridge" in refused.value.error["msg"]
