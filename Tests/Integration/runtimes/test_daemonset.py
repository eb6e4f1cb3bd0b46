# SPDX-License-Identifier: Apache-2.0
"""deploy/humanz.yaml under containerd, on nodes that have nothing of ours before: what a cluster goes through.

HUMANZ_OUTAGE is for how many seconds the API server is away, 10 if it is not set; `make test-outage` has a minute.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time

import pytest

from lab.api_server import KUBECONFIG, PORT, APIServer
from lab.cluster import node_object
from lab.commands import Document
from lab.daemonset import PLACES, DaemonSetPod, KubeletsContainerd, Ping, build_image, manifest
from lab.isolated_node import OURS, PLUGINS, ROOT, THEIRS, Node, Segment
from lab.kubernetes import changed
from lab.waiting import eventually

README = Document(ROOT / "deploy/README.md")
OUTAGE = float(os.environ.get("HUMANZ_OUTAGE", 10))
SERVER = "192.168.0.250"
HEARTBEAT = "/run/humanz/sync.heartbeat"
BIN = PLACES["/opt/cni/bin"]


def certificate(folder):
    """A certificate for the API server, and the service account that trusts it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=kubernetes", "-addext", f"subjectAltName=IP:{SERVER},IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "ca.pem"], check=True, capture_output=True)
    account = {"token": "none", "namespace": "humanz", "ca.crt": (folder / "ca.pem").read_text()}
    return [folder / "ca.pem", folder / "key.pem"], account


def routes(node):
    return {route["dst"]: route["gateway"] for route in node.ip("-4", "route", "show", "proto", "72")
            if "gateway" in route}


class Kubectl:
    """How a person types on the machine that has the tree and kubectl; the API server listens there."""

    def __init__(self, machine):
        self.machine = machine

    def __call__(self, line):
        return self.machine.run("bash", "-c", f"cd {ROOT} && {line}", check=False,
                                env={"KUBECONFIG": KUBECONFIG, "HOME": "/run/tmp"})


def in_the_tree(line):
    """Runs a line where the tree is: no node has what a build needs. `make build` was run before."""
    line = f'make() {{ command make --no-print-directory -o build "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)


def report(server, pods):
    """Tells the API server of a DaemonSet's pods what its controller would."""
    server.report("DaemonSet", {
        "observedGeneration": 1, "numberMisscheduled": 0, **dict.fromkeys(
            ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled"), len(pods)),
        "numberReady": (ready := sum(pod.is_ready() for pod in pods)), "numberAvailable": ready})


def deploy(server, machine, pods):
    """What deploy/README.md says, typed; between two blocks the kubelets do their part."""
    for block in README.story("deploy"):
        if block.words[1] == "nodes":
            for pod in pods:
                block.type(lambda line: pod.node.run("bash", "-c", f"cd {ROOT} && {line}", check=False, timeout=120))
            continue
        (first, *_), *rest = block.commands()
        if "kubectl apply" not in first:
            block.type(in_the_tree)
            continue

        def kubectl(line):
            if "rollout" in line:
                for pod in pods:
                    pod.start(server.objects())
                    eventually(pod.is_ready)
                report(server, pods)
            return Kubectl(machine)(line)
        block.type(kubectl)


def undeploy(machine, pods):
    """The way back; where a pod's DaemonSet is gone, the kubelet ends the pod."""
    # The node's own folders in place of this machine's.
    folders = f"--bin-dir {BIN} --conf-dir {PLACES['/etc/cni/net.d']}"
    for block in README.story("undeploy"):
        if block.words[1] == "machine":
            block.type(Kubectl(machine))
            for pod in pods:
                pod.stop()
        else:
            for pod in pods:
                block.type(lambda line: pod.node.run(
                    "bash", "-c", f'humanz() {{ {PLUGINS}/humanz "$@" {folders}; }}; {line}', check=False))


@contextlib.contextmanager
def cluster(folder):
    """Two nodes with containerd and the DaemonSet's pod, and what starting the API server needs."""
    tls, account = certificate(folder)
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment())
        segment.node.run("ip", "address", "add", f"{SERVER}/24", "dev", "lan")
        pods = []
        for number in (1, 2):
            node = stack.enter_context(Node(f"node{number}"))
            segment.join(node, "uplink", f"192.168.0.{number}/24")
            node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            for path in PLACES.values():
                node.path(path).mkdir(parents=True)
            for name in ("loopback", "portmap"):
                shutil.copy(THEIRS / name, node.path(f"{BIN}/{name}"))
            runtime = KubeletsContainerd(node)
            stack.callback(runtime.close)
            pods.append(DaemonSetPod(runtime, f"node{number}", (SERVER, PORT), account))
        yield segment.node, pods, tls


