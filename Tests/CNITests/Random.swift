import CNI

/// Numbers that look random and are the same in every run: SplitMix64.
struct FixedRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

  mutating func one<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }

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
  /// A text of the value as somebody else might write it: with white space, and other escapes.
  func looseText(_ random: inout FixedRandom) -> String {
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

  private static func loose(_ string: String, _ random: inout FixedRandom) -> String {
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
