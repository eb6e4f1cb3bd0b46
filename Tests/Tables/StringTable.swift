// SPDX-License-Identifier: Apache-2.0
import Embedded

package enum StringTable {
  /// Pairs of strings, and how they compare. The release build compares by bytes, ordinary Swift by Unicode's
  /// canonical forms.
  package static let comparisons: [Case] = [
    ("", "", "equal"), ("", "a", "less"), ("a", "", "more"), ("a", "b", "less"),
    ("ab", "a", "more"),
    ("humanz-bridge", "humanz-bridge", "equal"), ("humanz-bridge", "humanz-brioge", "less"),
    ("a text of more than fifteen bytes", "a text of more than fifteen bytes", "equal"),
    ("a text of more than fifteen bytes", "a text of more than fifteen", "more"),
    ("a text of more than fifteen bytes", "a texu", "less"), ("a\u{0}b", "a\u{0}c", "less"),
    ("z", "\u{e9}", "less"), ("\u{ff}", "\u{10ffff}", "less"),
    // é as one scalar, and as an e with a combining accent: canonically equivalent.
    ("\u{e9}", "e\u{301}", isByBytes ? "more" : "equal"),
    ("e\u{301}", "f", isByBytes ? "less" : "more"),
    ("an interface with \u{e9}", "an interface with e\u{301}", isByBytes ? "more" : "equal"),
  ].map { (left, right, expected) in
    Case("\(left) and \(right)", is: expected) { compared(made(left), made(right)) }
  }

  private static var isByBytes: Bool {
    #if hasFeature(Embedded)
      true
    #else
      false
    #endif
  }

  private static func compared(_ left: String, _ right: String) -> String {
    if left == right { return left < right || right < left ? "equal and not" : "equal" }
    return left < right ? "less" : right < left ? "more" : "neither"
  }

  /// A string made at run time: the compiler compares constants itself.
  private static func made(_ text: String) -> String {
    String(decoding: Array(text.utf8), as: UTF8.self)
  }
}
