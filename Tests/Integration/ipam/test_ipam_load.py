# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam: many callers at once, and the cost of a call with many leases."""

import ipaddress
import random
import re
from statistics import median

import pytest

from lab.isolated_node import THEIRS, Node
from lab.lease_store import Calls, checked
from lab.plugin_process import attachment, run_plugin

FOLDER = "/run/leases"
RANGES = [[{"subnet": "10.0.0.0/16"}], [{"subnet": "fd00::/64"}]]
WORKERS = 32


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    with Node("node") as node:
        yield Calls(node, tmp_path_factory.mktemp("calls"))


def store(calls, network):
    return calls.node.path(FOLDER) / network


def first(count, network):
    """The first addresses of a network after its gateway, which has the first one."""
    start = int(ipaddress.ip_network(network).network_address) + 2
    version = type(ipaddress.ip_network(network).network_address)
    return {str(version(start + index)) for index in range(count)}


# Many callers at once

def test_2000_adds_by_32_processes_get_the_addresses_that_one_would_get(calls):
    network = calls.configuration("many", dataDir=FOLDER, ranges=RANGES)
    answers = calls.run([("ADD", f"pod{n}", network) for n in range(2000)], WORKERS)
    assert [answer for answer in answers if not answer.succeeded] == []
    given = [address for answer in answers for address in answer.addresses]
    assert len(set(given)) == len(given) == 4000
    assert set(given) == first(2000, "10.0.0.0/16") | first(2000, "fd00::/64")
    leases = checked(store(calls, "many"))
    for n, answer in enumerate(answers):
        assert [leases[address] for address in answer.addresses] == [f"pod{n} eth0"] * 2


def test_after_a_third_of_2000_adds_was_killed_gc_leaves_what_the_others_have(
        calls, record_property):
    # A third are killed at a random system call, and some of the others at a random time.
    seed = random.randrange(1000)
    record_property("seed", seed)
    chance = random.Random(seed)
    network = calls.configuration("killed", dataDir=FOLDER, ranges=RANGES)
    plan = [("ADD", f"pod{n}", network) for n in range(2000)]
    for n in chance.sample(range(2000), 667):
        plan[n] += (chance.randint(1, 60),)
    answers = calls.run(plan, WORKERS, kill=(10, 30000, seed))
    assert {answer.status for answer in answers} == {0, -9}
    alive = {f"pod{n}": answer.addresses for n, answer in enumerate(answers) if answer.succeeded}
    record_property("killed", 2000 - len(alive))
    assert 600 < 2000 - len(alive) < 1000
    given = [address for addresses in alive.values() for address in addresses]
    assert len(set(given)) == len(given) == 2 * len(alive)
    kept = calls.configuration("killed", valid=[*alive], dataDir=FOLDER, ranges=RANGES)
    assert calls.run([("GC", "none", kept)])[0].succeeded
    assert checked(store(calls, "killed")) == {
        address: f"{pod} eth0" for pod, addresses in alive.items() for address in addresses}


def test_adds_dels_and_gcs_at_once_leave_each_pod_with_what_it_was_given(calls):
    pods = [f"pod{n}" for n in range(300)]
    network = calls.configuration("mixed", dataDir=FOLDER, ranges=RANGES)
    kept = calls.configuration("mixed", valid=pods, dataDir=FOLDER, ranges=RANGES)
    # Worker W does every WORKERSth call, in order: so ADD, DEL, ADD of a pod follow each other.
    plan = []
    for start in range(0, len(pods), WORKERS - 2):
        batch = pods[start:start + WORKERS - 2]
        for verb in ["ADD", "DEL", "ADD"]:
            plan += [(verb, pod, network) for pod in batch] + [("CHECK", "none", network)] * (30 - len(batch))
            plan += [("GC", "none", kept), ("STATUS", "none", network)]
    answers = calls.run(plan, WORKERS)
    last = {}
    for call, answer in zip(plan, answers):
        assert answer.succeeded or call[0] == "CHECK", (call, answer)
        if call[0] == "ADD":
            last[call[1]] = answer.addresses
    assert checked(store(calls, "mixed")) == {
        address: f"{pod} eth0" for pod, addresses in last.items() for address in addresses}


# What a call costs

def fill(directory, count, start="10.0.0.2"):
    """Writes leases of this many pods, as host-local stores them."""
    directory.mkdir(parents=True)
    start = int(ipaddress.ip_address(start))
    for n in range(count):
        (directory / str(ipaddress.ip_address(start + n))).write_bytes(b"full%d\r\neth0" % n)
    (directory / "lock").touch()
    (directory / "last_reserved_ip.0").write_text(str(ipaddress.ip_address(start + count - 1)))


