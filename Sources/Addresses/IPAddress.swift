// SPDX-License-Identifier: Apache-2.0
import Embedded

/// An IPv4 or IPv6 address.
///
/// The value is the address as one number in network byte order: the next address is one more, and a
/// range of any size is two numbers.
public struct IPAddress: Equatable, Sendable {
  /// An address family.
  public enum Family: Equatable, Sendable {
    case v4, v6

    /// The width of an address in bits: 32 or 128.
    public var bits: Int { self == .v4 ? 32 : 128 }

    /// The name the specification uses in results before 1.0.0: `4` or `6`.
    public var version: String { self == .v4 ? "4" : "6" }
  }

  /// IPv4 or IPv6.
  public let family: Family
  /// The address as a number, 0 to 2^32-1 or 2^128-1.
  public let value: UInt128

  /// Whether it is an IPv6 link-local address (RFC 4291 section 2.5.6): the kernel gives each link one.
  public var isLinkLocal: Bool { family == .v6 && value >> 118 == 0x3fa }

  /// - Precondition: `value` fits the family.
  public init(_ family: Family, _ value: UInt128) {
    precondition(family == .v6 || value <= 0xffff_ffff, "an IPv4 address has 32 bits")
    self.family = family
    self.value = value
  }

  /// Reads the text form: dotted decimal without leading zeros, or RFC 4291 section 2.2 without a zone; nil
  /// for any other text. An IPv4-mapped IPv6 address is read as the IPv4 address in it, as Go's `net` does.
  public init?(_ text: String) { self.init(ascii: Array(text.utf8)[...]) }

  /// Reads the bytes of the text form.
  init?(ascii text: ArraySlice<UInt8>) {
    if let value = IPAddress.dottedDecimal(text) {
      self.init(.v4, value)
    } else if let value = IPAddress.colonHexadecimal(Array(text)) {
      self.init(
        value >> 32 == 0xffff ? .v4 : .v6, value >> 32 == 0xffff ? value & 0xffff_ffff : value)
    } else {
      return nil
    }
  }

  /// Reads 4 or 16 bytes in network byte order; nil for another number of bytes. 16 bytes are always an IPv6
  /// address, an IPv4-mapped one too.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.init(bytes.count == 4 ? .v4 : .v6, bytes.reduce(0) { $0 << 8 | UInt128($1) })
  }

  /// The 4 or 16 bytes in network byte order, as in a netlink attribute.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    var shift = family.bits
    while shift > 0 {
      shift -= 8
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt128(shift)))
    }
    return bytes
  }

  /// The address `distance` above this one; nil past the last address of the family.
  public func advanced(by distance: UInt128) -> IPAddress? {
    let (sum, overflow) = value.addingReportingOverflow(distance)
    guard !overflow, family == .v6 || sum <= 0xffff_ffff else { return nil }
    return IPAddress(family, sum)
  }
}

extension IPAddress: Comparable {
  /// IPv4 before IPv6, then by value.
  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    left.family == right.family ? left.value < right.value : left.family == .v4
  }
}

extension IPAddress: CustomStringConvertible {
  /// The canonical text: dotted decimal, or RFC 5952.
  public var description: String {
    if family == .v4 {
      return bytes.map { String(UInt64($0), digits: 1) }.joined(separator: ".")
    }
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> (112 - 16 * UInt128($0))) }
    let zeros = IPAddress.longestRunOfZeros(groups)
    let texts = groups.map { String(UInt64($0), digits: 1, radix: 16) }
    if zeros.count < 2 { return texts.joined(separator: ":") }
    return Array(texts[..<zeros.lowerBound]).joined(separator: ":") + "::"
      + Array(texts[zeros.upperBound...]).joined(separator: ":")
  }

  /// The first of the longest runs of zero groups; empty if there is none.
  private static func longestRunOfZeros(_ groups: [UInt16]) -> Range<Int> {
    var longest = 0..<0
    var start = 0
    for (index, group) in groups.enumerated() {
      if group != 0 {
        start = index + 1
      } else if index + 1 - start > longest.count {
        longest = start..<index + 1
      }
    }
    return longest
  }
}

extension IPAddress {
  private static func dottedDecimal(_ text: ArraySlice<UInt8>) -> UInt128? {
    var value: UInt128 = 0
    var octet: UInt128 = 0
    var digits = 0
    var dots = 0
    for byte in text {
      if byte == UInt8(ascii: ".") {
        guard digits > 0, dots < 3 else { return nil }
        value = value << 8 | octet
        (octet, digits, dots) = (0, 0, dots + 1)
      } else {
        // No leading zeros.
        guard let digit = decimalDigit(byte), digits == 0 || octet > 0 else { return nil }
        octet = octet * 10 + UInt128(digit)
        digits += 1
        guard octet <= 255 else { return nil }
      }
    }
    return dots == 3 && digits > 0 ? value << 8 | octet : nil
  }

  private static func colonHexadecimal(_ text: [UInt8]) -> UInt128? {
    let colon = UInt8(ascii: ":")
    var before: [UInt16] = []
    var after: [UInt16]?
    var index = 0
    if text.starts(with: [colon, colon]) {
      after = []
      index = 2
    }
    while index < text.count {
      if let value = dottedDecimal(text[index...]) {
        let groups = [UInt16(truncatingIfNeeded: value >> 16), UInt16(truncatingIfNeeded: value)]
        if after == nil { before += groups } else { after! += groups }
        index = text.count
        break
      }
      var group: UInt16 = 0
      var digits = 0
      while index < text.count, let digit = hexadecimalDigit(text[index]) {
        group = group << 4 | UInt16(digit)
        digits += 1
        index += 1
      }
      guard (1...4).contains(digits) else { return nil }
      if after == nil { before.append(group) } else { after!.append(group) }
      if index == text.count { break }
      guard text[index] == colon, index + 1 < text.count else { return nil }
      index += 1
      if text[index] == colon {
        guard after == nil else { return nil }
        after = []
        index += 1
      }
    }
    let count = before.count + (after?.count ?? 0)
    guard after == nil ? count == 8 : count < 8 else { return nil }
    let groups = before + Array(repeating: 0, count: 8 - count) + (after ?? [])
    return groups.reduce(0) { $0 << 16 | UInt128($1) }
  }
}
