# SPDX-License-Identifier: Apache-2.0
"""Points 24 to 28 of the specification: delegation, capabilities and arguments, concurrency, and ownership."""
"""Points 24 to 28 of the specification: delegates, what a runtime adds, many at once, and what belongs to whom."""

import importlib
import json
import re
from concurrent.futures import ThreadPoolExecutor

from lab.spec import ABSENT, BRIDGE, POINTS, IPAM, PLUGINS, ROUTE, at_least, spec, tried

# 24

RECORDING_DELEGATE = """#!/bin/bash
cat > {record}.stdin
env | grep ^CNI_ | sort > {record}.environment
echo "the delegate says so" >&2
[ "$CNI_COMMAND" != ADD ] && exit 0
echo '{result}'
"""


def recording_delegate(subject, name="recording", result=None, folder="/run/cni/bin"):
    """An IPAM plugin that records its input; returns its name and the path of the record."""
    name = f"{name}-{subject.number}"
    record = f"/run/{name}"
    version = {} if at_least(subject.version, "1.0.0") else {"version": "4"}
    result = result or {"cniVersion": subject.version, "ips": [
        {**version, "address": f"{subject.subnet[5]}/24", "gateway": f"{subject.subnet[1]}"}]}
    if not at_least(subject.version, "0.3.0"):
        result = {"cniVersion": subject.version, "ip4": {
            "ip": f"{subject.subnet[5]}/24", "gateway": f"{subject.subnet[1]}"}}
    subject.node.path(folder).mkdir(exist_ok=True)
    program = subject.node.path(f"{folder}/{name}")
    program.write_text(RECORDING_DELEGATE.format(record=record, result=json.dumps(result)))
    program.chmod(0o755)
    return name, record


