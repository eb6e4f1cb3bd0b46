"""A plugin as a process: environment and stdin in, exit status, stdout and stderr out."""

import json
import os
import subprocess

from isolated_node import PLUGINS


class Ended:
    """How a plugin ended and what it printed, as bytes."""

    def __init__(self, status, stdout, stderr):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    @property
    def json(self):
        """The one JSON value on stdout."""
        return json.loads(self.stdout)

    @property
    def error(self):
        """The CNI error on stdout: one object with nothing else in it, after a failure."""
        assert self.status != 0, f"succeeded: {self}"
        error = json.loads(self.stdout)
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, f"{self}"
        assert isinstance(error["code"], int) and error["msg"], f"{self}"
        return error

    def succeeded(self):
        assert self.status == 0, f"{self}"
        return self

    def refused(self, code, *words):
        """The error, which has a code and says certain words."""
        error = self.error
        said = f"{error['msg']} {error.get('details', '')}"
        assert error["code"] == code, f"{self}"
        for word in words:
            assert str(word) in said, f"{word} is not in: {self}"
        return error

    def __str__(self):
        return f"status {self.status}, stdout {self.stdout[:2000]!r}, stderr {self.stderr[:2000]!r}"


def run_plugin(node, plugin, variables, stdin, timeout=60, redirect="", **options):
    """Runs a plugin on a node with these CNI_ variables and no others.

    `stdin` is bytes, or what is to be written as JSON; `redirect` is as a shell writes it, `>&-` for
    a closed stdout; `options` are subprocess.run's.
    """
    if not isinstance(stdin, (bytes, type(None))):
        stdin = json.dumps(stdin).encode()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CNI_")}
    if stdin is None:
        options.setdefault("stdin", subprocess.DEVNULL)
    else:
        options["input"] = stdin
    options.setdefault("stdout", subprocess.PIPE)
    command = [f"{PLUGINS}/{plugin}"]
    if redirect:
        command = ["bash", "-c", f'exec "$0" {redirect}', *command]
    done = subprocess.run(
        node.entered(*command), stderr=subprocess.PIPE, timeout=timeout,
        env=environment | {"CNI_PATH": PLUGINS} | variables, **options)
    return Ended(done.returncode, done.stdout, done.stderr)
