# SPDX-License-Identifier: Apache-2.0
"""Every command that the README and the other documents show, typed on clean machines.

package/test_texts.py checks that each block of commands belongs to one of these stories.
"""

import contextlib
import dataclasses
import json
import re
import subprocess
import time

import pytest

from lab.clean_root import Machine, package
from lab.commands import Document
from lab.isolated_node import ROOT, Segment, busybox_image
from lab.runtimes import PODMAN_WITHOUT_A_MACHINE, accepts
from lab.waiting import eventually

README = Document(ROOT / "README.md")
CONFLIST = Document(ROOT / "Documentation/conflist.md")
MIGRATION = Document(ROOT / "Documentation/migration.md")

STORAGE_CONF = """
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
IMAGE = "docker.io/library/busybox:latest"


# What was typed for a test, with how long each command took.
_TIMES = []


@pytest.fixture(autouse=True)
def times(record_property):
    _TIMES.clear()
    yield
    record_property("typed", f"{len(_TIMES)} commands, which took {sum(_TIMES):.1f} s")


def shell(machine, line):
    start = time.monotonic()
    done = machine.shell(line, timeout=120)
    _TIMES.append(time.monotonic() - start)
    return done


def typed(machine, line):
    """Types a line that succeeds; gives what it printed."""
    done = shell(machine, line)
    assert done.returncode == 0, f"{machine.name}# {line}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def machines(*names, pattern="humanz_*_amd64.deb"):
    """Machines on the segment of the README's nodes; node1 has 200.0.0.10."""
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment())
        found = {}
        for name in names:
            machine = stack.enter_context(Machine(name, package(pattern)))
            number = int(name[-1]) if name[-1].isdigit() else 1
            segment.join(machine, "eth0", f"200.0.0.{number}0/24")
            found[name] = machine
        yield found


