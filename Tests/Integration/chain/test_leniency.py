# SPDX-License-Identifier: Apache-2.0
"""DEL and GC of every stage with input that ADD refuses: a pod can always be deleted, and its lease is freed."""

import copy

import pytest

from lab.attachment import Chain, Refused

PLUGINS = [{"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": "10.77.0.0/24"},
           {"type": "humanz-route", "network": "10.77.0.0/16"}]


def with_route(**route):
    """A change that a later plugin makes to the result."""
    def change(result):
        result.setdefault("routes", []).append({"dst": "192.168.7.0/24", **route})
    return change


def with_gateway(gateway):
    def change(result):
        result["ips"][0]["gateway"] = gateway
    return change


RESULTS = {
    "a route's gateway of the other family": with_route(gw="fe80::1"),
    "an empty gateway of a route": with_route(gw=""),
    "a negative priority": with_route(priority=-1),
    "an address's gateway of the other family": with_gateway("fe80::1"),
    "a gateway that is a number": with_gateway(7),
}
KEYS = {
    "mtu as text": {"mtu": "1500"},
    "logFile as a number": {"logFile": 7},
    "logFile as an object": {"logFile": {}},
    "an MTU and a log that cannot be": {"mtu": -1, "logFile": []},
}


@pytest.fixture
def chain(node):
    chain = Chain(node, *PLUGINS)
    chain.add("pod")
    return chain


def assert_gone(node):
    assert node.leases() == set()
    assert node.ip("link", "show", "type", "veth") == []
    assert [link["ifname"] for link in node.ip("link", pod="pod")] == ["lo"]


@pytest.mark.parametrize("change", RESULTS.values(), ids=RESULTS)
def test_del_does_without_what_a_later_plugin_put_into_the_result(node, chain, change):
    result = copy.deepcopy(chain.results["pod"])
    change(result)
    for stage in reversed(chain.stages):
        stage.call("DEL", "pod", prevResult=result)
    assert_gone(node)


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_del_does_without_keys_that_cannot_be_read(node, chain, keys):
    for stage in reversed(chain.stages):
        stage.delete("pod", **keys)
    assert_gone(node)


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_gc_does_without_keys_that_cannot_be_read(node, chain, keys):
    for stage in chain.stages:
        stage.gc(**keys)
    assert_gone(node)


@pytest.mark.parametrize("arguments", ["MAC", "MAC=nonsense", ";;=", "IP=10.0.0.300", "K=V;=;X"])
def test_del_does_without_cni_args(node, chain, arguments):
    for stage in reversed(chain.stages):
        stage.delete("pod", environment={"CNI_ARGS": arguments})
    assert_gone(node)


@pytest.mark.parametrize("plugin", ["humanz-bridge", "humanz-ipam", "humanz-route"])
@pytest.mark.parametrize("verb", ["ADD", "CHECK", "STATUS"])
def test_other_verbs_refuse_a_log_file_that_cannot_be(node, chain, plugin, verb):
    stage, = (stage for stage in chain.stages if stage.plugin == plugin)
    with pytest.raises(Refused) as refused:
        stage.call(verb, None if verb == "STATUS" else "pod", logFile=7,
                   prevResult=chain.results["pod"])
    assert refused.value.error["code"] == 7
    assert "logFile" in refused.value.error["msg"]
