# SPDX-License-Identifier: Apache-2.0
"""The commands that show the holder of each address, and free an address."""

import fcntl
import json
import re

import pytest

from lab.lease_store import STORE, Leases, checked, forget_boot, record
from lab.tool import WRONG_USAGE, Tool


@pytest.fixture
def network(node):
    return Leases(node, version="1.1.0", subnet="10.1.0.0/24")


def test_leases_prints_a_line_for_each_lease_and_one_for_each_pool(network):
    network.configuration["ipam"] = {
        "type": "humanz-ipam", "ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]]}
    for pod in ["one", "two"]:
        network.lease(pod)
    forget_boot(network, "two")
    lines = Tool(network.node).leases("net", "--wide").splitlines()
    assert lines[0].split() == ["NETWORK", "ADDRESS", "CONTAINER", "INTERFACE", "SINCE", "STATE"]
    rows = [re.split(r"  +", line) for line in lines[1:5]]
    assert [(row[1], row[2], row[3], row[5]) for row in rows] == [
        ("10.1.0.2", "one", "eth0", "held"),
        ("10.1.0.3", "two", "eth0", "stale: the node was restarted since"),
        ("fd00::2", "one", "eth0", "held"),
        ("fd00::3", "two", "eth0", "stale: the node was restarted since")]
    assert [row[4] for row in rows[:2]] == [record(network, pod)["time"] for pod in ["one", "two"]]
    assert [re.split(r"  +", line) for line in lines[5:]] == [
        [""], ["NETWORK", "POOL", "LEASES"],
        ["net", "10.1.0.0/28", "2 of 13 used (15 %)"],
        ["net", "fd00::/64", "2 of 18446744073709551614 used (0 %)"]]


def test_leases_as_json(network):
    network.lease("one", environment={"CNI_ARGS": "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"})
    (network.directory / "10.1.0.9").write_text("not an ID")
    answer = Tool(network.node).leases(as_json=True)
    first, second = answer["leases"]
    assert first == {"network": "net", "address": "10.1.0.2", "containerID": "one", "interface": "eth0",
                     "pod": "shop/web-0", "since": record(network, "one")["time"], "state": "held"}
    assert second["address"] == "10.1.0.9" and "containerID" not in second
    assert answer["pools"] == [
        {"network": "net", "pool": "10.1.0.0/24", "used": 2, "total": 253}]


def test_the_table_has_short_ids_and_pod_names_and_fits_the_terminal(network):
    container = "0123456789abcdef" * 4
    pod = "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns-5d78c9869d-x2x4k"
    network.node.add_pod("pod")
    network.lease(container, namespace="/run/netns/pod", environment={"CNI_ARGS": pod})
    short = Tool(network.node).leases().splitlines()
    assert " 0123456789ab " in short[1] and " kube-system/coredns-5d78c9869d-x2x4k " in short[1]
    assert max(map(len, short)) <= 120
    assert container in Tool(network.node).leases(None, "--wide")


def test_leases_of_all_networks_and_of_none(node):
    tool = Tool(node)
    assert tool.leases(as_json=True) == {"leases": [], "pools": []}
    for name in ["b", "a"]:
        Leases(node, name, subnet="10.1.0.0/24").lease("pod")
    answer = tool.leases(as_json=True)
    assert [lease["network"] for lease in answer["leases"]] == ["a", "b"]
    failed = tool.call("leases", "c", check=False)
    assert failed.returncode == 1 and "\"c\"" in failed.stderr


def test_leases_changes_nothing_and_takes_no_lock(network):
    network.lease("pod")
    node = network.node
    store = node.path(STORE)
    # A store of host-local without attachment files and with an empty lease; folders that are not stores.
    (store / "theirs").mkdir()
    for name, content in [("lock", ""), ("10.2.0.2", "pod\r\neth0"), ("10.2.0.3", "")]:
        (store / "theirs" / name).write_text(content, newline="")
    (store / "folder").mkdir()
    (store / "folder" / "10.3.0.3.txt").touch()
    (store / "empty").mkdir()
    with open(network.directory / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {str(path): path.stat().st_mtime_ns for path in store.rglob("*")}
        answer = Tool(node).leases(as_json=True)
        assert {str(path): path.stat().st_mtime_ns for path in store.rglob("*")} == before
    text = json.dumps(answer)
    assert "10.1.0.2" in text and "10.2.0.2" in text and "10.2.0.3" not in text
    assert '"folder"' not in text and '"empty"' not in text


def test_leases_of_a_store_that_cannot_be_written(network):
    node = network.node
    node.path("/run/disk").mkdir()
    node.run("mount", "-t", "tmpfs", "tmpfs", "/run/disk")
    network.keys["dataDir"] = "/run/disk"
    network.lease("pod")
    (network.directory / "lock").unlink()
    node.run("mount", "-o", "remount,ro", "/run/disk")
    assert "10.1.0.2" in Tool(node).leases("net", store="/run/disk")


def test_leases_of_a_store_elsewhere(network):
    network.keys["dataDir"] = "/run/elsewhere"
    network.lease("pod")
    node = network.node
    assert "10.1.0.2" in Tool(node).leases("net", store="/run/elsewhere")
    # With a conflist that names the store, the tool finds it.
    failed = Tool(node).call("leases", "net", check=False)
    assert failed.returncode == 1
    conflist = {"cniVersion": "1.0.0", "name": "net", "plugins": [{
        "type": "humanz-bridge", "ipam": network.configuration["ipam"]}]}
    node.path("/run/cni/net.d/10-net.conflist").write_text(json.dumps(conflist))
    assert "10.1.0.2" in Tool(node).leases("net")
    # With --conflist only the file's network counts.
    node.run("sh", "-c", "mkdir -p /run/humanz/ipam && cp -r /run/elsewhere/net /run/humanz/ipam/other")
    file = "/run/cni/net.d/10-net.conflist"
    rows = json.loads(Tool(node).call("leases", "--json").stdout)["leases"]
    assert {row["network"] for row in rows} == {"net", "other"}
    rows = json.loads(Tool(node).call("leases", "--json", "--conflist", file).stdout)["leases"]
    assert {row["network"] for row in rows} == {"net"}
    assert Tool(node).release("net", "10.1.0.2") == "10.1.0.2 was held by pod eth0 and is free now\n"


def test_release_frees_an_address_whoever_holds_it(network):
    network.configuration["ipam"] = {
        "type": "humanz-ipam", "ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]]}
    network.lease("pod")
    (network.directory / "10.1.0.9").write_text("foreign")
    tool = Tool(network.node)
    said = tool.release("net", "10.1.0.2")
    assert said == "10.1.0.2 was held by pod eth0 and is free now\n"
    assert record(network, "pod")["addresses"] == ["fd00::2"]
    tool.release("net", "10.1.0.9")
    assert network.held() == {"fd00::2": "pod eth0"}
    tool.release("net", "fd00::2")
    assert checked(network.directory) == {}
    failed = tool.call("release", "net", "10.1.0.2", check=False)
    assert failed.returncode == 1 and "not leased" in failed.stderr


@pytest.mark.parametrize("words", [
    ["release", "net"], ["release", "net", "x"], ["release", "../net", "10.1.0.2"], ["leases", "a", "b"],
    ["leases", "--nonsense"], ["leases", "--data-dir"], ["leases", "--data-dir", "run/x"]])
def test_a_command_that_cannot_be_understood_fails(node, words):
    failed = Tool(node).call(*words, check=False)
    assert failed.returncode == WRONG_USAGE and failed.stderr and not failed.stdout
