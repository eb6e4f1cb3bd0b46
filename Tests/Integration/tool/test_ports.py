"""The command that shows who is behind each port, for a person and for a program."""

from lab.attachment import Network, link, port, subnets
from lab.tool import WRONG_USAGE, Tool, shown
from lab.waiting import eventually


def test_each_port_is_shown_with_its_attachment(node):
    first = Network(node, name="blue", isGateway=True, ipam=subnets("10.77.0.0/24"), mtu=1400)
    second = Network(node, name="green", bridge="cni1", portIsolation=True, hairpinMode=True)
    first.add("one")
    second.add("two", interface="net1")
    node.run("ping", "-c", "1", "-W", "2", "10.77.0.1", pod="one")
    ports = {entry["containerID"]: entry
             for entry in Tool(node).ports(as_json=True)["ports"]}
    assert ports["one"] == {
        "port": port(first.results["one"]), "bridge": "cni0", "network": "blue",
        "containerID": "one", "interface": "eth0", "mtu": 1400,
        "macs": [first.results["one"]["interfaces"][-1]["mac"]], "state": "up"}
    assert ports["two"]["interface"] == "net1"
    assert ports["two"]["state"] == "up, hairpin, isolated"
    table = Tool(node).ports().splitlines()
    assert table[0].split() == ["PORT", "BRIDGE", "NETWORK", "CONTAINER", "INTERFACE", "MTU", "MAC",
                                "STATE"]
    assert len(table) == 3


def test_the_state_says_what_keeps_packets_from_passing(node):
    network = Network(node)
    for pod in ["down", "off", "inside"]:
        network.add(pod)
    node.run("ip", "link", "set", port(network.results["down"]), "down")
    node.run("ip", "link", "set", port(network.results["off"]), "nomaster")
    node.run("ip", "link", "set", "eth0", "down", pod="inside")
    # The kernel takes up to a second to notice that a carrier is gone.
    eventually(lambda: "NO-CARRIER" in link(node, port(network.results["inside"]))["flags"], seconds=5)
    states = {entry["containerID"]: entry["state"]
              for entry in Tool(node).ports(as_json=True)["ports"]}
    assert states == {"down": "down", "off": "on no bridge", "inside": "the pod's end is down"}


def test_without_ports_the_table_has_its_header_alone(node):
    assert len(Tool(node).ports().splitlines()) == 1
    assert Tool(node).ports(as_json=True) == {"ports": []}


def test_an_unknown_command_is_answered_with_the_usage(node):
    done = Tool(node).unknown("ports", "prots")
    assert done.returncode == WRONG_USAGE["ports"]
    assert shown("ports") in done.stderr
