# SPDX-License-Identifier: Apache-2.0
"""The log: what a call writes, where, and how the log stays small."""

import re
import subprocess

import pytest

from lab.attachment import Network, Refused
from lab.isolated_node import ROOT
from lab.traffic import PYTHON

LOG = "/var/log/humanz_cni.log"

# Stands in for journald: prints each datagram.
_JOURNAL = """
import os, socket
os.makedirs("/run/systemd/journal", exist_ok=True)
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("/run/systemd/journal/socket")
print("ready", flush=True)
while True:
    print(server.recv(65536).decode(), flush=True)
"""


def lines(node):
    log = node.path(LOG)
    return log.read_text().splitlines() if log.exists() else []


def stage(node, plugin="humanz-bridge", **keys):
    return Network(node, plugin, "1.1.0", **keys)


@pytest.mark.parametrize("plugin, keys", [
    ("humanz-bridge", {}), ("humanz-ipam", {"ipam": {"type": "humanz-ipam", "subnet": "10.1.0.0/24"}}),
    ("humanz-route", {"network": "10.0.0.0/8"})])
def test_a_status_that_is_fine_writes_no_line(node, plugin, keys):
    stage(node, plugin, **keys).call("STATUS")
    assert lines(node) == []


def test_a_status_that_is_not_fine_writes_one(node):
    node.run("ip", "link", "add", "wrong", "type", "veth", "peer", "name", "end")
    with pytest.raises(Refused):
        stage(node, bridge="wrong").call("STATUS")
    line, = lines(node)
    assert " humanz-bridge STATUS network=net duration=" in line and " error=50 " in line


def test_the_duration_of_a_version_that_fails_is_not_the_machines_uptime(node):
    done = node.run("/run/cni/bin/humanz-ipam", env={"CNI_COMMAND": "VERSION"}, input="{", check=False)
    assert done.returncode == 1
    line, = lines(node)
    assert int(re.search(r" duration=(\d+)us ", line)[1]) < 10_000_000 and " error=6 " in line


def test_the_journal_gets_a_call_with_its_fields_and_no_file_is_written(node):
    journal = node.start(PYTHON, "-c", _JOURNAL, stdout=subprocess.PIPE, text=True)
    assert journal.stdout.readline() == "ready\n"

    def entry():
        said = ""
        while not said.endswith("\n\n"):
            said += journal.stdout.readline()
        return dict(line.split("=", 1) for line in said.strip().splitlines())

    one = stage(node, logFile="journal")
    one.add("pod", environment={"CNI_ARGS": "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;IgnoreUnknown=1"})
    said = entry()
    message = said.pop("MESSAGE")
    assert said == {
        "SYSLOG_IDENTIFIER": "humanz-bridge", "HUMANZ_VERB": "ADD", "HUMANZ_NETWORK": "net",
        "HUMANZ_CONTAINER": "pod", "HUMANZ_POD": "default/web", "HUMANZ_INTERFACE": "eth0", "PRIORITY": "6"}
    assert re.fullmatch(
        r"humanz-bridge ADD network=net container=pod pod=default/web interface=eth0 duration=\d+us", message)
    with pytest.raises(Refused):
        one.call("ADD", "pod")
    said = entry()
    assert said["PRIORITY"] == "3" and said["HUMANZ_ERROR"].isdigit()
    assert f" error={said['HUMANZ_ERROR']} " in said["MESSAGE"]
    one.delete("pod")
    assert entry()["HUMANZ_VERB"] == "DEL"
    assert lines(node) == []


def test_a_call_succeeds_without_journald(node):
    one = stage(node, logFile="journal")
    one.add("pod")
    one.delete("pod")
    assert lines(node) == []


def test_logrotate_keeps_the_log_small_and_roots_alone(node):
    one = stage(node)
    one.add("pod")
    # logrotate reads only root's own file in root's own folder.
    node.path("/run/tmp/rules").write_text((ROOT / "deploy" / "humanz.logrotate").read_text())
    rotate = ["logrotate", "--force", "--state", "/run/tmp/state", "/run/tmp/rules"]
    for _ in range(7):
        node.run(*rotate)
        one.add("another")
        one.delete("another")
    kept = sorted(path.name for path in node.path("/var/log").iterdir())
    assert kept == ["humanz_cni.log", *(f"humanz_cni.log.{n}.gz" for n in range(1, 5))]
    assert len(lines(node)) == 2
    assert {path.stat().st_mode & 0o777 for path in node.path("/var/log").iterdir()} == {0o600}
