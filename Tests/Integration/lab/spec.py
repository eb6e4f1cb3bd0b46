# SPDX-License-Identifier: Apache-2.0
"""The points of the specification, each tried with every plugin and protocol version."""

import ipaddress
import itertools
import json

import pytest

from lab.plugin_process import attachment, run_plugin

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
BRIDGE, IPAM, ROUTE = PLUGINS = ["humanz-bridge", "humanz-ipam", "humanz-route"]

# What the specification requires, point by point.
POINTS = {
    1: "the environment that each verb needs",
    2: "what container IDs and names may be",
    3: "one error as JSON, and nothing else on stdout",
    4: "the codes of errors",
    5: "CNI_COMMAND unknown or not set",
    6: "VERSION",
    7: "a cniVersion that is not supported, or missing",
    8: "verbs that the version does not have",
    9: "results in every version's form, in and out",
    10: "CNI_NETNS that is not a namespace, or the plugin's own",
    11: "prevResult passed on whole",
    12: "ADD where the interface exists",
    13: "prevResult in CHECK and DEL, and DEL without",
    14: "sandbox, mac and mtu of interfaces",
    15: "dns passed on or overridden",
    16: "routes are made with their attributes",
    17: "DEL without namespace, interface or lease",
    18: "DEL without a namespace",
    19: "a failed ADD leaves nothing",
    20: "CHECK names what is missing or changed",
    21: "CHECK of the exact lease",
    22: "GC keeps what is valid",
    23: "STATUS tells whether the next ADD can be served",
    24: "how a delegate is run",
    25: "a delegate's result has no interfaces",
    26: "capabilities, args and CNI_ARGS",
    27: "many at once",
    28: "log, leases and links name their attachment",
}

# Points that do not apply to a plugin, and why.
ABSENT = {
    (12, IPAM): "it works on the interface that a stage before it made, which must exist",
    (12, ROUTE): "it works on the interface that a stage before it made, which must exist",
    (14, IPAM): "it makes no interface, nor lists one",
    (14, ROUTE): "it makes no interface, nor lists one",
    (16, IPAM): "it passes routes on in its result and makes none",
    (18, ROUTE): "its routes on the node serve every pod, and the pod's are deleted with the pod",
    (21, ROUTE): "it holds no leases and calls no IPAM plugin",
    (24, IPAM): "it delegates nothing",
    (24, ROUTE): "it delegates nothing",
    (25, BRIDGE): "it is never an IPAM delegate",
    (25, ROUTE): "it is never an IPAM delegate",
}

# The point and plugin of every test.
tried = set()


def spec(number, plugins=PLUGINS, since="0.1.0"):
    """Marks a test as one for a point, and gives it a `subject` for each plugin and version."""
    cases = []
    for plugin in [plugins] if isinstance(plugins, str) else plugins:
        assert (number, plugin) not in ABSENT
        tried.add((number, plugin))
        for version in VERSIONS[VERSIONS.index(since):]:
            cases.append(pytest.param((plugin, version), id=f"{plugin}-{version}"))

    def mark(test):
        return pytest.mark.spec(number)(
            pytest.mark.parametrize("subject", cases, indirect=True)(test))
    return mark


def at_least(version, other):
    return VERSIONS.index(version) >= VERSIONS.index(other)


