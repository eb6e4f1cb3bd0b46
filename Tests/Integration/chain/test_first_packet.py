# SPDX-License-Identifier: Apache-2.0
"""A pod is reachable as soon as its ADD returns, even while the kernel is busy with links."""

import re

import pytest

from lab.attachment import address
from lab.conflist import Conflist
from lab.isolated_node import Node
from lab.mixed_plugins import CHAIN, DELEGATING

# Each of these commands takes the RTNL lock, which the kernel also needs to notice a carrier.
_CHURN = """
while :; do
  for i in 1 2 3 4 5 6 7 8; do
    ip link add a$i type veth peer name b$i && ip link set a$i up && ip link set b$i up
  done
  for i in 1 2 3 4 5 6 7 8; do ip link del a$i; done
done
"""


@pytest.fixture
def busy_kernel():
    with Node("busy") as busy:
        for name in ("one", "two"):
            busy.start("sh", "-c", _CHURN, pod=busy.add_pod(name).rpartition("/")[2])
        yield


@pytest.mark.usefixtures("busy_kernel")
@pytest.mark.parametrize("plugins", [
    pytest.param(CHAIN, id="chain"),
    pytest.param([DELEGATING["humanz-bridge with humanz-ipam"]], id="with a delegate"),
])
def test_the_first_packet_to_a_pod_arrives(node, plugins):
    """The bridge gets its first port each time. A lost packet is sent again after 1 s."""
    network = Conflist(node, *plugins)
    for _ in range(40):
        pod = address(network.add("pod"))
        answer = node.run("ping", "-c", "1", "-W", "5", pod).stdout
        assert float(re.search(r"time=([\d.]+) ms", answer)[1]) < 900
        network.delete("pod")
