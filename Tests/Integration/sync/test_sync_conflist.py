# SPDX-License-Identifier: Apache-2.0
"""`sync CONFLIST` makes the routes to the peers in a conflist; with --watch it repairs them, whatever changes them."""

import json
import os
import re
import shlex
import signal
import subprocess

import pytest

from lab.isolated_node import NETWORKS, ROOT
from lab.tool import PROGRAM, WRONG_USAGE, Tool, command
from lab.waiting import eventually, patience
from sync.expected import (
    HARM, HARM_IDS, expected, give_gateway, own_route, routes, seconds_to_repair)
from sync.test_sync_service import SAID, child, said

CONFLIST = f"{NETWORKS}/10-humanz.conflist"
UNIT = ROOT / "systemd" / "humanz-routes.service"
RIGHT = {**expected(2, 3)}
# What is said of a repair.
SENTENCE = re.compile(rf"{PROGRAM}: (made|replaced) the route 10\.244\.\d+\.0/24 .*")


def conflist(*numbers, **keys):
    """The chain with the peers of these numbers."""
    peers = [{"subnet": f"10.244.{n}.0/24", "via": f"192.168.0.{n}"} for n in numbers]
    return json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [
        {"type": "humanz-bridge", "bridge": "pods"},
        {"type": "humanz-ipam", "subnet": "10.244.1.0/24"},
        {"type": "humanz-route", "network": "10.244.0.0/16", "peers": peers, "unreachable": False, **keys}]})


@pytest.fixture
def keeper(node1):
    """A node on which the unit's command keeps the routes to two peers."""
    node1.path(CONFLIST).write_text(conflist(2, 3))
    lines = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    name, _, value = lines["Environment"].partition("=")
    assert (name, value) == ("CONFLIST", "/etc/cni/net.d/10-humanz.conflist")
    program, *words = shlex.split(lines["ExecStart"].replace("${CONFLIST}", CONFLIST))
    assert program == "/usr/local/bin/humanz"
    with node1.path(SAID).open("w") as stderr:
        node1.keeper = node1.start(*command(*words), stdout=subprocess.DEVNULL, stderr=stderr)
    eventually(lambda: routes(node1) == RIGHT)
    yield node1
    if node1.keeper.poll() is None:
        node1.keeper.kill()
        node1.keeper.wait()


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/humanz", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", HARM, ids=HARM_IDS)
def test_what_others_did_to_the_routes_is_healed_within_a_second(keeper, words, record_property):
    times = [seconds_to_repair(keeper, words, RIGHT) for _ in range(3)]
    record_property("healed after", ", ".join(f"{time:.2f} s" for time in times))
    assert max(times) < patience(1)
    # Nothing is said but what was repaired: the first making of the routes at the start is none.
    lines = said(keeper).splitlines()
    if patience(1) > 1:
        # An emulated machine is so slow that the keeper sees the link or its address missing.
        lines = [line for line in lines if not line.endswith(" is not on-link")]
    assert lines and all(SENTENCE.fullmatch(line) for line in lines)
    # The same repair again within a minute is not said again.
    assert len(set(lines)) == len(lines) <= 4
    assert keeper.keeper.poll() is None


def test_many_repairs_at_once_are_said_in_four_lines(keeper):
    before, present = said(keeper), len(routes(keeper))
    keeper.path(CONFLIST).write_text(conflist(*range(2, 52)))
    eventually(lambda: len(routes(keeper)) == 50, seconds=11)
    eventually(lambda: "more repairs" in said(keeper).removeprefix(before))
    lines = said(keeper).removeprefix(before).splitlines()
    assert [bool(SENTENCE.fullmatch(line)) for line in lines[:3]] == [True] * 3
    assert lines[3:] == [f"{PROGRAM}: and {50 - present - 3} more repairs"]


def test_the_route_to_the_nodes_own_pods_is_healed_too_as_the_kernel_made_it(keeper):
    right = give_gateway(keeper)
    for _ in range(2):
        keeper.run("ip", "route", "delete", "10.244.1.0/24", "dev", "pods")
        eventually(lambda: own_route(keeper) == right, seconds=2)
    assert right[0]["protocol"] == "kernel" and right[0]["prefsrc"] == "10.244.1.1"


def test_the_entry_of_this_node_makes_no_route(keeper):
    right = give_gateway(keeper)
    keeper.path(CONFLIST).write_text(conflist(1, 2, 4))
    eventually(lambda: routes(keeper) == expected(2, 4), seconds=11)
    assert own_route(keeper) == right and "10.244.1.0" not in said(keeper)


