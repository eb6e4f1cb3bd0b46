# SPDX-License-Identifier: Apache-2.0
"""The documents: a test runs each block of commands or names why not; the README is short; links are valid."""

import re

import pytest

from lab.commands import Document
from lab.isolated_node import ROOT

README = ROOT / "README.md"
TEXTS = [README, *sorted((ROOT / "Documentation").rglob("*.md")), *sorted((ROOT / "Sources").glob("*/README.md")),
         ROOT / "conflists/README.md", ROOT / "CONTRIBUTING.md", ROOT / "Benchmarks/README.md"]

# The stories that packages/test_documents.py runs, and those that no test runs.
PLAYED = {"package", "podman", "nodes", "containerd", "uninstall", "tutorial", "bridge", "try"}
NOT_PLAYED = {"cluster": "needs a cluster", "internet": "fetches an image"}


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_each_block_of_commands_belongs_to_a_story(path):
    for block in Document(path).blocks:
        assert block.kind not in ("sh", "shell", "bash"), f"line {block.number}: use ```console and a story"
        if block.kind == "console":
            assert block.story in PLAYED | set(NOT_PLAYED), f"line {block.number}"
            assert block.commands(), f"line {block.number}"


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
