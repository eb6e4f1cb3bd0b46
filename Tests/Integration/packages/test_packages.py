# SPDX-License-Identifier: Apache-2.0
"""The packages: installed, upgraded and removed in a clean Debian, with pods on the installed chain."""

import hashlib
import json
import os
import pathlib
import re
import subprocess

import pytest

from lab.clean_root import Machine, package
from lab.isolated_node import OURS, ROOT
from package.test_dist import variable

PROGRAMS = ["humanz-bridge", "humanz-ipam", "humanz-route"]
EXAMPLE = "10-humanz.conflist"


class Deb:
    """The Debian package: installed, upgraded to a later version of the same programs, and removed."""

    plugins = "/usr/lib/cni"
    pattern = "humanz_*_amd64.deb"
    units = "/lib/systemd/system"
    install = "dpkg -i ./dist/{0}"
    upgrade = "dpkg -i ./dist/{0}"
    remove = "dpkg --purge humanz"
    listed = "dpkg -L humanz"

    @staticmethod
    def newer(old, folder):
        """The same package with a higher version, as the next release has."""
        subprocess.run(["dpkg-deb", "-R", old, folder / "tree"], check=True)
        control = folder / "tree/DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*$", "Version: 9.0-1", control.read_text(), flags=re.MULTILINE))
        new = folder / "humanz_9.0-1_amd64.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder / "tree", new], check=True,
                       capture_output=True)
        return new


class RPM:
    """The RPM package, on a Debian machine, whose own packages rpm does not know."""

    plugins = "/usr/libexec/cni"
    pattern = "humanz-*.x86_64.rpm"
    units = "/usr/lib/systemd/system"
    install = "rpm --nodeps -i ./dist/{0}"
    # The same version again: rpm runs the same scripts as in an upgrade.
    upgrade = "rpm --nodeps -U --force ./dist/{0}"
    remove = "rpm --nodeps -e humanz"
    listed = "rpm -ql humanz"

    @staticmethod
    def newer(old, folder):
        return old


@pytest.fixture(params=[Deb, RPM], ids=["deb", "rpm"], scope="module")
def kind(request):
    return request.param


@pytest.fixture
def machine(kind):
    with Machine("machine", package(kind.pattern)) as machine:
        # The segment of the example's nodes.
        machine.checked_shell("ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up"
                     " && ip address add 200.0.0.10/24 dev eth0")
        yield machine


def files(machine):
    """All files on disk, without the package database, logs and caches."""
    found = machine.checked_shell(
        "find / -xdev -not -type d -not -path '/var/lib/dpkg/*' -not -path '/var/lib/rpm/*' -not -path '/root/*'"
        " -not -path '/var/cache/*' -not -path '/var/log/*'")
    return set(found.splitlines())


def configure(machine):
    machine.checked_shell("mkdir -p /etc/cni/net.d && cp /usr/share/doc/humanz/examples/"
                 f"{EXAMPLE} /etc/cni/net.d/")


def run(kind, machine, verb, pod):
    return machine.checked_shell(f"humanz run {verb} /etc/cni/net.d/{EXAMPLE} {pod}")


def add_pod(kind, machine, pod):
    machine.checked_shell(f"ip netns add {pod}")
    return json.loads(run(kind, machine, "add", pod))["ips"][0]["address"].split("/")[0]


def test_the_chain_runs_from_the_package_through_an_upgrade_and_nothing_is_left(kind, machine, tmp_path):
    before = files(machine)
    name = package(kind.pattern).name
    machine.checked_shell(kind.install.format(name))

    # The plugins are where the distribution's runtimes look, and `humanz` is in the PATH.
    for program in PROGRAMS:
        installed = machine.path(f"{kind.plugins}/{program}")
        assert hashlib.sha256(installed.read_bytes()).digest() == hashlib.sha256(
            (OURS / program).read_bytes()).digest()
        assert installed.stat().st_mode & 0o7777 == 0o755
    assert machine.checked_shell("command -v humanz") == "/usr/bin/humanz\n"
    # Runtimes do not load the examples.
    assert not list(machine.path("/etc/cni/net.d").glob("*humanz*"))
    for unit in (ROOT / "systemd").glob("*.service"):
        text = machine.path(f"{kind.units}/{unit.name}").read_text()
        assert "/usr/bin/humanz sync" in text and "/usr/local" not in text
    assert machine.checked_shell("logrotate --debug /etc/logrotate.d/humanz 2>&1").count("error:") == 0

    configure(machine)
    one, two = (add_pod(kind, machine, pod) for pod in ("one", "two"))
    machine.checked_shell(f"ip netns exec one ping -c 1 -W 2 {two}")

    # The pods survive an upgrade, and the new programs delete them.
    newer = kind.newer(package(kind.pattern), tmp_path)
    (machine.path("/root/dist") / newer.name).write_bytes(pathlib.Path(newer).read_bytes())
    machine.checked_shell(kind.upgrade.format(newer.name))
    machine.checked_shell(f"ip netns exec two ping -c 1 -W 2 {one}")
    run(kind, machine, "check", "one")
    three = add_pod(kind, machine, "three")
    machine.checked_shell(f"ip netns exec three ping -c 1 -W 2 {one}")
    for pod in ("one", "two", "three"):
        run(kind, machine, "del", pod)
        machine.checked_shell(f"ip netns del {pod}")
    assert machine.leases() == set()

    machine.checked_shell(f"rm -f /etc/cni/net.d/{EXAMPLE} && {kind.remove}")
    assert files(machine) == before


