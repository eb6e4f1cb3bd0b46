# SPDX-License-Identifier: Apache-2.0
"""Points 1 to 10 of the specification: environment, stdin, and the form of errors and results."""

import json
import subprocess

from lab.spec import BRIDGE, IPAM, ROUTE, VERSIONS, Subject, at_least, spec, text

ALL = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]


def verbs(version, *others):
    """Those of ADD, CHECK and DEL that a version has, and others."""
    newer = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
    return [verb for verb in ("ADD", "CHECK", "DEL", *others)
            if at_least(version, newer.get(verb, "0.1.0"))]


# 1

@spec(1)
def test_all_missing_variables_are_named(subject):
    for verb in verbs(subject.version):
        needed = [name for name in ALL if verb != "DEL" or name != "CNI_NETNS"]
        for absent in [dict.fromkeys(ALL), dict.fromkeys(ALL, "")]:
            error = subject.call(verb, environment=absent).refused(4, verb, *needed)
            assert ("CNI_NETNS" in error["msg"]) == (verb != "DEL")
        for name in needed:
            error = subject.call(verb, environment={name: None}).refused(4, name)
            assert not any(other in error["msg"] for other in ALL if other != name)


@spec(1)
def test_del_needs_no_namespace(subject):
    subject.call("DEL", environment={"CNI_NETNS": None}).succeeded()


@spec(1, since="1.1.0")
def test_gc_and_status_need_none_of_the_variables(subject):
    subject.added()
    subject.call("STATUS", None).succeeded()
    subject.call("GC", None, **{"cni.dev/valid-attachments": []}).succeeded()


# 2

@spec(2)
def test_names_that_cannot_be_are_refused(subject):
    for name, values in {
        "CNI_CONTAINERID": ["-a", ".a", "_a", "a/b", "../a", "a b", "a:b", "a\nb", "é"],
        "CNI_IFNAME": [".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen-bytes-xx"],
    }.items():
        for value in values:
            subject.call("DEL", environment={name: value}).refused(4, name, value)
    for name in ["", "-a", ".a", "_a", "a/b", "../a", "a b", "a:b", "é", 5]:
        subject.call("DEL", name=name).refused(7, '"name"')
    subject.call("DEL", name=...).refused(7, '"name"')


@spec(2)
def test_names_that_can_be_are_taken(subject):
    for container in ["a", "0", "Pod_1.x-y", "0123456789abcdef" * 4]:
        for interface in ["e", "fifteen-bytes-x", "eth0.100", "...", "-"]:
            subject.call("DEL", environment={
                "CNI_CONTAINERID": container, "CNI_IFNAME": interface}).succeeded()
    subject.call("DEL", name="0.Net_work-1").succeeded()


# 3

@spec(3)
def test_a_failure_prints_one_error_and_a_success_what_the_verb_prints(subject):
    failures = [subject.call("ADD"), subject.call("ADD", environment={"CNI_IFNAME": ".."}),
                subject.call("NONE"), subject.call("DEL", stdin=b"{"), subject.call("DEL", type=5)]
    for failure in failures:
        assert failure.error["msg"] and failure.status == 1
        assert failure.stdout.count(b"\n") == 1 and failure.stdout.endswith(b"}\n")
    assert failures[0].error["cniVersion"] == subject.version
    result = subject.added()
    assert "ips" in result or "ip4" in result
    if at_least(subject.version, "0.4.0"):
        assert subject.call("CHECK", prevResult=result).succeeded().stdout == b""
    assert subject.call("DEL", prevResult=result).succeeded().stdout == b""
    if at_least(subject.version, "1.1.0"):
        assert subject.call("STATUS", None).succeeded().stdout == b""
        valid = {"cni.dev/valid-attachments": []}
        assert subject.call("GC", None, **valid).succeeded().stdout == b""


# 4

@spec(4)
def test_each_kind_of_error_has_its_code(subject):
    subject.call("DEL", cniVersion="9.9.9").refused(1)
    previous = {"prevResult": {"cniVersion": subject.version}}
    subject.call("ADD", **previous).refused(3, "/run/netns/no")
    subject.call("DEL", environment={"CNI_IFNAME": "a/b"}).refused(4, "CNI_IFNAME", "a/b")
    subject.call("DEL", stdin=b"{").refused(6, "line 1, column 2")
    subject.call("DEL", stdin=b"[]").refused(6)
    subject.call("DEL", name="/").refused(7, '"name"')


