# SPDX-License-Identifier: Apache-2.0
"""Real container runtimes on a node: podman, and containerd called over CRI.

Both have the same methods: a pod is one container that serves its host name over HTTP. The network is the one
whose configuration is in the node's folder when the runtime is created.
"""

import json
import socket
import subprocess
import time

from lab import cri
from lab.isolated_node import NETWORKS, PLUGINS, busybox_image

IMAGE = "humanz.test/busybox:latest"
SERVE = ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/etc"]


def fetch_from(address):
    """The command a pod runs to ask another for its host name."""
    return ["/bin/busybox", "wget", "-q", "-O", "-", f"http://{address}/hostname"]


def accepts(path):
    """Whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(path)) == 0


# Settings without which podman needs a whole machine: the tests may run in a container.
PODMAN_WITHOUT_A_MACHINE = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
[containers]
oom_score_adj = 0
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""


class Podman:
    """podman with its CNI backend: no daemon, but a `conmon` process for each container."""

    NETWORK = "humanz"
    CONFIGURATION = f"""
[network]
network_backend = "cni"
cni_plugin_dirs = ["{PLUGINS}"]
network_config_dir = "{NETWORKS}"
{PODMAN_WITHOUT_A_MACHINE}"""
    OWN = {"conmon"}

    def __init__(self, node):
        self.node = node
        node.path("/run/containers.conf").write_text(self.CONFIGURATION)
        node.path("/run/tmp/image.tar").write_bytes(busybox_image(IMAGE))
        self._podman("load", "--input", "/run/tmp/image.tar")

    def _podman(self, *words):
        return self.node.run(
            "podman", "--storage-driver", "vfs", *words,
            env={"CONTAINERS_CONF": "/run/containers.conf"}).stdout

    def run(self, name, ports=()):
        publish = [f"--publish={outside}:{inside}" for outside, inside in ports]
        self._podman("run", "--detach", "--name", name, "--hostname", name, *publish,
                     "--network", self.NETWORK, "--cgroup-parent", f"/{self.node.cgroup}",
                     "--entrypoint", json.dumps(SERVE), IMAGE)

    def address(self, name):
        networks = json.loads(
            self._podman("inspect", name, "--format", "{{json .NetworkSettings.Networks}}"))
        return networks[self.NETWORK]["IPAddress"]

    def fetch(self, name, address):
        return self._podman("exec", name, *fetch_from(address)).strip()

    def remove(self, *names):
        self._podman("rm", "--force", "--time", "0", *names)

    def start(self):
        """Nothing to start: podman has no daemon."""

    def close(self):
        """Nothing to end: podman has no daemon."""


class Containerd:
    """containerd with runc, called as a kubelet calls it."""

    CONFIGURATION = f"""
        version = 2
        root = "/var/lib/containerd"
        state = "/run/containerd"
        disabled_plugins = ["io.containerd.internal.v1.opt"]
        [grpc]
        address = "/run/containerd/containerd.sock"
        [plugins."io.containerd.grpc.v1.cri"]
        sandbox_image = "{IMAGE}"
        disable_apparmor = true
        disable_tcp_service = true
        restrict_oom_score_adj = true
        [plugins."io.containerd.grpc.v1.cri".cni]
        bin_dir = "{PLUGINS}"
        conf_dir = "{NETWORKS}"
        [plugins."io.containerd.grpc.v1.cri".containerd]
        snapshotter = "native"
    """
    OWN = {"containerd"}
    # The conditions that a kubelet waits for.
    READY = {"RuntimeReady", "NetworkReady"}

    def __init__(self, node):
        self.node = node
        self._pods = {}
        node.path("/run/containerd.toml").write_text(self.CONFIGURATION)
        node.path("/run/tmp/image.tar").write_bytes(busybox_image(IMAGE))
        self.start()
        node.run("ctr", "--namespace", "k8s.io", "images", "import", "/run/tmp/image.tar")

    def start(self):
        self._runtime = None
        with open(self.node.path("/var/log/containerd.log"), "a") as log:
            self.node.start(
                "containerd", "--config", "/run/containerd.toml", stdout=log,
                stderr=subprocess.STDOUT)
        path = self.node.path("/run/containerd/containerd.sock")
        for _ in range(300):
            if accepts(path):
                self._runtime = self._runtime or cri.Runtime(path)
                if self._runtime.conditions() >= self.READY:
                    return
            time.sleep(0.1)
        raise AssertionError(self.node.path("/var/log/containerd.log").read_text())

    def run(self, name, ports=()):
        cgroup = f"/{self.node.cgroup}"
        pod = self._runtime.run_sandbox(name, cgroup, ports)
        self._pods[name] = pod, self._runtime.run_container(pod, name, cgroup, IMAGE, *SERVE)

    def address(self, name):
        return self._runtime.address(self._pods[name][0])

    def fetch(self, name, address):
        return self._runtime.execute(self._pods[name][1], *fetch_from(address)).strip()

    def remove(self, *names):
        for name in names:
            self._runtime.stop_sandbox(self._pods[name][0])
            self._runtime.remove_sandbox(self._pods[name][0])
        left = self._runtime.sandboxes()
        assert not left & {self._pods.pop(name)[0] for name in names}

    def close(self):
        if self._runtime:
            self._runtime.close()
