# SPDX-License-Identifier: Apache-2.0
"""What is tortured: the chain, and each stage alone, with every key that makes something on."""

from lab.attachment import Network
from Torture.place import PEER

_RANGES = [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]

_BRIDGE = {"type": "humanz-bridge", "bridge": "cni0", "hairpinMode": True, "portIsolation": True,
           "macspoofchk": True, "mtu": 1400}
_IPAM = {"type": "humanz-ipam", "ranges": _RANGES}
_GATEWAY = {**_BRIDGE, "isDefaultGateway": True, "ipMasq": True, "ipam": _IPAM}
# A plugin that only asks for addresses.
_DELEGATE = {"type": "caller", "ipam": _IPAM}
_ROUTE = {
    "type": "humanz-route", "network": ["10.76.0.0/15", "fd76::/15"], "ipMasq": True,
    "overlay": "off-link", "routes": [{"dst": "198.51.100.0/24"}],
    "peers": [{"name": "near", "subnet": "10.76.1.0/24", "via": PEER},
              {"name": "far", "subnet": "10.76.2.0/24", "via": "203.0.113.30"}]}

# The stages that run before, and those that are tortured.
SUBJECTS = {
    "chain": ([], [_BRIDGE, _IPAM, _ROUTE]),
    "humanz-bridge": ([], [_GATEWAY]),
    "humanz-ipam": ([_BRIDGE], [_IPAM]),
    "humanz-ipam, delegate": ([], [_DELEGATE]),
    "humanz-route": ([_BRIDGE, _IPAM], [_ROUTE]),
}

POD, OTHER = "pod", "stays"


class Subject:
    """Stages on a place, called one after the other as a runtime does."""

    def __init__(self, place, name, **keys):
        self.place = place
        self.before, self.stages = (
            [self._stage({**stage, **keys}) for stage in stages] for stages in SUBJECTS[name])

    def _stage(self, keys):
        plugin = "humanz-ipam" if keys["type"] == "caller" else keys["type"]
        return Network(self.place, plugin, "1.1.0", "net", **keys)

    def order(self, verb):
        """The stages in the order in which a verb calls them."""
        return self.stages[::-1] if verb == "DEL" else self.stages

    def run_stage(self, stage, verb, pod=POD, result=None, keep=(), **options):
        """One verb of one stage; returns how it ended. The result becomes the prevResult of ADD, CHECK
        and DEL."""
        if verb == "GC":
            options["cni.dev/valid-attachments"] = [
                {"containerID": container, "ifname": "eth0"} for container in keep]
        elif verb != "STATUS" and result:
            options["prevResult"] = result
        return stage.run(verb, None if verb in ("GC", "STATUS") else pod, **options)

    def prepare(self, pod):
        """ADD of the stages before; returns their result."""
        result = None
        for stage in self.before:
            result = self.run_stage(stage, "ADD", pod, result).succeeded().json
        return result

    def run(self, verb, pod=POD, result=None, **options):
        """A verb of all stages, which succeeds; returns the last result."""
        for stage in self.order(verb):
            ended = self.run_stage(stage, verb, pod, result, **options).succeeded()
            if verb == "ADD":
                result = ended.json
        return result
