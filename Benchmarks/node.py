# SPDX-License-Identifier: Apache-2.0
"""The environment of a contestant: its node, its pods, and its lease store."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from pathlib import Path

from contestants import NODE_ADDRESS, Contestant

NAMESPACES = Path("/run/netns")


def be_alone() -> None:
    """Mounts a private /run, which has the namespaces' names, the locks and the stores.

    Raises RuntimeError outside the namespaces that the Makefile makes: nothing here may touch the machine's
    own network.
    """
    if os.getpid() != 1:
        raise RuntimeError("run this by make: it needs namespaces of its own")
    ip("link", "set", "lo", "up")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def make_node(contestant: Contestant, pods: int) -> None:
    """Makes a node's namespace, with NODE_ADDRESS on an uplink, and a namespace for each pod and the resident
    one."""
    node, wire = contestant.name, f"{contestant.name}-wire"
    names = [node, wire, *(f"{node}-{pod}" for pod in range(1, pods + 2))]
    batch = "".join(f"netns add {name}\n" for name in names)
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
    ip("-n", node, "link", "add", "enp8s0", "type", "veth", "peer", "name", "enp8s0", "netns", wire)
    ip("-n", wire, "link", "set", "enp8s0", "up")
    ip("-n", node, "link", "set", "lo", "up")
    ip("-n", node, "link", "set", "enp8s0", "up")
    ip("-n", node, "address", "add", NODE_ADDRESS, "dev", "enp8s0")


def make_floor_bridge() -> None:
    """Makes the bridge for the floor; the plugins make theirs in their first ADD."""
    ip("-n", "floor", "link", "add", "cni0", "address", "02:00:00:00:00:01", "up", "type", "bridge")
    ip("-n", "floor", "address", "add", "100.100.0.1/24", "dev", "cni0")


def fill_store(store: Path, subnet: str, count: int) -> None:
    """Writes leases in host-local's format, which both IPAM plugins read."""
    folder = store / "leases"
    folder.mkdir(parents=True, mode=0o700)
    first = int(ipaddress.ip_network(subnet).network_address) + 2
    for offset in range(count):
        address = ipaddress.ip_address(first + offset)
        (folder / str(address)).write_bytes(b"earlier-%d\r\neth0" % offset)
    (folder / "last_reserved_ip.0").write_text(str(address))
