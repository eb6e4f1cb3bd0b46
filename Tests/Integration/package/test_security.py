# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md names a test for each promise."""

import re

from lab.isolated_node import ROOT

PAGE = ROOT / "SECURITY.md"


def promises():
    table = PAGE.read_text().split("## What is promised")[1].split("\n## ")[0]
    return [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]


def test_each_promise_names_a_test_that_there_is():
    rows = promises()
    assert len(rows) > 20
    for promise, tests in rows:
        names = re.findall(r"`([\w/.]+)::(\w+)`", tests)
        assert names, f"{promise}: no test"
        for path, name in names:
            text = (ROOT / "Tests/Integration" / path).read_text()
            assert re.search(rf"^def {name}\(", text, re.M), f"{promise}: {path} has no {name}"


def test_the_readme_leads_to_the_page():
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text()
