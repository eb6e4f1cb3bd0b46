# SPDX-License-Identifier: Apache-2.0
"""The output of `make dist`, `make help` and `make man`, and the version, which is in one place."""

import hashlib
import json
import os
import re
import subprocess
import tarfile

import pytest

from lab.commands import Document
from lab.isolated_node import OURS, ROOT

PROGRAMS = ["humanz", "humanz-bridge", "humanz-ipam", "humanz-route"]
ARCHITECTURE = subprocess.run(
    ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()

needs_static = pytest.mark.skipif(
    os.environ.get("STATIC") == "0" or os.environ.get("HUMANZ_EMBEDDED") == "0",
    reason="needs the static programs")


def make(*words, **environment):
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=ROOT, capture_output=True, text=True,
        check=True, env={**os.environ, **environment}).stdout


def variable(name):
    """The value of a Makefile variable."""
    return make("-s", "--eval", f"show: ; @echo $({name})", "show").strip()


def version():
    return variable("VERSION")


def dist(target, umask=0o022, **environment):
    subprocess.run(
        [ROOT / "Scripts/dist", ARCHITECTURE], check=True, capture_output=True, cwd="/", umask=umask,
        env={**os.environ, "VERSION": version(), "SOURCE_DATE_EPOCH": variable("SOURCE_DATE_EPOCH"),
             "DIST_DIR": str(target), **environment})
    return {path.name: path.read_bytes() for path in target.iterdir()}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The folder that `make dist` fills, for this machine's architecture."""
    folder = tmp_path_factory.mktemp("dist")
    dist(folder)
    return folder


# The version

def test_the_programs_the_changelog_and_the_archive_have_one_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", version())
    for program in PROGRAMS:
        said = subprocess.run(
            [OURS / program, "--version"], capture_output=True, text=True, check=True).stdout
        assert said == f"{program} {version()}\n"
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == version()


# The archive

@needs_static
def test_the_same_programs_give_the_same_archive(packed, tmp_path):
    # With another folder, time zone, language, umask and time.
    again = dist(tmp_path, umask=0o077, TZ="Asia/Tokyo", LC_ALL="C", HOME="/nonexistent")
    assert again == {path.name: path.read_bytes() for path in packed.iterdir()}
    assert len(again) == 3


@needs_static
def test_the_archive_has_the_programs_at_its_top(packed, tmp_path):
    with tarfile.open(packed / f"humanz-linux-{ARCHITECTURE}-{version()}.tgz") as tar:
        assert {member.name.removeprefix("./") for member in tar} == {
            ".", *PROGRAMS, "LICENSE", "NOTICE", "LICENSE.libmnl", "examples",
            *(f"examples/{path.name}" for path in (ROOT / "conflists").glob("*.conflist"))}
        assert all((member.uid, member.gid) == (0, 0) for member in tar)
        tar.extractall(tmp_path)
    for program in PROGRAMS:
        assert (tmp_path / program).read_bytes() == (OURS / program).read_bytes()
        assert (tmp_path / program).stat().st_mode & 0o777 == 0o755


@needs_static
def test_the_checksums_are_those_of_the_files(packed):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 2


@needs_static
def test_the_list_of_software_names_what_is_linked_with_its_version(packed):
    document = json.loads((packed / f"humanz-{version()}.spdx.json").read_text())
    assert document["spdxVersion"] == "SPDX-2.3"
    packages = {one["SPDXID"]: one for one in document["packages"]}
    linked = {packages[one["relatedSpdxElement"]]["name"] for one in document["relationships"]
              if one["relationshipType"] == "STATIC_LINK"}
    assert linked == {"musl", "libmnl", "libgcc", "swift-stdlib"}
    assert all(re.match(r"\d", one["versionInfo"]) for one in packages.values())
    files = {one["fileName"]: one["checksums"] for one in document["files"]}
    for program in PROGRAMS:
        digest = hashlib.sha256((OURS / program).read_bytes()).hexdigest()
        assert {"algorithm": "SHA256", "checksumValue": digest} in files[f"./{ARCHITECTURE}/{program}"]
    names = set(packages) | {one["SPDXID"] for one in document["files"]} | {"SPDXRef-DOCUMENT"}
    for one in document["relationships"]:
        assert {one["spdxElementId"], one["relatedSpdxElement"]} <= names


