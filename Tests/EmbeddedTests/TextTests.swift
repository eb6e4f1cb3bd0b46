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
