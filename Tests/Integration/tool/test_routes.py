# SPDX-License-Identifier: Apache-2.0
"""The command that shows each destination of a network with the state of its route."""

import json
import re
import subprocess
import xml.etree.ElementTree

import pytest

from lab.attachment import reaches
from lab.cluster import NETWORKS, Cluster, static_peers
from lab.conflist import Conflist
from lab.tool import Tool


def write_conflist(node, *plugins, path="/run/cni/net.d/net.conflist"):
    """Gives the node a file of the plugins; gives its path."""
    node.path(path).write_text(json.dumps({
        "cniVersion": "1.1.0", "name": "net",
        "plugins": [{key: value for key, value in plugin.items() if key not in ("cniVersion", "name")}
                    for plugin in plugins]}))
    return path


def test_routes_shows_each_destination_with_its_state(host):
    far = {"4": "198.18.0.1", "6": "fd00:98::1"}[host.version]
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(5), "via", host.via(7))
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(6), "via", host.via(7))
    network = host.network(host.peer(2), host.peer(3), host.peer(4, far), host.peer(5))
    host.add(network)
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(3))
    program = "iptables-nft" if host.version == "4" else "ip6tables-nft"
    host.node.run(program, "-P", "FORWARD", "DROP")
    write_conflist(host.node, network.configuration, path="/run/tmp/net.conflist")
    tool = Tool(host.node)
    assert tool.call("routes", "--conflist", "/run/tmp/net.conflist", check=False).returncode == 1
    report = tool.routes("/run/tmp/net.conflist", as_json=True)
    states = {row["destination"]: row["state"] for row in report["routes"]}
    assert {number: states[host.subnet(number)] for number in range(2, 7)} == {
        2: "installed", 3: "missing", 4: "not on-link", 5: "conflicting", 6: "foreign"}
    assert {"family": f"IPv{host.version}", "state": "on"} in report["forwarding"]
    [drop] = [row for row in report["forward"] if row["policy"] == "drop"]
    assert drop["drops"] == ["net"] and "FORWARD" in drop["chain"]
    assert {row["device"] for row in report["reversePathFilter"]} >= {"uplink"}
    # The text names devices; the kernel numbers them.
    assert any("via" in problem and "dev uplink" in problem for problem in report["problems"])
    text = tool.routes("/run/tmp/net.conflist")
    assert "number" not in text
    assert "Rules with conditions are not examined" in text
    # The advice about the conflicting route works.
    [deletion] = re.findall(r"if nobody needs it: `(.*)`", text)
    host.node.run(*deletion.split())
    states = {row["destination"]: row["state"]
              for row in tool.routes("/run/tmp/net.conflist", as_json=True)["routes"]}
    assert states[host.subnet(5)] == "missing"
    assert max(map(len, text.partition("problems:")[0].splitlines())) <= 120
    for words in [(host.subnet(2), host.via(2), "uplink", "installed"),
                  (host.subnet(4), far, "not on-link")]:
        assert any(all(word in line for word in words) for line in text.splitlines())


def test_a_strict_reverse_path_filter_is_explained(host):
    host.add(host.network(host.peer(2)))
    tool = Tool(host.node)
    for mode, is_explained in (("0", False), ("1", True), ("2", False)):
        host.node.run("sysctl", "-qw", f"net.ipv4.conf.uplink.rp_filter={mode}",
                      "net.ipv4.conf.all.rp_filter=0")
        assert ("strict: a packet is dropped" in tool.routes()) == is_explained


def test_routes_that_are_right_are_no_problem_and_the_nodes_own_subnet_is_called_that(host):
    network = host.network(host.peer(2))
    host.add(network)
    write_conflist(host.node, network.configuration)
    done = Tool(host.node).call("routes", "--json")
    report = json.loads(done.stdout)
    assert report["problems"] == []
    states = {row["destination"]: row["state"] for row in report["routes"]}
    assert states[host.subnet(1)] == "own subnet" and states[host.subnet(2)] == "installed"


def test_a_device_is_named_in_the_middle_of_a_sentence_too(host):
    network = host.network(host.peer(2))
    host.add(network)
    write_conflist(host.node, network.configuration)
    host.node.run("ip", f"-{host.version}", "route", "replace", host.subnet(2), "via", host.via(9), "proto", "72")
    [problem] = Tool(host.node).routes(as_json=True)["problems"]
    assert "its route is " in problem and "dev uplink" in problem and "number" not in problem


