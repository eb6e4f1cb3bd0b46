# SPDX-License-Identifier: Apache-2.0
"""The tables of keys in the plugins' READMEs: each key that a stage knows is there, with a type that the stage
enforces and an example that it accepts; also the example at the start of each README."""

import json
import re

import pytest

from lab.attachment import reaches
from lab.conflist import Conflist
from lab.isolated_node import ROOT, Node
from lab.plugin_process import attachment, run_plugin
from lab.stage_keys import known, of_every_plugin
from lab.tool import Tool

STAGES = {"bridge": "humanz-bridge", "ipam": "humanz-ipam", "route": "humanz-route"}
# Keys of the conflist or of every plugin: see Documentation/conflist.md.
OF_ALL = {"cniVersion", "cniVersions", "name", "type", "capabilities", "runtimeConfig", "args", "prevResult",
          "disableCheck", "disableGC"}
# The other keys that a stage needs.
BASE = {
    "bridge": {"ipam": {"type": "humanz-ipam", "subnet": "10.77.0.0/24"}},
    "ipam": {"subnet": "10.77.0.0/24"},
    "route": {"network": ["10.77.0.0/16", "198.51.100.0/24", "fd77::/48"]},
}
# Keys of BASE that the tried key excludes.
WITHOUT = {("bridge", "disableContainerInterface"): ["ipam"], ("ipam", "ranges"): ["subnet"]}


def readme(stage):
    return (ROOT / "Sources" / STAGES[stage] / "README.md").read_text()


def rows(stage, head="key"):
    """The rows of a table of keys, by key."""
    table = re.search(
        rf"^\| {head} \| type \| default \| example \| meaning \|\n\|[-|]+\n((?:\|.*\n)+)", readme(stage), re.MULTILINE)[1]
    found = {}
    for line in table.splitlines():
        key, kind, default, example, meaning = (
            cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
        found[key.strip("`")] = (kind, default, re.findall(r"`([^`]+)`", example), meaning)
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_table_has_the_keys_that_the_stage_knows(stage):
    listed = set(rows(stage))
    assert known(stage) <= listed
    # The other rows are keys of every plugin that matter here.
    assert listed - known(stage) <= of_every_plugin() - OF_ALL


def test_the_table_of_a_peer_has_the_keys_that_are_known():
    assert set(rows("route", "key of a peer")) == known("peer")


def answer(node, stage, key, value):
    """The code and the message of an ADD with this value of a key; 0 for a success.

    The pod's namespace does not exist, so error 3 means that the configuration is valid. humanz-ipam runs as a
    delegate where it can, since a delegate needs no namespace.
    """
    base = {name: keys for name, keys in BASE[stage].items() if name not in WITHOUT.get((stage, key), [])}
    whole = {"cniVersion": "1.0.0", "name": "net", "type": STAGES[stage], "logFile": ""}
    if stage == "ipam" and key not in ("isGateway", "forceAddress", "logFile"):
        whole |= {"type": "bridge", "ipam": {"type": "humanz-ipam", **base, key: value}}
    else:
        whole |= {**base, key: value, "prevResult": {
            "cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/nonexistent"}],
            "ips": [{"address": "10.77.0.9/24", "gateway": "10.77.0.1", "interface": 0}]}}
    variables = attachment("ADD", "pod", namespace="/nonexistent")
    done = run_plugin(node, STAGES[stage], variables, whole)
    if done.status == 0:
        run_plugin(node, STAGES[stage], attachment("DEL", "pod"), whole).succeeded()
        return 0, ""
    return done.error["code"], done.error["msg"]


def examples():
    return [pytest.param(stage, key, json.loads(example), id=f"{stage}-{key}-{example}")
            for stage in STAGES for key, (_, _, texts, _) in rows(stage).items() for example in texts]


@pytest.mark.parametrize("stage, key, example", examples())
def test_the_example_of_a_key_is_taken(shared_node, stage, key, example):
    # The file that an example names may be missing.
    missing = {"clusterFile": 11, "resolvConf": 5}.get(key)
    code, message = answer(shared_node, stage, key, example)
    assert code in (0, 3, missing), message


# `logFile` is left out: a log that cannot be written fails no call.
@pytest.mark.parametrize("stage, key", [
    (stage, key) for stage in STAGES for key in rows(stage) if key != "logFile"])
def test_a_value_of_another_type_is_an_error_that_names_the_key(shared_node, stage, key):
    for wrong in (5.5, [[[]]]):
        code, message = answer(shared_node, stage, key, wrong)
        assert code == 7 and key in message, message


def first_example(stage):
    """The JSON at the start of a README."""
    lines = readme(stage).split("\n")
    assert lines[2] == "```json", "a README begins with an example"
    return json.loads("\n".join(lines[3:lines.index("```", 3)]))


@pytest.mark.parametrize("stage", STAGES)
def test_the_readme_begins_with_a_configuration_that_works(stage):
    whole = first_example(stage)
    plugins = whole.pop("plugins", None) or [whole]
    with Node("node") as node:
        node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
        for link in ("uplink", "far"):
            node.run("ip", "link", "set", link, "up")
        node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
        pods = Conflist(node, *plugins, name="pods")
        for pod in ("one", "two"):
            pods.add(pod)
            pods.check(pod)
        assert reaches(node, "one", pods.results["two"]["ips"][0]["address"].split("/")[0])
        assert "10.77.0.2" in Tool(node).leases("pods")
        assert "pods0" in Tool(node).ports()
        if stage == "route":
            assert "192.0.2.20" in node.run("ip", "route", "show", "10.77.1.0/24").stdout
        for pod in ("one", "two"):
            pods.delete(pod)
        assert node.leases() == set()
