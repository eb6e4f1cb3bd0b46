// SPDX-License-Identifier: Apache-2.0
/// The value of a decimal digit; nil for any other character.
public func decimalDigit(_ character: UInt8) -> UInt8? {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character)
    ? character - UInt8(ascii: "0") : nil
}

/// The value of a hexadecimal digit; nil for any other character.
public func hexadecimalDigit(_ character: UInt8) -> UInt8? {
  switch character {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
  default: nil
  }
}

/// Whether a character is an ASCII letter or digit.
public func isAlphanumeric(_ character: UInt8) -> Bool {
  switch character {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
    UInt8(ascii: "A")...UInt8(ascii: "Z"):
    true
  default: false
  }
}

/// The capital of a lower-case ASCII letter; any other character unchanged. (The standard library's function
/// adds the tables of all letters.)
public func uppercase(_ character: UInt8) -> UInt8 {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(character) ? character - 32 : character
}
