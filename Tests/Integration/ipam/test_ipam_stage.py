# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam as a stage of a chain: the addresses it sets on the pod and the bridge."""

import copy
import json
import threading
import time

import pytest

from lab.attachment import Network, Refused, link, reaches
from lab.conflist import Conflist
from lab.isolated_node import ROOT
from lab.lease_store import STORE, checked, held
from lab.tool import Tool

SUBNETS = [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]


class Chain:
    """An interface plugin without IPAM, followed by humanz-ipam."""

    def __init__(self, node, first="bridge", version="1.0.0", keys=None, **ipam):
        self.node = node
        self.first = Network(node, first, version, **({"bridge": "cni0", "ipam": {}} if keys is None else keys))
        self.stage = Network(node, "humanz-ipam", version, **{"ranges": SUBNETS, **ipam})

    def add(self, pod, **options):
        made = self.first.add(pod)
        self.stage.results[pod] = self.stage.call("ADD", pod, prevResult=made, **options)
        return self.stage.results[pod]

    def delete(self, pod, **options):
        self.stage.call("DEL", pod, prevResult=self.stage.results[pod], **options)

    def check(self, pod, **keys):
        self.stage.call("CHECK", pod, prevResult=self.stage.results[pod], **keys)

    def held(self):
        return held(self.node.path(STORE) / "net")


def addresses(node, device, pod=None):
    device, = node.ip("address", "show", "dev", device, pod=pod)
    return sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in device["addr_info"]
                  if entry["scope"] == "global")


def test_the_addresses_are_on_the_pod_and_the_gateways_on_the_bridge(node):
    chain = Chain(node)
    for number, pod in enumerate(["one", "two"], 2):
        result = chain.add(pod)
        assert addresses(node, "eth0", pod) == [f"10.1.0.{number}/24", f"fd01::{number}/64"]
        assert link(node, "eth0", pod)["operstate"] == "UP"
    assert addresses(node, "cni0") == ["10.1.0.1/24", "fd01::1/64"]
    assert reaches(node, "one", "10.1.0.3", 3) and reaches(node, "one", "fd01::3", 3)
    assert reaches(node, "two", "10.1.0.1", 3) and reaches(node, "two", "fd01::1", 3)
    # IPv6 addresses are usable at once, without duplicate address detection.
    device, = node.ip("address", "show", "dev", "eth0", pod="two")
    assert not any(entry.get("tentative") for entry in device["addr_info"] if entry["scope"] == "global")
    chain.check("one")
    chain.check("two")
    assert result["ips"] == [
        {"interface": 2, "address": "10.1.0.3/24", "gateway": "10.1.0.1"},
        {"interface": 2, "address": "fd01::3/64", "gateway": "fd01::1"}]


def test_what_came_before_is_passed_on(node):
    chain = Chain(node, routes=[{"dst": "10.9.0.0/16"}])
    made = chain.first.add("pod")
    made |= {"routes": [{"dst": "10.8.0.0/16"}], "dns": {"nameservers": ["10.0.0.53"]}, "unknown": [1]}
    made["interfaces"][0]["also"] = "kept"
    before = copy.deepcopy(made)
    result = chain.stage.call("ADD", "pod", prevResult=made)
    assert result["interfaces"] == before["interfaces"]
    assert result["routes"] == [{"dst": "10.8.0.0/16"}, {"dst": "10.9.0.0/16"}]
    assert result["dns"] == before["dns"] and result["unknown"] == [1]


def test_dns_of_ours_replaces_what_came_before(node):
    chain = Chain(node, dns={"nameservers": ["10.0.0.54"]})
    made = chain.first.add("pod") | {"dns": {"nameservers": ["10.0.0.53"]}}
    result = chain.stage.call("ADD", "pod", prevResult=made)
    assert result["dns"] == {"nameservers": ["10.0.0.54"]}


@pytest.mark.parametrize("section", [True, False])
def test_the_keys_are_at_the_top_or_in_an_ipam_section(node, section):
    chain = Chain(node)
    if section:
        chain.stage.configuration["ipam"] = {"ranges": chain.stage.configuration.pop("ranges")}
    assert len(chain.add("pod")["ips"]) == 2


