# SPDX-License-Identifier: Apache-2.0
"""How tests call a plugin: environment and stdin in; exit status, stdout and stderr out."""

import json
import os
import subprocess
import threading

from lab.isolated_node import PLUGINS
from lab.waiting import patience


class Ended:
    """The exit status and the output of a plugin, as bytes."""

    def __init__(self, status, stdout, stderr):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    @property
    def json(self):
        """stdout, which is one JSON value."""
        return json.loads(self.stdout)

    @property
    def error(self):
        """The CNI error on stdout after a failure: one object and nothing else."""
        assert self.status != 0, f"succeeded: {self}"
        try:
            error = json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no error object: {self}") from None
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, f"{self}"
        assert isinstance(error["code"], int) and error["msg"], f"{self}"
        return error

    def succeeded(self):
        assert self.status == 0, f"{self}"
        return self

    def refused(self, code, *words):
        """The error, after checking its code and that it contains these words."""
        error = self.error
        said = f"{error['msg']} {error.get('details', '')}"
        assert error["code"] == code, f"{self}"
        for word in words:
            assert str(word) in said, f"{word} is not in: {self}"
        return error

    def __str__(self):
        return f"status {self.status}, stdout {self.stdout[:2000]!r}, stderr {self.stderr[:2000]!r}"


class Started:
    """A started plugin that waits for its configuration on stdin."""

    def __init__(self, process):
        self.process = process

    def write_input(self, stdin):
        """Writes the configuration to stdin (bytes, or a value to encode as JSON), and closes it."""
        self.process.stdin.write(_bytes(stdin))
        self.process.stdin.close()
        self.process.stdin = None

    def is_running(self):
        return self.process.poll() is None

    def end(self, stdin=None, timeout=60):
        """Waits for the end; may pass the configuration first."""
        try:
            printed, said = self.process.communicate(_bytes(stdin), patience(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return Ended(self.process.returncode, printed, said)


def end_at_once(started, stdin):
    """Gives started plugins their configuration at the same time, and waits for their ends."""
    threads = [threading.Thread(target=plugin.write_input, args=(stdin,)) for plugin in started]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [plugin.end() for plugin in started]


def _bytes(stdin):
    return stdin if isinstance(stdin, (bytes, type(None))) else json.dumps(stdin).encode()


def attachment(verb, pod=None, interface="eth0", namespace=None):
    """The CNI_ variables of a call; without a pod, those of a verb that has no attachment.

    namespace: None for the pod's own; an empty string for none.
    """
    variables = {"CNI_COMMAND": verb}
    if pod is not None:
        variables |= {"CNI_CONTAINERID": pod, "CNI_IFNAME": interface}
        namespace = f"/run/netns/{pod}" if namespace is None else namespace
    return variables | ({"CNI_NETNS": namespace} if namespace else {})


def start_plugin(node, plugin, variables, under=(), redirect="", **options):
    """Starts a plugin on a node with exactly these CNI_ variables; one that is None is left out.

    `under` is a command to run it under, such as strace. `redirect` is a shell redirection, such as `>&-` for a
    closed stdout. `options` go to subprocess.Popen.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CNI_")}
    environment |= {name: value for name, value in ({"CNI_PATH": PLUGINS} | variables).items()
                    if value is not None}
    command = [*under, f"{PLUGINS}/{plugin}"]
    if redirect:
        command = ["bash", "-c", f'exec "$0" "$@" {redirect}', *command]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options}
    return Started(subprocess.Popen(
        node.entered(*command), stderr=subprocess.PIPE, env=environment, **options))


def run_plugin(node, plugin, variables, stdin, timeout=60, **options):
    """Runs a plugin to its end: see `start_plugin`. If `stdin` is None, stdin is /dev/null."""
    if stdin is None:
        options["stdin"] = subprocess.DEVNULL
    return start_plugin(node, plugin, variables, **options).end(stdin, timeout)
