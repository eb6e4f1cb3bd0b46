# SPDX-License-Identifier: Apache-2.0
"""Every key of every stage with values that nobody expects: success, or one error and nothing left; never a
signal, never two seconds."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from lab import call_server
from lab.isolated_node import PLUGINS
from lab.mutations import HUGE_VALUES, LISTED, VALUES, VARIABLES
from lab.plugin_process import attachment
from lab.spec import BRIDGE, IPAM, ROUTE
from lab.stage_keys import lists, of_every_plugin, with_value
from lab.waiting import patience

# All of it takes the better part of an hour: `make fuzz` does it. Here each key gets every sixteenth value, the next
# key those after them, and one more verb.
LONG = os.environ.get("HUMANZ_MUTATIONS") == "all"

# Where the keys of each list are, by how a stage is called.
PLACES = {
    "bridge": {"bridge": [""], "vlanTrunk": ["vlanTrunk[0]"]},
    "delegate": {"ipam": ["ipam"], "range": ["ipam.ranges[0][0]"], "podRoute": ["ipam.routes[0]"]},
    "ipam": {"ipam": [""], "range": ["ranges[0][0]"], "podRoute": ["routes[0]"]},
    "route": {"route": [""], "peer": ["peers[0]"], "podRoute": ["routes[0]"]},
}
# What the specification defines inside of keys of every plugin.
INNER = [
    "dns.nameservers", "dns.domain", "dns.search", "dns.options", "ipam.type", "args.cni", "capabilities.mac",
    "capabilities.ips", "prevResult.cniVersion", "prevResult.interfaces", "prevResult.interfaces[0].name",
    "prevResult.interfaces[0].mac", "prevResult.interfaces[0].mtu", "prevResult.interfaces[0].sandbox", "prevResult.ips",
    "prevResult.ips[0].address", "prevResult.ips[0].gateway", "prevResult.ips[0].interface", "prevResult.routes",
    "prevResult.routes[0].dst", "prevResult.routes[0].gw", "prevResult.routes[0].mtu", "prevResult.routes[0].priority",
    "prevResult.routes[0].table", "prevResult.routes[0].scope", "prevResult.dns", "cni.dev/valid-attachments"]
REQUESTED = {"bridge": ["runtimeConfig.mac", "args.cni.mac"],
             "delegate": ["runtimeConfig.ips", "runtimeConfig.ipRanges", "args.cni.ips"],
             "ipam": ["runtimeConfig.ips", "runtimeConfig.ipRanges", "args.cni.ips"], "route": []}
# What must stand beside a key that is tried.
BESIDE = {"peers[0]": {"name": "far", "subnet": "10.64.1.0/24", "via": "192.0.2.20"}, "routes[0]": {"dst": "10.9.0.0/24"},
          "ranges[0][0]": {"subnet": "10.64.0.0/24"}, "vlanTrunk[0]": {"id": 7},
          "prevResult.routes[0]": {"dst": "10.8.0.0/24"}}
# Keys that exclude another one.
WITHOUT = {"disableContainerInterface": "ipam", "clusterFile": "peers"}


def keys(way):
    """The paths of all keys of a stage."""
    paths = sorted(of_every_plugin()) + INNER + REQUESTED[way]
    for name, places in PLACES[way].items():
        for place in places:
            paths += [f"{place}.{key}" if place else key for key in lists()[name]]
    return list(dict.fromkeys(paths))


def test_every_list_of_keys_is_tried():
    assert set().union(*PLACES.values()) == set(lists())


class Stage:
    """A stage with what comes before it, on a node with a pod, called through one process."""

    def __init__(self, node, way):
        self.node = node
        self.way = way
        self.pod = f"mutated-{way}"
        node.add_pod(self.pod)
        self.server = node.start(
            "/usr/bin/python3", pathlib.Path(call_server.__file__), self.pod, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "CNI_PATH": PLUGINS})
        pool = {"ranges": [[{"subnet": "10.64.0.0/24"}], [{"subnet": "fd00:64::/64"}]]}
        bridge = {"type": BRIDGE, "bridge": f"br-{way}"}
        common = {"cniVersion": "1.1.0", "name": way, "logFile": ""}
        self.plugin, own = {
            "bridge": (BRIDGE, bridge | {"isGateway": True, "ipam": {"type": IPAM, **pool}}),
            "delegate": (IPAM, {"type": "caller", "ipam": {"type": IPAM, **pool}}),
            "ipam": (IPAM, {"type": IPAM, **pool}),
            "route": (ROUTE, {"type": ROUTE, "network": ["10.64.0.0/16", "fd00::/16"],
                              "peers": [{"name": "far", "subnet": "10.64.1.0/24", "via": "192.0.2.20"}]}),
        }[way]
        self.configuration = common | own
        previous = {}
        for plugin, entry in [(BRIDGE, bridge), (IPAM, {"type": IPAM, **pool})][:{"ipam": 1, "route": 2}.get(way, 0)]:
            previous = {"prevResult": json.loads(self.call(
                "ADD", json.dumps(common | entry | previous).encode(), plugin)["stdout"])}
        self.configuration |= previous
        self.before = self.settled()
        self.rules_before = self.rules()

    def ask(self, body=b"", **asked):
        self.server.stdin.write(json.dumps(asked).encode() + b"\n" + body)
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def call(self, verb, stdin, plugin=None, **variables):
        environment = attachment(verb, self.pod) | variables
        return self.ask(stdin, plugin=f"{PLUGINS}/{plugin or self.plugin}", environment=environment, size=len(stdin))

    def settled(self):
        """What is there now, without what a stage leaves for all pods."""
        return self.kept(self.without_bridges(self.ask()["state"]))

    def without_bridges(self, state):
        """The state once the bridges are gone that stay for other pods, with their links in a VLAN."""
        if self.way == "bridge":
            for name in set(state["links"]) - {"lo", "uplink", "far"}:
                if not name.startswith("veth"):
                    state = self.ask(run=["ip", "link", "del", name])["state"]
        return state

    def kept(self, state):
        """What one pod's ADD must not leave. humanz-route's routes of the node serve all pods, and those of the pod go
        with it; humanz-ipam's gateway addresses stay, and their routes."""
        apart = {"route": ["routes", "pod's routes"], "ipam": ["routes"]}.get(self.way, [])
        return {name: value for name, value in state.items() if name not in apart}

    def rules(self):
        """Those of the node's firewall. humanz-route's stay as long as their networks have attachments: GC takes them."""
        return self.node.run("nft", "list", "ruleset").stdout

    def text(self, path, value):
        """The configuration with a value, as it is written, at a path."""
        configuration = {key: value for key, value in self.configuration.items() if key != WITHOUT.get(path)}
        if path == "cni.dev/valid-attachments":
            configuration[path] = "@@"
        else:
            place = path.rpartition(".")[0]
            for end, beside in BESIDE.items():
                if place.endswith(end):
                    configuration = with_value(configuration, place, beside)
            if path in ("rangeStart", "rangeEnd", "gateway"):
                configuration["subnet"] = "10.65.0.0/24"
            configuration = with_value(configuration, path, "@@")
        start, end = json.dumps(configuration).encode().split(b'"@@"')
        return start + (value if isinstance(value, bytes) else value.encode("latin-1")) + end

    def close(self):
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


