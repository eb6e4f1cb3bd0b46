# SPDX-License-Identifier: Apache-2.0
"""lint: finds mistakes in a configuration and on the node, and says what is right."""

import json

import pytest

from lab.isolated_node import NETWORKS, PLUGINS, ROOT
from lab.tool import Tool

CHAIN = json.loads((ROOT / "conflists" / "10-humanz.conflist").read_text())


@pytest.fixture
def lint(node):
    """Writes a conflist and runs lint; returns the status and the findings."""
    for name in ("containerd", "podman"):
        # The host's runtimes are not the node's.
        node.run("mount", "--bind", "/dev/null", f"/usr/bin/{name}", check=False)
    node.run("mount", "-t", "tmpfs", "tmpfs", "/etc/containerd", check=False)

    def lint(conflist, name="10-humanz.conflist", words=(), **environment):
        node.path(f"{NETWORKS}/{name}").write_text(
            conflist if isinstance(conflist, str) else json.dumps(conflist))
        done = Tool(node).call("lint", *words, "--json", check=False,
                               env={"CNI_PATH": PLUGINS, **environment})
        findings = [(one["kind"], one["problem"]) for one in json.loads(done.stdout)["findings"]]
        return done.returncode, findings

    lint.node = node
    return lint


def changed(**keys):
    """The shipped conflist with other keys in its plugins: humanz_route={"peer": []}."""
    conflist = json.loads(json.dumps(CHAIN))
    for plugin in conflist["plugins"]:
        plugin.update(keys.get(plugin["type"].replace("-", "_"), {}))
    return conflist


@pytest.mark.parametrize("path", sorted((ROOT / "conflists").glob("*.conflist")), ids=lambda path: path.name)
def test_nothing_is_wrong_with_the_shipped_files(lint, path):
    if "clusterFile" in path.read_text():
        lint.node.path("/run/humanz").mkdir()
        lint.node.path("/run/humanz/cluster.json").write_text(
            '{"node": "node1", "subnets": ["10.244.0.0/24"], "peers": []}')
    status, findings = lint(path.read_text())
    if "bridgeNetfilter" in path.read_text() and not lint.node.path("/proc/sys/net/bridge").exists():
        assert status == 1 and "modprobe br_netfilter" in findings.pop()[1]
    assert findings == []


@pytest.mark.parametrize("conflist, kind, words", [
    (changed(humanz_route={"peer": []}), "error", ["\"plugins[2].peer\"", "did you mean \"peers\""]),
    (changed(humanz_bridge={"isgateway": True}), "error", ["isgateway", "did you mean \"isGateway\""]),
    (changed(humanz_bridge={"colour": "red"}), "warning", ["\"plugins[0].colour\" is unknown"]),
    (changed(humanz_route={"peers": [{"subnet": "100.100.1.0/24", "vai": "200.0.0.20"}]}), "error",
     ["peers[0].vai", "did you mean \"via\""]),
    (changed(humanz_ipam={"dataDir": "leases"}), "error",
     ["key \"plugins[1].dataDir\" is \"leases\", expected an absolute path"]),
    (changed(humanz_bridge={"ipam": {"type": "humanz-ipam", "subnet": "10.1.0.0/24", "dataDir": "leases"}}), "error",
     ["key \"plugins[0].ipam.dataDir\" is \"leases\""]),
    (changed(humanz_ipam={"subnet": "100.100.0.1/24"}), "error", ["host bits"]),
    (changed(humanz_ipam={"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24", "rangeStrt": "10.2.0.9"}]]}),
     "error", ["\"plugins[1].ranges[1][0].rangeStrt\"", "did you mean \"rangeStart\""]),
    (changed(humanz_bridge={"ipam": {"type": "humanz-ipam", "ranges": [[{"subnet": "10.1.0.0/24", "colour": "red"}]]}}),
     "warning", ["\"plugins[0].ipam.ranges[0][0].colour\" is unknown"]),
    (changed(humanz_ipam={"gateway": "100.99.0.1"}), "warning",
     ["the gateway 100.99.0.1 is outside of the subnet 100.100.0.0/24"]),
    (changed(humanz_route={"network": "10.0.0.0/8"}), "error", ["outside of \"network\""]),
    ({**CHAIN, "plugins": [*CHAIN["plugins"], {"type": "missing"}]}, "error",
     ["the plugin \"missing\" is in none of the folders /run/cni/bin"]),
    (changed(humanz_bridge={"ipam": {"type": "nowhere"}}), "error", ["the plugin \"nowhere\""]),
    ("{\n  oops", "error", ["not JSON", "line 2"]),
    ({"cniVersion": "0.3.1", "name": "x", "type": "humanz-cni", "bridge": "b", "network": "10.0.0.0/8",
      "subnet": "10.1.0.0/24"}, "error", ["tutorial", "humanz convert"]),
])
def test_what_is_wrong_in_a_file_is_named(lint, conflist, kind, words):
    status, findings = lint(conflist)
    assert status == (1 if any(one == "error" for one, _ in findings) else 0)
    assert any(one == kind and all(word in said for word in words) for one, said in findings), findings


