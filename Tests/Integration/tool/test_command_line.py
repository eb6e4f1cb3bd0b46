# SPDX-License-Identifier: Apache-2.0
"""What all commands share: help, version, options, exit status, and safe output on a terminal."""

import json
import re

import pytest

from lab.attachment import Network
from lab.lease_store import STORE
from lab.tool import WRONG_USAGE, Tool

COMMANDS = ["ports", "leases", "release", "routes", "sync", "lint", "convert", "metrics", "install", "uninstall",
            "run"]


@pytest.fixture
def tool(node):
    return Tool(node)


def test_the_help_names_every_command(tool):
    for words in ["--help"], ["-h"], ["help"], ["help", "help"], ["help", "--help"], ["help", "-h"]:
        done = tool.call(*words)
        assert done.stdout.startswith("usage: humanz ") and not done.stderr
        assert re.findall(r"^  ([a-z]+)  ", done.stdout, re.MULTILINE) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_own_help(tool, name):
    helps = [tool.call(*words) for words in ([name, "--help"], [name, "-h"], ["help", name],
                                             [name, "any", "--nonsense", "-h"])]
    assert len({done.stdout for done in helps}) == 1
    assert helps[0].stdout.startswith(f"usage: humanz {name}") and "-h, --help" in helps[0].stdout
    assert max(map(len, helps[0].stdout.splitlines())) <= 120


def test_the_version_is_the_suites(tool):
    said = tool.call("--version").stdout
    assert re.fullmatch(r"humanz \d+\.\d+\.\d+\n", said)
    assert tool.node.run("/run/cni/bin/humanz-bridge", "--version").stdout.split()[1] == said.split()[1]


@pytest.mark.parametrize("words, said", [
    (["prots"], "did you mean \"ports\""), (["nonsense"], "there is no command \"nonsense\""),
    (["help", "leasess"], "did you mean \"leases\""), (["--nonsense"], "there is no option --nonsense"),
    (["leases", "--jsn"], "did you mean \"--json\""), (["leases", "--json=yes"], "takes no value"),
    (["leases", "--data-dir"], "the value is missing"), (["leases", "--data-dir="], "the value is missing"),
    (["leases", "--data-dir", "run"], "an absolute path"), (["ports", "more"], "\"more\" is one operand too many"),
    (["release", "net"], "an operand is missing"), (["-"], "operand"), (["leases", "a", "--", "--json"], "--json"),
    (["help", "ports", "x"], "\"x\" is one operand too many"), (["ports", "--", "-h"], "\"-h\" is one operand too many"),
    (["run", "add", "--args", "-h"], "an operand is missing"), (["leases", "a/b"], "NETWORK is \"a/b\", expected an alphanumeric"),
])
def test_wrong_usage_is_status_2_and_says_what_is_right(tool, words, said):
    done = tool.call(*words, check=False)
    assert done.returncode == WRONG_USAGE and not done.stdout
    first, *rest = done.stderr.splitlines()
    assert first.startswith("humanz: ") and said in first
    assert rest[0].startswith("usage: humanz") and rest[-1].endswith("--help` says more")


@pytest.mark.parametrize("name", ["CNI_CONF_DIR", "CNI_RUN_CACHE"])
def test_a_variable_with_a_relative_folder_is_wrong_usage(tool, name):
    for words in [], ["leases"], ["lint"], ["run", "version", "/run/list"]:
        done = tool.call(*words, env={name: "folder"}, check=False)
        assert done.returncode == WRONG_USAGE and not done.stdout
        assert done.stderr.splitlines()[0] == f"humanz: {name} is \"folder\", expected an absolute path"


def test_options_stand_anywhere_and_take_their_value_either_way(node, tool):
    Network(node, ipam={"type": "humanz-ipam", "subnet": "10.1.0.0/24", "dataDir": "/run/x"}).add("pod")
    answers = [tool.call(*words).stdout for words in (
        ["leases", "--json", "--data-dir", "/run/x", "net"], ["leases", "net", "--data-dir=/run/x", "--json"],
        ["leases", "--json", "--data-dir", "/run/none", "--data-dir", "/run/x", "--", "net"])]
    assert len(set(answers)) == 1 and "10.1.0.2" in answers[0]


def test_output_that_cannot_be_written_is_an_error(node, tool):
    for words in ["--help"], ["--version"], ["ports"], ["leases", "--json"]:
        done = node.run("sh", "-c", f"/run/cni/bin/humanz {' '.join(words)} >/dev/full", check=False)
        assert done.returncode == 1 and "No space left" in done.stderr


# Escape sequences that clear a screen, from C0 and C1, and characters that change the direction of text.
HOSTILE = "\x1b[2Jred\x07\x7f\x9b2J\u202egnp\u2066\u200f\u2028x"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def test_no_escape_sequence_reaches_a_terminal(node, tool):
    network = Network(node, ipam={"type": "humanz-ipam", "subnet": "10.1.0.0/24"})
    network.add("pod")
    store = node.path(STORE) / "net"
    record = store / "attachments" / "pod:eth0"
    record.write_text(json.dumps({**json.loads(record.read_text()), "time": HOSTILE, "bootID": "past",
                                  "netns": HOSTILE}))
    (store / "10.1.0.9").write_text(HOSTILE)
    node.path("/run/cni/net.d/10-a.conflist").write_text(json.dumps({
        "cniVersion": "1.0.0", "name": "net", "plugins": [{
            "type": "humanz-route", "network": "10.0.0.0/8",
            "peers": [{"name": HOSTILE, "subnet": "10.2.0.0/24", "via": "192.0.2.1"}]}]}))
    node.path("/run/cni/net.d/20-b.conflist").write_text(json.dumps({"name": HOSTILE, "plugins": []}))
    printed = {}
    for words in (["leases", "--wide"], ["ports"], ["routes", "--wide"], [], ["leases", "--json"],
                  ["routes", "--json"], ["release", "net", "10.1.0.9"], ["leases", HOSTILE],
                  ["leases", "--conflist", f"/run/{HOSTILE}"], [HOSTILE], ["ports", f"--{HOSTILE}"]):
        done = tool.call(*words, check=False)
        printed[" ".join(words)] = done.stdout
        assert not CONTROLS.search(done.stdout + done.stderr), words
    assert "red" in printed["leases --wide"] and "red" in printed["release net 10.1.0.9"]
    # In JSON a program reads the text unchanged.
    [lease] = [one for one in json.loads(printed["leases --json"])["leases"] if one["address"] == "10.1.0.2"]
    assert lease["since"] == HOSTILE
    assert any(HOSTILE in row.get("for", "") for row in json.loads(printed["routes --json"])["routes"])
