# SPDX-License-Identifier: Apache-2.0
"""Services with the shipped conflist for Kubernetes: kube-proxy's kinds of rules, and every kind of caller."""

import json

import pytest

from lab.cluster import NETWORKS, SHIPPED, Cluster, from_kubernetes, node_object, uplink
from lab.conflist import Conflist
from lab.isolated_node import PLUGINS
from lab.kernel import IN_MACHINE, need_bridge_netfilter, need_no_bridge_netfilter
from lab.tool import Tool
from lab.traffic import serve_callers

FAMILIES = ["4", "6"]
PORT, HOST_PORT = 5001, 8080
SERVICE = {"4": "10.96.0.10", "6": "fd00:96::10"}
SERVICES = {"4": "10.96.0.0/12", "6": "fd00:96::/112"}
CLIENT = {"4": "192.168.0.200", "6": "fd00:192::200"}


def with_iptables(node, family, pod):
    """A Service of one pod as kube-proxy makes it in iptables mode."""
    program = {"4": "iptables-legacy", "6": "ip6tables-legacy"}[family]
    service, network, bits = SERVICE[family], NETWORKS[family], {"4": 32, "6": 128}[family]
    to = {"4": f"{pod}:{PORT}", "6": f"[{pod}]:{PORT}"}[family]
    rules = f"""
        -N KUBE-MARK-MASQ
        -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
        -N KUBE-POSTROUTING
        -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
        -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
        -A KUBE-POSTROUTING -j MASQUERADE
        -N KUBE-SEP
        -A KUBE-SEP -s {pod}/{bits} -j KUBE-MARK-MASQ
        -A KUBE-SEP -p tcp -j DNAT --to-destination {to}
        -N KUBE-SVC
        -A KUBE-SVC ! -s {network} -d {service}/{bits} -p tcp --dport {PORT} -j KUBE-MARK-MASQ
        -A KUBE-SVC -j KUBE-SEP
        -N KUBE-SERVICES
        -A KUBE-SERVICES -d {service}/{bits} -p tcp --dport {PORT} -j KUBE-SVC
        -A PREROUTING -j KUBE-SERVICES
        -A OUTPUT -j KUBE-SERVICES
        -A POSTROUTING -j KUBE-POSTROUTING"""
    node.run("sh", "-ec", "\n".join(f"{program} -w -t nat {rule.strip()}" for rule in rules.split("\n") if rule))


def with_nftables(node, family, pod):
    """The same in its nftables mode."""
    ip = {"4": "ip", "6": "ip6"}[family]
    to = {"4": f"{pod}:{PORT}", "6": f"[{pod}]:{PORT}"}[family]
    node.run("nft", "-f", "-", input=f"""
        table {ip} kube-proxy {{
          chain mark-for-masquerade {{ meta mark set meta mark or 0x4000; }}
          chain service {{
            {ip} saddr != {NETWORKS[family]} jump mark-for-masquerade
            {ip} saddr {pod} jump mark-for-masquerade
            meta l4proto tcp dnat to {to}
          }}
          chain services {{ {ip} daddr {SERVICE[family]} tcp dport {PORT} goto service; }}
          chain nat-prerouting {{ type nat hook prerouting priority -100; jump services; }}
          chain nat-output {{ type nat hook output priority -100; jump services; }}
          chain nat-postrouting {{
            type nat hook postrouting priority 100;
            meta mark & 0x4000 == 0 return
            meta mark set meta mark xor 0x4000
            masquerade
          }}
        }}""")


MODES = {"iptables": with_iptables, "nftables": with_nftables}


def ask(machine, address, port=PORT, pod=None):
    """The caller's address as the server sees it; empty if nobody answers."""
    return machine.run("busybox", "nc", "-w", "2", address, port, pod=pod, check=False).stdout


class Services:
    """A cluster of two nodes: the first has the server and a neighbour, the second a far pod."""

    def __init__(self, cluster, mode):
        self.first, self.second = cluster
        lan = cluster.segments[0].node
        for family in FAMILIES:
            lan.run("ip", "address", "add", f"{CLIENT[family]}/{ {'4': 24, '6': 64}[family] }", "dev", "lan",
                    *(["nodad"] if family == "6" else []))
        self.outside = lan
        offer = {"portMappings": [{"hostPort": HOST_PORT, "containerPort": PORT, "protocol": "tcp"}]}
        for member in cluster:
            member.sync(*(node_object(number, FAMILIES) for number in (1, 2)))
        self.pods = {"server": self.first.chain.add("server", "--capability-args", json.dumps(offer)),
                     "neighbour": self.first.chain.add("neighbour"), "far": self.second.chain.add("far")}
        serve_callers(self.first.node, "server")
        for member in cluster:
            for family in FAMILIES:
                # In place of the default route that a node has.
                member.node.run("ip", "route", "add", SERVICES[family], "dev", "uplink")
                MODES[mode](member.node, family, self.address("server", family))

    def address(self, pod, family):
        return self.pods[pod]["ips"][FAMILIES.index(family)]["address"].split("/")[0]

    def row(self, family):
        """Who reaches the server: by caller, the address that the server saw and the expected one; None means
        any address of a node."""
        service, direct = SERVICE[family], self.address("server", family)
        one, two = self.first.node, self.second.node
        near, far = self.address("neighbour", family), self.address("far", family)
        row = {
            "itself": (ask(one, service, pod="server"), None),
            "same node": (ask(one, service, pod="neighbour"), near),
            "other node": (ask(two, service, pod="far"), far),
            "host": (ask(one, service), None),
            "other host": (ask(two, service), None),
            "pod, directly": (ask(one, direct, pod="neighbour"), near),
            "far pod, directly": (ask(two, direct, pod="far"), far),
        }
        if any(plugin["type"] == "portmap" for plugin in self.first.chain.plugins):
            row["outside, hostPort"] = (ask(self.outside, uplink(1, family), HOST_PORT), CLIENT[family])
        return row


