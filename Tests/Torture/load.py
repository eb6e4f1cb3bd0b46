# SPDX-License-Identifier: Apache-2.0
"""Many pods at once, a third of the calls killed, and the node changed underneath."""

import collections
import itertools
import math
import pathlib
import random
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lab.attachment import Network, reaches
from lab.waiting import patience
from Torture.place import PEER
from Torture.rows import Row

_BRIDGE = {"type": "humanz-bridge", "bridge": "cni0", "macspoofchk": True}
_STORE = pathlib.Path("/var/lib/cni/leases")


def _networks(pods):
    """The stages of two networks on one bridge. The second keeps its leases over a reboot, and has room for
    little more than its pods: leases of an earlier boot are in the way."""
    length = 32 - math.ceil(math.log2(pods / 2 + 4))
    return {"first": _network(77, length), "second": _network(78, length, dataDir=str(_STORE))}


def _network(number, length, **ipam):
    peers = [{"subnet": f"10.{number}.128.0/24", "via": PEER}]
    ranges = [[{"subnet": f"10.{number}.0.0/{length}"}], [{"subnet": f"fd{number}::/64"}]]
    return [_BRIDGE, {"type": "humanz-ipam", "ranges": ranges, **ipam},
            {"type": "humanz-route", "network": [f"10.{number}.0.0/16", f"fd{number}::/48"],
             "peers": peers, "ipMasq": True}]


class Pod:
    """A pod of a network, as its runtime knows it."""

    def __init__(self, load, runtime, network, number):
        self.load, self.network = load, network
        self.kind = f"{runtime}-{network}-{number}"
        self.renew(0)

    def renew(self, boot):
        """Replaces the container by a new one."""
        self.name = f"{self.kind}-{boot}"
        # What an ADD reported; None where there is no attachment, or it is being deleted.
        self.result = self.former = None
        self.is_clean, self.added = True, 0.0

    def add(self, kill=False):
        self.is_clean, result = False, None
        if not self.load.place.has_pod(self.name):
            self.load.place.add_pod(self.name)
        for stage, is_victim in self._victims(kill):
            ended = self._run(stage, "ADD", is_victim, result)
            if ended.status:
                return self._error(ended)
            result = ended.json
        self.result, self.added = result, time.monotonic()
        return None

    def delete(self, kill=False):
        namespace = None if self.load.place.has_pod(self.name) else ""
        self.result, self.former = None, self.result or self.former
        for stage, is_victim in self._victims(kill, reverse=True):
            ended = self._run(stage, "DEL", is_victim, self.former, namespace)
            if ended.status:
                return self._error(ended)
        self.former, self.is_clean = None, True
        return None

    def check(self):
        for stage in self.load.stages[self.network]:
            ended = self._run(stage, "CHECK", False, self.result)
            if ended.status:
                return self._error(ended)
        return None

    def _victims(self, kill, reverse=False):
        stages = self.load.stages[self.network][::-1 if reverse else 1]
        victim = self.load.chance.randrange(len(stages)) if kill else None
        return [(stage, number == victim) for number, stage in enumerate(stages)]

    def _run(self, stage, verb, is_victim, result, namespace=None):
        started = stage.start(verb, self.name, namespace=namespace)
        stdin = {**stage.configuration, **({"prevResult": result} if result else {})}
        try:
            started.write_input(stdin)
            if is_victim:
                # Some have ended by then.
                time.sleep(self.load.chance.uniform(0, 0.03))
                started.process.kill()
            return started.end()
        except BrokenPipeError:
            return started.end()

    @staticmethod
    def _error(ended):
        """The error of a call; None if it was killed."""
        return None if ended.status == -9 else f"{ended.error}"