def type_block(machine, block):
    """Runs a block's commands in a shell, or writes its file."""
    if block.kind == "json":
        path = machine.path(block.words[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(block.lines) + "\n")
        json.loads(path.read_text())
    else:
        block.type(lambda line: shell(machine, line))


def install(machine):
    for block in README.story("package"):
        type_block(machine, block)


def give_podman_an_image(machine):
    machine.checked_shell("mkdir -p /etc/containers")
    machine.path("/etc/containers/containers.conf").write_text(PODMAN_WITHOUT_A_MACHINE)
    machine.path("/etc/containers/storage.conf").write_text(STORAGE_CONF)
    machine.path("/run/tmp/image.tar").write_bytes(shell_image())
    machine.checked_shell("podman load --input /run/tmp/image.tar")


def shell_image():
    """Busybox as its official image has it: each command under its own name, and no command to start."""
    return busybox_image(IMAGE, commands=("sleep", "ping", "httpd", "wget"))


def start_containerd(machine):
    machine.checked_shell("mkdir -p /etc/containerd")
    machine.path("/etc/containerd/config.toml").write_text(
        'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n')
    with open(machine.path("/var/log/containerd.log"), "w") as log:
        machine.start("containerd", stdout=log, stderr=subprocess.STDOUT)
    eventually(lambda: accepts(machine.path("/run/containerd/containerd.sock")), what="containerd")
    machine.path("/run/tmp/image.tar").write_bytes(shell_image())
    machine.checked_shell("ctr image import --snapshotter native /run/tmp/image.tar")


def test_podman_by_the_readme_then_uninstalled_by_it():
    with machines("node1") as found:
        node = found["node1"]
        install(node)
        give_podman_an_image(node)
        for block in README.story("podman"):
            type_block(node, block)
        node.checked_shell("podman rm --force --time 0 --all")
        assert node.leases() == set()
        for block in README.story("uninstall"):
            type_block(node, block)
        assert [link["ifname"] for link in node.ip("link")] == ["lo", "eth0"]
        assert node.ip("route", "show", "proto", "72") == []
        assert "humanz" not in node.checked_shell("nft list ruleset; ls /usr/bin /usr/lib/cni /run /etc/logrotate.d")


def test_the_podman_recipe_from_the_rpm_package():
    """On a Debian, whose packages rpm does not know."""
    with machines("node1", pattern="humanz-*.x86_64.rpm") as found:
        node = found["node1"]
        typed(node, f"rpm --nodeps -i ./dist/{package('humanz-*.x86_64.rpm').name}")
        give_podman_an_image(node)
        for block in README.story("podman"):
            type_block(node, block)


def test_the_archive_by_the_readme_then_uninstalled():
    with machines("node1", pattern="humanz-linux-amd64-*.tgz") as found:
        node = found["node1"]
        for block in README.story("archive"):
            type_block(node, block)
        assert typed(node, "humanz --version").startswith("humanz ")
        start_containerd(node)
        typed(node, f"ctr run --rm --cni {IMAGE} one ping -c 1 -W 2 100.100.0.1")
        typed(node, "humanz uninstall --network")
        assert "humanz" not in typed(node, "ls /opt/cni/bin /etc/cni/net.d; nft list ruleset; ip link; ip route")


def for_node3(block):
    """A block for node 2 as the reader changes it for node 3."""
    names = {"node2": "node3", "node3": "node2", "100.100.1.0/24": "100.100.2.0/24",
             "100.100.2.0/24": "100.100.1.0/24", "200.0.0.20": "200.0.0.30", "200.0.0.30": "200.0.0.20"}
    lines = [re.sub(r"node[23]|[\d.]+(?:/24)?", lambda found: names.get(found[0], found[0]), line)
             for line in block.lines]
    return dataclasses.replace(block, lines=lines)


def test_three_nodes_by_the_readme():
    with machines("node1", "node2", "node3") as found:
        for node in found.values():
            install(node)
            give_podman_an_image(node)
        for block in README.story("nodes"):
            type_block(found[block.words[1]], block)
            if block.words[1] == "node2":
                type_block(found["node3"], for_node3(block))
        two, three = found["node2"], found["node3"]
        typed(two, f"podman run -d --name two --network humanz {IMAGE} sleep infinity")
        said = typed(three, f"podman run --rm --cap-add net_raw --network humanz {IMAGE} ping -c 1 100.100.1.3")
        assert "1 packets received" in said


# The links, addresses and routes that the tutorial's plugin makes for a pod.
TUTORIAL = """
ip link add humanz-cni0 type bridge
ip address add 100.100.0.1/24 dev humanz-cni0
ip link set humanz-cni0 up
ip netns add old
ip link add veth1 type veth peer name eth0 netns old
ip link set veth1 master humanz-cni0 up
ip -n old address add 100.100.0.2/24 dev eth0
ip -n old link set eth0 up
ip -n old route add default via 100.100.0.1
ip route add 100.100.1.0/24 via 200.0.0.20
"""
TUTORIAL_FILE = {"cniVersion": "0.3.1", "name": "humanz", "type": "humanz-cni", "bridge": "humanz-cni0",
                 "network": "100.100.0.0/16", "subnet": "100.100.0.0/24"}


def test_the_way_from_the_tutorial_and_back():
    with machines("node1") as found:
        node = found["node1"]
        install(node)
        file = node.path("/etc/cni/net.d/10-humanz.conf")
        file.write_text(json.dumps(TUTORIAL_FILE))
        node.checked_shell(TUTORIAL.strip().replace("\n", " && "))
        files = sorted(path.name for path in file.parent.iterdir())
        assert files[0] == "10-humanz.conf", "the runtime uses the first file"
        for block in MIGRATION.story("tutorial"):
            type_block(node, block)
            node.checked_shell("ip netns exec old ping -c 1 -W 2 100.100.0.1")
        assert sorted(path.name for path in file.parent.iterdir()) == files
        assert json.loads(file.read_text()) == TUTORIAL_FILE
        # The route that the tutorial added by hand was left as it is.
        assert "proto" not in node.checked_shell("ip route show 100.100.1.0/24")
        assert node.leases() == set()


def test_the_way_from_bridge_and_host_local_and_back_with_a_pod_that_runs():
    with machines("node1") as found:
        node = found["node1"]
        install(node)
        give_podman_an_image(node)
        node.checked_shell("mkdir -p /etc/containers/containers.conf.d && "
                  "printf '[network]\\nnetwork_backend = \"cni\"\\n' >/etc/containers/containers.conf.d/cni.conf")
        before = node.checked_shell("cat /etc/cni/net.d/87-podman-bridge.conflist")
        node.checked_shell(f"podman run -d --name old --network podman {IMAGE} httpd -f -h /etc")
        assert node.leases() == {"10.88.0.2"}
        for block in MIGRATION.story("bridge"):
            type_block(node, block)
            node.checked_shell("curl -sS --max-time 5 http://10.88.0.2/hostname")
        assert node.checked_shell("cat /etc/cni/net.d/87-podman-bridge.conflist") == before
        node.checked_shell("podman rm -f -t 0 old")
        assert node.leases() == set()
        assert not [link for link in node.ip("link") if link["ifname"].startswith("veth")]
        assert "10.88." not in node.checked_shell("iptables-save; nft list ruleset")


def test_a_pod_of_before_is_deleted_by_the_new_plugins():
    """As with a runtime that keeps no copy of the file, such as containerd."""
    with machines("node1") as found:
        node = found["node1"]
        install(node)
        run = "humanz run {} /etc/cni/net.d/87-podman-bridge.conflist old"
        node.checked_shell("ip netns add old")
        node.checked_shell(run.format("add"))
        assert node.leases() == {"10.88.0.2"}
        type_block(node, MIGRATION.story("bridge")[0])
        node.checked_shell(run.format("del"))
        assert node.leases() == set()
        assert "humanz-bridge DEL" in node.path("/var/log/humanz_cni.log").read_text()
        assert "10.88." not in node.checked_shell("iptables-save; nft list ruleset")
        assert not [link for link in node.ip("link") if link["ifname"].startswith("veth")]


def test_containerd_by_the_readme():
    with machines("node1") as found:
        node = found["node1"]
        install(node)
        start_containerd(node)
        for block in README.story("containerd"):
            type_block(node, block)


def test_a_file_is_tried_as_its_manual_says():
    with machines("node1") as found:
        node = found["node1"]
        install(node)
        node.checked_shell("cp /usr/share/doc/humanz/examples/10-humanz.conflist /etc/cni/net.d/")
        # The next hops of the example's peers are on this segment.
        for block in CONFLIST.story("try"):
            type_block(node, block)
        assert node.leases() == set()