@spec(24, BRIDGE)
def test_a_delegate_gets_the_environment_and_the_whole_configuration(subject):
    name, record = recording_delegate(subject)
    ipam = {"type": name, "own": [1.50, {"é": None}]}
    subject.prepare()
    ended = subject.call("ADD", environment={"CNI_ARGS": "A=1;B=2"}, ipam=ipam, other={"x": 1})
    ended.succeeded()
    assert b"the delegate says so" in ended.stderr
    assert f"{subject.subnet[5]}/24" in subject.addresses()
    given = json.loads(subject.node.path(f"{record}.stdin").read_text())
    assert given == subject.configuration | {"ipam": ipam, "other": {"x": 1}}
    environment = dict(
        line.split("=", 1) for line in subject.node.path(f"{record}.environment").read_text().split("\n")
        if line)
    assert environment == subject.variables("ADD") | {
        "CNI_ARGS": "A=1;B=2", "CNI_PATH": "/run/cni/bin"}
    subject.call("DEL", ipam=ipam).succeeded()
    assert "CNI_COMMAND=DEL" in subject.node.path(f"{record}.environment").read_text()
    if at_least(subject.version, "1.1.0"):
        subject.call("STATUS", None, ipam=ipam).succeeded()
        assert "CNI_COMMAND=STATUS" in subject.node.path(f"{record}.environment").read_text()
        keep = {"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "b"}]}
        subject.call("GC", None, ipam=ipam, **keep).succeeded()
        given = json.loads(subject.node.path(f"{record}.stdin").read_text())
        assert given["cni.dev/valid-attachments"] == keep["cni.dev/valid-attachments"]


@spec(24, BRIDGE)
def test_a_delegate_is_found_by_its_bare_name_in_the_first_folder_that_has_it(subject):
    name, record = recording_delegate(subject, folder="/run/cni/second")
    subject.prepare()
    path = "/run/cni/none:/run/cni/bin:/run/cni/second"
    subject.call("ADD", ipam={"type": name}).refused(103, name, "CNI_PATH")
    for wrong in [f"../second/{name}", f"/run/cni/second/{name}", "..", f"second/{name}"]:
        subject.call("ADD", environment={"CNI_PATH": path}, ipam={"type": wrong}).refused(7, wrong)
    assert not subject.node.path(f"{record}.stdin").exists()
    subject.call("ADD", environment={"CNI_PATH": path}, ipam={"type": name}).succeeded()


@spec(24, BRIDGE)
def test_a_delegates_error_comes_back_as_ours(subject):
    subject.prepare()
    before = subject.traces()
    for output, status, code, words in [
            ('{"code": 11, "msg": "busy", "details": "here"}', 1, 11, ["busy", "here"]),
            ("no JSON", 1, 103, ["no JSON", "status 1"]), ("", 3, 103, ["status 3"]),
            ("no JSON", 0, 103, ["no JSON"]), ('{"ips": []}', 0, 103, ["no address"])]:
        name = f"wrong-{subject.number}"
        program = subject.node.path(f"/run/cni/bin/{name}")
        program.write_text(f"#!/bin/bash\necho '{output}'\nexit {status}\n")
        program.chmod(0o755)
        subject.call("ADD", ipam={"type": name}).refused(code, *words)
    assert subject.traces() == before


# 25

@spec(25, IPAM)
def test_a_delegates_result_has_no_interfaces(subject):
    delegating = {"type": "bridge", "ranges": ..., "dns": ..., "ipam": {
        "type": IPAM, "ranges": subject.configuration["ranges"],
        "routes": [{"dst": "203.0.113.0/24"}]}}
    result = subject.call("ADD", **delegating).succeeded().json
    assert "interfaces" not in result
    ips = result.get("ips", [result.get("ip4"), result.get("ip6")])
    assert len(ips) == 2 and all("interface" not in ip for ip in ips)
    assert "203.0.113.0/24" in json.dumps(result)
    if at_least(subject.version, "0.4.0"):
        subject.call("CHECK", prevResult=result, **delegating).succeeded()
    subject.call("DEL", **delegating).succeeded()
    assert subject.leases() == {}


# 26

MACS = [f"02:00:00:00:00:0{number}" for number in range(1, 4)]


@spec(26, BRIDGE)
def test_the_mac_is_the_runtimes_before_args_before_the_environments(subject):
    sources = {
        "environment": {"environment": {"CNI_ARGS": f"IgnoreUnknown=1;MAC={MACS[0]}"}},
        "args": {"args": {"cni": {"mac": MACS[1]}}},
        "runtime": {"capabilities": {"mac": True}, "runtimeConfig": {"mac": MACS[2]}},
    }
    given = {}
    for number, source in enumerate(sources.values()):
        given |= source
        subject.added(f"pod{number}", **given)
        assert subject.link(pod=f"pod{number}")["address"] == MACS[number]
    # An undeclared capability is not used.
    given["capabilities"] = {"ips": True}
    subject.call("DEL", "pod1", **given).succeeded()
    subject.added("pod3", **given)
    assert subject.link(pod="pod3")["address"] == MACS[1]


@spec(26, IPAM)
def test_the_address_is_the_runtimes_before_args_before_the_environments(subject):
    wanted = [str(subject.subnet[number]) for number in (51, 52, 53, 54)]
    sources = {
        "environment": {"environment": {"CNI_ARGS": f"IgnoreUnknown=1;IP={wanted[0]}"}},
        "args": {"args": {"cni": {"ips": [wanted[1]]}}},
        "runtime": {"capabilities": {"ips": True}, "runtimeConfig": {"ips": [wanted[2]]}},
    }
    given = {}
    for number, source in enumerate(sources.values()):
        given |= source
        subject.added(f"pod{number}", **given)
        assert f"{wanted[number]}/24" in subject.addresses(pod=f"pod{number}")
    given |= {"args": {"cni": {"ips": [wanted[3]]}}, "capabilities": {"mac": True}}
    subject.added("pod3", **given)
    assert f"{wanted[3]}/24" in subject.addresses(pod="pod3")


@spec(26, IPAM, since="0.3.0")
def test_the_runtimes_ranges_are_used_where_they_are_declared(subject):
    extra = f"{subject.peer_subnet}"
    given = {"ranges": ..., "subnet": str(subject.subnet), "runtimeConfig": {
        "ipRanges": [[{"subnet": extra}]]}}
    subject.added("one", capabilities={"ipRanges": True}, **given)
    assert f"{subject.peer_subnet[2]}/24" in subject.addresses(pod="one")
    subject.added("two", capabilities={"ips": True}, **given)
    assert subject.addresses(pod="two") == [f"{subject.subnet[3]}/24"]


@spec(26)
def test_unknown_arguments_do_no_harm(subject):
    for pod, arguments in {
            "one": "IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_NAMESPACE=default;X=y=z",
            "two": "K8S_POD_NAME=web;;", "three": ""}.items():
        subject.added(pod, environment={"CNI_ARGS": arguments},
                      args={"cni": {"unknown": 1}}, runtimeConfig={"unknown": {}})
    subject.call("DEL", "one", environment={"CNI_ARGS": "K8S_POD_NAME=web"}).succeeded()


# 27

@spec(27)
def test_any_number_of_containers_and_verbs_at_once(subject):
    pods = [f"pod{number}" for number in range(6)]
    previous = {pod: subject.prepare(pod) for pod in pods}

    def add(pod):
        keys = {} if previous[pod] is None else {"prevResult": previous[pod]}
        return subject.call("ADD", pod, **keys).succeeded().json
    with ThreadPoolExecutor(len(pods)) as threads:
        # One of the first six ADDs makes the bridge, the store or the routes.
        results = dict(zip(pods, threads.map(add, pods)))
        held = [address for pod in pods for address in subject.addresses(pod=pod)]
        assert len(set(held)) == len(held) == 12

        def work(pod):
            keys = {"prevResult": results[pod]}
            if pod in pods[:3]:
                return subject.call("DEL", pod, **keys).succeeded()
            if at_least(subject.version, "0.4.0"):
                subject.call("CHECK", pod, **keys).succeeded()
        list(threads.map(work, pods))
    if subject.plugin != ROUTE:
        assert len(subject.leases()) == 6
    if subject.plugin == BRIDGE:
        assert len(subject.ports()) == 3


# 28

@spec(28)
def test_log_leases_and_links_tell_whose_they_are(subject):
    result = subject.added()
    container = subject.pods["pod"]
    line = subject.log.read_text().splitlines()[-1]
    assert re.match(
        rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {subject.plugin} ADD network={subject.name} "
        rf"container={container} interface=eth0 addresses={subject.subnet[2]}/24,\S+ "
        r"duration=\d+us$", line), line
    if subject.plugin != ROUTE:
        assert set(map(tuple, subject.leases().values())) == {(container, "eth0")}
    else:
        shown = subject.node.run("ip", "route", "show", "proto", "72").stdout
        assert str(subject.peer_subnet) in shown and str(subject.wide) in shown
    port, = subject.ports()
    alias = subject.link(port, None)["ifalias"]
    assert alias == f"humanz:{subject.name}:{container}:eth0"
    subject.call("DEL", prevResult=result).succeeded()
    line = subject.log.read_text().splitlines()[-1]
    assert f"{subject.plugin} DEL network={subject.name} container={container}" in line


# The table

def test_every_point_is_tried_on_every_plugin_or_absent_with_a_reason():
    for topic in ("input", "result", "verbs"):
        importlib.import_module(f"spec.test_spec_{topic}")
    for number in POINTS:
        for plugin in PLUGINS:
            assert ((number, plugin) in tried) != ((number, plugin) in ABSENT), (number, plugin)
