"""The commands for people on a node. Only this file knows which program has which command."""

import json
import shlex

from lab.isolated_node import PLUGINS

# How each command begins.
COMMANDS = {
    "ports": ["humanz", "ports"],
    "leases": ["humanz", "leases"],
    "release": ["humanz", "release"],
    "routes": ["humanz", "routes"],
    "sync": ["humanz", "sync"],
    "run": ["humanz", "run"],
}
# The exit status of a command line that cannot be understood.
WRONG_USAGE = dict.fromkeys(COMMANDS, 2)


def command(name, *words):
    """The command line of a command, as a node runs it."""
    program, *first = COMMANDS[name]
    return [f"{PLUGINS}/{program}", *first, *map(str, words)]


def command_line(name, *words):
    """The same as a shell reads it."""
    return shlex.join(command(name, *words))


def shown(name):
    """How the usage shows a command."""
    return " ".join(COMMANDS[name])


def speaker(name):
    """What the messages of a command begin with."""
    return COMMANDS[name][0]


class Tool:
    """The commands on one node. With `as_json` a method gives what is printed for programs, else the text."""

    def __init__(self, node):
        self.node = node

    def call(self, name, *words, **options):
        """Runs a command with any words; options are those of `Node.run`, which is the answer too."""
        return self.node.run(*command(name, *words), **options)

    def unknown(self, beside, word, **options):
        """Runs a command that there is not, of the program that has a command beside it."""
        return self.node.run(command(beside)[0], word, check=False, **options)

    def ports(self, as_json=False):
        return self._answer("ports", as_json=as_json)

    def leases(self, network=None, store=None, as_json=False):
        """The leases of one network or of all, in a store elsewhere if it is given."""
        return self._answer("leases", *([network] if network else []), *_at(store), as_json=as_json)

    def release(self, network, address, store=None):
        """Frees an address; gives what is said."""
        return self._answer("release", network, address, *_at(store))

    def routes(self, conflist=None, as_json=False):
        """The routes of a conflist's networks, or whatever is there of ours."""
        return self._answer("routes", *(["--conflist", conflist] if conflist else []), as_json=as_json)

    def sync(self, node, input, *words, check=True):
        """Makes the cluster file and the routes of a node, by its name, from what Kubernetes tells."""
        return self.call("sync", "--node", node, *words, input=input, check=check)

    def run(self, verb, conflist, *words, environment=None):
        """Runs a verb of a conflist as a runtime does."""
        return self.call(
            "run", verb, conflist, *words, check=False,
            env={"CNI_PATH": PLUGINS, **(environment or {})})

    def _answer(self, name, *words, as_json=False):
        printed = self.call(name, *words, *(["--json"] if as_json else [])).stdout
        return json.loads(printed) if as_json else printed


def _at(store):
    return ["--data-dir", store] if store else []
