# SPDX-License-Identifier: Apache-2.0
"""The documents: a test runs each block of commands or names why not; the README is short; links are valid."""

import re

import pytest

from lab.commands import Document
from lab.isolated_node import ROOT

README = ROOT / "README.md"
TEXTS = [README, *sorted((ROOT / "Documentation").rglob("*.md")), *sorted((ROOT / "Sources").glob("*/README.md")),
         *(ROOT / name / "README.md" for name in ("conflists", "deploy", "Benchmarks")), ROOT / "CONTRIBUTING.md"]

# The stories that a test types: packages/test_documents.py; runtimes/test_daemonset.py; package/test_dist.py.
PLAYED = {"package", "archive", "podman", "nodes", "containerd", "uninstall", "tutorial", "bridge", "try",
          "deploy", "undeploy", "install"}
NOT_PLAYED = {"cluster": "needs a cluster",
              "stage": "package/test_fourth_stage.py builds and runs it in its own way"}
# What a line of a program begins with that a person would type.
PROGRAMS = """humanz kubectl kubeadm podman ctr ip nft iptables sysctl modprobe systemctl apt-get dpkg rpm scp ssh
    tar sed cp mv rm curl docker""".split()


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_each_block_of_commands_belongs_to_a_story(path):
    for block in Document(path).blocks:
        assert block.kind not in ("sh", "shell", "bash"), f"line {block.number}: use ```console and a story"
        if block.kind == "console":
            assert block.story in PLAYED | set(NOT_PLAYED), f"line {block.number}"
            assert block.commands(), f"line {block.number}"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_a_command_outside_of_a_story_is_one_of_the_makefile_or_of_the_tree(path):
    """These are typed by who works on the suite: all that is tested of them is that they are there."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    outside = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"^    +(\S.*)", outside, re.MULTILINE):
        words = line.split()
        # "humanz -> System" is a row of the modules.
        assert words[0] not in PROGRAMS or words[1] == "->", line
        if words[0] == "make" and words[1] != "-C":
            assert words[1] in targets, line
        elif re.match(r"(Scripts|Documentation|Tests)/\S+$", words[0]):
            assert (ROOT / words[0]).exists(), line


def test_each_story_that_is_played_is_told():
    told = {block.story for path in TEXTS for block in Document(path).blocks if block.kind == "console"}
    assert PLAYED <= told


def test_the_article_about_a_stage_has_the_example_as_it_is():
    article = (ROOT / "Documentation/api/CNI.docc/WriteAStage.md").read_text()
    shown = re.findall(r"^```swift\n(.*?)^```", article, re.DOTALL | re.MULTILINE)
    files = [ROOT / "Examples/fourth-stage" / name for name in ("Package.swift", "Sources/deny/main.swift")]
    assert shown == [re.sub(r"^// SPDX-.*\n", "", path.read_text(), flags=re.MULTILINE) for path in files]


def test_the_readme_has_200_lines_at_most_and_no_command_outside_of_a_story():
    lines = README.read_text().splitlines()
    assert len(lines) <= 200
    outside = re.sub(r"^```.*?^```", "", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"^    .*", outside, re.MULTILINE)


def anchors(path):
    """The anchors that GitHub makes of the headings."""
    found = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_each_link_leads_to_a_file_and_a_heading_of_it(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        file, _, heading = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert not heading or heading in anchors(there), target
