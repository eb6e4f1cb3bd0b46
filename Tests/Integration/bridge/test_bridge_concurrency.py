# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge: many attachments at once."""

import pytest

from lab.attachment import Network, address, reaches

PODS = [f"pod{number}" for number in range(12)]


def at_once(network, calls):
    """Runs these calls at the same time; stores the results of ADDs."""
    started = [network.start(verb, pod) for verb, pod in calls]
    # Every process is started before any gets its configuration, so they run as close together as possible.
    for (verb, pod), plugin in zip(calls, started):
        previous = {"prevResult": network.results[pod]} if verb == "DEL" else {}
        plugin.write_input({**network.configuration, **previous})
    for (verb, pod), plugin in zip(calls, started):
        ended = plugin.end()
        assert ended.status == 0, (verb, pod, str(ended))
        if verb == "ADD":
            network.results[pod] = ended.json


@pytest.fixture
def network(node):
    for pod in PODS:
        node.add_pod(pod)
    return Network(node, isDefaultGateway=True, ipMasq=True, macspoofchk=True, mtu=1400,
                   ipam={"type": "humanz-ipam", "ranges": [[{"subnet": "10.77.0.0/24"}],
                                                           [{"subnet": "fd77::/64"}]]})


def test_first_adds_that_come_at_once_share_one_bridge_and_one_masquerade(node, network):
    at_once(network, [("ADD", pod) for pod in PODS])
    assert len(node.ip("link", "show", "type", "bridge")) == 1
    assert len({address(network.results[pod]) for pod in PODS}) == len(PODS)
    for pod in PODS:
        network.check(pod)
    assert reaches(node, PODS[0], address(network.results[PODS[-1]]))
    assert node.run("nft", "list", "ruleset").stdout.count("masquerade comment") == 2
    at_once(network, [("DEL", pod) for pod in PODS])
    assert node.run("nft", "list", "ruleset").stdout == ""
    assert node.leases() == set()
    assert node.ip("link", "show", "type", "veth") == []


def test_what_a_network_shares_stays_while_attachments_come_and_go(node, network):
    """The last DELs run beside the first ADDs: a DEL must not remove what an ADD has just found."""
    old, new = PODS[:6], PODS[6:]
    at_once(network, [("ADD", pod) for pod in old])
    for _ in range(4):
        calls = [pair for pods in zip(old, new) for pair in (("DEL", pods[0]), ("ADD", pods[1]))]
        at_once(network, calls)
        for pod in new:
            network.check(pod)
        old, new = new, old
