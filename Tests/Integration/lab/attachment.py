# SPDX-License-Identifier: Apache-2.0
"""The pods of a network attached by one plugin or by a chain of them."""

import json

from lab.plugin_process import attachment, run_plugin, start_plugin
from lab.waiting import patience

IPAM = {"type": "host-local"}


class Refused(AssertionError):
    """A verb that ended with a CNI error, which is in `error`; None for one that was killed."""

    def __init__(self, verb, output):
        super().__init__(f"{verb}: {output}")
        self.error = json.loads(output) if output else None


class Network:
    """A network of one plugin on a node: its configuration, and the results of its pods."""

    def __init__(self, node, plugin="humanz-bridge", version="1.0.0", name="net", **keys):
        self.node = node
        self.plugin = plugin
        self.configuration = {"cniVersion": version, "name": name, "type": plugin, **keys}
        self.results = {}

    def end(self, verb, pod=None, interface="eth0", namespace=None, environment=None, under=(),
            redirect="", **keys):
        """Runs a verb, under another command if asked for; gives how it ended."""
        return run_plugin(
            self.node, self.plugin,
            attachment(verb, pod, interface, namespace) | (environment or {}),
            {**self.configuration, **keys}, under=under, redirect=redirect, timeout=30)

    def call(self, verb, pod=None, **options):
        """As `end`; gives what was printed as JSON, None where nothing was."""
        ended = self.end(verb, pod, **options)
        if ended.status:
            raise Refused(verb, ended.stdout.decode())
        return ended.json if ended.stdout.strip() else None

    def complaint(self, verb, pod=None, **options):
        """The code and the words of a verb's error; 0 and no words for a success."""
        try:
            self.call(verb, pod, **options)
        except Refused as refused:
            return refused.error["code"], f"{refused.error['msg']} {refused.error.get('details', '')}"
        return 0, ""

    def start(self, verb, pod=None, interface="eth0", namespace=None, **options):
        """Starts a verb, which waits for its configuration."""
        return start_plugin(
            self.node, self.plugin, attachment(verb, pod, interface, namespace), **options)

    def add(self, pod, **options):
        """ADD; the pod's namespace is made if it is not there."""
        if not self.node.path(f"/run/netns/{pod}").exists():
            self.node.add_pod(pod)
        self.results[pod] = self.call("ADD", pod, **options)
        return self.results[pod]

    def check(self, pod, **options):
        self.call("CHECK", pod, prevResult=self.results[pod], **options)

    def delete(self, pod, **options):
        self.call("DEL", pod, prevResult=self.results[pod], **options)

    def collect(self, *pods, **options):
        """GC that keeps these pods."""
        valid = [{"containerID": pod, "ifname": "eth0"} for pod in pods]
        self.call("GC", **{"cni.dev/valid-attachments": valid}, **options)


def subnets(*networks):
    """An `ipam` section of host-local that gives one address of each."""
    ranges = [[{"subnet": network}] for network in networks]
    return {**IPAM, "ranges": ranges}


def reaches(node, pod, address, wait=1):
    """Whether one echo request of a pod is answered."""
    # Who expects no answer waits for it too: not for as long as an emulated machine may take.
    return node.run(
        "ping", "-c", "1", "-W", max(wait, min(patience(wait), 5)), address, pod=pod, check=False).returncode == 0


def comes_to_reach(node, pod, address):
    """As `reaches`, where an interface was just made: its own IPv6 address is not usable at once."""
    return any(reaches(node, pod, address) for _ in range(20))


def address(result, index=0):
    return result["ips"][index]["address"].split("/")[0]


def port(result):
    """The name of the node's end of the pair."""
    return result["interfaces"][-2]["name"]


def link(node, name, pod=None):
    """What `ip -details link show` tells of a link."""
    return node.ip("-details", "link", "show", "dev", name, pod=pod)[0]


def addresses(node, link, pod=None):
    """The addresses of a link with their lengths, without those of the link alone."""
    return [f"{entry['local']}/{entry['prefixlen']}"
            for entry in node.ip("address", "show", "dev", link, pod=pod)[0]["addr_info"]
            if entry["scope"] == "global"]


class Chain:
    """A conflist's plugins called one after the other, as a runtime does."""

    def __init__(self, node, *plugins, version="1.1.0", name="net"):
        self.stages = [
            Network(node, keys["type"], version, name,
                    **{key: value for key, value in keys.items() if key != "type"})
            for keys in plugins]
        # Every stage is given the last one's result, in CHECK and DEL.
        self.results = {}
        for stage in self.stages:
            stage.results = self.results

    def add(self, pod, **options):
        result = {}
        for stage in self.stages:
            result = stage.add(pod, **options, **({"prevResult": result} if result else {}))
        return result

    def check(self, pod):
        for stage in self.stages:
            stage.check(pod)

    def delete(self, pod, **options):
        for stage in reversed(self.stages):
            stage.delete(pod, **options)

    def status(self):
        for stage in self.stages:
            stage.call("STATUS")

    def collect(self, *pods):
        for stage in self.stages:
            stage.collect(*pods)
