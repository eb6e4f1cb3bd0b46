# SPDX-License-Identifier: Apache-2.0
"""A stage in a package of its own: Examples/fourth-stage is compiled and added to a chain."""

import json
import os
import subprocess

import pytest

from lab.attachment import Chain, Refused, comes_to_reach, reaches
from lab.isolated_node import PLUGINS, ROOT

PACKAGE = ROOT / "Examples/fourth-stage"
DENIED, ALLOWED = "192.0.2.1", "192.0.2.2"
STAGES = [{"type": "humanz-bridge"},
          {"type": "humanz-ipam", "subnet": "10.77.0.0/24", "isGateway": True},
          {"type": "humanz-route", "defaultRoute": True},
          {"type": "deny", "deny": [f"{DENIED}/32", "fd00:7::/64"]}]


@pytest.fixture(scope="module")
def program():
    """The stage's program, built as its Package.swift says."""
    build = ["swift", "build", "--package-path", PACKAGE, "--scratch-path", ROOT / ".build-example"]
    environment = {**os.environ, "HUMANZ_EMBEDDED": "0"}
    done = subprocess.run(build, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning:" not in done.stdout + done.stderr
    path = subprocess.run(
        [*build, "--show-bin-path"], capture_output=True, text=True, check=True, env=environment)
    return f"{path.stdout.strip()}/deny"


@pytest.fixture
def chain(node, program):
    """The three stages of the suite and the fourth, on a node with two addresses."""
    node.path(f"{PLUGINS}/deny").symlink_to(program)
    for address in (DENIED, ALLOWED):
        node.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    return Chain(node, *STAGES)


def test_it_has_less_than_60_lines():
    lines = (PACKAGE / "Sources/deny/main.swift").read_text().splitlines()
    assert len(lines) < 60


def test_contributing_leads_to_it():
    assert "Examples/fourth-stage" in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_pod_reaches_what_is_not_denied(node, chain):
    result = chain.add("pod")
    assert comes_to_reach(node, "pod", ALLOWED)
    assert not reaches(node, "pod", DENIED)
    assert result["ips"][0]["address"].startswith("10.77.0.")
    chain.check("pod")


def test_what_comes_to_be_reachable_is_found_by_check(node, chain):
    chain.add("pod")
    node.run("ip", "route", "delete", "unreachable", f"{DENIED}/32", pod="pod")
    with pytest.raises(Refused) as refused:
        chain.check("pod")
    assert refused.value.error["code"] == 102 and DENIED in refused.value.error["msg"]


def test_del_takes_the_routes_away_and_may_be_repeated(node, chain):
    chain.add("pod")
    chain.stages[-1].delete("pod")
    assert not node.ip("route", "show", "type", "unreachable", pod="pod")
    chain.delete("pod")
    node.remove_pod("pod")
    chain.delete("pod")


def test_what_a_failed_add_made_is_taken_back(node, chain):
    result = {}
    node.add_pod("pod")
    for stage in chain.stages[:-1]:
        result = stage.call("ADD", "pod", **({"prevResult": result} if result else {}))
    ended = chain.stages[-1].run("ADD", "pod", redirect=">/dev/full", prevResult=result)
    assert ended.status == 1
    assert not node.ip("route", "show", "type", "unreachable", pod="pod")


def test_it_speaks_the_specification(node, chain):
    stage = chain.stages[-1]
    assert "1.1.0" in stage.call("VERSION")["supportedVersions"]
    stage.call("STATUS")
    stage.gc()
    assert stage.error_of("ADD", "pod", namespace="/proc/1/ns/net") == (
        7, "deny needs \"prevResult\" ")
    assert stage.error_of("STATUS", deny=["10.0.0.1/8"])[0] == 7
    assert stage.error_of("STATUS", Deny=[]) == (
        50, 'key "Deny" is unknown: did you mean "deny"? ')
    assert json.loads(stage.run("ADD").stdout)["code"] == 4
