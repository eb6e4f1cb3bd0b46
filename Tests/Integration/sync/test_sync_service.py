# SPDX-License-Identifier: Apache-2.0
"""The unit humanz-sync as systemd runs it, with a real kubectl."""

import os
import pathlib
import re
import shlex
import signal
import subprocess

import pytest

from lab.api_server import KUBECONFIG, APIServer
from lab.cluster import CLUSTER_FILE, by_families
from lab.isolated_node import PLUGINS, ROOT
from lab.kubernetes import changed, listed, node_list
from lab.tool import PROGRAM, command, command_line
from lab.waiting import eventually, patience
from sync.expected import (
    HARM, cluster_file, content, expected, inode, member, routes, seconds_to_repair, sync)

UNIT = "humanz-sync.service"
SAID = "/run/tmp/said"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The unit as `make install` writes it for the node's plugin folder."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(
        ["make", "-C", ROOT, "-o", "build", "install", f"DESTDIR={root}", f"CNI_BIN_DIR={PLUGINS}",
         f"BIN_DIR={PLUGINS}", "SHARE_DIR=/share", "UNIT_DIR=/units", "CNI_CONF_DIR=/conflists"], check=True, capture_output=True)
    return root / "units" / UNIT


def service(unit, node):
    """Starts the unit's command with the unit's environment."""
    lines = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
    environment = dict(pair.split("=") for pair in lines["Environment"].split())
    assert environment.keys() == {"NODE", "KUBECONFIG"}
    command = lines["ExecStart"].replace("${NODE}", "node1").replace("${KUBECONFIG}", KUBECONFIG)
    assert "$" not in command
    return start(node, *shlex.split(command))


def start(node, *command):
    """Starts a command with a node name and kubectl's configuration in its environment."""
    with node.path(SAID).open("w") as said:
        return node.start(
            "env", "NODE=node1", f"KUBECONFIG={KUBECONFIG}", "HOME=/run/tmp", *command,
            stdout=subprocess.DEVNULL, stderr=said)


def child_of(process):
    """The process ID of a process's only child."""
    child, = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(child)


def child(process):
    """The process ID of humanz, which nsenter has started."""
    return child_of(process.pid)


def said(node):
    return node.path(SAID).read_text()


def end(node, process):
    """Waits for the end; returns the exit status and the output."""
    return process.wait(timeout=patience(30)), said(node)


def has_file(node):
    return node.path(CLUSTER_FILE).exists()


def test_systemd_finds_nothing_wrong_with_the_unit(installed, tmp_path):
    unit = tmp_path / UNIT
    unit.write_text(installed.read_text().replace(f"{PLUGINS}/humanz", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_names_the_installed_program(installed):
    assert f"ExecStart={command_line('sync')} --watch" in installed.read_text()
    assert "/usr/local/bin" not in installed.read_text()


@by_families
def test_what_kubectl_lists_becomes_file_and_routes(node1, families):
    with APIServer(node1, *(member(n, families) for n in (1, 2, 3))):
        node1.run("sh", "-c", f"kubectl get nodes -o json | {command_line('sync')} --node node1",
                  env={"KUBECONFIG": KUBECONFIG, "HOME": "/run/tmp"})
        assert cluster_file(node1) == content(2, 3, families=families)
        assert routes(node1) == expected(2, 3, families=families)


@pytest.mark.parametrize("words", [["--watch"], ["--watch", "--output-watch-events"]],
                         ids=["nodes", "events"])
def test_what_kubectl_watches_is_followed(node1, words):
    with APIServer(node1, *(member(n) for n in (1, 2))) as server:
        process = start(
            node1, "sh", "-c", f"kubectl get nodes -o json {' '.join(words)} |"
            f" {command_line('sync')} --watch --node node1")
        eventually(lambda: routes(node1) == expected(2))
        server.tell("ADDED", member(3))
        eventually(lambda: routes(node1) == expected(2, 3))
        server.close_watches()
        assert end(node1, process) == (1, f"{PROGRAM}: stdin: the stream of nodes has ended\n")


def test_the_service_follows_the_cluster(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))) as server:
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2, 3))
        server.tell("ADDED", member(4))
        eventually(lambda: routes(node1) == expected(2, 3, 4))
        server.tell("MODIFIED", changed(member(4), 0, addresses=["192.168.0.44"]))
        eventually(lambda: routes(node1)["10.244.4.0/24"] == "192.168.0.44")
        server.tell("DELETED", member(2))
        eventually(lambda: "10.244.2.0/24" not in routes(node1))
        # The end of a watch, which happens from time to time, does not end the service.
        server.close_watches()
        server.tell("ADDED", member(2))
        eventually(lambda: "10.244.2.0/24" in routes(node1))
        assert process.poll() is None


