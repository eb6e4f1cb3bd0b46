"""The service humanz-route-sync as systemd would run it, fed by kubectl itself."""

import re
import shlex
import subprocess

import pytest

from lab.api_server import KUBECONFIG, APIServer
from lab.cluster import CLUSTER_FILE, by_families
from lab.isolated_node import PLUGINS, ROOT
from lab.kubernetes import changed
from lab.tool import SPEAKER, command_line
from lab.waiting import eventually, patience
from sync.expected import cluster_file, content, expected, inode, member, routes

UNIT = "humanz-route-sync.service"
SAID = "/run/tmp/said"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The unit as `make install` puts it into place for the nodes' folder of plugins."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(
        ["make", "-C", ROOT, "-o", "build", "install", f"DESTDIR={root}", f"CNI_BIN_DIR={PLUGINS}",
         f"BIN_DIR={PLUGINS}", "SHARE_DIR=/share", "UNIT_DIR=/units", "CNI_CONF_DIR=/conflists"], check=True, capture_output=True)
    return root / "units" / UNIT


def service(unit, node):
    """Starts what the unit starts, with what it has in its environment and in its file for that."""
    text = unit.read_text().replace("\\\n", " ")
    lines = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    command = shlex.split(lines["ExecStart"].replace("$$", "$"))
    environment = dict(pair.split("=") for pair in lines["Environment"].split())
    assert environment.keys() == {"NODE", "KUBECONFIG"}
    return start(node, *command)


def start(node, *command):
    """Starts a command with a name for the node and kubectl's configuration."""
    with node.path(SAID).open("w") as said:
        return node.start(
            "env", "NODE=node1", f"KUBECONFIG={KUBECONFIG}", "HOME=/run/tmp", *command,
            stdout=subprocess.DEVNULL, stderr=said)


def end(node, process):
    """Waits for the first process's end, which is the service's: systemd ends the others then."""
    return process.wait(timeout=patience(30)), node.path(SAID).read_text()


def has_file(node):
    return node.path(CLUSTER_FILE).exists()


def test_systemd_finds_nothing_wrong_with_the_unit(installed):
    done = subprocess.run(["systemd-analyze", "verify", installed], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_names_the_installed_program(installed):
    assert f"{command_line('sync')} --watch" in installed.read_text()
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
        assert end(node1, process) == (1, f"{SPEAKER}: stdin: the stream of nodes has ended\n")


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
        assert process.poll() is None
        # The end of the watch is the end of the service, for systemd to start it anew.
        server.close_watches()
        assert end(node1, process) == (1, f"{SPEAKER}: stdin: the stream of nodes has ended\n")


def test_a_service_that_starts_again_finds_who_left_meanwhile_and_changes_nothing_else(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))) as server:
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2, 3))
        process.kill()
        process.wait()
        server.tell("DELETED", member(3))
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2))


def test_who_leaves_between_list_and_watch_does_not_leave_unseen(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))) as server:
        server.tell_after_list("DELETED", member(3))
        service(installed, node1)
        eventually(lambda: has_file(node1) and cluster_file(node1) == content(2))
        assert routes(node1) == expected(2)


def test_a_cluster_that_does_not_answer_ends_the_service_and_changes_nothing(installed, node1):
    with APIServer(node1, *(member(n) for n in (1, 2, 3))):
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2, 3))
        before = inode(node1)
    status, _ = end(node1, process)
    assert status == 1
    status, said = end(node1, service(installed, node1))
    assert status == 1 and "stdin: the stream of nodes has ended" in said
    assert (routes(node1), inode(node1)) == (expected(2, 3), before)


def test_the_end_of_humanz_is_the_end_of_the_service(installed, node1):
    """The process that systemd started is humanz: at its end systemd ends the rest."""
    with APIServer(node1, *(member(n) for n in (1, 2))) as server:
        process = service(installed, node1)
        eventually(lambda: routes(node1) == expected(2))
        server.tell("DELETED", member(1))
        status, said = end(node1, process)
        assert status == 1 and "the cluster has no node node1" in said
