# SPDX-License-Identifier: Apache-2.0
"""Things planted where the suite keeps its files, names that try to leave their folders, and paths of others.

What has a test of its own elsewhere is not here: links on the way to a store, its lock and its attachment
files (ipam/test_ipam_store.py), the log (test_bad_input.py), the cluster file (ipam/test_cluster_file.py,
sync/test_sync.py).
"""

import json
import os
import shutil
import socket
import threading
import time

import pytest

from lab.attachment import Network
from lab.lease_store import Leases, checked
from lab.plugin_process import attachment, run_plugin
from lab.tool import Tool

IN_TIME = ["timeout", "5"]
STATION = "/run/humanz/ipam/net"


def put(path, kind):
    """Puts something in the place of a file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    match kind:
        case "fifo": os.mkfifo(path)
        case "folder": path.mkdir()
        case "full folder": (path / "file").mkdir(parents=True)
        case "link": path.symlink_to("/etc/passwd")
        case "loop": path.symlink_to(path.name)
        case "socket":
            with socket.socket(socket.AF_UNIX) as it:
                folder = os.open(path.parent, os.O_PATH)
                it.bind(f"/proc/self/fd/{folder}/{path.name}")
                os.close(folder)
        case "device": os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero


KINDS = ["fifo", "folder", "full folder", "link", "loop", "socket", "device"]


# The store

FILES = ["attachments/.new", "attachments/.lease", "attachments/.pools", "last_reserved_ip.0"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_place_of_a_file_of_the_store_is_replaced_or_named(node, name, kind):
    network = Leases(node, subnet="10.1.0.0/24")
    precious = node.run("cat", "/etc/passwd").stdout
    put(node.path(f"{STATION}/{name}"), kind)
    ended = network.run("ADD", "pod", namespace="/run/netns/x", under=IN_TIME)
    if ended.status:
        # The path, and what to do about it.
        ended.refused(5, f"{STATION}/{name}", "move it away")
        assert network.held() == {}
        network.run("DEL", "pod", namespace="/run/netns/x", under=IN_TIME).succeeded()
        there = node.path(f"{STATION}/{name}")
        shutil.rmtree(there) if there.is_dir() and not there.is_symlink() else there.unlink()
        network.run("ADD", "pod", namespace="/run/netns/x").succeeded()
    else:
        assert kind not in ("folder", "full folder")
    assert checked(network.directory) == {"10.1.0.2": "pod eth0"}
    assert node.run("cat", "/etc/passwd").stdout == precious


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_place_of_the_attachments_folder_is_named(node, kind):
    network = Leases(node, subnet="10.1.0.0/24")
    put(node.path(f"{STATION}/attachments"), kind)
    for verb in ("ADD", "DEL"):
        ended = network.run(verb, "pod", namespace="/run/netns/x", under=IN_TIME)
        if "folder" in kind:
            ended.succeeded()
        else:
            ended.refused(5, f"{STATION}/attachments", "move it away")


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_whose_file_is_none_is_not_given(node, kind):
    network = Leases(node, subnet="10.1.0.0/24")
    put(node.path(f"{STATION}/10.1.0.2"), kind)
    ended = network.run("ADD", "pod", namespace="/run/netns/x", under=IN_TIME).succeeded()
    address, = [ip["address"] for ip in ended.json["ips"]]
    # A FIFO without a writer reads as an empty file, which is no lease.
    assert address == ("10.1.0.2/24" if kind == "fifo" else "10.1.0.3/24")
    network.run("DEL", "pod", namespace="/run/netns/x", under=IN_TIME).succeeded()


# The node's lock

@pytest.mark.parametrize("kind", KINDS)
def test_the_nodes_lock_is_never_waited_for_and_never_followed(node, kind):
    network = Network(node, isGateway=True, ipam={"type": "humanz-ipam", "subnet": "10.1.0.0/24"})
    node.add_pod("pod")
    put(node.path("/run/humanz/node.lock"), kind)
    ended = network.run("ADD", "pod", under=IN_TIME)
    if kind not in ("fifo", "device"):
        ended.refused(5, "/run/humanz/node.lock")
        assert node.leases() == set() and [link["ifname"] for link in node.ip("link", pod="pod")] == ["lo"]
    else:
        ended.succeeded()
    network.run("DEL", "pod", under=IN_TIME).succeeded()


# The folder of configurations

@pytest.mark.parametrize("kind", KINDS)
def test_no_command_waits_for_what_is_in_the_folder_of_configurations(node, kind):
    tool = Tool(node)
    put(node.path("/run/cni/net.d/10-planted.conflist"), kind)
    for words in ([], ["ports"], ["leases"], ["routes"], ["lint"], ["metrics"]):
        done = node.run("timeout", "5", "/run/cni/bin/humanz", *words, check=False,
                        env={"CNI_CONF_DIR": "/run/cni/net.d"})
        assert done.returncode != 124, words
        if words == ["lint"]:
            assert "10-planted.conflist" in done.stdout + done.stderr
    assert tool.ports(as_json=True) is not None


# Names that try to leave their folders

OUTSIDE = ["../../../etc", "..", ".", "/etc/cron.d", "a/../../b", "", "a\nb", "-rf", "x" * 300]


@pytest.mark.parametrize("plugin", ["humanz-bridge", "humanz-ipam", "humanz-route"])
@pytest.mark.parametrize("verb", ["ADD", "DEL", "CHECK"])
def test_a_name_or_a_container_id_is_never_a_path(node, plugin, verb):
    node.add_pod("pod")
    for name in OUTSIDE:
        network = Network(node, plugin, name=name, subnet="10.1.0.0/24", network="10.0.0.0/8",
                          ipam={"type": "humanz-ipam", "subnet": "10.1.0.0/24"})
        network.run(verb, "pod").refused(7, '"name"')
        network.configuration["name"] = "net"
        network.run(verb, "pod", environment={"CNI_CONTAINERID": name}).refused(4, "CNI_CONTAINERID")
    assert not node.path("/run/humanz").exists() or [*node.path("/run/humanz").rglob("*")] == []


@pytest.mark.parametrize("name", [b"eth\xff0", b"\xc3", b"e\xed\xa0\x80"])
def test_an_interface_name_that_is_no_text_is_not_replaced_by_another(node, name):
    node.add_pod("pod")
    variables = {**attachment("ADD", "pod"), "CNI_IFNAME": os.fsdecode(name)}
    ended = run_plugin(node, "humanz-bridge", variables, Network(node).configuration)
    ended.refused(4, "CNI_IFNAME", "UTF-8")
    assert [link["ifname"] for link in node.ip("link", pod="pod")] == ["lo"]


# CNI_PATH

def test_relative_and_empty_entries_of_cni_path_lead_to_no_program(node):
    trap = node.path("/run/tmp/evil")
    trap.mkdir()
    (trap / "host-local").write_text("#!/bin/sh\ntouch /run/tmp/was-run\n")
    (trap / "host-local").chmod(0o755)
    network = Network(node, isGateway=True, ipam={"type": "host-local", "subnet": "10.1.0.0/24"})
    in_folder = ["env", "-C", "/run/tmp/evil"]
    node.add_pod("pod")
    for path in ("", ".", ":", "::", "evil", "../tmp/evil", "./"):
        environment = {"CNI_PATH": path}
        network.run("ADD", "pod", under=in_folder, environment=environment).refused(103, "relative folders are ignored", path)
        environment = {"CNI_PATH": f"{path}:/run/cni/bin"}
        network.run("ADD", "pod", under=in_folder, environment=environment).succeeded()
        network.run("DEL", "pod", under=in_folder, environment=environment).succeeded()
    assert not node.path("/run/tmp/was-run").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_delegate_that_is_no_program_is_not_run(node, kind):
    put(node.path("/run/tmp/path/host-local"), kind)
    network = Network(node, ipam={"type": "host-local", "subnet": "10.1.0.0/24"})
    node.add_pod("pod")
    network.run("ADD", "pod", under=IN_TIME, environment={"CNI_PATH": "/run/tmp/path"}).refused(
        103, "host-local")


# Files of another owner

def test_a_store_of_another_user_is_used_without_following_its_links(node):
    network = Leases(node, subnet="10.1.0.0/24", dataDir="/run/theirs")
    node.path("/run/precious").write_text("precious")
    folder = node.path("/run/theirs/net")
    (folder / "attachments").mkdir(parents=True)
    for path in (folder.parent, folder, folder / "attachments"):
        os.chown(path, 1000, 1000)
        path.chmod(0o777)
    for name in ("attachments/.new", "attachments/.lease", "attachments/.pools", "attachments/pod:eth0"):
        (folder / name).symlink_to("/run/precious")
    network.lease("pod")
    assert node.path("/run/precious").read_text() == "precious"
    network.release("pod")
    assert network.held() == {}


# Between two steps of a call

@pytest.mark.parametrize("place", ["store", "attachments", "file"])
def test_what_is_swapped_while_a_call_runs_leads_it_nowhere_else(node, place):
    """Another user, to whom the parent folder belongs, exchanges folders and links without end."""
    network = Leases(node, subnet="10.1.0.0/24", dataDir="/run/theirs", logFile="")
    outside = node.path("/run/outside")
    outside.mkdir()
    base = node.path("/run/theirs")
    (base / "net/attachments").mkdir(parents=True)
    os.chown(base, 1000, 1000)
    swapped = {"store": base / "net", "attachments": base / "net/attachments",
               "file": base / "net/attachments/.new"}[place]
    away = swapped.with_name(f"{swapped.name}-away")
    is_over = threading.Event()

    def swap():
        while not is_over.is_set():
            try:
                if place != "file":
                    os.rename(swapped, away)
                os.symlink("/run/outside", swapped)
                time.sleep(0.0005)
                os.unlink(swapped)
                if place != "file":
                    os.rename(away, swapped)
            except OSError:
                pass

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        answers = [network.run(verb, f"pod{n % 7}", namespace="/run/netns/x", under=IN_TIME)
                   for n in range(60) for verb in ("ADD", "DEL")]
    finally:
        is_over.set()
        thread.join()
    assert [*outside.iterdir()] == []
    for ended in answers:
        assert ended.status == 0 or json.loads(ended.stdout)["code"] in (5, 122), str(ended)
