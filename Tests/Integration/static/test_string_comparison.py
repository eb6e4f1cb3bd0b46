# SPDX-License-Identifier: Apache-2.0
"""The standard library's comparison of strings is replaced in each program, by the name of its symbol.

The linker prefers our strong symbol to the library's weak one without a word. With a compiler that names
the function otherwise the two would not meet: the programs would compare by Unicode's rules, and be larger.
What the replacement does is in the unit tests' tables, which also run in the release build.
"""

import os
import re
import subprocess

import pytest

from lab.isolated_node import OURS, ROOT

pytestmark = pytest.mark.skipif(
    os.environ.get("HUMANZ_EMBEDDED") == "0", reason="ordinary Swift has the library's comparison")

SOURCE = (ROOT / "Sources/Embedded/StringComparison.swift").read_text()
NAME = re.search(r'@_silgen_name\(\s*"([^"]+)"\)', SOURCE).group(1)


def linked(program):
    """The object files that the program in bin/ was linked from."""
    built = [path for path in ROOT.glob(f".build/*/release/{program}")
             if path.stat().st_size == (OURS / program).stat().st_size
             and path.read_bytes() == (OURS / program).read_bytes()]
    assert built, f"bin/{program} is not what was built last"
    return (built[0].parent / f"{program}.product/Objects.LinkFileList").read_text().split()


@pytest.mark.parametrize("program", ["humanz-bridge", "humanz-ipam", "humanz-route", "humanz"])
def test_a_program_has_our_comparison_of_strings_and_no_other(program):
    listed = subprocess.run(
        ["nm", "--print-file-name", *linked(program)], capture_output=True, text=True, check=True).stdout
    symbols = re.findall(r"^(\S+):\S* +(\w) (\S*stringCompareInternal\S*)$", listed, re.MULTILINE)
    assert {name for _, _, name in symbols} == {NAME}
    strong = [path for path, kind, _ in symbols if kind == "T"]
    assert [path.rsplit("/", 2)[1:] for path in strong] == [["Embedded.build", "StringComparison.swift.o"]]
    # The library's own, which a module that compares strings brings along, is the weaker one.
    assert {kind for _, kind, _ in symbols} <= {"T", "U", "W", "V"}