def test_a_bridge_that_is_down_is_said_and_stays_down(keeper):
    give_gateway(keeper)
    keeper.run("ip", "link", "set", "pods", "down")
    eventually(lambda: "own subnet 10.244.1.0/24: pods is down" in said(keeper))
    [link] = keeper.ip("link", "show", "pods")
    assert "UP" not in link["flags"]


def test_what_the_kernel_does_not_tell_is_seen_within_ten_seconds(keeper):
    keeper.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    eventually(lambda: keeper.run("sysctl", "-n", "net.ipv4.ip_forward").stdout == "1\n", seconds=11)
    keeper.path(CONFLIST).write_text(conflist(2, 4))
    eventually(lambda: routes(keeper) == expected(2, 4), seconds=11)


def test_a_file_that_is_spoilt_is_said_once_and_changes_nothing_until_it_is_right(keeper):
    keeper.path(CONFLIST).write_text("{")
    for _ in range(3):
        keeper.run("ip", "link", "add", "noise", "type", "bridge")
        keeper.run("ip", "link", "delete", "noise")
        eventually(lambda: "not JSON" in said(keeper))
    assert said(keeper).count("not JSON") == 1 and routes(keeper) == RIGHT
    keeper.path(CONFLIST).write_text(conflist(3))
    keeper.run("ip", "route", "delete", "10.244.2.0/24")
    eventually(lambda: routes(keeper) == expected(3))


def test_a_file_that_loses_its_routes_is_said(keeper):
    text = json.loads(conflist(2, 3))
    keeper.path(CONFLIST).write_text(json.dumps({**text, "plugins": text["plugins"][:2]}))
    eventually(lambda: f"{PROGRAM}: {CONFLIST} has no plugin of type humanz-route\n" in said(keeper), seconds=11)
    assert keeper.keeper.poll() is None and routes(keeper) == RIGHT


def test_a_peer_that_is_not_on_link_is_said_once_and_the_others_keep_their_routes(keeper):
    keeper.run("ip", "address", "delete", "192.168.0.1/24", "dev", "uplink")
    eventually(lambda: "192.168.0.2" in said(keeper))
    keeper.run("ip", "address", "add", "192.168.0.1/24", "dev", "uplink")
    eventually(lambda: routes(keeper) == RIGHT)
    wrong = [line for line in said(keeper).splitlines() if not SENTENCE.fullmatch(line)]
    assert len(wrong) == 2 and all("not on-link" in line for line in wrong)


# Once

def once(node):
    """`humanz sync CONFLIST`: the exit status, and the lines on stdout and stderr."""
    done = node.run(*command("sync", CONFLIST), check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_without_watch_the_routes_are_made_once_with_a_line_for_each_change(node1):
    node1.path(CONFLIST).write_text(conflist(2, 3))
    assert once(node1) == (0, [
        "turned forwarding of IPv4 on", "made the route 10.244.2.0/24 via 192.168.0.2",
        "made the route 10.244.3.0/24 via 192.168.0.3"], [])
    assert routes(node1) == RIGHT
    assert once(node1) == (0, [f"{CONFLIST}: the routes are right"], [])
    right = give_gateway(node1)
    node1.run("ip", "route", "delete", "10.244.1.0/24", "dev", "pods")
    node1.run("ip", "route", "replace", "10.244.3.0/24", "via", "192.168.0.77", "proto", "72")
    node1.path(CONFLIST).write_text(conflist(1, 3, 4))
    assert once(node1) == (0, [
        "removed the route 10.244.2.0/24 via 192.168.0.2 dev uplink, which no peer needs",
        "replaced the route 10.244.3.0/24 via 192.168.0.77 dev uplink by the one to peer (10.244.3.0/24)",
        "made the route 10.244.4.0/24 via 192.168.0.4",
        "made the route 10.244.1.0/24 dev pods src 10.244.1.1"], [])
    assert routes(node1) == expected(3, 4) and own_route(node1) == right


def test_without_watch_what_stays_wrong_is_said_and_is_exit_status_1(node1):
    node1.path(CONFLIST).write_text(json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [
        {"type": "humanz-route", "network": "10.244.0.0/16", "unreachable": False, "peers": [
            {"name": "far", "subnet": "10.244.8.0/24", "via": "198.18.0.1"},
            {"name": "near", "subnet": "10.244.2.0/24", "via": "192.168.0.2"}]}]}))
    node1.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    wrong = [f"{PROGRAM}: peer far (10.244.8.0/24): the next hop 198.18.0.1 is not on-link"]
    assert once(node1) == (1, ["made the route 10.244.2.0/24 via 192.168.0.2"], wrong)
    assert once(node1) == (1, [], wrong)


