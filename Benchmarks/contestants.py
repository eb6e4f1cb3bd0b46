# SPDX-License-Identifier: Apache-2.0
"""The contestants: the stages of each, and their configurations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

REFERENCE = Path("/usr/lib/cni")
NETAVARK = Path("/usr/lib/podman/netavark")
NODE_ADDRESS = "200.0.0.10/16"
SUBNET, GATEWAY = "100.100.0.0/24", "100.100.0.1"


@dataclass(frozen=True)
class Stage:
    """One program of a contestant. For a program that is no CNI plugin `words` has its argument for each verb."""

    program: Path
    configuration: dict = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """`name` also names its node's namespace; `title` is for people; `base` names our contestant that it is
    compared with."""

    name: str
    title: str
    base: str
    stages: tuple[Stage, ...]

    @property
    def ours(self) -> bool:
        """Whether it is our release build; the dynamic build is shown beside it and does not count."""
        return any(stage.program.name.startswith("humanz-") for stage in self.stages) and \
            not any(stage.program.parent.name == "dynamic" for stage in self.stages)

    @property
    def missing(self) -> list[str]:
        return sorted({str(s.program) for s in self.stages if not s.program.exists()})


def network(name: str, **keys: object) -> dict:
    return {"cniVersion": "1.0.0", "name": name, **keys}


def ours(name: str, **keys: object) -> dict:
    return network(name, logFile="/run/humanz_cni.log", **keys)


def peers(count: int) -> list[dict]:
    """Nodes on the segment of NODE_ADDRESS, each with a pod subnet."""
    return [
        {"subnet": f"100.{101 + i // 256}.{i % 256}.0/24", "via": f"200.0.{1 + i // 200}.{1 + i % 200}"}
        for i in range(count)
    ]


def chain(plugins: Path, name: str, title: str, base: str, peer_count: int = 3, **keys: object) -> Contestant:
    """The three stages; `keys` go to humanz-route."""
    return Contestant(name, title, base, (
        Stage(plugins / "humanz-bridge", ours(name, type="humanz-bridge", bridge="cni0")),
        Stage(plugins / "humanz-ipam",
              ours(name, type="humanz-ipam", subnet=SUBNET, dataDir="/run/leases")),
        Stage(plugins / "humanz-route",
              ours(name, type="humanz-route", network="100.64.0.0/10", peers=peers(peer_count), **keys)),
    ))


def pair(plugins: Path, name: str, title: str, base: str, **keys: object) -> Contestant:
    """humanz-bridge with humanz-ipam as its delegate, with the same keys as the reference contestant."""
    ipam = {"type": "humanz-ipam", "subnet": SUBNET, "dataDir": "/run/leases"}
    return Contestant(name, title, base, (
        Stage(plugins / "humanz-bridge",
              ours(name, type="humanz-bridge", bridge="cni0", isDefaultGateway=True, ipam=ipam, **keys)),
    ))


def reference(name: str, title: str, base: str, **keys: object) -> Contestant:
    ipam = {"type": "host-local", "dataDir": "/run/leases", "ranges": [[{"subnet": SUBNET}]]}
    return Contestant(name, title, base, (
        Stage(REFERENCE / "bridge",
              network(name, type="bridge", bridge="cni0", isDefaultGateway=True, ipam=ipam, **keys)),
    ))


def netavark(base: str) -> Contestant:
    """netavark with podman's configuration: podman chooses the address first. It always masquerades."""
    bridge = {
        "name": "netavark", "id": "6e" * 32, "driver": "bridge", "network_interface": "podman1",
        "subnets": [{"subnet": SUBNET, "gateway": GATEWAY}], "ipv6_enabled": False, "internal": False,
        "dns_enabled": False, "options": {}, "ipam_options": {"driver": "host-local"},
    }
    container = {
        "container_id": "bc" * 32, "container_name": "bench",
        "networks": {"netavark": {"interface_name": "eth0", "static_ips": ["100.100.0.2"]}},
        "network_info": {"netavark": bridge},
    }
    return Contestant("netavark", "netavark setup and teardown", base,
                      (Stage(NETAVARK, container, {"ADD": "setup", "DEL": "teardown"}),))


def floor(tools: Path, base: str) -> Contestant:
    return Contestant("floor", "the floor: kernel objects only, one process", base, (Stage(tools / "floor"),))


def starts(plugins: Path, tools: Path) -> list[Contestant]:
    """Programs that are only asked for their version."""
    version = {"cniVersion": "1.0.0"}
    programs = [plugins / "humanz-bridge", plugins / "humanz-ipam", plugins / "humanz-route",
                REFERENCE / "bridge", REFERENCE / "host-local"]
    return [
        *(Contestant(p.name, p.name, "humanz-bridge", (Stage(p, version),)) for p in programs),
        Contestant("dynamic", "humanz-bridge, dynamic (STATIC=0)", "humanz-bridge",
                   (Stage(tools / "dynamic" / "humanz-bridge", version),)),
        Contestant("netavark", "netavark", "humanz-bridge",
                   (Stage(NETAVARK, version, {"VERSION": "version"}),)),
        Contestant("true", "/bin/true", "humanz-bridge", (Stage(Path("/bin/true")),)),
        Contestant("bare", "a program without a C library", "humanz-bridge", (Stage(tools / "bare"),)),
    ]


def queues(plugins: Path, count: int) -> Contestant:
    """The pair with `count` queues on each end of its links: the kernel's default is the number of CPUs."""
    return pair(plugins, f"queues-{count}", f"{count} queues", "queues-1", queues=count)


def leaked(plugins: Path) -> Contestant:
    """The chain with a protocol version that has GC."""
    chained = chain(plugins, "leaked", "chain of three stages", "leaked")
    return Contestant(chained.name, chained.title, chained.base, tuple(
        Stage(stage.program, {**stage.configuration, "cniVersion": "1.1.0"}) for stage in chained.stages))


def leases(plugins: Path, plugin: str, count: int) -> Contestant:
    """An IPAM plugin alone, with a store that already has `count` leases."""
    program = (plugins if plugin.startswith("humanz-") else REFERENCE) / plugin
    configuration = ours if plugin.startswith("humanz-") else network
    ipam = {"type": plugin, "dataDir": f"/run/stores/{plugin}-{count}",
            "ranges": [[{"subnet": "100.64.0.0/16"}]]}
    return Contestant(f"{plugin}-{count}", f"{plugin}, {count:,} leases", f"humanz-ipam-{count}",
                      (Stage(program, configuration("leases", type="bridge", ipam=ipam)),))
