# SPDX-License-Identifier: Apache-2.0
"""Nodes for tests: each is a set of namespaces with its own folders, and ends with one process.

A node has its own network, mount, PID, IPC and UTS namespaces, and empty /run, /var/lib and /var/log. What a
runtime or a plugin writes there is private to the node, so conflists run as they are shipped. Killing the
node's first process ends every process, mount and interface.
"""

import json
import os
import pathlib
import shutil
import subprocess
import uuid
import zlib

from lab.waiting import patience

ROOT = pathlib.Path(__file__).resolve().parents[3]
OURS = ROOT / "bin"
THEIRS = pathlib.Path("/usr/lib/cni")

PLUGINS = "/run/cni/bin"
NETWORKS = "/run/cni/net.d"

_FIRST_PROCESS = """
set -e
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=0755 tmpfs $folder; done
mkdir -p /run/netns /run/lock /run/cni/bin /run/cni/net.d /run/tmp
ln -s "$@" /run/cni/bin/
ip link set lo up
echo ready
read
"""

_CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Node:
    """A node; its name is for messages. `close` or the end of a `with` ends it."""

    def __init__(self, name):
        self.name = name
        # The control group of what runtimes start: `close` removes what a killed runtime left in it.
        self.cgroup = f"humanz-{uuid.uuid4().hex[:12]}"
        self._unshare = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
             "--mount-proc", "--propagation", "private", *self.first_process()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self._unshare.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(f"{name} did not start: it needs root and namespaces")
        children = pathlib.Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self.pid = int(children.read_text())

    def first_process(self):
        """The command that makes the node's folders, prints "ready" and reads stdin until end of file."""
        programs = sorted(THEIRS.iterdir()) + sorted(
            path for path in OURS.iterdir() if path.is_file() and os.access(path, os.X_OK))
        return ["bash", "-c", _FIRST_PROCESS, "node", *map(str, programs)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # The first process exits at end of file; with it the kernel ends all others.
        self._unshare.stdin.close()
        self._unshare.wait()
        self._unshare.stdout.close()
        for parent in [*_CGROUPS.glob(f"*/{self.cgroup}"), *_CGROUPS.glob(self.cgroup)]:
            for folder, _, _ in os.walk(parent, topdown=False):
                os.rmdir(folder)

    def entered(self, *command, pod=None):
        """The command line that runs a command on the node, or in a pod's network namespace."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-i", "-u"]
        if pod is None:
            return [*enter, "-n", *map(str, command)]
        return [*enter, f"--net={self.path('/run/netns')}/{pod}", *map(str, command)]

    def run(self, *command, pod=None, check=True, timeout=30, env=None, input=None):
        """Runs a command to its end; captures its output as text."""
        done = subprocess.run(
            self.entered(*command, pod=pod), input=input, capture_output=True, text=True,
            timeout=patience(timeout), env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL if input is None else None)
        if check and done.returncode:
            raise AssertionError(
                f"{self.name}# {' '.join(map(str, command))}: {done.returncode}\n"
                f"{done.stdout}{done.stderr}")
        return done

    def start(self, *command, pod=None, **options):
        """Starts a command without waiting for it; it ends with the node at the latest."""
        return subprocess.Popen(
            self.entered(*command, pod=pod), start_new_session=True,
            **{"stdin": subprocess.DEVNULL, **options})

    def path(self, path):
        """The path outside the node of a path on the node."""
        return pathlib.Path(f"/proc/{self.pid}/root{path}")

    def add_pod(self, name):
        """Makes an empty network namespace and returns its path on the node."""
        self.run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up", pod=name)
        return f"/run/netns/{name}"

    def remove_pod(self, name):
        self.run("ip", "netns", "del", name)

    def ip(self, *words, pod=None):
        """The output of `ip -json`."""
        answer = self.run("ip", "-json", *words, pod=pod).stdout
        return json.loads(answer) if answer.strip() else []

    def leases(self, folders=("/run/humanz/ipam", "/var/lib/cni/networks")):
        """The leased addresses of every network in these folders, by default those of both suites."""
        stores = [store for folder in folders for store in self.path(folder).glob("*")]
        return {entry.name for store in stores for entry in store.iterdir()
                if entry.name[0].isdigit() or entry.name.startswith("fd")}

    def traces(self):
        """What attachments leave on a node, for a comparison before and after."""
        # In one process, since tests call this hundreds of times.
        questions = ["ip -json link", "ip -json -4 route", "ip -json -6 route", "ip -json neigh",
                     "nft list ruleset"]
        *answers, nft = self.run(
            "sh", "-ec", "; printf '\\0'; ".join(questions)).stdout.split("\0")
        links, routes4, routes6, neighbours = (json.loads(answer or "[]") for answer in answers)
        return {
            "links": sorted(link["ifname"] for link in links),
            "routes": sorted(f"{route['dst']} {route.get('dev')} {route.get('gateway')}"
                             for route in routes4 + routes6),
            "leases": sorted(self.leases()),
            "nft": nft,
            "neighbours": sorted(entry["dst"] for entry in neighbours
                                 if not entry["dst"].startswith("fe80")),
        }


class Segment:
    """A switch that connects nodes by their uplinks."""

    def __init__(self):
        self.node = Node("segment")
        self.node.run("ip", "link", "add", "lan", "type", "bridge")
        self.node.run("ip", "link", "set", "lan", "up")

    def join(self, node, uplink, *addresses):
        """Gives a node an uplink; disconnects an earlier node of that name."""
        port = f"to-{node.name}"
        # A node that replaces another has the same MAC address, so its neighbours' entries stay right.
        hardware = "02:00:" + ":".join(f"{byte:02x}" for byte in zlib.crc32(port.encode()).to_bytes(4, "big"))
        self.node.run("ip", "link", "delete", port, check=False)
        # The node's process ID is known outside the segment only, so `ip` runs from here.
        subprocess.run(
            ["nsenter", "-t", str(self.node.pid), "-n", "ip", "link", "add", port, "type", "veth",
             "peer", "name", uplink, "address", hardware, "netns", str(node.pid)], check=True)
        self.node.run("ip", "link", "set", port, "master", "lan", "up")
        # No duplicate address detection: the uplink of a real node has long been up.
        node.run("sysctl", "-q", "-w", f"net.ipv6.conf.{uplink}.accept_dad=0")
        node.run("ip", "link", "set", uplink, "up")
        for address in addresses:
            node.run("ip", "address", "add", address, "dev", uplink, "nodad")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.node.close()


def busybox_image(name, commands=()):
    """A container image in Docker's archive format, with Debian's static busybox, which sleeps. With `commands`
    it has busybox under each of these names instead, and no command to start."""
    import hashlib
    import io
    import platform
    import tarfile

    def archive(members):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path, content in members:
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))
            for command in commands if "manifest.json" not in dict(members) else ():
                entry = tarfile.TarInfo(f"bin/{command}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
        return packed.getvalue()

    layer = archive([("bin/busybox", pathlib.Path(shutil.which("busybox")).read_bytes())])
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    configuration = json.dumps({
        "architecture": architecture, "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]} if commands else
        {"Entrypoint": ["/bin/busybox", "sleep", "infinity"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    return archive([("config.json", configuration), ("layer.tar", layer),
                    ("manifest.json", json.dumps(manifest).encode())])
