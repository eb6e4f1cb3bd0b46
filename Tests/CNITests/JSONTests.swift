// SPDX-License-Identifier: Apache-2.0
import Tables
import Testing

@testable import CNI

/// Accepted and refused texts, the position of errors, and values without loss.
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

  @Test(arguments: JSONTable.texts)
  func `order and spellings come out as they went in`(_ row: Case) {
    #expect(row.failure == nil)
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

  @Test(arguments: JSONTable.errors)
  func `an error says line and column`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test func `an error is described with its place`() {
    #expect(problem("[\n1 2]")?.description.hasPrefix("line 2, column 3: ") == true)
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
