# SPDX-License-Identifier: Apache-2.0
"""A network's pods, attached by one plugin or by a chain of them."""

import json

from lab.plugin_process import attachment, run_plugin, start_plugin
from lab.waiting import patience

IPAM = {"type": "host-local"}


class Refused(AssertionError):
    """A verb failed; `error` is its CNI error, or None if the process was killed."""

    def __init__(self, verb, output):
        super().__init__(f"{verb}: {output}")
        self.error = json.loads(output) if output else None


class Network:
    """A network of one plugin on a node: its configuration, and its pods' results."""

    def __init__(self, node, plugin="humanz-bridge", version="1.0.0", name="net", **keys):
        self.node = node
        self.plugin = plugin
        self.configuration = {"cniVersion": version, "name": name, "type": plugin, **keys}
        self.results = {}

    def run(self, verb, pod=None, interface="eth0", namespace=None, environment=None, under=(),
            redirect="", **keys):
        """Runs a verb, under another command if asked for; returns how it ended."""
        return run_plugin(
            self.node, self.plugin,
            attachment(verb, pod, interface, namespace) | (environment or {}),
            {**self.configuration, **keys}, under=under, redirect=redirect, timeout=30)

    def call(self, verb, pod=None, **options):
        """As `run`; returns the JSON that was printed, or None. Raises `Refused` if the verb fails."""
        ended = self.run(verb, pod, **options)
        if ended.status:
            raise Refused(verb, ended.stdout.decode())
        return ended.json if ended.stdout.strip() else None

    def error_of(self, verb, pod=None, **options):
        """The code and the message of a verb's error; 0 and an empty message for a success."""
        try:
            self.call(verb, pod, **options)
        except Refused as refused:
            return refused.error["code"], f"{refused.error['msg']} {refused.error.get('details', '')}"
        return 0, ""

    def start(self, verb, pod=None, interface="eth0", namespace=None, **options):
        """Starts a verb; the process waits for its configuration."""
        return start_plugin(
            self.node, self.plugin, attachment(verb, pod, interface, namespace), **options)

    def add(self, pod, **options):
        """ADD; makes the pod's namespace if it does not exist."""
        if not self.node.path(f"/run/netns/{pod}").exists():
            self.node.add_pod(pod)
        self.results[pod] = self.call("ADD", pod, **options)
        return self.results[pod]

    def check(self, pod, **options):
        self.call("CHECK", pod, prevResult=self.results[pod], **options)

    def delete(self, pod, **options):
        self.call("DEL", pod, prevResult=self.results[pod], **options)

    def gc(self, *pods, **options):
        """GC that keeps these pods."""
        valid = [{"containerID": pod, "ifname": "eth0"} for pod in pods]
        self.call("GC", **{"cni.dev/valid-attachments": valid}, **options)


def subnets(*networks):
    """An `ipam` section of host-local that gives one address of each."""
    ranges = [[{"subnet": network}] for network in networks]
    return {**IPAM, "ranges": ranges}


def reaches(node, pod, address, wait=1):
    """Whether one echo request from a pod is answered."""
    # A test that expects no answer waits this long too: at most 5 s, even on an emulated machine.
    return node.run(
        "ping", "-c", "1", "-W", max(wait, min(patience(wait), 5)), address, pod=pod, check=False).returncode == 0


def comes_to_reach(node, pod, address):
    """As `reaches`, for an interface that was just made: its own IPv6 address may still be tentative."""
    return any(reaches(node, pod, address) for _ in range(20))


def address(result, index=0):
    return result["ips"][index]["address"].split("/")[0]


def port(result):
    """The name of the node's end of the pair."""
    return result["interfaces"][-2]["name"]


def link(node, name, pod=None):
    """A link, from `ip -details link show`."""
    return node.ip("-details", "link", "show", "dev", name, pod=pod)[0]


def addresses(node, link, pod=None):
    """The addresses of a link with their prefix lengths, without link-local ones."""
    return [f"{entry['local']}/{entry['prefixlen']}"
            for entry in node.ip("address", "show", "dev", link, pod=pod)[0]["addr_info"]
            if entry["scope"] == "global"]


class Chain:
    """A conflist's plugins, called one after the other as a runtime calls them."""

    def __init__(self, node, *plugins, version="1.1.0", name="net"):
        self.stages = [
            Network(node, keys["type"], version, name,
                    **{key: value for key, value in keys.items() if key != "type"})
            for keys in plugins]
        # In CHECK and DEL every stage gets the last one's result.
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

    def gc(self, *pods):
        for stage in self.stages:
            stage.gc(*pods)
