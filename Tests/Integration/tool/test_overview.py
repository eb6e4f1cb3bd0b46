# SPDX-License-Identifier: Apache-2.0
"""`humanz` alone: the node on one screen, and the first thing to do."""

import json
import subprocess
import time

import pytest

from lab.conflist import Conflist
from lab.isolated_node import NETWORKS, PLUGINS
from lab.tool import Tool, command
from lab.waiting import eventually

CHAIN = [
    {"type": "humanz-bridge", "bridge": "pods"},
    {"type": "humanz-ipam", "subnet": "10.1.0.0/29"},
    {"type": "humanz-route", "network": "10.1.0.0/16",
     "peers": [{"name": "node2", "subnet": "10.1.1.0/24", "via": "192.0.2.20"}]},
]


@pytest.fixture
def node1(node):
    """A node with an uplink."""
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    for link in ("uplink", "far"):
        node.run("ip", "link", "set", link, "up")
    node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
    return node


def screen(node):
    """Exit status, the rows of the table by network, and the lines below it."""
    done = Tool(node).call(check=False)
    table, _, rest = done.stdout.partition("\n\n")
    if not table.startswith("NETWORK"):
        return done.returncode, {}, done.stdout
    rows = {row.split("  ")[0]: row.split() for row in table.splitlines()[1:]}
    return done.returncode, rows, rest


def test_a_node_on_which_all_is_well(node1):
    chain = Conflist(node1, *CHAIN)
    for pod in ("a", "b"):
        chain.add(pod)
    status, rows, rest = screen(node1)
    assert status == 0 and rest == "Nothing is wrong.\n"
    # Three routes: the rest of the network, the node's own subnet and node2's.
    assert rows == {"net": ["net", "pods", "2", "2", "of", "5", "3"]}


@pytest.mark.parametrize("words, said, first", [
    (["ip", "route", "delete", "10.1.1.0/24"], "node2", "humanz sync"),
    (["ip", "link", "set", "uplink", "down"], "node2", "humanz routes"),
    (["iptables-nft", "-P", "FORWARD", "DROP"], "FORWARD", "humanz routes"),
    (["sysctl", "-qw", "net.ipv4.ip_forward=0"], "forwarding", "humanz routes"),
    (["ip", "link", "delete", "pods"], "on no bridge", "humanz ports"),
    (["rm", "/run/cni/net.d/net.conflist"], "no configuration", "copy an example"),
    (["sh", "-c", "echo '{' >/run/cni/net.d/net.conflist"], "not JSON", "humanz lint"),
], ids=lambda value: value if isinstance(value, str) else value[-1])
def test_what_is_wrong_is_said_with_the_first_thing_to_do(node1, words, said, first):
    chain = Conflist(node1, *CHAIN)
    chain.add("a")
    node1.run(*words)
    if words[-1] == "DROP":
        node1.run("nft", "delete", "table", "ip", "humanz", check=False)
        node1.run("iptables-nft", "-F", "FORWARD")
    status, _, rest = screen(node1)
    assert status == 1 and said in rest and rest.splitlines()[-1].startswith(f"First: {first}")
    report = Tool(node1).overview(as_json=True)
    assert said in report["problems"][0]["problem"] or any(
        said in one["problem"] for one in report["problems"])
    assert report["problems"][0]["remedy"].startswith(first)


def test_a_full_pool_comes_first(node1):
    chain = Conflist(node1, *CHAIN)
    for pod in "abcde":
        chain.add(pod)
    node1.run("ip", "route", "delete", "10.1.1.0/24")
    status, rows, rest = screen(node1)
    assert status == 1 and rows["net"][3:6] == ["5", "of", "5"]
    assert "every address of 10.1.0.0/29 is leased" in rest.splitlines()[0]
    assert rest.splitlines()[-1] == "First: humanz leases net"


def test_a_network_without_pods_and_one_without_a_configuration_are_shown(node1):
    Conflist(node1, {**CHAIN[0], "bridge": "b1"}, {**CHAIN[1], "dataDir": "/run/x"}, name="new")
    gone = Conflist(node1, *CHAIN, name="gone")
    gone.add("a")
    node1.path(gone.file).unlink()
    _, rows, _ = screen(node1)
    assert rows["new"][:6] == ["new", "b1", "0", "0", "of", "5"]
    assert rows["gone"][:4] == ["gone", "-", "1", "1"]
    report = Tool(node1).overview(as_json=True)
    assert [network["network"] for network in report["networks"]] == ["new", "gone"]
    assert report["networks"][0]["pools"] == [
        {"network": "new", "pool": "10.1.0.0/29", "used": 0, "total": 5}]
    assert report["networks"][1]["ports"] == 1