def test_an_uplinks_route_within_the_network_is_not_the_own_subnets(node):
    node.run("ip", "link", "add", "uplink", "up", "type", "veth", "peer", "name", "far")
    node.run("ip", "address", "add", "10.1.0.5/16", "dev", "uplink")
    Conflist(node, {"type": "humanz-bridge", "bridge": "pods"}, {"type": "humanz-ipam", "subnet": "10.2.0.0/24"},
             {"type": "humanz-route", "network": "10.0.0.0/8"}).add("pod")
    rows = {row["destination"]: row for row in Tool(node).routes(as_json=True)["routes"]}
    assert rows["10.1.0.0/16"]["state"] == "foreign" and "for" not in rows["10.1.0.0/16"]
    assert (rows["10.2.0.0/24"]["state"], rows["10.2.0.0/24"]["for"]) == ("own subnet", "this node's pods")


def test_the_advice_names_the_file_by_its_whole_path(host):
    network = host.network(host.peer(2))
    host.add(network)
    write_conflist(host.node, network.configuration, path="/run/tmp/net.conflist")
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(2))
    for file in "net.conflist", "./net.conflist":
        done = host.node.run("sh", "-c", f"cd /run/tmp && /run/cni/bin/humanz routes --conflist {file}", check=False)
        assert "`humanz sync /run/tmp/net.conflist` makes it now" in done.stdout
        assert "CONFLIST=/run/tmp/net.conflist in" in done.stdout


def test_routes_without_any_configuration_lists_what_the_suite_made(host):
    host.add(host.network(host.peer(2)))
    report = Tool(host.node).routes(as_json=True)
    assert {row["destination"] for row in report["routes"]} == {
        host.subnet(2), NETWORKS[host.version]}


# Rules of firewalls that drop

def iptables(flavour, *rules):
    """The rules of both families as a shell adds them."""
    return "\n".join(f"{program}-{flavour} -w {rule}" for program in ("iptables", "ip6tables") for rule in rules)


FIREWALLS = {
    # What a firewall has; what is said of its rules.
    "a rule that drops": (("-A FORWARD -j DROP",), "drop all"),
    # As RHEL's iptables-services has it.
    "a rule that rejects": (("-A FORWARD -j REJECT",), "drop all"),
    "a rule with a comment": (("-A FORWARD -m comment --comment wall -j DROP",), "drop all"),
    "behind what is known": (
        ("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A FORWARD -j REJECT"), "drop all"),
    "by its other name": (("-A FORWARD -m state --state ESTABLISHED -j ACCEPT", "-A FORWARD -j DROP"), "drop all"),
    "behind a rule that drops some": (
        ("-A FORWARD -p tcp --dport 25 -j DROP", "-A FORWARD -j DROP"), "drop all"),
    # As ufw has it with DEFAULT_FORWARD_POLICY="REJECT".
    "in a chain that all packets pass": (
        ("-N wall", "-N inner", "-A FORWARD -j wall", "-A wall -j inner", "-A wall -g inner",
         "-A inner -p tcp --dport 25 -j DROP", "-I wall -j REJECT"), "drop all"),
    "in a chain that is left before": (
        ("-N wall", "-A FORWARD -j wall", "-A wall -j RETURN", "-A wall -j DROP"), ""),
    "behind a goto": (("-N wall", "-A FORWARD -g wall", "-A FORWARD -j DROP"), ""),
    "with a condition": (("-A FORWARD -i other0 -j DROP",), ""),
    "behind a rule that accepts all": (("-A FORWARD -j ACCEPT", "-A FORWARD -j DROP"), ""),
    "behind new connections": (
        ("-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT", "-A FORWARD -j DROP"), "drop the rest"),
    "behind a rule that accepts some": (
        ("-A FORWARD -i other0 -j ACCEPT", "-A FORWARD -j DROP"), "drop the rest"),
    "in a chain that some pass": (("-N wall", "-A FORWARD -i other0 -j wall", "-A wall -j DROP"), ""),
}


@pytest.mark.parametrize("flavour", ["legacy", "nft"])
@pytest.mark.parametrize("case", FIREWALLS)
def test_a_rule_that_drops_every_forwarded_packet_is_a_problem(node, flavour, case):
    rules, words = FIREWALLS[case]
    path = write_conflist(node, {"type": "humanz-route", "network": list(NETWORKS.values()), "unreachable": False})
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    node.run("sh", "-ec", iptables(flavour, *rules))
    report = Tool(node).routes(path, as_json=True)
    assert [row["rules"] for row in report["forward"] if "FORWARD" in row["chain"]] == [words] * 2
    problems = [problem for problem in report["problems"] if "drops every packet" in problem]
    assert len(problems) == (2 if words == "drop all" else 0)
    assert report["problems"] == problems
    assert all(row["drops"] == (["net"] if words == "drop all" else []) for row in report["forward"])


