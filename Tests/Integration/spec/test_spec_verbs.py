# SPDX-License-Identifier: Apache-2.0
"""Points 17 to 23 of the specification: DEL, a failed ADD, CHECK, GC and STATUS."""

import pytest

from lab.spec import BRIDGE, IPAM, ROUTE, Subject, spec

VALID = "cni.dev/valid-attachments"


def attached(subject, pod="pod", **options):
    """Attaches a pod; returns the keys that pass its result to a later call."""
    return {"prevResult": subject.added(pod, **options)}


def undone(subject, pod="pod"):
    """Whether the node has nothing left of the attachment that the plugin made."""
    if subject.plugin == BRIDGE:
        return subject.leases() == {} and subject.ports() == []
    if subject.plugin == IPAM:
        return subject.leases() == {}
    return remembered(subject) == []


def remembered(subject):
    """The pods' addresses in the node's neighbour table."""
    return [entry["dst"] for entry in subject.node.ip("neigh", "show", "dev", subject.bridge)
            if not entry["dst"].startswith("fe80")]


def remember(subject, pod="pod"):
    """Gives the node neighbour entries of the pod, as traffic does."""
    for address in (str(subject.subnet[2]), str(subject.subnet6[2])):
        subject.node.run("ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:33",
                         "dev", subject.bridge, "nud", "reachable")
    assert len(remembered(subject)) == 2


# 17

@spec(17)
def test_del_succeeds_without_the_namespace(subject):
    keys = attached(subject)
    if subject.plugin == ROUTE:
        # Without another pod the bridge goes down, and the kernel deletes the entries itself.
        subject.prepare("other")
    remember(subject)
    subject.node.remove_pod(subject.pods["pod"])
    subject.call("DEL", **keys).succeeded()
    assert undone(subject)


@spec(17)
def test_del_succeeds_without_link_and_lease_and_when_repeated(subject):
    keys = attached(subject)
    subject.node.run("ip", "link", "del", "eth0", pod=subject.pods["pod"])
    for lease in subject.leases():
        subject.node.path(f"/run/humanz/ipam/{subject.name}/{lease}").unlink()
    for options in [keys, keys, {}, {}]:
        subject.call("DEL", **options).succeeded()
    subject.node.run("ip", "link", "del", subject.bridge)
    subject.call("DEL", **keys).succeeded()
    assert subject.leases() == {}


@spec(17)
def test_del_of_what_was_never_added_succeeds(subject):
    before = subject.traces()
    for environment in [{}, {"CNI_NETNS": None}, {"CNI_NETNS": "/etc/passwd"}]:
        subject.call("DEL", environment=environment).succeeded()
    after = subject.traces()
    assert after == before


# 18

@spec(18, [BRIDGE, IPAM])
def test_del_without_a_namespace_takes_away_what_is_on_the_node(subject):
    for keys in (False, True):
        pod = f"pod{keys}"
        result = attached(subject, pod)
        subject.call("DEL", pod, environment={"CNI_NETNS": None},
                     **(result if keys else {})).succeeded()
        assert undone(subject, pod)
        if subject.plugin == BRIDGE:
            assert subject.link(pod=pod) is None


# 19

FAILING_DELEGATE = """#!/bin/bash
echo "$CNI_COMMAND" >> {record}
[ "$CNI_COMMAND" != ADD ] && exit 0
echo '{{"cniVersion":"1.0.0","code":123,"msg":"it fails","details":"on purpose"}}'
exit 1
"""


@spec(19, BRIDGE)
def test_a_delegate_that_fails_is_deleted_and_nothing_is_left(subject):
    record = subject.node.path(f"/run/{subject.name}.record")
    delegate = subject.node.path(f"/run/cni/bin/failing-{subject.number}")
    delegate.write_text(FAILING_DELEGATE.format(record=f"/run/{subject.name}.record"))
    delegate.chmod(0o755)
    subject.prepare()
    before = subject.traces()
    subject.call("ADD", ipam={"type": delegate.name}).refused(123, "it fails", "on purpose")
    assert record.read_text().split() == ["ADD", "DEL"]
    assert subject.traces() == before