def test_node_changes_server_outage_and_upgrade_lose_no_ping(tmp_path, record_property):
    members = [node_object(number, ["4"]) for number in (1, 2, 3)]
    with cluster(tmp_path) as (machine, pods, tls):
        one, two = pods
        with APIServer(machine, *members[:2], tls=tls) as server:
            deploy(server, machine, pods)
            for pod, other in ((one, 2), (two, 1)):
                eventually(lambda: routes(pod.node) == {f"10.244.{other}.0/24": f"192.168.0.{other}"})
                eventually(lambda: "NetworkReady" in pod.runtime._runtime.conditions())
                eventually(pod.is_ready)
                pod.runtime.run(f"web{pod.name}")
            names = [f"web{pod.name}" for pod in pods]
            there = two.runtime.address(names[1])
            assert one.runtime.fetch(names[0], there)
            assert two.runtime.fetch(names[1], one.runtime.address(names[0]))
            ping = Ping(one.node, one.runtime.namespace(names[0]), there)

            # A node joins, changes its address, and leaves.
            server.tell("ADDED", members[2])
            eventually(lambda: routes(one.node).get("10.244.3.0/24") == "192.168.0.3")
            server.tell("MODIFIED", changed(members[2], 0, addresses=["192.168.0.33"]))
            eventually(lambda: routes(one.node).get("10.244.3.0/24") == "192.168.0.33")
            server.tell("DELETED", members[2])
            eventually(lambda: "10.244.3.0/24" not in routes(one.node))

            # A sync that hangs is not alive, and is started anew.
            one.signal("STOP")
            assert one.is_alive()
            os.utime(one.node.path(HEARTBEAT), (time.time() - 70,) * 2)
            assert not one.is_alive() and two.is_alive()
            one.restart()
            eventually(one.is_alive)
            eventually(one.is_ready)

        # The API server stops and starts again.
        time.sleep(OUTAGE)
        assert all(pod.is_running() and pod.is_ready() and pod.is_alive() for pod in pods)
        with APIServer(machine, *members, tls=tls):
            took = eventually(lambda: "10.244.3.0/24" in routes(one.node), seconds=90)
            record_property("a node joined", f"{took:.2f} s after the API server came back from {OUTAGE:.0f} s away")

            # The image is upgraded while pods run.
            newer = tmp_path / "programs"
            shutil.copytree(OURS, newer)
            for name in ("humanz-bridge", "humanz-ipam", "humanz-route"):
                with (newer / name).open("ab") as file:
                    file.write(b"newer")
            upgrade = build_image(tmp_path / "newer.tar", newer)
            for pod in pods:
                pod.stop()
                pod.runtime.load(upgrade)
                pod.start(manifest())
                eventually(pod.is_ready)
                assert pod.node.path(f"{BIN}/humanz-route").read_bytes().endswith(b"newer")
            lost, sent = ping.lost()
            assert lost == 0 and sent > 100
            one.runtime.run("another")
            assert one.runtime.fetch("another", there)
            one.runtime.remove("another", names[0])
            two.runtime.remove(names[1])
            # This server has not heard of the objects of the other one.
            Kubectl(machine)("kubectl apply -f deploy/humanz.yaml")
            undeploy(machine, pods)
            for pod in pods:
                assert "humanz" not in str([*pod.node.path(BIN).iterdir()])
                assert "humanz-cni0" not in [link["ifname"] for link in pod.node.ip("link")]
                assert pod.node.ip("-4", "route", "show", "proto", "72") == []


def test_the_manifests_conflist_is_the_shipped_file():
    data = manifest()["ConfigMap"]["data"]
    shipped = ROOT / "conflists" / "20-humanz-kubernetes.conflist"
    assert {name: json.loads(text) for name, text in data.items()} == {shipped.name: json.loads(shipped.read_text())}


def test_the_manifest_names_the_suites_own_version():
    version = subprocess.run([OURS / "humanz", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    specification = manifest()["DaemonSet"]["spec"]["template"]["spec"]
    images = {container["image"] for key in ("initContainers", "containers") for container in specification[key]}
    assert images == {f"localhost/humanz:{version}"}


@pytest.fixture
def kubectl(node):
    with APIServer(node) as server:
        yield Kubectl(node), server


@pytest.mark.parametrize("verb", ["create", "apply"])
def test_kubectl_takes_the_manifest_in_a_dry_run(kubectl, verb):
    """It reads the file, finds the kinds among those of the server, and looks at nothing else: a server of today
    looks at the keys itself, which it does in the tests below."""
    shell, server = kubectl
    done = shell(f"kubectl {verb} --dry-run=client --validate=strict -f deploy/humanz.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("/")[0].split(".")[0] for line in done.stdout.splitlines()] == [
        kind.lower() for kind in manifest()]
    assert server.objects() == {}


def test_kubernetes_own_types_know_every_key_of_the_manifest(kubectl):
    shell, server = kubectl
    done = shell("kubectl apply -f deploy/humanz.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert server.objects().keys() == manifest().keys()
    for block in README.story("undeploy"):
        if block.words[1] == "machine":
            block.type(shell)
    assert server.objects() == {}


def test_a_key_that_kubernetes_own_types_do_not_know_is_found(kubectl):
    shell, server = kubectl
    done = shell("sed s/hostNetwork/hostNetwrk/ deploy/humanz.yaml | kubectl apply -f -")
    assert done.returncode == 1 and "unknown field in the DaemonSet" in done.stderr
    assert "DaemonSet" not in server.objects()