class Load:
    """The pods of two runtimes in two networks."""

    def __init__(self, place, pods, at_once, seed):
        self.place, self.at_once = place, at_once
        self.chance = random.Random(seed)
        networks = _networks(pods)
        self.stages = {name: [Network(place, keys["type"], "1.1.0", name, **keys) for keys in stages]
                       for name, stages in networks.items()}
        # Each runtime has half of each network's pods.
        kinds = list(itertools.product(("runtime1", "runtime2"), networks))
        self.pods = [Pod(self, *kinds[number % len(kinds)], number) for number in range(pods)]
        self.disturbed = -1.0

    def attached(self):
        return [pod for pod in self.pods if pod.result]

    def each(self, work, pods=None):
        """Calls `work` for each pod, so many at once."""
        with ThreadPoolExecutor(self.at_once) as threads:
            list(threads.map(work, self.pods if pods is None else pods))

    def mix(self, row, rounds, kill=1 / 3):
        """ADD and DEL by turns, of all pods, some killed. A call that was not killed fails only where the
        node was changed underneath meanwhile."""
        def live(pod):
            for _ in range(rounds):
                is_killed = self.chance.random() < kill
                begin = time.monotonic()
                verb = pod.add if pod.is_clean else pod.delete
                wrong = verb(is_killed)
                is_excused = verb == pod.add and self.disturbed > begin - patience(1)
                row.add(f"{pod.name} {verb.__name__}", [wrong] if wrong and not is_excused else [])
                if not pod.is_clean and pod.result is None:
                    # What a runtime does after an ADD that failed.
                    pod.delete(self.chance.random() < kill)
        self.each(live)

    def disturb(self, stop):
        """Deletes the bridge and pods' namespaces again and again, until `stop` is set."""
        while not stop.wait(0.5):
            self.disturbed = time.monotonic()
            subprocess.run(["ip", "link", "delete", "cni0"], stderr=subprocess.DEVNULL)
            for pod in self.chance.sample(self.pods, 3):
                self.place.remove_pod(pod.name)
            self.disturbed = time.monotonic()

    def settle(self, row):
        """What runtimes do when all is quiet: a DEL of what was begun, and a new life for a pod whose
        network was taken away. A pod added since then needs none."""
        def live(pod):
            wrong = None
            if not pod.is_clean and pod.result is None:
                wrong = pod.delete()
            elif pod.result and (not self.place.has_pod(pod.name) or pod.check()):
                if pod.added > self.disturbed + patience(1):
                    wrong = pod.check() or "it has no namespace"
                wrong = wrong or pod.delete() or pod.add()
            if wrong:
                row.add(pod.name, [wrong])
        self.each(live)

    def gc(self, row):
        """GC of both networks: nothing is left of the containers of an earlier boot."""
        for name, stages in self.stages.items():
            valid = [{"containerID": pod.name, "ifname": "eth0"} for pod in self.attached()
                     if pod.network == name]
            for stage in stages:
                ended = stage.run("GC", **{"cni.dev/valid-attachments": valid})
                row.add(f"GC {stage.plugin}", [str(ended)] if ended.status else [])

    # Checks

    def verify(self, part):
        """Each pod that was reported as added answers; no address is anybody else's; nothing leaks."""
        answering, addresses, leaks = (Row(part, words) for words in (
            "pods that answer", "addresses held once", "nothing but theirs"))

        def ask(pod):
            addresses = [ip["address"].split("/")[0] for ip in pod.result["ips"]]
            answering.add(pod.name, [why for address in addresses if (why := self.why_silent(address))])
        self.each(ask, self.attached())
        given = collections.Counter(ip["address"].split("/")[0] for pod in self.attached()
                                    for ip in pod.result["ips"])
        for address, count in given.items():
            addresses.add(address, [f"it is held {count} times"] if count > 1 else [])
        state = self.place.calm_state()
        leases = self.leases()
        ports = {pod.result["interfaces"][-2]["name"] for pod in self.attached()}
        for name, there, expected in [
                ("leases", leases, set(given)),
                ("links", {key[5:] for key in state if key.startswith("link veth")}, ports),
                ("ports with a rule", {port for port in self._ports_in_rules(state)}, ports),
                ("processes", {key for key in state if key.startswith("process ")}, set())]:
            leaks.add(name, [f"more: {sorted(there - expected)[:5]}, fewer: {sorted(expected - there)[:5]}"]
                      if there != expected else [])
        return [answering, addresses, leaks] if given else [leaks]

    def why_silent(self, address):
        """The node's neighbour entry of an address that answers none of three echo requests; None if it answers."""
        if any(reaches(self.place, None, address, wait=2) for _ in range(3)):
            return None
        return f"{address}: {self.place.ip('neigh', 'show', 'to', address)}"

    def leases(self):
        return self.place.leases(["/run/humanz/ipam", _STORE])

    @staticmethod
    def _ports_in_rules(state):
        return {word.strip('":') for key in state if key.startswith("nft ")
                for word in key.split() if word.strip('"').startswith("veth")}


def run(place, part="load", pods=500, at_once=32, seed=1, rounds=4):
    """Runs all phases; returns the rows of the table."""
    load = Load(place, pods, at_once, seed)
    place.renew()
    shutil.rmtree(_STORE, ignore_errors=True)
    rows = []

    def phase(what, work):
        row = Row(part, what)
        work(row)
        load.settle(row)
        rows.extend([row, *load.verify(part)])

    phase("calls, a third killed", lambda row: load.mix(row, rounds))

    def disturbed(row):
        stop = threading.Event()
        thread = threading.Thread(target=load.disturb, args=[stop])
        thread.start()
        load.mix(row, rounds)
        stop.set()
        thread.join()
    phase("calls, bridge deleted", disturbed)

    def rebooted(row):
        place.reboot()
        for pod in load.pods:
            pod.renew(1)
        load.mix(row, rounds - 1)
        load.settle(row)
        load.gc(row)
    phase("calls, rebooted", rebooted)

    row = Row(part, "DEL of all")
    rows.append(row)
    load.each(lambda pod: row.add(pod.name, [wrong] if (wrong := pod.delete()) else []))
    return rows + load.verify(part)
