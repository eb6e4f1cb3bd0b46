# SPDX-License-Identifier: Apache-2.0
"""Faults of single system calls that `make torture` found: each is here by itself."""

import json

import pytest

from lab.attachment import Chain, Network, Refused
from lab.isolated_node import PLUGINS
from lab.system_calls import failing, killing, system_calls

BRIDGE = {"type": "humanz-bridge", "bridge": "cni0"}
RANGES = [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]
IPAM = {"type": "humanz-ipam", "ranges": RANGES}


def faulty(options):
    return ["strace", "-o", "/dev/null", *options]


def calls_about(network, verb, pod, *words, **keys):
    """The system calls of a verb whose line has all of these words."""
    calls = system_calls(network, verb, pod, **keys)
    found = [call for call in calls if all(word in call.line for word in words)]
    assert found, f"{verb} makes no call with {words}"
    return found


@pytest.mark.parametrize("plugin", ["humanz-bridge", "humanz-ipam", "humanz-route"])
def test_a_plugin_that_gets_no_memory_says_so(node, plugin):
    done = node.run("strace", "-f", "-o", "/dev/null", "-e", "trace=mmap", "-e", "inject=mmap:error=ENOMEM",
                    f"{PLUGINS}/{plugin}", env={"CNI_COMMAND": "VERSION"}, check=False, input=" " * 2_000_000)
    assert done.returncode == 1
    error = json.loads(done.stdout)
    assert error["code"] == 11 and "memory" in error["msg"]


def test_a_del_whose_first_answer_does_not_come_deletes_no_other_link(node):
    network = Network(node, version="1.1.0", isDefaultGateway=True, ipam=IPAM)
    network.add("stays")
    for place in range(1, 12):
        network.add("pod")
        try:
            network.delete("pod", under=faulty(
                ["-e", "trace=recvmsg", "-e", f"inject=recvmsg:error=EAGAIN:when={place}"]))
        except Refused as refused:
            assert refused.error is not None
        network.delete("pod")
        network.check("stays")


def test_an_add_killed_anywhere_leaves_uplinks_that_accept_router_advertisements(node):
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
    node.run("sysctl", "-qw", "net.ipv6.conf.uplink.accept_ra=1")
    chain = Chain(node, BRIDGE, IPAM)
    bridge, ipam = chain.stages

    def clean():
        chain.delete("pod")
        node.run("ip", "link", "delete", "cni0")
        node.run("sysctl", "-qw", "net.ipv6.conf.uplink.accept_ra=1")

    result = chain.add("pod")
    clean()
    result = bridge.add("pod")
    calls = system_calls(ipam, "ADD", "pod", prevResult=result)
    ipam.results["pod"] = None
    for call in calls:
        if call.name not in ("sendto", "recvmsg", "openat", "write"):
            continue
        chain.results["pod"] = {}
        ipam.call("DEL", "pod")
        bridge.call("DEL", "pod")
        node.run("ip", "link", "delete", "cni0")
        node.run("sysctl", "-qw", "net.ipv6.conf.uplink.accept_ra=1")
        result = bridge.add("pod")
        with pytest.raises(Refused):
            ipam.call("ADD", "pod", prevResult=result, under=faulty(killing(call)))
        ipam.call("DEL", "pod")
        ipam.call("ADD", "pod", prevResult=result)
        assert node.run("sysctl", "-n", "net.ipv6.conf.uplink.accept_ra").stdout == "2\n", call


def test_a_bridge_whose_setting_cannot_be_read_takes_no_router_advertisements(node):
    network = Network(node, version="1.1.0", **{key: BRIDGE[key] for key in ("bridge",)})
    node.add_pod("pod")
    calls = calls_about(network, "ADD", "pod", "openat", "cni0/accept_ra", "O_RDONLY")
    network.call("DEL", "pod")
    node.run("ip", "link", "delete", "cni0")
    network.call("ADD", "pod", under=faulty(failing(calls[0], "EIO")))
    assert node.run("sysctl", "-n", "net.ipv6.conf.cni0.accept_ra").stdout == "0\n"


def test_an_add_that_cannot_note_the_use_of_macspoofchk_fails(node):
    network = Network(node, version="1.1.0", macspoofchk=True)
    node.add_pod("pod")
    before = node.traces()
    call = calls_about(network, "ADD", "pod", "open", "/run/humanz/macspoofchk", "O_CREAT")[0]
    network.call("DEL", "pod")
    node.run("rm", "/run/humanz/macspoofchk")
    node.run("ip", "link", "delete", "cni0")
    with pytest.raises(Refused) as refused:
        network.call("ADD", "pod", under=faulty(failing(call, "ENOSPC")))
    assert refused.value.error["code"] == 5
    assert node.traces() == before


@pytest.mark.parametrize("error", ["ENOBUFS", "ENOMEM"])
def test_a_del_that_cannot_remove_the_addresses_keeps_their_leases(node, error):
    chain = Chain(node, BRIDGE, IPAM)
    bridge, ipam = chain.stages
    calls = None
    chain.add("pod")
    calls = system_calls(ipam, "DEL", "pod", prevResult=chain.results["pod"])
    chain.delete("pod")
    tried = 0
    for call in calls:
        if call.name not in ("socket", "sendto", "setns", "fstatfs"):
            continue
        result = chain.add("pod")
        try:
            ipam.call("DEL", "pod", prevResult=result, under=faulty(failing(call, error)))
        except Refused as refused:
            assert refused.error["code"], call
        held = {ip["address"].split("/")[0] for ip in result["ips"]} & node.leases()
        on_pod = {entry["local"] for entry in node.ip("address", "show", "dev", "eth0", pod="pod")[0]["addr_info"]
                  if entry["scope"] == "global"}
        assert on_pod <= held, call
        chain.delete("pod")
        assert node.leases() == set()
        tried += 1
    assert tried > 3


def test_a_lease_has_its_boot_where_the_boot_could_first_not_be_read(node):
    chain = Chain(node, BRIDGE, IPAM)
    bridge, ipam = chain.stages
    chain.add("pod")
    chain.delete("pod")
    result = bridge.add("pod")
    call = calls_about(ipam, "ADD", "pod", "openat", "random/boot_id", prevResult=result)[0]
    ipam.call("DEL", "pod")
    ipam.call("ADD", "pod", prevResult=result, under=faulty(failing(call, "ENOMEM")))
    record = json.loads(node.path("/run/humanz/ipam/net/attachments/pod:eth0").read_text())
    assert record["bootID"]
