# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: DEL, GC and the undo of ADD return before the kernel has finished deleting links."""

import os
import re
import sys
import time

import pytest

from bridge.fake_ipam import fake_ipam
from lab import ptrace
from lab.attachment import Network, Refused, port
from lab.system_calls import system_calls, traced
from lab.waiting import eventually

PTRACE = [sys.executable, ptrace.__file__]


@pytest.fixture
def network(node):
    return Network(node, version="1.1.0", logFile="")


def plugins(node):
    """The node's processes that run a plugin, zombies too."""
    found = []
    for folder in node.path("/proc").glob("[0-9]*"):
        try:
            found += [folder.name] if "humanz-" in (folder / "stat").read_text() else []
        except OSError:
            pass
    return found


def assert_gone(node, *pods):
    assert node.ip("link", "show", "type", "veth") == []
    for pod in pods:
        assert [link["ifname"] for link in node.ip("link", pod=pod)] == ["lo"]


# strace prints the type's name only if it can tell the kind of socket.
_DELETION = re.compile(r"\(\d+, \[\{nlmsg_len=\d+, nlmsg_type=(RTM_DELLINK|0x11\b)")


def deletions(lines):
    """The calls that send a datagram with a single RTM_DELLINK."""
    return [line for line in lines if _DELETION.search(line)]


def strace(*options):
    return ["strace", "-o", "/dev/null", *options]


# What is gone when DEL returns

def test_del_returns_when_both_ends_are_gone_and_their_names_are_free(node, network):
    node.add_pod("pod")
    for _ in range(30):
        result = network.call("ADD", "pod")
        network.call("DEL", "pod", prevResult=result)
        assert_gone(node, "pod")


def test_del_sends_no_deletion_itself(node, network):
    network.add("pod")
    lines = traced(network, "DEL", "pod", "-e", "trace=sendto")
    assert lines and deletions(lines) == []
    assert_gone(node, "pod")
    network.call("ADD", "pod")
    lines = traced(network, "DEL", "pod", "-e", "trace=sendto", waitForDelete=True)
    assert len(deletions(lines)) == 1


def test_nothing_of_the_caller_is_open_in_the_child(node, network):
    """The caller reads stdout, stderr and any other pipe that it passed on until end of file."""
    network.add("pod")
    reader, writer = os.pipe()
    # The child's first call is delayed, as on a busy machine.
    start = time.monotonic()
    deleting = network.start("DEL", "pod", pass_fds=[writer], under=strace(
        "-f", "-e", "trace=chdir", "-e", "inject=chdir:delay_enter=1500000"))
    os.close(writer)
    deleting.write_input(network.configuration)
    printed = deleting.process.stdout.read() + deleting.process.stderr.read() + os.read(reader, 1)
    os.close(reader)
    deleting.process.wait()
    assert printed == b""
    assert time.monotonic() - start > 1, "the child was not delayed"
    assert_gone(node, "pod")


def test_the_child_keeps_nothing_open_while_it_waits(node, network):
    network.add("pod")
    deleting = network.start("DEL", "pod", under=strace(
        "-f", "-e", "trace=chdir", "-e", "inject=chdir:delay_exit=1500000"))
    deleting.write_input(network.configuration)
    open_files = {}

    def child_is_there():
        for process in node.path("/proc").glob("[0-9]*"):
            try:
                name = (process / "comm").read_text().strip()
                if name == "humanz-bridge" and os.readlink(process / "cwd") == "/":
                    files = [os.readlink(file) for file in (process / "fd").iterdir()]
                    if len(files) == 1:
                        open_files["child"] = files
            except OSError:
                pass
        return "child" in open_files
    eventually(child_is_there, seconds=5)
    assert open_files["child"][0].startswith("pipe:")
    deleting.end()


@pytest.mark.parametrize("fails", [False, True])
def test_where_the_plugin_itself_deletes_the_link_goes_before_its_address_is_freed(node, fails):
    network = Network(node, ipam=fake_ipam(
        node, '{"cniVersion": "1.0.0", "ips": [{"address": "10.77.0.9/24"}]}'), waitForDelete=not fails)
    host = port(network.add("pod"))
    ipam = node.path("/run/tmp/fake-ipam")
    ipam.write_text("#!/bin/sh\ncat /proc/net/dev >/run/links\n")
    # No child can be started for the deletion. (The IPAM plugin is started by another call.)
    under = strace("-e", "trace=fork", "-e", "inject=fork:error=EAGAIN") if fails else []
    network.start("DEL", "pod", under=under).end(network.configuration)
    links = node.path("/run/links").read_text()
    assert "cni0" in links and host not in links


# Failures

@pytest.mark.parametrize("keys", [{}, {"waitForDelete": True}], ids=["child", "waiting"])
def test_a_refusal_of_the_kernel_reaches_the_caller(node, network, keys):
    network.add("pod")
    node.run("mount", "-t", "tmpfs", "tmpfs", "/run/tmp")
    without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    code, words = network.error_of("DEL", "pod", under=without, **keys)
    assert code == 100
    assert "delete link" in words and "not permitted" in words
    network.call("DEL", "pod")
    assert_gone(node, "pod")