def test_without_watch_what_stays_wrong_names_devices(node1):
    node1.path(CONFLIST).write_text(conflist(2))
    node1.run("ip", "route", "add", "10.244.2.0/24", "via", "192.168.0.9", "proto", "static", "metric", "9")
    status, _, [problem] = once(node1)
    assert status == 1 and "dev uplink" in problem and "number" not in problem


def test_without_watch_a_bridge_without_the_address_its_pods_need_is_exit_status_1(node1):
    node1.path(CONFLIST).write_text(conflist(2))
    give_gateway(node1)
    node1.add_pod("pod")
    node1.run("ip", "link", "add", "port", "master", "pods", "type", "veth", "peer", "name", "eth0", "netns", "pod")
    assert once(node1)[0] == 0
    node1.run("ip", "address", "flush", "dev", "pods")
    assert once(node1) == (1, [], [f"{PROGRAM}: own subnet 10.244.1.0/24: pods has no address of 10.244.1.0/24"])


@pytest.mark.parametrize("words", [["--metrics", "FILE"], ["--kubectl", "kubectl"], ["--heartbeat", "/run/tmp/FILE"]])
def test_an_option_of_another_form_is_wrong_usage_beside_a_conflist(node1, words):
    node1.path(CONFLIST).write_text(conflist(2))
    done = node1.run(*command("sync", CONFLIST, *words), check=False)
    assert done.returncode == WRONG_USAGE and f"{words[0]} needs" in done.stderr
    assert routes(node1) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_success_and_the_routes_stay(keeper, number):
    os.kill(child(keeper.keeper), number)
    assert keeper.keeper.wait(timeout=patience(10)) == 0
    assert routes(keeper) == RIGHT


def test_the_metrics_are_kept_in_a_file_that_everybody_may_read(node1):
    node1.path(CONFLIST).write_text(conflist(2, 3))
    metrics = node1.path("/run/tmp/humanz.prom")
    node1.start(*command("sync", "--watch", CONFLIST, "--metrics", "/run/tmp/humanz.prom"),
                env={**os.environ, "CNI_CONF_DIR": NETWORKS})

    def installed():
        return metrics.exists() and 'humanz_routes{network="net",state="installed"} 2\n' in metrics.read_text()

    eventually(installed)
    assert metrics.stat().st_mode & 0o7777 == 0o644
    assert metrics.read_text() == Tool(node1).call("metrics").stdout
    node1.path(CONFLIST).write_text(conflist(2, 3, 4))
    eventually(lambda: 'state="installed"} 3\n' in metrics.read_text(), seconds=11)
    assert [path.name for path in metrics.parent.iterdir() if "prom" in path.name] == ["humanz.prom"]


def test_a_file_that_cannot_be_written_is_said_once(node1):
    node1.path(CONFLIST).write_text(conflist(2))
    with node1.path(SAID).open("w") as stderr:
        node1.start(*command("sync", "--watch", CONFLIST, "--metrics", "/run/none/metrics", "--heartbeat", "/run/none/heart"),
                    env={**os.environ, "CNI_CONF_DIR": NETWORKS}, stdout=subprocess.DEVNULL, stderr=stderr)
    for number in range(3):
        # Each deletion is repaired, and after each repair both files are to be written.
        eventually(lambda: routes(node1) == expected(2))
        node1.run("ip", "route", "delete", "10.244.2.0/24")
    eventually(lambda: routes(node1) == expected(2))
    lines = said(node1).splitlines()
    for name in "metrics", "heart":
        assert [f"/run/none/{name}" in line for line in lines].count(True) == 1


@pytest.mark.parametrize("text, words", [
    (None, ["No such file"]),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "loopback"}]}', ["no plugin of type humanz-route"]),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "humanz-route", "peers": [{"subnet": "10.1.0.0/24"}]}]}',
     [f'{CONFLIST}: key "plugins[0].peers[0].via" is required']),
])
def test_a_file_without_routes_is_an_error_at_the_start(node1, text, words):
    if text:
        node1.path(CONFLIST).write_text(text)
    for watch in [[], ["--watch"]]:
        done = node1.run(*command("sync", *watch, CONFLIST), check=False)
        assert done.returncode == 1
        for word in words:
            assert word in done.stderr
