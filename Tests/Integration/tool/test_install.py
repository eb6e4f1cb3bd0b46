# SPDX-License-Identifier: Apache-2.0
"""install and uninstall: write files where a runtime looks, replace them atomically, and remove exactly those."""

import hashlib
import json
import shutil

import pytest

from lab.conflist import Conflist
from lab.isolated_node import NETWORKS, OURS
from lab.tool import Tool
from lab.waiting import eventually

BIN, CONF, NEW = "/run/opt/bin", "/run/opt/net.d", "/run/opt/new"
NAMES = ["humanz-bridge", "humanz-ipam", "humanz-route"]
CHAIN = {"cniVersion": "1.0.0", "cniVersions": ["1.0.0"], "name": "net", "plugins": [
    {"type": "humanz-bridge", "bridge": "pods"},
    {"type": "humanz-ipam", "subnet": "10.1.0.0/24"},
    {"type": "humanz-route", "network": "10.0.0.0/8", "ipMasq": True}]}
CONFLIST = f"{CONF}/10-net.conflist"


def content(node):
    """The files in the two folders, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in (BIN, CONF) for path in node.path(folder).iterdir()}


@pytest.fixture
def fresh(node):
    """A node with empty folders for a runtime, and a folder with the files to install."""
    for folder in (BIN, CONF, NEW):
        node.path(folder).mkdir(parents=True)
    for name in NAMES:
        shutil.copy(OURS / name, node.path(f"{NEW}/{name}"))
    node.path(f"{NEW}/10-net.conflist").write_text(json.dumps(CHAIN))
    return node


def tool(node, verb, *words, check=True):
    return Tool(node).call(verb, "--bin-dir", BIN, "--conf-dir", CONF, *words, check=check)


def install(node, *words, **options):
    return tool(node, "install", "--from", NEW, "--conflist", f"{NEW}/10-net.conflist", *words, **options)


def test_what_is_installed_works_and_is_taken_back_exactly(fresh):
    before = content(fresh)
    install(fresh)
    assert sorted(content(fresh)) == sorted([".humanz-installed", "10-net.conflist", *NAMES])
    assert {fresh.path(f"{BIN}/{name}").stat().st_mode & 0o7777 for name in NAMES} == {0o755}
    assert fresh.path(CONFLIST).stat().st_mode & 0o7777 == 0o644
    fresh.add_pod("pod")
    run = Tool(fresh).run("add", CONFLIST, "pod", environment={"CNI_PATH": BIN})
    assert run.returncode == 0
    Tool(fresh).run("del", CONFLIST, "pod", environment={"CNI_PATH": BIN})
    tool(fresh, "uninstall")
    assert content(fresh) == before


def test_without_from_the_plugins_are_those_beside_humanz(fresh):
    fresh.path("/run/cni/real").mkdir()
    for name in [*NAMES, "humanz"]:
        shutil.copy(OURS / name, fresh.path(f"/run/cni/real/{name}"))
    fresh.run("/run/cni/real/humanz", "install", "--bin-dir", BIN, "--conf-dir", CONF)
    assert sorted(content(fresh)) == sorted([".humanz-installed", *NAMES])


def test_without_from_the_plugins_may_be_where_a_package_has_them(fresh):
    fresh.run("mount", "-t", "tmpfs", "tmpfs", "/usr/lib/cni")
    for name in NAMES:
        shutil.copy(OURS / name, fresh.path(f"/usr/lib/cni/{name}"))
    fresh.path("/run/cni/real").mkdir()
    shutil.copy(OURS / "humanz", fresh.path("/run/cni/real/humanz"))
    fresh.run("/run/cni/real/humanz", "install", "--bin-dir", BIN, "--conf-dir", CONF)
    assert sorted(content(fresh)) == sorted([".humanz-installed", *NAMES])


def test_a_packages_plugins_replace_those_that_were_installed_before(fresh):
    for folder in ("/opt", "/usr/lib/cni"):
        fresh.run("mount", "-t", "tmpfs", "tmpfs", folder)
    for name in NAMES:
        shutil.copy(OURS / name, fresh.path(f"/usr/lib/cni/{name}"))
    fresh.path("/run/cni/real").mkdir()
    shutil.copy(OURS / "humanz", fresh.path("/run/cni/real/humanz"))

    def install(*words):
        return fresh.run("/run/cni/real/humanz", "install", "--conf-dir", CONF, *words)

    install()
    for name in NAMES:
        with fresh.path(f"/usr/lib/cni/{name}").open("ab") as file:
            file.write(b"new")
    for words, folder in ([], "/opt/cni/bin"), (["--bin-dir", BIN], BIN):
        install(*words)
        assert [fresh.path(f"{folder}/{name}").read_bytes()[-3:] for name in NAMES] == [b"new"] * 3
    # What is installed is right if nothing else has the plugins.
    for name in NAMES:
        fresh.path(f"/usr/lib/cni/{name}").unlink()
    assert install().stdout == ""


def test_a_path_that_goes_up_again_changes_no_folders_mode(fresh):
    fresh.path("/run/opt").chmod(0o700)
    done = Tool(fresh).call("install", "--from", NEW, "--conf-dir", CONF, "--bin-dir", "/run/opt/fresh/../bin", check=False)
    assert done.returncode == 2 and '".."' in done.stderr
    assert fresh.path("/run/opt").stat().st_mode & 0o7777 == 0o700 and not fresh.path("/run/opt/fresh").exists()


def test_the_conflist_is_written_last_and_removed_first(fresh):
    trace = ["strace", "-f", "-e", "trace=renameat,renameat2,unlinkat", "-o", "/run/tmp/trace"]
    words = ["--bin-dir", BIN, "--conf-dir", CONF]
    humanz = "/run/cni/bin/humanz"
    fresh.run(*trace, humanz, "install", *words, "--from", NEW, "--conflist", f"{NEW}/10-net.conflist")
    named = [line for line in fresh.path("/run/tmp/trace").read_text().splitlines()
             if "rename" in line and "installed" not in line]
    assert ["conflist" in line for line in named] == [False, False, False, True]
    fresh.run(*trace, humanz, "uninstall", *words)
    removed = [line for line in fresh.path("/run/tmp/trace").read_text().splitlines() if line.endswith("= 0")]
    assert "10-net.conflist" in removed[0] and len(removed) == 5


def test_running_plugins_are_replaced(fresh):
    install(fresh)
    # A running plugin that waits for its configuration.
    running = fresh.start("sh", "-c", f"sleep 30 | CNI_COMMAND=STATUS {BIN}/humanz-route")
    with fresh.path(f"{NEW}/humanz-route").open("ab") as file:
        file.write(b"another version")
    install(fresh)
    assert fresh.path(f"{BIN}/humanz-route").read_bytes().endswith(b"another version")
    assert running.poll() is None
    running.kill()
    running.wait()
    tool(fresh, "uninstall")
    assert content(fresh) == {}


def test_an_install_that_is_repeated_writes_nothing(fresh):
    install(fresh)
    inodes = {name: fresh.path(f"{BIN}/{name}").stat().st_ino for name in NAMES}
    assert install(fresh).stdout == ""
    assert inodes == {name: fresh.path(f"{BIN}/{name}").stat().st_ino for name in NAMES}


def test_a_plugin_of_somebody_elses_stays_and_is_an_error(fresh):
    fresh.path(f"{BIN}/humanz-ipam").write_text("somebody's")
    done = install(fresh, check=False)
    assert done.returncode == 1 and f"{BIN}/humanz-ipam was not written by" in done.stderr
    assert fresh.path(f"{BIN}/humanz-ipam").read_text() == "somebody's"
    assert not fresh.path(CONFLIST).exists()
    tool(fresh, "uninstall")
    assert sorted(content(fresh)) == ["humanz-ipam"]


def test_a_conflist_that_was_edited_stays(fresh):
    install(fresh)
    edited = json.dumps({**CHAIN, "name": "edited"})
    fresh.path(CONFLIST).write_text(edited)
    fresh.path(f"{NEW}/10-net.conflist").write_text(json.dumps({**CHAIN, "disableCheck": True}))
    done = install(fresh, check=False)
    assert done.returncode == 1 and "was changed since" in done.stderr
    assert fresh.path(CONFLIST).read_text() == edited
    done = tool(fresh, "uninstall", check=False)
    assert done.returncode == 1 and "was changed since" in done.stderr
    assert sorted(content(fresh)) == [".humanz-installed", "10-net.conflist"]
    # The record stays too: the next uninstall says the same.
    assert tool(fresh, "uninstall", check=False).returncode == 1
    fresh.path(CONFLIST).unlink()
    tool(fresh, "uninstall")
    assert content(fresh) == {}


def test_a_conflist_with_spaces_in_its_name_is_taken_back_too(fresh):
    name = " my  net .conflist"
    fresh.path(f"{NEW}/10-net.conflist").rename(fresh.path(f"{NEW}/{name}"))
    tool(fresh, "install", "--from", NEW, "--conflist", f"{NEW}/{name}")
    assert name in content(fresh)
    tool(fresh, "uninstall")
    assert content(fresh) == {}


def test_a_broken_conflist_is_not_written(fresh):
    fresh.path(f"{NEW}/10-net.conflist").write_text("{")
    assert install(fresh, check=False).returncode == 1
    assert not fresh.path(CONFLIST).exists()


@pytest.mark.parametrize("number", range(1, 200, 7))
def test_killed_at_any_call_it_leaves_whole_files_that_uninstall_takes_back(fresh, number):
    old = {name: fresh.path(f"{NEW}/{name}").read_bytes() for name in NAMES}
    install(fresh)
    for name in NAMES:
        with fresh.path(f"{NEW}/{name}").open("ab") as file:
            file.write(b"new")
    calls = "openat,openat2,unlinkat,write,fsync,renameat,renameat2,fchmodat"
    fresh.run("strace", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
              f"inject={calls}:signal=KILL:when={number}", "/run/cni/bin/humanz", "install", "--bin-dir", BIN,
              "--conf-dir", CONF, "--from", NEW, "--conflist", f"{NEW}/10-net.conflist", check=False)
    for name in NAMES:
        assert fresh.path(f"{BIN}/{name}").read_bytes() in (old[name], old[name] + b"new")
    tool(fresh, "uninstall")
    left = [name for name in content(fresh) if not name.endswith(".new")]
    assert left == []


def test_network_takes_back_what_the_node_has_and_not_while_a_pod_is_attached(fresh):
    install(fresh)
    before = fresh.traces()
    fresh.add_pod("pod")
    environment = {"CNI_PATH": BIN}
    assert Tool(fresh).run("add", CONFLIST, "pod", environment=environment).returncode == 0
    done = tool(fresh, "uninstall", "--network", check=False)
    assert done.returncode == 1 and "a pod is still attached: pod eth0\n" in done.stderr
    assert fresh.path(CONFLIST).exists()
    Tool(fresh).run("del", CONFLIST, "pod", environment=environment)
    assert fresh.traces() != before
    tool(fresh, "uninstall", "--network")
    assert fresh.traces() == before and content(fresh) == {}


def test_folders_that_are_missing_are_made_and_a_link_of_another_users_is_not_followed(fresh):
    for folder in (BIN, CONF):
        fresh.path(folder).rmdir()
    fresh.path("/run/opt").chmod(0o700)
    deep = "/run/opt/deep/er/bin"
    words = ("--from", NEW, "--conf-dir", CONF)
    done = fresh.run("sh", "-c", f"umask 077; exec /run/cni/bin/humanz install {' '.join(words)} --bin-dir {deep}")
    assert done.stdout.splitlines()[0] == f"{deep} is made"
    for folder in (deep, "/run/opt/deep/er", "/run/opt/deep"):
        assert fresh.path(folder).stat().st_mode & 0o7777 == 0o755
    # Only what is missing is made and changed, and no folder that nothing is written to.
    assert fresh.path("/run/opt").stat().st_mode & 0o7777 == 0o700 and not fresh.path(CONF).exists()
    assert tool(fresh, "install", "--from", NEW, "--conflist", f"{NEW}/10-net.conflist").returncode == 0
    assert fresh.path(CONFLIST).exists()
    fresh.run("sh", "-c", "mkdir -m 1777 /run/shared && ln -s /run/opt/new /run/shared/link")
    done = Tool(fresh).call("install", *words, "--bin-dir", "/run/shared/link/bin", check=False)
    assert done.returncode == 1 and "/run/shared/link" in done.stderr
    assert not fresh.path(f"{NEW}/bin").exists()


def test_nothing_is_made_where_the_plugins_are_missing(fresh):
    fresh.path(BIN).rmdir()
    done = tool(fresh, "install", "--from", "/run/nowhere", check=False)
    assert done.returncode == 1 and not fresh.path(BIN).exists()
    assert "the plugin humanz-bridge is in none of the folders /run/nowhere\n" in done.stderr


@pytest.mark.parametrize("name", ["net.txt", "conflist", "net.conflist.example"])
def test_a_name_that_no_runtime_reads_is_wrong_usage(fresh, name):
    fresh.path(f"{NEW}/{name}").write_text(json.dumps(CHAIN))
    done = tool(fresh, "install", "--from", NEW, "--conflist", f"{NEW}/{name}", check=False)
    assert done.returncode == 2 and content(fresh) == {}
    assert f"--conflist is \"{NEW}/{name}\", expected a name that ends in .conf, .conflist or .json" in done.stderr


def test_what_is_checked_is_what_is_written_also_from_a_pipe(fresh):
    fresh.run("mkfifo", "/run/tmp/x.conflist")
    writer = fresh.start("sh", "-c", f"cat {NEW}/10-net.conflist >/run/tmp/x.conflist")
    tool(fresh, "install", "--from", NEW, "--conflist", "/run/tmp/x.conflist")
    assert writer.wait() == 0
    assert json.loads(fresh.path(f"{CONF}/x.conflist").read_text()) == CHAIN


@pytest.mark.parametrize("is_old", [False, True])
def test_a_conflist_in_another_folder_is_taken_back_too(fresh, is_old):
    fresh.path("/run/opt/other").mkdir()
    install(fresh, "--conf-dir", "/run/opt/other/")
    assert fresh.path("/run/opt/other/10-net.conflist").exists()
    # Another spelling of the folder is the same one.
    assert install(fresh, "--conf-dir", "/run/opt//other").stdout == ""
    fresh.path(f"{NEW}/10-net.conflist").write_text(json.dumps({**CHAIN, "disableCheck": True}))
    assert install(fresh, "--conf-dir", "/run/opt/other").stdout == "/run/opt/other/10-net.conflist is written\n"
    record = fresh.path(f"{BIN}/.humanz-installed")
    assert "conflist /run/opt/other/10-net.conflist " in record.read_text()
    if is_old:
        # The record of an older humanz has the name alone.
        record.write_text(record.read_text().replace("/run/opt/other/", ""))
        tool(fresh, "uninstall", "--conf-dir", "/run/opt/other")
    else:
        tool(fresh, "uninstall")
    assert content(fresh) == {} and not list(fresh.path("/run/opt/other").iterdir())


def test_what_is_left_of_a_network_keeps_the_files_until_it_can_be_removed(fresh):
    install(fresh)
    fresh.add_pod("pod")
    environment = {"CNI_PATH": BIN}
    assert Tool(fresh).run("add", CONFLIST, "pod", environment=environment).returncode == 0
    Tool(fresh).run("del", CONFLIST, "pod", environment=environment)
    fresh.run("ip", "link", "add", "port", "master", "pods", "type", "veth", "peer", "name", "far")
    before = content(fresh)
    done = tool(fresh, "uninstall", "--network", check=False)
    assert done.returncode == 1 and "the bridge pods stays: it has ports\n" in done.stderr
    assert content(fresh) == before
    fresh.run("ip", "link", "delete", "port")
    assert "bridge pods is removed\n" in tool(fresh, "uninstall", "--network").stdout
    assert content(fresh) == {}


@pytest.mark.parametrize("answer", ["missing containerID", "unknown CNI_COMMAND: GC"])
def test_a_delegate_that_is_older_than_gc_does_not_keep_the_files(fresh, answer):
    install(fresh)
    delegate = fresh.path(f"{BIN}/old")
    delegate.write_text(f"""#!/bin/sh
