# SPDX-License-Identifier: Apache-2.0
"""A conflist, run on a node by `humanz run`."""

import json

from lab.attachment import Refused
from lab.isolated_node import NETWORKS
from lab.tool import Tool


class Conflist:
    """A network of several plugins on a node, and its pods' results."""

    def __init__(self, node, *plugins, file=None, **keys):
        self.node = node
        self.plugins = plugins
        self.keys = {"cniVersion": "1.0.0", "name": "net", **keys}
        self.file = f"{NETWORKS}/{file or self.keys['name']}.conflist"
        self.results = {}
        node.path(self.file).write_text(json.dumps({**self.keys, "plugins": plugins}))

    def without(self, *types):
        """The same network without plugins of these types: for a CHECK of the others."""
        rest = [plugin for plugin in self.plugins if plugin["type"] not in types]
        return Conflist(self.node, *rest, file=f"{self.keys['name']}-in-part", **self.keys)

    def run(self, verb, *words):
        """Runs one verb of the whole list; returns the JSON that it printed, or None."""
        done = Tool(self.node).run(verb, self.file, *words)
        if done.returncode:
            raise Refused(verb, done.stdout or done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def add(self, pod, *options):
        """ADD; makes the pod's namespace if it does not exist."""
        if not self.node.path(f"/run/netns/{pod}").exists():
            self.node.add_pod(pod)
        self.results[pod] = self.run("add", pod, *options)
        return self.results[pod]

    def check(self, pod, *options):
        self.run("check", pod, *options)

    def delete(self, pod, *options):
        self.run("del", pod, *options)
