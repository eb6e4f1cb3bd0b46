# SPDX-License-Identifier: Apache-2.0
"""The static programs under valgrind: one chain, and the bridge with its delegate.

What it can see of them: values that depend on stack memory or on a system call's buffer that nobody has written,
accesses outside of what is mapped, and wrong parameters of system calls. The heap is our own (Sources/Memory): to
valgrind it is one mapping, which the kernel has filled with zeros. Blocks of the heap are looked at by the
AddressSanitizer, in `make sanitize`.
"""

import os
import re

import pytest

from lab.attachment import Chain, Network

pytestmark = pytest.mark.skipif(
    "0" in (os.environ.get("STATIC"), os.environ.get("HUMANZ_EMBEDDED")), reason="it is about the static programs")

VALGRIND = ["valgrind", "--trace-children=yes", "--leak-check=no", "--error-exitcode=99", "--log-file=/run/tmp/valgrind.%p"]
CHAIN = [{"type": "humanz-bridge", "macspoofchk": True}, {"type": "humanz-ipam", "subnet": "10.77.0.0/24"},
         {"type": "humanz-route", "network": "10.77.0.0/16", "ipMasq": True}]


def logs(node):
    """What valgrind has said of each process; each ended without an error."""
    found = [file.read_text() for file in node.path("/run/tmp").glob("valgrind.*")]
    for text in found:
        summary = re.search(r"ERROR SUMMARY: (\d+) errors", text)
        assert summary is not None and summary[1] == "0", text
    return found


def test_a_chain_has_no_memory_error(node, record_property):
    chain = Chain(node, *CHAIN)
    result = chain.add("pod", under=VALGRIND)
    for stage in chain.stages:
        stage.check("pod", under=VALGRIND)
    for stage in reversed(chain.stages):
        stage.call("DEL", "pod", prevResult=result, under=VALGRIND)
    assert node.leases() == set() and node.ip("link", "show", "type", "veth") == []
    record_property("processes", len(logs(node)))


def test_a_delegate_has_no_memory_error(node):
    network = Network(node, version="1.1.0", isDefaultGateway=True, ipam={
        "type": "humanz-ipam", "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]})
    network.add("pod", under=VALGRIND)
    network.gc(under=VALGRIND)
    assert len(logs(node)) >= 4 and node.leases() == set()
