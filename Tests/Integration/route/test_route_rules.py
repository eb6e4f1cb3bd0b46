# SPDX-License-Identifier: Apache-2.0
"""humanz-route: the network's firewall rules on the node, and what a pod leaves behind."""

import functools
import subprocess

import pytest

from lab.attachment import Network, Refused
from lab.cluster import NETWORKS, Cluster, static_peers
from lab.kernel import need_table_owners
from lab.system_calls import traced
from lab.traffic import PYTHON, source_of_datagram
from lab.uplinked import Uplinked, check, status

BACKENDS = ["iptables-nft", "iptables-legacy", "nftables"]


def drop(node, backend, version):
    """Sets the node's forward policy to drop; returns the command that lists the rules."""
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
    network.gc("pod")
    assert host.node.run(*listing).stdout != before
    network.gc()
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
    network.gc()
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
        # The second node's own address is outside the network.
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
    network.gc()
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
    # Only queries go to nf_tables: types 0xa01, 0xa04 and 0xa07.
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
    # What a router advertisement leaves: a route of protocol `ra`, on a link that accepts them.
    node.run("sysctl", "-qw", "net.ipv6.conf.uplink.accept_ra=1")
    node.run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "uplink",
             "proto", "ra")
    host.add(host.network(host.peer(2)))
    assert node.run("sysctl", "-n", "net.ipv6.conf.all.forwarding").stdout.strip() == "1"
    assert node.run("sysctl", "-n", "net.ipv6.conf.uplink.accept_ra").stdout.strip() == "2"
    assert [route for route in host.routes("default") if route["protocol"] == "ra"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_our_accept_rules_come_after_the_operators_rules(host, backend):
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


# Firewalls that accept no rule from others

class OwnersTable:
    """A table with the `owner` flag, as firewalld may have: only its owner can add rules."""

    def __init__(self, node, *rules):
        need_table_owners(node)
        self.process = node.start(
            "nft", "-i", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = ["add table inet wall { flags owner; }",
                 "add chain inet wall passing { type filter hook forward priority 0; policy drop; }",
                 *(f"add rule inet wall passing {rule}" for rule in rules), "list chains"]
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()
        while "passing" not in self.process.stdout.readline():
            pass

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def refused_add(host, network, **options):
    with pytest.raises(Refused) as refused:
        host.add(network, **options)
    return refused.value.error


def test_an_add_through_a_firewall_that_takes_no_rule_is_refused(host):
    owner = OwnersTable(host.node)
    listing = drop(host.node, "iptables-nft", host.version)
    before = host.node.run(*listing).stdout
    network = host.network(host.peer(2), ipMasq=True)
    error = refused_add(host, network)
    assert error["code"] == 100 and "inet wall passing" in error["msg"]
    code, said = status(network)
    assert code == 50 and "inet wall passing" in said
    # The network's first ADD leaves nothing in any firewall.
    assert host.node.run(*listing).stdout == before
    assert "masquerade" not in host.node.run("nft", "list", "ruleset").stdout
    owner.close()
    host.add(network)
    assert check(network) == status(network) == (0, "")


def test_a_refused_add_takes_no_rule_from_the_other_pods(host):
    listing = drop(host.node, "iptables-nft", host.version)
    network = host.network(host.peer(2))
    host.add(network)
    before = host.node.run(*listing).stdout
    owner = OwnersTable(host.node)
    refused_add(host, network)
    assert "humanz net" in before and host.node.run(*listing).stdout == before
    owner.close()


def test_a_firewall_that_takes_no_rule_and_accepts_anyway_is_fine(host):
    family = {"4": "ip", "6": "ip6"}[host.version]
    owner = OwnersTable(host.node, *(
        f"{family} {side} {NETWORKS[host.version]} counter accept" for side in ("saddr", "daddr")))
    network = host.network(host.peer(2))
    host.add(network)
    assert check(network) == status(network) == (0, "")
    owner.close()


def test_another_networks_rule_does_not_serve_this_one(host):
    listing = drop(host.node, "nftables", host.version)
    networks = [host.network(name=name) for name in ("one", "two")]
    for network in networks:
        host.add(network)
    networks[0].gc()
    rules = host.node.run(*listing).stdout
    assert "humanz one" not in rules and rules.count("humanz two") == 2
    assert check(networks[1]) == (0, "")


def test_iptables_legacy_is_found_without_path(host):
    listing = drop(host.node, "iptables-legacy", host.version)
    network = host.network(host.peer(2))
    host.add(network, under=["env", "-u", "PATH"])
    assert host.node.run(*listing).stdout.count("humanz net") == 2


def test_an_add_without_the_iptables_legacy_that_it_needs_is_refused(host):
    listing = drop(host.node, "iptables-legacy", host.version)
    before = host.node.run(*listing).stdout
    program = host.node.run("readlink", "-f", f"/usr/sbin/{listing[0]}").stdout.strip()
    network = host.network(host.peer(2))
    host.node.run("mount", "--bind", "/dev/null", program)
    error = refused_add(host, network)
    assert error["code"] == 100 and listing[0] in error["msg"]
    assert status(network)[0] == 50 and listing[0] in status(network)[1]
    host.node.run("umount", program)
    assert host.node.run(*listing).stdout == before
    host.add(network)
    assert check(network) == status(network) == (0, "")


_HOLD = """
import fcntl, sys
lock = open("/run/xtables.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_an_add_that_waits_in_vain_for_the_lock_of_iptables_is_refused(host):
    listing = drop(host.node, "iptables-legacy", host.version)
    before = host.node.run(*listing).stdout
    holder = host.node.start(PYTHON, "-c", _HOLD, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
    assert holder.stdout.readline() == "held\n"
    error = refused_add(host, host.network(host.peer(2)))
    assert error["code"] == 100 and "lock" in error["msg"]
    holder.communicate()
    assert host.node.run(*listing).stdout == before


@pytest.mark.parametrize("place", [1, 2])
def test_an_iptables_table_that_changes_while_it_is_read_is_read_again(host, place):
    listing = drop(host.node, "iptables-legacy", host.version)
    network = host.network(host.peer(2))
    traced(network, "ADD", "pod", "-e", "trace=getsockopt",
           "-e", f"inject=getsockopt:error=EAGAIN:when={place}", prevResult=host.prev_result)
    assert host.node.run(*listing).stdout.count("humanz net") == 2


def test_an_iptables_table_that_cannot_be_read_fails_the_add(host):
    drop(host.node, "iptables-legacy", host.version)
    network = host.network(host.peer(2))
    with pytest.raises(Refused) as refused:
        traced(network, "ADD", "pod", "-e", "trace=getsockopt",
               "-e", "inject=getsockopt:error=EPERM:when=1", prevResult=host.prev_result)
    assert refused.value.error["code"] == 100


# Many prefixes

@pytest.mark.parametrize("count", [42, 70, 128])
def test_as_many_prefixes_as_a_network_may_have_are_masqueraded_and_let_through(host, count):
    """A rule of the kernel has at most 128 expressions, so more than 60 prefixes take several rules."""
    listing = drop(host.node, "nftables", host.version)
    many = [{"4": f"10.{number}.0.0/16", "6": f"fd00:{number:x}::/32"}[host.version]
            for number in range(count - 1)] + [NETWORKS[host.version]]
    many = list(dict.fromkeys(many))
    network = host.network(ipMasq=True)
    network.configuration["network"] = many
    host.add(network)
    assert check(network) == status(network) == (0, "")
    rules = host.node.run("nft", "list", "ruleset").stdout
    host.add(network)
    assert host.node.run("nft", "list", "ruleset").stdout == rules
    assert host.node.run(*listing).stdout.count("humanz net") == 2 * len(many)
    # With fewer prefixes again, the additional rules are removed.
    few = host.network(ipMasq=True)
    host.add(few)
    masquerade = host.node.run("nft", "list", "chain", "inet", "humanz", "masquerade-net").stdout
    assert masquerade.count("saddr") == 1 and masquerade.count("masquerade comment") == 1
    assert check(few) == (0, "")


@pytest.mark.parametrize("version", ["4", "6"])
def test_many_exceptions_except_the_same_destinations_as_one_rule(version):
    others = [{"4": f"10.{number}.0.0/24", "6": f"fd00:{number:x}::/64"}[version]
              for number in range(100)]

    def chain(member):
        chain = static_peers(member, count=2, ipMasq=True)
        chain.stages[-1].configuration["network"] = member.networks + others
        return chain
    with Cluster([version], chain, count=2) as cluster:
        cluster.add_pods()
        first, second = cluster
        [own], [other] = first.addresses(), second.addresses()
        assert cluster.all_reach_all()
        assert source_of_datagram(first.node, first.pod, second.node, other, second.pod) == own
        node = second.uplink(version)
        assert source_of_datagram(first.node, first.pod, second.node, node) == first.uplink(version)


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