[ $CNI_COMMAND = GC ] || exit 0
echo '{{"cniVersion": "1.1.0", "code": 3, "msg": "{answer}"}}'
exit 1
""")
    delegate.chmod(0o755)
    chain = json.loads(fresh.path(CONFLIST).read_text())
    chain["plugins"][0]["ipam"] = {"type": "old"}
    fresh.path(f"{CONF}/20-old.conflist").write_text(json.dumps({**chain, "name": "old"}))
    done = tool(fresh, "uninstall", "--network")
    assert done.stderr == "" and not fresh.path(CONFLIST).exists()


def test_the_network_of_a_conflist_in_another_folder_is_not_forgotten(fresh):
    fresh.path("/run/opt/other").mkdir()
    install(fresh)
    install(fresh, "--conf-dir", "/run/opt/other")
    conflist = fresh.path("/run/opt/other/10-net.conflist")
    fresh.add_pod("pod")
    for verb in ("add", "del"):
        Tool(fresh).run(verb, "/run/opt/other/10-net.conflist", "pod", environment={"CNI_PATH": BIN})
    fresh.path(CONFLIST).unlink()
    assert "bridge pods is removed\n" in tool(fresh, "uninstall", "--network").stdout
    assert content(fresh) == {} and not conflist.exists()


def test_a_conflist_that_cannot_be_read_is_said_and_keeps_the_files(fresh):
    install(fresh)
    fresh.path(f"{CONF}/20-broken.conflist").write_text("{")
    before = content(fresh)
    done = tool(fresh, "uninstall", "--network", check=False)
    assert done.returncode == 1 and f"{CONF}/20-broken.conflist is not JSON" in done.stderr
    assert content(fresh) == before


def test_the_leases_of_another_plugins_delegate_are_freed_too(node):
    chain = Conflist(node, {"type": "bridge", "bridge": "pods", "ipam": {
        "type": "humanz-ipam", "subnet": "10.1.0.0/24"}})
    chain.add("a")
    node.run("ip", "netns", "del", "a")
    eventually(lambda: not [link for link in node.ip("link") if link.get("master") == "pods"])
    words = ("--bin-dir", "/run/nowhere/bin", "--conf-dir", NETWORKS, "--network")
    assert node.leases() == {"10.1.0.2"}
    assert Tool(node).call("uninstall", *words).stdout == "lease 10.1.0.2 of network net is removed\n"
    assert node.leases() == set()


def test_the_tutorials_plugin_is_not_called(node):
    plugin = node.path("/run/cni/bin/humanz-cni")
    plugin.write_text("#!/bin/sh\ntouch /run/tmp/called\n")
    plugin.chmod(0o755)
    Conflist(node, {"type": "humanz-cni", "bridge": "humanz-cni0", "network": "10.0.0.0/8", "subnet": "10.1.0.0/24"})
    done = Tool(node).call("uninstall", "--bin-dir", "/run/nowhere/bin", "--conf-dir", NETWORKS, "--network")
    assert done.stderr == "" and not node.path("/run/tmp/called").exists()


def test_where_nothing_was_installed_uninstall_still_removes_the_network_and_says_what(node):
    node.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
    for link in ("uplink", "far"):
        node.run("ip", "link", "set", link, "up")
    node.run("ip", "address", "add", "192.0.2.10/24", "dev", "uplink")
    node.run("iptables-nft", "-P", "FORWARD", "DROP")
    before = node.traces()
    chain = Conflist(node, CHAIN["plugins"][0], CHAIN["plugins"][1], {
        **CHAIN["plugins"][2], "peers": [{"subnet": "10.2.0.0/24", "via": "192.0.2.20"}]})
    chain.add("a")
    chain.add("b")
    # One pod's port goes without a DEL, and its lease stays.
    node.run("ip", "netns", "del", "b")
    chain.delete("a")
    # The kernel removes a namespace's links some time after its name.
    eventually(lambda: not [link for link in node.ip("link") if link.get("master") == "pods"])
    words = ("--bin-dir", "/run/nowhere/bin", "--conf-dir", NETWORKS, "--network")
    done = Tool(node).call("uninstall", *words)
    assert sorted(done.stdout.splitlines()) == sorted(f"{thing} is removed" for thing in [
        "lease 10.1.0.3 of network net", "masquerade of network net", "firewall rules of network net",
        "unreachable route 10.0.0.0/8", "route 10.2.0.0/24 via 192.0.2.20", "bridge pods"])
    assert node.traces() == before and not node.path("/run/nowhere").exists()
    done = Tool(node).call("uninstall", *words)
    assert (done.stdout, done.stderr) == ("", "")


def test_what_can_be_removed_is_removed_although_the_leases_cannot_be_read(node):
    chain = Conflist(node, *CHAIN["plugins"])
    chain.add("a")
    chain.delete("a")
    node.run("sh", "-c", "rm -rf /run/humanz/ipam && touch /run/humanz/ipam")
    done = Tool(node).call(
        "uninstall", "--bin-dir", "/run/nowhere/bin", "--conf-dir", NETWORKS, "--network", check=False)
    assert done.returncode == 1 and "net: " in done.stderr and "/run/humanz/ipam" in done.stderr
    assert not node.ip("route", "show", "proto", "72") and "pods" not in node.traces()["links"]