def is_right(seen, wanted):
    return seen == wanted if wanted else seen != ""


def set_bridge_netfilter(node, value):
    for program in ("iptables", "ip6tables"):
        node.run("sysctl", "-qw", f"net.bridge.bridge-nf-call-{program}={value}")


def without(member, *keys):
    """The shipped chain without some keys of humanz-bridge."""
    configuration = json.loads(SHIPPED.read_text())
    for key in keys:
        del configuration["plugins"][0][key]
    path = member.node.path("/run/tmp/less.conflist")
    path.write_text(json.dumps(configuration))
    return from_kubernetes(member, path)


@pytest.fixture
def cluster(request, node):
    need_bridge_netfilter(node)
    keys, node_setting = request.param
    with Cluster(FAMILIES, lambda member: without(member, *keys), count=2) as cluster:
        for member in cluster:
            set_bridge_netfilter(member.node, node_setting)
        yield cluster


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cluster", [((), 0), ((), 1)], ids=["the node's setting off", "on"], indirect=True)
def test_everybody_reaches_a_service(cluster, mode, request, capsys):
    services = Services(cluster, mode)
    wrong = []
    for family in FAMILIES:
        row = services.row(family)
        with capsys.disabled():
            words = "  ".join(f"{caller}: {'yes' if is_right(*row[caller]) else 'NO'}" for caller in row)
            print(f"\n{request.node.callspec.id} IPv{family}  {words}", end="")
        wrong += [(family, caller, *row[caller]) for caller in row if not is_right(*row[caller])]
    assert not wrong
    # The node's own settings are unchanged.
    setting = services.first.node.run("sysctl", "-n", "net.bridge.bridge-nf-call-iptables").stdout.strip()
    assert setting == ("1" if "on" in request.node.callspec.id.split("-") else "0")
    services.first.chain.without("portmap").check("server")


@pytest.mark.parametrize("cluster, unserved", [
    ((("bridgeNetfilter",), 0), {"same node"}),
    ((("hairpinMode",), 1), {"itself"}),
], ids=["no bridgeNetfilter", "no hairpinMode"], indirect=["cluster"])
def test_without_the_keys_somebody_does_not_reach_it(cluster, unserved):
    row = Services(cluster, "nftables").row("4")
    assert {caller for caller in row if not is_right(*row[caller])} == unserved


@pytest.mark.parametrize("cluster", [((), 0)], indirect=True, ids=[""])
def test_check_reports_a_bridge_without_nf_call_and_the_next_add_repairs_it(cluster):
    services = Services(cluster, "nftables")
    first = services.first
    first.node.run("ip", "link", "set", "humanz-cni0", "type", "bridge", "nf_call_ip6tables", "0")
    with pytest.raises(AssertionError, match="nf_call_iptables or nf_call_ip6tables of the bridge humanz-cni0 is off"):
        first.chain.without("portmap").check("server")
    first.chain.add("another")
    first.chain.without("portmap").check("server")


@pytest.mark.parametrize("mode", MODES)
def test_on_a_kernel_without_br_netfilter_only_a_pod_beside_the_server_does_not_reach_it(node, mode):
    need_no_bridge_netfilter(node)
    with Cluster(FAMILIES, from_kubernetes, count=2) as cluster:
        services = Services(cluster, mode)
        for family in FAMILIES:
            row = services.row(family)
            assert {caller for caller in row if not is_right(*row[caller])} == {"same node"}
        first = services.first.node
        assert "modprobe br_netfilter" in Tool(first).call(check=False, env={"CNI_CONF_DIR": SHIPPED.parent}).stdout


@pytest.mark.parametrize("is_loaded", [True, False], ids=["loaded", "missing"])
def test_where_br_netfilter_is_missing_the_log_the_overview_and_lint_say_what_to_load(node, is_loaded):
    if is_loaded:
        need_bridge_netfilter(node)
    elif IN_MACHINE:
        need_no_bridge_netfilter(node)
    elif node.path("/proc/sys/net/bridge").exists():
        node.run("mount", "-t", "tmpfs", "tmpfs", "/proc/sys/net/bridge")
    Conflist(node, {"type": "humanz-bridge", "bridge": "pods", "bridgeNetfilter": True}).add("pod")
    said = [node.path("/var/log/humanz_cni.log").read_text(),
            Tool(node).call(check=False).stdout,
            Tool(node).call("lint", env={"CNI_PATH": PLUGINS}, check=False).stdout]
    assert ["modprobe br_netfilter" in text for text in said] == [not is_loaded] * 3
