# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam and host-local take turns on one store, under the reference bridge."""

import pytest

from lab.attachment import Network, reaches
from lab.lease_store import Leases, checked, held
from lab.system_calls import traced

STORE = "/var/lib/cni/networks"
RANGES = [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]


class MovingNode:
    """A node whose pods the reference bridge attaches, with one IPAM plugin and then the other."""

    def __init__(self, node):
        self.node = node
        self.network = Network(node, "bridge", bridge="cni0", isGateway=True)
        self.pods = {}

    def call(self, verb, pod, ipam):
        return self.network.call(
            verb, pod, ipam={"type": ipam, "ranges": RANGES, "dataDir": STORE})

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
        """Every pod has its leased addresses on its interface, and no other lease exists."""
        leases = held(self.node.path(STORE) / "net")
        assert leases == {address: f"{pod} eth0"
                          for pod, addresses in self.pods.items() for address in addresses}
        for pod, addresses in self.pods.items():
            link, = self.node.ip("address", "show", "dev", "eth0", pod=pod)
            assert sorted(entry["local"] for entry in link["addr_info"]
                          if entry["scope"] == "global") == addresses


@pytest.fixture
def moving(node):
    return MovingNode(node)


def test_a_node_with_running_pods_moves_from_host_local_and_back(moving):
    ours, theirs = "humanz-ipam", "host-local"
    for pod in ["a", "b", "c"]:
        moving.add(pod, theirs)
    first = dict(moving.pods)

    # Only the configuration's `type` is changed.
    moving.add("d", ours)
    moving.delete("a", ours)
    moving.add("e", ours)
    moving.add("f", ours)
    moving.delete("d", ours)
    assert moving.pods["b"] == first["b"] and moving.pods["c"] == first["c"]
    assert checked(moving.node.path(STORE) / "net").keys() >= {*first["b"], *first["c"]}

    # And back: pods of both plugins are deleted, and new ones made.
    moving.delete("b", theirs)
    moving.delete("e", theirs)
    moving.add("g", theirs)
    moving.add("a", theirs)

    # And once more: host-local has changed attachments that have our attachment files.
    moving.add("h", ours)
    moving.delete("g", ours)
    moving.delete("f", ours)
    assert moving.pods["c"] == first["c"]
    assert checked(moving.node.path(STORE) / "net")
    for pod in moving.pods:
        assert reaches(moving.node, pod, "10.1.0.1")
    for pod in list(moving.pods):
        moving.delete(pod, ours)
    assert checked(moving.node.path(STORE) / "net") == {}


def test_each_plugin_continues_after_the_others_last_address(moving):
    moving.add("a", "host-local")
    moving.delete("a", "host-local")
    moving.add("b", "humanz-ipam")
    assert moving.pods["b"] == ["10.1.0.3", "fd01::3"]
    moving.delete("b", "humanz-ipam")
    moving.add("c", "host-local")
    assert moving.pods["c"] == ["10.1.0.4", "fd01::4"]


def test_a_pod_that_host_local_attached_again_is_known_by_its_new_lease(moving):
    moving.add("a", "humanz-ipam")
    moving.delete("a", "host-local")
    moving.add("a", "host-local")
    moving.add("b", "humanz-ipam")
    leases = checked(moving.node.path(STORE) / "net")
    assert sorted(address for address, holder in leases.items() if holder == "a eth0") == moving.pods["a"]
    moving.delete("a", "humanz-ipam")


def test_what_host_local_leaves_when_it_is_killed_is_free(moving):
    moving.add("a", "host-local")
    directory = moving.node.path(STORE) / "net"
    for name in ["10.1.0.3", "fd01::3"]:
        (directory / name).touch()
    moving.node.add_pod("b")
    result = moving.call("ADD", "b", "humanz-ipam")
    assert sorted(ip["address"] for ip in result["ips"]) == ["10.1.0.3/24", "fd01::3/64"]
    moving.call("DEL", "b", "humanz-ipam")
    moving.check()


# host-local's oldest lease format: the container ID alone (before release 0.7.0)

@pytest.fixture
def oldest(node):
    """A network whose store has leases in that format, beside one of ours."""
    network = Leases(node, subnet="10.1.0.0/24", dataDir=STORE)
    network.lease("new")
    for name, holder in [("10.1.0.7", "old"), ("10.1.0.8", "other\n"), ("10.1.0.9", "reserved")]:
        (network.directory / name).write_text(holder)
    return network


def test_a_lease_that_names_no_interface_is_its_container_s(oldest):
    leases = oldest.held()
    oldest.results["old"] = {"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.7/24"}]}
    oldest.check("old")
    error = oldest.refusal("ADD", "old")
    assert error["code"] == 122 and "10.1.0.7" in error["msg"]
    assert oldest.held() == leases
    for _ in range(2):
        oldest.release("old")
        assert oldest.held() == {"10.1.0.2": "new eth0", "10.1.0.8": "other\n", "10.1.0.9": "reserved"}
    assert oldest.lease("old") == ["10.1.0.3"]


def test_a_lease_that_names_the_interface_goes_first(oldest):
    (oldest.directory / "10.1.0.6").write_text("new")
    oldest.release("new")
    assert "10.1.0.2" not in oldest.held() and oldest.held()["10.1.0.6"] == "new"
    oldest.release("new")
    assert "10.1.0.6" not in oldest.held()


def test_gc_keeps_what_names_no_interface(oldest):
    oldest.configuration["cniVersion"] = "1.1.0"
    oldest.gc()
    assert oldest.held() == {"10.1.0.7": "old", "10.1.0.8": "other\n", "10.1.0.9": "reserved"}


def test_only_a_store_with_such_leases_is_read_whole(oldest):
    def opened(verb, pod):
        return [line for line in traced(oldest, verb, pod) if "openat(" in line and '"10.1.0.' in line]

    oldest.release("nobody")
    assert len(opened("DEL", "nobody")) == 4
    for pod in ["old", "other", "reserved"]:
        oldest.release(pod)
    oldest.lease("next")
    assert opened("DEL", "nobody") == []
    oldest.release("next")
    assert checked(oldest.directory) == {"10.1.0.2": "new eth0"}
