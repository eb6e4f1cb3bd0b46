"""humanz-route: what a network needs of the node's firewalls, and what its pods leave behind."""

import functools
import subprocess

import pytest

from lab.attachment import Network
from lab.cluster import NETWORKS, Cluster, static_peers
from lab.system_calls import traced
from lab.traffic import source_of_datagram
from lab.uplinked import Uplinked, check, status

BACKENDS = ["iptables-nft", "iptables-legacy", "nftables"]


def drop(node, backend, version):
    """Has the node drop what it forwards; gives how to list the rules."""
    if backend == "nftables":
        node.run("nft", "add table inet wall; add chain inet wall passing "
                        "{ type filter hook forward priority 0; policy drop; }")
        return ["nft", "list", "chain", "inet", "wall", "passing"]
    program = ("ip6tables" if version == "6" else "iptables") + backend.removeprefix("iptables")
    node.run(program, "-P", "FORWARD", "DROP")
    return [program, "-S", "FORWARD"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_is_let_through_once_and_no_longer_when_its_last_pod_has_gone(host, backend):
    listing = drop(host.node, backend, host.version)
    before = host.node.run(*listing).stdout
    network = host.network(host.peer(2))
    host.add(network)
    host.add(network)
    rules = [line for line in host.node.run(*listing).stdout.splitlines() if "humanz net" in line]
    assert len(rules) == 2, rules
    assert all(NETWORKS[host.version] in rule for rule in rules)
    assert check(network) == status(network) == (0, "")
    network.collect("pod")
    assert host.node.run(*listing).stdout != before
    network.collect()
    assert host.node.run(*listing).stdout == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_firewall_is_touched_where_that_is_switched_off(host, backend):
    listing = drop(host.node, backend, host.version)
    before = host.node.run(*listing).stdout
    network = host.network(host.peer(2), forward=False)
    host.add(network)
    assert host.node.run(*listing).stdout == before
    assert status(network) == (0, "")


def test_other_peoples_rules_stay_when_ours_go(host):
    listing = drop(host.node, "iptables-legacy", host.version)
    program = listing[0]
    host.node.run(program, "-A", "FORWARD", "-m", "comment", "--comment", "humanz network",
                  "-j", "ACCEPT")
    before = host.node.run(*listing).stdout
    network = host.network()
    host.add(network)
    network.collect()
    assert host.node.run(*listing).stdout == before


def test_a_firewall_that_accepts_is_not_changed(host):
    program = "iptables-nft" if host.version == "4" else "ip6tables-nft"
    host.node.run(program, "-P", "FORWARD", "ACCEPT")
    host.add(host.network(host.peer(2)))
    assert "humanz" not in host.node.run(program, "-S", "FORWARD").stdout


@pytest.mark.parametrize("version", ["4", "6"])
@pytest.mark.parametrize("masquerade", [True, False])
def test_only_what_leaves_the_network_is_masqueraded(masquerade, version):
    chain = functools.partial(static_peers, ipMasq=masquerade)
    with Cluster([version], chain, count=2) as cluster:
        cluster.add_pods()
        first, second = cluster
        [own] = first.addresses()
        [other] = second.addresses()
        assert cluster.all_reach_all()
        assert source_of_datagram(first.node, first.pod, second.node, other, second.pod) == own
        # The second node itself is outside of the network.
        node = second.uplink(version)
        expected = first.uplink(version) if masquerade else own
        assert source_of_datagram(first.node, first.pod, second.node, node) == expected
        first.chain.check(first.pod)


def test_a_masquerade_that_was_taken_away_is_named_and_healed(host):
    network = host.network(ipMasq=True)
    host.add(network)
    rules = host.node.run("nft", "list", "ruleset").stdout
    assert "masquerade" in rules
    host.add(network)
    assert host.node.run("nft", "list", "ruleset").stdout == rules
    host.node.run("nft", "flush", "ruleset")
    code, text = check(network)
    assert code == 102 and "masquerade" in text
    host.add(network)
    assert check(network) == (0, "")
    network.collect()
    assert "masquerade" not in host.node.run("nft", "list", "ruleset").stdout


def test_a_second_add_sends_the_firewall_nothing_and_starts_no_process(host):
    drop(host.node, "iptables-nft", host.version)
    drop(host.node, "iptables-legacy", host.version)
    network = host.network(host.peer(2), ipMasq=True)
    host.add(network)
    lines = traced(
        network, "ADD", "pod", "-e", "trace=execve,clone,clone3,vfork,fork,flock,sendto",
        delegates=True, prevResult=host.prev_result)
    calls = "\n".join(lines)
    assert calls.count("execve(") == 1
    assert "clone" not in calls and "fork" not in calls
    assert "LOCK_EX" not in calls
    # Of nf_tables' messages only questions: 0xa01, 0xa04 and 0xa07 are those that ask.
    for line in lines:
        assert "nlmsg_type=0x10 " not in line and "BATCH" not in line


def test_a_delete_forgets_the_neighbour_entries_of_the_pods_addresses(host):
    network = host.network()
    result = host.add(network)
    address = result["ips"][0]["address"].split("/")[0]
    mac = host.node.ip("link", "show", "dev", "eth0", pod="pod")[0]["address"]

    def remember():
        host.node.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", "port0",
                      "nud", "stale")

    def is_remembered():
        return address in [entry["dst"] for entry in host.node.ip("neigh", "show")]
    for options in ({"prevResult": result}, {}):
        remember()
        assert is_remembered()
        network.call("DEL", "pod", **options)
        assert not is_remembered()
    remember()
    network.call("DEL", "pod", namespace="/run/netns/gone", prevResult=result)
    assert not is_remembered()