def test_other_peoples_networks_are_left_out(node1):
    node1.path("/run/cni/net.d/87-podman.conflist").write_text(json.dumps({
        "cniVersion": "0.4.0", "name": "podman", "plugins": [{
            "type": "bridge", "bridge": "cni-podman0",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]]}}]}))
    status, rows, rest = screen(node1)
    assert status == 1 and rows == {} and "names a plugin of humanz" in rest


def test_errors_of_lint_are_counted_and_warnings_are_not(node1):
    Conflist(node1, {**CHAIN[0], "colour": "red"}, *CHAIN[1:]).add("a")
    assert screen(node1)[0] == 0
    chain = Conflist(node1, {**CHAIN[0], "isgateway": True}, *CHAIN[1:])
    status, rows, rest = screen(node1)
    assert status == 1 and rest.splitlines() == [
        f"- 1 error in the configurations: {chain.file}: key \"plugins[0].isgateway\" is unknown; did you mean "
        "\"isGateway\"?", "", "First: humanz lint"]
    Conflist(node1, {**CHAIN[0], "isgateway": True}, *CHAIN[1:], {"type": "missing"})
    status, rows, rest = screen(node1)
    assert status == 1 and rest.startswith("- 2 errors in the configurations, the first: ")
    assert Tool(node1).overview(as_json=True)["problems"][0]["remedy"] == "humanz lint"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_an_error_names_its_file_once(node1, text):
    path = f"{NETWORKS}/10 my net.conflist"
    node1.path(path).write_text(text)
    problem = Tool(node1).overview(as_json=True)["problems"][0]["problem"]
    assert problem.startswith(f"1 error in the configurations: {path}") and problem.count(path) == 1


