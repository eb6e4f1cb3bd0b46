# SPDX-License-Identifier: Apache-2.0
"""The tool for people, `humanz`, as a node runs it."""

import json
import os
import shlex
import subprocess

from lab.isolated_node import NETWORKS, PLUGINS

# The exit status for wrong usage.
WRONG_USAGE = 2
# The program's name, with which its messages begin.
PROGRAM = "humanz"


def command(*words):
    """The command line of a command, as a node runs it."""
    return [f"{PLUGINS}/humanz", *map(str, words)]


def command_line(*words):
    """The same as a line for a shell."""
    return shlex.join(command(*words))


class Tool:
    """The tool on one node. With `as_json` a method returns the parsed JSON, else the text."""

    def __init__(self, node):
        self.node = node

    def call(self, *words, env=None, **options):
        """Runs a command with these words; `options` go to `Node.run`, whose result is returned.

        CNI_CONF_DIR and CNI_PATH are the node's folders, since the default ones are the host's. `run` reads no
        folder and passes its environment on to plugins.
        """
        if words[:1] != ("run",):
            env = {"CNI_CONF_DIR": NETWORKS, "CNI_PATH": PLUGINS, **(env or {})}
        return self.node.run(*command(*words), env=env, **options)

    def overview(self, as_json=False):
        """What `humanz` alone prints; exit status 1 is accepted."""
        return self._answer(as_json=as_json, check=False)

    def ports(self, *words, as_json=False):
        return self._answer("ports", *words, as_json=as_json)

    def leases(self, network=None, *words, store=None, as_json=False):
        """The leases of one network or of all; `store` is the folder of a store elsewhere."""
        network = [network] if network else []
        return self._answer("leases", *network, *words, *_at(store), as_json=as_json)

    def release(self, network, address, store=None):
        """Frees an address; returns what is printed."""
        return self._answer("release", network, address, *_at(store))

    def routes(self, conflist=None, *words, as_json=False):
        """The routes of a conflist's networks, or all that are ours; exit status 1 is accepted."""
        conflist = ["--conflist", conflist] if conflist else []
        return self._answer("routes", *conflist, *words, as_json=as_json, check=False)

    def sync(self, node, input, *words, check=True):
        """Runs `humanz sync` for the node of this name, with Kubernetes' nodes as input."""
        return self.call("sync", "--node", node, *words, input=input, check=check)

    def run(self, verb, conflist, *words, environment=None):
        """Runs a verb of a conflist as a runtime does."""
        return self.call(
            "run", verb, conflist, *words, check=False,
            env={"CNI_PATH": PLUGINS, **(environment or {})})

    def _answer(self, *words, as_json=False, check=True):
        done = self.call(*words, *(["--json"] if as_json else []), check=check)
        assert done.returncode in (0, 1), done
        return json.loads(done.stdout) if as_json else done.stdout


class Watch:
    """`humanz sync --watch` for a named node, with a stream that the test writes; ended by its `with`."""

    def __init__(self, node, name):
        self.process = node.start(
            *command("sync", "--node", name, "--watch"), env={**os.environ, "CNI_CONF_DIR": NETWORKS},
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)

    def tell(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # nsenter passes no signal on; the end of stdin ends the command.
        self.process.communicate()


def _at(store):
    return ["--data-dir", store] if store else []
