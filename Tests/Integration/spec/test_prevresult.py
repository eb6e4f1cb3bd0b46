# SPDX-License-Identifier: Apache-2.0
"""A property test: ADD passes a prevResult on with everything in it, in its order and spelling."""

import ipaddress
import json
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.spec import PLUGINS, ROUTE, VERSIONS, Subject, at_least
from lab.plugin_process import run_plugin


# Documents are nested deeper than Python's default limit.
sys.setrecursionlimit(20_000)

# JSON without loss: objects as lists of members, numbers and literals as they are spelled.

class Number(str):
    """A number as it is spelled."""


class Word(str):
    """`null`, `true` or `false`."""


class Members(list):
    """An object's members, each a name and a value, in order."""

    def __getitem__(self, key):
        return super().__getitem__(key) if isinstance(key, int) else self.get(key)

    def get(self, name, default=None):
        return next((value for key, value in self if key == name), default)

    def names(self):
        return [name for name, _ in self]


def parse(text):
    """Parses JSON without Python's own types, which lose spelling and order."""
    value = json.loads(text, object_pairs_hook=Members, parse_int=Number, parse_float=Number)

    def words(value):
        if isinstance(value, Members):
            return Members((name, words(member)) for name, member in value)
        if isinstance(value, list):
            return [words(element) for element in value]
        if value is None or isinstance(value, bool):
            return Word({None: "null", True: "true", False: "false"}[value])
        return value
    return words(value)


def write(value):
    if isinstance(value, (Number, Word)):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=len(value) % 2 == 0)
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name)}:{write(member)}" for name, member in value) + "}"
    return "[" + ", ".join(map(write, value)) + "]"


# Documents

NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "1.0", "1.50", "1e400", "-1E-7", "0.10", "9007199254740993",
                     "123456789012345678901234567890", "2.2250738585072014e-308", "1e+5"]),
    st.integers().map(str), st.floats(allow_nan=False, allow_infinity=False).map(repr),
).map(Number)
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", "é中\u202e😀", "e\u0301", "\0", "\\\"/", "\u2028\x7f", "x" * 300])
# No name of the specification, in any version, begins with `x-`.
NAMES = TEXTS.map(lambda name: f"x-{name}")


def objects(values, most=4):
    return st.lists(st.tuples(NAMES, values), max_size=most, unique_by=lambda pair: pair[0]).map(
        Members)


VALUES = st.recursive(
    NUMBERS | TEXTS | st.sampled_from([Word("null"), Word("true"), Word("false")]),
    lambda inner: st.lists(inner, max_size=3) | objects(inner, 3), max_leaves=8)


def nested(depth):
    """A value at the bottom of many arrays and objects."""
    value = Number("1.0")
    for level in range(depth):
        value = [value] if level % 2 else Members([("x", value)])
    return value


UNKNOWN = objects(VALUES | st.integers(1, 400).map(nested))


@st.composite
def results(draw, version, has_pair):
    """A result of unknown plugins, in a version's form."""

    def entry(*known):
        members = [*known, *draw(UNKNOWN)]
        return Members(draw(st.permutations(members)))

    def route(network):
        return entry(("dst", network), *draw(st.sampled_from([(), (("priority", Number("7")),)])))
    top = [("cniVersion", version)]
    dns = draw(st.sampled_from([None, Members([("nameservers", ["192.0.2.53"]), ("x-", Word("null"))])]))
    if dns is not None:
        top.append(("dns", dns))
    if at_least(version, "0.3.0"):
        names = [f"other{number}" for number in range(draw(st.integers(1, 3)))]
        top.append(("interfaces", [
            entry(("name", name), ("mac", "02:00:00:00:00:0A")) for name in names]))
        ips = []
        for number in range(draw(st.integers(0, 3))):
            family = draw(st.sampled_from(["4", "6"]))
            address = f"198.51.100.{number}/24" if family == "4" else f"2001:DB8:0::{number}/64"
            known = [("address", address)]
            if not at_least(version, "1.0.0"):
                known.append(("version", family))
            known.append(("interface", Number(draw(st.integers(0, len(names) - 1)))))
            ips.append(entry(*known))
        if ips:
            top.append(("ips", ips))
        routes = [route(f"203.0.113.{16 * number}/28") for number in range(draw(st.integers(0, 2)))]
        if routes:
            top.append(("routes", routes))
    elif has_pair and draw(st.booleans()):
        top.append(("ip4", entry(("ip", "198.51.100.9/24"), ("gateway", "198.51.100.1"))))
        top.append(("ip6", entry(("ip", "2001:DB8:0::9/64"))))
    return Members(draw(st.permutations([*top, *draw(UNKNOWN)])))


