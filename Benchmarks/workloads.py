# SPDX-License-Identifier: Apache-2.0
"""The workloads: the contestants of each, and the number of calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import contestants as c

AT_ONCE = (1, 8, 32)
LEASES = (10, 1_000, 4_000, 16_000, 60_000)
HOST_LOCAL_SLOW = (16_000, 60_000)
PEERS = (3, 100, 1_000)
QUEUES = (1, 2, 16, 64, 128)


@dataclass(frozen=True)
class Workload:
    """If `stage` is set, that program's share of the call is reported instead of the whole call."""

    name: str
    title: str
    contestants: list[c.Contestant]
    rounds: int
    verbs: tuple[str, ...] = ("ADD", "DEL")
    pods: int = 1
    at_once: int = 1
    warmup: int = 3
    stage: str | None = None


def all_workloads(plugins: Path, tools: Path) -> list[Workload]:
    chain = c.chain(plugins, "chain", "chain of three stages", "chain")
    pair = c.pair(plugins, "pair", "humanz-bridge with humanz-ipam", "chain")
    reference = c.reference("reference", "bridge with host-local", "chain")
    masquerading = [
        c.chain(plugins, "chain-masq", "chain, ipMasq", "chain-masq", ipMasq=True),
        c.pair(plugins, "pair-masq", "humanz-bridge with humanz-ipam, ipMasq", "chain-masq", ipMasq=True),
        c.reference("ref-masq", "bridge with host-local, ipMasq", "chain-masq", ipMasq=True),
        c.netavark("chain-masq"),
    ]
    peers = [
        c.chain(plugins, f"peers-{count}", f"{count:,} peers", "peers-3", peer_count=count)
        for count in PEERS
    ]
    return [
        Workload("start", "Start to exit", c.starts(plugins, tools), 300, verbs=("VERSION",), warmup=10),
        Workload("pod", "One pod", [chain, pair, reference, c.floor(tools, "chain"), *masquerading], 150),
        *(
            Workload(f"pods-{at_once}", f"200 pods, {at_once} at a time", [chain, pair, reference], 2,
                     pods=200, at_once=at_once, warmup=1 if at_once == max(AT_ONCE) else 0)
            for at_once in AT_ONCE
        ),
        Workload("queues", "One pod, by queues of its links",
                 [c.queues(plugins, count) for count in QUEUES], 60),
        Workload("leaked", "200 leaked pods", [c.leaked(plugins)], 3, verbs=("ADD", "GC"), pods=200,
                 at_once=8, warmup=1),
        Workload("leases", "Address management alone", [
            *(c.leases(plugins, "humanz-ipam", count) for count in LEASES),
            *(c.leases(plugins, "host-local", count) for count in LEASES if count not in HOST_LOCAL_SLOW),
        ], 100),
        # A call takes half a second: a workload of its own, with fewer rounds.
        Workload("leases", "Address management alone", [
            c.leases(plugins, "host-local", count) for count in HOST_LOCAL_SLOW
        ], 12, warmup=1),
        Workload("peers", "The chain with peers", peers, 100),
        Workload("peers-alone", "humanz-route's share of it", peers, 100, stage="humanz-route"),
    ]