NFT_FIREWALLS = {
    # firewalld's, shortened: which interface is in which zone is not examined.
    "firewalld": ("""ct state { established, related } accept; ct status dnat accept; iifname "lo" accept;
                  jump zones; reject with icmpx admin-prohibited""", "drop the rest"),
    "known by a mask": ("ct state established,related accept; counter reject", "drop all"),
    "known or new": ("ct state established,new accept; drop", "drop the rest"),
    "not known": ("ct state & (established | related) == 0 accept; drop", "drop the rest"),
    "logged and counted": ('log prefix "wall" counter drop', "drop all"),
    "a map of verdicts": ('iifname vmap { "eth0" : accept }; drop', "drop the rest"),
}


@pytest.mark.parametrize("case", NFT_FIREWALLS)
def test_a_rule_of_nftables_that_drops_every_forwarded_packet_is_a_problem(node, case):
    rules, words = NFT_FIREWALLS[case]
    path = write_conflist(node, {"type": "humanz-route", "network": NETWORKS["4"]})
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    node.run("nft", "-f", "-", input=f"""
        table inet wall {{
          chain zones {{ iifname "eth0" accept; }}
          chain forward {{ type filter hook forward priority 10; {rules}; }}
        }}""")
    report = Tool(node).routes(path, as_json=True)
    assert [row["rules"] for row in report["forward"]] == [words]
    assert [problem for problem in report["problems"] if "drops every packet" in problem] == (
        ["net: a rule of nftables chain inet wall forward drops every packet: add a rule before it that accepts the network's packets"]
        if words == "drop all" else [])


@pytest.mark.parametrize("flavour", ["legacy", "nft"])
def test_what_is_said_of_a_rule_that_drops_is_what_becomes_of_packets(flavour):
    def is_problem(member):
        # The chain of the tests is no file: `routes` gets one.
        path = write_conflist(member.node, *(stage.configuration for stage in member.chain.stages))
        return "drops every packet" in Tool(member.node).routes(path)

    with Cluster(["4"], static_peers, count=2) as cluster:
        cluster.add_pods()
        one, two = cluster
        assert one.reaches(two) and not is_problem(one)
        one.node.run("sh", "-ec", iptables(flavour, "-P FORWARD DROP"))
        one.chain.add("another")
        # The rules of the ADD come behind this one, and never see a packet.
        one.node.run("sh", "-ec", iptables(flavour, "-I FORWARD -j DROP"))
        assert not one.reaches(two) and is_problem(one)
        network = NETWORKS["4"]
        one.node.run("sh", "-ec", "\n".join(
            f"iptables-{flavour} -w -I FORWARD {side} {network} -j ACCEPT" for side in ("-s", "-d")))
        assert one.reaches(two)
        # What IPv6 has is not of this network's family.
        assert not is_problem(one)


# The picture

def drawing(dot):
    """What Graphviz draws: the texts of boxes and ellipses, and of edges by their ends, each with its colour."""
    done = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    svg = "{http://www.w3.org/2000/svg}"
    found = {}
    for group in xml.etree.ElementTree.fromstring(done.stdout).iter(f"{svg}g"):
        if group.get("class") in ("node", "edge"):
            title = group.find(f"{svg}title").text
            shape = next(one for one in group if one.tag in (f"{svg}polygon", f"{svg}ellipse", f"{svg}path"))
            found[title] = ([text.text for text in group.iter(f"{svg}text")], shape.get("stroke"))
    return found


def test_dot_draws_the_nodes_and_subnets_with_their_next_hops_and_what_is_wrong_in_red(host):
    network = host.network(host.peer(2), host.peer(3), host.peer(4, name='a "name" \\'))
    host.add(network)
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(3))
    write_conflist(host.node, network.configuration)
    host.node.run("hostname", "first")
    done = Tool(host.node).call("routes", "--dot", check=False)
    assert done.returncode == 1
    found = drawing(done.stdout)
    own = r"this node\nfirst"
    assert found[own] == (["this node", "first"], "black")
    assert found["node2"] == (["node2"], "black")
    assert found[host.subnet(2)] == ([host.subnet(2)], "black")
    assert found[f"{own}->node2"] == ([host.via(2), "uplink"], "black")
    assert found[f"node2->{host.subnet(2)}"] == ([], "black")
    words, color = found[f"{own}->node3"]
    assert words[-1] == "missing" and color == "red"
    assert found[host.subnet(3)][1] == "red"
    assert ['a "name" \\'] in [words for words, _ in found.values()]
    assert found[f"{own}->{NETWORKS[host.version]}"][0] == ["unreachable"]
    assert f"{own}->{host.subnet(1)}" in found
    host.add(network)
    done = Tool(host.node).call("routes", "--dot")
    assert {color for _, color in drawing(done.stdout).values()} == {"black"}
