# SPDX-License-Identifier: Apache-2.0
"""Each program replaces the standard library's comparison of strings, by the name of its symbol.

The linker silently prefers our strong symbol to the library's weak one. With a compiler that mangles the name
differently, both would be linked: the programs would compare by Unicode's rules, and be larger.
The unit tests' tables test the replacement itself, in the release build too.
"""

import os
import re
import subprocess

import pytest

from lab.isolated_node import OURS, ROOT

pytestmark = pytest.mark.skipif(
    os.environ.get("HUMANZ_EMBEDDED") == "0", reason="ordinary Swift uses the library's comparison")

SOURCE = (ROOT / "Sources/Embedded/StringComparison.swift").read_text()
NAME = re.search(r'@_silgen_name\(\s*"([^"]+)"\)', SOURCE).group(1)


def linked(program):
    """The object files that the program in bin/ was linked from."""
    built = [path for path in ROOT.glob(f".build/*/release/{program}")
             if path.stat().st_size == (OURS / program).stat().st_size
             and path.read_bytes() == (OURS / program).read_bytes()]
    assert built, f"bin/{program} is not the last build"
    return (built[0].parent / f"{program}.product/Objects.LinkFileList").read_text().split()


@pytest.mark.parametrize("program", ["humanz-bridge", "humanz-ipam", "humanz-route", "humanz"])
def test_a_program_has_our_comparison_of_strings_and_no_other(program):
    listed = subprocess.run(
        ["nm", "--print-file-name", *linked(program)], capture_output=True, text=True, check=True).stdout
    symbols = re.findall(r"^(\S+):\S* +(\w) (\S*stringCompareInternal\S*)$", listed, re.MULTILINE)
    assert {name for _, _, name in symbols} == {NAME}
    strong = [path for path, kind, _ in symbols if kind == "T"]
    assert [path.rsplit("/", 2)[1:] for path in strong] == [["Embedded.build", "StringComparison.swift.o"]]
    # A module that compares strings may bring the library's own symbol, but only as a weak one.
    assert {kind for _, kind, _ in symbols} <= {"T", "U", "W", "V"}