def test_what_is_linked_is_in_the_notice():
    notice = (ROOT / "NOTICE").read_text()
    for name in ("musl", "libmnl", "libgcc", "Swift standard library"):
        assert f"- {name}" in notice or f"- the {name}" in notice
    for text in re.findall(r"LICENSES/[\w.-]+\.txt", notice):
        assert (ROOT / text).stat().st_size > 1000


# The Makefile

def test_help_names_every_command():
    said = make("help")
    commands = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    for command in commands.replace("\\\n", " ").split():
        if not command.startswith("needs-") and not command.endswith("-short"):
            assert re.search(rf"^  make {command}\b", said, re.MULTILINE), command


@pytest.mark.parametrize("command", ["help", "clean", "man", "install-files"])
def test_a_command_that_uses_no_package_installs_none(command):
    assert "install-missing" not in make("-n", command)


def test_each_command_installs_what_is_its_own():
    assert "qemu" not in variable("NEEDS_TEST")
    for needs in ("DEMO", "DEB", "RPM", "LINT", "MODEL", "BENCH"):
        planned = variable(f"NEEDS_{needs}").split()
        assert planned and not {"podman", "containerd", "frr", "bird2"} & set(planned)


# The manual

def test_the_manual_pages_are_clean(tmp_path):
    subprocess.run([ROOT / "Scripts/manual", tmp_path], check=True)
    pages = sorted(tmp_path.iterdir())
    assert [page.name for page in pages] == [
        "humanz-bridge.8", "humanz-conflist.5", "humanz-ipam.8", "humanz-route.8", "humanz.8"]
    for page in pages:
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], capture_output=True,
            text=True, env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
        assert (done.returncode, done.stderr) == (0, ""), page.name
        shown = subprocess.run(
            ["man", "-l", page], capture_output=True, text=True, check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}).stdout
        name = page.name.partition(".")[0]
        assert re.search(rf"^NAME\n +{name} - \w", shown, re.MULTILINE)
        assert "**" not in shown and "](" not in shown and "|---" not in shown
        # The list has what the page says of a key beside the key.
        assert "logFile" in shown or name == "humanz"


@pytest.mark.parametrize("script", ["commands", "messages"])
def test_a_page_that_comes_from_the_programs_is_as_they_are(script):
    done = subprocess.run(
        [ROOT / "Scripts" / script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_code_of_an_error_is_explained():
    text = (ROOT / "Documentation/errors.md").read_text()
    explained = re.search(r"## Codes\n(.*?)\n## ", text, re.DOTALL)[1]
    in_sources = set()
    for path in (ROOT / "Sources").rglob("*.swift"):
        in_sources |= set(re.findall(
            r"static let \w+ = (?:CNIError\.)?Code\((?:rawValue: )?(\d+)\)", path.read_text()))
    assert set(re.findall(r"^\| (\d+) \|", explained, re.MULTILINE)) == in_sources


# What deploy/README.md has a person type for nodes without a package

def test_what_is_installed_for_nodes_without_a_package_is_all_that_they_need(tmp_path):
    block, = Document(ROOT / "deploy/README.md").story("install")
    # A folder of the test's own in place of /tmp. What `make build` makes is there already.
    lines = [command.replace("/tmp/", f"{tmp_path}/").replace("make ", "make -o build ")
             for command, _ in block.commands()]
    done = subprocess.run(
        ["bash", "-ec", "\n".join([*lines, f"tar -tf {tmp_path}/humanz.tar >&2"])], cwd=ROOT,
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = done.stderr.splitlines()
    for name in (*(f"opt/cni/bin/{program}" for program in PROGRAMS[1:]), "usr/local/bin/humanz",
                 "etc/cni/net.d/20-humanz-kubernetes.conflist.example", "lib/systemd/system/humanz-sync.service"):
        assert f"./{name}" in names
