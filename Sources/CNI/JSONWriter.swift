// SPDX-License-Identifier: Apache-2.0
import Embedded

extension JSON {
  /// The value as one line of JSON text, as UTF-8 bytes; only what RFC 8259 requires is escaped.
  public var text: [UInt8] {
    var text: [UInt8] = []
    write(to: &text)
    return text
  }

  private func write(to text: inout [UInt8]) {
    switch self {
    case .null: text += "null".utf8
    case .bool(let value): text += (value ? "true" : "false").utf8
    case .number(let spelling): text += spelling.utf8
    case .string(let value): JSON.write(value, to: &text)
    case .array(let elements):
      text.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        element.write(to: &text)
      }
      text.append(UInt8(ascii: "]"))
    case .object(let object):
      text.append(UInt8(ascii: "{"))
      for (index, member) in object.members.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        JSON.write(member.name, to: &text)
        text.append(UInt8(ascii: ":"))
        member.value.write(to: &text)
      }
      text.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ string: String, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): escape(byte, &text)
      case 0x0a: escape(UInt8(ascii: "n"), &text)
      case 0x0d: escape(UInt8(ascii: "r"), &text)
      case 0x09: escape(UInt8(ascii: "t"), &text)
      case 0..<0x20:
        escape(UInt8(ascii: "u"), &text)
        text += String(UInt64(byte), digits: 4, radix: 16).utf8
      default: text.append(byte)
      }
    }
    text.append(UInt8(ascii: "\""))
  }

  private static func escape(_ character: UInt8, _ text: inout [UInt8]) {
    text.append(UInt8(ascii: "\\"))
    text.append(character)
  }
}