def test_each_finding_names_a_key_by_its_whole_path(lint):
    status, findings = lint(changed(humanz_route={"peers": [{"subnet": "100.100.1.0/24", "vai": "200.0.0.20"}]}))
    assert status == 1 and findings == [
        ("error", "key \"plugins[2].peers[0].vai\" is unknown; did you mean \"via\"?"),
        ("error", "key \"plugins[2].peers[0].via\" is required: the peer's address")]


@pytest.mark.parametrize("entry, problem", [
    ({}, "is required: the plugin's name"), ({"type": ""}, "is required: the plugin's name"),
    ({"type": 7}, "must be a string, not a number"),
])
def test_an_entry_without_a_type_is_an_error_that_names_the_key(lint, entry, problem):
    assert lint({**CHAIN, "plugins": [*CHAIN["plugins"], entry]}) == (
        1, [("error", f"key \"plugins[3].type\" {problem}")])


def test_a_subnet_that_the_node_has_elsewhere_is_an_error(lint):
    lint.node.run("ip", "link", "add", "docker0", "type", "bridge")
    lint.node.run("ip", "link", "set", "docker0", "up")
    lint.node.run("ip", "address", "add", "100.100.0.1/16", "dev", "docker0")
    status, findings = lint(CHAIN)
    assert status == 1 and findings == [
        ("error", "the subnet 100.100.0.0/24 overlaps with 100.100.0.1/16 on docker0")]


def test_a_wider_subnet_of_another_link_is_no_error_as_for_an_add(lint):
    lint.node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    for link in ("uplink", "far"):
        lint.node.run("ip", "link", "set", link, "up")
    lint.node.run("ip", "address", "add", "100.0.0.5/8", "dev", "uplink")
    assert lint(CHAIN) == (0, [])
    lint.node.add_pod("pod")
    assert Tool(lint.node).run("add", f"{NETWORKS}/10-humanz.conflist", "pod").returncode == 0
    assert lint(CHAIN) == (0, [])


def test_a_file_that_sorts_before_is_a_warning(lint):
    lint.node.path(f"{NETWORKS}/05-other.conflist").write_text(json.dumps({**CHAIN, "name": "other"}))
    status, findings = lint(CHAIN)
    assert status == 0 and findings == [
        ("warning", f"runtimes take the first file by name, which is {NETWORKS}/05-other.conflist")]


def test_a_plugin_that_any_runtime_finds_is_no_error(lint):
    """CNI_PATH is for people: runtimes look elsewhere."""
    assert lint(CHAIN, CNI_PATH="/run/nowhere")[0] == 1
    lint.node.run("mount", "-t", "tmpfs", "tmpfs", "/opt")
    for name in [plugin["type"] for plugin in CHAIN["plugins"]]:
        lint.node.path("/opt/cni/bin").mkdir(parents=True, exist_ok=True)
        lint.node.path(f"/opt/cni/bin/{name}").symlink_to(lint.node.path(f"{PLUGINS}/{name}").readlink())
    assert lint(CHAIN, CNI_PATH="/run/nowhere") == (0, [])
    assert lint(CHAIN, CNI_PATH="") == (0, [])


