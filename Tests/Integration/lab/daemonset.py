# SPDX-License-Identifier: Apache-2.0
"""The pod of a DaemonSet on a node's containerd, started from the manifest as a kubelet does it."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import yaml

from lab import cri
from lab.isolated_node import ROOT
from lab.runtimes import Containerd
from lab.waiting import eventually

# The manifest names folders of the host: they are mapped to folders of the node.
PLACES = {"/opt/cni/bin": "/run/opt/cni/bin", "/etc/cni/net.d": "/run/etc/cni/net.d"}
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

_NODE_NETWORK = {1: 2}
_EXITED = 2


def manifest():
    """The documents of deploy/humanz.yaml, by kind."""
    return {document["kind"]: document for document in
            yaml.safe_load_all((ROOT / "deploy" / "humanz.yaml").read_text())}


class KubeletsContainerd(Containerd):
    """containerd on a node whose plugins and configurations come from the DaemonSet."""

    CONFIGURATION = Containerd.CONFIGURATION
    for _theirs, _place in (("/run/cni/bin", PLACES["/opt/cni/bin"]), ("/run/cni/net.d", PLACES["/etc/cni/net.d"])):
        CONFIGURATION = CONFIGURATION.replace(f'"{_theirs}"', f'"{_place}"')
    READY = {"RuntimeReady"}

    def load(self, archive):
        """Imports an image."""
        self.node.run("ctr", "--namespace", "k8s.io", "images", "import", archive, timeout=120)

    def call(self, method, message):
        return self._runtime.call(method, message)

    def namespace(self, pod):
        """The network namespace of a pod."""
        for entry in self.call("PodSandboxStatus", {1: self._pods[pod][0], 2: 1})[2]:
            fields = cri.decode(entry)
            if fields[1][0] == b"info":
                namespaces = json.loads(fields[2][0])["runtimeSpec"]["linux"]["namespaces"]
                return next(one["path"] for one in namespaces if one["type"] == "network")
        raise AssertionError("the runtime does not report the namespace")


class DaemonSetPod:
    """The DaemonSet's pod on one node; `api` is the address and port of the API server."""

    def __init__(self, runtime, name, api, account):
        self.runtime, self.node, self.name = runtime, runtime.node, name
        self.api = api
        self._folders = {"account": "/run/volumes/account"}
        self._write("account", account)
        self._started = 0

    def _write(self, volume, files):
        """Makes a volume's folder of some files."""
        folder = self.node.path(f"/run/volumes/{volume}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)

    def _make_volumes(self, documents):
        for volume in self.spec["volumes"]:
            if "hostPath" in volume:
                path = PLACES.get(volume["hostPath"]["path"], volume["hostPath"]["path"])
                self.node.path(path).mkdir(parents=True, exist_ok=True)
            else:
                assert volume["configMap"]["name"] == documents["ConfigMap"]["metadata"]["name"]
                path = f"/run/volumes/{volume['name']}"
                self._write(volume["name"], documents["ConfigMap"]["data"])
            self._folders[volume["name"]] = path

    def start(self, documents):
        """Runs the init container of the DaemonSet among the documents to its end, then the other one."""
        self.spec = documents["DaemonSet"]["spec"]["template"]["spec"]
        assert self.spec["hostNetwork"]
        self._make_volumes(documents)
        self._started += 1
        identity = f"{self.name}-humanz-{self._started}"
        metadata = {1: identity, 2: f"uid-of-{identity}", 3: "humanz"}
        self._pod = {1: metadata, 6: [], 8: {1: f"/{self.node.cgroup}", 2: {1: _NODE_NETWORK}}}
        self._sandbox = self.runtime.call("RunPodSandbox", {1: self._pod})[1][0].decode()
        for container in self.spec["initContainers"]:
            identity = self._run(container)
            assert self.end(identity) == 0, self.status(identity)
        self._start_container()

    def _start_container(self):
        container, = self.spec["containers"]
        self.container = self._run(container)
        self._probes = {name: container[f"{name}Probe"]["exec"]["command"] for name in ("readiness", "liveness")}

    def restart(self):
        """Replaces the container, as a kubelet does if it is not alive."""
        self.runtime.call("StopContainer", {1: self.container, 2: 1})
        self.runtime.call("RemoveContainer", {1: self.container})
        self._start_container()

    def _run(self, container):
        words = [re.sub(r"\$\((\w+)\)", lambda found: self._environment(container)[found[1]], word)
                 for word in container["command"]]
        security = container["securityContext"]
        capabilities = {number: security["capabilities"][key] for number, key in ((1, "add"), (2, "drop"))
                        if key in security["capabilities"]}
        mounts = [{1: mount["mountPath"], 2: self._folders[mount["name"]], 3: int(mount.get("readOnly", False))}
                  for mount in [*container["volumeMounts"], {
                      "name": "account", "mountPath": ACCOUNT, "readOnly": True}]]
        configuration = {
            1: {1: container["name"]}, 2: {1: container["image"]}, 3: words, 7: mounts,
            6: [{1: key, 2: value} for key, value in self._environment(container).items()],
            15: {2: {1: capabilities, 3: _NODE_NETWORK, 7: int(security["readOnlyRootFilesystem"]), 11: 1}}}
        request = {1: self._sandbox, 2: configuration, 3: self._pod}
        identity = self.runtime.call("CreateContainer", request)[1][0].decode()
        self.runtime.call("StartContainer", {1: identity})
        return identity

    def _environment(self, container):
        host, port = self.api
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
        for one in container.get("env", []):
            assert one["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
            environment[one["name"]] = self.name
        return environment

    def _status(self, identity):
        return cri.decode(self.runtime.call("ContainerStatus", {1: identity})[1][0])

    def is_running(self):
        return self._status(self.container).get(3) == [1]

    def end(self, identity):
        """Waits for a container's end; returns its exit status."""
        eventually(lambda: self._status(identity).get(3) == [_EXITED], what=f"the end of {identity}")
        return self._status(identity).get(7, [0])[0]

    def is_ready(self):
        return self._probe("readiness")

    def is_alive(self):
        return self._probe("liveness")

    def _probe(self, name):
        """Whether a probe succeeds."""
        answer = self.runtime.call("ExecSync", {1: self.container, 2: self._probes[name], 3: 10})
        return answer.get(3, [0]) == [0]

    def signal(self, name):
        """Sends the container's process a signal."""
        for entry in self.runtime.call("ContainerStatus", {1: self.container, 2: 1})[2]:
            fields = cri.decode(entry)
            if fields[1][0] == b"info":
                self.node.run("kill", f"-{name}", json.loads(fields[2][0])["pid"])

    def status(self, identity=None):
        """The container's status, for messages."""
        return self._status(identity or self.container)

    def stop(self):
        self.runtime.call("StopPodSandbox", {1: self._sandbox})
        self.runtime.call("RemovePodSandbox", {1: self._sandbox})


def build_image(archive, programs=None):
    """Builds the image as `make image` does, with the programs of a folder."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    done = subprocess.run(
        [ROOT / "Scripts" / "image", architecture, programs or ROOT / "bin", archive], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return archive


class Ping:
    """Sends ten echo requests a second from a network namespace, until `lost` is called."""

    def __init__(self, node, namespace, address):
        self.process = node.start(
            "nsenter", f"--net={namespace}", "ping", "-i", "0.1", "-W", "1", "-n", address,
            stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)

    def lost(self):
        """The number of requests without an answer, and the number of requests sent."""
        last = self.process.pid
        while children := pathlib.Path(f"/proc/{last}/task/{last}/children").read_text().split():
            last = int(children[0])
        os.kill(last, signal.SIGINT)
        said, _ = self.process.communicate(timeout=30)
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())
        return sent - received, sent
