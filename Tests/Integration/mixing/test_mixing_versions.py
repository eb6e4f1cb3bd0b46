# SPDX-License-Identifier: Apache-2.0
"""Plugins of both suites together in every version of the protocol that both speak."""

import pytest

from lab.attachment import reaches
from lab.conflist import Conflist
from lab.mixed_plugins import (
    BANDWIDTH, CHAIN, DELEGATING, HOST_PORT, IPAM, LIMIT, PORTMAP, REFERENCE_BRIDGE,
    REFERENCE_MACVLAN, ROUTE, TUNING, add_world_for, arguments, offers)

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"]
# CHECK exists since 0.4.0; before 0.3.0 there are no lists, and results have no interfaces.
CHECKED = {"0.4.0", "1.0.0"}
LISTED = VERSIONS[2:]


def first_address(result):
    """The first address of a result in any version's form."""
    entry = result["ip4"]["ip"] if "ip4" in result else result["ips"][0]["address"]
    return entry.split("/")[0]


def add_and_delete(node, version, plugins, *options):
    add_world_for(node, plugins[0])
    network = Conflist(node, *plugins, cniVersion=version)
    result = network.add("first", *options)
    assert result["cniVersion"] == version
    for ip in result.get("ips", []):
        assert ("version" in ip) == (version != "1.0.0")
    assert reaches(node, "world", first_address(result))
    if version in CHECKED:
        # Debian's portmap has no working CHECK without IPv6, nor its bridge without IPAM: see test_mixing_chain.
        unable = ["portmap", "bridge"] if REFERENCE_BRIDGE in plugins else ["portmap"]
        network.without(*unable).check("first", *options)
    network.delete("first", *options)
    assert node.leases() == set()
    assert node.ip("link", "show", pod="first")[1:] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", DELEGATING)
def test_a_pair_of_plugins_works_in_every_version(node, name, version):
    plugin = DELEGATING[name]
    add_and_delete(node, version, [plugin], *arguments(plugin, "first"))


@pytest.mark.parametrize("version", LISTED)
@pytest.mark.parametrize("plugins", [
    pytest.param([REFERENCE_BRIDGE, IPAM, ROUTE], id="bridge, then ours"),
    pytest.param([REFERENCE_MACVLAN, IPAM, ROUTE], id="macvlan, then ours"),
    pytest.param([*CHAIN, PORTMAP, BANDWIDTH, TUNING], id="ours, then theirs"),
])
def test_a_chain_of_plugins_works_in_every_version_that_has_lists(node, plugins, version):
    options = offers(portMappings=[HOST_PORT], bandwidth=LIMIT)
    add_and_delete(node, version, plugins, *options)
