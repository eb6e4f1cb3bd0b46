// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// The text with U+FFFD in place of each terminal control.
/// - Parameter replacingLineFeeds: whether a line feed is replaced too.
func printable(_ text: String, replacingLineFeeds: Bool = true) -> String {
  String(
    decoding: replacingTerminalControls(Array(text.utf8)) { control in
      replacingLineFeeds || control.first != 0x0a ? Array("\u{FFFD}".utf8) : Array(control)
    })
}

/// The text with `"` and `\` escaped, to stand between quotation marks in Prometheus' format and Graphviz's.
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

/// JSON text with an escape in place of each terminal control but line feeds: a program still reads the same
/// value.
func printableJSON(_ text: [UInt8]) -> [UInt8] {
  replacingTerminalControls(text) { control in
    if control.first == 0x0a { return Array(control) }
    // Each is below U+10000: four digits are enough.
    return String(decoding: control).unicodeScalars.flatMap { scalar in
      Array("\\u\(String(UInt64(scalar.value), digits: 4, radix: 16))".utf8)
    }
  }
}