@pytest.fixture(scope="module")
def filled(calls):
    """Networks with 10, 4,000 and 60,000 leases. A first call has already added the attachment files."""
    networks = {}
    for count in [10, 4000, 60000]:
        fill(store(calls, f"with{count}"), count)
        networks[count] = calls.configuration(
            f"with{count}", dataDir=FOLDER, subnet="10.0.0.0/16")
        assert calls.run([("ADD", "extra", networks[count])])[0].succeeded
    return networks


def compared(calls, one, other, rounds):
    """Runs two calls in turn many times, each as often first as the other. Returns the medians of both in
    milliseconds and the median ratio of the pairs: other load affects both calls of a pair."""
    plan = []
    for n in range(rounds):
        for verb in ["ADD", "DEL"]:
            pair = [(*program, verb, "pod", configuration) for *program, configuration in [one, other]]
            plan += pair if n % 2 else pair[::-1]
    answers = calls.run(plan)
    assert [answer for answer in answers if not answer.succeeded] == []
    found = {}
    for index, verb in [(0, "ADD"), (2, "DEL")]:
        pairs = []
        for n in range(rounds):
            pair = [answer.nanoseconds / 1e6 for answer in answers[4 * n + index:4 * n + index + 2]]
            pairs.append(pair if n % 2 else pair[::-1])
        found[verb] = (median(first for first, _ in pairs), median(second for _, second in pairs),
                       median(first / second for first, second in pairs))
    return found


def test_a_call_costs_the_same_with_60000_leases_as_with_10(calls, filled, record_property):
    found = compared(calls, (filled[60000],), (filled[10],), 150)
    for verb, (many, few, ratio) in found.items():
        record_property(verb, f"{many:.2f} ms with 60,000 leases, {few:.2f} ms with 10: {ratio:.2f}")
        assert ratio <= 1.3


def system_calls(calls, verb, configuration):
    """The system calls of a call by name, without those that start the program."""
    run_plugin(calls.node, "humanz-ipam", attachment(verb, "counted"), configuration.read_bytes(),
               under=["strace", "-f", "-o", "/run/trace"]).succeeded()
    lines = calls.node.path("/run/trace").read_text().splitlines()
    made = [re.match(r"\d+ +(\w+)\((.*)", line) for line in lines if "(" in line]
    start = next(place for place, call in enumerate(made)
                 if call[1] == "read" and call[2].startswith("0,"))
    return [call[1] for call in made[start:]]


@pytest.mark.parametrize("verb, bound", [("ADD", 40), ("CHECK", 24), ("DEL", 28)])
def test_the_number_of_system_calls_does_not_depend_on_the_leases(
        calls, filled, verb, bound, record_property):
    counts = {}
    for count, configuration in filled.items():
        if verb != "ADD":
            calls.run([("ADD", "counted", configuration)])
        counts[count] = system_calls(calls, verb, configuration)
        calls.run([("DEL", "counted", configuration)])
    assert counts[10] == counts[4000] == counts[60000]
    record_property(verb, len(counts[10]))
    assert len(counts[10]) <= bound


def test_at_4000_leases_a_call_costs_a_25th_of_what_host_local_needs(
        calls, filled, record_property):
    fill(store(calls, "theirs"), 4000)
    theirs = calls.configuration("theirs", dataDir=FOLDER, type="host-local", subnet="10.0.0.0/16")
    theirs.write_text(theirs.read_text().replace("1.1.0", "1.0.0"))
    found = compared(calls, (THEIRS / "host-local", theirs), (filled[4000],), 16)
    for verb, (host_local, ours, ratio) in found.items():
        record_property(verb, f"{ours:.2f} ms, host-local {host_local:.2f} ms: 1/{ratio:.0f}")
        assert ratio >= 25


def test_a_pool_that_is_almost_full_is_still_quick(calls, filled, record_property):
    # A /16 with 99.9 % leased; the free addresses are just before the last one given: the longest search.
    directory = store(calls, "almost")
    fill(directory, 65533)
    free = [f"10.0.19.{n}" for n in range(100, 165)]
    for address in free:
        (directory / address).unlink()
    network = calls.configuration("almost", dataDir=FOLDER, subnet="10.0.0.0/16")
    assert calls.run([("CHECK", "full7", network)])[0].succeeded
    spent, usual = [], []
    for n, address in enumerate(free[:9]):
        (directory / "last_reserved_ip.0").write_text("10.0.19.200")
        far, near = calls.run([("ADD", f"pod{n}", network), ("ADD", f"pod{n}", filled[10])])
        assert far.addresses == [address]
        spent.append(far.nanoseconds / 1e6)
        usual.append(near.nanoseconds / 1e6)
    record_property("ADD", f"{median(spent):.1f} ms, in a pool with room {median(usual):.1f} ms")
    # It tries some addresses one by one, and then lists the leases instead of reading them.
    (directory / "last_reserved_ip.0").write_text("10.0.19.200")
    names = system_calls(calls, "ADD", network)
    record_property("system calls", f"{len(names)}, {names.count('getdents64')} of them for the list")
    assert len(names) - names.count("getdents64") <= 130
