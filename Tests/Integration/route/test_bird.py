# SPDX-License-Identifier: Apache-2.0
"""BIRD carries the routes: conflists/bird.conf on each node, and no `peers` in any configuration."""

from lab.cluster import by_families, gateway
from route.daemons import check_routed, neighbours, shipped

ROUTER = """
log syslog all;
router id 192.0.2.254;
protocol device {{ }}
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol kernel {{ ipv6 {{ export where source = RTS_BGP; }}; }}
protocol bfd {{ interface "*" {{ interval 300 ms; multiplier 3; }}; }}
template bgp any_node {{
	local as 64511;
	bfd on;
	hold time 9;
	connect delay time 1;
	error wait time 1, 4;
	dynamic name "node";
}}
{protocols}
"""
NODES = """
protocol bgp from any_node {{
	neighbor range {range} as 64512;
	ipv{family} {{ import all; export all; }};
}}
"""


def start(machine, configuration):
    """Starts BIRD on a machine."""
    machine.path("/run/bird.conf").write_text(configuration)
    machine.run("bird", "-p", "-c", "/run/bird.conf")
    machine.start("bird", "-f", "-c", "/run/bird.conf", "-s", "/run/bird.ctl")


def start_router(cluster):
    start(cluster.router, ROUTER.format(protocols="".join(
        NODES.format(range=range, family=family)
        for family, range in neighbours(cluster.families))))


def start_node(member):
    text = shipped("bird.conf", ROUTER4=gateway(member.segment, "4"),
                   ROUTER6=gateway(member.segment, "6"))
    if member.families == ["6"]:
        text = text.replace("# router id 192.0.2.1;", f"router id 192.0.2.{member.number};")
    start(member.node, text)


@by_families
def test_pods_reach_each_other_through_a_router_and_a_dead_node_is_forgotten(families):
    check_routed(families, "bird", start_router, start_node)
