# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam: its store, and what each verb and command does to it."""

import fcntl
import os
import re
import signal
import socket
import time

import pytest

from lab.lease_store import Leases, checked, forget_boot, held, record
from lab.plugin_process import end_at_once
from lab.system_calls import answer_and_trace, traced
from lab.tool import Tool

LOG = "/var/log/humanz_cni.log"


@pytest.fixture
def network(node):
    return Leases(node, version="1.1.0", subnet="10.1.0.0/24")


# The store's files

def test_a_lease_is_a_file_as_host_local_has_it(network):
    network.lease("pod")
    directory = network.directory
    assert (directory / "10.1.0.2").read_bytes() == b"pod\r\neth0"
    assert (directory / "last_reserved_ip.0").read_text() == "10.1.0.2"
    file = record(network, "pod")
    assert file["addresses"] == ["10.1.0.2"] and file["netns"] == "/run/netns/pod"
    boot = network.node.run("cat", "/proc/sys/kernel/random/boot_id").stdout.strip()
    assert file["bootID"] == boot
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", file["time"])


def test_folders_are_root_s_alone_and_so_are_files(network):
    network.keys["dataDir"] = "/run/a/b/leases"
    network.lease("pod")
    for folder in ["/run/a", "/run/a/b", "/run/a/b/leases", "/run/a/b/leases/net",
                   "/run/a/b/leases/net/attachments"]:
        assert network.node.path(folder).stat().st_mode & 0o777 == 0o700
    for file in network.directory.rglob("*"):
        assert file.is_dir() or file.stat().st_mode & 0o777 == 0o600


def test_networks_and_interfaces_are_apart(node):
    one = Leases(node, "one", subnet="10.1.0.0/24")
    two = Leases(node, "two", subnet="10.1.0.0/24")
    assert one.lease("pod") == two.lease("pod") == ["10.1.0.2"]
    assert one.lease("pod", interface="eth1") == ["10.1.0.3"]
    one.release("pod")
    assert one.held() == {"10.1.0.3": "pod eth1"}
    assert two.held() == {"10.1.0.2": "pod eth0"}


def test_a_link_in_the_store_is_not_followed_and_its_address_not_given(network):
    network.lease("first")
    secret = network.node.path("/run/secret")
    secret.write_bytes(b"first\r\neth0")
    (network.directory / "10.1.0.3").symlink_to("/run/secret")
    (network.directory / "10.1.0.4").mkdir()
    (network.directory / "attachments" / ".new").symlink_to("/run/secret")
    assert network.lease("pod") == ["10.1.0.5"]
    network.release("first")
    network.gc()
    assert secret.read_bytes() == b"first\r\neth0"
    assert (network.directory / "10.1.0.3").is_symlink() and (network.directory / "10.1.0.4").is_dir()


def test_a_network_s_folder_that_is_a_link_is_an_error(network):
    network.node.path("/run/elsewhere").mkdir()
    network.node.path("/run/humanz/ipam").mkdir(parents=True)
    network.directory.symlink_to("/run/elsewhere")
    error = network.refusal("ADD", "pod")
    assert error["code"] == 5 and "/run/humanz/ipam/net" in error["msg"]
    assert [*network.node.path("/run/elsewhere").iterdir()] == []


def test_a_link_on_the_way_is_followed_where_only_root_can_have_put_it(network):
    node = network.node
    node.path("/run/real").mkdir(mode=0o700)
    node.path("/run/private").symlink_to("/run/real")
    network.keys["dataDir"] = "/run/private/leases"
    assert network.lease("pod") == ["10.1.0.2"]
    assert held(node.path("/run/real/leases/net")) == {"10.1.0.2": "pod eth0"}
    node.path("/run/public").mkdir()
    node.path("/run/public").chmod(0o777)
    node.path("/run/public/way").symlink_to("/run/real")
    network.keys["dataDir"] = "/run/public/way/leases"
    assert network.refusal("ADD", "other")["code"] == 5


