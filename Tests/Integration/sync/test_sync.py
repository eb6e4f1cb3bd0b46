# SPDX-License-Identifier: Apache-2.0
"""sync: reads Kubernetes' nodes, writes the cluster file and this node's routes."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from lab.cluster import CLUSTER_FILE, by_families, subnets, uplinks
from lab.kubernetes import bookmark, changed, event, expired, listed, node_list, watched
from lab.kubernetes import node as kubernetes_node
from lab.tool import PROGRAM, WRONG_USAGE, Tool
from lab.waiting import eventually, patience
from sync.expected import (
    HARM, HARM_IDS, SYNC, cluster_file, content, expected, inode, member, routes, seconds_to_repair, sync)

V4, BOTH = ["4"], ["4", "6"]
WITHOUT_SUBNET = "{} no podCIDR: was the cluster made with --pod-network-cidr?"


class Messages:
    """Counts what a command sends to the kernel, with strace, which may print message types as numbers."""

    def __init__(self, node, input, command=SYNC):
        node.run("strace", "-v", "-e", "trace=sendto", "-o", "/run/tmp/trace", *command, input=input)
        trace = node.path("/run/tmp/trace").read_text()
        self.changes = len(re.findall(r"nlmsg_type=(?:RTM_(?:NEW|DEL)ROUTE|0x1[89])", trace))
        self.dumps = len(re.findall(r"nlmsg_type=(?:RTM_GETROUTE|0x1a)", trace))


# MARK: - A list


@by_families
@pytest.mark.parametrize("form", [listed, node_list], ids=["List", "NodeList"])
def test_a_list_becomes_the_file_and_the_routes(node1, families, form):
    done = sync(node1, form(*(member(n, families) for n in (1, 2, 3))))
    assert cluster_file(node1) == content(2, 3, families=families)
    assert routes(node1) == expected(2, 3, families=families)
    assert not done.stderr
    status = node1.path(CLUSTER_FILE).stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o600, 0)
    assert node1.path(CLUSTER_FILE).parent.stat().st_mode & 0o7777 == 0o700
    assert [entry.name for entry in node1.path(CLUSTER_FILE).parent.iterdir()
            if entry.name not in ("cluster.json", "node.lock")] == []


def test_forwarding_is_on_for_the_families_of_the_nodes_subnets(node1):
    key = "/proc/sys/net/ipv4/ip_forward"
    node1.run("sh", "-c", f"echo 0 >{key}")
    sync(node1, listed(member(1), member(2)))
    assert node1.run("cat", key, "/proc/sys/net/ipv6/conf/all/forwarding").stdout == "1\n0\n"


def test_another_file_is_written_where_it_is_asked_for(node1):
    sync(node1, listed(member(1), member(2)), "--cluster-file", "/run/else/where.json")
    assert cluster_file(node1, "/run/else/where.json") == content(2)
    assert node1.path("/run/else").stat().st_mode & 0o7777 == 0o700
    assert not node1.path(CLUSTER_FILE).exists()


@pytest.mark.parametrize("other, words", [
    (kubernetes_node("other", [], ["192.168.0.9"]), ["node other has no podCIDR", "--pod-network-cidr"]),
    (kubernetes_node("other", ["10.244.9.0/24"], []), ["other has no InternalIP", "10.244.9.0/24"]),
    (kubernetes_node("other", ["fd00:244:9::/64"], ["192.168.0.9"]),
     ["other has no InternalIP of IPv6"]),
    (kubernetes_node("other", ["nonsense"], ["192.168.0.9"]), ["other", "nonsense"]),
    (kubernetes_node("other", ["0.0.0.0/0"], ["192.168.0.9"]), ["other", "its own address"]),
    (kubernetes_node("other", ["10.244.1.128/25"], ["192.168.0.9"]), ["other", "of this node"]),
    (kubernetes_node("other", ["10.244.2.0/24"], ["192.168.0.9"]), ["other", "node2", "already"]),
], ids=["no subnet", "no address", "no address of the family", "no prefix", "everything",
        "ours", "another's"])
def test_a_node_that_cannot_be_a_peer_is_named_and_left_out(node1, other, words):
    done = sync(node1, listed(member(1), member(2), other, member(3)), check=False)
    assert done.returncode == 1
    assert cluster_file(node1) == content(2, 3)
    assert routes(node1) == expected(2, 3)
    for word in words:
        assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_peer_of_one_family_alone_keeps_that_one(node1):
    half = kubernetes_node("node2", subnets(2, BOTH), uplinks(2, V4))
    done = sync(node1, listed(member(1, BOTH), half), check=False)
    assert done.returncode == 1
    assert routes(node1) == expected(2)
    assert "node2 has no InternalIP of IPv6" in done.stderr


def test_a_peer_that_is_not_on_link_is_named_and_the_others_are_routed(node1):
    far = kubernetes_node("far", ["10.244.7.0/24"], ["172.16.0.7"])
    done = sync(node1, listed(member(1), far, member(2)), check=False)
    assert done.returncode == 1
    assert routes(node1) == expected(2)
    assert "far" in done.stderr and "172.16.0.7" in done.stderr and "not on-link" in done.stderr
    assert [peer["name"] for peer in cluster_file(node1)["peers"]] == ["node2", "far"]


def test_a_node_without_pod_subnet_yet_has_its_peers(node1):
    done = sync(node1, listed(kubernetes_node("node1", [], ["192.168.0.1"]), member(2)), check=False)
    assert done.returncode == 1
    assert cluster_file(node1) == {**content(2), "subnets": []}
    assert done.stderr == f"{PROGRAM}: {WITHOUT_SUBNET.format('node node1 has')}\n"


def test_a_cluster_that_gives_no_subnets_is_one_sentence(node1):
    poor = [kubernetes_node(f"node{n}", [], [f"192.168.0.{n}"]) for n in (1, 2, 3)]
    done = sync(node1, listed(*poor), check=False)
    assert done.returncode == 1
    assert done.stderr == f"{PROGRAM}: {WITHOUT_SUBNET.format('node node1 and 2 more nodes have')}\n"
    done = sync(node1, listed(*poor[:2]), check=False)
    assert done.stderr == f"{PROGRAM}: {WITHOUT_SUBNET.format('node node1 and 1 more node have')}\n"


# MARK: - A second sync


@by_families
def test_an_unchanged_cluster_writes_nothing(node1, families):
    members = [member(n, families) for n in (1, 2, 3)]
    sync(node1, listed(*members))
    before = inode(node1)
    messages = Messages(node1, listed(*(changed(one, 2000) for one in members)))
    assert (messages.changes, inode(node1)) == (0, before)
    assert messages.dumps == len(families)


@pytest.mark.parametrize("change", [
    lambda one: changed(one, 2000, addresses=["192.168.0.99"]),
    lambda one: None,
], ids=["another address", "it leaves"])
def test_one_changed_node_is_one_message(node1, change):
    members = [member(n) for n in range(1, 41)]
    sync(node1, listed(*members))
    members[29] = change(members[29])
    messages = Messages(node1, listed(*filter(None, members)))
    assert messages.changes == 1
    assert routes(node1).get("10.244.30.0/24") == ("192.168.0.99" if members[29] else None)
    assert len(routes(node1)) == (39 if members[29] else 38)


@by_families
def test_a_node_that_leaves_loses_its_route_and_nobody_else_does(node1, families):
    sync(node1, listed(*(member(n, families) for n in (1, 2, 3))))
    # Routes of others: to the same destination with another metric, by a routing daemon, of our protocol by hand.
    for family in families:
        for words in ([subnets(3, [family])[0], "proto", "static", "metric", "5000"],
                      [subnets(8, [family])[0], "proto", "bird"],
                      [subnets(9, [family])[0], "proto", "72"]):
            node1.run("ip", f"-{family}", "route", "add", *words, "via", uplinks(7, [family])[0])
    others = [node1.ip(f"-{family}", "route", "show", "proto", proto)
              for family in families for proto in ("static", "bird")]
    sync(node1, listed(*(member(n, families) for n in (1, 2))))
    assert [node1.ip(f"-{family}", "route", "show", "proto", proto)
            for family in families for proto in ("static", "bird")] == others
    made_by_hand = {subnets(9, [family])[0]: uplinks(7, [family])[0] for family in families}
    assert routes(node1) == expected(2, families=families) | made_by_hand
    assert cluster_file(node1) == content(2, families=families)


def test_what_others_did_to_the_routes_is_healed(node1):
    cluster = listed(member(1), member(2), member(3), member(4))
    sync(node1, cluster)
    node1.run("ip", "route", "delete", "10.244.2.0/24")
    node1.run("ip", "route", "replace", "10.244.3.0/24", "via", "192.168.0.77", "proto", "72")
    assert routes(node1) != expected(2, 3, 4)
    assert Messages(node1, cluster).changes == 2
    assert routes(node1) == expected(2, 3, 4)
    node1.run("ip", "link", "set", "uplink", "down")
    assert routes(node1) == {}
    node1.run("ip", "link", "set", "uplink", "up")
    sync(node1, cluster)
    assert routes(node1) == expected(2, 3, 4)


def test_a_file_that_was_spoilt_is_written_anew(node1):
    node1.path(CLUSTER_FILE).parent.mkdir()
    node1.path(CLUSTER_FILE).write_text("{")
    sync(node1, listed(member(1), member(2)))
    assert cluster_file(node1) == content(2)


def test_a_path_that_ends_with_a_slash_names_no_file(node1):
    ended = sync(node1, listed(member(1), member(2)), "--cluster-file", "/run/else/", check=False)
    assert ended.returncode == 1 and "/run/else/" in ended.stderr, ended
    assert not [name for name in os.listdir(node1.path("/run")) if name.startswith("e") and name != "else"]


def test_links_in_the_place_of_its_files_are_not_followed(node1):
    node1.path("/run/humanz").mkdir()
    for name in ("cluster.json", ".cluster.json.new"):
        node1.run("ln", "-s", "/run/precious", f"/run/humanz/{name}")
    node1.path("/run/precious").write_text("precious")
    sync(node1, listed(member(1), member(2)))
    assert node1.path("/run/precious").read_text() == "precious"
    assert not node1.path(CLUSTER_FILE).is_symlink() and cluster_file(node1) == content(2)


# MARK: - Invalid input

GOOD = listed(member(1), member(2), member(4))
SPOILT = {
    "nothing": "",
    "white space": " \n\n",
    "an error of kubectl's": "error: You must be logged in to the server (Unauthorized)\n",
    "half a list": GOOD[:len(GOOD) // 2],
    "all but the last bracket": GOOD.rstrip()[:-1],
    "within a string": GOOD[:GOOD.index("kubelet has") + 6],
    "a list without its kind": GOOD.replace('"kind": "List"', '"kind": "Table"'),
    "a pod among the nodes": GOOD.replace('"kind": "Node"', '"kind": "Pod"', 1),
    "a node without a name": GOOD.replace('"name": "node2"', '"title": "node2"'),
    "subnets that are no list": GOOD.replace('"podCIDRs": [', '"podCIDRs": 7, "x": [', 1),
    "a comma too many": GOOD.replace('"items": [', '"items": [,', 1),
    "a comma too few": GOOD.replace("},\n        {", "}\n        {", 1),
    "a bracket of the other kind": GOOD.replace("    ],\n    \"kind\"", "    },\n    \"kind\""),
    "a bad escape": GOOD.replace("kubelet has", "kubelet\\x has", 1),
    "a list without this node": listed(member(2), member(4)),
    "no node at all": listed(),
    "two lists": GOOD + GOOD,
    "one node alone": watched(member(1)),
    "events": event("ADDED", member(1)) + event("ADDED", member(4)),
    "an answer that is a failure": json.dumps({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "nodes is forbidden", "reason": "Forbidden", "code": 403}),
}


@pytest.mark.parametrize("input", SPOILT.values(), ids=SPOILT.keys())
def test_bad_input_changes_nothing_and_is_one_error(node1, input):
    sync(node1, listed(member(1), member(2), member(3)))
    before = inode(node1)
    done = sync(node1, input, check=False)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith(f"{PROGRAM}: stdin: ") and len(done.stderr.splitlines()) <= 2
    assert (inode(node1), routes(node1)) == (before, expected(2, 3))


def test_an_error_names_line_and_column_in_the_whole_input(node1):
    lines = GOOD.splitlines()
    number = [index for index, line in enumerate(lines) if '"uid"' in line][1]
    column = lines[number].index("7f1c") + 1
    lines[number] = lines[number].replace("7f1c", "\x01f1c")
    done = sync(node1, "\n".join(lines), check=False)
    assert f"stdin: line {number + 1}, column {column}: " in done.stderr


@pytest.mark.parametrize("words", [
    [], ["--node"], ["--node", ""], ["--nodes", "node1"],
    ["--node", "node1", "more"], ["--node", "node1", "--cluster-file"],
])
def test_wrong_usage_names_what_is_required(node1, words):
    done = Tool(node1).call("sync", *words, input=GOOD, check=False)
    assert done.returncode == WRONG_USAGE and "usage: " in done.stderr and "--node NAME" in done.stderr
    assert not node1.path(CLUSTER_FILE).exists()


# MARK: - A stream


class Watch:
    """`sync --watch` with a stream that the test writes."""

    def __init__(self, node, *words):
        self.process = node.start(
            *SYNC, "--watch", *words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)

    def tell(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self):
        """Ends the stream; returns the exit status and the output."""
        _, said = self.process.communicate(timeout=patience(30))
        return self.process.returncode, said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@by_families
@pytest.mark.parametrize("start", [
    lambda members: listed(*members),
    lambda members: watched(*members),
    lambda members: "".join(event("ADDED", one) for one in members),
    lambda members: listed(*members) + "".join(event("ADDED", one) for one in members),
], ids=["list", "nodes", "events", "list and events"])
def test_each_event_is_applied_as_it_arrives(node1, families, start):
    with Watch(node1) as watch:
        members = [member(n, families) for n in (1, 2, 3)]
        watch.tell(start(members))
        eventually(lambda: routes(node1) == expected(2, 3, families=families))
        watch.tell(event("ADDED", member(4, families)))
        eventually(lambda: routes(node1) == expected(2, 3, 4, families=families))
        watch.tell(bookmark(3000) + event("DELETED", members[1]))
        eventually(lambda: routes(node1) == expected(3, 4, families=families))
        watch.tell(event("MODIFIED", changed(members[2], 3001, addresses=uplinks(33, families))))
        eventually(lambda: routes(node1) == expected(4, families=families) | dict(
            zip(subnets(3, families), uplinks(33, families))))
        status, said = watch.end()
    assert status == 1 and said == f"{PROGRAM}: stdin: the stream of nodes has ended\n"
    assert [peer["name"] for peer in cluster_file(node1)["peers"]] == ["node3", "node4"] * len(families)


def test_an_event_in_pieces_is_applied_when_it_is_whole(node1):
    with Watch(node1) as watch:
        watch.tell(listed(member(1), member(2)))
        eventually(lambda: routes(node1) == expected(2))
        whole = event("ADDED", member(3))
        for start in range(0, len(whole) - 2, 700):
            watch.tell(whole[start:min(start + 700, len(whole) - 2)])
            time.sleep(0.03)
        assert routes(node1) == expected(2)
        watch.tell(whole[-2:])
        eventually(lambda: routes(node1) == expected(2, 3))


def test_a_stream_goes_on_from_the_file_without_a_gap(node1):
    members = [member(n) for n in (1, 2, 3)]
    sync(node1, listed(*members))
    before = inode(node1)
    with Watch(node1) as watch:
        for one in members:
            watch.tell(event("ADDED", one))
            time.sleep(0.05)
            assert routes(node1) == expected(2, 3)
        watch.end()
    assert inode(node1) == before


def test_a_list_in_a_stream_forgets_what_it_does_not_name(node1):
    sync(node1, listed(member(1), member(2), member(3)))
    with Watch(node1) as watch:
        watch.tell(listed(member(1), member(4)))
        eventually(lambda: routes(node1) == expected(4))


@pytest.mark.parametrize("words", HARM, ids=HARM_IDS)
def test_what_others_did_to_the_routes_is_healed_within_a_second(node1, words):
    with Watch(node1) as watch:
        watch.tell(listed(member(1), member(2), member(3)))
        eventually(lambda: routes(node1) == expected(2, 3))
        before = inode(node1)
        for _ in range(3):
            assert seconds_to_repair(node1, words, expected(2, 3)) < patience(1)
        assert inode(node1) == before and watch.process.poll() is None


def test_a_complaint_is_made_once(node1):
    with Watch(node1) as watch:
        watch.tell(listed(member(1), kubernetes_node("poor", [], ["192.168.0.9"]), member(2)))
        eventually(lambda: routes(node1) == expected(2))
        for number in (3, 4):
            watch.tell(event("ADDED", member(number)))
            eventually(lambda: f"10.244.{number}.0/24" in routes(node1))
        _, said = watch.end()
    assert said.count("poor has no podCIDR") == 1


@pytest.mark.parametrize("text, words", [
    (expired(5), ["the cluster answers: too old resource version: 5"]),
    (event("ADDED", member(3))[:-9], ["ends inside the object"]),
    (event("DELETED", member(1)), ["the cluster has no node node1"]),
    (listed(member(2), member(3)), ["the cluster has no node node1"]),
    ("}", ["a JSON object is expected"]),
    (event("ADDED", {"kind": "Pod", "metadata": {"name": "pod"}}), ["expected Node"]),
], ids=["expired", "cut off", "this node leaves", "a list without this node", "no JSON", "a pod"])
def test_a_stream_that_fails_ends_with_one_error_and_leaves_the_rest(node1, text, words):
    with Watch(node1) as watch:
        watch.tell(listed(member(1), member(2)))
        eventually(lambda: routes(node1) == expected(2))
        before = inode(node1)
        watch.tell(text)
        status, said = watch.end()
    assert status == 1
    for word in words:
        assert word in said
    assert (routes(node1), inode(node1)) == (expected(2), before)


def test_nothing_is_applied_before_the_stream_has_told_of_this_node(node1):
    with Watch(node1) as watch:
        watch.tell(event("ADDED", member(2)) + event("ADDED", member(3)))
        time.sleep(0.3)
        assert routes(node1) == {} and not node1.path(CLUSTER_FILE).exists()
        watch.tell(event("ADDED", member(1)))
        eventually(lambda: routes(node1) == expected(2, 3))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_success_once_it_has_done_what_it_does(node1, number):
    with Watch(node1) as watch:
        watch.tell(listed(member(1), member(2)))
        eventually(lambda: routes(node1) == expected(2))
        child, = pathlib.Path(f"/proc/{watch.process.pid}/task/{watch.process.pid}/children").read_text().split()
        os.kill(int(child), number)
        assert watch.process.wait(timeout=patience(10)) == 0
    assert (cluster_file(node1), routes(node1)) == (content(2), expected(2))


# MARK: - Kills and size


def test_killed_at_any_system_call_it_leaves_a_file_that_is_read(node1):
    before, after = listed(member(1), member(2), member(3)), listed(member(1), member(3), member(4))
    calls = "openat,unlinkat,write,fsync,renameat,sendto,flock,mkdir"
    sync(node1, before)
    killed = 0
    for number in range(1, 200):
        done = node1.run(
            "strace", "-o", "/dev/null", "-e", f"trace={calls}",
            "-e", f"inject={calls}:signal=KILL:when={number}", *SYNC, input=after, check=False)
        assert cluster_file(node1) in (content(2, 3), content(3, 4))
        if done.returncode == 0:
            break
        killed += 1
        sync(node1, after)
        assert (cluster_file(node1), routes(node1)) == (content(3, 4), expected(3, 4))
        sync(node1, before)
        assert (cluster_file(node1), routes(node1)) == (content(2, 3), expected(2, 3))
    assert killed >= 8


def test_two_at_once_leave_file_and_routes_of_the_same_cluster(node1):
    clusters = [listed(member(1), *(member(n) for n in range(first, first + 20))) for first in (2, 30)]
    for _ in range(5):
        running = []
        for cluster in clusters * 2:
            process = node1.start(*SYNC, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            process.stdin.write(cluster)
            running.append(process)
        for process in running:
            process.stdin.close()
        assert [process.wait() for process in running] == [0] * 4
        kept = {peer["subnet"]: peer["via"][0] for peer in cluster_file(node1)["peers"]}
        assert routes(node1) == kept and len(kept) == 20


def test_five_thousand_nodes_take_little_longer_than_reading_them_and_no_memory(node1, tmp_path):
    node1.run("ip", "address", "add", "172.16.0.1/12", "dev", "uplink")
    one = json.dumps(kubernetes_node("NAME", ["SUBNET"], ["ADDRESS"], images=20), indent=4)
    path = tmp_path / "nodes.json"
    with path.open("w") as file:
        file.write('{"apiVersion": "v1", "items": [')
        for n in range(1, 5001):
            file.write(one.replace("NAME", f"node{n}").replace(
                "SUBNET", f"10.{n // 256}.{n % 256}.0/24").replace(
                "ADDRESS", f"172.16.{n // 250}.{n % 250 + 1}") + ",]"[n == 5000])
        file.write(', "kind": "List", "metadata": {"resourceVersion": ""}}')
    assert path.stat().st_size > 50_000_000

    def seconds(*command):
        with path.open() as stdin:
            start = time.monotonic()
            subprocess.run(command, stdin=stdin, stdout=subprocess.DEVNULL, check=True)
            return time.monotonic() - start

    read = ["/usr/bin/python3", "-c", "import json, sys; json.load(sys.stdin)"]
    # With a limit of 32 MiB of memory, less than the input's size.
    limited = ["bash", "-c", 'ulimit -d 32768; exec "$@"', "limited", *SYNC]
    times = [(seconds(*read), seconds(*node1.entered(*limited))) for _ in range(2)]
    assert len(routes(node1)) == 4999
    assert min(sync for _, sync in times) < 4 * max(reading for reading, _ in times), times
