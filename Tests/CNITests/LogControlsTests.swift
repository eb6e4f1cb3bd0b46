// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import CNI

/// What a terminal obeys has no place in the log.
@Suite struct LogControlsTests {
  @Test(arguments: [
    ("plain text, größer, 日本", "plain text, größer, 日本"), ("a\u{1b}[2Jb", "a [2Jb"),
    ("a\nb\tc\u{7f}d", "a b c d"), ("a\u{9b}2J", "a  2J"), ("\u{80}\u{9f}\u{a0}", "    \u{a0}"),
    ("a\u{202e}b\u{2066}c", "a   b   c"), ("\u{200e}\u{200f}\u{200d}", "      \u{200d}"),
    ("\u{2028}\u{61c}", "     "), ("", ""),
  ])
  func `controls become spaces`(text: String, expected: String) {
    #expect(String(decoding: withoutControls(Array(text.utf8)), as: UTF8.self) == expected)
  }

  @Test func `a character that is cut off is left as it is`() {
    for bytes: [UInt8] in [[0xc2], [0xe2], [0xe2, 0x80], [0xd8]] {
      #expect(withoutControls(bytes) == bytes)
    }
  }
}