@pytest.mark.parametrize("owner, mode", [(1000, 0o755), (0, 0o775), (0, 0o777), (0, 0o1777)])
def test_a_link_that_another_user_can_have_put_on_the_way_is_not_followed(network, owner, mode):
    node = network.node
    node.path("/run/real").mkdir(mode=0o700)
    folder = node.path("/run/of-another")
    folder.mkdir()
    (folder / "way").symlink_to("/run/real")
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    network.keys["dataDir"] = "/run/of-another/way/leases"
    for verb in ["ADD", "DEL", "CHECK"]:
        error = network.refusal(verb, "pod")
        assert error["code"] == 5 and "/run/of-another/way" in error["msg"]
    assert [*node.path("/run/real").iterdir()] == []


def put_non_file_at(path, kind):
    """Puts something other than a file at a file's path."""
    path.unlink(missing_ok=True)
    match kind:
        case "fifo": os.mkfifo(path)
        case "directory": path.mkdir()
        case "full directory":
            path.mkdir()
            (path / "file").touch()
        case "link": path.symlink_to("/run/elsewhere")
        case "socket":
            with socket.socket(socket.AF_UNIX) as it:
                it.bind(f"/proc/self/fd/{(parent := os.open(path.parent, os.O_PATH))}/{path.name}")
                os.close(parent)


NO_FILES = ["fifo", "directory", "full directory", "link", "socket"]


@pytest.mark.parametrize("kind", NO_FILES)
def test_whatever_is_in_the_place_of_an_attachment_s_file_a_del_frees_the_address(network, kind):
    for pod in ["pod", "other"]:
        network.lease(pod)
    put_non_file_at(network.directory / "attachments" / "pod:eth0", kind)
    network.check("pod")
    network.release("pod")
    assert network.held() == {"10.1.0.3": "other eth0"}
    left = [file.name for file in (network.directory / "attachments").iterdir()]
    assert ("pod:eth0" in left) == (kind == "full directory")
    network.release("pod")
    network.gc("other")
    assert network.held() == {"10.1.0.3": "other eth0"}


@pytest.mark.parametrize("kind", [kind for kind in NO_FILES if kind != "full directory"])
def test_an_add_writes_its_file_over_what_is_in_its_place(network, kind):
    network.lease("other")
    put_non_file_at(network.directory / "attachments" / "pod:eth0", kind)
    network.lease("pod")
    assert checked(network.directory) == {"10.1.0.2": "other eth0", "10.1.0.3": "pod eth0"}


