# SPDX-License-Identifier: Apache-2.0
"""`ipMasq` of a network with pods that moves between humanz-bridge and the reference bridge, and back."""

import pytest

from lab.attachment import Network, Refused, address, comes_to_reach
from lab.traffic import NODE, WORLD, add_world, seen_as, serve_callers

# The IPv6 addresses of the world and of the node.
WORLD6, NODE6 = "2001:db8::1", "2001:db8::10"


@pytest.fixture(params=["iptables-nft", "iptables-legacy"])
def backend(request, node):
    """The iptables program that the reference plugin uses on the node."""
    node.run("mkdir", "/run/tmp/iptables")
    for program in ("iptables", "ip6tables"):
        chosen = request.param.replace("iptables", program)
        node.run("ln", "-s", f"/usr/sbin/{chosen}", f"/run/tmp/iptables/{program}")
    return request.param


@pytest.fixture
def world(node):
    """A host reached in both families that has no route to pods."""
    add_world(node)
    node.run("ip", "address", "add", f"{WORLD6}/64", "dev", "eth0", "nodad", pod="world")
    node.run("ip", "address", "add", f"{NODE6}/64", "dev", "uplink", "nodad")
    serve_callers(node, "world")


def network(node, plugin, name="net"):
    """The network, for one of the plugins; both use the same leases in host-local's format."""
    moving = Network(node, plugin, name=name, bridge="pods0", isDefaultGateway=True, ipMasq=True, ipam={
        "type": "host-local" if plugin == "bridge" else "humanz-ipam", "dataDir": "/run/tmp/leases",
        "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]})
    moving.environment = {"PATH": "/run/tmp/iptables:/usr/sbin:/usr/bin:/sbin:/bin"}
    return moving


def call(moving, verb, pod, **options):
    return moving.call(verb, pod, environment=moving.environment, **options)


def add(moving, pod):
    moving.node.add_pod(pod)
    moving.results[pod] = call(moving, "ADD", pod)
    return moving.results[pod]


def delete(moving, pod, result):
    call(moving, "DEL", pod, prevResult=result)


def is_masqueraded(node, pod):
    """Whether the world sees the node's address in both families."""
    assert comes_to_reach(node, pod, WORLD6)
    return [seen_as(node, pod, there) for there in (WORLD, WORLD6)] == [NODE, NODE6]


def rules(node, backend):
    """The rules and chains in iptables' nat table, without the built-in chains."""
    return [line for program in ("iptables", "ip6tables")
            for line in node.run(backend.replace("iptables", program), "-t", "nat", "-S").stdout.splitlines()
            if not line.startswith("-P")]


def test_pods_of_the_reference_go_by_our_del_with_their_rules_and_no_others(node, backend, world):
    theirs, ours = network(node, "bridge"), network(node, "humanz-bridge")
    first = add(theirs, "first")
    alone = rules(node, backend)
    assert len([rule for rule in alone if rule.startswith("-N CNI-")]) == 2
    second = add(theirs, "second")
    third = add(ours, "third")
    for pod in ("first", "second", "third"):
        assert is_masqueraded(node, pod), pod

    # The second DEL succeeds like the first: a runtime may repeat it.
    for _ in range(2):
        delete(ours, "second", second)
        assert rules(node, backend) == alone
    for pod in ("first", "third"):
        assert is_masqueraded(node, pod), pod

    delete(ours, "first", first)
    delete(ours, "third", third)
    assert rules(node, backend) == []
    assert "humanz" not in node.run("nft", "list", "ruleset").stdout
    assert list(node.path("/run/tmp/leases/net").glob("*.*.*.*")) == []
    assert [link["ifname"] for link in node.ip("link") if link.get("master")] == []


def test_an_attachment_with_two_addresses_of_a_family_loses_all_of_its_rules(node, backend):
    theirs, ours = network(node, "bridge"), network(node, "humanz-bridge")
    for moving in (theirs, ours):
        moving.configuration["ipam"]["ranges"] = [
            [{"subnet": subnet} | part] for subnet, middle, after in [
                ("10.77.0.0/24", "10.77.0.98", "10.77.0.99"), ("fd77::/64", "fd77::98", "fd77::99")]
            for part in ({"rangeEnd": middle}, {"rangeStart": after})]
    result = add(theirs, "pod")
    assert len([rule for rule in rules(node, backend) if rule.startswith("-A POSTROUTING")]) == 4
    delete(ours, "pod", result)
    assert rules(node, backend) == []


def test_another_network_and_interface_of_the_container_keep_the_references_rules(node, backend, world):
    theirs = network(node, "bridge")
    other = network(node, "bridge", "other")
    other.configuration |= {"bridge": "pods1", "ipam": {
        "type": "host-local", "dataDir": "/run/tmp/leases", "subnet": "10.78.0.0/24"}}
    add(theirs, "pod")
    before = rules(node, backend)
    call(other, "ADD", "pod", interface="net1")
    both = rules(node, backend)
    assert len(both) > len(before)
    call(network(node, "humanz-bridge", "third"), "DEL", "pod", interface="net2")
    assert rules(node, backend) == both
    ours = network(node, "humanz-bridge", "other")
    ours.configuration["bridge"] = "pods1"
    call(ours, "DEL", "pod", interface="net1")
    assert rules(node, backend) == before
    assert is_masqueraded(node, "pod")


def test_pods_of_ours_go_by_the_references_del_and_gc_removes_the_networks_chain(node, backend, world):
    theirs, ours = network(node, "bridge"), network(node, "humanz-bridge")
    results = {pod: add(ours, pod) for pod in ("first", "second")}
    results["third"] = add(theirs, "third")
    for pod in results:
        assert is_masqueraded(node, pod), pod

    for pod in ("first", "second"):
        # The reference's first DEL does its work, and then fails on rules that it did not make.
        try:
            delete(theirs, pod, results[pod])
        except Refused as refused:
            assert "CNI-" in str(refused)
        delete(theirs, pod, results[pod])
        assert address(results[pod]) not in [
            lease.name for lease in node.path("/run/tmp/leases/net").iterdir()]
    assert is_masqueraded(node, "third")
    delete(theirs, "third", results["third"])
    assert rules(node, backend) == []
    assert [link["ifname"] for link in node.ip("link") if link.get("master")] == []

    ours.configuration["cniVersion"] = "1.1.0"
    call(ours, "GC", None, **{"cni.dev/valid-attachments": []})
    assert "humanz" not in node.run("nft", "list", "ruleset").stdout


# The rules that the reference makes since 1.6 without iptables, or with `ipMasqBackend`.
NFTABLES = """
table inet cni_plugins_masquerade {{
  chain masq_checks {{
    {rules}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip daddr 224.0.0.0/4 return
    ip6 daddr ff00::/8 return
    goto masq_checks
  }}
}}
"""


@pytest.mark.parametrize("name", ["net", "a-network-of-a-long-name", "n" * 90])
def test_the_references_rules_of_nftables_go_by_our_del(node, name):
    def comment(pod):
        return f"0123456789abcdef-0123456789abcdef, net: {name}, if: eth0, id: {pod}"[:128]

    # A container ID as runtimes make it, and another that differs only where the comment may be cut off.
    pod, other = "5e" * 32, "5e" * 20 + "77" * 12
    rule = 'ip saddr {} ip daddr != 10.77.0.0/24 masquerade comment "{}"'
    node.run("nft", "-f", "-", input=NFTABLES.format(rules="\n    ".join(
        rule.format(*pair) for pair in [("10.77.0.2", comment(pod)), ("10.77.0.3", comment(other))])))
    call(network(node, "humanz-bridge", name), "DEL", pod, namespace="")
    left = node.run("nft", "list", "ruleset").stdout
    # A comment with a name this long has no room for the ID: the rule's owner is unknown, and it stays.
    assert ("10.77.0.2" in left) == (len(name) == 90)
    assert "10.77.0.3" in left
