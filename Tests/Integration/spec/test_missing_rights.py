# SPDX-License-Identifier: Apache-2.0
"""Where the plugins may not do what they have to, the error says what is missing, and nothing is left."""

import errno
import platform
import sys

import pytest

from lab import seccomp
from lab.attachment import Chain, Network

CHAIN = [{"type": "humanz-bridge"}, {"type": "humanz-ipam", "subnet": "10.77.0.0/24"},
         {"type": "humanz-route", "network": "10.77.0.0/16"}]
# System calls by the processor's numbers: asm/unistd.h.
NUMBERS = {"x86_64": {"socket": 41, "setns": 308, "openat2": 437, "close_range": 436},
           "aarch64": {"socket": 198, "setns": 268, "openat2": 437, "close_range": 436}}[platform.machine()]


def without(*capabilities):
    names = ",".join(f"-{name}" for name in capabilities)
    return ["setpriv", "--bounding-set", names, "--inh-caps", names]


def filtered(call, error):
    return [sys.executable, seccomp.__file__, str(NUMBERS[call]), str(error)]


WAYS = {
    "without CAP_NET_ADMIN": without("net_admin"),
    "without CAP_SYS_ADMIN": without("sys_admin"),
    "without any capability": ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"],
    "in a user namespace": ["unshare", "--user", "--map-root-user"],
    "without setns, by seccomp": filtered("setns", errno.EPERM),
    "without sockets, by seccomp": filtered("socket", errno.EPERM),
}


@pytest.mark.parametrize("number", range(3), ids=[stage["type"] for stage in CHAIN])
@pytest.mark.parametrize("way", WAYS)
def test_an_add_without_its_rights_says_which_and_leaves_nothing(node, way, number):
    chain = Chain(node, *CHAIN)
    node.add_pod("pod")
    result = {}
    for stage in chain.stages[:number]:
        result = stage.add("pod", **({"prevResult": result} if result else {}))
    before = node.traces()
    ended = chain.stages[number].run(
        "ADD", "pod", under=WAYS[way], **({"prevResult": result} if result else {}))
    error = ended.error
    said = f"{error['msg']} {error.get('details', '')}"
    assert error["code"] in (3, 5, 100), str(ended)
    assert "not permitted" in said or "denied" in said, said
    if error["code"] == 100:
        assert "CAP_NET_ADMIN" in said and "CAP_SYS_ADMIN" in said, said
    else:
        assert "/" in said, said
    after = node.traces()
    del before["neighbours"], after["neighbours"]
    assert after == before


@pytest.mark.parametrize("call", ["openat2", "close_range"])
@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_without_a_newer_system_call_the_chain_works(node, call, error):
    chain = Chain(node, *CHAIN)
    node.add_pod("pod")
    result, under = {}, filtered(call, error)
    for stage in chain.stages:
        result = stage.add("pod", under=under, **({"prevResult": result} if result else {}))
    for stage in reversed(chain.stages):
        stage.call("DEL", "pod", prevResult=result, under=under)
    assert node.leases() == set() and node.ip("link", "show", "type", "veth") == []


# File systems

def test_on_a_read_only_file_system_the_path_is_named(node):
    node.add_pod("pod")
    network = Network(node, isGateway=True, ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24"})
    before = node.traces()
    node.run("mount", "-o", "remount,ro", "/run")
    network.run("ADD", "pod").refused(5, "/run/humanz", "Read-only file system")
    network.run("STATUS", version="1.1.0")
    network.run("DEL", "pod").succeeded()
    node.run("mount", "-o", "remount,rw", "/run")
    assert node.traces() == before


@pytest.mark.parametrize("option", ["nr_inodes=1", "nr_inodes=2", "nr_inodes=4", "size=4k", "size=8k"])
def test_on_a_full_file_system_the_path_is_named_and_what_is_there_can_be_deleted(node, option):
    network = Network(node, isGateway=True, ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24"})
    node.run("mkdir", "-m", "700", "/run/humanz")
    node.run("mount", "-t", "tmpfs", "-o", f"mode=700,{option}", "tmpfs", "/run/humanz")
    added = []
    for number in range(6):
        node.add_pod(f"pod{number}")
        before = node.traces()
        ended = network.run("ADD", f"pod{number}")
        if ended.status:
            ended.refused(5, "/run/humanz", "No space left")
            assert node.traces()["links"] == before["links"]
        else:
            added.append(f"pod{number}")
    assert len(added) < 6
    for pod in added:
        network.call("DEL", pod)
    assert node.leases() == set()