# The kernel refuses the second route at the last step.
UNREACHABLE = [{"dst": "203.0.113.0/24"}, {"dst": "198.51.100.0/24", "gw": "192.0.2.200"}]


@spec(19)
def test_an_add_that_fails_at_its_last_step_leaves_nothing(subject):
    previous = subject.prepare()
    keys = {} if previous is None else {"prevResult": previous}
    if subject.plugin == BRIDGE:
        keys["ipam"] = subject.configuration["ipam"] | {"routes": UNREACHABLE}
        words = ["198.51.100.0/24"]
    elif subject.plugin == IPAM:
        # Another gateway of the subnet is on the bridge.
        subject.node.run("ip", "address", "add", f"{subject.subnet[77]}/24", "dev", subject.bridge)
        words = [f"{subject.subnet[77]}/24"]
    else:
        keys["routes"] = UNREACHABLE
        words = ["198.51.100.0/24"]
        # The node's own routes serve every pod and belong to no attachment.
        subject.call("DEL").succeeded()
    before = subject.traces()
    error = subject.call("ADD", **keys).error
    assert all(word in error["msg"] for word in words)
    after = subject.traces()
    if subject.plugin == ROUTE:
        mine = {f"{subject.peer_subnet} uplink 192.0.2.20", f"{subject.wide} None None"}
        after["node"]["routes"] = [route for route in after["node"]["routes"] if route not in mine]
        before["node"]["nft"] = after["node"]["nft"]
    assert after == before


# 20

def broken(subject):
    """Faults as commands on the node or in the pod, and the words that CHECK must then say."""
    pod, bridge = subject.pods["pod"], subject.bridge
    v4, v6 = f"{subject.subnet[2]}/24", f"{subject.subnet6[2]}/64"
    port = next(iter(subject.ports()))
    if subject.plugin == BRIDGE:
        return [
            (None, f"ip link set {bridge} down", [bridge]),
            (None, f"ip link set {port} down", [port]),
            (None, f"ip link set {port} nomaster", [port, bridge]),
            (pod, "ip link set eth0 down", ["eth0", subject.namespace()]),
            (pod, "ip link set eth0 address 02:00:00:00:00:44", ["eth0", "02:00:00:00:00:44"]),
            (pod, f"ip address del {v4} dev eth0", [v4, "eth0"]),
            (pod, f"ip address del {v6} dev eth0", [v6, "eth0"]),
            (None, f"ip address del {subject.subnet[1]}/24 dev {bridge}", [f"{subject.subnet[1]}/24"]),
            (None, f"rm /run/humanz/ipam/{subject.name}/{subject.subnet[2]}", ["pod"]),
        ]
    if subject.plugin == IPAM:
        return [
            (pod, f"ip address del {v4} dev eth0", [v4, "eth0"]),
            (pod, f"ip address del {v6} dev eth0", [v6, "eth0"]),
            (None, f"ip address del {subject.subnet[1]}/24 dev {bridge}", [f"{subject.subnet[1]}/24"]),
            (None, f"rm /run/humanz/ipam/{subject.name}/{subject.subnet[2]}", ["pod"]),
        ]
    return [
        (pod, "ip route del default", ["0.0.0.0/0"]),
        (pod, "ip -6 route del default", ["::/0"]),
        (None, f"ip route del {subject.peer_subnet}", ["far", str(subject.peer_subnet)]),
        (None, f"ip route del unreachable {subject.wide}", [str(subject.wide)]),
        (None, "sysctl -qw net.ipv4.ip_forward=0", ["forwarding"]),
        (None, "sysctl -qw net.ipv6.conf.all.forwarding=0", ["forwarding"]),
    ]


@spec(20, since="0.4.0")
def test_check_names_what_is_missing_or_changed(subject):
    keys = attached(subject)
    count = len(broken(subject))
    for number in range(count):
        # A new subject for each fault.
        other = Subject(subject.node, subject.plugin, subject.version)
        try:
            keys = attached(other)
            pod, command, words = broken(other)[number]
            other.call("CHECK", **keys).succeeded()
            other.node.run(*command.split(), pod=pod)
            other.call("CHECK", **keys).refused(102, *words)
        finally:
            other.remove()


