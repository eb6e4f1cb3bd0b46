# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam: the store after a kill at any system call, and the calls that follow."""

import pathlib
import shutil
from collections import Counter

import pytest

from lab.isolated_node import OURS, Node
from lab.lease_store import Calls, checked

RANGES = [[{"subnet": "10.0.0.0/24"}], [{"subnet": "fd00::/64"}]]
# The limit is above the number of system calls of any of these calls. STEP kills are tried at once.
LIMIT = 1000
STEP = 40


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    with Node("node") as node:
        yield Calls(node, tmp_path_factory.mktemp("calls"))


@pytest.fixture
def folder(request, calls):
    """The folder of the stores: in the node's /run, or on the project's disk."""
    if request.param == "tmpfs":
        yield pathlib.Path("/run/leases")
        return
    disk = OURS / "test-leases"
    shutil.rmtree(disk, ignore_errors=True)
    yield disk
    shutil.rmtree(disk, ignore_errors=True)


def left_by_host_local(directory):
    """Writes what a killed host-local leaves: leases, one of them empty, and no attachment files."""
    directory.mkdir(parents=True)
    for index, holder in [(2, "old\r\neth0"), (3, ""), (4, "stays\r\neth0")]:
        (directory / f"10.0.0.{index}").write_text(holder, newline="")
    (directory / "last_reserved_ip.0").write_text("10.0.0.4")
    (directory / "lock").touch()


# The calls before the killed one; the killed one; the calls after it; the holders of addresses at the end.
# For GC, a list of the pods to keep stands in place of the container.
CASES = {
    "ADD": ([("ADD", "stays")], ("ADD", "pod"),
            [("ADD", "other"), ("DEL", "pod"), ("ADD", "pod")], ["stays", "other", "pod"]),
    "DEL": ([("ADD", "stays"), ("ADD", "pod")], ("DEL", "pod"),
            [("ADD", "other"), ("DEL", "pod"), ("ADD", "pod")], ["stays", "other", "pod"]),
    "GC": ([("ADD", "stays"), ("ADD", "pod"), ("ADD", "gone")], ("GC", ["stays", "pod"]),
           [("ADD", "other"), ("GC", ["stays", "pod", "other"])], ["stays", "other", "pod"]),
}


@pytest.mark.parametrize("verb", CASES)
@pytest.mark.parametrize("folder, store", [
    pytest.param("tmpfs", "ours", id="tmpfs"), pytest.param("disk", "ours", id="disk"),
    pytest.param("tmpfs", "host-local's", id="of host-local"),
], indirect=["folder"])
def test_a_call_killed_at_any_system_call_loses_and_doubles_no_address(
        calls, folder, store, verb, record_property):
    before, victim, after, kept = CASES[verb]
    # The leases that host-local left are of one family; only GC frees `old`.
    label = verb if store == "ours" else f"host-local-{verb}"
    expected = {pod: 2 for pod in kept}
    if store != "ours":
        before = before[1:]
        expected |= {"stays": 1} | ({"old": 1} if verb != "GC" else {})

    def step(network, verb, who):
        keys = {"dataDir": str(folder), "ranges": RANGES}
        if verb == "GC":
            return verb, "none", calls.configuration(network, valid=who, **keys)
        return verb, who, calls.configuration(network, **keys)

    for first in range(1, LIMIT, STEP):
        # Each kill gets its own network, and so its own store.
        networks = {n: f"{label}-{n}" for n in range(first, first + STEP)}
        plan = []
        for n, network in networks.items():
            if store != "ours":
                left_by_host_local(calls.node.path(folder) / network)
            plan += [*(step(network, *call) for call in before), (*step(network, *victim), n),
                     *(step(network, *call) for call in after)]
        answers = iter(calls.run(plan))
        for n, network in networks.items():
            for _ in before:
                assert next(answers).succeeded
            answer = next(answers)
            assert answer.succeeded or answer.status == -9, answer
            given = {}
            for call in after:
                later = next(answers)
                assert later.succeeded, f"{call} after a kill at {n}: {later}"
                if call[0] == "ADD":
                    given[f"{call[1]} eth0"] = later.addresses
            leases = checked(calls.node.path(folder) / network)
            assert Counter(leases.values()) == {f"{pod} eth0": n for pod, n in expected.items()}
            for holder, addresses in given.items():
                assert [leases[address] for address in addresses] == [holder, holder]
            if answer.succeeded:
                assert n > 1
                record_property("kills", n - 1)
                return
    raise AssertionError(f"no call was over before its system call {LIMIT}")