@spec(4, BRIDGE)
def test_what_the_kernel_cannot_do_is_an_unsupported_field(subject):
    subject.node.run("ip", "link", "add", subject.bridge, "type", "bridge")
    filters = subject.node.run("ip", "link", "set", subject.bridge, "type", "bridge",
                               "vlan_filtering", "1", check=False).returncode == 0
    ended = subject.add(vlan=5, isGateway=False)
    if filters:
        ended.succeeded()
    else:
        ended.refused(2, "vlan")


@spec(4, IPAM)
def test_a_store_that_cannot_be_written_is_an_error_of_input_and_output(subject):
    subject.add(dataDir="/proc/none").refused(5, "/proc/none")


@spec(4, ROUTE)
def test_a_cluster_file_that_is_not_there_yet_is_tried_again_later(subject):
    subject.add(peers=..., clusterFile="/run/none").refused(11, "/run/none", "sync")


# In one version only: it waits ten seconds for a lock.
@spec(4, [BRIDGE, IPAM], since="1.1.0")
def test_a_lock_that_is_held_is_tried_again_later(subject):
    result = subject.added()
    path = (f"/run/humanz/ipam/{subject.name}/lock" if subject.plugin == IPAM
            else "/run/humanz/node.lock")
    holder = subject.node.start(
        "flock", "-x", path, "sh", "-c", "echo locked; read end",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"locked\n"
        keys = {"prevResult": result} if subject.plugin == IPAM else {}
        subject.prepare("other")
        subject.call("ADD", "other", **keys).refused(11)
    finally:
        holder.communicate()


# 5

@spec(5)
def test_an_unknown_verb_is_an_error_of_the_environment(subject):
    for verb in ["add", "UPDATE", "ADD ", "é"]:
        subject.call(verb).refused(4, "CNI_COMMAND", verb)


@spec(5)
def test_a_person_who_calls_a_plugin_is_told_what_it_is(subject):
    for environment in [{"CNI_COMMAND": None}, {"CNI_COMMAND": ""}]:
        told = subject.call("", environment=environment).succeeded().stdout.decode()
        assert told.startswith(subject.plugin) and subject.version in told


# 6

@spec(6)
def test_version_echoes_the_version_and_lists_those_it_supports(subject):
    for stdin in [{"cniVersion": subject.version}, subject.configuration]:
        answer = subject.call("VERSION", None, stdin=json.dumps(stdin).encode()).succeeded().json
        assert answer == {"cniVersion": subject.version, "supportedVersions": VERSIONS}
    for stdin in [b"", b" \n", b"{}"]:
        answer = subject.call("VERSION", None, stdin=stdin).succeeded().json
        assert answer["supportedVersions"] == VERSIONS


# 7

@spec(7)
def test_a_version_that_is_not_supported_names_both_sides(subject):
    for version in ["0.0.1", "0.5.0", "1.2.0", "2.0.0", subject.version + "-rc1", "v1.0.0"]:
        for verb in ["ADD", "DEL", "CHECK"]:
            error = subject.call(verb, cniVersion=version).refused(1)
            assert version in error["details"] and ", ".join(VERSIONS) in error["details"]


@spec(7)
def test_a_missing_version_means_the_oldest(subject):
    for verb in ["CHECK", "GC", "STATUS"]:
        subject.call(verb, cniVersion=...).refused(1, verb, "0.1.0")
    previous = subject.prepare()
    keys = {} if previous is None else {"prevResult": previous}
    result = subject.call("ADD", cniVersion=..., **keys).succeeded().json
    assert result["cniVersion"] == "0.1.0" and "ip4" in result and "ips" not in result


# 8

@spec(8)
def test_a_verb_that_the_version_does_not_have_is_an_incompatible_version(subject):
    for verb, since in {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}.items():
        if not at_least(subject.version, since):
            subject.call(verb).refused(1, verb, since, subject.version)


@spec(8, since="0.4.0")
def test_a_verb_that_the_version_has_is_served(subject):
    result = subject.added()
    subject.call("CHECK", prevResult=result).succeeded()
    if at_least(subject.version, "1.1.0"):
        subject.call("STATUS", None).succeeded()
        subject.call("GC", None, **{"cni.dev/valid-attachments": []}).succeeded()


# 9

def assert_form(result, version, has_interfaces=True, made_by=None):
    """Checks that the result is in a version's form, with an address of each family.

    Its interfaces are as the plugin that made them wrote them, possibly in another version.
    """
    assert result["cniVersion"] == version
    assert isinstance(result["dns"], dict)
    if not at_least(version, "0.3.0"):
        assert set(result) <= {"cniVersion", "ip4", "ip6", "dns"}
        for key in ("ip4", "ip6"):
            assert set(result[key]) <= {"ip", "gateway", "routes"} and result[key]["ip"]
        return
    assert set(result) <= {"cniVersion", "interfaces", "ips", "routes", "dns"}
    assert bool(result.get("interfaces")) == has_interfaces
    for interface in result.get("interfaces", []):
        assert ("mtu" in interface) == at_least(made_by or version, "1.1.0")
    for ip in result["ips"]:
        family = "6" if ":" in ip["address"] else "4"
        assert ip.get("version") == (None if at_least(version, "1.0.0") else family)
        if has_interfaces:
            assert result["interfaces"][ip["interface"]]["name"] == "eth0"


@spec(9)
def test_the_result_is_in_the_form_of_the_inputs_version(subject):
    assert_form(subject.added(), subject.version)


@spec(9, [IPAM, ROUTE])
def test_a_previous_result_of_any_version_is_read(subject):
    for version in VERSIONS:
        other = Subject(subject.node, subject.plugin, version)
        other.configuration["cniVersion"] = subject.version
        try:
            result = other.added()
            # Results of 0.1.0 and 0.2.0 have no interfaces.
            assert_form(result, subject.version, has_interfaces=at_least(version, "0.3.0"),
                        made_by=version)
        finally:
            other.remove()


@spec(9, BRIDGE)
def test_the_bridge_reads_the_result_of_a_plugin_before_it_in_any_version(subject):
    for version in VERSIONS:
        pod = f"pod{VERSIONS.index(version)}"
        previous = {"cniVersion": version, "dns": {"nameservers": ["192.0.2.53"]}}
        if at_least(version, "0.3.0"):
            previous |= {"interfaces": [{"name": "other0"}], "ips": [
                {"address": "198.51.100.1/24", "interface": 0, "version": "4"}]}
        else:
            previous |= {"ip4": {"ip": "198.51.100.1/24"}}
        result = subject.added(pod, prevResult=previous)
        assert "198.51.100.1/24" in text(result)
        assert result["dns"] == previous["dns"]


# 10

@spec(10)
def test_what_is_no_network_namespace_is_refused_before_anything_is_changed(subject):
    previous = subject.prepare()
    keys = {} if previous is None else {"prevResult": previous}
    before = subject.traces()
    for path, code in {"/etc/passwd": 3, "/run": 3, "/run/none": 3, "/proc/self/ns/mnt": 3,
                       "/proc/self/ns/net": 4, "/proc/1/ns/net": 4}.items():
        refusal = subject.call("ADD", environment={"CNI_NETNS": path}, **keys)
        refusal.refused(code, "CNI_NETNS", path)
    assert subject.traces() == before


@spec(10)
def test_the_plugins_own_namespace_is_taken_on_request(subject):
    subject.prepare()
    for value in ["1", "true"]:
        interface = f"own{subject.number}"
        environment = {"CNI_NETNS": "/proc/self/ns/net", "CNI_NETNS_OVERRIDE": value,
                       "CNI_IFNAME": interface}
        previous = {"cniVersion": subject.version}
        if subject.plugin != BRIDGE:
            subject.node.run(
                "ip", "link", "add", interface, "type", "veth", "peer", "name", f"{interface}p")
        subject.call("ADD", environment=environment, prevResult=previous).succeeded()
        assert subject.link(interface, None) is not None
        assert subject.call("ADD", environment=environment | {"CNI_NETNS_OVERRIDE": "no"},
                            prevResult=previous).error["code"] == 4
        subject.call("DEL", environment=environment).succeeded()
        subject.node.run("ip", "link", "del", interface, check=False)


@spec(10, IPAM)
def test_a_delegate_does_not_open_the_namespace(subject):
    delegating = {"type": "bridge", "ranges": ..., "ipam": {
        "type": IPAM, "ranges": subject.configuration["ranges"]}}
    for path in ["/run/none", "/etc/passwd", "/proc/self/ns/net"]:
        result = subject.call("ADD", environment={"CNI_NETNS": path}, **delegating).succeeded()
        assert_form(result.json, subject.version, has_interfaces=False)
        subject.call("DEL", environment={"CNI_NETNS": path}, **delegating).succeeded()
