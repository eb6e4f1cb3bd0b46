# SPDX-License-Identifier: Apache-2.0
"""A place to torture plugins in: this process's own node, of which each try may have a new network.

The process runs inside a node of lab.isolated_node, so that what it starts needs no entering.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import uuid

from lab import namespaces
from lab.isolated_node import Node
from lab.waiting import eventually
from Torture.kernel_state import kernel_state

_SCRATCH = ("/attachments/.lease", "/attachments/.new")

# MS_BIND of mount(2), MNT_DETACH of umount(2).
_BIND, _DETACH = 4096, 2

STATE = pathlib.Path("/run/humanz")
NAMESPACES = pathlib.Path("/run/netns")

# The uplink: a peer of the node on its segment, and one behind the router.
NODE, PEER, ROUTER = "192.0.2.10", "192.0.2.20", "192.0.2.1"

_UPLINK = f"""
link set lo up
link add uplink address 02:00:00:00:00:10 type veth peer name far address 02:00:00:00:00:20
link set uplink up
link set far up
address add {NODE}/24 dev uplink
address add 2001:db8:2::10/64 dev uplink nodad
address add {PEER}/24 dev far
route add default via {ROUTER}
"""


class Place(Node):
    """A node as one of its own processes sees it."""

    def __init__(self):  # The node exists already.
        self.name = "node"
        self.pid = os.getpid()
        NAMESPACES.mkdir(exist_ok=True)
        self.processes = _processes()

    def entered(self, *command, pod=None):
        enter = [] if pod is None else ["nsenter", f"--net={NAMESPACES / pod}"]
        return [*enter, *map(str, command)]

    def path(self, path):
        return pathlib.Path(path)

    def close(self):
        pass

    # Network namespaces

    def renew(self):
        """Gives the node a new network and empty folders, as after a reboot."""
        for pod in os.listdir(NAMESPACES):
            self.remove_pod(pod)
        shutil.rmtree(STATE, ignore_errors=True)
        for log in pathlib.Path("/var/log").glob("humanz*"):
            log.unlink()
        namespaces.enter_new()
        subprocess.run(["ip", "-batch", "-"], input=_UPLINK, text=True, check=True)

    def reboot(self):
        """As after a reboot: a new network, nothing in /run, another boot ID; what is on the disk stays."""
        self.renew()
        boot = pathlib.Path("/run/tmp/boot_id")
        boot.write_text(f"{uuid.uuid4()}\n")
        subprocess.run(["mount", "--bind", boot, "/proc/sys/kernel/random/boot_id"], check=True)

    def add_pod(self, name):
        path = NAMESPACES / name
        path.touch()
        with namespaces.inside():
            namespaces.call("mount", b"/proc/thread-self/ns/net", str(path).encode(), None, _BIND, None)
        return str(path)

    def has_pod(self, name):
        return (NAMESPACES / name).exists()

    def has_link(self, name):
        return os.path.exists(f"/proc/sys/net/ipv4/conf/{name}")

    def remove_pod(self, name):
        path = NAMESPACES / name
        with contextlib.suppress(OSError):
            namespaces.call("umount2", str(path).encode(), _DETACH)
        path.unlink(missing_ok=True)

    def _pod_state(self, pod):
        with namespaces.inside(NAMESPACES / pod):
            return kernel_state(has_nftables=False)

    # What there is

    def state(self):
        """All that a plugin could leave: of the kernel, in the pods, files, processes."""
        state = kernel_state()
        for pod in sorted(os.listdir(NAMESPACES)):
            state.update((f"pod {pod} {key}", value) for key, value in self._pod_state(pod).items())
        state.update(_files())
        state.update((f"process {name}", "") for _, name in _processes() - self.processes)
        return state

    def calm_state(self):
        """As `state`, after the processes that plugins start have ended: one that deletes links waits for
        the kernel's grace period."""
        eventually(lambda: _processes() <= self.processes, 5, "the end of all processes")
        return self.state()

    def notes(self):
        """The files that name the last address given. They stay when it is freed: it is reused as late as possible."""
        return {path: path.read_bytes() for path in STATE.glob("ipam/*/last_reserved_ip.*")}

    def restore_notes(self, notes):
        for path in self.notes().keys() - notes.keys():
            path.unlink()
        for path, content in notes.items():
            path.write_bytes(content)


def _files():
    """The files of /run/humanz: mode and content, without times and the last addresses given."""
    for folder, folders, files in os.walk(STATE):
        for name in folders:
            yield f"folder {folder}/{name}", f"{os.lstat(f'{folder}/{name}').st_mode:o}"
        for name in files:
            path = f"{folder}/{name}"
            mode = f"{os.lstat(path).st_mode:o}"
            content = b"" if name.startswith("last_reserved_ip.") else pathlib.Path(path).read_bytes()
            if folder.endswith("/attachments"):
                try:
                    record = json.loads(content)
                    content = {key: record[key] for key in sorted(record) if key != "time"}
                except ValueError:
                    pass
            yield f"file {path}", f"{mode} {content}"


def _processes():
    """The processes of this node, zombies included."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                name = pathlib.Path(f"/proc/{entry}/comm").read_text().strip()
            except OSError:
                continue
            found.add((entry, name))
    return found


def between(low, high, state, may_be_half_made=False):
    """How a state differs from two states, between which it may be: each key must have the value of one of them.
    With `may_be_half_made`, a key that only one of them has may have any value, and so may the temporary files of
    leases, which the next lease replaces."""
    differences = []
    for key in sorted(low.keys() | high.keys() | state.keys()):
        allowed = {low.get(key), high.get(key)}
        is_half_made = None in allowed and len(allowed) == 2 or key.endswith(_SCRATCH)
        if state.get(key) in allowed or may_be_half_made and is_half_made:
            continue
        was = " or ".join(str(value) for value in sorted(allowed, key=str))
        differences.append(f"{key}: {state.get(key)} instead of {was}")
    return differences


def settled(place, low, high, may_be_half_made=False, wrong_of=list, seconds=3):
    """As `between`, of a place that may need a moment: the kernel removes links of a namespace that is
    gone, and a child that outlives its parent ends, in their own time. `wrong_of` gives those of the differences that
    are wrong: nothing waits for the others."""
    end = time.monotonic() + seconds
    while True:
        state = place.state()
        differences = wrong_of(between(low, high, state, may_be_half_made))
        if not differences or time.monotonic() > end:
            return state, differences
        time.sleep(0.02)