@pytest.mark.parametrize("is_packaged", [True, False])
def test_the_examples_are_named_where_they_are(node1, is_packaged):
    node1.run("mount", "-t", "tmpfs", "tmpfs", "/usr/share/doc")
    if is_packaged:
        node1.path("/usr/share/doc/humanz/examples").mkdir(parents=True)
    source = " from /usr/share/doc/humanz/examples" if is_packaged else ""
    advice = f"copy an example{source} into {NETWORKS}, and give it your subnets"
    assert screen(node1)[2].splitlines()[-1] == f"First: {advice}"
    done = Tool(node1).call("lint", check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == advice


# The chain, and humanz-bridge with the section of another plugin.
DELEGATING = {"type": "humanz-bridge", "bridge": "pods", "isGateway": True}
LEASING = [
    CHAIN, [{**DELEGATING, "ipam": {"type": "humanz-ipam", "subnet": "10.1.0.0/29"}}],
    [{**CHAIN[0], "ipam": {"type": "humanz-ipam", "subnet": "10.1.0.0/29", "dataDir": "/run/humanz/x"}}]]


@pytest.mark.parametrize("plugins", LEASING, ids=["chain", "delegate", "elsewhere"])
def test_a_pod_whose_lease_is_lost_is_named(node1, plugins):
    chain = Conflist(node1, *plugins)
    chain.add("a")
    assert screen(node1)[2] == "Nothing is wrong.\n"
    [port] = [port["ifname"] for port in node1.ip("link") if port["ifname"].startswith("veth")]
    node1.run("rm", "-rf", "/run/humanz")
    chain.add("b")
    status, _, rest = screen(node1)
    assert status == 1 and rest.splitlines() == [
        f"- port {port}: its pod has no lease of network net, so another pod may get its address", "",
        "First: delete the pod of container a, and start it again"]
    chain.delete("a")
    chain.add("a")
    assert screen(node1)[2] == "Nothing is wrong.\n"


def test_ports_that_need_no_lease_of_ours_are_not_named(node1):
    host_local = {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/29"}]], "dataDir": "/run/host-local"}
    chain = Conflist(node1, {**DELEGATING, "ipam": host_local})
    chain.add("a")
    node1.run("rm", "-rf", "/run/host-local")
    for words in ("add foreign type veth peer name other", "set foreign master pods up", "set other up"):
        node1.run("ip", "link", *words.split())
    assert screen(node1)[2] == "Nothing is wrong.\n"
    # A network whose configuration is gone may have leased anywhere.
    gone = Conflist(node1, {**CHAIN[0], "bridge": "b2"}, {**CHAIN[1], "subnet": "10.3.0.0/29", "dataDir": "/run/x"},
                    name="gone")
    gone.add("c")
    node1.path(gone.file).unlink()
    assert screen(node1)[2] == "Nothing is wrong.\n"


def test_a_lease_that_host_local_made_counts(node1):
    Conflist(node1, {**DELEGATING, "ipam": {
        "type": "host-local", "ranges": [[{"subnet": "10.1.0.0/29"}]], "dataDir": "/run/leases"}}).add("a")
    Conflist(node1, {**DELEGATING, "ipam": {
        "type": "humanz-ipam", "ranges": [[{"subnet": "10.1.0.0/29"}]], "dataDir": "/run/leases"}})
    assert screen(node1)[2] == "Nothing is wrong.\n"


SLOW = """#!/usr/bin/python3 -I
import json, os, sys, time
result = json.load(sys.stdin).get("prevResult", {})
open("/run/tmp/reached", "w").close()
while not os.path.exists("/run/tmp/go"):
    time.sleep(0.01)
print(json.dumps(result))
"""


def test_an_attachment_that_is_being_made_gets_time_for_its_lease(node1):
    program = node1.path(f"{PLUGINS}/slow")
    program.write_text(SLOW)
    program.chmod(0o755)
    chain = Conflist(node1, CHAIN[0], {"type": "slow"}, CHAIN[1])
    node1.add_pod("a")
    adding = node1.start("env", f"CNI_PATH={PLUGINS}", *command("run", "add", chain.file, "a"), stdout=subprocess.DEVNULL)
    eventually(node1.path("/run/tmp/reached").exists)
    # As long as the stage between takes, there is a port without a lease.
    assert "its pod has no lease" in screen(node1)[2]
    looking = node1.start("env", f"CNI_CONF_DIR={NETWORKS}", f"CNI_PATH={PLUGINS}", *command(),
                          stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    node1.path("/run/tmp/go").touch()
    assert adding.wait(30) == 0
    assert looking.communicate(timeout=30)[0].endswith("Nothing is wrong.\n")


def test_a_subnet_that_was_changed_leaves_old_pods_and_an_old_gateway(node1):
    Conflist(node1, *CHAIN).add("a")
    changed = Conflist(node1, CHAIN[0], {**CHAIN[1], "subnet": "10.1.8.0/29"}, CHAIN[2])
    changed.add("b")
    status, _, rest = screen(node1)
    assert status == 1 and rest.splitlines() == [
        "- net: 10.1.0.2 of a eth0 is in no subnet of the configuration",
        "- bridge pods has the address 10.1.0.1/29, which is in no configured subnet", "",
        "First: delete the pods with old addresses: `humanz leases net` lists them"]
    second = Tool(node1).overview(as_json=True)["problems"][1]["remedy"]
    assert second == "delete the pods of 10.1.0.0/29, and then: ip address del 10.1.0.1/29 dev pods"
    changed.delete("a")
    status, _, rest = screen(node1)
    first = rest.splitlines()[-1].removeprefix("First: ")
    assert status == 1 and first == "ip address del 10.1.0.1/29 dev pods"
    node1.run(*first.split())
    assert screen(node1)[2] == "Nothing is wrong.\n"


def test_addresses_of_other_networks_and_of_the_node_itself_are_not_old(node1):
    bridge = {"type": "humanz-bridge", "bridge": "pods"}
    for name, subnet in (("one", "10.1.0.0/29"), ("two", "10.1.1.0/29")):
        Conflist(node1, bridge, {"type": "humanz-ipam", "subnet": subnet}, name=name).add(name)
    node1.run("ip", "address", "add", "169.254.20.10/16", "dev", "pods")
    node1.run("ip", "address", "add", "192.0.2.77/32", "dev", "pods")
    # A bridge that somebody else has made may have the node's own address.
    node1.run("ip", "link", "add", "shared", "type", "bridge")
    node1.run("ip", "address", "add", "198.51.100.1/24", "dev", "shared")
    Conflist(node1, {**bridge, "bridge": "shared"}, {"type": "humanz-ipam", "subnet": "10.1.2.0/29"},
             name="three").add("three")
    # The runtime may name the subnet of a pod.
    Conflist(node1, {**bridge, "bridge": "b4"}, {
        "type": "humanz-ipam", "subnet": "10.1.4.0/29", "capabilities": {"ipRanges": True}}, name="four").add(
            "four", "--capability-args", json.dumps({"ipRanges": [[{"subnet": "10.1.5.0/29"}]]}))
    # A gateway may be outside of its subnet.
    Conflist(node1, {**bridge, "bridge": "b5"}, {
        "type": "humanz-ipam", "subnet": "10.1.6.0/29", "gateway": "10.1.7.1"}, name="five").add("five")
    assert screen(node1)[2] == "Nothing is wrong.\n"
    # The node may reach a router over the bridge.
    node1.run("ip", "address", "add", "203.0.113.2/24", "dev", "b5")
    assert "bridge b5 has the address 203.0.113.2/24" in screen(node1)[2]
    node1.run("ip", "route", "add", "default", "via", "203.0.113.1", "dev", "b5")
    assert screen(node1)[2] == "Nothing is wrong.\n"
    # On a bridge whose other pods have another plugin's addresses nothing is known.
    node1.run("ip", "address", "add", "10.9.0.1/24", "dev", "pods")
    assert "bridge pods has the address 10.9.0.1/24" in screen(node1)[2]
    Conflist(node1, {**bridge, "ipam": {"type": "static", "addresses": [{"address": "10.9.0.5/24"}]}},
             name="six").add("six")
    assert screen(node1)[2] == "Nothing is wrong.\n"