@pytest.mark.parametrize("runtime, file, text", [
    ("containerd", "/etc/containerd/config.toml",
     'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\n    bin_dir = "/usr/lib/cni"\n'),
    ("containerd", "/etc/containerd/config.toml",
     "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n\tbin_dirs = ['/usr/lib/cni'] # [\"/run/cni/bin\"]\n"),
    ("podman", "/etc/containers/containers.conf",
     '[network]\n#cni_plugin_dirs = ["/run/cni/bin"]\ncni_plugin_dirs = [\n  "/usr/lib/cni", # old\n]\nx = ["/run/cni/bin"]\n'),
    ("CRI-O", "/etc/crio/crio.conf.d/10.conf", '[crio.network]\nplugin_dirs = ["/usr/lib/cni"]\n'),
])
def test_what_a_runtime_does_not_find_is_a_warning_with_its_name(lint, runtime, file, text):
    lint.node.run("mount", "-t", "tmpfs", "tmpfs", "/etc")
    lint.node.path(file).parent.mkdir(parents=True)
    lint.node.path(file).write_text(text)
    assert lint(CHAIN) == (0, [
        ("warning", f"{runtime} looks for the plugin \"{plugin['type']}\" in /usr/lib/cni, where it is not")
        for plugin in CHAIN["plugins"]])
    # What only the configured folder has is found there.
    status, findings = lint(CHAIN, CNI_PATH="/run/nowhere")
    assert status == 1 and "is in none of the folders /run/nowhere:/usr/lib/cni:" in findings[0][1]


def test_two_files_of_one_network_are_a_warning(lint):
    lint.node.path(f"{NETWORKS}/20-again.conflist").write_text(json.dumps(CHAIN))
    status, findings = lint(CHAIN)
    assert status == 0 and findings[-1] == (
        "warning", f"the network \"{CHAIN['name']}\" is in {NETWORKS}/10-humanz.conflist too: podman uses only one "
        "of the files, and both lease from one store")
    assert f"{NETWORKS}/20-again.conflist: warning: the network" in Tool(lint.node).call("lint").stdout
    one = Tool(lint.node).call("lint", f"{NETWORKS}/10-humanz.conflist", f"{NETWORKS}/10-humanz.conflist").stdout
    assert "podman uses" not in one


@pytest.mark.parametrize("subnet, via, is_error", [
    ("100.100.0.0/24", "200.0.0.20", True),
    ("100.100.0.0/24", "200.0.0.10", False),
    ("100.100.0.128/25", "200.0.0.20", True),
    ("100.100.0.0/16", "200.0.0.20", False),
    ("100.100.1.0/24", "200.0.0.20", False),
])
def test_a_peer_with_this_nodes_own_subnet_is_an_error(lint, subnet, via, is_error):
    lint.node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    lint.node.run("ip", "address", "add", "200.0.0.10/24", "dev", "uplink")
    peers = [{"subnet": "100.100.7.0/24", "via": "200.0.0.70"}, {"subnet": subnet, "via": via}]
    status, findings = lint(changed(humanz_route={"peers": peers}))
    assert (status, findings) == ((1, [
        ("error", f"key \"plugins[2].peers[1].subnet\" is {subnet}, which overlaps with this node's own subnet 100.100.0.0/24: "
         "remove this peer, or correct its \"subnet\" or \"via\"")]) if is_error else (0, []))


def test_a_list_may_name_this_node_with_parts_of_its_subnet(lint):
    lint.node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    lint.node.run("ip", "address", "add", "200.0.0.10/24", "dev", "uplink")
    peers = [{"subnet": f"100.100.0.{start}/25", "via": "200.0.0.10"} for start in (0, 128)]
    assert lint(changed(humanz_route={"peers": peers})) == (0, [])


def test_a_link_of_another_vlan_with_the_subnet_is_an_error(lint):
    for words in ("add hz0 type bridge", "set hz0 up", "add hz0.7 type veth peer name far7", "set hz0.7 up"):
        lint.node.run("ip", "link", *words.split())
    lint.node.run("ip", "address", "add", "100.100.0.1/24", "dev", "hz0.7")
    status, [(kind, problem)] = lint(changed(humanz_bridge={"bridge": "hz0", "vlan": 8}))
    assert (status, kind) == (1, "error") and "overlaps with 100.100.0.1/24 on hz0.7" in problem


