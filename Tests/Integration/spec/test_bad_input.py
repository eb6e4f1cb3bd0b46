# SPDX-License-Identifier: Apache-2.0
"""Wrong and hostile input: one clear error as JSON, a non-zero exit, and nothing changed."""

import json
import os

import pytest

from lab.spec import BRIDGE, IPAM, PLUGINS, ROUTE
from lab.plugin_process import run_plugin
from lab.stage_keys import with_value

every_plugin = pytest.mark.parametrize(
    "subject", [pytest.param((plugin, "1.0.0"), id=plugin) for plugin in PLUGINS], indirect=True)


def only(plugin):
    return pytest.mark.parametrize("subject", [pytest.param((plugin, "1.0.0"), id=plugin)],
                                   indirect=True)


class Unchanged:
    """Asserts that a `with` block changes nothing on the node or in the pod."""

    def __init__(self, subject):
        self.subject = subject
        previous = subject.prepare()
        self.keys = {} if previous is None else {"prevResult": previous}

    def __enter__(self):
        self.before = self.subject.traces()
        return self

    def __exit__(self, failure, *_):
        if failure is None:
            assert self.subject.traces() == self.before

    def add(self, **keys):
        """ADD with the required keys and these."""
        return self.subject.call("ADD", **(self.keys | keys))

    def write(self, text):
        """ADD with this text on stdin."""
        return self.subject.call("ADD", stdin=text)

    @property
    def text(self):
        """The stdin of a valid ADD."""
        return json.dumps(self.subject.configuration | self.keys)


# Stdin

@every_plugin
def test_stdin_that_is_missing_empty_or_no_object(subject):
    with Unchanged(subject) as state:
        for redirect in ["<&-", "</dev/null"]:
            run_plugin(subject.node, subject.plugin, subject.variables("ADD"), None,
                       redirect=redirect).refused(6, "stdin is empty")
        for text in [b"", b" \n\t"]:
            state.write(text).refused(6, "stdin is empty")
        for text in [b"[]", b"null", b"5", b'"x"', b"true"]:
            state.write(text).refused(6, "not an object")


