# SPDX-License-Identifier: Apache-2.0
"""Nodes on two segments, with a router between that has no routes to pods; captures of their links."""

import subprocess
import time

from lab.attachment import Chain
from lab.cluster import Cluster, gateway, subnet, uplink

# The third of three nodes is on the far side of the router.
BEHIND = (3,)
PORT = 4790
ID = 72


def peers(member, under=None, count=3):
    """The other nodes; `under` is the family of their addresses, by default that of their pods."""
    return [{"name": f"node{number}", "subnet": subnet(number, family),
             "via": uplink(number, under or family, int(number in BEHIND))}
            for family in member.families for number in range(1, count + 1)
            if number != member.number]


def chain(member, under=None, **keys):
    return Chain(
        member.node, {"type": "humanz-bridge"}, {"type": "humanz-ipam", "ranges": member.ranges},
        {"type": "humanz-route", "network": member.networks, "peers": peers(member, under),
         "overlay": "off-link", **keys})


class Routed(Cluster):
    """Nodes on two segments, each with the router as its default gateway."""

    def __init__(self, families, chain=chain, underlay=None):
        super().__init__(underlay or families, chain, count=3, behind=BEHIND)
        for member in self:
            member.families = families
            for family in underlay or families:
                member.node.run("ip", f"-{family}", "route", "add", "default", "via",
                                gateway(member.segment, family))
            member.chain = chain(member)
        self.families = families


class CommandOutput:
    """The output of a long-running command during a `with`, from the line that has `ready` in it."""

    def __init__(self, node, *words, ready=None):
        self.node, self.words, self.ready = node, words, ready

    def __enter__(self):
        # nsenter does not pass a signal on to its child, so the end of stdin ends the command.
        self.process = self.node.start(
            "bash", "-c", '"$@" & read; kill $!; wait $!', "command", *self.words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while self.ready and self.ready not in (line := self.process.stdout.readline()):
            assert line, f"{self.words} ended"
        return self

    def __exit__(self, *_):
        time.sleep(0.3)
        self.lines = self.process.communicate()[0].splitlines()

    def lines_with(self, *words):
        return [line for line in self.lines if all(word in line for word in words)]


def captured(node, *words, link="uplink"):
    """The packets that tcpdump prints on a link."""
    return CommandOutput(node, "tcpdump", "-l", "-n", "-i", link, *words, ready="listening")


def encapsulated(host):
    return [line for line in host.node.run("ip", f"-{host.version}", "route").stdout.splitlines()
            if "encap" in line]