def test_a_vlan_without_a_gateway_may_make_a_name_that_no_link_can_have(lint):
    bridge = {"bridge": "humanz-cni0", "vlan": 1000}
    assert lint(changed(humanz_bridge=bridge, humanz_ipam={"isGateway": False})) == (0, [])
    status, [(kind, problem)] = lint(changed(humanz_bridge=bridge))
    assert (status, kind) == (1, "error") and "humanz-cni0.1000" in problem


def test_the_gateways_link_of_a_vlan_is_not_another_links_subnet(lint):
    for words in ("add hz0 type bridge", "set hz0 up", "add hz0.7 type veth peer name far7", "set hz0.7 up"):
        lint.node.run("ip", "link", *words.split())
    lint.node.run("ip", "address", "add", "100.100.0.1/24", "dev", "hz0.7")
    conflist = changed(humanz_bridge={"bridge": "hz0", "vlan": 7})
    assert lint(conflist) == (0, [])


def write_runtime(node, name, command):
    """Gives the node a runtime that is this shell command."""
    program = node.path(f"{PLUGINS}/{name}")
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)


def give_loopback(node):
    """Gives the node a loopback where containerd looks for it; returns its path."""
    node.run("mount", "-t", "tmpfs", "tmpfs", "/opt")
    node.path("/opt/cni/bin").mkdir(parents=True)
    loopback = node.path("/opt/cni/bin/loopback")
    loopback.symlink_to(node.path(f"{PLUGINS}/loopback").readlink())
    return loopback


@pytest.mark.parametrize("runtime, printed, version", [
    ("containerd", "containerd github.com/containerd/containerd v1.7.13 7c3aca7a610df76212171d200ca3811ff6096eb8", "1.7.13"),
    ("containerd", "containerd github.com/containerd/containerd/v2 v2.0.0 207ad711eabd375a01713109a8a197d197ff6542", None),
    ("containerd", "containerd built by hand 7c3aca7a", None),
    ("podman", "podman version 4.3.1", "4.3.1"),
])
def test_versions_are_compared_with_those_of_the_runtimes_that_says_which_it_is(lint, runtime, printed, version):
    write_runtime(lint.node, runtime, f"echo {printed}")
    give_loopback(lint.node)
    assert lint({**CHAIN, "cniVersion": "1.1.0"}, PATH=f"{PLUGINS}:/usr/bin:/bin") == ((1, [
        ("error", f"\"cniVersion\" is 1.1.0, but {runtime} {version} supports up to 1.0.0: set \"cniVersion\" to "
         "1.0.0, and list newer versions in \"cniVersions\"")]) if version else (0, []))


def test_a_runtime_that_does_not_say_its_version_is_not_waited_for(lint):
    write_runtime(lint.node, "containerd", "exec sleep 600")
    assert lint(CHAIN, PATH=f"{PLUGINS}:/usr/bin:/bin") == (0, [])


def test_versions_that_the_runtime_does_not_speak_and_a_loopback_that_is_missing(lint):
    write_runtime(lint.node, "containerd", "echo containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20")
    loopback = give_loopback(lint.node)
    status, findings = lint({**CHAIN, "cniVersion": "1.1.0"}, PATH=f"{PLUGINS}:/usr/bin:/bin")
    assert status == 1 and any("containerd 1.6.20~ds1 supports up to 1.0.0" in said for _, said in findings)
    assert not any("loopback" in said for _, said in findings)
    loopback.unlink()
    # containerd does not look in CNI_PATH.
    status, findings = lint(CHAIN, PATH=f"{PLUGINS}:/usr/bin:/bin")
    assert findings == [
        ("error", "containerd 1.6.20~ds1 needs the plugin \"loopback\", which is not in /opt/cni/bin")]


def test_a_file_that_is_named_is_linted_and_the_text_names_it(lint):
    lint(CHAIN)
    lint.node.path("/run/tmp/x.conflist").write_text(json.dumps(changed(humanz_route={"peer": []})))
    tool = Tool(lint.node)
    done = tool.call("lint", "/run/tmp/x.conflist", env={"CNI_PATH": PLUGINS}, check=False)
    assert done.returncode == 1 and done.stdout.startswith("/run/tmp/x.conflist: error: key ")
    fine = tool.call("lint", env={"CNI_PATH": PLUGINS})
    assert fine.stdout == f"{NETWORKS}/10-humanz.conflist: nothing is wrong\n"
