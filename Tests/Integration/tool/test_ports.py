# SPDX-License-Identifier: Apache-2.0
"""The command that shows the pod behind each port, as a table and as JSON."""

from lab.attachment import Network, link, port, subnets
from lab.tool import WRONG_USAGE, Tool
from lab.waiting import eventually


def test_each_port_is_shown_with_its_attachment(node):
    first = Network(node, name="blue", isGateway=True, ipam=subnets("10.77.0.0/24"), mtu=1400)
    second = Network(node, name="green", bridge="cni1", portIsolation=True, hairpinMode=True)
    first.add("one")
    second.add("two", interface="net1")
    node.run("ping", "-c", "1", "-W", "2", "10.77.0.1", pod="one")
    ports = {entry["containerID"]: entry
             for entry in Tool(node).ports(as_json=True)["ports"]}
    # The node has sent packets to the pod, so its neighbour table has the address.
    assert ports["one"] == {
        "port": port(first.results["one"]), "bridge": "cni0", "network": "blue",
        "containerID": "one", "interface": "eth0", "mtu": 1400, "addresses": ["10.77.0.2"],
        "macs": [first.results["one"]["interfaces"][-1]["mac"]], "state": "up"}
    assert ports["two"]["interface"] == "net1"
    assert ports["two"]["state"] == "up, hairpin, isolated"
    table = Tool(node).ports().splitlines()
    assert table[0].split() == [
        "PORT", "BRIDGE", "NETWORK", "CONTAINER", "INTERFACE", "ADDRESS", "STATE"]
    assert len(table) == 3
    assert Tool(node).ports("--wide").splitlines()[0].split()[-3:] == ["MTU", "MAC", "STATE"]


def test_a_port_has_the_addresses_that_are_leased_to_its_pod(node):
    ranges = [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd00:77::/64"}]]
    network = Network(node, ipam={"type": "humanz-ipam", "ranges": ranges})
    network.add("pod", environment={"CNI_ARGS": "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"})
    [entry] = Tool(node).ports(as_json=True)["ports"]
    assert entry["addresses"] == ["10.77.0.2", "fd00:77::2"]
    assert entry["pod"] == "shop/web-0"
    header, row = Tool(node).ports().splitlines()
    assert "POD" in header.split() and "shop/web-0" in row and "10.77.0.2 +1" in row


def test_other_plugins_ports_on_our_bridges_are_shown_and_those_elsewhere_are_not(node):
    network = Network(node)
    network.add("pod")
    node.run("ip", "link", "add", "theirs", "type", "veth", "peer", "name", "far")
    node.run("ip", "link", "set", "theirs", "master", "cni0")
    node.run("ip", "link", "add", "docker0", "type", "bridge")
    node.run("ip", "link", "add", "elsewhere", "type", "veth", "peer", "name", "beyond")
    node.run("ip", "link", "set", "elsewhere", "master", "docker0")
    ports = {entry["port"]: entry for entry in Tool(node).ports(as_json=True)["ports"]}
    assert set(ports) == {port(network.results["pod"]), "theirs"}
    assert ports["theirs"]["bridge"] == "cni0" and "network" not in ports["theirs"]


def test_the_state_says_what_keeps_packets_from_passing(node):
    network = Network(node)
    for pod in ["down", "off", "inside"]:
        network.add(pod)
    node.run("ip", "link", "set", port(network.results["down"]), "down")
    node.run("ip", "link", "set", port(network.results["off"]), "nomaster")
    node.run("ip", "link", "set", "eth0", "down", pod="inside")
    # The kernel takes up to a second to notice the loss of a carrier.
    eventually(lambda: "NO-CARRIER" in link(node, port(network.results["inside"]))["flags"], seconds=5)
    states = {entry["containerID"]: entry["state"]
              for entry in Tool(node).ports(as_json=True)["ports"]}
    assert states == {"down": "down", "off": "on no bridge", "inside": "the pod's end is down"}


def test_without_ports_the_table_has_its_header_alone(node):
    assert len(Tool(node).ports().splitlines()) == 1
    assert Tool(node).ports(as_json=True) == {"ports": []}
