// SPDX-License-Identifier: Apache-2.0
import Embedded
import System

/// Why and where a text is not JSON. Line and column count from 1; columns are bytes.
public struct JSONError: Error, Equatable, CustomStringConvertible {
  /// What is wrong, in words: `a digit is expected`.
  public let problem: String
  /// The line of the problem, from 1.
  public let line: Int
  /// The column of the problem in its line, in bytes from 1.
  public let column: Int

  public var description: String { "line \(line), column \(column): \(problem)" }
}

extension JSON {
  /// The deepest nesting that is accepted.
  public static let depthLimit = 512

  /// Reads one JSON text (RFC 8259): UTF-8 without byte order mark, with only white space around it. Also
  /// refused: a member name that occurs twice in an object, nesting deeper than `depthLimit`, an unpaired
  /// surrogate, and more than `sizeLimit` bytes. Cost: one pass.
  /// - Throws: the first problem and its place.
  public init(parsing text: [UInt8], sizeLimit: Int = 16 << 20) throws(JSONError) {
    guard text.count <= sizeLimit else {
      throw JSONError(problem: "more than \(sizeLimit) bytes", line: 1, column: 1)
    }
    var parser = JSONParser(text: text)
    self = try parser.document()
  }
}

private struct JSONParser {
  let text: [UInt8]
  var position = 0
  var depth = 0

  init(text: [UInt8]) { self.text = text }

  mutating func document() throws(JSONError) -> JSON {
    let value = try value()
    skipWhiteSpace()
    guard position == text.count else { throw error("something follows the JSON value") }
    return value
  }

  mutating func value() throws(JSONError) -> JSON {
    skipWhiteSpace()
    guard let byte = peek else { throw error("the text ends where a value is expected") }
    switch byte {
    case UInt8(ascii: "{"): return try nested { parser throws(JSONError) in try parser.object() }
    case UInt8(ascii: "["): return try nested { parser throws(JSONError) in try parser.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    default: throw error("a value is expected here")
    }
  }

  private mutating func nested(
    _ body: (inout JSONParser) throws(JSONError) -> JSON
  ) throws(JSONError) -> JSON {
    guard depth < JSON.depthLimit else {
      throw error("nested deeper than \(JSON.depthLimit) levels")
    }
    depth += 1
    let value = try body(&self)
    depth -= 1
    return value
  }

  private mutating func object() throws(JSONError) -> JSON {
    var members: [JSONObject.Member] = []
    position += 1
    skipWhiteSpace()
    if take(UInt8(ascii: "}")) { return .object(JSONObject()) }
    members.reserveCapacity(4)
    repeat {
      skipWhiteSpace()
      guard peek == UInt8(ascii: "\"") else { throw error("a member name in quotes is expected") }
      let start = position
      let name = try string()
      // With many members, sorting below finds duplicates: comparing each pair would take n² steps.
      if members.count < 32, members.contains(where: { $0.name.isSame(as: name) }) {
        throw error("the member name \"\(name)\" occurs twice in one object", at: start)
      }
      skipWhiteSpace()
      guard take(UInt8(ascii: ":")) else { throw error("':' is expected after a member name") }
      members.append(JSONObject.Member(name, try value()))
      skipWhiteSpace()
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw error("',' or '}' is expected") }
    if members.count >= 32 { try refuseDuplicates(members) }
    return .object(JSONObject(members: members))
  }

  private func refuseDuplicates(_ members: [JSONObject.Member]) throws(JSONError) {
    let names = members.map { $0.name }.sortedByBytes()
    for (name, next) in zip(names, names.dropFirst()) where name.isSame(as: next) {
      throw error("the member name \"\(name)\" occurs twice in the object that ends here")
    }
  }

  private mutating func array() throws(JSONError) -> JSON {
    var elements: [JSON] = []
    position += 1
    skipWhiteSpace()
    if take(UInt8(ascii: "]")) { return .array([]) }
    repeat {
      elements.append(try value())
      skipWhiteSpace()
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw error("',' or ']' is expected") }
    return .array(elements)
  }

  private mutating func literal(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
    for index in 0..<word.utf8CodeUnitCount {
      guard take(word.utf8Start[index]) else { throw error("'\(word)' is expected") }
    }
    return value
  }

  private mutating func number() throws(JSONError) -> String {
    let start = position
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try digits() }
    if take(UInt8(ascii: ".")) { try digits() }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    return String(decoding: text[start..<position])
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    guard position > start else { throw error("a digit is expected") }
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    var bytes: [UInt8] = []
    var copied = start
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        if copied > start { bytes += text[copied..<position] }
        let characters = copied > start ? bytes[...] : text[start..<position]
        position += 1
        guard let string = String(validating: characters, as: UTF8.self) else {
          throw error("the string is not valid UTF-8", at: start)
        }
        return string
      case UInt8(ascii: "\\"):
        if copied < position { bytes += text[copied..<position] }
        position += 1
        try escape(into: &bytes)
        copied = position
      case 0..<0x20:
        throw error("a control character in a string must be escaped")
      default:
        position += 1
      }
    }
    throw error("the text ends inside a string")
  }

  /// Reads the rest of an escape, and appends the character's UTF-8 bytes.
  private mutating func escape(into bytes: inout [UInt8]) throws(JSONError) {
    guard let byte = peek else { throw error("the text ends inside a string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0c)
    case UInt8(ascii: "n"): bytes.append(0x0a)
    case UInt8(ascii: "r"): bytes.append(0x0d)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "u"): bytes += UTF8.encode(try escapedScalar())!
    default: throw error("'\\' is followed by a character that it cannot escape", at: position - 1)
    }
  }

  private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
    let start = position
    let first = try fourHexadecimalDigits()
    if let scalar = Unicode.Scalar(first) { return scalar }
    if first < 0xdc00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
      let second = try fourHexadecimalDigits()
      if (0xdc00..<0xe000).contains(second),
        let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
      {
        return scalar
      }
    }
    throw error("an unpaired surrogate", at: start - 2)
  }

  private mutating func fourHexadecimalDigits() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = hexadecimalDigit(byte) else {
        throw error("four hexadecimal digits are expected after \\u")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  private var peek: UInt8? { position < text.count ? text[position] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
      position += 1
    }
  }

  private func error(_ problem: String, at place: Int? = nil) -> JSONError {
    let before = text[..<(place ?? position)]
    let lineStart = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
    return JSONError(
      problem: problem, line: before.count { $0 == 0x0a } + 1, column: before.count - lineStart + 1)
  }
}