def test_forwarding_keeps_the_default_route_that_a_router_advertised(node):
    host = Uplinked(node, "6")
    # What a router's advertisement leaves: a route of its protocol, on a link that accepts them.
    node.run("sysctl", "-qw", "net.ipv6.conf.uplink.accept_ra=1")
    node.run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "uplink",
             "proto", "ra")
    host.add(host.network(host.peer(2)))
    assert node.run("sysctl", "-n", "net.ipv6.conf.all.forwarding").stdout.strip() == "1"
    assert node.run("sysctl", "-n", "net.ipv6.conf.uplink.accept_ra").stdout.strip() == "2"
    assert [route for route in host.routes("default") if route["protocol"] == "ra"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rule_of_the_operators_own_still_has_its_say(host, backend):
    listing = drop(host.node, backend, host.version)
    program = listing[0]
    if program == "nft":
        host.node.run("nft", "add rule inet wall passing meta mark 7 drop")
    else:
        host.node.run(program, "-A", "FORWARD", "-m", "mark", "--mark", "7", "-j", "DROP")
    host.add(host.network(host.peer(2)))
    rules = [line for line in host.node.run(*listing).stdout.splitlines()
             if "mark" in line or "humanz net" in line]
    assert len(rules) == 3 and "mark" in rules[0], rules


def test_a_firewall_that_cannot_be_told_fails_no_pod_and_is_named(host):
    # A table of a process's own, as firewalld has it, takes no rule of another.
    owner = host.node.start("nft", "-i", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    owner.stdin.write("add table inet wall { flags owner; }\n"
                      "add chain inet wall passing { type filter hook forward priority 0; policy drop; }\n"
                      "list chains\n")
    owner.stdin.flush()
    while "passing" not in owner.stdout.readline():
        pass
    network = host.network(host.peer(2))
    host.add(network)
    code, said = status(network)
    assert code == 51 and "inet wall passing" in said
    assert "inet wall passing" in host.node.path("/var/log/humanz_cni.log").read_text()
    owner.stdin.close()
    owner.wait()
    host.add(network)
    assert status(network) == (0, "")


def test_an_interface_whose_packets_do_not_pass_the_node_opens_nothing(node):
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    node.run("ip", "link", "set", "uplink", "up")
    node.run("nft", "add table inet wall; add chain inet wall passing "
                    "{ type filter hook forward priority 0; policy drop; }")
    before = node.run("nft", "list", "ruleset").stdout
    node.add_pod("pod")
    node.run("ip", "link", "add", "m0", "link", "uplink", "type", "macvlan")
    node.run("ip", "link", "set", "m0", "netns", "pod", "name", "eth0")
    node.run("ip", "link", "set", "eth0", "up", pod="pod")
    node.run("ip", "address", "add", "192.168.1.9/24", "dev", "eth0", pod="pod")
    previous = {"cniVersion": "1.0.0",
                "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
                "ips": [{"address": "192.168.1.9/24", "gateway": "192.168.1.1", "interface": 0}]}
    forwarding = node.run("sysctl", "-n", "net.ipv4.ip_forward").stdout
    network = Network(node, plugin="humanz-route")
    network.add("pod", prevResult=previous)
    assert node.ip("route", "show", "default", pod="pod")[0]["gateway"] == "192.168.1.1"
    assert node.run("nft", "list", "ruleset").stdout == before
    assert node.run("sysctl", "-n", "net.ipv4.ip_forward").stdout == forwarding
    network.check("pod")
