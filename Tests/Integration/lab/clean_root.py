# SPDX-License-Identifier: Apache-2.0
"""Machines with a fresh Debian root: they show exactly what a package or a command adds.

debootstrap makes the root once and keeps it in .build-roots/. Each machine has an overlay in memory above it.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess

from lab.isolated_node import ROOT, Node

RELEASE = "bookworm"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
# The runtimes, what they need, and tools to look with.
PACKAGES = """podman containernetworking-plugins containerd iproute2 iputils-ping iptables nftables curl
    ca-certificates man-db logrotate rpm busybox-static python3 procps kmod""".split()

_CGROUPS = pathlib.Path("/sys/fs/cgroup")

_FIRST_PROCESS = """
set -e
layers=/mnt
mount -t tmpfs -o mode=0755 tmpfs $layers
mkdir $layers/upper $layers/work $layers/root
mount -t overlay overlay -o lowerdir="$1",upperdir=$layers/upper,workdir=$layers/work $layers/root
root=$layers/root
mount -t proc proc $root/proc
mount --rbind /sys $root/sys
mount --rbind /dev $root/dev
for folder in run tmp var/lib/containers var/lib/containerd; do
  mkdir -p $root/$folder
  mount -t tmpfs -o mode=0755 tmpfs $root/$folder
done
mkdir -p $root/run/netns $root/run/lock $root/run/tmp $root/root/dist
cp "${@:2}" $root/root/dist/
hostname node
cd $root
mkdir old
pivot_root . old
umount -l /old
ip link set lo up
echo ready
read
"""


def base():
    """The folder of the fresh Debian root, made by the first call."""
    roots = ROOT / ".build-roots"
    roots.mkdir(exist_ok=True)
    made = roots / RELEASE
    with open(roots / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            part = roots / f"{RELEASE}.part"
            shutil.rmtree(part, ignore_errors=True)
            subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
                 RELEASE, part, MIRROR], check=True, stdout=subprocess.DEVNULL, timeout=1800)
            # debootstrap mounts proc there, and may leave it: a copy of the folder would have this machine's processes.
            if os.path.ismount(part / "proc"):
                subprocess.run(["umount", part / "proc"], check=True)
            part.rename(made)
    return made


class Machine(Node):
    """A machine with a clean Debian. The `brought` files are in its /root/dist."""

    def __init__(self, name, *brought):
        self._command = [
            "bash", "-c", _FIRST_PROCESS, "machine", str(base()), *map(str, brought)]
        super().__init__(name)

    def first_process(self):
        return self._command

    def close(self):
        super().close()
        # By default podman and ctr make control groups with these names.
        for parent in [*_CGROUPS.glob("*/libpod_parent"), *_CGROUPS.glob("*/default")]:
            for folder, _, _ in os.walk(parent, topdown=False):
                # A group with a process belongs to somebody else.
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def shell(self, text, **options):
        """Runs a shell command line as a user does, in root's home."""
        environment = {"HOME": "/root", "TERM": "dumb", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
                       "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        words = [f"{name}={value}" for name, value in environment.items()]
        return self.run("env", "-i", *words, "bash", "-c", f"cd /root && {text}", check=False, **options)

    def checked_shell(self, text, **options):
        """As `shell`; fails if the command fails, and returns its output."""
        done = self.shell(text, **options)
        assert done.returncode == 0, f"{self.name}# {text}\n{done.stdout}{done.stderr}"
        return done.stdout


def package(pattern):
    """The package in dist/ that `make deb` or `make rpm` made."""
    found = sorted((ROOT / "dist").glob(pattern))
    assert found, f"dist/{pattern} is missing: run make deb rpm"
    return pathlib.Path(found[-1])
