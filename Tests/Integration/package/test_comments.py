# SPDX-License-Identifier: Apache-2.0
"""The comments of the libraries that are products: every public declaration has one."""

import re

import pytest

from lab.isolated_node import ROOT

ATTRIBUTES = r"(?:@\w+(?:\([^)]*\))? *)*"
MODIFIERS = r"(?:[a-z]+(?:\(\w+\))? +)*"
DECLARATION = re.compile(
    rf" *{ATTRIBUTES}{MODIFIERS}public +{MODIFIERS}"
    r"(?P<kind>func|var|let|init|struct|enum|class|protocol|typealias|subscript)\b[?!]? *(?P<name>[^\s(:<{]*|<)")
# Witnesses of standard protocols, and of `KernelConstant`: the protocol says what they are.
WITNESS = re.compile(
    r"func (==|<) |(var|let) (description|rawValue)\b|init\((rawValue|_ rawValue): |func appendInterpolation\(|"
    r"var number: UInt32 ")


def products():
    """The libraries that other packages may depend on."""
    return re.findall(r'\.library\(name: "(\w+)"', (ROOT / "Package.swift").read_text())


def has_comment(lines, index):
    """Whether the declaration of a line has a comment, with words in it, before it and its attributes."""
    index -= 1
    while index >= 0 and re.fullmatch(rf" *{ATTRIBUTES}", lines[index]) and lines[index].strip():
        index -= 1
    words = ""
    while index >= 0 and lines[index].lstrip().startswith("///"):
        words += lines[index].lstrip()[3:].strip()
        index -= 1
    return words != ""


def stores_only(lines, index, properties):
    """Whether an initializer takes nothing but properties, and cannot fail."""
    signature = " ".join(lines[index:index + 12])
    signature = signature[signature.index("init") + 4:]
    if not signature.startswith("("):
        return False
    depth, end = 1, 1
    while depth > 0:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(signature[end], 0)
        end += 1
    # Types and default values may have brackets with names in them.
    names = re.findall(r"(\w+): ", re.sub(r"[\[(][^\])]*[\])]", "", signature[1:end - 1]))
    return bool(names) and set(names) <= properties and not signature[end:].lstrip().startswith("throws")


def without_comment(text):
    """The public declarations of a Swift file without a comment, each with the number of its line."""
    lines = text.splitlines()
    found = []
    # The properties so far that have a comment or need none.
    explained = set()
    for index, line in enumerate(lines):
        declaration = DECLARATION.match(line)
        if not declaration:
            continue
        kind, name = declaration["kind"], declaration["name"]
        if has_comment(lines, index) or WITNESS.search(line):
            if kind in {"var", "let"}:
                explained.add(name)
        elif kind != "init" or not stores_only(lines, index, explained):
            found.append((index + 1, line.strip()))
    return found


@pytest.mark.parametrize("module", products())
def test_every_public_declaration_of_a_product_has_a_comment(module):
    missing = [f"{path.relative_to(ROOT)}:{number}: {line}"
               for path in sorted((ROOT / "Sources" / module).rglob("*.swift"))
               for number, line in without_comment(path.read_text())]
    assert not missing, "\n".join(missing)


def test_the_products_are_found():
    assert {"CNI", "Netlink", "Netfilter", "Node"} <= set(products())


@pytest.mark.parametrize("declaration", [
    "public struct Route {", "  public indirect enum StoreError: Error {", "public final class Peer {",
    "public protocol Plugin {", "public typealias RouteSocket = Socket<RouteFamily>", "  public let name: String",
    "  public private(set) var members: [Member]", "  nonisolated(unsafe) public let table: Int? = nil",
    "  public static var number: Int32 { 0 }", "  public init?(_ text: String) {", "  public init() throws(CNIError) {",
    "  public subscript(key: String) -> String? { nil }", "  @inline(never) public borrowing func lock() {",
    "  public static func ~= (a: Int, b: Int) -> Bool { true }", "  public mutating func next() -> Attribute? {"])
def test_a_declaration_without_a_comment_is_found(declaration):
    found = [(2, declaration.strip())]
    assert without_comment(f"extension Link {{\n{declaration}") == found
    # A comment of something else, one inside the code, and one without words are none.
    assert without_comment(f"/// A link.\n{declaration}") == []
    assert without_comment(f"// A link.\n{declaration}") == found
    assert without_comment(f"///\n{declaration}") == found
    assert len(without_comment(f"/// A link.\n\n{declaration}")) == 1
    assert without_comment(f"/// A link.\n@inline(never) @discardableResult\n{declaration}") == []


def test_an_initializer_needs_no_comment_if_its_properties_have_one():
    properties = "/// In bytes.\npublic var mtu: Int?\n/// On a bridge.\npublic var ids: [Int]\npublic let other: Int\n"
    assert without_comment(f"{properties}public init(_ ids: [Int] = [1], mtu: Int? = nil) {{") == [
        (5, "public let other: Int")]
    for other in ("public init(mtu: Int, other: Int) {", "public init(\n  mtu: Int, name: String\n) {",
                  "public init?(mtu: Int) {", "public init(mtu: Int) throws(CNIError) {", "public init() {"):
        assert len(without_comment(properties + other)) == 2
