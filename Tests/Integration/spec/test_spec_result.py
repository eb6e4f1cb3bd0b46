# SPDX-License-Identifier: Apache-2.0
"""Points 11 to 16 of the specification: the content of a result, and what is made of it."""

from lab.spec import BRIDGE, IPAM, ROUTE, at_least, spec

DNS = {"nameservers": ["192.0.2.53"], "domain": "example.org", "search": ["a", "b"],
       "options": ["ndots:2"], "unknown": [{"x": 1}]}


def addresses(result):
    """The addresses of a result in any version's form."""
    if "ips" in result:
        return [ip["address"] for ip in result["ips"]]
    return [result[key]["ip"] for key in ("ip4", "ip6") if key in result]


# 11

@spec(11)
def test_what_is_in_the_previous_result_comes_out_unchanged_and_in_its_place(subject):
    previous = subject.prepare() or {"cniVersion": subject.version}
    strange = {"deep": [{"er": [1, 2.5, None, "é"]}], "null": None}
    previous |= {"unknown": strange}
    if at_least(subject.version, "0.3.0"):
        version = {} if at_least(subject.version, "1.0.0") else {"version": "4"}
        # An interface, an address and a route of another plugin.
        previous.setdefault("interfaces", []).append({"name": "other0", "x": strange})
        other = len(previous["interfaces"]) - 1
        previous.setdefault("ips", []).append(
            {**version, "interface": other, "address": "198.51.100.7/24", "x": strange})
        previous.setdefault("routes", []).append({"dst": "203.0.113.0/24", "x": strange})
    elif subject.plugin == ROUTE:
        previous["ip4"]["x"] = strange
    result = subject.call("ADD", prevResult=previous).succeeded().json
    assert result["unknown"] == strange
    for key in ("interfaces", "ips", "routes"):
        before = previous.get(key, [])
        assert result.get(key, [])[:len(before)] == before
    if "x" in previous.get("ip4", {}):
        assert result["ip4"]["x"] == strange


@spec(11, since="0.3.0")
def test_the_addresses_are_on_the_interfaces_that_they_name(subject):
    previous = subject.prepare() or {"cniVersion": subject.version}
    # Put first, so that every index differs from that in a chain of ours alone.
    previous["interfaces"] = [{"name": "other0"}] + previous.get("interfaces", [])
    for ip in previous.get("ips", []):
        ip["interface"] += 1
    result = subject.call("ADD", prevResult=previous).succeeded().json
    assert len(result["ips"]) == 2
    for ip in result["ips"]:
        interface = result["interfaces"][ip["interface"]]
        assert interface["name"] == "eth0" and interface["sandbox"] == subject.namespace()
    assert sorted(addresses(result)) == subject.addresses()


# 12

@spec(12, BRIDGE)
def test_an_interface_that_is_there_is_an_error_and_nothing_is_changed(subject):
    subject.prepare()
    subject.node.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x",
                     pod=subject.pods["pod"])
    before = subject.traces()
    subject.call("ADD").refused(101, "eth0", subject.namespace())
    assert subject.traces() == before


@spec(12, BRIDGE)
def test_a_second_add_is_an_error_and_the_first_ones_work_stays(subject):
    result = subject.added()
    before = subject.traces()
    subject.call("ADD").refused(101, "eth0")
    assert subject.traces() == before
    if at_least(subject.version, "0.4.0"):
        subject.call("CHECK", prevResult=result).succeeded()


# 13

@spec(13, since="0.4.0")
def test_check_compares_with_the_previous_result(subject):
    result = subject.added()
    subject.call("CHECK", prevResult=result).succeeded()
    other = result | {}
    if subject.plugin == BRIDGE:
        other["interfaces"] = result["interfaces"][:-1] + [
            result["interfaces"][-1] | {"mac": "02:00:00:00:00:77"}]
        words = ["02:00:00:00:00:77"]
    elif subject.plugin == IPAM:
        other["ips"] = [result["ips"][0] | {"address": f"{subject.subnet[99]}/24"},
                        *result["ips"][1:]]
        words = ["is not in the result"]
    else:
        other["routes"] = result["routes"] + [{"dst": "203.0.113.0/24"}]
        words = ["203.0.113.0/24"]
    subject.call("CHECK", prevResult=other).refused(102, *words)


@spec(13)
def test_del_works_with_a_previous_result_and_without(subject):
    for keys in [True, False]:
        pod = f"pod{keys}"
        previous = subject.prepare(pod)
        before = subject.traces(pod)
        result = subject.added(pod, **({} if previous is None else {"prevResult": previous}))
        assert subject.traces(pod) != before
        subject.call("DEL", pod, **({"prevResult": result} if keys else {})).succeeded()
        after = subject.traces(pod)
        if subject.plugin == ROUTE:
            # The node's routes serve every pod, and the pod's are deleted with it.
            assert after["leases"] == before["leases"]
        elif subject.plugin == IPAM:
            assert after["leases"] == {} and after["pod"] == before["pod"]
        else:
            assert after["leases"] == {} and after["pod"] == before["pod"]
            assert subject.ports() == []


