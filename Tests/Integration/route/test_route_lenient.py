# SPDX-License-Identifier: Apache-2.0
"""humanz-route: input that ADD and STATUS refuse, but DEL and GC tolerate."""

import pytest

from lab.attachment import Refused
from lab.cluster import NETWORKS
from lab.uplinked import check, status

_OF_EVERY_TYPE = [5, "x", True, [], {}, [5], [{}], [[]], {"a": 1}]

# Configurations that ADD refuses. In the past each kind made every DEL fail.
BROKEN = {
    "a peer without via": {"peers": [{"subnet": "10.244.2.0/24"}]},
    "a peer without subnet": {"peers": [{"via": "192.168.0.2"}]},
    "a peer outside of the network": {
        "peers": [{"subnet": "10.99.2.0/24", "via": "192.168.0.2"}]},
    "a network with host bits": {"network": "10.244.0.1/16"},
    "no cluster file": {"clusterFile": "/run/none.json", "peers": None},
    "a relative cluster file": {"clusterFile": "none.json", "peers": None},
    "peers and a cluster file": {"clusterFile": "/run/none.json", "peers": []},
    "too many prefixes": {"network": [f"10.{n}.0.0/16" for n in range(200)]},
    "a route without destination": {"routes": [{"gw": "10.244.1.1"}]},
    "a gateway of the other family": {"routes": [{"dst": "192.168.7.0/24", "gw": "fe80::1"}]},
    **{f"{key} {value!r}": {key: value}
       for key in ("network", "peers", "routes") for value in _OF_EVERY_TYPE
       if not (value == [] or key == "network" and value == [])},
    **{f"{key} {value!r}": {key: value}
       for key in ("unreachable", "forward", "ipMasq", "defaultRoute", "statusLimited",
                   "clusterFile")
       for value in (5, [], {})},
}
# Changes that a later plugin may make to prevResult.
RESULTS = {
    "routes of the other family": {"routes": [{"dst": "192.168.7.0/24", "gw": "fe80::1"}]},
    "an empty gateway": {"routes": [{"dst": "192.168.7.0/24", "gw": ""}]},
    "a negative priority": {"routes": [{"dst": "192.168.7.0/24", "priority": -1}]},
    "no object": 5, "routes of another type": {"routes": 5}, "ips of another type": {"ips": "x"},
    "another version": {"cniVersion": "9.0.0"},
}


def remember(host, result):
    """Gives the node a neighbour entry of the pod, as a ping does."""
    address = result["ips"][0]["address"].split("/")[0]
    mac = host.node.ip("link", "show", "dev", "eth0", pod="pod")[0]["address"]
    host.node.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", "port0", "nud", "stale")
    return lambda: address in [entry["dst"] for entry in host.node.ip("neigh", "show")]


@pytest.mark.parametrize("version", ["4"])
@pytest.mark.parametrize("keys", BROKEN.values(), ids=BROKEN.keys())
def test_del_and_gc_do_without_a_key_that_add_refuses(host, keys):
    network = host.network(host.peer(2))
    result = host.add(network)
    host.node.run("iptables-nft", "-P", "FORWARD", "DROP")
    host.add(network)
    is_remembered = remember(host, result)
    with pytest.raises(Refused) as refused:
        network.call("ADD", "pod", prevResult=host.prev_result, **keys)
    assert refused.value.error["code"] in (7, 11)
    network.delete("pod", **keys)
    assert not is_remembered()
    network.delete("pod", **keys)
    network.gc("pod", **keys)
    assert "humanz net" in host.node.run("iptables-nft", "-S", "FORWARD").stdout
    network.gc(**keys)
    assert "humanz net" not in host.node.run("iptables-nft", "-S", "FORWARD").stdout


@pytest.mark.parametrize("change", RESULTS.values(), ids=RESULTS.keys())
def test_del_does_with_what_it_can_read_of_prev_result(host, change):
    network = host.network(host.peer(2))
    result = host.add(network)
    is_remembered = remember(host, result)
    previous = {**result, **change} if isinstance(change, dict) else change
    network.call("DEL", "pod", prevResult=previous)
    assert not is_remembered()


# Mistyped keys

@pytest.mark.parametrize("typo, meant", [
    ("peer", "peers"), ("Peers", "peers"), ("pears", "peers"), ("netwrok", "network"),
    ("clusterfile", "clusterFile"), ("ipmasq", "ipMasq"), ("unreacheable", "unreachable")])
def test_a_mistyped_key_is_refused_and_takes_no_route_away(host, typo, meant):
    host.add(host.network(host.peer(2)))
    before = host.ours()
    network = host.network()
    del network.configuration["peers"]
    value = {"peers": [host.peer(2)], "network": NETWORKS[host.version],
             "clusterFile": "/run/none.json"}.get(meant, True)
    network.configuration[typo] = value
    with pytest.raises(Refused) as refused:
        host.add(network)
    assert refused.value.error["code"] == 7
    code, said = status(network)
    assert code == 50
    for text in (refused.value.error["msg"], said):
        assert f'"{typo}"' in text and f'"{meant}"' in text
    assert host.ours() == before
    network.call("DEL", "pod", prevResult=host.prev_result)
    network.gc()


@pytest.mark.parametrize("key, path", [("vai", "peers[0].vai"), ("Subnet", "peers[0].Subnet")])
def test_a_mistyped_key_of_a_peer_is_refused(host, key, path):
    network = host.network({**host.peer(2), key: "x"})
    with pytest.raises(Refused) as refused:
        host.add(network)
    assert refused.value.error["code"] == 7 and f'"{path}"' in refused.value.error["msg"]


def test_an_unknown_key_is_logged_and_one_of_a_domain_is_not(host):
    network = host.network({**host.peer(2), "site": "north"}, colour="blue",
                           logFile="/run/tmp/log", **{"example.org/peer": 1, "a/b": 2})
    host.add(network)
    assert check(network) == status(network) == (0, "")
    log = host.node.path("/run/tmp/log").read_text()
    assert '"colour"' in log and '"peers[0].site"' in log
    assert "example.org" not in log and "a/b" not in log
