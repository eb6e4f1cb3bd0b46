# SPDX-License-Identifier: Apache-2.0
"""The command that runs a conflist behaves like libcni, as seen by plugins that record their calls."""

import json

import pytest

from lab.tool import WRONG_USAGE, Tool

CACHE = "/run/humanz/results"

# Records its environment and stdin in a numbered file, and prints prevResult with its own name added.
RECORDER = """#!/usr/bin/python3
import json, os, pathlib, sys
stdin = sys.stdin.read()
folder = pathlib.Path("/run/calls")
folder.mkdir(exist_ok=True)
name = pathlib.Path(sys.argv[0]).name
verb = os.environ["CNI_COMMAND"]
(folder / f"{len(list(folder.iterdir())):03}").write_text(json.dumps({
    "plugin": name, "verb": verb, "stdin": json.loads(stdin or "{}"), "text": stdin,
    "environment": {key: value for key, value in os.environ.items() if key.startswith("CNI_")}}))
configuration = json.loads(stdin or "{}")
if verb in configuration.get("fails", []):
    print(json.dumps({"cniVersion": "1.0.0", "code": 77, "msg": f"{name} refuses {verb}"}))
    sys.exit(1)
if verb == "ADD":
    result = configuration.get("prevResult", {"cniVersion": configuration["cniVersion"], "seen": []})
    result["seen"].append(name)
    print(json.dumps(result))
if verb == "VERSION":
    print(json.dumps({"cniVersion": configuration["cniVersion"], "supportedVersions": ["1.1.0"]}))
"""

NAMES = ["first", "second", "third"]


class Runtime:
    """A node with plugins that record their calls, and `humanz run` on it."""

    def __init__(self, node):
        self.node = node
        for name in NAMES:
            program = node.path(f"/run/cni/bin/{name}")
            program.write_text(RECORDER)
            program.chmod(0o755)

    def write(self, *plugins, **keys):
        plugins = [{"type": name} | dict(more) for name, more in zip(NAMES, plugins or [{}] * 3)]
        text = json.dumps({"cniVersion": "1.1.0", "name": "net", "plugins": plugins} | keys)
        self.node.path("/run/list").write_text(text)

    def run(self, verb, *words, conflist="/run/list", environment=None):
        return Tool(self.node).run(verb, conflist, *words, environment=environment)

    def calls(self):
        """The calls that the plugins have recorded since this was last called."""
        folder = self.node.path("/run/calls")
        calls = []
        for path in sorted(folder.glob("*")):
            calls.append(json.loads(path.read_text()))
        for path in folder.glob("*"):
            path.unlink()
        return calls

    def cached(self):
        return sorted(path.name for path in self.node.path(CACHE).glob("*"))


@pytest.fixture
def runtime(node):
    return Runtime(node)


def order(calls):
    return [(call["plugin"], call["verb"]) for call in calls]


def test_add_is_in_order_and_each_is_given_the_result_of_the_one_before(runtime):
    runtime.write()
    done = runtime.run("add", "pod")
    assert done.returncode == 0 and json.loads(done.stdout)["seen"] == NAMES
    calls = runtime.calls()
    assert order(calls) == [(name, "ADD") for name in NAMES]
    assert "prevResult" not in calls[0]["stdin"]
    for number in (1, 2):
        assert calls[number]["stdin"]["prevResult"]["seen"] == NAMES[:number]
    for call in calls:
        assert call["stdin"]["name"] == "net" and call["stdin"]["cniVersion"] == "1.1.0"
        assert call["stdin"]["type"] == call["plugin"]
        assert call["environment"] == {
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "pod", "CNI_NETNS": "/run/netns/pod",
            "CNI_IFNAME": "eth0", "CNI_PATH": "/run/cni/bin", "CNI_ARGS": ""}


def test_options_reach_the_plugins(runtime):
    runtime.write()
    runtime.run("add", "/some/where", "--ifname", "net1", "--container-id", "id",
                "--args", "A=1;B=2", environment={"CNI_PATH": "/run/none:/run/cni/bin"})
    assert runtime.calls()[2]["environment"] == {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "id", "CNI_NETNS": "/some/where",
        "CNI_IFNAME": "net1", "CNI_PATH": "/run/none:/run/cni/bin", "CNI_ARGS": "A=1;B=2"}


def test_numbers_order_and_unknown_keys_of_a_plugin_come_through_as_written(runtime):
    runtime.node.path("/run/list").write_text(
        '{"cniVersion":"1.0.0","name":"net","plugins":[{"z":1.50,"type":"first","a":[1e2,{}],"é":0}]}')
    runtime.run("add", "pod")
    text = runtime.calls()[0]["text"]
    assert '"z":1.50,"type":"first","a":[1e2,{}],"é":0' in text


@pytest.mark.parametrize("verb", ["check", "del"])
def test_a_kept_result_is_handed_on_in_the_version_that_the_file_has_now(runtime, verb):
    runtime.write(cniVersion="0.4.0")
    runtime.run("add", "pod")
    runtime.calls()
    runtime.write(cniVersion="1.0.0")
    assert runtime.run(verb, "pod").returncode == 0
    results = [call["stdin"]["prevResult"] for call in runtime.calls()]
    assert [(result["cniVersion"], result["seen"]) for result in results] == [("1.0.0", NAMES)] * 3