def test_without_isgateway_the_bridge_has_no_address(node):
    chain = Chain(node, isGateway=False)
    chain.add("pod")
    assert addresses(node, "cni0") == []
    assert addresses(node, "eth0", "pod") == ["10.1.0.2/24", "fd01::2/64"]
    chain.check("pod")


def test_another_gateway_on_the_bridge_is_an_error_that_leaves_nothing(node):
    chain = Chain(node)
    made = chain.first.add("pod")
    node.run("ip", "address", "add", "10.1.0.254/24", "dev", "cni0")
    with pytest.raises(Refused) as refused:
        chain.stage.call("ADD", "pod", prevResult=made)
    assert refused.value.error["code"] == 101
    assert chain.held() == {}
    assert addresses(node, "eth0", "pod") == []
    assert addresses(node, "cni0") == ["10.1.0.254/24"]


def test_with_forceaddress_another_gateway_is_replaced(node):
    chain = Chain(node, forceAddress=True)
    chain.add("one")
    chain.stage.configuration["ranges"] = [
        [{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}], [{"subnet": "fd01::/64"}]]
    chain.add("two")
    assert addresses(node, "cni0") == ["10.1.0.254/24", "fd01::1/64"]
    assert reaches(node, "two", "10.1.0.254")
    chain.check("two")


def test_status_says_that_the_bridge_has_another_gateway(node):
    chain = Chain(node, first="humanz-bridge", version="1.1.0", keys={"bridge": "cni0"})
    chain.stage.call("STATUS")
    made = chain.add("pod")
    chain.stage.call("STATUS")
    chain.stage.configuration["ranges"] = [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}]]
    for _ in range(2):
        code, words = chain.stage.error_of("STATUS")
        assert code == 50
        for word in ["cni0", "10.1.0.1/24", "10.1.0.254", "forceAddress"]:
            assert word in words
        made = chain.first.add("other")
        code, words = chain.stage.error_of("ADD", "other", prevResult=made)
        assert code == 101 and "forceAddress" in words
        chain.first.delete("other")
        node.remove_pod("other")
    chain.stage.configuration["forceAddress"] = True
    chain.stage.call("STATUS")
    chain.add("other")
    del chain.stage.configuration["forceAddress"]
    chain.stage.call("STATUS")


# A subnet that another link of the node has

def link_with(node, address, kind="bridge", name="docker0"):
    node.run("ip", "link", "add", name, "type", kind)
    node.run("ip", "link", "set", name, "up")
    node.run("ip", "address", "add", address, "dev", name)


@pytest.mark.parametrize("address, subnet", [
    ("172.17.0.1/16", "172.17.0.0/16"), ("172.17.0.1/16", "172.17.0.0/24"),
    ("172.17.5.1/24", "172.17.0.0/16"), ("172.17.5.1/32", "172.17.0.0/16"),
    ("fd17::5/64", "fd17::/64"), ("fd17::1/64", "fd17::/64")])
def test_a_subnet_that_another_link_has_is_an_error_that_names_it(node, address, subnet):
    link_with(node, address)
    chain = Chain(node, first="humanz-bridge", version="1.1.0", keys={"bridge": "cni0"},
                  ranges=[[{"subnet": subnet}]])
    made = chain.first.add("pod")
    code, words = chain.stage.error_of("ADD", "pod", prevResult=made)
    assert code == 7 and "docker0" in words and subnet in words and address in words
    assert chain.held() == {}
    assert addresses(node, "eth0", "pod") == addresses(node, "cni0") == []
    code, words = chain.stage.error_of("STATUS")
    assert code == 50 and "docker0" in words
    node.run("ip", "link", "delete", "docker0")
    chain.stage.call("STATUS")
    chain.stage.call("ADD", "pod", prevResult=made)


