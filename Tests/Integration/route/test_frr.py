# SPDX-License-Identifier: Apache-2.0
"""FRR carries the routes: conflists/frr.conf on each node, and no `peers` in any configuration."""

from lab.cluster import by_families, gateway
from route.daemons import check_routed, neighbours, shipped

DAEMONS = ["zebra", "bgpd", "bfdd"]

ROUTER = """
router bgp 64511
 bgp router-id 192.0.2.254
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor nodes peer-group
 neighbor nodes remote-as 64512
 neighbor nodes bfd
 neighbor nodes timers 3 9
 neighbor nodes advertisement-interval 0
{ranges}
 address-family ipv4 unicast
  neighbor nodes activate
 exit-address-family
 address-family ipv6 unicast
  neighbor nodes activate
 exit-address-family
"""


def start(machine, configuration):
    """Starts FRR's daemons on a machine with its own script, and loads their configuration."""
    machine.run("install", "-d", "-o", "frr", "-g", "frr", "-m", "0755", "/run/frr")
    machine.path("/run/frr.conf").write_text(configuration)
    machine.path("/run/empty.conf").write_text("")
    for daemon in DAEMONS:
        machine.run(f"/usr/lib/frr/{daemon}", "-d", "-A", "127.0.0.1", "-f", "/run/empty.conf")
    done = machine.run("vtysh", "-f", "/run/frr.conf")
    assert "%" not in done.stdout, done.stdout


def start_router(cluster):
    start(cluster.router, ROUTER.format(ranges="\n".join(
        f" bgp listen range {range} peer-group nodes"
        for _, range in neighbours(cluster.families))))


def start_node(member):
    text = shipped("frr.conf").replace("192.168.0.254", gateway(member.segment, "4")).replace(
        "fd00:192::fe", gateway(member.segment, "6"))
    if member.families == ["6"]:
        text = text.replace(" ! bgp router-id 192.0.2.1", f" bgp router-id 192.0.2.{member.number}")
    start(member.node, text)


@by_families
def test_pods_reach_each_other_through_a_router_and_a_dead_node_is_forgotten(families):
    check_routed(families, "bgp", start_router, start_node)
