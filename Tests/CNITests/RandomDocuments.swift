// SPDX-License-Identifier: Apache-2.0
import CNI
import TestSupport

extension SeededRandom {
  /// A JSON document with every kind of value, as deep as `depth`.
  mutating func document(depth: Int = 5) -> JSON {
    switch below(depth > 0 ? 7 : 4) {
    case 0: return one(of: [.null, .bool(true), .bool(false)])
    case 1: return .number(number())
    case 2, 3: return .string(string())
    case 4: return .array((0..<below(5)).map { _ in document(depth: depth - 1) })
    default:
      var object = JSONObject()
      for _ in 0..<below(6) { object[string()] = document(depth: depth - 1) }
      return .object(object)
    }
  }

  private mutating func number() -> String {
    one(of: [
      "0", "-0", "\(below(1_000_000))", "-\(below(1000))", "9223372036854775807", "1.0", "1.50",
      "-2.5e3", "1E5", "1e-7", "0.1", "123456789.25",
    ])
  }

  mutating func string() -> String {
    String(
      String.UnicodeScalarView(
        (0..<below(9)).map { _ in
          one(
            of: Array("abcXYZ019 _./\"\\\n\r\t\u{0}\u{1f}\u{7f}é中\u{301}\u{10ffff}😀".unicodeScalars)
          )
        }))
  }
}

extension JSON {
  /// The value as other programs may write it: with white space, and other escapes.
  func looseText(_ random: inout SeededRandom) -> String {
    let space = random.one(of: ["", "", " ", "\n", "\t\r\n "])
    switch self {
    case .null, .bool, .number: return space + String(decoding: text, as: UTF8.self)
    case .string(let string): return space + JSON.loose(string, &random)
    case .array(let elements):
      return space + "[" + elements.map { $0.looseText(&random) }.joined(separator: ",") + space
        + "]"
    case .object(let object):
      let members = object.members.map {
        space + JSON.loose($0.name, &random) + space + ":" + $0.value.looseText(&random)
      }
      return space + "{" + members.joined(separator: ",") + space + "}"
    }
  }

  private static func loose(_ string: String, _ random: inout SeededRandom) -> String {
    var text = "\""
    for scalar in string.unicodeScalars {
      let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
      if mustEscape || random.below(3) == 0 {
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16, uppercase: random.below(2) == 0)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      } else if scalar == "/" && random.below(2) == 0 {
        text += "\\/"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