# 14

@spec(14, BRIDGE, since="0.3.0")
def test_interfaces_have_sandbox_and_mac_and_from_1_1_0_mtu(subject):
    subject.prepare()
    # CNI_NETNS as given, although the namespace has other paths.
    sandbox = f"/run/../run//netns/{subject.pods['pod']}"
    result = subject.call("ADD", environment={"CNI_NETNS": sandbox}, mtu=1400).succeeded().json
    bridge, port, interface = result["interfaces"]
    assert bridge["name"] == subject.bridge and port["name"] in subject.ports()
    assert interface["name"] == "eth0" and interface["sandbox"] == sandbox
    assert "sandbox" not in bridge and "sandbox" not in port
    for entry, pod in [(bridge, None), (port, None), (interface, "pod")]:
        link = subject.link(entry["name"], pod)
        assert entry["mac"] == link["address"]
        mtu = link["mtu"] if at_least(subject.version, "1.1.0") else None
        assert entry.get("mtu") == mtu
        assert link["mtu"] == 1400


# 15

@spec(15)
def test_dns_is_passed_on(subject):
    previous = (subject.prepare() or {"cniVersion": subject.version}) | {"dns": DNS}
    result = subject.call("ADD", prevResult=previous).succeeded().json
    assert result["dns"] == DNS


@spec(15, [BRIDGE, IPAM])
def test_dns_is_overridden_by_the_configuration(subject):
    previous = (subject.prepare() or {"cniVersion": subject.version}) | {"dns": DNS}
    own = {"nameservers": ["192.0.2.54"]}
    result = subject.call("ADD", prevResult=previous, dns=own).succeeded().json
    assert result["dns"] == own


@spec(15, IPAM)
def test_dns_is_read_from_the_nodes_resolver_file(subject):
    previous = subject.prepare() | {"dns": DNS}
    subject.node.path("/run/resolv.conf").write_text(
        "# comment\nnameserver 192.0.2.55\nsearch x y\noptions ndots:5 rotate\n")
    result = subject.call(
        "ADD", prevResult=previous, resolvConf="/run/resolv.conf").succeeded().json
    assert result["dns"] == {"nameservers": ["192.0.2.55"], "search": ["x", "y"],
                             "options": ["ndots:5", "rotate"]}


@spec(15, BRIDGE)
def test_the_delegates_dns_is_taken_unless_the_bridge_has_its_own(subject):
    delegate = subject.configuration["ipam"] | {"dns": DNS}
    assert subject.added("one", ipam=delegate)["dns"] == DNS
    own = {"nameservers": ["192.0.2.54"]}
    assert subject.added("two", ipam=delegate, dns=own)["dns"] == own


# 16

ROUTES = [
    {"dst": "203.0.113.0/24"}, {"dst": "2001:db8:1::/48"},
    {"dst": "198.51.100.0/24", "mtu": 1300, "advmss": 1200, "priority": 77, "table": 500},
    {"dst": "192.0.2.128/25", "scope": 253},
]


@spec(16, [BRIDGE, ROUTE])
def test_routes_are_made_as_they_say(subject):
    via = str(subject.subnet[9])
    routes = [*ROUTES, {"dst": "198.18.0.0/15", "gw": via}]
    if subject.plugin == ROUTE:
        keys = {"routes": routes, "defaultRoute": False}
    else:
        keys = {"ipam": subject.configuration["ipam"] | {"routes": routes}}
    result = subject.added(**keys)
    pod = subject.pods["pod"]

    def route(destination, *table):
        family = "-6" if ":" in destination else "-4"
        found = subject.node.ip("-details", family, "route", "show", destination, *table, pod=pod)
        assert len(found) == 1, destination
        return found[0]
    gateway = str(subject.subnet[1])
    assert route("203.0.113.0/24")["gateway"] == gateway
    assert route("2001:db8:1::/48")["gateway"] == str(subject.subnet6[1])
    assert route("198.18.0.0/15")["gateway"] == via
    special = route("198.51.100.0/24", "table", "500")
    assert special["gateway"] == gateway and special["metric"] == 77
    assert special["metrics"][0] == {"mtu": 1300, "advmss": 1200}
    on_link = route("192.0.2.128/25")
    assert on_link["scope"] == "link" and "gateway" not in on_link
    assert all(entry["dev"] == "eth0" for entry in [special, on_link])
    if at_least(subject.version, "0.3.0"):
        assert [entry for entry in result["routes"] if entry in routes] == routes
    else:
        told = result["ip4"]["routes"] + result["ip6"]["routes"]
        assert all(entry in told for entry in routes)
    if at_least(subject.version, "0.4.0"):
        subject.call("CHECK", prevResult=result, **keys).succeeded()
