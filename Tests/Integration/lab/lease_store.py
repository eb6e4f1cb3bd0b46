# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam as a delegate, and the content of its store."""

import ipaddress
import json
import pathlib
import subprocess

from lab.attachment import Network, Refused
from lab.isolated_node import OURS
from lab.waiting import patience

STORE = "/run/humanz/ipam"


class Leases(Network):
    """A network with humanz-ipam as the delegate of a plugin that does not exist."""

    def __init__(self, node, name="net", version="1.0.0", caller="caller", **keys):
        super().__init__(node, "humanz-ipam", version, name, type=caller,
                         ipam={"type": "humanz-ipam", **keys})

    def call(self, *arguments, environment=None, **options):
        # humanz-bridge passes the name of the node's end of the pair that it is about to make.
        if self.configuration["type"] == "humanz-bridge":
            environment = {"HUMANZ_HOST_INTERFACE": "veth0123456789a", **(environment or {})}
        return super().call(*arguments, environment=environment, **options)

    @property
    def keys(self):
        return self.configuration["ipam"]

    @property
    def directory(self):
        """The network's store, as a path outside the node."""
        return self.node.path(self.keys.get("dataDir", STORE)) / self.configuration["name"]

    def lease(self, pod, **options):
        """ADD; returns the addresses without their prefix lengths."""
        self.results[pod] = self.call("ADD", pod, **options)
        return [ip["address"].split("/")[0] for ip in self.results[pod].get("ips", [])]

    def refusal(self, verb, *arguments, **options):
        """The error of a verb that fails."""
        try:
            printed = self.call(verb, *arguments, **options)
        except Refused as refused:
            return refused.error
        raise AssertionError(f"{verb} succeeded: {printed}")

    def release(self, pod, **options):
        """DEL."""
        self.call("DEL", pod, **options)

    def held(self):
        return held(self.directory)


def is_address(name):
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def held(directory):
    """The leases of a store: the holder of each address, as `CONTAINER INTERFACE`."""
    return {file.name: file.read_bytes().decode().replace("\r\n", " ")
            for file in pathlib.Path(directory).iterdir() if is_address(file.name)}


def checked(directory):
    """The leases of a store, after checking that every file is well-formed and that each attachment file
    names exactly what its attachment holds."""
    directory = pathlib.Path(directory)
    leases = held(directory)
    assert all(len(holder.split(" ")) == 2 for holder in leases.values()), leases
    records = {}
    for file in (directory / "attachments").iterdir():
        if not file.name.startswith("."):
            for address in json.loads(file.read_text())["addresses"]:
                assert address not in records, f"{address} is in two files"
                records[address] = file.name.replace(":", " ")
    assert records == leases
    others = {entry.name for entry in directory.iterdir()} - leases.keys()
    assert {name for name in others if not name.startswith("last_reserved_ip.")} == {
        "lock", "attachments"}
    return leases


def record(network, pod):
    return json.loads((network.directory / "attachments" / f"{pod}:eth0").read_text())


def forget_boot(network, *pods):
    """Changes leases to ones of an earlier boot."""
    for pod in pods:
        file = network.directory / "attachments" / f"{pod}:eth0"
        file.write_text(json.dumps({**json.loads(file.read_text()), "bootID": "an-earlier-one"}))


class Calls:
    """Makes many plugin calls from one small program: see calls.c."""

    def __init__(self, node, folder):
        self.node = node
        self.folder = pathlib.Path(folder)
        self.program = self.folder / "calls"
        source = pathlib.Path(__file__).with_name("calls.c")
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", self.program, source], check=True)

    def configuration(self, name, valid=None, **keys):
        """A file with the configuration of a network; with `valid`, for a GC that keeps these containers."""
        configuration = {
            "cniVersion": "1.1.0", "name": name, "type": "caller", "logFile": "",
            "ipam": {"type": "humanz-ipam", **keys}}
        if valid is not None:
            configuration["cni.dev/valid-attachments"] = [
                {"containerID": container, "ifname": "eth0"} for container in valid]
        path = self.folder / f"{name}-{'all' if valid is None else len(valid)}.json"
        path.write_text(json.dumps(configuration))
        return path

    def run(self, plan, workers=1, kill=(), timeout=120):
        """Makes the calls of a plan, each a tuple (verb, container, configuration[, N]), with a plugin before it
        if it is not humanz-ipam. Returns for each its status, nanoseconds, and output."""
        lines = []
        for call in plan:
            if not str(call[0]).startswith("/"):
                call = (OURS / "humanz-ipam", *call)
            lines.append(" ".join(map(str, call)))
        done = self.node.run(self.program, workers, *kill, input="\n".join(lines) + "\n",
                             timeout=patience(timeout))
        answers = [None] * len(lines)
        for line in done.stdout.splitlines():
            place, status, nanoseconds, printed = (line + " ").split(" ", 3)
            answers[int(place)] = Answer(int(status), int(nanoseconds), printed.strip())
        assert None not in answers
        return answers


class Answer:
    def __init__(self, status, nanoseconds, printed):
        self.status, self.nanoseconds, self.printed = status, nanoseconds, printed

    def __repr__(self):
        return f"{self.status} {self.printed}"

    @property
    def succeeded(self):
        return self.status == 0

    @property
    def addresses(self):
        return [ip["address"].split("/")[0] for ip in json.loads(self.printed)["ips"]]

