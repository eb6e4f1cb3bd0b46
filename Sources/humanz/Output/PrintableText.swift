// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// The text with U+FFFD in place of each character that controls a terminal or changes the order of others:
/// control characters (C0, DEL, C1), bidirectional marks, and line ends.
/// - Parameter isLine: whether a line feed is replaced too.
func printable(_ text: String, isLine: Bool = true) -> String {
  // Most texts are printable ASCII.
  if Array(text.utf8).allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
  var clean = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    let isKept = !scalar.isTerminalControl || scalar == "\n" && !isLine
    clean.append(isKept ? scalar : "\u{FFFD}")
  }
  return String(clean)
}

/// The text between quotation marks, as Prometheus and Graphviz read it.
func escaped(_ text: String) -> String {
  var bytes: [UInt8] = []
  for byte in Array(printable(text).utf8) {
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
      bytes.append(UInt8(ascii: "\\"))
    }
    bytes.append(byte)
  }
  return String(decoding: bytes)
}

/// JSON text with an escape in place of each such character: a program still reads the same value.
func printableJSON(_ text: [UInt8]) -> [UInt8] {
  if text.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
  var clean: [UInt8] = []
  for scalar in String(decoding: text).unicodeScalars {
    if scalar.isTerminalControl, scalar != "\n" {
      clean += Array("\\u\(String(UInt64(scalar.value), digits: 4, radix: 16))".utf8)
    } else {
      clean += Array(String(scalar).utf8)
    }
  }
  return clean
}

extension Unicode.Scalar {
  /// They all have at most four hexadecimal digits.
  fileprivate var isTerminalControl: Bool {
    switch value {
    case 0..<0x20, 0x7f..<0xa0: true
    // Arabic letter mark; left-to-right and right-to-left marks; line and paragraph separators,
    // embeddings and overrides; isolates.
    case 0x61c, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
  }
}
