# SPDX-License-Identifier: Apache-2.0
"""What `make` does if packages are missing, or with another compiler version."""

import os
import subprocess

import pytest

from lab.isolated_node import ROOT

# The script may write a file to /usr/sbin, so a tmpfs hides the real one.
_APART = "mount -t tmpfs tmpfs /usr/sbin && exec \"$@\""


@pytest.fixture
def run(tmp_path):
    """Runs a script of the tree with these programs in PATH, and without apt and dpkg."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("bash", "dirname", "chmod", "rm", "sed", "head", "cat"):
        (folder / program).symlink_to(f"/bin/{program}")

    def run(script, *arguments, **programs):
        for name, text in programs.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/bash\n{text}\n")
            path.chmod(0o755)
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", _APART, "sh", "env", f"PATH={folder}",
             str(ROOT / "Scripts" / script), *arguments],
            capture_output=True, text=True, env={**os.environ, "LOG": str(tmp_path / "log")})

    run.log = lambda: (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
    return run


DPKG = 'case "${@: -1}" in here*) echo -n installed ;; *) exit 1 ;; esac'
APT = 'echo "$@" >>"$LOG"'


def test_nothing_is_installed_where_nothing_is_missing(run):
    done = run("install-missing", "here1", "here2", dpkg_query=DPKG, apt_get=APT)
    assert (done.returncode, done.stdout, done.stderr, run.log()) == (0, "", "", "")


def test_only_what_is_missing_is_installed(run):
    done = run("install-missing", "here", "gone", "lost", dpkg_query=DPKG, apt_get=APT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "installing: gone lost\n"
    update, install = run.log().splitlines()
    assert update.startswith("update")
    assert install.endswith(" gone lost") and "here" not in install


def test_without_apt_what_is_needed_is_said_and_the_build_goes_on(run):
    done = run("install-missing", "libmnl-dev", "pkg-config")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no apt-get here: needed, by Debian's names: libmnl-dev pkg-config\n"
    assert run("install-missing").stderr == ""


TESTED = (ROOT / ".swift-version").read_text().strip()


def test_the_tested_compiler_is_silent(run):
    done = run("check-compiler", swift=f"echo 'Swift version {TESTED} (swift-{TESTED}-RELEASE)'")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("version", ["6.3", "6.3.10", "6.4", "5.10.1"])
def test_another_compiler_is_named(run, version):
    done = run("check-compiler", swift=f"echo 'Swift version {version} (swift-{version}-RELEASE)'")
    assert done.returncode == 0
    assert done.stderr.startswith(
        f"warning: this is Swift {version}, and the suite is tested with Swift {TESTED}")


def test_without_a_compiler_the_build_ends_at_once(run):
    done = run("check-compiler")
    assert done.returncode == 1
    assert "there is no Swift compiler in PATH" in done.stderr


def test_this_compiler_is_the_one_that_the_tree_names():
    version = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
    assert f"Swift version {TESTED} " in version
