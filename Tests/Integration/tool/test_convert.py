# SPDX-License-Identifier: Apache-2.0
"""convert: configurations of other suites become ours, and pods get the same addresses and routes."""

import json
import re

import pytest

from lab.attachment import addresses
from lab.isolated_node import NETWORKS
from lab.tool import Tool

TUTORIAL = {
    "cniVersion": "0.3.1", "name": "humanz-cni", "type": "humanz-cni", "bridge": "humanz-cni0",
    "network": "100.100.0.0/16", "subnet": "100.100.0.0/24"}
BRIDGE = {
    "cniVersion": "0.4.0", "name": "net", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "mtu": 1400, "ipam": {
            "type": "host-local", "ranges": [[{"subnet": "10.22.0.0/16"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}
FLANNEL = {
    "name": "cbr0", "cniVersion": "0.3.1", "plugins": [
        {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}
KINDNET = {
    "cniVersion": "0.3.1", "name": "kindnet", "plugins": [
        {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": {
            "type": "host-local", "dataDir": "/run/cni-ipam-state", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "10.244.0.0/24"}]]}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}


def converted(node, configuration, check=True):
    """The conflist, and the messages on stderr."""
    node.path("/run/tmp/old").write_text(json.dumps(configuration))
    done = Tool(node).call("convert", "/run/tmp/old", check=check)
    return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr


@pytest.mark.parametrize("configuration, versions", [
    (TUTORIAL, ["0.4.0", "1.0.0", "1.1.0"]), (BRIDGE, ["0.4.0", "1.0.0"])])
def test_a_version_is_offered_that_all_plugins_of_the_list_know(node, configuration, versions):
    assert converted(node, configuration)[0]["cniVersions"] == versions


def add(node, conflist, pod):
    """ADD with the conflist from the node's folder."""
    node.path(f"{NETWORKS}/10-new.conflist").write_text(json.dumps(conflist))
    node.add_pod(pod)
    done = Tool(node).run("add", f"{NETWORKS}/10-new.conflist", pod)
    assert done.returncode == 0, done.stdout
    return addresses(node, "eth0", pod)


def test_the_tutorials_file(node):
    conflist, said = converted(node, TUTORIAL)
    assert conflist["name"] == "humanz-cni" and conflist["plugins"] == [
        {"type": "humanz-bridge", "bridge": "humanz-cni0"},
        {"type": "humanz-ipam", "subnet": "100.100.0.0/24"},
        {"type": "humanz-route", "network": "100.100.0.0/16", "peers": []}]
    assert "\"peers\" is empty" in said and "remove the tutorial's file: runtimes take the first" in said
    assert add(node, conflist, "pod") == ["100.100.0.2/24"]
    assert [route["dst"] for route in node.ip("route", "show", "proto", "72")] == ["100.100.0.0/16"]


def test_the_reference_bridge_with_host_local_keeps_its_leases(node):
    node.path(f"{NETWORKS}/10-old.conflist").write_text(json.dumps(BRIDGE))
    node.add_pod("old")
    assert Tool(node).run("add", f"{NETWORKS}/10-old.conflist", "old").returncode == 0
    conflist, said = converted(node, BRIDGE)
    bridge, portmap = conflist["plugins"]
    assert portmap == BRIDGE["plugins"][1] and not said
    assert bridge == {
        **BRIDGE["plugins"][0], "type": "humanz-bridge", "ipam": {
            **BRIDGE["plugins"][0]["ipam"], "type": "humanz-ipam", "dataDir": "/var/lib/cni/networks"}}
    conflist["plugins"].pop()
    assert add(node, conflist, "new") == ["10.22.0.3/16"]
    held = Tool(node).leases("net", as_json=True)["leases"]
    assert {lease["containerID"] for lease in held} == {"old", "new"}


@pytest.mark.parametrize("configuration, network, daemon", [
    (FLANNEL, "10.244.0.0/16", "flannel's daemon"), (KINDNET, [], "kindnet's daemon")])
def test_a_daemons_configuration_becomes_one_that_sync_feeds(node, configuration, network, daemon):
    node.path("/run/flannel").mkdir()
    node.path("/run/flannel/subnet.env").write_text(
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n")
    conflist, said = converted(node, configuration)
    bridge, ipam, route, portmap = conflist["plugins"]
    assert bridge["type"] == "humanz-bridge" and bridge["bridge"] == "cni0"
    assert ipam == {"type": "humanz-ipam", "clusterFile": "/run/humanz/cluster.json"}
    assert route == {"type": "humanz-route", "network": network,
                     "clusterFile": "/run/humanz/cluster.json", "ipMasq": True}
    assert portmap == configuration["plugins"][1]
    assert "humanz sync" in said and f"remove {daemon}" in said
    node.path("/run/humanz").mkdir()
    node.path("/run/humanz/cluster.json").write_text(
        '{"node": "node1", "subnets": ["10.244.1.0/24"], "peers": []}')
    conflist["plugins"].pop()
    assert add(node, conflist, "pod") == ["10.244.1.2/24"]


def test_a_key_without_counterpart_is_named(node):
    configuration = json.loads(json.dumps(BRIDGE))
    configuration["plugins"][0]["colour"] = "red"
    configuration["plugins"][0]["ipam"]["shape"] = "round"
    conflist, said = converted(node, configuration)
    assert "\"plugins[0].colour\"" in said and "colour" not in conflist["plugins"][0]
    assert "ipam.shape\"" in said and "shape" not in conflist["plugins"][0]["ipam"]


def test_the_keys_of_flannels_own_entry_are_named_too(node):
    flannel = {"type": "flannel", "subnetFile": "/run/subnet", "dataDir": "/run/x", "capabilities": {"mac": True},
               "ipam": {"routes": [{"dst": "10.9.0.0/16"}]}, "delegate": {"bridge": "cni0"}}
    _, said = converted(node, {"cniVersion": "0.3.1", "name": "net", "plugins": [flannel]})
    assert re.findall(r"the key \"(.*)\" has no counterpart", said) == [
        f"plugins[0].{key}" for key in ("dataDir", "capabilities", "ipam")]


@pytest.mark.parametrize("configuration", [TUTORIAL, BRIDGE], ids=["one plugin", "list"])
@pytest.mark.parametrize("key", ["disableCheck", "disableGC"])
def test_what_a_list_disables_stays_so(node, configuration, key):
    before, notes = converted(node, configuration)
    assert converted(node, {**configuration, key: False}) == (before, notes)
    assert converted(node, {**configuration, key: True}) == ({**before, key: True}, notes)


def test_a_point_to_point_link_that_is_not_kindnets_is_not_converted(node):
    own = {"type": "ptp", "ipMasq": False, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
    nothing, said = converted(node, {"cniVersion": "1.0.0", "name": "x", "plugins": [own]}, check=False)
    assert nothing is None and "kindnet's ptp can be" in said
    conflist, _ = converted(node, {"cniVersion": "1.0.0", "name": "x", "plugins": [own, BRIDGE["plugins"][0]]})
    assert conflist["plugins"][0] == own


def test_what_nobody_knows_is_an_error(node):
    nothing, said = converted(node, {"cniVersion": "1.0.0", "name": "x", "type": "macvlan"}, check=False)
    assert nothing is None and "can be converted" in said
