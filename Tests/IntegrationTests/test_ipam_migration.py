"""humanz-ipam in the place of host-local over the same store, under the reference bridge, and back."""

import json

import pytest

from attachment import reaches
from isolated_node import PLUGINS
from lease_store import checked, held

STORE = "/var/lib/cni/networks"
RANGES = [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]


class Cluster:
    """A node whose pods the reference bridge attaches, with one IPAM plugin and then the other."""

    def __init__(self, node):
        self.node = node
        self.pods = {}
        self.ever = {}

    def call(self, verb, pod, ipam):
        configuration = {
            "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "cni0",
            "isGateway": True,
            "ipam": {"type": ipam, "ranges": RANGES, "dataDir": STORE}}
        done = self.node.run(
            f"{PLUGINS}/bridge", check=False, input=json.dumps(configuration),
            env={"CNI_COMMAND": verb, "CNI_CONTAINERID": pod, "CNI_IFNAME": "eth0",
                 "CNI_NETNS": f"/run/netns/{pod}", "CNI_PATH": PLUGINS})
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout) if done.stdout.strip() else None

    def add(self, pod, ipam):
        self.node.add_pod(pod)
        result = self.call("ADD", pod, ipam)
        self.pods[pod] = sorted(ip["address"].split("/")[0] for ip in result["ips"])
        assert len(self.pods[pod]) == 2
        self.check()

    def delete(self, pod, ipam):
        self.call("DEL", pod, ipam)
        del self.pods[pod]
        self.node.remove_pod(pod)
        self.check()

    def check(self):
        """Every pod has its addresses, nobody else has one of them, and none is held by nobody."""
        leases = held(self.node.path(STORE) / "net")
        assert leases == {address: f"{pod} eth0"
                          for pod, addresses in self.pods.items() for address in addresses}
        for pod, addresses in self.pods.items():
            link, = self.node.ip("address", "show", "dev", "eth0", pod=pod)
            assert sorted(entry["local"] for entry in link["addr_info"]
                          if entry["scope"] == "global") == addresses


@pytest.fixture
def cluster(node):
    return Cluster(node)


def test_a_node_with_running_pods_moves_from_host_local_and_back(cluster):
    ours, theirs = "humanz-ipam", "host-local"
    for pod in ["a", "b", "c"]:
        cluster.add(pod, theirs)
    first = dict(cluster.pods)

    # The configuration's `type` is changed, and nothing else.
    cluster.add("d", ours)
    cluster.delete("a", ours)
    cluster.add("e", ours)
    cluster.add("f", ours)
    cluster.delete("d", ours)
    assert cluster.pods["b"] == first["b"] and cluster.pods["c"] == first["c"]
    assert checked(cluster.node.path(STORE) / "net").keys() >= {*first["b"], *first["c"]}

    # And back: pods of either are deleted, and new ones made.
    cluster.delete("b", theirs)
    cluster.delete("e", theirs)
    cluster.add("g", theirs)
    cluster.add("a", theirs)

    # And once more, with what host-local did to attachments that we had files of.
    cluster.add("h", ours)
    cluster.delete("g", ours)
    cluster.delete("f", ours)
    assert cluster.pods["c"] == first["c"]
    assert checked(cluster.node.path(STORE) / "net")
    for pod in cluster.pods:
        assert reaches(cluster.node, pod, "10.1.0.1")
    for pod in list(cluster.pods):
        cluster.delete(pod, ours)
    assert checked(cluster.node.path(STORE) / "net") == {}


def test_both_give_on_from_where_the_other_stopped(cluster):
    cluster.add("a", "host-local")
    cluster.delete("a", "host-local")
    cluster.add("b", "humanz-ipam")
    assert cluster.pods["b"] == ["10.1.0.3", "fd01::3"]
    cluster.delete("b", "humanz-ipam")
    cluster.add("c", "host-local")
    assert cluster.pods["c"] == ["10.1.0.4", "fd01::4"]


def test_a_pod_that_host_local_attached_again_is_known_by_its_new_lease(cluster):
    cluster.add("a", "humanz-ipam")
    cluster.delete("a", "host-local")
    cluster.add("a", "host-local")
    cluster.add("b", "humanz-ipam")
    leases = checked(cluster.node.path(STORE) / "net")
    assert sorted(address for address, holder in leases.items() if holder == "a eth0") == cluster.pods["a"]
    cluster.delete("a", "humanz-ipam")


def test_what_host_local_leaves_when_it_is_killed_is_free(cluster):
    cluster.add("a", "host-local")
    directory = cluster.node.path(STORE) / "net"
    for name in ["10.1.0.3", "fd01::3"]:
        (directory / name).touch()
    cluster.node.add_pod("b")
    result = cluster.call("ADD", "b", "humanz-ipam")
    assert sorted(ip["address"] for ip in result["ips"]) == ["10.1.0.3/24", "fd01::3/64"]
    cluster.call("DEL", "b", "humanz-ipam")
    cluster.check()