def test_a_service_that_starts_again_finds_the_nodes_that_left_meanwhile(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))) as server:
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2, 3))
        process.kill()
        process.wait()
        server.tell("DELETED", member(3))
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2))


def test_a_node_that_leaves_between_list_and_watch_is_seen_to_leave(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))) as server:
        server.tell_after_list("DELETED", member(3))
        service(installed, node1)
        eventually(lambda: has_file(node1) and cluster_file(node1) == content(2))
        assert routes(node1) == expected(2)


def test_without_the_server_the_routes_stay_and_are_repaired_and_with_it_the_service_goes_on(
        installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))):
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2, 3))
        before = inode(node1)
    eventually(lambda: "is started again in" in said(node1))
    for words in HARM:
        assert seconds_to_repair(node1, words, expected(2, 3)) < patience(1)
    assert inode(node1) == before and process.poll() is None
    with APIServer(node1, *(member(n) for n in (1, 2, 4))):
        eventually(lambda: routes(node1) == expected(2, 4), seconds=60)
    assert process.poll() is None


def test_a_kubectl_that_is_killed_is_started_again(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2))) as server:
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2))
        os.kill(child_of(child(process)), signal.SIGKILL)
        server.tell("ADDED", member(3))
        eventually(lambda: routes(node1) == expected(2, 3))
        assert "kubectl's watch has ended; kubectl is started again in 1 s" in said(node1)
        assert process.poll() is None


def test_a_cluster_without_this_node_changes_nothing_until_it_is_back(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2))) as server:
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2))
        server.tell("DELETED", member(1))
        eventually(lambda: "kubectl: the cluster has no node node1: --node must be this node's name" in said(node1))
        assert (routes(node1), process.poll()) == (expected(2), None)
        server.tell("ADDED", member(1))
        server.tell("ADDED", member(3))
        eventually(lambda: routes(node1) == expected(2, 3))


def test_a_signal_ends_the_service_and_its_kubectl(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2))):
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2))
        humanz = child(process)
        kubectl = child_of(humanz)
        os.kill(humanz, signal.SIGTERM)
        assert end(node1, process) == (0, "")
        assert not pathlib.Path(f"/proc/{kubectl}").exists()


