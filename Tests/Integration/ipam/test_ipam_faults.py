# SPDX-License-Identifier: Apache-2.0
"""Faults in the middle of a call that could lose leases: see Documentation/lease-store, "What it found"."""

import time

import pytest

from lab.attachment import Refused
from lab.lease_store import Leases
from lab.system_calls import traced

RANGES = [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]


@pytest.mark.parametrize("added", ["10.1.0.9", "10.1.0.200", "10.1.0.77", "10.1.0.123"])
def test_a_del_killed_between_two_leases_and_a_foreign_add_lose_no_lease(node, tmp_path, added):
    # A disk lists files in its own order: the older lease may come first.
    network = Leases(node, version="1.1.0", ranges=RANGES, dataDir=str(tmp_path))
    network.lease("pod")
    try:
        network.call("DEL", "pod", under=[
            "strace", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", "inject=unlinkat:signal=KILL:when=2"])
    except Refused as killed:
        assert killed.error is None
    assert len(network.held()) == 1
    # host-local leases an address of the other set to the attachment, and is killed.
    time.sleep(0.05)
    name = added if "fd01::2" in network.held() else "fd01::9"
    (network.directory / name).write_bytes(b"pod\r\neth0")
    assert len(network.held()) == 2
    network.release("pod")
    assert network.held() == {}


def test_a_failed_add_that_cannot_read_its_leases_keeps_the_way_to_them(node):
    network = Leases(node, version="1.1.0", ranges=RANGES)
    network.lease("other")
    opened = 0
    for line in traced(network, "ADD", "pod"):
        if line.startswith("linkat("):
            break
        opened += line.startswith(("openat(", "open("))
    network.release("pod")
    # Every open fails from the first lease on (ENFILE).
    error = network.refusal("ADD", "pod", under=[
        "strace", "-o", "/dev/null", "-e", "trace=openat",
        "-e", f"inject=openat:error=ENFILE:when={opened + 1}+"])
    assert error["code"] == 5
    network.release("pod")
    assert network.held() == {"10.1.0.2": "other eth0", "fd01::2": "other eth0"}
