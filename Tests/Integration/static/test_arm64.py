# SPDX-License-Identifier: Apache-2.0
"""The programs for arm64, from `make build ARCH=arm64`, run by qemu's user-mode emulation."""

import shutil
import subprocess

import pytest

from lab.attachment import Chain, Network, address
from lab.isolated_node import OURS, PLUGINS, ROOT, Node
from lab.plugin_process import attachment, run_plugin

ARM64 = ROOT / "bin-arm64"
PROGRAMS = ["humanz-bridge", "humanz-ipam", "humanz-route", "humanz"]
QEMU = shutil.which("qemu-aarch64-static")

pytestmark = [
    pytest.mark.skipif(not ARM64.exists(), reason="needs make build ARCH=arm64"),
    pytest.mark.skipif(QEMU is None, reason="needs qemu-user-static"),
    pytest.mark.skipif(ARM64 == OURS, reason="this machine is arm64")]


def emulate(node):
    """Replaces the node's programs by ours for arm64."""
    for program in PROGRAMS:
        path = node.path(f"{PLUGINS}/{program}")
        path.unlink()
        path.write_text(f'#!/bin/sh\nexec {QEMU} {ARM64 / program} "$@"\n')
        path.chmod(0o755)


@pytest.fixture
def arm64_node():
    with Node("arm64") as node:
        emulate(node)
        yield node


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_for_arm64_is_small_and_needs_no_library(program, record_property):
    path = ARM64 / program
    parts = subprocess.run(
        ["readelf", "--wide", "--file-header", "--program-headers", path],
        capture_output=True, text=True, check=True).stdout
    assert "AArch64" in parts and "LOAD" in parts
    assert "INTERP" not in parts and "DYNAMIC" not in parts and " RWE " not in parts, parts
    record_property("size", f"{path.stat().st_size:,} bytes")
    assert path.stat().st_size <= (620_000 if program == "humanz" else 400_000)


@pytest.mark.parametrize("plugin", PROGRAMS[:3])
def test_a_plugin_for_arm64_answers_version(arm64_node, plugin):
    answer = Network(arm64_node, plugin).call("VERSION")
    assert answer["supportedVersions"][-1] == "1.1.0"


def test_both_architectures_give_keep_and_free_leases_of_one_store(node, arm64_node, tmp_path):
    networks = [Network(each, "humanz-ipam", "1.1.0", logFile="", ipam={
        "type": "humanz-ipam", "dataDir": str(tmp_path),
        "ranges": [[{"subnet": "10.9.0.0/28"}], [{"subnet": "fd09::/124"}]]})
        for each in (arm64_node, node)]
    for network in networks:
        network.configuration["type"] = "bridge"  # as this plugin's delegate

    def leases():
        return {entry.name for entry in (tmp_path / "net").iterdir() if entry.name[0].isdigit()}

    # In turn, and each frees the other's leases.
    results = []
    for number in range(6):
        results.append(networks[number % 2].call("ADD", f"pod{number}", namespace="/run/netns/none"))
    assert [[entry["address"] for entry in result["ips"]] for result in results] == [
        [f"10.9.0.{n}/28", f"fd09::{n:x}/124"] for n in range(2, 8)]
    for number in range(6):
        networks[number % 2 - 1].call(
            "CHECK", f"pod{number}", namespace="/run/netns/none", prevResult=results[number])
    assert leases() == {f"10.9.0.{n}" for n in range(2, 8)}
    for number in range(6):
        networks[number % 2 - 1].call("DEL", f"pod{number}", prevResult=results[number])
    assert leases() == set()


# Calls for both architectures, whose answers depend on numbers, texts or their order.
_RANGE = {"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.200", "exclude": ["10.1.2.201/32"]}
CALLS = {
    "bad JSON": ("humanz-bridge", "ADD", b'{"cniVersion": "1.0.0",\n "name" }'),
    "a number": ("humanz-bridge", "ADD", b'{"cniVersion":"1.0.0","name":"n","type":"t","mtu":1e999}'),
    "a character": ("humanz-route", "ADD", '{"cniVersion":"1.0.0","name":"n\u00fc","type":"t"}'.encode()),
    "an unknown version": ("humanz-ipam", "ADD", {"cniVersion": "3.0.0", "name": "n", "type": "t"}),
    "no range": ("humanz-ipam", "ADD", {"cniVersion": "1.0.0", "name": "n", "type": "t", "ipam": {}}),
    "a requested address": ("humanz-ipam", "ADD", {
        "cniVersion": "0.4.0", "name": "n", "type": "t", "args": {"cni": {"ips": ["10.1.2.222/24"]}},
        "ipam": {"type": "humanz-ipam", "ranges": [[_RANGE]], "routes": [{"dst": "10.0.0.0/8"}]}}),
    "a large pool": ("humanz-ipam", "ADD", {
        "cniVersion": "1.1.0", "name": "n", "type": "t",
        "ipam": {"type": "humanz-ipam", "ranges": [[_RANGE], [{"subnet": "fd00::/8", "rangeStart": "fd00:ffff::"}]]}}),
    "a full pool": ("humanz-ipam", "ADD", {
        "cniVersion": "1.0.0", "name": "n", "type": "t",
        "ipam": {"type": "humanz-ipam", "subnet": "10.1.2.0/30", "exclude": ["10.1.2.0/30"]}}),
    "a missing namespace": ("humanz-bridge", "ADD", {
        "cniVersion": "1.0.0", "name": "n", "type": "t", "ipam": {}}),
    "a peer outside the network": ("humanz-route", "ADD", {
        "cniVersion": "1.0.0", "name": "n", "type": "t", "network": "10.0.0.0/16",
        "peers": [{"name": "a", "subnet": "192.168.0.0/24", "via": "10.0.0.1"}],
        "prevResult": {"cniVersion": "1.0.0", "ips": [], "interfaces": []}}),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_of_arm64_is_byte_for_byte_that_of_here(node, arm64_node, call):
    plugin, verb, stdin = CALLS[call]
    if isinstance(stdin, dict):
        stdin = {**stdin, "logFile": ""}
    variables = attachment(verb, "pod", namespace="/run/netns/none")
    there, here = (run_plugin(each, plugin, variables, stdin) for each in (arm64_node, node))
    assert (there.status, there.stdout) == (here.status, here.stdout)
    assert there.stdout


def test_the_chain_of_arm64_attaches_a_pod(arm64_node):
    """qemu's user mode has no nf_tables and lists no neighbours, which DEL asks for. `Scripts/test-arm64` plays the demo,
    and so every verb, on an emulated machine."""
    node = arm64_node
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    for link in ("uplink", "far"):
        node.run("ip", "link", "set", link, "up")
    node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
    chain = Chain(
        node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": "10.255.0.0/24"},
        {"type": "humanz-route", "network": "10.0.0.0/8", "forward": False,
         "peers": [{"name": "b", "subnet": "10.1.0.0/24", "via": "192.0.2.20"}]})
    result = chain.add("pod")
    assert address(result) == "10.255.0.2"
    node.run("ping", "-c", "1", "-W", "2", "10.255.0.1", pod="pod")
    assert [route["dst"] for route in node.ip("route", "show", "proto", "72", "type", "unicast")] == [
        "10.1.0.0/24"]
    chain.check("pod")
    chain.status()
