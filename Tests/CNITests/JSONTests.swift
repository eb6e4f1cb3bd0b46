// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import CNI

/// What is accepted, what is refused and where the error is said to be, and that nothing is lost.
@Suite struct JSONTests {
  private func parse(_ text: String) throws(JSONError) -> JSON {
    try JSON(parsing: Array(text.utf8))
  }

  private func problem(_ text: String) -> JSONError? {
    do throws(JSONError) {
      _ = try parse(text)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [
    "{\"b\":1,\"a\":2,\"\":{}}", "[1,1.0,1e0,1E+0,100e-2,-0,0.10,12345678901234567890123456789]",
    "[null,true,false,\"\",[],{}]", "\"\\\"\\\\\\n\\r\\t\\u0000\\u001f\u{7f}/é😀\"", "0", "-1e400",
    "{\"prevResult\":{\"x\":{\"y\":[{\"z\":1e-999}]}}}",
  ])
  func `order and spellings come out as they went in`(text: String) throws {
    #expect(String(decoding: try parse(text).text, as: UTF8.self) == text)
  }

  @Test func `white space between tokens is all that is not kept`() throws {
    #expect(try parse(" {\t\"a\" :\r\n[ 1 , 2 ] } \n").text == Array("{\"a\":[1,2]}".utf8))
  }

  @Test(arguments: [
    ("\"\\u0041\"", "A"), ("\"\\u00e9\\u00E9\"", "éé"), ("\"\\ud83d\\ude00\"", "😀"),
    ("\"\\uDBFF\\uDFFF\"", "\u{10ffff}"), ("\"\\/\\b\\f\"", "/\u{8}\u{c}"),
    ("\"\u{2028}\"", "\u{2028}"),
    ("\"e\\u0301\"", "e\u{301}"),
  ])
  func `escapes stand for their characters`(text: String, expected: String) throws {
    let string = try #require(try parse(text).string)
    #expect(Array(string.unicodeScalars) == Array(expected.unicodeScalars))
  }

  @Test(arguments: [
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
  ])
  func `an error says line and column`(text: String, line: Int, column: Int, words: String) throws {
    let error = try #require(problem(text))
    #expect(error.line == line && error.column == column, "\(error)")
    #expect(error.problem.contains(words), "\(error)")
    #expect(error.description.hasPrefix("line \(line), column \(column): "))
  }

  @Test(arguments: [
    "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":1,\"\\u0061\":2}", "[{\"x\":{\"\":0,\"\":0}}]",
  ])
  func `a name that occurs twice is refused`(text: String) throws {
    #expect(try #require(problem(text)).problem.contains("occurs twice"))
  }

  @Test func `a name that occurs twice among many is refused`() throws {
    let members = (0..<1000).map { "\"key\($0)\":\($0)" }
    #expect(problem("{" + members.joined(separator: ",") + "}") == nil)
    let twice = members + ["\"key17\":0"]
    #expect(
      try #require(problem("{" + twice.joined(separator: ",") + "}")).problem
        .contains("\"key17\" occurs twice"))
  }

  @Test func `names that look alike but have other code points are two`() throws {
    let object = try #require(try parse("{\"\u{e9}\":1,\"e\u{301}\":2}").object)
    #expect(object["\u{e9}"] == .number(1) && object["e\u{301}"] == .number(2))
  }

  @Test(arguments: [("[", "]"), ("{\"a\":", "}")])
  func `nesting has a limit, and what is at it comes out whole`(open: String, close: String) throws
  {
    func nested(_ depth: Int) -> String {
      String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
    }
    let deepest = nested(JSON.depthLimit)
    #expect(String(decoding: try parse(deepest).text, as: UTF8.self) == deepest)
    for depth in [JSON.depthLimit + 1, 100_000] {
      #expect(try #require(problem(nested(depth))).problem.contains("nested deeper than 512"))
    }
    #expect(problem(String(repeating: open, count: 1_000_000)) != nil)
  }

  @Test func `size has a limit`() {
    #expect(throws: JSONError.self) { try JSON(parsing: Array("[1,2,3]".utf8), sizeLimit: 6) }
    #expect(throws: Never.self) { try JSON(parsing: Array("[1,2,3]".utf8), sizeLimit: 7) }
  }

  @Test(
    arguments: [
      [0x80], [0xc0, 0xaf], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80],
      [0xff], [0xf0, 0x82, 0x82, 0xac],
    ] as [[UInt8]])
  func `a string that is not UTF-8 is refused`(bytes: [UInt8]) throws {
    #expect {
      _ = try JSON(parsing: [0x5b, 0x22] + bytes + [0x22, 0x5d])
    } throws: { error in
      let error = error as? JSONError
      return error?.line == 1 && error?.column == 3 && error!.problem.contains("UTF-8")
    }
  }

  @Test func `members keep their places when they are changed`() {
    var object = JSONObject(("a", .number(1)), ("b", nil), ("c", .null))
    object["a"] = .bool(true)
    object["d"] = .string("x")
    object["c"] = nil
    object["nothing"] = nil
    #expect(JSON.object(object).text == Array("{\"a\":true,\"d\":\"x\"}".utf8))
    #expect(object["c"] == nil && !object.isEmpty)
  }

  @Test(arguments: [
    ("1", 1), ("-7", -7), ("9223372036854775807", Int.max), ("9223372036854775808", nil),
    ("1.0", nil), ("1e0", nil), ("\"1\"", nil), ("-0", 0),
  ])
  func `only a whole number that is written as one is an integer`(text: String, value: Int?) throws
  {
    #expect(try parse(text).int == value)
  }
}
