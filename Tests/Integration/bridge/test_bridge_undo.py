# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: each system call of a verb fails, or the process is killed there; what is left then."""

import pytest

from bridge.fake_ipam import fake_ipam
from lab.attachment import Network, Refused, address, reaches
from lab.system_calls import failing, killing, system_calls
from lab.waiting import sample

KEYS = {
    "isDefaultGateway": True, "ipMasq": True, "macspoofchk": True, "hairpinMode": True,
    "portIsolation": True, "mtu": 1400,
    "ipam": {"type": "humanz-ipam",
             "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]},
}

# Calls at the end of a process, and calls whose failure has no effect that a test can see.
NOT_TRIED = {"close", "munmap", "exit_group", "brk", "mmap", "mprotect", "futex", "getrandom"}


def network_on(node, is_new):
    """A network without an attachment yet, or with one."""
    network = Network(node, version="1.1.0", logFile="", **KEYS)
    if not is_new:
        network.add("stays")
    node.add_pod("pod")
    return network


def remove_shared_state(node):
    """Removes what an attachment leaves for the next one, as the reference plugin does too."""
    node.run("ip", "link", "delete", "cni0", check=False)
    node.run("rm", "-rf", "/run/humanz/macspoofchk")
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0", *(
        f"net.ipv6.conf.{link['ifname']}.accept_ra=1" for link in node.ip("link")))


def steps(network, verb, is_new):
    """The system calls of a verb whose failure matters."""
    calls = system_calls(network, verb, "pod")
    if verb == "ADD":
        network.call("DEL", "pod")
        if is_new:
            remove_shared_state(network.node)
    return sample([call for call in calls if call.name not in NOT_TRIED])


@pytest.mark.parametrize("is_new", [True, False], ids=["first", "second"])
def test_an_add_that_fails_at_any_system_call_leaves_nothing(node, is_new, record_property):
    network = network_on(node, is_new)
    if is_new:  # forwarding stays on: start each try from the same state
        network.add("other")
        network.delete("other")
        remove_shared_state(node)
    before = node.traces()
    calls = steps(network, "ADD", is_new)
    assert node.traces() == before
    failed = 0
    for call in calls:
        try:
            network.call("ADD", "pod", under=["strace", "-o", "/dev/null", *failing(call, "EIO")])
        except Refused as refused:
            failed += 1
            if call.name == "write" and is_new:
                # The ADD succeeded and only printing failed: it is undone as DEL does.
                remove_shared_state(node)
            if refused.error is None:
                # A thread that cannot return from the pod's namespace ends the process.
                assert call.name == "setns", call
                network.call("DEL", "pod")
                if is_new:
                    remove_shared_state(node)
        else:
            network.call("DEL", "pod")
            if is_new:
                remove_shared_state(node)
        assert node.traces() == before, call
        assert node.ip("link", pod="pod")[1:] == [], call
    record_property("system calls that failed", len(calls))
    record_property("of them made ADD fail", failed)
    assert failed >= len(calls) / 2


@pytest.mark.parametrize("is_new, verb", [
    pytest.param(True, "DEL", id="first"), pytest.param(False, "DEL", id="second"),
    pytest.param(False, "GC", id="second-GC")])
def test_del_and_gc_remove_all_of_an_add_that_was_killed_at_any_system_call(
        node, is_new, verb, record_property):
    network = network_on(node, is_new)
    before = node.traces()
    calls = steps(network, "ADD", is_new)
    for call in calls:
        try:
            network.call("ADD", "pod", under=["strace", "-o", "/dev/null", *killing(call)])
            pytest.fail(f"ADD does not reach {call}: {call.line}")
        except Refused as refused:
            assert refused.error is None, call
        if verb == "DEL":
            network.call("DEL", "pod")
        else:
            network.gc("stays")
        if is_new:
            remove_shared_state(node)
        assert node.traces() == before, call
        assert node.ip("link", pod="pod")[1:] == [], call
    record_property("system calls killed at", len(calls))
    # The next attachment works.
    result = network.add("pod")
    assert reaches(node, "pod", "10.77.0.1") and reaches(node, "pod", address(result, 1))


@pytest.mark.parametrize("how", [failing, killing])
def test_a_del_that_went_wrong_at_any_system_call_is_made_good_by_the_next(
        node, how, record_property):
    network = network_on(node, False)
    before = node.traces()
    result = network.call("ADD", "pod")
    calls = sample([call for call in system_calls(network, "DEL", "pod", prevResult=result)
                    if call.name not in NOT_TRIED])
    failed = 0
    for call in calls:
        result = network.call("ADD", "pod")
        reaches(node, None, address(result))
        option = failing(call, "EIO") if how is failing else killing(call)
        try:
            network.call("DEL", "pod", prevResult=result,
                         under=["strace", "-o", "/dev/null", *option])
        except Refused:
            failed += 1
            network.call("DEL", "pod", prevResult=result)
        assert node.traces() == before, call
    record_property("system calls that went wrong", len(calls))
    record_property("of them made DEL fail", failed)


def test_an_interface_that_somebody_else_makes_during_the_add_is_left_by_its_undo(node):
    ipam = fake_ipam(
        node, '{"cniVersion": "1.0.0", "ips": [{"address": "10.77.0.2/24"}]}',
        before="nsenter --net=$CNI_NETNS ip link add eth0 type bridge")
    network = Network(node, ipam=ipam)
    node.add_pod("pod")
    before = node.traces()
    with pytest.raises(Refused) as refused:
        network.call("ADD", "pod")
    assert refused.value.error["code"] == 100 and "eth0: File exists" in refused.value.error["msg"]
    assert [link["ifname"] for link in node.ip("link", pod="pod")][1:] == ["eth0"]
    assert node.traces() == before
