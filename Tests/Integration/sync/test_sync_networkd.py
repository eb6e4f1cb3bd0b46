# SPDX-License-Identifier: Apache-2.0
"""With systemd-networkd managing the node's uplink: the routes survive its restarts."""

import pathlib
import subprocess
import time

import pytest

from lab.isolated_node import ROOT
from lab.tool import command
from lab.waiting import eventually, patience
from sync.expected import expected, routes
from sync.test_sync_conflist import CONFLIST, conflist

NETWORKD = pathlib.Path("/lib/systemd/systemd-networkd")
FOLDER = "/run/systemd"


@pytest.fixture(params=[True, False], ids=["with the drop-in", "without"])
def node2(request, node):
    """A node whose uplink systemd-networkd configures."""
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "switch")
    for link in ("uplink", "switch"):
        node.run("ip", "link", "set", link, "up")
    for folder in ("network", "networkd.conf.d"):
        node.path(f"{FOLDER}/{folder}").mkdir(parents=True)
    node.path(f"{FOLDER}/network/10-uplink.network").write_text(
        "[Match]\nName=uplink\n[Network]\nAddress=192.168.0.1/24\nConfigureWithoutCarrier=yes\n")
    if request.param:
        node.path(f"{FOLDER}/networkd.conf.d/humanz.conf").write_text(
            (ROOT / "systemd" / "networkd-humanz.conf").read_text())
    # There is no udev, as in a container.
    node.run("mount", "-o", "remount,ro,bind", "/sys")
    return node


def start_networkd(node):
    """Starts or restarts networkd; waits until it has configured the uplink."""
    node.run("pkill", "-KILL", "-x", "systemd-network", check=False)
    with node.path("/run/tmp/networkd").open("w") as log:
        node.start(NETWORKD, stdout=log, stderr=subprocess.STDOUT,
                   env={"PATH": "/usr/bin:/bin", "SYSTEMD_LOG_LEVEL": "debug"})
    eventually(lambda: "uplink: State changed: configuring -> configured"
               in node.path("/run/tmp/networkd").read_text(), what="a configured uplink")


def test_the_routes_outlive_a_restart_of_networkd(node2, record_property):
    start_networkd(node2)
    node2.path(CONFLIST).write_text(conflist(2, 3))
    node2.start(*command("sync", "--watch", CONFLIST))
    eventually(lambda: routes(node2) == expected(2, 3))
    start_networkd(node2)
    took = eventually(lambda: routes(node2) == expected(2, 3), seconds=1)
    record_property("right after networkd's restart", f"{took:.2f} s")
    time.sleep(patience(1))
    assert routes(node2) == expected(2, 3)
    # networkd sets the link down and up again.
    node2.run("ip", "link", "set", "uplink", "down")
    node2.run("ip", "link", "set", "uplink", "up")
    took = eventually(lambda: routes(node2) == expected(2, 3), seconds=1)
    record_property("right after a link flap beside networkd", f"{took:.2f} s")
