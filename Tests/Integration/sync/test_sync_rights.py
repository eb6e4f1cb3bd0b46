# SPDX-License-Identifier: Apache-2.0
"""The services and the image's programs have no more rights than they need."""

import re
import shutil
import subprocess

import pytest

from lab.cluster import CLUSTER_FILE
from lab.daemonset import manifest
from lab.isolated_node import ROOT
from lab.kubernetes import listed
from lab.tool import command
from sync.expected import SYNC, cluster_file, content, expected, member, routes

UNITS = sorted((ROOT / "systemd").glob("*.service"))
# What systemd-analyze gives, from 0 to 10: 0.5 of it is for the node's own network, 0.4 for being root.
EXPOSURE = 2.5


# The services

@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_exposure_is_bounded(unit, record_property):
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", unit],
                          capture_output=True, text=True, check=True)
    score = float(re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)[1])
    record_property("exposure", f"{score} of {EXPOSURE}")
    assert score <= EXPOSURE


def settings(unit):
    """The values of a unit's keys; a list for each, as systemd adds them up."""
    found = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def permitted(words):
    """The system calls of a unit's SystemCallFilter=, by name."""
    def members(name):
        if not name.startswith("@"):
            return {name}
        done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in done.stdout.splitlines()[1:]]
        return set().union(*(members(line) for line in lines if line and not line.startswith("#")))

    calls = set()
    for word in words:
        calls = calls - members(word[1:]) if word.startswith("~") else calls | members(word)
    return calls


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_filter_of_the_unit_permits_what_sync_calls(unit, node1):
    keys = settings(unit)
    node1.run("strace", "-f", "-qq", "-o", "/run/tmp/trace", *SYNC, input=listed(member(1), member(2)))
    assert routes(node1) == expected(2)
    trace = node1.path("/run/tmp/trace").read_text()
    called = set(re.findall(r"^\d+ +(\w+)\(", trace, re.M))
    # systemd permits the start of the program itself.
    assert called - permitted(keys["SystemCallFilter"]) - {"execve"} == set()
    families = set(re.findall(r"socket\((AF_\w+)", trace))
    assert families <= set(keys["RestrictAddressFamilies"][0].split())


# Capabilities

def with_capabilities(*names):
    """Runs a program as root with these capabilities alone."""
    sets = ",".join(["-all", *(f"+{name}" for name in names)])
    return ["setpriv", "--inh-caps", sets, "--bounding-set", sets, "--no-new-privs"]


def test_the_manifest_and_the_units_have_the_capabilities_that_are_tried_here():
    pod = manifest()["DaemonSet"]["spec"]["template"]["spec"]
    install, = pod["initContainers"]
    sync, = pod["containers"]
    assert install["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert sync["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    for container in (install, sync):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for unit in UNITS:
        assert settings(unit)["CapabilityBoundingSet"] == ["CAP_NET_ADMIN"]


def test_sync_needs_one_capability_and_no_other(node1):
    cluster = listed(member(1), member(2))
    done = node1.run(*with_capabilities(), *SYNC, input=cluster, check=False)
    assert done.returncode == 1 and "not permitted" in done.stderr and routes(node1) == {}
    node1.run("rm", "-f", CLUSTER_FILE)
    node1.run(*with_capabilities("net_admin"), *SYNC, input=cluster)
    assert cluster_file(node1) == content(2) and routes(node1) == expected(2)


def test_the_installer_needs_no_capability(node):
    for folder in ("/run/tmp/bin", "/run/tmp/conf", "/run/tmp/from"):
        node.path(folder).mkdir(parents=True)
    for name in ("humanz-bridge", "humanz-ipam", "humanz-route"):
        shutil.copy(ROOT / "bin" / name, node.path("/run/tmp/from"))
    shipped = ROOT / "conflists" / "10-humanz.conflist"
    node.path("/run/tmp/10-humanz.conflist").write_text(shipped.read_text())
    node.run(*with_capabilities(), *command(
        "install", "--from=/run/tmp/from", "--bin-dir=/run/tmp/bin", "--conf-dir=/run/tmp/conf",
        "--conflist=/run/tmp/10-humanz.conflist"))
    assert (node.path("/run/tmp/bin") / "humanz-route").exists()
    assert (node.path("/run/tmp/conf") / "10-humanz.conflist").exists()