def succeeded(ended, what):
    """Whether a call succeeded; it did, or said what is wrong by one error."""
    assert ended["status"] in (0, 1), f"{what}: {ended}"
    assert ended["seconds"] < patience(2), f"{what}: {ended['seconds']} s"
    if ended["status"] == 0:
        return True
    error = json.loads(ended["stdout"])
    assert set(error) <= {"cniVersion", "code", "msg", "details"}, f"{what}: {ended}"
    assert isinstance(error["code"], int) and 0 < error["code"] < 200 and error["msg"], f"{what}: {ended}"
    return False


def tried(stage, what, stdin, others, **variables):
    """ADD, and where it succeeds DEL: then all is as before. Gives whether it succeeded."""
    added = stage.call("ADD", stdin, **variables)
    for verb in others:
        succeeded(stage.call(verb, stdin, **variables), f"{verb} {what}")
    if not succeeded(added, f"ADD {what}"):
        assert stage.kept(added["state"]) == stage.before, f"ADD {what}: {added}"
        succeeded(stage.call("DEL", stdin, **variables), f"DEL {what}")
        return False
    deleted = stage.call("DEL", stdin, **variables)
    assert succeeded(deleted, f"DEL {what}"), f"DEL {what}: {deleted}"
    state = stage.without_bridges(deleted["state"])
    assert stage.kept(state) == stage.before, f"DEL {what}: {deleted}"
    return True


