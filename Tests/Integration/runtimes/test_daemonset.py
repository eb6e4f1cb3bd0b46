# SPDX-License-Identifier: Apache-2.0
"""deploy/humanz.yaml under containerd, on nodes without our files: from first start to upgrade."""

import contextlib
import json
import shutil
import subprocess
import time

import pytest

from lab.api_server import APIServer, PORT
from lab.cluster import told
from lab.daemonset import DaemonSetPod, KubeletsContainerd, PLACES, Ping, build_image, manifest
from lab.isolated_node import OURS, ROOT, THEIRS, Node, Segment
from lab.kubernetes import changed
from lab.waiting import eventually

SERVER = "192.168.0.250"
BIN = PLACES["/opt/cni/bin"]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return build_image(tmp_path_factory.mktemp("image") / "humanz.tar")


def certificate(folder):
    """A certificate for the API server, and the service account that trusts it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=kubernetes", "-addext", f"subjectAltName=IP:{SERVER}",
         "-keyout", folder / "key.pem", "-out", folder / "ca.pem"], check=True, capture_output=True)
    account = {"token": "none", "namespace": "humanz", "ca.crt": (folder / "ca.pem").read_text()}
    return [folder / "ca.pem", folder / "key.pem"], account


def routes(node):
    return {route["dst"]: route["gateway"] for route in node.ip("-4", "route", "show", "proto", "72")
            if "gateway" in route}


@contextlib.contextmanager
def cluster(image, folder):
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
            runtime.load(image)
            pods.append(DaemonSetPod(runtime, f"node{number}", (SERVER, PORT), account))
        yield segment.node, pods, tls


def test_node_changes_server_outage_and_upgrade_lose_no_ping(image, tmp_path):
    members = [told(number, ["4"]) for number in (1, 2, 3)]
    with cluster(image, tmp_path) as (machine, pods, tls):
        one, two = pods
        with APIServer(machine, *members[:2], tls=tls) as server:
            for pod in pods:
                pod.start()
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

        # The API server stops and starts again.
        time.sleep(10)
        assert all(pod.is_running() and pod.is_ready() for pod in pods)
        with APIServer(machine, *members, tls=tls):
            eventually(lambda: "10.244.3.0/24" in routes(one.node), seconds=90)

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
                pod.start()
                eventually(pod.is_ready)
                assert pod.node.path(f"{BIN}/humanz-route").read_bytes().endswith(b"newer")
            lost, sent = ping.lost()
            assert lost == 0 and sent > 100
            one.runtime.run("another")
            assert one.runtime.fetch("another", there)
            one.runtime.remove("another", names[0])
            two.runtime.remove(names[1])


def test_the_manifests_conflist_is_the_shipped_file():
    data = manifest()["ConfigMap"]["data"]
    shipped = ROOT / "conflists" / "20-humanz-kubernetes.conflist"
    assert {name: json.loads(text) for name, text in data.items()} == {shipped.name: json.loads(shipped.read_text())}


def test_the_manifest_names_the_suites_own_version():
    version = subprocess.run([OURS / "humanz", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    specification = manifest()["DaemonSet"]["spec"]["template"]["spec"]
    images = {container["image"] for key in ("initContainers", "containers") for container in specification[key]}
    assert images == {f"localhost/humanz:{version}"}


def test_kubernetes_own_types_know_every_key_of_the_manifest():
    client = pytest.importorskip("kubernetes.client", reason="needs python3-kubernetes")
    import yaml

    class Response:
        def __init__(self, document):
            self.data = json.dumps(document)

    api = client.ApiClient()
    for document in yaml.safe_load_all((ROOT / "deploy" / "humanz.yaml").read_text()):
        kind = {"ClusterRole": "V1ClusterRole", "ClusterRoleBinding": "V1ClusterRoleBinding"}.get(
            document["kind"], f"V1{document['kind']}")
        read = api.sanitize_for_serialization(api.deserialize(Response(document), kind))
        assert read == document, kind
