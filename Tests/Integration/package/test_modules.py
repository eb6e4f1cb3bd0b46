# SPDX-License-Identifier: Apache-2.0
"""The modules: Package.swift, the graph in CONTRIBUTING and the sources' imports agree."""

import json
import re
import subprocess

import pytest

from lab.isolated_node import ROOT

STAGES = {"humanz-bridge", "humanz-ipam", "humanz-route"}
TOOL = "humanz"
# The modules for the stages' configurations, which the stages and the tool use.
KEYS = "Stages"


@pytest.fixture(scope="module")
def targets():
    """The package's targets by name, without test targets."""
    package = json.loads(subprocess.run(
        ["swift", "package", "dump-package"], cwd=ROOT, capture_output=True, check=True).stdout)
    return {target["name"]: target for target in package["targets"] if target["type"] != "test"}


@pytest.fixture(scope="module")
def graph(targets):
    """The direct dependencies of each module."""
    return {name: {next(iter(dependency.values()))[0] for dependency in target["dependencies"]}
            for name, target in targets.items()}


def reachable(graph, module):
    """The direct and indirect dependencies of a module."""
    found = set()
    waiting = [module]
    while waiting:
        for other in graph[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found


def folder(name):
    return ROOT / "Sources" / name


def drawn():
    """The graph in CONTRIBUTING: one line for each module, with its dependencies after an arrow."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    lines = re.findall(r"^    (\S+) +->(.*)$", text, re.MULTILINE)
    return {name: set(re.findall(r"[\w-]+", others)) for name, others in lines}


def test_the_graph_in_contributing_is_the_packages(graph):
    # Every module depends on the C library's module, and every program on the heap.
    everywhere = {"CNetlink", "Memory"}
    assert drawn() == {
        name: others - everywhere for name, others in graph.items() if name not in everywhere}


def places():
    """The table in CONTRIBUTING of where something new goes: the place and the commit of each row."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("## Where something new goes"):text.index("## Two builds")]
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([A-Z][^|]*) \|$", table, re.MULTILINE)
    assert len(rows) >= 9
    return rows


def test_the_files_that_contributing_names_are_there():
    for place, _ in places():
        for name in re.findall(r"`([^`]+)`", place):
            if "/" not in name and not name.endswith(".swift"):
                continue
            pattern = name.replace("…", "*")
            found = [*ROOT.glob(pattern), *ROOT.glob(f"Sources/{pattern}"),
                     *ROOT.glob(f"Sources/*/{pattern}")]
            assert found, name


def test_the_commits_that_contributing_names_are_in_the_history():
    shallow = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True)
    if shallow.stdout != "false\n":
        pytest.skip("needs a clone with its whole history")
    subjects = subprocess.run(
        ["git", "log", "--format=%s"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {commit for _, commit in places()} <= set(subjects.stdout.splitlines())


def test_a_module_imports_what_it_depends_on_and_nothing_else(graph):
    for name, dependencies in graph.items():
        imports = set()
        for path in folder(name).rglob("*.swift"):
            imports |= set(re.findall(r"^\s*(?:@\w+ )*import (\S+)", path.read_text(), re.MULTILINE))
        assert imports <= dependencies, name


def test_every_folder_of_the_sources_is_a_module(graph):
    assert {path.name for path in (ROOT / "Sources").iterdir() if path.is_dir()} == set(graph)


def test_libraries_know_no_stage_and_no_stage_knows_another(graph):
    for name in graph:
        others = reachable(graph, name)
        assert not others & (STAGES | {TOOL}), name
        assert KEYS not in others or name in STAGES | {TOOL}, name
    for name in ("Netlink", "Netfilter"):
        assert "CNI" not in reachable(graph, name)
    assert not reachable(graph, "CNI") & {"Netlink", "Netfilter", "Node"}


def test_no_library_names_a_stage():
    """In code only: a comment may name a stage as an example."""
    for path in (ROOT / "Sources").rglob("*.swift"):
        if path.relative_to(ROOT / "Sources").parts[0] in STAGES | {TOOL}:
            continue
        code = re.sub(r"//.*", "", path.read_text())
        assert not re.search(r"humanz-(bridge|ipam|route)", code), path


def test_what_others_may_build_on_are_products():
    package = json.loads(subprocess.run(
        ["swift", "package", "dump-package"], cwd=ROOT, capture_output=True, check=True).stdout)
    libraries = {product["name"] for product in package["products"] if "library" in product["type"]}
    assert {"CNI", "Netlink", "Netfilter", "Node"} <= libraries


@pytest.mark.parametrize("library", ["Netlink", "Netfilter"])
def test_rtnetlink_and_firewalls_build_without_cni(graph, library):
    scratch = ROOT / ".build-alone" / library
    subprocess.run(
        ["swift", "build", "--target", library, "--scratch-path", scratch], cwd=ROOT,
        capture_output=True, check=True)
    built = {path.stem for path in scratch.glob("*/debug/Modules/*.swiftmodule")}
    assert built == reachable(graph, library) - {"CNetlink"} | {library}
