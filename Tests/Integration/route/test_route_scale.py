# SPDX-License-Identifier: Apache-2.0
"""humanz-route: the cost of an ADD with a thousand peers whose routes are all right."""

from lab.isolated_node import Node
from lab.system_calls import traced
from lab.uplinked import Uplinked

_NETWORK = "10.0.0.0/8"


def peers(count):
    return [{"name": f"node{number}", "subnet": f"10.{64 + number // 256}.{number % 256}.0/24",
             "via": f"192.168.0.{2 + number % 250}"} for number in range(count)]


def calls_of_an_add(node, count):
    """The system calls of an ADD that finds all routes right, and those that send to the kernel."""
    host = Uplinked(node, "4")
    network = host.network(*peers(count), logFile="")
    network.configuration["network"] = _NETWORK
    host.add(network)
    assert len(host.ours()) == count
    calls = traced(network, "ADD", "pod", prevResult=host.prev_result)
    return calls, [call for call in calls if call.startswith("sendto(")]


def test_a_thousand_peers_cost_no_message_each_where_all_routes_are_right():
    with Node("few") as few, Node("many") as many:
        calls, sent = calls_of_an_add(few, 3)
        more_calls, more_sent = calls_of_an_add(many, 1000)
    assert len(more_sent) == len(sent)
    # Reading grows with the kernel's answers and the configuration; sending does not.
    assert len(more_calls) <= 1.5 * len(calls)