@spec(20, since="0.4.0")
def test_check_tolerates_what_later_plugins_changed_or_added(subject):
    keys = attached(subject)
    pod = subject.pods["pod"]
    for command in ["ip link set eth0 mtu 1300", "ip address add 198.51.100.5/24 dev eth0",
                    "ip route add 203.0.113.0/24 dev eth0",
                    "ip link add more0 type veth peer name more1",
                    f"ip route add default via {subject.subnet[3]} metric 5000"]:
        subject.node.run(*command.split(), pod=pod)
    for command in [f"ip address add 203.0.113.9/24 dev {subject.bridge}",
                    "nft add table inet another", "ip rule add pref 9 to 203.0.113.9 table main"]:
        subject.node.run(*command.split())
    subject.call("CHECK", **keys).succeeded()
    subject.node.run("nft", "delete", "table", "inet", "another")
    subject.node.run("ip", "rule", "del", "pref", "9")


# 21

@spec(21, [BRIDGE, IPAM], since="0.4.0")
def test_a_lease_of_another_container_or_interface_is_not_the_attachments(subject):
    keys = attached(subject)
    path = subject.node.path(f"/run/humanz/ipam/{subject.name}/{subject.subnet[2]}")
    own = path.read_bytes()
    container, interface = own.split()
    assert (container.decode(), interface) == (subject.pods["pod"], b"eth0")
    for other in [container + b"\r\neth1", b"other\r\neth0", container + b"2\r\neth0"]:
        path.write_bytes(other)
        subject.call("CHECK", **keys).refused(102)
    path.write_bytes(own)
    subject.call("CHECK", **keys).succeeded()


# 22

def valid(subject, *pods):
    return {VALID: [{"containerID": subject.pods[pod], "ifname": "eth0"} for pod in pods]}


@spec(22, since="1.1.0")
def test_gc_keeps_exactly_what_is_valid(subject):
    results = {pod: attached(subject, pod) for pod in ("one", "two", "three")}
    before = subject.leases()
    assert len(before) == 6
    subject.call("GC", None, **valid(subject, "one", "two", "three")).succeeded()
    assert subject.leases() == before
    subject.call("GC", None, **valid(subject, "two")).succeeded()
    subject.call("CHECK", "two", **results["two"]).succeeded()
    if subject.plugin != ROUTE:
        kept = {address for address, lease in before.items() if lease[0] == subject.pods["two"]}
        assert set(subject.leases()) == kept
    if subject.plugin == BRIDGE:
        assert len(subject.ports()) == 1 and subject.link(pod="one") is None
    # The same container's other interface is another attachment.
    subject.call("GC", None, **{VALID: [
        {"containerID": subject.pods["two"], "ifname": "eth1"}]}).succeeded()
    assert subject.plugin == ROUTE or subject.leases() == {}


@spec(22, since="1.1.0")
def test_gc_with_null_frees_everything_as_with_an_empty_list(subject):
    """libcni writes null for a network without attachments."""
    attached(subject)
    subject.call("GC", None, **{VALID: None}).succeeded()
    assert subject.plugin == ROUTE or subject.leases() == {}
    if subject.plugin == BRIDGE:
        assert subject.ports() == []


@spec(22, since="1.1.0")
def test_gc_without_a_list_frees_nothing(subject):
    keys = attached(subject)
    before = subject.traces()
    for wrong in [{}, {VALID: {}}, {VALID: [{}]}, {VALID: [5]},
                  {VALID: [{"containerID": "x"}]}, {VALID: [{"containerID": "/", "ifname": "e"}]}]:
        subject.call("GC", None, **wrong).refused(7, VALID)
    assert subject.traces() == before
    subject.call("CHECK", **keys).succeeded()