class Subject:
    """A plugin on a node, with its own network, bridge and subnets.

    The stages before it in the chain run too, so that an ADD finds what it needs.
    """

    _numbers = itertools.count(1)

    def __init__(self, node, plugin, version):
        self.node = node
        self.plugin = plugin
        self.version = version
        number = self.number = next(Subject._numbers)
        self.name = f"net{number}"
        self.bridge = f"br{number}"
        self.wide = ipaddress.ip_network((0x0a400000 + (number << 10), 22))
        self.subnet, self.peer_subnet = itertools.islice(self.wide.subnets(new_prefix=24), 2)
        self.subnet6 = ipaddress.ip_network(f"fd00:{number:x}::/64")
        self.log = node.path(f"/run/{self.name}.log")
        ranges = [[{"subnet": str(self.subnet)}], [{"subnet": str(self.subnet6)}]]
        own = {
            BRIDGE: {"bridge": self.bridge, "isGateway": True,
                     "ipam": {"type": IPAM, "ranges": ranges}},
            IPAM: {"ranges": ranges},
            ROUTE: {"network": [str(self.wide)],
                    "peers": [{"name": "far", "subnet": str(self.peer_subnet),
                               "via": "192.0.2.20"}]},
        }
        self.configuration = self._entry(plugin, own[plugin])
        # The reference plugins do not support 1.1.0, so our own stages run before it.
        self.before = []
        if plugin != BRIDGE:
            self.before.append(self._entry(BRIDGE, {"bridge": self.bridge}))
        if plugin == ROUTE:
            self.before.append(self._entry(IPAM, own[IPAM]))
        self.pods = {}

    def _entry(self, plugin, keys):
        return {"cniVersion": self.version, "name": self.name, "type": plugin,
                "logFile": f"/run/{self.name}.log", **keys}

    # Pods

    def prepare(self, pod="pod"):
        """Makes a pod and runs ADD of the stages before; returns the prevResult."""
        self.pods[pod] = f"{pod}-{self.number}"
        self.node.add_pod(self.pods[pod])
        result = None
        for entry in self.before:
            if result is not None:
                entry = entry | {"prevResult": result}
            result = run_plugin(
                self.node, entry["type"], self.variables("ADD", pod), entry).succeeded().json
        return result

    def namespace(self, pod="pod"):
        return f"/run/netns/{self.pods[pod]}"

    def variables(self, verb, pod="pod", **changes):
        variables = attachment(verb)
        if pod is not None:
            variables = attachment(
                verb, self.pods.get(pod, pod),
                namespace=self.namespace(pod) if pod in self.pods else "/run/netns/no")
        return {name: value for name, value in (variables | changes).items() if value is not None}

    # Calls

    def call(self, verb, pod="pod", environment=None, stdin=None, plugin=None, **keys):
        """One call of the plugin. A key that is `...` is left out, and so is a variable that is None."""
        configuration = {key: value for key, value in (self.configuration | keys).items()
                         if value is not ...}
        return run_plugin(
            self.node, plugin or self.plugin, self.variables(verb, pod, **environment or {}),
            configuration if stdin is None else stdin)

    def add(self, pod="pod", **options):
        """ADD, after `prepare` if the pod is new."""
        if pod not in self.pods:
            previous = self.prepare(pod)
            if previous is not None:
                options.setdefault("prevResult", previous)
        return self.call("ADD", pod, **options)

    def added(self, pod="pod", **options):
        """The result of an ADD."""
        return self.add(pod, **options).succeeded().json

    # What exists

    def link(self, name="eth0", pod="pod"):
        """A link of a pod, or of the node if the pod is None; None if it does not exist."""
        links = self.node.ip("-details", "link", pod=pod and self.pods[pod])
        return next((link for link in links if link["ifname"] == name), None)

    def ports(self):
        """The node's links on the bridge, by name."""
        return sorted(link["ifname"] for link in self.node.ip("link")
                      if link.get("master") == self.bridge)

    def addresses(self, name="eth0", pod="pod"):
        """The addresses of a link, with their prefix lengths, without link-local ones."""
        links = self.node.ip("address", pod=pod and self.pods[pod])
        return sorted(f"{entry['local']}/{entry['prefixlen']}" for link in links
                      if link["ifname"] == name for entry in link["addr_info"]
                      if entry["scope"] != "link")

    def routes(self, pod="pod"):
        """The routes of a pod as text, without those that the kernel adds with addresses."""
        return sorted(
            " ".join(line.split()) for family in ("-4", "-6") for line in self.node.run(
                "ip", family, "route", "show", "table", "all", pod=self.pods[pod]
            ).stdout.splitlines()
            if "proto kernel" not in line and "table local" not in line)

    def leases(self):
        """The leases of the network: the holder of each address, from its file."""
        folder = self.node.path(f"/run/humanz/ipam/{self.name}")
        return {entry.name: entry.read_text().split() for entry in folder.glob("*")
                if entry.is_file() and entry.name[0] in "1f"}

    def traces(self, pod="pod"):
        """Everything that an ADD can make, for a comparison before and after."""
        inside = []
        if pod in self.pods and self.node.path(self.namespace(pod)).exists():
            inside = [self.addresses(pod=pod), self.routes(pod=pod),
                      [link["ifname"] for link in self.node.ip("link", pod=self.pods[pod])]]
        # The kernel may still be deleting the links of an earlier test's pods.
        others = [link["ifname"] for link in self.node.ip("link")
                  if link.get("ifalias", "").startswith("humanz:")
                  and f":{self.name}:" not in link["ifalias"]]
        node = self.node.traces()
        node["links"] = [name for name in node["links"] if name not in others]
        return {"node": node, "pod": inside, "leases": self.leases()}

    def remove(self):
        """Removes what the test has left."""
        for pod in self.pods.values():
            self.node.run("ip", "netns", "del", pod, check=False)
        self.node.run("ip", "link", "del", self.bridge, check=False)


def text(value):
    """JSON text that is the same for equal values."""
    return json.dumps(value, sort_keys=True)
