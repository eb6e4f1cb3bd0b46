# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: `vlan`, `vlanTrunk` and `preserveDefaultVlan`, tested by the frames that arrive."""

import contextlib

import pytest

from lab.attachment import Network, port
from lab.frames import Listener, send_frame
from lab.kernel import need_vlans

TRUNK = [{"minID": 100, "maxID": 101}, {"id": 200}]


@pytest.fixture(autouse=True)
def vlans(node):
    need_vlans(node)


def attach(node, **pods):
    """Attaches each pod to the bridge with its keys."""
    for pod, keys in pods.items():
        Network(node, name=f"net-{pod}", **keys).add(pod)


def receivers(node, sender, *others, vlan=None):
    """Who receives a pod's broadcast, and with which VLAN tag; 0 is no tag."""
    with contextlib.ExitStack() as stack:
        listeners = {pod: stack.enter_context(Listener(node, "eth0", pod)) for pod in others}
        send_frame(node, sender, vlan=vlan)
        received = {pod: [vlan for _, vlan in listener.frames()]
                 for pod, listener in listeners.items()}
    return {pod: vlans[0] if len(vlans) == 1 else vlans for pod, vlans in received.items() if vlans}


def test_pods_of_one_vlan_hear_each_other_and_no_others(node):
    attach(node, one={"vlan": 100}, two={"vlan": 100}, other={"vlan": 4094}, plain={})
    assert receivers(node, "one", "two", "other", "plain") == {"two": 0}
    assert receivers(node, "other", "one", "two", "plain") == {}


def test_vlan_1_is_the_vlan_of_pods_that_ask_for_none(node):
    attach(node, first={"vlan": 1}, plain={}, other={"vlan": 100, "preserveDefaultVlan": False})
    assert receivers(node, "first", "plain", "other") == {"plain": 0}
    assert receivers(node, "plain", "first", "other") == {"first": 0}


@pytest.mark.parametrize("keys", [{}, {"preserveDefaultVlan": False}], ids=["default", "false"])
def test_a_pod_in_a_vlan_hears_nothing_of_vlan_1(node, keys):
    attach(node, one={"vlan": 100, **keys}, trunk={"vlanTrunk": TRUNK, **keys}, plain={}, other={})
    assert receivers(node, "plain", "one", "trunk", "other") == {"other": 0}


def test_preserve_default_vlan_has_a_pod_hear_vlan_1_too(node):
    attach(node, one={"vlan": 100, "preserveDefaultVlan": True}, two={"vlan": 100}, plain={})
    assert receivers(node, "plain", "one") == {"one": 0}
    # Frames it sends are still in its own VLAN.
    assert receivers(node, "one", "two", "plain") == {"two": 0}


def test_a_trunk_carries_its_vlans_with_their_tags_and_no_others(node):
    attach(node, trunk={"vlanTrunk": TRUNK}, first={"vlan": 100}, second={"vlan": 101},
           last={"vlan": 200}, outside={"vlan": 102}, plain={})
    everybody = ["first", "second", "last", "outside", "plain"]
    for vlan, pod in [(100, "first"), (101, "second"), (200, "last")]:
        assert receivers(node, pod, "trunk") == {"trunk": vlan}
        assert receivers(node, "trunk", *everybody, vlan=vlan) == {pod: 0}
    assert receivers(node, "outside", "trunk") == {}
    assert receivers(node, "trunk", *everybody, vlan=102) == {}


@pytest.mark.parametrize("keys", [{}, {"preserveDefaultVlan": False}], ids=["default", "false"])
def test_what_a_pod_with_a_trunk_alone_sends_without_a_tag_goes_nowhere(node, keys):
    attach(node, trunk={"vlanTrunk": TRUNK, **keys}, first={"vlan": 100}, plain={})
    assert receivers(node, "trunk", "first", "plain") == {}


def test_preserve_default_vlan_has_a_trunks_untagged_frames_in_vlan_1(node):
    attach(node, trunk={"vlanTrunk": TRUNK, "preserveDefaultVlan": True}, first={"vlan": 100},
           plain={})
    assert receivers(node, "trunk", "first", "plain") == {"plain": 0}
    assert receivers(node, "plain", "trunk") == {"trunk": 0}


def test_beside_a_trunk_a_pods_untagged_frames_are_in_its_vlan(node):
    attach(node, both={"vlan": 100, "vlanTrunk": TRUNK}, first={"vlan": 100}, last={"vlan": 200})
    assert receivers(node, "both", "first", "last") == {"first": 0}
    assert receivers(node, "both", "first", "last", vlan=200) == {"last": 0}
    # 100 is in the trunk too, but `vlan` makes its frames untagged.
    assert receivers(node, "first", "both") == {"both": 0}
    assert receivers(node, "last", "both") == {"both": 200}


def test_a_bridge_that_is_there_comes_to_filter_and_its_other_ports_go_on(node):
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    attach(node, plain={}, before={})
    attach(node, one={"vlan": 100}, two={"vlan": 100})
    assert receivers(node, "plain", "before", "one") == {"before": 0}
    assert receivers(node, "one", "two", "plain", "before") == {"two": 0}


def test_the_check_of_the_mac_address_sees_tagged_frames(node):
    attach(node, trunk={"vlanTrunk": TRUNK, "macspoofchk": True}, first={"vlan": 100})
    with Listener(node, "eth0", "first") as listener:
        send_frame(node, "trunk", source="02:00:00:00:00:66", vlan=100)
        send_frame(node, "trunk", vlan=100)
        assert len(listener.frames()) == 1
        assert listener.senders() != ["02:00:00:00:00:66"]


def test_check_sees_that_the_bridge_filters_no_vlans_any_more(node):
    network = Network(node, version="1.1.0", vlan=100)
    result = network.add("pod")
    node.run("ip", "link", "set", "cni0", "type", "bridge", "vlan_filtering", "0")
    code, words = network.error_of("CHECK", "pod", prevResult=result)
    assert code == 102 and "VLAN filtering of the bridge cni0 is off" in words


@pytest.mark.parametrize("keys, vlan", [
    ({"vlan": 100}, 100), ({"vlanTrunk": TRUNK}, 101), ({"vlanTrunk": TRUNK}, 200)])
def test_check_names_the_vlan_that_a_port_has_lost(node, keys, vlan):
    network = Network(node, version="1.1.0", **keys)
    result = network.add("pod")
    network.check("pod")
    network.call("STATUS")
    node.run("bridge", "vlan", "delete", "vid", vlan, "dev", port(result))
    code, words = network.error_of("CHECK", "pod", prevResult=result)
    assert code == 102 and f"VLAN {vlan}" in words and port(result) in words