def test_del_is_in_reverse_with_the_kept_result_and_forgets_it(runtime):
    runtime.write()
    runtime.run("add", "pod")
    assert runtime.cached() == ["net:pod:eth0"]
    runtime.calls()
    for _ in range(2):
        done = runtime.run("del", "pod")
        assert (done.returncode, done.stdout) == (0, "")
    calls = runtime.calls()
    assert order(calls) == [(name, "DEL") for name in NAMES[::-1]] * 2
    assert all(call["stdin"]["prevResult"]["seen"] == NAMES for call in calls[:3])
    assert all("prevResult" not in call["stdin"] for call in calls[3:])
    assert runtime.cached() == []


def test_del_of_a_namespace_that_is_gone(runtime):
    runtime.write()
    runtime.run("add", "pod")
    runtime.calls()
    assert runtime.run("del", "-", "--container-id", "pod").returncode == 0
    assert all(call["environment"]["CNI_NETNS"] == "" for call in runtime.calls())


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_older_versions_have_no_check_gc_or_status(runtime, version):
    runtime.write(cniVersion=version)
    runtime.run("add", "pod")
    runtime.calls()
    has_check = version >= "0.4.0"
    assert (runtime.run("check", "pod").returncode == 0) == has_check
    calls = runtime.calls()
    assert order(calls) == ([(name, "CHECK") for name in NAMES] if has_check else [])
    assert all(call["stdin"]["prevResult"]["seen"] == NAMES for call in calls)
    runtime.run("del", "pod")
    assert all(("prevResult" in call["stdin"]) == has_check for call in runtime.calls())
    for verb in ("gc", "status"):
        assert (runtime.run(verb).returncode == 0) == (version == "1.1.0")


@pytest.mark.parametrize("offered, chosen", [
    (["0.4.0", "1.0.0", "1.1.0"], "1.1.0"), (["1.0.0", "0.4.0"], "1.0.0"),
    (["1.0.0", "9.0.0"], "1.0.0"), (["9.0.0"], "0.3.1"), ([], "0.3.1"),
])
def test_the_newest_version_that_both_speak_is_chosen(runtime, offered, chosen):
    runtime.write(cniVersion="0.3.1", cniVersions=offered)
    runtime.run("add", "pod")
    assert {call["stdin"]["cniVersion"] for call in runtime.calls()} == {chosen}


def test_capabilities_reach_those_that_declare_them(runtime):
    runtime.write({"capabilities": {"mac": True}}, {"capabilities": {"mac": False, "ips": True}}, {})
    offer = {"mac": "02:00:00:00:00:01", "ips": ["10.0.0.1"], "portMappings": []}
    runtime.run("add", "pod", "--capability-args", json.dumps(offer))
    configurations = [call["stdin"] for call in runtime.calls()]
    assert configurations[0]["runtimeConfig"] == {"mac": offer["mac"]}
    assert configurations[1]["runtimeConfig"] == {"ips": offer["ips"]}
    assert "runtimeConfig" not in configurations[2]
    assert all("capabilities" not in configuration for configuration in configurations)


def test_an_error_is_the_plugins_own_and_ends_an_add(runtime):
    runtime.write({}, {"fails": ["ADD"]}, {})
    done = runtime.run("add", "pod")
    assert done.returncode == 1
    error = json.loads(done.stdout)
    assert error["code"] == 77 and "second refuses ADD" in error["msg"] and '"second"' in error["msg"]
    assert order(runtime.calls()) == [("first", "ADD"), ("second", "ADD")]
    assert runtime.cached() == []


def test_a_del_that_fails_ends_there_and_keeps_the_result(runtime):
    runtime.write()
    runtime.run("add", "pod")
    runtime.calls()
    runtime.write({}, {"fails": ["DEL"]}, {})
    assert json.loads(runtime.run("del", "pod").stdout)["code"] == 77
    assert order(runtime.calls()) == [("third", "DEL"), ("second", "DEL")]
    assert runtime.cached() == ["net:pod:eth0"]


def test_check_needs_a_kept_result_and_can_be_disabled(runtime):
    runtime.write()
    assert json.loads(runtime.run("check", "pod").stdout)["code"] == 3
    runtime.write(disableCheck=True)
    runtime.run("add", "pod")
    runtime.calls()
    assert runtime.run("check", "pod").returncode == 0
    assert runtime.calls() == []


