// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

package enum JSONTable {
  /// Texts, and the text that is written after parsing.
  package static let texts: [Case] =
    [
      "{\"b\":1,\"a\":2,\"\":{}}",
      "[1,1.0,1e0,1E+0,100e-2,-0,0.10,12345678901234567890123456789]",
      "[null,true,false,\"\",[],{}]", "\"\\\"\\\\\\n\\r\\t\\u0000\\u001f\u{7f}/é😀\"", "0", "-1e400",
      "{\"prevResult\":{\"x\":{\"y\":[{\"z\":1e-999}]}}}", "{\"\u{e9}\":1,\"e\u{301}\":2}",
    ].map { input in
      Case(input, is: input) { written(input) }
    }
    + [
      (" {\t\"a\" :\r\n[ 1 , 2 ] } \n", "{\"a\":[1,2]}"),
      ("\"\\u0041\"", "\"A\""), ("\"\\u00e9\\u00E9\"", "\"éé\""),
      ("\"\\ud83d\\ude00\"", "\"😀\""),
      ("\"\\uDBFF\\uDFFF\"", "\"\u{10ffff}\""), ("\"\\/\"", "\"/\""),
      ("\"\u{2028}\"", "\"\u{2028}\""), ("\"e\\u0301\"", "\"e\u{301}\""),
    ].map { (input, output) in
      Case(input, is: output) { written(input) }
    }

  /// Refused texts: line, column and words of the message.
  package static let errors: [Case] =
    ([
      ("", 1, 1, "ends where a value"), ("  \n ", 2, 2, "ends where a value"),
      ("{\"a\":1,\n \"b\":}", 2, 6, "a value is expected"), ("{\"a\" 1}", 1, 6, "':'"),
      ("{\"a\":1 \"b\":2}", 1, 8, "',' or '}'"), ("[1 2]", 1, 4, "',' or ']'"),
      ("[1,]", 1, 4, "a value"),
      ("{\"a\":1,}", 1, 8, "member name"), ("{a:1}", 1, 2, "member name"),
      ("{'a':1}", 1, 2, "member name"),
      ("[\n\n  tru]", 3, 6, "'true'"), ("nul", 1, 4, "'null'"), ("01", 1, 2, "something follows"),
      ("1.", 1, 3, "a digit"), (".5", 1, 1, "a value"), ("-", 1, 2, "a digit"),
      ("+1", 1, 1, "a value"),
      ("1e", 1, 3, "a digit"), ("1e+", 1, 4, "a digit"), ("0x10", 1, 2, "something follows"),
      ("NaN", 1, 1, "a value"), ("\"abc", 1, 5, "ends inside a string"),
      ("\"a\\", 1, 4, "ends inside"),
      ("\"a\nb\"", 1, 3, "control character"), ("\"\\x\"", 1, 3, "cannot escape"),
      ("\"\\u12g4\"", 1, 6, "four hexadecimal"), ("\"\\ud800\"", 1, 2, "surrogate"),
      ("\"\\ud800\\u0041\"", 1, 2, "surrogate"), ("\"\\udc00\"", 1, 2, "surrogate"),
      ("{} {}", 1, 4, "something follows"), ("{\"a\":1}\u{0}", 1, 8, "something follows"),
      ("\u{feff}{}", 1, 1, "a value"), ("// no\n1", 1, 1, "a value"),
      ("{\"a\":[1,2}", 1, 10, "',' or ']'"),
      ("{\"a\":1,\"b\":2,\"a\":3}", 1, 14, "occurs twice"),
      ("{\"a\":1,\"\\u0061\":2}", 1, 8, "occurs twice"),
      ("[{\"x\":{\"\":0,\"\":0}}]", 1, 13, "occurs twice"),
    ] as [(String, Int, Int, String)]).map { (input, line, column, words) in
      Case(input, is: "line \(line), column \(column): … \(words)") {
        do throws(JSONError) {
          return String(decoding: try JSON(parsing: Array(input.utf8)).text, as: UTF8.self)
        } catch {
          let problem = has(error.problem, words) ? "… \(words)" : error.problem
          return "line \(error.line), column \(error.column): \(problem)"
        }
      }
    }

  private static func written(_ input: String) -> String {
    guard let json = try? JSON(parsing: Array(input.utf8)) else { return "nil" }
    return String(decoding: json.text, as: UTF8.self)
  }
}

/// Whether a text contains words, compared by bytes: Embedded Swift has no search.
private func has(_ text: String, _ words: String) -> Bool {
  var rest = Array(text.utf8)[...]
  let words = Array(words.utf8)
  while rest.count >= words.count {
    if rest.starts(with: words) { return true }
    rest = rest.dropFirst()
  }
  return false
}