def test_the_manual_and_the_completions_are_where_programs_look(kind, machine):
    machine.checked_shell(kind.install.format(package(kind.pattern).name))
    for page in ("humanz.8", *(f"{program}.8" for program in PROGRAMS), "humanz-conflist.5"):
        name, section = page.rsplit(".", 1)
        assert machine.checked_shell(f"man --warnings {section} {name} 2>&1 >/dev/null") == ""
        assert "SEE ALSO" in machine.checked_shell(f"man {section} {name}")
    listed = machine.checked_shell(kind.listed).splitlines()
    assert "/usr/share/bash-completion/completions/humanz" in listed
    zsh = {"Deb": "vendor-completions", "RPM": "site-functions"}[kind.__name__]
    assert f"/usr/share/zsh/{zsh}/_humanz" in listed
    assert "/usr/share/fish/vendor_completions.d/humanz.fish" in listed


def test_the_log_is_rotated_and_the_next_call_writes_a_new_one(kind, machine):
    machine.checked_shell(kind.install.format(package(kind.pattern).name))
    configure(machine)
    add_pod(kind, machine, "one")
    assert machine.path("/var/log/humanz_cni.log").read_text().count(" ADD ") == 3
    machine.checked_shell("logrotate --force /etc/logrotate.d/humanz")
    run(kind, machine, "del", "one")
    assert machine.checked_shell("zcat -f /var/log/humanz_cni.log.1*").count(" ADD ") == 3
    log = machine.path("/var/log/humanz_cni.log")
    assert log.read_text().count(" DEL ") == 3
    assert log.stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("script, pattern", [("deb", Deb.pattern), ("rpm", RPM.pattern)])
def test_the_same_programs_give_the_same_package(tmp_path, script, pattern):
    for folder, zone in (("one", "UTC"), ("two", "Asia/Tokyo")):
        environment = {name: variable(name) for name in ("VERSION", "SOURCE_DATE_EPOCH")}
        subprocess.run(
            [ROOT / "Scripts" / script, "amd64"], check=True, capture_output=True,
            env={**os.environ, **environment, "DIST_DIR": str(tmp_path / folder), "TZ": zone})
    one, two = (next((tmp_path / folder).glob(pattern)).read_bytes() for folder in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("pattern, machine_word", [
    ("humanz_*_arm64.deb", "AArch64"), ("humanz_*_amd64.deb", "X86-64")])
def test_a_debian_package_has_the_programs_of_its_architecture(tmp_path, pattern, machine_word):
    subprocess.run(["dpkg-deb", "-x", package(pattern), tmp_path], check=True)
    for program in (*(f"usr/lib/cni/{name}" for name in PROGRAMS), "usr/bin/humanz"):
        header = subprocess.run(
            ["readelf", "-h", tmp_path / program], capture_output=True, text=True, check=True).stdout
        assert machine_word in header


def test_the_rpm_for_arm64_has_programs_of_its_architecture(tmp_path):
    unpacked = subprocess.run(["rpm2cpio", package("humanz-*.aarch64.rpm")], capture_output=True, check=True)
    subprocess.run(["busybox", "cpio", "-id"], input=unpacked.stdout, cwd=tmp_path, check=True, capture_output=True)
    for program in (*(f"usr/libexec/cni/{name}" for name in PROGRAMS), "usr/bin/humanz"):
        header = subprocess.run(
            ["readelf", "-h", tmp_path / program], capture_output=True, text=True, check=True).stdout
        assert "AArch64" in header