def test_a_fifo_in_the_place_of_the_lock_is_locked_as_a_file(network):
    network.lease("pod")
    put_non_file_at(network.directory / "lock", "fifo")
    network.check("pod")
    network.lease("other")
    for pod in ["pod", "other"]:
        network.release(pod)
    assert network.held() == {}
    with open(os.open(network.directory / "lock", os.O_RDONLY | os.O_NONBLOCK)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        plugin = network.start("ADD", "pod", namespace="/run/netns/pod")
        plugin.write_input(network.configuration)
        time.sleep(0.3)
        assert plugin.is_running()
    plugin.end(timeout=5).succeeded()


@pytest.mark.parametrize("kind", ["directory", "link", "socket"])
def test_a_lock_that_cannot_be_opened_is_error_5_that_names_it(network, kind):
    network.lease("pod")
    put_non_file_at(network.directory / "lock", kind)
    for verb in ["ADD", "DEL", "CHECK"]:
        error = network.refusal(verb, "pod")
        assert error["code"] == 5 and "/run/humanz/ipam/net/lock" in error["msg"]


# The verbs

def test_a_second_add_is_an_error_that_names_the_address_and_changes_nothing(network):
    network.lease("pod")
    before = {path.name: path.read_bytes() for path in network.directory.rglob("*") if path.is_file()}
    error = network.refusal("ADD", "pod")
    assert error["code"] == 122 and "10.1.0.2" in error["msg"] and "pod eth0" in error["msg"]
    assert "DEL" in error["details"]
    after = {path.name: path.read_bytes() for path in network.directory.rglob("*") if path.is_file()}
    assert after == before


def test_asking_again_after_a_lost_answer_leaks_nothing(network):
    # A runtime that gets no answer calls DEL and then ADD again.
    for _ in range(3):
        network.lease("pod")
        assert network.refusal("ADD", "pod")["code"] == 122
        network.release("pod")
        assert network.held() == {}
    assert checked(network.directory) == {}


def test_an_answer_that_cannot_be_given_takes_no_address(network):
    network.lease("other")
    failed = network.run("ADD", "pod", redirect=">/dev/full")
    assert failed.status == 1
    assert checked(network.directory) == {"10.1.0.2": "other eth0"}


def test_the_second_add_in_a_full_pool_names_the_address_too(network):
    network.keys["subnet"] = "10.1.0.0/30"
    network.lease("pod")
    assert network.refusal("ADD", "pod")["code"] == 122
    assert network.refusal("ADD", "other")["code"] == 120


def test_del_succeeds_when_repeated_and_for_what_never_was(network):
    network.release("never")
    assert not network.directory.exists()
    network.lease("pod")
    for _ in range(2):
        network.release("pod", namespace="")
    assert checked(network.directory) == {}


# Keys that DEL and GC do not need, at the top or in the `ipam` section.
UNREADABLE = [
    {"subnet": "nonsense"}, {"subnet": 7, "ranges": {}}, {"ranges": [[{"subnet": "10.1.0.0/24"}], 5]},
    {"rangeStart": "x", "gateway": 5, "exclude": "y"}, {"isGateway": "yes", "forceAddress": 1},
    {"routes": [{"dst": "192.168.7.0/24", "gw": "fe80::1"}], "dns": []}, {"routes": "x"},
    {"clusterFile": "/run/none.json", "resolvConf": "/run/none"}, {"clusterFile": 5},
]
PREVIOUS = [
    5, "x", {"cniVersion": "9.9"}, {"ips": [{"address": "x", "gateway": ""}], "interfaces": [5]},
    {"ips": 5, "routes": [{"dst": "0.0.0.0/0", "gw": "fe80::1", "priority": -1}], "dns": "x"},
]
ELSEWHERE = [
    {"runtimeConfig": 5}, {"runtimeConfig": {"ips": ["x"], "ipRanges": 5}}, {"args": "x"},
    {"capabilities": [1]}, {"mtu": "1500"}, {"isGateway": "yes"}, {"logFile": 5},
]


@pytest.mark.parametrize("verb", ["DEL", "GC"])
@pytest.mark.parametrize("section, elsewhere", [
    *((keys, {}) for keys in UNREADABLE), *(({}, {"prevResult": result}) for result in PREVIOUS),
    *(({}, keys) for keys in ELSEWHERE)])
def test_an_address_is_freed_whatever_the_keys_say_that_are_not_needed(
        network, verb, section, elsewhere):
    network.lease("pod")
    network.keys.update(section)
    if verb == "DEL":
        network.release("pod", environment={"CNI_ARGS": "no pairs"}, **elsewhere)
    else:
        network.gc(**elsewhere)
    assert checked(network.directory) == {}


@pytest.mark.parametrize("change, said", [
    ("nothing", None), ("removed", "holds no address"), ("container", "holds no address"),
    ("interface", "holds no address"), ("address", "not in the result"),
    ("result", "10.1.0.9"),
])
def test_check_compares_address_container_and_interface(network, change, said):
    network.lease("pod")
    lease = network.directory / "10.1.0.2"
    if change == "removed":
        lease.unlink()
    if change == "container":
        lease.write_bytes(b"other\r\neth0")
    if change == "interface":
        lease.write_bytes(b"pod\r\neth1")
    if change == "address":
        lease.rename(network.directory / "10.1.0.9")
    if change == "result":
        network.results["pod"]["ips"].append({"address": "10.1.0.9/24"})
    if said is None:
        network.check("pod")
        return
    error = network.refusal("CHECK", "pod", prevResult=network.results["pod"])
    assert error["code"] == 102
    assert said in error["msg"]


def test_gc_keeps_the_valid_attachments_and_what_it_does_not_understand(network):
    for pod in ["one", "two", "three"]:
        network.lease(pod)
    network.lease("one", interface="eth1")
    (network.directory / "10.1.0.200").write_text("of an old host-local")
    network.gc("one", "three")
    assert network.held() == {"10.1.0.2": "one eth0", "10.1.0.4": "three eth0",
                              "10.1.0.200": "of an old host-local"}


def test_gc_without_the_list_frees_nothing(network):
    network.lease("pod")
    assert network.refusal("GC")["code"] == 7
    assert network.held() == {"10.1.0.2": "pod eth0"}


def test_gc_goes_on_after_an_error_and_reports_it(network):
    for pod in ["one", "two", "three"]:
        network.lease(pod)
    # The removal of the first of three leases fails.
    error = network.refusal(
        "GC", **{"cni.dev/valid-attachments": []},
        under=["strace", "-o", "/run/trace", "-e", "inject=unlinkat:error=EIO:when=1"])
    assert error["code"] == 5 and "cannot remove /run/humanz/ipam/net/10.1.0." in error["msg"]
    assert len(network.held()) == 1
    network.gc()
    assert checked(network.directory) == {}


@pytest.mark.parametrize("indexed", [True, False])
def test_gc_says_when_a_folder_could_not_be_listed_to_its_end(network, indexed):
    for pod in ["one", "two", "three"]:
        network.lease(pod)

    def disturb():
        """Makes the index of the store incomplete, as a change by another program does."""
        if not indexed:
            (network.directory / "foreign").touch()
            (network.directory / "foreign").unlink()

    disturb()
    lists = sum("getdents64" in line for line in traced(
        network, "GC", None, **{"cni.dev/valid-attachments": [
            {"containerID": pod, "ifname": "eth0"} for pod in ["one", "two", "three"]]}))
    for number in range(1, lists + 1):
        disturb()
        error = network.refusal(
            "GC", **{"cni.dev/valid-attachments": []},
            under=["strace", "-o", "/run/trace",
                   "-e", f"inject=getdents64:error=EIO:when={number}"])
        assert error["code"] == 5 and "cannot list" in error["msg"]
        if network.held():
            continue
        for pod in ["one", "two", "three"]:
            network.lease(pod)
    network.gc()
    assert checked(network.directory) == {}


# STATUS

def snapshot(network):
    return {str(path): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
            for path in [network.directory, *network.directory.rglob("*")]}


def test_status_says_when_the_next_add_would_fail(network):
    network.keys["subnet"] = "10.1.0.0/29"
    network.call("STATUS")
    assert not network.directory.exists()
    for n in range(5):
        network.call("STATUS")
        network.lease(f"pod{n}")
    before = snapshot(network)
    error = network.refusal("STATUS")
    assert error["code"] == 50 and "5 of 5" in error["details"]
    assert snapshot(network) == before
    assert network.refusal("ADD", "next")["code"] == 120
    network.release("pod3")
    network.call("STATUS")


def test_status_takes_no_lock(network):
    network.lease("pod")
    with open(network.directory / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        network.call("STATUS")


def test_status_says_that_the_cluster_file_is_missing(network):
    network.keys["clusterFile"] = "/run/none.json"
    error = network.refusal("STATUS")
    assert error["code"] == 50 and "/run/none.json" in error["msg"]


def test_status_counts_on_what_an_add_would_have_back_from_that_pool_only(network):
    network.configuration["ipam"] = {
        "type": "humanz-ipam", "ranges": [[{"subnet": "10.1.0.0/30"}], [{"subnet": "10.2.0.0/29"}]]}
    network.lease("pod")
    error = network.refusal("STATUS")
    assert error["code"] == 50 and "10.1.0.0/30" in error["msg"]
    forget_boot(network, "pod")
    network.call("STATUS")
    # An old lease of the other pool does not help.
    (network.directory / "10.1.0.2").write_bytes(b"new\r\neth0")
    assert network.refusal("STATUS")["code"] == 50
    assert network.refusal("ADD", "other")["code"] == 120


@pytest.mark.parametrize("made", [True, False])
def test_status_says_that_the_store_cannot_be_written(network, made):
    node = network.node
    node.path("/run/disk").mkdir()
    node.run("mount", "-t", "tmpfs", "tmpfs", "/run/disk")
    network.keys["dataDir"] = "/run/disk/leases"
    if made:
        network.lease("pod")
    network.call("STATUS")
    node.run("mount", "-o", "remount,ro", "/run/disk")
    assert network.refusal("STATUS")["code"] == 50
    assert network.refusal("ADD", "next")["code"] == 5
    node.run("mount", "-o", "remount,rw", "/run/disk")
    network.call("STATUS")


# A disk that is full or read-only

@pytest.mark.parametrize("options", ["size=64k", "nr_inodes=32"])
def test_a_full_disk_is_an_error_and_loses_nothing(network, options):
    node = network.node
    node.path("/run/disk").mkdir()
    node.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", "/run/disk")
    network.keys["dataDir"] = "/run/disk"
    given = {}
    for n in range(100):
        try:
            given[network.lease(f"pod{n}")[0]] = f"pod{n} eth0"
        except AssertionError as refused:
            assert refused.error["code"] == 5 and "space" in refused.error["msg"]
            break
    assert 2 < len(given) < 100
    assert checked(network.directory) == given
    assert network.refusal("STATUS")["code"] == 50
    assert network.refusal("ADD", "again")["code"] == 5
    assert checked(network.directory) == given
    # Existing leases can be checked and freed, and then there is room again.
    network.check("pod0")
    for pod in ["pod0", "pod1"]:
        network.release(pod)
    assert len(network.lease("again")) == 1
    assert len(checked(network.directory)) == len(given) - 1


def test_host_local_s_store_on_a_full_disk_can_be_freed_from(network):
    node = network.node
    node.path("/run/disk").mkdir()
    node.run("mount", "-t", "tmpfs", "-o", "nr_inodes=8", "tmpfs", "/run/disk")
    network.keys["dataDir"] = "/run/disk"
    network.directory.mkdir()
    (network.directory / "lock").touch()
    for n in range(2, 7):
        (network.directory / f"10.1.0.{n}").write_bytes(b"pod%d\r\neth0" % n)
    network.release("pod3")
    assert len(network.held()) == 4 and "10.1.0.3" not in network.held()
    (network.directory / "full").touch()
    Tool(node).release("net", "10.1.0.5", store="/run/disk")
    assert len(network.held()) == 3 and "10.1.0.5" not in network.held()


def test_a_store_that_cannot_be_written_can_be_checked(network):
    node = network.node
    node.path("/run/disk").mkdir()
    node.run("mount", "-t", "tmpfs", "tmpfs", "/run/disk")
    network.keys["dataDir"] = "/run/disk"
    network.lease("pod")
    (network.directory / "foreign").touch()
    (network.directory / "foreign").unlink()
    node.run("mount", "-o", "remount,ro", "/run/disk")
    network.check("pod")
    for verb in ["ADD", "DEL"]:
        error = network.refusal(verb, "other" if verb == "ADD" else "pod")
        assert error["code"] == 5 and "ead-only" in error["msg"]
    # DEL of an attachment without leases writes nothing, and succeeds.
    network.release("never")
    node.run("mount", "-o", "remount,rw", "/run/disk")
    network.check("pod")


def opened(network, verb, *options):
    """Makes a call under strace; returns its answer and its system calls, with the paths of files."""
    return answer_and_trace(network, verb, "pod", "-y", *options)


def place(trace, *words):
    """The position of the last call that has all the words."""
    places = [place for place, line in enumerate(trace) if all(word in line for word in words)]
    assert places, words
    return places[-1]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_the_answer(network):
    _, trace = opened(network, "ADD")
    lease, record = place(trace, "fsync(", "/.lease>"), place(trace, "fsync(", "/.new>")
    named = place(trace, "renameat", '"pod:eth0"')
    kept = place(trace, "fsync(", "/attachments>")
    claimed = place(trace, "linkat", '"10.1.0.2"')
    done = place(trace, "fsync(", "/net>")
    assert lease < record < named < kept < claimed < done < place(trace, "write(1")
    # The removal of a lease is on the disk before the attachment file that leads to it is removed.
    _, trace = opened(network, "DEL")
    freed = place(trace, "unlinkat", '"10.1.0.2"')
    forgotten = place(trace, "unlinkat", '"pod:eth0"')
    assert any(freed < n < forgotten and "fsync(" in line and "/net>" in line
               for n, line in enumerate(trace))
    assert forgotten < place(trace, "fsync(", "/net>")


def test_before_linux_5_6_the_store_is_found_step_by_step(network):
    result, trace = opened(network, "ADD", "-e", "inject=openat2:error=ENOSYS")
    assert "INJECTED" in trace[place(trace, "openat2")]
    assert result["ips"][0]["address"] == "10.1.0.2/24"
    opened(network, "CHECK", "-e", "inject=openat2:error=ENOSYS")
    opened(network, "DEL", "-e", "inject=openat2:error=ENOSYS")
    assert checked(network.directory) == {}


# The lock

def test_a_store_that_stays_locked_is_error_11_in_ten_seconds(network):
    network.lease("pod")

    def hold_back_alarms():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})

    with open(network.directory / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        start = time.monotonic()
        waiting = [
            network.start(verb, "pod", preexec_fn=prepare)
            for verb, prepare in [("ADD", None), ("DEL", None), ("CHECK", None),
                                  ("DEL", hold_back_alarms)]]
        for plugin in waiting:
            plugin.write_input(network.configuration)
        for plugin in waiting:
            error = plugin.end(timeout=30).refused(11)
            assert "lock" in error["msg"]
        assert 9 < time.monotonic() - start < 20
    # The same calls succeed once the lock is free.
    network.release("pod")


def test_a_call_that_waits_goes_on_when_the_lock_is_free(network):
    network.lease("pod")
    with open(network.directory / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        plugin = network.start("DEL", "pod", namespace="")
        plugin.write_input(network.configuration)
        time.sleep(0.3)
        assert plugin.is_running()
    plugin.end(timeout=5).succeeded()
    assert network.held() == {}


@pytest.mark.parametrize("round", range(10))
def test_of_two_adds_of_an_attachment_at_once_one_succeeds_and_the_other_says_why(network, round):
    waiting = [network.start("ADD", "pod") for _ in range(4)]
    ended = end_at_once(waiting, network.configuration)
    succeeded = [end for end in ended if end.status == 0]
    assert len(succeeded) == 1
    for end in ended:
        if end.status:
            end.refused(122, "pod eth0 holds 10.1.0.2 already")
    assert succeeded[0].json["ips"][0]["address"] == "10.1.0.2/24"
    assert checked(network.directory) == {"10.1.0.2": "pod eth0"}


# Stale leases

def test_leases_of_an_earlier_boot_are_reclaimed_when_the_pool_is_exhausted(network):
    network.keys["subnet"] = "10.1.0.0/29"
    for n in range(5):
        network.lease(f"pod{n}")
    assert network.refusal("ADD", "next")["code"] == 120
    forget_boot(network, "pod1", "pod3")
    assert network.lease("next") == ["10.1.0.3"]
    assert network.held() == {"10.1.0.2": "pod0 eth0", "10.1.0.3": "next eth0",
                              "10.1.0.4": "pod2 eth0", "10.1.0.6": "pod4 eth0"}
    log = network.node.path(LOG).read_text()
    for address, pod in [("10.1.0.3", "pod1"), ("10.1.0.5", "pod3")]:
        assert re.search(f"reclaims the lease of {address} from {pod} eth0: the node was restarted since", log)


def test_leases_of_an_earlier_boot_stay_while_there_is_room(network):
    network.lease("pod")
    forget_boot(network, "pod")
    network.lease("other")
    assert network.held() == {"10.1.0.2": "pod eth0", "10.1.0.3": "other eth0"}


def test_an_address_that_is_asked_for_is_reclaimed_from_an_earlier_boot(network):
    network.lease("pod")
    forget_boot(network, "pod")
    network.configuration["runtimeConfig"] = {"ips": ["10.1.0.2"]}
    assert network.lease("same") == ["10.1.0.2"]
    assert network.held() == {"10.1.0.2": "same eth0"}


@pytest.mark.parametrize("namespace", [True, False])
@pytest.mark.parametrize("link", [True, False])
def test_a_lease_is_reclaimed_only_if_namespace_and_link_are_both_gone(node, namespace, link):
    network = Leases(node, caller="humanz-bridge", subnet="10.1.0.0/30")
    network.lease("pod")
    name = record(network, "pod")["hostInterface"]
    if namespace:
        node.add_pod("pod")
    if link:
        node.run("ip", "link", "add", name, "type", "veth", "peer", "name", "other")
    if namespace or link:
        assert network.refusal("ADD", "next")["code"] == 120
        assert network.held() == {"10.1.0.2": "pod eth0"}
    else:
        assert network.lease("next") == ["10.1.0.2"]
        assert "are gone" in node.path(LOG).read_text()


def test_of_a_caller_whose_links_are_not_known_nothing_is_reclaimed_in_the_same_boot(node):
    network = Leases(node, caller="bridge", subnet="10.1.0.0/30")
    network.lease("pod")
    assert network.refusal("ADD", "next")["code"] == 120


def test_what_is_known_of_an_attachment_survives_a_foreign_change(node, tmp_path):
    # On a disk, where the two files of a lease have different times.
    network = Leases(node, subnet="10.1.0.0/24", dataDir=str(tmp_path))
    network.lease("pod")
    before = record(network, "pod")
    (network.directory / "foreign").touch()
    network.lease("other")
    assert record(network, "pod") == before
    assert "bootID" in before


def test_an_attachment_file_loses_its_metadata_if_the_lease_was_replaced(network):
    network.lease("pod")
    lease = network.directory / "10.1.0.2"
    lease.unlink()
    time.sleep(0.02)
    lease.write_bytes(b"pod\r\neth0")
    network.lease("other")
    assert record(network, "pod").keys() == {"addresses", "time"}
    network.release("pod")
    assert network.held() == {"10.1.0.3": "other eth0"}


def test_a_new_boot_looks_the_store_through_once(network):
    # Whichever attachment files a loss of power has kept, every lease can be freed.
    for pod in ["pod", "other"]:
        network.lease(pod)
    for file in (network.directory / "attachments").iterdir():
        file.write_bytes(b"")
    os.utime(network.directory, ns=(1, 1))
    network.release("pod")
    assert checked(network.directory) == {"10.1.0.3": "other eth0"}


def test_a_lease_that_is_older_than_1970_by_its_file_is_shown_and_freed(network):
    network.lease("pod")
    lease = network.directory / "10.1.0.2"
    os.utime(lease, ns=(-(10 ** 18), -(10 ** 18)))
    # The index is made anew, which looks at the time.
    (network.directory / "attachments" / "pod:eth0").unlink()
    (network.directory / "foreign").touch()
    assert "1970-01-01" in Tool(network.node).leases(network.configuration["name"])
    network.lease("other")
    network.release("pod")
    assert sorted(network.held()) == ["10.1.0.3"]
