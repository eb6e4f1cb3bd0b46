// SPDX-License-Identifier: Apache-2.0
import Embedded

/// The bytes for hexadecimal digits; blanks are ignored.
package func bytes(_ hexadecimal: String) -> [UInt8] {
  let digits = hexadecimal.utf8.compactMap { hexadecimalDigit($0) }
  return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// An attribute as a tree, to compare messages of programs that write attributes in different orders, with or
/// without NLA_F_NESTED and the NUL after a string.
package indirect enum AttributeTree: Comparable, CustomStringConvertible {
  case value(UInt16, [UInt8])
  case nest(UInt16, [AttributeTree])

  package static func < (left: AttributeTree, right: AttributeTree) -> Bool {
    left.description < right.description
  }

  package var description: String {
    switch self {
    case .value(let type, let bytes): "\(type)=\(hexadecimal(bytes))"
    case .nest(let type, let inner):
      "\(type)={\(inner.map { $0.description }.joined(separator: ", "))}"
    }
  }

  /// Reads attributes. `nests` has the paths of types of those that contain attributes.
  package static func read(
    _ bytes: ArraySlice<UInt8>, nests: [[UInt16]], path: [UInt16] = []
  ) -> [AttributeTree] {
    var trees: [AttributeTree] = []
    for (type, payload) in attributes(bytes) {
      let path = path + [type]
      if nests.contains(path) {
        trees.append(.nest(type, read(payload, nests: nests, path: path)))
      } else {
        trees.append(.value(type, payload.last == 0 ? payload.dropLast() : Array(payload)))
      }
    }
    return trees.inOrder()
  }

  /// The paths of the attributes with NLA_F_NESTED.
  package static func nests(_ bytes: ArraySlice<UInt8>, path: [UInt16] = []) -> [[UInt16]] {
    var found: [[UInt16]] = []
    for (type, payload, isNest) in flaggedAttributes(bytes) where isNest {
      found.append(path + [type])
      found.append(contentsOf: nests(payload, path: path + [type]))
    }
    return found
  }

  private static func attributes(_ bytes: ArraySlice<UInt8>) -> [(UInt16, ArraySlice<UInt8>)] {
    flaggedAttributes(bytes).map { ($0.0, $0.1) }
  }

  private static func flaggedAttributes(
    _ bytes: ArraySlice<UInt8>
  ) -> [(UInt16, ArraySlice<UInt8>, Bool)] {
    var found: [(UInt16, ArraySlice<UInt8>, Bool)] = []
    var rest = bytes
    while rest.count >= 4 {
      let start = rest.startIndex
      let length = Int(rest[start]) | Int(rest[start + 1]) << 8
      let type = UInt16(rest[start + 2]) | UInt16(rest[start + 3]) << 8
      guard length >= 4, length <= rest.count else { break }
      found.append((type & 0x3fff, rest[start + 4..<start + length], type & 0x8000 != 0))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return found
  }
}

package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// A whole message in a comparable form: its headers, and its attributes as trees.
package struct ComparableMessage: Equatable, CustomStringConvertible {
  /// Type and flags.
  package let header: [UInt8]
  package let family: [UInt8]
  package let attributes: [AttributeTree]

  /// - Parameter nests: a message whose NLA_F_NESTED flags say which attributes of this one are nests.
  package init(_ bytes: some Collection<UInt8>, familyHeader: Int, nests: some Collection<UInt8>) {
    let bytes = Array(bytes)
    header = Array(bytes[4..<8])
    family = Array(bytes[16..<16 + familyHeader])
    attributes = AttributeTree.read(
      bytes[(16 + familyHeader)...],
      nests: AttributeTree.nests(Array(nests)[(16 + familyHeader)...]))
  }

  package var description: String {
    "\(hexadecimal(header)) \(hexadecimal(family)) "
      + attributes.map { $0.description }.joined(separator: ", ")
  }
}
