# SPDX-License-Identifier: Apache-2.0
"""The programs need nothing on a machine but its kernel."""

import itertools
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

from lab.attachment import Network, address
from lab.isolated_node import OURS, PLUGINS, ROOT
from lab.system_calls import traced

PROGRAMS = ["humanz-bridge", "humanz-ipam", "humanz-route", "humanz"]

is_static = "0" not in (os.environ.get("STATIC"), os.environ.get("HUMANZ_EMBEDDED"))
static = pytest.mark.skipif(not is_static, reason="the programs are built dynamic (STATIC=0)")
dynamic = pytest.mark.skipif(
    is_static or os.environ.get("HUMANZ_EMBEDDED") == "0", reason="the programs are built static")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@static
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_needs_no_loader_and_no_library(program):
    parts = output("readelf", "--wide", "--program-headers", OURS / program)
    assert "LOAD" in parts
    assert "INTERP" not in parts and "DYNAMIC" not in parts, parts


@static
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_page_of_a_program_is_writable_and_executable(program):
    parts = output("readelf", "--wide", "--program-headers", OURS / program)
    flags = re.findall(r"^ +(LOAD|GNU_STACK) +.* ([R ][W ][E ]) \S+$", parts, re.M)
    assert ("GNU_STACK", "RW ") in flags and ("LOAD", "R E") in flags, parts
    assert not any("W" in flag and "E" in flag for _, flag in flags), parts


@static
@pytest.mark.parametrize("program", PROGRAMS[:3])
def test_a_plugin_answers_version_in_an_empty_root(program, tmp_path):
    shutil.copy(OURS / program, tmp_path)
    done = subprocess.run(
        ["/usr/sbin/chroot", tmp_path, f"/{program}"], input="{}", capture_output=True, text=True,
        env={"CNI_COMMAND": "VERSION"})
    assert done.returncode == 0 and '"1.1.0"' in done.stdout, done


# A root with only the kernel's file systems, /run, and the plugins.
_BARE = """
set -e
root=/run/tmp/root
mkdir $root
mount -t tmpfs tmpfs $root
mkdir $root/proc $root/sys $root/run $root/plugins
for folder in proc sys run; do mount --rbind /$folder $root/$folder; done
cp -L "$1"/humanz-* $root/plugins
"""


@static
def test_a_pod_is_attached_and_detached_where_there_is_nothing_but_the_plugins(node):
    node.add_pod("pod")
    node.run("bash", "-c", _BARE, "bare", PLUGINS)
    network = Network(
        node, isGateway=True, ipMasq=True, logFile="",
        ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]})
    bare = ["env", "CNI_PATH=/plugins", "chroot", "/run/tmp/root", "/plugins/humanz-bridge"]
    result = network.add("pod", under=bare)
    assert address(result) == "10.77.0.2"
    node.run("ping", "-c", "1", "-W", "2", "10.77.0.1", pod="pod")
    network.check("pod", under=bare)
    network.delete("pod", under=bare)
    assert node.leases() == set()
    assert [link["ifname"] for link in node.ip("link", pod="pod")] == ["lo"]


# Memory

# System calls that get or return memory.
_MEMORY = ("mmap", "munmap", "mremap", "brk", "mprotect", "madvise")


@static
@pytest.mark.parametrize("verb", ["ADD", "DEL"])
def test_no_process_of_a_call_asks_the_kernel_for_memory(node, verb, record_property):
    network = Network(
        node, isGateway=True, ipMasq=True,
        ipam={"type": "humanz-ipam", "subnet": "10.77.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]})
    network.add("before")
    node.add_pod("pod")
    if verb == "DEL":
        network.add("pod")
    lines = traced(
        network, verb, "pod", "-e", f"trace=execve,{','.join(_MEMORY)}", delegates=True)
    programs = sum("execve(" in line for line in lines)
    asked = [line for line in lines if re.search(rf"\b({'|'.join(_MEMORY)})\(", line)]
    record_property(verb, f"{len(asked)} requests for memory in {programs} processes")
    assert programs == 2
    assert not asked, "\n".join(lines)


# malloc and its family

# The same linker options as in Package.swift.
_REPLACED = [f"-Wl,--defsym={name}=humanz_{name}" for name in (
    "malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "memalign",
    "malloc_usable_size")]


@static
def test_the_c_functions_for_memory_do_what_c_says(tmp_path):
    """A C program linked with the release build's Memory module and nothing else of ours."""
    machine = platform.machine()
    libraries = ROOT / ".build-static-deps" / {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    objects = list((ROOT / ".build" / f"{machine}-unknown-none-elf" / "release" / "Memory.build").glob("*.o"))
    assert objects
    program = tmp_path / "memory"
    subprocess.run(
        ["gcc", "-O1", "-fno-builtin", "-nostdinc", "-isystem", libraries / "musl", "-nostdlib",
         "-static", "-no-pie", "-o", program,
         *(libraries / "lib" / name for name in ("crt1.o", "crti.o")),
         pathlib.Path(__file__).with_name("memory.c"), *objects, *_REPLACED,
         *(libraries / "lib" / name for name in ("libc.a", "libgcc.a", "crtn.o"))], check=True)
    subprocess.run([program], check=True, timeout=60)
    for way in itertools.count():
        ended = subprocess.run([program, str(way)], capture_output=True, text=True, env={"CNI_COMMAND": "ADD"})
        if ended.returncode == 0:
            break
        assert json.loads(ended.stdout)["code"] == 11, ended
    assert way == 7


# Programs built with STATIC=0

@dynamic
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_dynamic_program_needs_libc_libm_and_libmnl_at_most(program):
    needs = output("readelf", "--wide", "--dynamic", OURS / program)
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", needs)
    assert "libc.so.6" in needed
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libmnl.so.0"}
    # They come from the system's own folders: no other folder is searched.
    assert "RUNPATH" not in needs and "RPATH" not in needs, needs


@dynamic
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_dynamic_program_runs_with_glibc_2_34(program):
    symbols = output("objdump", "-T", OURS / program)
    versions = {tuple(map(int, version.split(".")))
                for version in re.findall(r"GLIBC_([\d.]+)", symbols)}
    assert versions and max(versions) <= (2, 34), symbols