@pytest.mark.parametrize("address", ["172.17.0.1/8", "172.18.0.1/16"])
def test_a_wider_subnet_around_ours_and_one_beside_it_are_fine(node, address):
    link_with(node, address)
    chain = Chain(node, first="humanz-bridge", version="1.1.0", keys={"bridge": "cni0"},
                  ranges=[[{"subnet": "172.30.0.0/16"}]])
    chain.add("pod")
    chain.stage.call("STATUS")


def test_a_bridge_that_has_its_gateway_before_the_first_pod_is_ours(node):
    link_with(node, "10.1.0.1/24", name="cni0")
    chain = Chain(node, first="humanz-bridge", version="1.1.0", keys={"bridge": "cni0"})
    chain.stage.call("STATUS")
    chain.add("pod")
    chain.stage.call("STATUS")


def test_the_pods_of_a_macvlan_are_in_the_subnet_of_its_master(node):
    node.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    node.run("ip", "link", "set", "up0", "up")
    node.run("ip", "address", "add", "10.1.0.1/24", "dev", "up0")
    chain = Chain(node, "macvlan", keys={"master": "up0", "ipam": {}},
                  ranges=[[{"subnet": "10.1.0.0/24"}]])
    chain.add("pod")
    chain.stage.configuration["cniVersion"] = "1.1.0"
    chain.stage.call("STATUS")


# An ADD that fails after it has made its changes

def test_a_result_that_cannot_be_printed_leaves_nothing(node):
    chain = Chain(node)
    made = chain.first.add("pod")
    assert chain.stage.run("ADD", "pod", prevResult=made, redirect=">/dev/full").status == 1
    assert chain.held() == {}
    assert addresses(node, "eth0", "pod") == addresses(node, "cni0") == []


def test_the_gateway_of_another_pod_stays_where_a_result_cannot_be_printed(node):
    chain = Chain(node)
    chain.add("one")
    made = chain.first.add("two")
    assert chain.stage.run("ADD", "two", prevResult=made, redirect=">/dev/full").status == 1
    assert chain.held() == {"10.1.0.2": "one eth0", "fd01::2": "one eth0"}
    assert addresses(node, "cni0") == ["10.1.0.1/24", "fd01::1/64"]
    # A gateway that another ADD has found since also stays.
    made = chain.first.add("three")
    chain.delete("one")
    assert chain.stage.run("ADD", "three", prevResult=made, redirect=">/dev/full").status == 1
    assert addresses(node, "cni0") == ["10.1.0.1/24", "fd01::1/64"]