def test_a_deletion_that_the_kernel_does_not_tell_of_is_asked_for(node, network):
    network.add("pod")
    lines = traced(network, "DEL", "pod", "-e", "trace=recvfrom",
                   "-e", "inject=recvfrom:error=ENOBUFS")
    assert any("ENOBUFS" in line for line in lines), "no notification was lost in this call"
    assert_gone(node, "pod")


@pytest.mark.parametrize("name, error", [
    ("fork", "EAGAIN"), ("clone", "EAGAIN"), ("pipe2", "EMFILE"), ("bind", "ENOMEM"),
    ("setsockopt", "ENOMEM"), ("poll", "ENOMEM")])
def test_where_a_step_fails_del_waits_itself(node, network, name, error):
    network.add("pod")
    inject = ["-e", f"trace={name},sendmsg,sendto", "-e", f"inject={name}:error={error}"]
    try:
        lines = traced(network, "DEL", "pod", *inject)
    finally:
        network.call("DEL", "pod")
    if name in ("fork", "clone") and not any(error in line for line in lines):
        pytest.skip(f"the C library does not fork by {name}")
    assert any(error in line for line in lines)
    assert_gone(node, "pod")


def test_with_waitForDelete_no_process_is_started(node, network):
    network.add("pod")
    lines = traced(network, "DEL", "pod", "-e", "trace=process,network", waitForDelete=True)
    assert not any(call in line for line in lines for call in ("fork(", "clone(", "clone3("))
    assert_gone(node, "pod")


def test_a_child_that_is_killed_at_any_system_call_leaves_the_deletion_to_its_parent(node, network):
    node.add_pod("pod")
    log = node.path("/run/ptrace")
    for number in range(1, 40):
        result = network.call("ADD", "pod")
        network.call("DEL", "pod", prevResult=result, under=[*PTRACE, str(number), "/run/ptrace"])
        assert_gone(node, "pod")
        if log.read_text() == "ended":
            break
    else:
        raise AssertionError("the child makes more system calls than it is killed at")
    assert number > 5, "no child was there to be killed"


# GC and undo

def test_gc_deletes_all_pairs_in_one_message(node, network):
    pods = [f"pod{number}" for number in range(20)]
    for pod in [*pods, "stays"]:
        network.add(pod)
    lines = traced(
        network, "GC", None, "-f", "-e", "trace=sendto,sendmsg",
        **{"cni.dev/valid-attachments": [{"containerID": "stays", "ifname": "eth0"}]})
    deletion, = deletions(lines)
    # After it no message may be sent: the kernel would answer only at the end of the deletion.
    assert not [line for line in lines[lines.index(deletion) + 1:] if "RTM_" in line]
    left, = node.ip("link", "show", "type", "veth")
    assert left["ifname"] == port(network.results["stays"]) and left["group"] == "default"
    for pod in pods:
        assert [link["ifname"] for link in node.ip("link", pod=pod)] == ["lo"]


def test_gc_spares_links_of_others_that_are_in_groups(node, network):
    network.add("pod")
    network.add("other")
    for number, name in enumerate(["one", "two"]):
        node.run("ip", "link", "add", name, "group", 0x40000000 + number, "type", "bridge")
    network.gc()
    assert {link["ifname"] for link in node.ip("link", "show", "type", "bridge")} == {
        "cni0", "one", "two"}
    assert_gone(node, "pod", "other")


def test_links_that_a_killed_gc_left_in_a_group_are_found_by_the_next(node, network):
    for pod in ["first", "second"]:
        result = network.add(pod)
        node.run("ip", "link", "set", port(result), "group", 0x7fffffff)
    network.gc()
    assert_gone(node, "first", "second")


def test_the_undo_of_an_add_does_not_wait_either(node, network):
    node.add_pod("pod")
    network.configuration["macspoofchk"] = True
    # The last socket is the one for the nftables rule, opened after the pair was made.
    last = [call for call in system_calls(network, "ADD", "pod") if call.name == "socket"][-1]
    network.call("DEL", "pod")
    log = "/run/tmp/undo"
    with pytest.raises(Refused):
        network.call("ADD", "pod", under=[
            "strace", "-o", log, "-e", "trace=socket,sendto",
            "-e", f"inject=socket:error=EMFILE:when={last.place}"])
    lines = node.path(log).read_text().splitlines()
    assert any("INJECTED" in line for line in lines) and deletions(lines) == []
    assert_gone(node, "pod")


# A long run

@pytest.mark.parametrize("seconds", [int(os.environ.get("HUMANZ_LONG_RUN", "60"))])
def test_adds_and_dels_without_end_leave_nothing(node, seconds, record_property):
    network = Network(node, logFile="", isGateway=True,
                      ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24"})
    node.add_pod("pod")
    network.delete("pod") if network.add("pod") else None
    before = node.traces()
    files = sorted(path.relative_to(node.path("/run")) for path in node.path("/run").rglob("*"))
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        result = network.call("ADD", "pod")
        network.call("DEL", "pod", prevResult=result)
        count += 1
    assert node.traces() == before
    assert_gone(node, "pod")
    assert sorted(path.relative_to(node.path("/run")) for path in node.path("/run").rglob("*")) == files
    eventually(lambda: plugins(node) == [], seconds=5, what="the end of the last child")
    record_property("ADDs and DELs", count)