def assert_kept(before, after, place=""):
    """Everything in `before` is also in `after`; the lists that we append to begin with it."""
    for name, value in before:
        found = after.get(name)
        here = f"{place}.{name}"
        assert found is not None, f"{here} is gone"
        if place == "" and name in ("interfaces", "ips", "routes"):
            assert len(found) >= len(value), here
            for index, entry in enumerate(value):
                assert found[index] == entry, f"{here}[{index}]"
        elif place == "" and name in ("ip4", "ip6"):
            assert_kept(value, found, here)
        else:
            assert found == value, here
    kept = [name for name in after.names() if name in before.names()]
    assert kept == before.names(), f"the order of {place or 'the result'}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("plugin", PLUGINS)
def test_whatever_was_in_the_previous_result_is_in_the_result(shared_node, plugin, version):
    subject = Subject(shared_node, plugin, version)
    own = subject.prepare()

    # The same examples in each run, without shrinking, which takes minutes.
    @settings(max_examples=20, deadline=None, database=None, derandomize=True,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(results(version, has_pair=plugin != ROUTE))
    def passes_through(previous):
        if own is not None:
            previous = with_own(previous, own, version)
        configuration = parse(json.dumps(subject.configuration))
        configuration.append(("prevResult", previous))
        done = run_plugin(subject.node, plugin, subject.variables("ADD"),
                          write(configuration).encode()).succeeded()
        result = parse(done.stdout.decode())
        try:
            assert_kept(previous, result)
            if at_least(version, "0.3.0"):
                count = len(result["interfaces"])
                for ip in result["ips"]:
                    assert 0 <= int(ip["interface"]) < count
                mine = [ip for ip in result["ips"] if on_pod(ip, subject)]
                assert len(mine) == 2
                for ip in mine:
                    interface = result["interfaces"][int(ip["interface"])]
                    assert interface["name"] == "eth0"
                    assert interface["sandbox"] == subject.namespace()
        finally:
            subject.call("DEL").succeeded()
            if plugin == ROUTE:
                flush_routes(subject)
    try:
        passes_through()
    finally:
        subject.remove()


def with_own(previous, own, version):
    """The generated result, with the earlier stages' entries appended to its lists."""
    own = parse(json.dumps(own))
    shift = len(previous.get("interfaces", []))
    for ip in own.get("ips", []):
        ip[ip.names().index("interface")] = ("interface", Number(int(ip["interface"]) + shift))
    merged = Members()
    for name, value in previous:
        if name in ("interfaces", "ips", "routes"):
            value = value + own.get(name, [])
        merged.append((name, value))
    for name, value in own:
        if name in ("ip4", "ip6"):
            value = Members([*value, ("x-", Number("1.0"))])
        if name not in merged.names():
            merged.append((name, value))
    return merged


def on_pod(ip, subject):
    address = ipaddress.ip_interface(ip["address"]).network
    return address in (subject.subnet, subject.subnet6)


def flush_routes(subject):
    """Removes an ADD's routes from the pod, which the next example uses again."""
    for family in ("-4", "-6"):
        subject.node.run("ip", family, "route", "flush", "proto", "72", pod=subject.pods["pod"])