@pytest.mark.parametrize("delegate", [True, False])
def test_of_two_adds_at_once_one_has_everything_and_the_other_is_an_error(node, delegate):
    keys = {"bridge": "cni0"}
    if delegate:
        keys |= {"isGateway": True, "ipam": {"type": "humanz-ipam", "ranges": SUBNETS}}
    chain = Chain(node, "humanz-bridge", "1.1.0", keys=keys)
    for number in range(10):
        pod = f"pod{number}"
        node.add_pod(pod)
        if delegate:
            called, given = chain.first, chain.first.configuration
        else:
            called, given = chain.stage, {
                **chain.stage.configuration, "prevResult": chain.first.add(pod)}
        waiting = [called.start("ADD", pod) for _ in range(3)]
        threads = [threading.Thread(target=plugin.write_input, args=(given,)) for plugin in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended = [plugin.end() for plugin in waiting]
        results = [end.json for end in ended if end.status == 0]
        assert len(results) == 1, ended
        for end in ended:
            if end.status:
                assert end.error["code"] in (101, 122) and pod in f"{end.error}" or "eth0" in f"{end.error}"
        called.results[pod] = results[0]
        called.check(pod)
        assert sorted(ip["address"] for ip in results[0]["ips"]) == addresses(node, "eth0", pod)
        assert list(chain.held().values()).count(f"{pod} eth0") == 2
        called.delete(pod)
        assert chain.held() == {}
        node.remove_pod(pod)


def test_an_address_that_the_kernel_refuses_leaves_nothing(node):
    chain = Chain(node)
    made = chain.first.add("pod")
    # The kernel disables IPv6 on a link whose MTU is below 1,280 (RFC 8200 section 5).
    node.run("ip", "link", "set", "eth0", "mtu", "1000", pod="pod")
    with pytest.raises(Refused) as refused:
        chain.stage.call("ADD", "pod", prevResult=made)
    assert refused.value.error["code"] == 100
    assert chain.held() == {}
    assert addresses(node, "eth0", "pod") == []


def test_a_gateway_that_the_kernel_refuses_leaves_nothing(node):
    chain = Chain(node)
    made = chain.first.add("pod")
    node.run("sysctl", "-w", "net.ipv6.conf.cni0.disable_ipv6=1")
    with pytest.raises(Refused) as refused:
        chain.stage.call("ADD", "pod", prevResult=made)
    assert refused.value.error["code"] == 100
    assert chain.held() == {}
    assert addresses(node, "eth0", "pod") == addresses(node, "cni0") == []


def test_after_macvlan_the_pod_has_its_addresses_and_no_bridge_is_needed(node):
    node.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    node.run("ip", "link", "set", "up0", "up")
    chain = Chain(node, "macvlan", keys={"master": "up0", "ipam": {}})
    chain.add("pod")
    assert addresses(node, "eth0", "pod") == ["10.1.0.2/24", "fd01::2/64"]
    chain.check("pod")
    chain.delete("pod")
    assert addresses(node, "eth0", "pod") == [] and chain.held() == {}


def test_del_takes_the_addresses_off_the_pod_and_frees_them(node):
    chain = Chain(node)
    chain.add("pod")
    node.run("ip", "address", "add", "10.5.0.1/24", "dev", "eth0", pod="pod")
    for _ in range(2):
        chain.delete("pod")
        assert addresses(node, "eth0", "pod") == ["10.5.0.1/24"]
        assert chain.held() == {}


@pytest.mark.parametrize("gone", ["namespace", "link", "variable", "prevResult"])
def test_del_frees_the_addresses_of_what_is_gone(node, gone):
    chain = Chain(node)
    chain.add("pod")
    options = {}
    if gone == "namespace":
        node.remove_pod("pod")
    if gone == "link":
        node.run("ip", "link", "del", "eth0", pod="pod")
    if gone == "variable":
        options["namespace"] = ""
    if gone == "prevResult":
        chain.stage.call("DEL", "pod")
    else:
        chain.delete("pod", **options)
    assert chain.held() == {}
    assert checked(node.path(STORE) / "net") == {}


@pytest.mark.parametrize("change, said", [
    (["address", "del", "10.1.0.2/24", "dev", "eth0"], "10.1.0.2"),
    (["address", "del", "fd01::2/64", "dev", "eth0"], "fd01::2"),
    (["link", "del", "eth0"], "eth0"),
])
def test_check_compares_the_pod_with_the_kernel(node, change, said):
    chain = Chain(node)
    chain.add("pod")
    node.run("ip", *change, pod="pod")
    with pytest.raises(Refused) as refused:
        chain.check("pod")
    assert refused.value.error["code"] in (3, 102)
    assert said in refused.value.error["msg"]


def test_check_compares_the_bridge_with_the_kernel(node):
    chain = Chain(node)
    chain.add("pod")
    node.run("ip", "address", "del", "fd01::1/64", "dev", "cni0")
    with pytest.raises(Refused) as refused:
        chain.check("pod")
    assert refused.value.error["code"] == 102 and "fd01::1" in refused.value.error["msg"]


def test_check_tolerates_what_others_added(node):
    chain = Chain(node)
    chain.add("pod")
    node.run("ip", "address", "add", "10.5.0.1/24", "dev", "eth0", pod="pod")
    node.run("ip", "address", "add", "10.6.0.1/24", "dev", "cni0")
    result = chain.stage.results["pod"]
    result["ips"].append({"address": "10.5.0.1/24", "interface": 2})
    chain.check("pod")


@pytest.mark.parametrize("verb", ["ADD", "CHECK"])
def test_without_a_plugin_before_it_a_stage_says_so(node, verb):
    chain = Chain(node)
    node.add_pod("pod")
    if verb == "CHECK":
        chain.add("pod")
    with pytest.raises(Refused) as refused:
        chain.stage.call(verb, "pod")
    assert refused.value.error["code"] == 7 and "prevResult" in refused.value.error["msg"]


def test_an_interface_that_is_not_there_is_error_3_and_nothing_is_leased(node):
    chain = Chain(node)
    made = chain.first.add("pod")
    with pytest.raises(Refused) as refused:
        chain.stage.call("ADD", "pod", interface="eth7", prevResult=made)
    assert refused.value.error["code"] == 3
    assert not node.path(STORE).exists()


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_every_version_s_result_is_read_and_written(node, version):
    # humanz-bridge is used because it supports all versions.
    chain = Chain(node, "humanz-bridge", version, keys={"bridge": "cni0"})
    result = chain.add("pod")
    assert result["cniVersion"] == version
    assert addresses(node, "eth0", "pod") == ["10.1.0.2/24", "fd01::2/64"]
    if version < "0.3":
        assert result["ip4"]["ip"] == "10.1.0.2/24" and result["ip6"]["ip"] == "fd01::2/64"
    else:
        assert [ip["address"] for ip in result["ips"]] == ["10.1.0.2/24", "fd01::2/64"]
    if version >= "0.4":
        chain.check("pod")
    chain.delete("pod")
    assert chain.held() == {}


def test_gc_and_status_of_a_stage(node):
    chain = Chain(node, version="1.1.0", first="humanz-bridge", keys={"bridge": "cni0"})
    for pod in ["one", "two"]:
        chain.add(pod)
    chain.stage.gc("two")
    assert set(chain.held().values()) == {"two eth0"}
    chain.stage.call("STATUS")
    chain.stage.configuration["ranges"] = [[{"subnet": "10.1.0.2/31"}]]
    chain.stage.configuration["exclude"] = ["10.1.0.2"]
    with pytest.raises(Refused) as refused:
        chain.stage.call("STATUS")
    assert refused.value.error["code"] == 50 and "1 of 1" in refused.value.error["details"]


def test_a_stage_reclaims_an_address_once_its_link_is_gone(node):
    chain = Chain(node, ranges=[[{"subnet": "10.1.0.0/30"}]])
    chain.add("pod")
    made = chain.first.add("next")
    with pytest.raises(Refused) as refused:
        chain.stage.call("ADD", "next", prevResult=made)
    assert refused.value.error["code"] == 120
    # The kernel deletes the pair with the namespace.
    node.remove_pod("pod")
    for _ in range(100):
        if len(node.ip("link", "show", "type", "veth")) == 1:
            break
        time.sleep(0.05)
    chain.stage.call("ADD", "next", prevResult=made)
    assert chain.held() == {"10.1.0.2": "next eth0"}


# The README

def test_the_first_example_of_the_readme_works(node):
    text = (ROOT / "Sources/humanz-ipam/README.md").read_text()
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    network = Conflist(node, *example.pop("plugins"), **example)
    results = [network.add(pod) for pod in ["one", "two"]]
    assert [result["ips"][0]["address"] for result in results] == ["10.77.0.2/24", "10.77.0.3/24"]
    assert reaches(node, "one", "10.77.0.3") and reaches(node, "one", "10.77.0.1")
    network.check("one")
    assert "10.77.0.2" in Tool(node).leases("pods")
    network.delete("one")
    network.delete("two")
    assert node.leases() == set()


def test_the_readme_has_each_key(node):
    text = (ROOT / "Sources/humanz-ipam/README.md").read_text()
    source = (ROOT / "Sources/Stages/StageKeys.swift").read_text()
    keys = source.split("var ipam: KnownKeys")[1].split('"""')[1].replace("\\", "").split()
    assert "subnet" in keys and "forceAddress" in keys
    assert [key for key in keys if f"\n| `{key}` |" not in text] == []
