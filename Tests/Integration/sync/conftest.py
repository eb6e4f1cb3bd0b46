# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture
def node1(node):
    """The first node, with its uplink on the nodes' common network."""
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "switch")
    for link in ("uplink", "switch"):
        node.run("ip", "link", "set", link, "up")
    node.run("ip", "address", "add", "192.168.0.1/24", "dev", "uplink")
    node.run("ip", "address", "add", "fd00:192::1/64", "dev", "uplink", "nodad")
    return node
