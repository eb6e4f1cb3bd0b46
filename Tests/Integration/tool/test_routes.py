# SPDX-License-Identifier: Apache-2.0
"""The command that shows each destination of a network with the state of its route."""

import json
import re

from lab.cluster import NETWORKS
from lab.tool import Tool


def test_routes_shows_each_destination_with_its_state(host):
    far = {"4": "198.18.0.1", "6": "fd00:98::1"}[host.version]
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(5), "via", host.via(7))
    host.node.run("ip", f"-{host.version}", "route", "add", host.subnet(6), "via", host.via(7))
    network = host.network(host.peer(2), host.peer(3), host.peer(4, far), host.peer(5))
    host.add(network)
    host.node.run("ip", f"-{host.version}", "route", "delete", host.subnet(3))
    program = "iptables-nft" if host.version == "4" else "ip6tables-nft"
    host.node.run(program, "-P", "FORWARD", "DROP")
    host.node.path("/run/tmp/net.conflist").write_text(json.dumps({
        "cniVersion": "1.1.0", "name": "net",
        "plugins": [{key: value for key, value in network.configuration.items()
                     if key not in ("cniVersion", "name")}]}))
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
    assert "Only policies are examined" in text
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
    host.node.path("/run/cni/net.d/net.conflist").write_text(json.dumps({
        "cniVersion": "1.1.0", "name": "net",
        "plugins": [{key: value for key, value in network.configuration.items()
                     if key not in ("cniVersion", "name")}]}))
    done = Tool(host.node).call("routes", "--json")
    report = json.loads(done.stdout)
    assert report["problems"] == []
    states = {row["destination"]: row["state"] for row in report["routes"]}
    assert states[host.subnet(1)] == "own subnet" and states[host.subnet(2)] == "installed"


def test_routes_without_any_configuration_lists_what_the_suite_made(host):
    host.add(host.network(host.peer(2)))
    report = Tool(host.node).routes(as_json=True)
    assert {row["destination"] for row in report["routes"]} == {
        host.subnet(2), NETWORKS[host.version]}