def test_once_it_lists_with_its_own_kubectl(node1):
    words = command("sync", "--node", "node1", "--kubectl", "kubectl", "--kubeconfig", KUBECONFIG)
    with APIServer(node1, *(member(n) for n in (1, 2))):
        node1.run(*words)
        assert (cluster_file(node1), routes(node1)) == (content(2), expected(2))
    done = node1.run(*words, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(f"{PROGRAM}: kubectl listed no nodes: it ended with status 1\n")
    assert (cluster_file(node1), routes(node1)) == (content(2), expected(2))


def test_once_a_list_that_does_not_end_is_an_error(node1):
    kubectl = node1.path("/run/tmp/kubectl")
    kubectl.write_text("#!/bin/sh\nexec sleep 600\n")
    kubectl.chmod(0o755)
    # The wait of two minutes ends at once.
    done = node1.run("strace", "-o", "/dev/null", "-e", "trace=poll", "-e", "inject=poll:retval=0",
                     *command("sync", "--node", "node1", "--kubectl", "/run/tmp/kubectl"), check=False)
    assert (done.returncode, done.stderr) == (1, f"{PROGRAM}: kubectl did not finish the list of nodes within 120 s\n")


def test_killed_at_any_call_with_its_own_kubectl_it_leaves_file_and_routes_whole(node1):
    words = command("sync", "--node", "node1", "--kubectl", "kubectl", "--kubeconfig", KUBECONFIG)
    calls = "openat,unlinkat,read,write,fsync,renameat,sendto,pipe2,wait4"
    killed = 0
    with APIServer(node1, *(member(n) for n in (1, 3, 4))):
        for number in range(1, 200):
            sync(node1, listed(*(member(n) for n in (1, 2, 3))))
            done = node1.run(
                "strace", "-o", "/dev/null", "-e", f"trace={calls}",
                "-e", f"inject={calls}:signal=KILL:when={number}", *words, check=False)
            assert cluster_file(node1) in (content(2, 3), content(3, 4))
            if done.returncode == 0:
                break
            killed += 1
            assert set(routes(node1)) - {*expected(2), *expected(4)} == set(expected(3))
            node1.run(*words)
            assert (cluster_file(node1), routes(node1)) == (content(3, 4), expected(3, 4))
    assert killed >= 15


def test_a_kubectl_that_is_not_there_is_named(node1):
    done = node1.run(*command("sync", "--node", "node1", "--kubectl", "/nowhere/kubectl"), check=False)
    assert done.returncode == 1 and "/nowhere/kubectl" in done.stderr


def test_the_pauses_begin_with_one_second_where_kubectl_cannot_be_started(node1):
    process = start(node1, *command("sync", "--watch", "--node", "node1", "--kubectl", "/nowhere/kubectl"))

    def pauses():
        return re.findall(r"/nowhere/kubectl.* is started again in (\d+) s", said(node1))

    eventually(lambda: len(pauses()) >= 3)
    assert pauses()[:3] == ["1", "2", "4"] and process.poll() is None


# Prints a part of a list at its first start, and ends.
BREAKING_OFF = """#!/bin/sh
case "$*" in *watch=*) exec sleep 600;; esac
if mkdir /run/tmp/began 2>/dev/null; then cat /run/tmp/part; exit 1; fi
exec cat /run/tmp/list
"""


def test_the_nodes_of_a_list_that_breaks_off_are_forgotten(node1):
    whole = node_list(*(member(n) for n in (1, 2, 3)))
    node1.path("/run/tmp/part").write_text(whole[:whole.rindex("]")])
    node1.path("/run/tmp/list").write_text(node_list(member(1), member(2)))
    kubectl = node1.path("/run/tmp/kubectl")
    kubectl.write_text(BREAKING_OFF)
    kubectl.chmod(0o755)
    start(node1, *command("sync", "--watch", "--node", "node1", "--kubectl", "/run/tmp/kubectl"))
    eventually(lambda: has_file(node1))
    assert cluster_file(node1) == content(2)


HEARTBEAT = "/run/humanz/sync.heartbeat"


def is_alive(node):
    """What a supervisor's probe says."""
    done = node.run(*command("sync", "--heartbeat", HEARTBEAT), check=False)
    assert done.returncode in (0, 1), done
    assert done.returncode == 0 or HEARTBEAT in done.stderr
    return done.returncode == 0


def age(node, seconds):
    """Makes the heartbeat older."""
    last = node.path(HEARTBEAT).stat().st_mtime
    os.utime(node.path(HEARTBEAT), (last - seconds,) * 2)


def test_a_sync_that_hangs_is_told_by_its_heartbeat(node1):
    assert not is_alive(node1)
    with APIServer(node1, *(member(n) for n in (1, 2))):
        process = start(node1, *command("sync", "--node", "node1", "--watch", "--kubectl", "kubectl",
                                        "--kubeconfig", KUBECONFIG, "--heartbeat", HEARTBEAT))
        eventually(lambda: routes(node1) == expected(2))
        eventually(lambda: node1.path(HEARTBEAT).exists())
        os.kill(child(process), signal.SIGSTOP)
        assert is_alive(node1)
        age(node1, 50)
        assert is_alive(node1)
        age(node1, 20)
        assert not is_alive(node1)
        # It goes on, and with it the heartbeat: at the next look of every ten seconds.
        # nsenter stops with its child.
        for one in (process.pid, child(process)):
            os.kill(one, signal.SIGCONT)
        eventually(lambda: is_alive(node1), seconds=20)
    # Without the API server it does all that it can.
    age(node1, 70)
    eventually(lambda: is_alive(node1), seconds=20)
    assert process.poll() is None
    os.kill(child(process), signal.SIGKILL)
    age(node1, 70)
    assert not is_alive(node1)


@pytest.mark.parametrize("option", ["--heartbeat", "--metrics"])
def test_a_file_to_keep_up_to_date_without_watch_is_wrong_usage(node1, option):
    done = node1.run(*command("sync", "--node", "node1", option, "/run/tmp/file"), check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"{PROGRAM}: {option} needs --watch")
