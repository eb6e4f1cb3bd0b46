# SPDX-License-Identifier: Apache-2.0
"""Interface plugins with IPAM plugins of the other suite."""

import pytest

from lab.attachment import Refused, address, reaches
from lab.conflist import Conflist
from lab.frames import Listener, send_frame
from lab.mixed_plugins import DELEGATING, add_world_for, arguments
from lab.traffic import add_world, fetch, serve


def table(*names):
    return pytest.mark.parametrize("plugin", [DELEGATING[name] for name in names], ids=names)


every_pair = table(*DELEGATING)
pairs_with_humanz_ipam = table(*(name for name in DELEGATING if name.endswith("with humanz-ipam")))


def make_network(node, plugin):
    add_world_for(node, plugin)
    return Conflist(node, plugin)


@every_pair
def test_pods_of_a_pair_of_plugins_have_traffic_until_their_del(node, plugin):
    network = make_network(node, plugin)
    first = address(network.add("first", *arguments(plugin, "first")))
    before = node.traces()
    second = address(network.add("second", *arguments(plugin, "second")))
    assert first != second

    serve(node, "second", "the page of second")
    assert fetch(node, f"http://{second}/", pod="first") == "the page of second"
    assert fetch(node, f"http://{second}/", pod="world") == "the page of second"
    if plugin["ipam"]["type"] == "static":
        assert node.leases() == set()
    else:
        assert node.leases() >= {first, second}

    for pod in ("first", "second"):
        network.check(pod, *arguments(plugin, pod))

    network.delete("second", *arguments(plugin, "second"))
    after = node.traces()
    # The reference bridge leaves the node's neighbour entry.
    assert plugin["type"] == "bridge" or second not in after["neighbours"]
    for traces in (before, after):
        del traces["neighbours"]
    assert after == before
    assert not reaches(node, "world", second)
    assert reaches(node, "world", first), "the other pod still works"


@every_pair
def test_check_of_a_pair_of_plugins_sees_that_the_address_is_gone(node, plugin):
    network = make_network(node, plugin)
    network.add("first", *arguments(plugin, "first"))
    network.check("first", *arguments(plugin, "first"))
    node.run("ip", "address", "flush", "dev", "eth0", pod="first")
    with pytest.raises(Refused) as refused:
        network.check("first", *arguments(plugin, "first"))
    assert "10.77.0." in str(refused.value.error)


@pairs_with_humanz_ipam
def test_check_of_a_pair_of_plugins_sees_that_the_lease_is_gone(node, plugin):
    network = make_network(node, plugin)
    leased = address(network.add("first"))
    network.check("first")
    for path in node.path("/run/humanz/ipam/net").rglob("*"):
        if path.is_file() and "lock" not in path.name:
            path.unlink()
    with pytest.raises(Refused) as refused:
        network.check("first")
    assert refused.value.error["code"] == 102
    assert "holds no address" in refused.value.error["msg"], leased


REFERENCE = {
    "type": "bridge",
    "bridge": "mynet0",
    "isDefaultGateway": True,
    "forceAddress": False,
    "ipMasq": True,
    "hairpinMode": True,
    "mtu": 1450,
    "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.50",
                     "rangeEnd": "10.77.0.60", "gateway": "10.77.0.254"}]],
        "routes": [{"dst": "198.51.100.0/24", "gw": "10.77.0.253"}],
        "dataDir": "/run/leases",
    },
    "dns": {"nameservers": ["10.77.0.254"], "search": ["cluster.local"]},
}


def test_a_reference_bridge_with_host_local_moves_over_by_its_two_types(node):
    """The world sees the node's address (`ipMasq`), and a pod reaches itself through the bridge (`hairpinMode`);
    addresses, routes and DNS are the same."""
    add_world(node)
    serve(node, "world", "the page of the world")
    ours = {**REFERENCE, "type": "humanz-bridge",
            "ipam": {**REFERENCE["ipam"], "type": "humanz-ipam"}}
    results = []
    for plugin in (REFERENCE, ours):
        network = Conflist(node, plugin)
        results.append(network.add("pod"))
        # The world has no route to the pod: it can answer only to the node.
        assert fetch(node, "http://192.0.2.1/", pod="pod") == "the page of the world"
        with Listener(node, "eth0", "pod") as listener:
            send_frame(node, "pod")
            assert listener.has_frames()
        assert node.ip("link", "show", "dev", "eth0", pod="pod")[0]["mtu"] == 1450
        network.check("pod")
        network.delete("pod")
        assert list(node.path("/run/leases/net").glob("10.*")) == []
        node.remove_pod("pod")
        node.run("ip", "link", "delete", "mynet0")
        node.run("rm", "-r", "/run/leases")
    theirs, mine = results
    for key in ("ips", "routes", "dns"):
        assert mine[key] == theirs[key]
    assert [entry.get("sandbox") for entry in mine["interfaces"]] == [
        entry.get("sandbox") for entry in theirs["interfaces"]]