@every_plugin
def test_json_that_is_cut_anywhere(subject):
    with Unchanged(subject) as state:
        text = state.text.encode()
        for end in range(1, len(text), max(1, len(text) // 40)):
            state.write(text[:end]).refused(6, "line 1, column ")


@every_plugin
def test_text_that_is_no_json(subject):
    with Unchanged(subject) as state:
        good = state.text
        for text, place in [
                (good[:-1] + ",}", "member name"), (good + "x", "something follows"),
                (good.replace('"type"', "'type'"), "member name"), ("\ufeff" + good, "value"),
                (good.replace('{"cni', '{"name": "twice", "cni', 1), "occurs twice"),
                (good[:-1] + ', "x": 01}', "expected"), (good[:-1] + ', "x": NaN}', "value"),
                (good[:-1] + ', "x": "\x01"}', "control character"),
                (good[:-1] + ', "x": "\\ud800"}', "surrogate")]:
            state.write(text.encode()).refused(6, "line 1, column ", place)


@every_plugin
def test_bytes_that_are_no_text(subject):
    with Unchanged(subject) as state:
        good = state.text[:-1].encode()
        for bad in [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"]:
            state.write(good + b', "x": "' + bad + b'"}').refused(6, "UTF-8")
        state.write(good + b"}\0").refused(6, "something follows")
        state.write(bytes(1000)).refused(6)
        state.write(os.urandom(4096).replace(b"{", b"x")).refused(6)
        state.write("{}".encode("utf-16")).refused(6)


@every_plugin
def test_nesting_and_size_that_no_configuration_has(subject):
    with Unchanged(subject) as state:
        good = state.text[:-1].encode()
        for depth in [600, 1_000_000]:
            for opening in [b"[", b'{"x":']:
                state.write(good + b', "x": ' + opening * depth).refused(6, "nested deeper")
        big = good + b', "x": "' + b"x" * (20 << 20) + b'"}'
        state.write(big).refused(5, "stdin", "16777216")
        # As many members as fit: the cost must not be quadratic.
        many = b",".join(b'"k%d":0' % number for number in range(200_000))
        state.write(good + b', "x": {' + many + b', "k7":0}}').refused(6, '"k7" occurs twice')


@every_plugin
def test_numbers_beyond_all_bounds(subject):
    key, inner = {BRIDGE: ("mtu", None), IPAM: ("routes", "priority"),
                  ROUTE: ("routes", "table")}[subject.plugin]
    with Unchanged(subject) as state:
        for number in ["1e400", "-1", "99999999999999999999999999", "1.5", "-0.0", "1e0",
                       "9" * 100_000]:
            value = number if inner is None else f'[{{"dst": "10.0.0.0/8", "{inner}": {number}}}]'
            text = f'{state.text[:-1]}, "{key}": {value}}}'
            error = state.write(text.encode()).refused(7, inner or key)
            assert number[:30] in error["msg"]


# Types

STRING, BOOLEAN, NUMBER = [5, True, [], {}], ["true", 1, [], {}], ["5", True, [], {}]
LIST, OBJECT = ["x", 5, True, {}], ["x", 5, True, []]

EVERY = {"cniVersion": STRING, "name": STRING, "type": STRING, "logFile": STRING,
         "prevResult": OBJECT, "runtimeConfig": OBJECT, "args": OBJECT}
ELSE = {"dns": OBJECT, "dns.nameservers": [*LIST, [5]], "dns.search": [*LIST, [{}]],
        "dns.options": [*LIST, [None]], "dns.domain": STRING}
KEYS = {
    BRIDGE: {
        **EVERY, **ELSE, "bridge": STRING, "mtu": NUMBER, "vlan": NUMBER, "ipMasqBackend": STRING,
        "vlanTrunk": [*LIST, [5]], "vlanTrunk[0].id": NUMBER, "vlanTrunk[0].minID": NUMBER,
        "vlanTrunk[0].maxID": NUMBER, "ipam": OBJECT, "ipam.type": STRING,
        "runtimeConfig.mac": STRING, "args.cni": OBJECT, "args.cni.mac": STRING,
        **dict.fromkeys([
            "isGateway", "isDefaultGateway", "forceAddress", "ipMasq", "enabledad", "hairpinMode",
            "promiscMode", "portIsolation", "macspoofchk", "disableContainerInterface",
            "preserveDefaultVlan"], BOOLEAN)},
    IPAM: {
        **EVERY, **ELSE, "subnet": STRING, "rangeStart": STRING, "rangeEnd": STRING,
        "gateway": STRING, "ranges": LIST, "ranges[0]": LIST, "ranges[0][0]": OBJECT,
        "ranges[0][0].subnet": STRING, "ranges[0][0].rangeStart": STRING,
        "ranges[0][0].rangeEnd": STRING, "ranges[0][0].gateway": STRING, "exclude": [*LIST, [5]],
        "routes": [*LIST, [5]], "routes[0].dst": STRING, "routes[0].gw": STRING,
        "routes[0].mtu": NUMBER, "resolvConf": STRING, "dataDir": STRING, "clusterFile": STRING,
        "isGateway": BOOLEAN, "runtimeConfig.ips": LIST, "runtimeConfig.ipRanges": LIST,
        "args.cni": OBJECT, "args.cni.ips": LIST},
    ROUTE: {
        **EVERY, "network": [5, True, {}, [5]], "peers": [*LIST, [5]], "peers[0].subnet": STRING,
        "peers[0].via": [5, True, {}, [5]], "peers[0].name": STRING, "peers[0].dev": STRING,
        "peers[0].mtu": NUMBER, "routes": [*LIST, [5]], "routes[0].dst": STRING,
        "routes[0].gw": STRING, "routes[0].priority": NUMBER, "routes[0].table": NUMBER,
        "routes[0].scope": NUMBER, "routes[0].advmss": NUMBER, "defaultRoute": BOOLEAN,
        "unreachable": BOOLEAN, "forward": BOOLEAN, "ipMasq": BOOLEAN, "clusterFile": STRING},
}
# A plugin ignores what it does not read.
for keys in KEYS.values():
    for key in ("runtimeConfig", "args"):
        if not any(other.startswith(f"{key}.") for other in keys):
            del keys[key]


NEIGHBOURS = {"routes[0]": {"dst": "10.0.0.0/8"}, "peers[0]": {"subnet": "10.9.0.0/24",
              "via": "192.0.2.20"}, "ranges[0][0]": {"subnet": "10.9.0.0/24"}}


@every_plugin
def test_every_key_of_another_type(subject):
    with Unchanged(subject) as state:
        for key, values in KEYS[subject.plugin].items():
            configuration = subject.configuration | state.keys
            parent = key.rpartition(".")[0]
            if parent in NEIGHBOURS:
                configuration = with_value(configuration, parent, NEIGHBOURS[parent])
            if key in ("rangeStart", "rangeEnd", "gateway"):
                configuration["subnet"] = "10.9.0.0/24"
            if key == "clusterFile":
                configuration.pop("peers", None)
            for value in values:
                error = state.write(
                    json.dumps(with_value(configuration, key, value)).encode()).error
                place = f"{key}[0]" if isinstance(value, list) and value else key
                assert error["code"] == 7, (key, value, error)
                # The error names this key, or one inside it.
                assert f'"{key}' in error["msg"] or f'"{place}"' in error["msg"], (key, value, error)


@every_plugin
def test_a_nul_in_a_string_does_not_end_it(subject):
    key = {BRIDGE: "bridge", IPAM: "dataDir", ROUTE: "network"}[subject.plugin]
    value = {BRIDGE: "cni0\0x", IPAM: "/run/x\0/../y", ROUTE: "10.0.0.0/8\0"}[subject.plugin]
    with Unchanged(subject) as state:
        state.add(**{key: value}).refused(7, f'"{key}"', "NUL")
        state.add(logFile="/run/x\0").refused(7, '"logFile"', "NUL")
        if subject.plugin == BRIDGE:
            state.add(ipam={"type": "host-local\0/x"}).refused(7, '"ipam.type"', "NUL")


# Environment

@every_plugin
def test_an_environment_that_cannot_be(subject):
    with Unchanged(subject) as state:
        call = lambda verb="ADD", **environment: subject.call(
            verb, environment=environment, **state.keys)
        call("BAD").refused(4, "CNI_COMMAND", "BAD", "ADD, DEL, CHECK")
        call(CNI_CONTAINERID=None, CNI_NETNS=None, CNI_IFNAME="").refused(
            4, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME")
        call(CNI_NETNS="/run/netns/none").refused(3, "/run/netns/none", "No such file")
        call(CNI_NETNS="/etc/passwd").refused(3, "/etc/passwd", "namespace")
        call(CNI_NETNS="/" + "x" * 5000).refused(3)
        call("DEL", CNI_NETNS="/" + "x" * 5000).succeeded()
        call(CNI_NETNS="/run/netns/\udcff").refused(3)
        call(CNI_CONTAINERID="a\udcff").refused(4)
        call(CNI_IFNAME="\udcff\udcfe" * 5).error
        call(CNI_CONTAINERID="x" * 100_000).refused(4)
        call(CNI_ARGS="no pair").refused(4, "CNI_ARGS", "no pair")
        if subject.plugin == BRIDGE:
            subject.node.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth9",
                             pod=subject.pods["pod"])
            call().refused(101, "CNI_IFNAME", "eth0", "exists")
            subject.node.run("ip", "link", "del", "eth0", pod=subject.pods["pod"])


# Values

@only(IPAM)
def test_pools_that_cannot_be(subject):
    with Unchanged(subject) as state:
        for range_, words in [
                ({"subnet": "10.0.0.1/24"}, ["10.0.0.1/24", "host bits", "10.0.0.0/24"]),
                ({"subnet": "fd00::1/64"}, ["host bits", "fd00::/64"]),
                ({"subnet": "10.0.0.0/32"}, ["too small"]), ({"subnet": "fd00::/128"}, ["too small"]),
                ({"subnet": "10.0.0.0"}, ["prefix"]), ({"subnet": "10.0.0.0/33"}, ["prefix"]),
                ({"subnet": "10.0.0.0/24", "gateway": "fd00::1"}, ["gateway", "fd00::1"]),
                ({"subnet": "10.0.0.0/24", "rangeStart": "10.0.1.1"}, ["rangeStart", "10.0.1.1"]),
                ({"subnet": "10.0.0.0/24", "rangeEnd": "10.0.1.1"}, ["rangeEnd", "10.0.1.1"]),
                ({"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"},
                 ["rangeStart", "10.0.0.9", "10.0.0.8"]),
                ({"rangeStart": "10.0.0.1"}, ["subnet", "required"])]:
            state.add(ranges=[[range_]]).refused(7, "ranges[0][0]", *words)
            if "subnet" in range_:
                state.add(ranges=..., **range_).refused(7, *words)
        state.add(ranges=...).refused(7, '"subnet" is required')
        overlap = [[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.0.128/25"}]]
        state.add(ranges=overlap).refused(7, "ranges[1]", "10.0.0.128/25", "10.0.0.0/24")


@only(IPAM)
def test_a_pool_that_is_full(subject):
    tiny = [[{"subnet": f"{subject.subnet.network_address}/30"}]]
    subject.added("first", ranges=tiny)
    with Unchanged(subject) as state:
        state.add(ranges=tiny).refused(120, "no address is free", "1 of 1")


@only(IPAM)
def test_a_stage_without_a_result_says_how_it_is_used(subject):
    with Unchanged(subject):
        subject.call("ADD").refused(7, "prevResult", "conflist", '"ipam.type"')


@only(ROUTE)
def test_a_route_stage_without_a_result_says_how_it_is_used(subject):
    with Unchanged(subject):
        subject.call("ADD").refused(7, "prevResult", "conflist")


@only(ROUTE)
def test_networks_and_peers_that_cannot_be(subject):
    with Unchanged(subject) as state:
        for network in ["10.0.0.1/8", "10.0.0.0", "x", ["10.0.0.0/8", "10.0.0.1/8"]]:
            state.add(network=network).refused(7, '"network')
        for peer, key in [({}, "subnet"), ({"subnet": "10.9.0.0/24"}, "via"),
                          ({"subnet": "10.9.0.1/24", "via": "192.0.2.20"}, "subnet"),
                          ({"subnet": "10.9.0.0/24", "via": "fd00::1"}, "via"),
                          ({"subnet": "10.9.0.0/24", "via": []}, "via"),
                          ({"subnet": "10.9.0.0/24", "via": "192.0.2.20", "mtu": 1}, "mtu"),
                          ({"subnet": "10.9.0.0/24", "via": "192.0.2.20", "dev": "a/b"}, "dev")]:
            state.add(peers=[peer]).refused(7, f"peers[0].{key}")


@only(ROUTE)
def test_a_peer_that_is_not_on_link_fails_no_add(subject):
    lost = str([*subject.wide.subnets(new_prefix=24)][2])
    peers = [{"name": "lost", "subnet": lost, "via": "203.0.113.77"},
             *subject.configuration["peers"]]
    result = subject.added(peers=peers)
    assert "lost" in subject.log.read_text() and "203.0.113.77" in subject.log.read_text()
    assert subject.node.ip("route", "show", str(subject.peer_subnet)) != []
    subject.call("CHECK", peers=peers, prevResult=result).refused(
        102, "lost", "203.0.113.77 is not on-link")


@only(BRIDGE)
def test_names_that_lead_elsewhere(subject):
    with Unchanged(subject) as state:
        for name in ["../x", "a/b", "..", "", "x" * 16, "a b"]:
            state.add(bridge=name).refused(7, '"bridge"')
        for name in ["../../bin/sh", "/bin/sh", ".."]:
            state.add(ipam={"type": name}).refused(7, name)


# The log

@every_plugin
def test_a_log_that_is_a_link_is_not_written_to(subject):
    node = subject.node
    folder = f"/run/{subject.name}-open"
    node.run("mkdir", "-m", "1777", folder)
    node.path(f"{folder}/target").write_text("precious")
    node.run("ln", "-s", "target", f"{folder}/symbolic")
    node.run("ln", f"{folder}/target", f"{folder}/hard")
    node.run("mkfifo", f"{folder}/fifo")
    for name in ["symbolic", "hard", "fifo", "none/log", "."]:
        subject.call("DEL", logFile=f"{folder}/{name}").succeeded()
    for path in ["/dev/full", "relative/none", "/proc/1/mem"]:
        subject.call("DEL", logFile=path).succeeded()
    assert node.path(f"{folder}/target").read_text() == "precious"
    subject.call("DEL", logFile=f"{folder}/log").succeeded()
    log = node.path(f"{folder}/log")
    assert log.stat().st_mode & 0o777 == 0o600 and "DEL" in log.read_text()


@every_plugin
def test_a_log_on_a_full_disk_fails_nothing(subject):
    folder = f"/run/{subject.name}-full"
    subject.node.run("mkdir", folder)
    subject.node.run("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder)
    subject.node.run("dd", "if=/dev/zero", f"of={folder}/all", "bs=4k", "count=2", check=False)
    result = subject.added(logFile=f"{folder}/log")
    subject.call("CHECK", prevResult=result, logFile=f"{folder}/log").succeeded()
    subject.call("DEL", prevResult=result, logFile=f"{folder}/log").succeeded()
    subject.node.run("umount", folder)


@every_plugin
def test_no_log_on_request(subject):
    subject.call("DEL", logFile="").succeeded()
    assert not subject.log.exists()


# The three streams

def gone_reader():
    """The write end of a pipe whose reader is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@every_plugin
@pytest.mark.parametrize("way", ["closed", "full", "gone"])
def test_an_add_whose_result_cannot_be_printed_takes_itself_back(subject, way):
    state = Unchanged(subject)
    stdin = subject.configuration | state.keys
    run = lambda verb: run_plugin(
        subject.node, subject.plugin, subject.variables(verb), stdin,
        redirect={"closed": ">&-", "full": ">/dev/full", "gone": ""}[way],
        **({"stdout": gone_reader()} if way == "gone" else {}))
    before = subject.traces()
    ended = run("ADD")
    assert ended.status == 1 and b"stdout" in ended.stderr
    after = subject.traces()
    if subject.plugin == ROUTE:
        # What it makes on the node serves every pod; the pod's own routes are deleted with the pod.
        assert after["leases"] == before["leases"]
        assert after["node"]["links"] == before["node"]["links"]
    else:
        assert after["leases"] == before["leases"] and after["pod"] == before["pod"]
        if subject.plugin == BRIDGE:
            assert subject.ports() == []
    # DEL prints nothing, so it succeeds.
    assert run("DEL").status == 0
    assert subject.log.read_text().count("stdout") == 1


@every_plugin
def test_closed_streams_do_not_lend_their_numbers_to_files(subject):
    previous = subject.prepare()
    stdin = subject.configuration | ({} if previous is None else {"prevResult": previous})
    for verb in ["ADD", "DEL"]:
        ended = run_plugin(subject.node, subject.plugin, subject.variables(verb), stdin,
                           redirect="2>&-")
        assert ended.succeeded().stderr == b""
    for lease in subject.node.path(f"/run/humanz/ipam/{subject.name}").glob("1*"):
        assert b"cniVersion" not in lease.read_bytes()
    all_closed = run_plugin(subject.node, subject.plugin, subject.variables("ADD"), stdin,
                            redirect="<&- >&- 2>&-")
    assert all_closed.status == 1
    assert "cniVersion" not in subject.log.read_text()
