# SPDX-License-Identifier: Apache-2.0
"""The cluster file as humanz-ipam reads it: the node's own subnets."""

import json

import pytest

from lab.attachment import Network, Refused

PATH = "/run/humanz/cluster.json"


def put(node, content, path=PATH):
    """Writes a cluster file by hand."""
    node.path(path).parent.mkdir(exist_ok=True)
    node.path(path).write_text(content if isinstance(content, str) else json.dumps(content))


def delegate(node):
    """humanz-ipam as another plugin's delegate, with the file as its only source of subnets."""
    return Network(
        node, "humanz-ipam", type="other", ipam={"type": "humanz-ipam", "clusterFile": PATH})


@pytest.mark.parametrize("subnets, addresses", [
    (["10.244.1.0/24"], ["10.244.1.2/24"]),
    (["fd00:244:1::/64"], ["fd00:244:1::2/64"]),
    (["10.244.1.0/24", "fd00:244:1::/64"], ["10.244.1.2/24", "fd00:244:1::2/64"]),
])
def test_an_attachment_gets_an_address_of_each_subnet_of_the_node(node, subnets, addresses):
    put(node, {"node": "node1", "subnets": subnets, "peers": [
        {"name": "node2", "subnet": "10.244.2.0/24", "via": ["192.168.0.2"]}]})
    result = delegate(node).add("pod")
    assert [ip["address"] for ip in result["ips"]] == addresses


@pytest.mark.parametrize("content, code, words", [
    (None, 11, [PATH, "No such file", "humanz sync"]),
    ("", 6, [PATH, "line 1"]),
    ('{"subnets": ["10.244.1.0/24"', 6, [PATH, "line 1, column 29"]),
    ([], 6, [PATH]),
    ({"subnets": [], "peers": []}, 7, [PATH, "no subnet of this node"]),
    ({"subnets": "10.244.1.0/24"}, 7, [f"{PATH}.subnets", "an array"]),
    ({"subnets": ["10.244.1.1/24"]}, 7, [f"{PATH}.subnets[0]", "prefix"]),
    ({"subnets": ["10.244.1.0/24"], "peers": [{"name": "a", "via": ["192.168.0.2"]}]},
     7, [f"{PATH}.peers[0]", "subnet"]),
    ({"subnets": ["10.244.1.0/24"], "peers": [{"subnet": "10.244.2.0/24", "via": []}]},
     7, [f"{PATH}.peers[0]", "via"]),
    ({"subnets": ["10.244.1.0/24"], "peers": [{"subnet": "10.244.2.0/24", "via": ["fd00::2"]}]},
     7, [f"{PATH}.peers[0]", "via"]),
])
def test_an_invalid_cluster_file_is_one_error_that_names_it(node, content, code, words):
    if content is not None:
        put(node, content)
    with pytest.raises(Refused) as refused:
        delegate(node).add("pod")
    assert refused.value.error["code"] == code
    for word in words:
        assert word in refused.value.error["msg"] + refused.value.error.get("details", "")
    assert not node.leases()


def test_the_path_of_the_file_must_be_absolute(node):
    put(node, {"subnets": ["10.244.1.0/24"]})
    network = delegate(node)
    network.configuration["ipam"]["clusterFile"] = "cluster.json"
    with pytest.raises(Refused) as refused:
        network.add("pod")
    assert refused.value.error["code"] == 7 and "clusterFile" in refused.value.error["msg"]


def test_a_link_in_the_place_of_the_file_is_not_followed(node):
    put(node, {"subnets": ["10.244.1.0/24"]}, "/run/elsewhere.json")
    node.path("/run/humanz").mkdir()
    node.run("ln", "-s", "/run/elsewhere.json", PATH)
    with pytest.raises(Refused) as refused:
        delegate(node).add("pod")
    assert refused.value.error["code"] == 5
