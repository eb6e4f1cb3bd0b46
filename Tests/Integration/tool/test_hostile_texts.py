# SPDX-License-Identifier: Apache-2.0
"""No command of humanz lets a terminal obey what somebody else wrote: aliases, link names, lease files, configurations,
node objects, plugins' results."""

import json
import re

import pytest

from lab.attachment import Network
from lab.kubernetes import event, listed
from lab.lease_store import STORE
from lab.tool import Tool
from sync.expected import member
from tool.test_command_line import CONTROLS, HOSTILE

SHORT = "\x9b2J\u202ered"
LOG = "/run/tmp/log"


def conflist(node, file, *plugins, **keys):
    path = f"/run/cni/net.d/{file}.conflist"
    node.path(path).write_text(json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [*plugins]} | keys))
    return path


@pytest.fixture
def hostile(node):
    """A node on which everything that has a text has one that a terminal would obey."""
    network = Network(node, isGateway=True, logFile=LOG, ipam={"type": "humanz-ipam", "subnet": "10.1.0.0/24"})
    network.add("pod")
    port = node.ip("link", "show", "master", "cni0")[0]["ifname"]
    for number, alias in enumerate([HOSTILE, f"humanz:{SHORT}:x:eth0", f"humanz:net:{SHORT}:eth0",
                                    f"humanz:net:pod:{SHORT}"]):
        node.run("ip", "link", "add", f"x{number}", "master", "cni0", "type", "veth")
        node.run("ip", "link", "set", f"x{number}", "alias", alias)
    node.run("ip", "link", "add", SHORT, "master", "cni0", "type", "veth")
    node.run("ip", "link", "add", f"b{SHORT}", "type", "bridge")
    store = node.path(STORE) / "net"
    record = store / "attachments" / "pod:eth0"
    record.write_text(json.dumps({**json.loads(record.read_text()), **dict.fromkeys(
        ("time", "netns", "bootID", "pod", "hostInterface"), HOSTILE)}))
    (store / "10.1.0.9").write_text(HOSTILE)
    (store / "10.1.0.10").write_text(f"{SHORT}\r\neth0")
    (store / "attachments" / f"{SHORT}:eth0").write_text(HOSTILE)
    (store / "attachments" / ".pools").write_text(HOSTILE)
    node.path("/run/humanz/cluster.json").write_text(json.dumps({
        "node": HOSTILE, "subnets": ["10.2.0.0/24"],
        "peers": [{"name": HOSTILE, "subnet": "10.3.0.0/24", "via": ["192.0.2.1"]}]}))
    peers = [{"name": HOSTILE, "subnet": "10.2.0.0/24", "via": "192.0.2.1", "dev": SHORT}]
    conflist(node, "10-a", {"type": "humanz-bridge", "bridge": f"b{SHORT}", HOSTILE: 1},
             {"type": "humanz-route", "network": "10.0.0.0/8", "peers": peers, "logFile": LOG},
             {"type": "humanz-route", "network": "10.0.0.0/8", "clusterFile": "/run/humanz/cluster.json"})
    conflist(node, "20-b", name=HOSTILE)
    conflist(node, "30-c", {"type": HOSTILE}, {"type": "humanz-ipam", "subnet": HOSTILE, "logFile": HOSTILE},
             name="c")
    conflist(node, f"40-{SHORT}", name="d")
    assert port
    return node


COMMANDS = [
    [], ["--json"], ["ports"], ["ports", "--wide"], ["ports", "--json"], ["leases"], ["leases", "--wide"],
    ["leases", "--json"], ["leases", "net"], ["leases", HOSTILE], ["routes"], ["routes", "--wide"],
    ["routes", "--json"], ["routes", "/run/cni/net.d/10-a.conflist"], ["release", "net", "10.1.0.9"],
    ["release", HOSTILE, HOSTILE], ["lint"], ["lint", "--json"], ["lint", "/run/cni/net.d/10-a.conflist"],
    ["lint", f"/run/{HOSTILE}"], ["metrics"], ["convert", "/run/cni/net.d/10-a.conflist"],
    ["convert", "/run/cni/net.d/30-c.conflist"], ["convert", HOSTILE], ["install", "--from", HOSTILE],
    ["install", "--bin-dir", "/run/tmp/bin", "--conf-dir", "/run/tmp/conf",
     "--conflist", "/run/cni/net.d/20-b.conflist"],
    ["uninstall", "--network", HOSTILE], ["sync", "/run/cni/net.d/10-a.conflist"], ["sync", HOSTILE],
    ["run", "ADD", "/run/cni/net.d/30-c.conflist", "x", "/run/netns/none"],
    ["run", "STATUS", "/run/cni/net.d/10-a.conflist"], ["run", HOSTILE], [HOSTILE], ["ports", f"--{HOSTILE}"],
    ["sync", "--node", HOSTILE],
]


@pytest.mark.parametrize("words", COMMANDS, ids=[
    " ".join(words).encode("ascii", "backslashreplace").decode() or "nothing" for words in COMMANDS])
def test_no_command_prints_what_a_terminal_obeys(hostile, words):
    done = Tool(hostile).call(*words, check=False, input="")
    assert not CONTROLS.search(done.stdout + done.stderr), repr(done.stdout + done.stderr)


@pytest.mark.parametrize("change", [
    lambda one: one["metadata"].update(name=HOSTILE),
    lambda one: one["spec"].update(podCIDR=HOSTILE, podCIDRs=[HOSTILE]),
    lambda one: one["status"].update(addresses=[{"type": "InternalIP", "address": HOSTILE}]),
    lambda one: one["status"].update(addresses=[{"type": HOSTILE, "address": "192.168.0.2"}]),
], ids=["name", "subnet", "address", "kind of address"])
@pytest.mark.parametrize("form", ["list", "watch"])
def test_what_nodes_say_of_themselves_is_no_more_than_text(node, change, form):
    other = json.loads(json.dumps(member(2)))
    change(other)
    if form == "list":
        done = Tool(node).sync("node1", listed(member(1), other), check=False)
    else:
        events = event("ADDED", member(1)) + event("ADDED", other) + event("ADDED", member(3))
        done = node.run("/run/cni/bin/humanz", "sync", "--watch", "--node", "node1", input=events, check=False)
    assert not CONTROLS.search(done.stdout + done.stderr), repr(done.stderr)
    assert done.stdout + done.stderr, "it is said"


def test_the_log_can_be_read_on_a_terminal(node):
    network = Network(node, logFile=LOG, mtu=HOSTILE)
    network.run("STATUS", version="1.1.0", bridge=HOSTILE)
    network.run("ADD", "pod", environment={"CNI_NETNS": f"/run/{HOSTILE}"}, mtu=1400)
    network.configuration |= {"cniVersion": "1.1.0"}
    network.run("STATUS")
    text = node.path(LOG).read_text()
    assert "red" in text and re.search("error=[37] ", text)
    assert not CONTROLS.search(text.replace("\n", "")), repr(text)