@spec(22, BRIDGE, since="1.1.0")
def test_gc_goes_on_after_an_error_and_reports_it(subject):
    attached(subject, "one")
    attached(subject, "two")
    # The delegate's part fails; the bridge's part is still done.
    subject.call("GC", None, ipam={"type": "missing"}, **valid(subject, "one")).refused(
        103, "missing")
    assert len(subject.ports()) == 1


@spec(22, IPAM, since="1.1.0")
def test_gc_goes_on_after_a_lease_that_cannot_be_freed(subject):
    for pod in ("one", "two", "three"):
        attached(subject, pod)
    before = subject.leases()
    stuck = str(subject.subnet[3])
    path = f"/run/humanz/ipam/{subject.name}/{stuck}"
    # A file that is a mount point cannot be removed, not even by root.
    subject.node.run("mount", "--bind", path, path)
    try:
        subject.call("GC", None, **{VALID: []}).refused(5, stuck)
        assert {lease for lease in subject.leases() if "." in lease} == {stuck}
    finally:
        subject.node.run("umount", path)
    assert stuck in before
    subject.call("GC", None, **{VALID: []}).succeeded()
    assert subject.leases() == {}


# 23

@spec(23, [BRIDGE, IPAM], since="1.1.0")
def test_status_tells_of_a_pool_that_is_used_up(subject):
    tiny = {"ranges": [[{"subnet": f"{subject.subnet.network_address}/30"}]]}
    keys = tiny if subject.plugin == IPAM else {"ipam": {"type": IPAM} | tiny}
    subject.call("STATUS", None, **keys).succeeded()
    attached(subject, **keys)
    before = subject.traces()
    subject.call("STATUS", None, **keys).refused(50, "1 of 1")
    assert subject.traces() == before


@spec(23, since="1.1.0")
def test_status_does_not_fail_for_arguments_that_it_does_not_use(subject):
    subject.call("STATUS", None, environment={"CNI_ARGS": "no pair"}).succeeded()


@spec(23, BRIDGE, since="1.1.0")
def test_status_tells_of_a_delegate_that_is_missing_and_of_a_name_that_is_taken(subject):
    subject.call("STATUS", None, ipam={"type": "missing"}).refused(50, "missing")
    subject.call("STATUS", None, bridge="uplink").refused(50, "uplink")


@spec(23, ROUTE, since="1.1.0")
@pytest.mark.parametrize("command, words", [
    ("sysctl -qw net.ipv4.ip_forward=0", ["forwarding of IPv4"]),
    ("ip route del {subject.peer_subnet}", ["far", "{subject.peer_subnet}", "missing"]),
    ("ip route replace {subject.peer_subnet} via 192.0.2.99 proto 72", ["far", "192.0.2.99"]),
])
def test_status_says_nothing_of_what_the_next_add_heals(subject, command, words):
    keys = attached(subject)
    subject.call("STATUS", None).succeeded()
    subject.node.run(*command.format(subject=subject).split())
    before = subject.traces()
    # Runtimes start no pod on a node whose STATUS fails, so no ADD would repair it.
    subject.call("STATUS", None).succeeded()
    subject.call("STATUS", None, statusLimited=True).succeeded()
    subject.call("CHECK", **keys).refused(102, *(word.format(subject=subject) for word in words))
    assert subject.traces() == before
    # The next ADD repairs it.
    attached(subject, "next")
    subject.call("STATUS", None).succeeded()
    subject.call("CHECK", **keys).succeeded()


@spec(23, ROUTE, since="1.1.0")
def test_status_tells_of_a_peer_that_cannot_be_reached_where_it_is_asked_to(subject):
    peers = [{"name": "lost", "subnet": str(subject.peer_subnet), "via": "198.51.100.1"}]
    keys = attached(subject, peers=peers)
    subject.call("STATUS", None, peers=peers).succeeded()
    subject.call("STATUS", None, peers=peers, statusLimited=True).refused(
        51, "lost", "198.51.100.1", "on-link")
    subject.call("CHECK", peers=peers, **keys).refused(102, "lost", "198.51.100.1")
    assert "198.51.100.1 is not on-link" in subject.log.read_text()
