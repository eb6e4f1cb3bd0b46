// SPDX-License-Identifier: Apache-2.0
import CNetlink

// Functions on text that are not inlined. As with interpolation, the standard library's are inlined at every
// use, with code for strings of Objective-C; those declared here with the same names take precedence.

extension String {
  /// The parts of a text between the occurrences of a character.
  ///
  /// The standard library's `split` works on grapheme clusters and adds their tables to each program.
  /// - Parameters:
  ///   - separator: an ASCII character.
  ///   - omittingEmpty: whether to leave out empty parts.
  public func fields(
    separatedBy separator: Unicode.Scalar, omittingEmpty: Bool = true
  ) -> [String] {
    fields(between: UInt8(ascii: separator)...UInt8(ascii: separator), omittingEmpty)
  }

  /// The nonempty parts of a text between its spaces and control characters.
  public var words: [String] { fields(between: 0...0x20, true) }

  @inline(never)
  private func fields(between separators: ClosedRange<UInt8>, _ omittingEmpty: Bool) -> [String] {
    let bytes = Array(utf8)
    var fields: [String] = []
    var start = 0
    for end in 0...bytes.count where end == bytes.count || separators.contains(bytes[end]) {
      if end > start || !omittingEmpty { fields.append(String(decoding: bytes[start..<end])) }
      start = end + 1
    }
    return fields
  }

  /// Whether both have the same code points. In ordinary Swift `==` also treats the composed and the
  /// decomposed form of a character as equal.
  public func isSame(as other: String) -> Bool { compareBytes(self, other) == 0 }

  /// Whether the text comes before another by its bytes, the same in every build.
  public func isBefore(_ other: String) -> Bool { compareBytes(self, other) < 0 }

  /// Whether the text begins with the bytes of another.
  public func begins(with prefix: String) -> Bool { hasBytes(of: prefix, atEnd: false) }

  /// Whether the text ends with the bytes of another.
  public func ends(with suffix: String) -> Bool { hasBytes(of: suffix, atEnd: true) }

  @inline(never)
  private func hasBytes(of part: String, atEnd: Bool) -> Bool {
    let (bytes, part) = (Array(utf8), Array(part.utf8))
    guard bytes.count >= part.count else { return false }
    let start = atEnd ? bytes.count - part.count : 0
    return bytes[start..<start + part.count] == part[...]
  }

  /// The text without its first bytes; empty if it has fewer. The rest of a character that is cut becomes
  /// U+FFFD.
  @inline(never)
  public func dropping(bytes count: Int) -> String {
    String(decoding: Array(utf8).dropFirst(count))
  }

  /// The first bytes of the text; all if it has fewer. The part of a character that is cut becomes U+FFFD.
  @inline(never)
  public func keeping(bytes count: Int) -> String {
    String(decoding: Array(utf8).prefix(count))
  }

  /// Decodes UTF-8; what is not valid becomes U+FFFD.
  @inline(never)
  public init(decoding bytes: ArraySlice<UInt8>) { self.init(decoding: bytes, as: UTF8.self) }

  /// Decodes UTF-8; what is not valid becomes U+FFFD.
  public init(decoding bytes: [UInt8]) { self.init(decoding: bytes[...]) }

  /// Decodes UTF-8 up to the first zero byte; what is not valid becomes U+FFFD.
  @inline(never)
  public init(zeroTerminated bytes: UnsafeRawBufferPointer) {
    let length = bytes.firstIndex(of: 0) ?? bytes.count
    self.init(decoding: UnsafeRawBufferPointer(rebasing: bytes[..<length]), as: UTF8.self)
  }

  /// A number in digits, with zeros before them if there are fewer than `digits`.
  /// - Parameters:
  ///   - digits: the fewest digits; for 0 the number 0 is the empty text.
  ///   - radix: 2 to 36; digits from 10 on are lower-case letters.
  @inline(never)
  public init(_ number: UInt64, digits: Int, radix: UInt64 = 10) {
    var rest = number
    var text: [UInt8] = []
    while rest > 0 || text.count < digits {
      let digit = UInt8(rest % radix)
      text.insert(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10, at: 0)
      rest /= radix
    }
    self.init(decoding: text)
  }
}

extension Int {
  /// Reads decimal digits, with an optional sign; nil for other text and for a number that does not fit.
  @inline(never)
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    let isSigned = bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+")
    let digits = isSigned ? bytes[1...] : bytes[...]
    guard !digits.isEmpty else { return nil }
    var value = 0
    for byte in digits {
      guard let digit = decimalDigit(byte) else { return nil }
      let (shifted, isTooLarge) = value.multipliedReportingOverflow(by: 10)
      let next = bytes[0] == UInt8(ascii: "-") ? -Int(digit) : Int(digit)
      let (sum, isOver) = shifted.addingReportingOverflow(next)
      guard !isTooLarge, !isOver else { return nil }
      value = sum
    }
    self = value
  }
}

extension [String] {
  /// Sorted by bytes, the same in every build.
  @inline(never)
  public func sortedByBytes() -> [String] { inOrder { $0.isBefore($1) } }

  /// The elements in one string, with the separator between them.
  @inline(never)
  public func joined(separator: String = "") -> String {
    var text = ""
    for (index, element) in enumerated() {
      if index > 0 { text += separator }
      text += element
    }
    return text
  }
}

/// The order of two texts by their bytes: negative, zero or positive, as from `memcmp`.
@inline(never)
func compareBytes(_ left: String, _ right: String) -> Int {
  var (left, right) = (left, right)
  return left.withUTF8 { left in
    right.withUTF8 { right in
      let order = memcmp(left.baseAddress!, right.baseAddress!, min(left.count, right.count))
      return order == 0 ? left.count - right.count : Int(order)
    }
  }
}
