// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Embedded

@Suite struct TextTests {
  @Test(arguments: [
    ("a;b", ["a", "b"]), ("", []), (";", []), (";a;;b;", ["a", "b"]), ("a", ["a"]),
    ("é;\u{301}", ["é", "\u{301}"]),
  ])
  func `fields are what is between the separators`(text: String, fields: [String]) {
    #expect(text.fields(separatedBy: ";").map { Array($0.utf8) } == fields.map { Array($0.utf8) })
  }

  @Test func `empty fields are kept where they count`() {
    #expect(";a;".fields(separatedBy: ";", omittingEmpty: false) == ["", "a", ""])
    #expect("".fields(separatedBy: ";", omittingEmpty: false) == [""])
  }

  @Test func `words are what is between spaces and control characters`() {
    #expect(" a\t\r\nbc  d\0".words == ["a", "bc", "d"])
    #expect(" ".words == [])
  }

  @Test func `a text is compared by its bytes`() {
    #expect("ab".isBefore("b") && "a".isBefore("ab") && !"a".isBefore("a") && "".isBefore("a"))
    #expect("z".isBefore("é") && "a long text of many bytes".isBefore("a long text of more bytes"))
    #expect(
      "humanz-bridge".begins(with: "humanz-") && "a".begins(with: "") && !"".begins(with: "a"))
    #expect("a b".ends(with: " b") && "".ends(with: "") && !"b".ends(with: "ab"))
    #expect("\u{e9}".begins(with: "\u{e9}") && !"e\u{301}".begins(with: "\u{e9}"))
  }

  @Test(arguments: [
    ("0", 0), ("-7", -7), ("+12", 12), ("007", 7), ("9223372036854775807", Int.max),
    ("-9223372036854775808", Int.min), ("9223372036854775808", nil), ("", nil), ("-", nil),
    ("1 ", nil), ("1.0", nil), ("99999999999999999999", nil),
  ])
  func `an integer is read as the standard library reads it`(text: String, value: Int?) {
    #expect(Int(text) == value)
    #expect(Int(text, radix: 10) == value)
  }

  @Test func `digits have zeros in front and any radix up to 16`() {
    #expect(String(0 as UInt64, digits: 1) == "0" && String(7 as UInt64, digits: 3) == "007")
    #expect(String(UInt64.max, digits: 1) == "\(UInt64.max)")
    #expect(String(0xbeef as UInt64, digits: 6, radix: 16) == "00beef")
    #expect("\(Int.min) \(UInt8.max) \(Int32.min)" == "-9223372036854775808 255 -2147483648")
  }

  @Test func `text of bytes that are no UTF-8 has replacement characters`() {
    #expect(String(decoding: [0x61, 0xff]) == "a\u{fffd}")
    let bytes: [UInt8] = [0x61, 0x62, 0, 0x63]
    #expect(bytes.withUnsafeBytes { String(zeroTerminated: $0) } == "ab")
    #expect(
      [String]().joined(separator: ",") == "" && ["a", "b"].joined(separator: ", ") == "a, b")
  }

  @Test func `the same text has the same code points`() {
    #expect("\u{e9}".isSame(as: "\u{e9}") && !"\u{e9}".isSame(as: "e\u{301}"))
    #expect(!"a".isSame(as: "aa") && "".isSame(as: ""))
  }

  @Test func `digits have their values, in ASCII alone`() {
    for byte in UInt8.min...UInt8.max {
      let character = Character(Unicode.Scalar(byte))
      let isASCII = byte < 0x80
      #expect(
        decimalDigit(byte).map { Int($0) } == (isASCII ? character.wholeNumberValue : nil))
      #expect(
        hexadecimalDigit(byte).map { Int($0) } == (isASCII ? character.hexDigitValue : nil))
      #expect(isAlphanumeric(byte) == (isASCII && (character.isLetter || character.isNumber)))
    }
  }

  @Test func `interpolation writes what the standard library writes`() {
    let (name, number) = ("cni0", -7)
    #expect(
      "link \(name) \(number) \(UInt128.max) \(true)"
        == "link cni0 -7 \(UInt128.max.description) true")
  }
}
