# SPDX-License-Identifier: Apache-2.0
"""The completions for bash, zsh and fish offer the commands and options that the help names."""

import os
import pty
import re
import subprocess

import pytest

from lab.isolated_node import OURS, ROOT

FILES = ROOT / "completions"

# Makes zsh print each word that it offers, between two lines with a NUL.
ZSH_SETUP = """
PROMPT=
fpath=(%s $fpath)
autoload -Uz compinit
compinit -D -u
bindkey '^I' complete-word
border () { print -r -- $'\\0' }
compprefuncs=(border)
comppostfuncs=(border exit)
zstyle ':completion:*' insert-tab false
compadd () {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then
    builtin compadd "$@"
    return
  fi
  typeset -a __hits
  builtin compadd -A __hits "$@"
  for hit in $__hits; do print -r -- "$hit"; done
}
print ready
"""


def in_bash(line, environment):
    words = line.split(" ")
    script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _humanz; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run(
        ["bash", "--norc", "-c", script, FILES / "humanz.bash", *words], env=environment,
        capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def in_fish(line, environment):
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {FILES}/humanz.fish; complete -C '{line}'"],
        env=environment, capture_output=True, text=True, check=True, timeout=60)
    return [word.split("\t")[0] for word in done.stdout.splitlines()]


def in_zsh(line, environment, folder):
    setup = folder / "setup.zsh"
    setup.write_text(ZSH_SETUP % FILES)
    main, end = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=end, stdout=end, stderr=end, start_new_session=True,
        env={**environment, "TERM": "dumb", "ZDOTDIR": str(folder)})
    os.close(end)
    said = b""

    def read_until(mark):
        nonlocal said
        while mark not in said:
            said += os.read(main, 65536)

    try:
        os.write(main, f"source {setup}\n".encode())
        read_until(b"ready\r\n")
        said = b""
        os.write(main, f"{line}\t".encode())
        while said.count(b"\0") < 2:
            said += os.read(main, 65536)
    finally:
        process.kill()
        process.wait()
        os.close(main)
    return said.split(b"\0")[1].decode().split()


@pytest.fixture(params=["bash", "fish", "zsh"])
def offered(request, tmp_path):
    """The words that a shell offers for a command line with the cursor at its end."""
    environment = {**os.environ, "PATH": f"{OURS}:{os.environ['PATH']}", "HOME": str(tmp_path),
                   "CNI_CONF_DIR": str(tmp_path)}

    def offered(line):
        if request.param == "bash":
            return in_bash(line, environment)
        if request.param == "fish":
            return in_fish(line, environment)
        return in_zsh(line, environment, tmp_path)

    return offered


def help_text(*words):
    return subprocess.run([OURS / "humanz", *words, "--help"], capture_output=True, text=True,
                          check=True).stdout


COMMANDS = re.findall(r"^  ([a-z]+)  ", help_text(), re.MULTILINE)


def test_the_commands_are_those_of_the_help(offered):
    assert set(offered("humanz ")) == {*COMMANDS, "help"}
    assert set(offered("humanz r")) == {name for name in COMMANDS if name[0] == "r"}
    assert set(offered("humanz help ")) >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_are_those_of_the_help(offered, command):
    options = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", help_text(command), re.MULTILINE))
    assert set(offered(f"humanz {command} --")) == options


def test_the_tools_own_options_are_those_of_the_help(offered):
    assert set(offered("humanz --")) == {"--help", "--version", "--json", "--wide"}


def test_the_verbs_of_run_are_offered(offered):
    assert set(offered("humanz run ")) >= {"add", "check", "del", "gc", "status", "version"}


def test_networks_are_offered_by_name(offered, tmp_path):
    (tmp_path / "10-net.conflist").write_text(
        '{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "humanz-ipam",'
        f'"subnet": "10.1.0.0/24", "dataDir": "{tmp_path}/leases"}}]}}')
    (tmp_path / "leases" / "pods").mkdir(parents=True)
    (tmp_path / "leases" / "pods" / "10.1.0.2").write_text("pod\r\neth0", newline="")
    assert offered("humanz leases ") == ["pods"]
    assert offered("humanz release po") == ["pods"]