@pytest.fixture(scope="module", params=["bridge", "delegate", "ipam", "route"])
def stage(request, shared_node):
    stage = Stage(shared_node, request.param)
    yield stage
    stage.close()


def test_every_key_with_values_that_nobody_expects(stage, record_property):
    verbs = ["CHECK", "STATUS", "GC"]
    assert tried(stage, "what works", json.dumps(stage.configuration).encode(), verbs)
    count = succeeded = 0
    values = VALUES + LISTED
    for number, path in enumerate(keys(stage.way)):
        for value in values if LONG else values[number % 16::16]:
            others = verbs if LONG else verbs[count % 3:count % 3 + 1]
            succeeded += tried(stage, f"{path} = {value[:200]}", stage.text(path, value), others)
            count += 1
    record_property(stage.way, f"{count} values, {succeeded} accepted")
    assert 0 < succeeded < count
    if stage.way != "route":
        assert stage.rules() == stage.rules_before


def test_every_key_with_a_mib_takes_less_than_a_second(stage, record_property):
    longest = 0
    for number, path in enumerate(keys(stage.way)):
        for value in HUGE_VALUES if LONG else HUGE_VALUES[number % 8:number % 8 + 1]:
            stdin = stage.text(path, value)
            for verb in ("ADD", "DEL"):
                ended = stage.call(verb, stdin)
                longest = max(longest, ended["processor"])
                succeeded(ended, f"{verb} {path} = {value[:20]}")
                # Of the processor: others may use it too.
                assert ended["processor"] < patience(1), f"{verb} {path} = {value[:20]}: {ended['processor']} s"
            assert stage.settled() == stage.before, path
    record_property(stage.way, f"{longest:.2f} s of the processor at most")


def test_more_than_16_mib_is_refused_at_once(stage):
    for value in (b'"' + b"x" * (16 << 20) + b'"', b"[" * (16 << 20)):
        for verb in ("ADD", "DEL", "CHECK", "GC", "STATUS"):
            ended = stage.call(verb, stage.text("args", value))
            assert not succeeded(ended, verb) and "16777216" in ended["stdout"], ended
        assert stage.settled() == stage.before


def test_every_variable_with_values_that_nobody_expects(stage):
    stdin = json.dumps(stage.configuration).encode()
    for name in ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"):
        for value in VARIABLES:
            # The bytes as they are, not as this test's encoding has them.
            value = os.fsdecode(value.encode("latin-1"))
            what = f"{name}={value[:100]!r}"
            if name == "CNI_COMMAND":
                succeeded(stage.call("ADD", stdin, **{name: value}) if value else {"status": 0, "seconds": 0}, what)
                assert stage.settled() == stage.before, what
            elif name in ("CNI_CONTAINERID", "CNI_IFNAME") and stage.way in ("ipam", "route"):
                # Another pod than the one that was prepared.
                succeeded(stage.call("ADD", stdin, **{name: value}), what)
                succeeded(stage.call("DEL", stdin, **{name: value}), what)
            else:
                tried(stage, what, stdin, [], **{name: value})