def test_gc_deletes_what_is_kept_and_not_valid_and_then_asks_every_plugin(runtime):
    runtime.write({"fails": ["GC"]})
    for pod in ("one", "two"):
        runtime.run("add", pod, "--args", f"POD={pod}")
    runtime.calls()
    done = runtime.run("gc", "--valid", "one:eth0")
    assert json.loads(done.stdout)["code"] == 77
    calls = runtime.calls()
    assert order(calls) == [("first", "DEL"), ("first", "GC")]
    assert calls[0]["environment"]["CNI_CONTAINERID"] == "two"
    assert calls[0]["stdin"]["prevResult"]["seen"] == ["first"]
    assert calls[1]["stdin"]["cni.dev/valid-attachments"] == [
        {"containerID": "one", "ifname": "eth0"}]
    assert "prevResult" not in calls[1]["stdin"]
    assert runtime.cached() == ["net:one:eth0"]


def test_gc_asks_all_plugins_also_after_errors(runtime):
    runtime.write({"fails": ["GC"]}, {}, {"fails": ["GC"]})
    error = json.loads(runtime.run("gc").stdout)
    assert error["code"] == 77 and "first refuses GC" in error["msg"]
    assert "third refuses GC" in error["details"]
    assert order(runtime.calls()) == [(name, "GC") for name in NAMES]


def test_gc_can_be_disabled_and_leaves_other_networks_alone(runtime):
    runtime.write()
    runtime.run("add", "pod")
    runtime.write(name="network", disableGC=True)
    assert runtime.run("gc").returncode == 0
    runtime.write(name="ne")
    assert runtime.run("gc").returncode == 0
    assert runtime.cached() == ["net:pod:eth0"]


def test_status_is_the_first_plugins_that_cannot_serve(runtime):
    runtime.write()
    assert runtime.run("status").returncode == 0
    assert order(runtime.calls()) == [(name, "STATUS") for name in NAMES]
    runtime.write({}, {"fails": ["STATUS"]}, {})
    assert json.loads(runtime.run("status").stdout)["code"] == 77
    assert order(runtime.calls()) == [("first", "STATUS"), ("second", "STATUS")]


def test_version_asks_each_plugin(runtime):
    runtime.write()
    answer = json.loads(runtime.run("version").stdout)
    assert answer == dict.fromkeys(
        NAMES, {"cniVersion": "1.1.0", "supportedVersions": ["1.1.0"]})


def test_results_are_kept_for_root_alone_and_in_a_folder_of_choice(runtime):
    runtime.write()
    runtime.run("add", "pod")
    assert runtime.node.path(CACHE).stat().st_mode & 0o777 == 0o700
    assert runtime.node.path(f"{CACHE}/net:pod:eth0").stat().st_mode & 0o777 == 0o600
    runtime.run("add", "pod", environment={"CNI_RUN_CACHE": "/run/elsewhere/deep"})
    assert runtime.node.path("/run/elsewhere/deep/net:pod:eth0").exists()


def test_a_folder_of_results_that_is_empty_counts_as_not_given(runtime):
    # The root folder is this machine's own.
    runtime.node.run("mount", "-o", "remount,bind,ro", "/")
    runtime.write()
    assert runtime.run("add", "pod", environment={"CNI_RUN_CACHE": ""}).returncode == 0
    assert runtime.cached() == ["net:pod:eth0"]


def test_a_single_plugins_configuration_is_a_list_of_one(runtime):
    runtime.node.path("/run/list").write_text(
        '{"cniVersion": "1.0.0", "name": "net", "type": "first"}')
    assert json.loads(runtime.run("add", "pod").stdout)["seen"] == ["first"]


@pytest.mark.parametrize("words", [
    [], ["add"], ["add", "/run/list"], ["add", "/run/list", "pod", "more"], ["fly", "/run/list"],
    ["gc"], ["add", "/run/list", "pod", "--ifname"], ["add", "/run/list", "pod", "--ifname", "a/b"],
    ["add", "/run/list", "pod", "--unknown", "x"], ["add", "/run/list", "pod", "--container-id", "/"],
    ["add", "/run/list", "pod", "--capability-args", "[]"], ["gc", "/run/list", "--valid", "x"],
    ["add", "/run/list", "/"],
])
def test_a_command_line_that_cannot_be_is_answered_with_the_usage(runtime, words):
    runtime.write()
    done = Tool(runtime.node).call("run", *words, check=False)
    assert done.returncode == WRONG_USAGE and done.stdout == ""
    assert "usage: humanz run" in done.stderr


@pytest.mark.parametrize("text, code", [
    ("{", 6), ("[]", 6), ("{}", 7), ('{"name": "net", "plugins": []}', 7),
    ('{"name": "a/b", "plugins": [{}]}', 7), ('{"name": "net", "plugins": [5]}', 7),
    ('{"name": "net", "cniVersion": "9.0.0", "plugins": [{"type": "first"}]}', 1),
    ('{"name": "net", "plugins": [{"type": "../first"}]}', 7),
    ('{"name": "net", "plugins": [{"type": "missing"}]}', 103),
])
def test_a_conflist_that_cannot_be_is_an_error(runtime, text, code):
    runtime.node.path("/run/list").write_text(text)
    done = runtime.run("add", "pod")
    assert done.returncode == 1 and json.loads(done.stdout)["code"] == code
    assert json.loads(runtime.run("add", "pod", conflist="/run/none").stdout)["code"] == 5
